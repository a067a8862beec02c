# Parallels, beside qemu-img. shellcheck shell=bash

# hds_changed IMAGE HOST_OFFSET BYTES NUMBER...: a copy changed.hds with other numbers
hds_changed()
{
	cp "$1" changed.hds && "$here/put.py" changed.hds "${@:2}"
}

# hds_refuses PATTERN IMAGE NUMBERS...
hds_refuses()
{
	hds_changed "${@:2}" && foreign_refuses parallels changed.hds "$1"
}

# hds_finds PATTERN IMAGE NUMBERS...: a check of a changed copy does.
hds_finds()
{
	hds_changed "${@:2}" && foreign_says parallels changed.hds "$1"
}

# xml_refuses PATTERN WORD...: the descriptor of prl.py
xml_refuses()
{
	"$here/prl.py" "${@:2}" > changed.xml && foreign_refuses parallels changed.xml "$1"
}

qemu-img create -q -f parallels some.hds 9728k
qemu-io -f parallels -c 'write -q -P 1 0 64k' -c 'write -q -P 2 3M 2M' -c 'write -q -P 3 9M 512' some.hds
expect "parallels: some clusters" same_disk parallels some.hds
expect "parallels: probed" foreign_says probe some.hds "^format.parallels$"
expect "parallels: check" foreign_finds_nothing parallels some.hds
for image in parallels-v1 parallels-v2 parallels-with-bitmap; do
	sample $image
	expect "parallels: $image" same_sparse parallels $image
	expect "parallels: check: $image" foreign_says parallels $image "^size"
done

# The extension of Virtuozzo's file is the cluster at 2 MiB; its bitmap has that at 1 MiB.
bitmap=parallels-with-bitmap
# extension_finds PATTERN NUMBERS...: a check of a changed copy, whose checksum is right, does.
extension_finds()
{
	hds_changed $bitmap "${@:2}" && /usr/bin/python3 -c 'import hashlib
with open("changed.hds", "r+b") as f:
    f.seek(0x200018)
    digest = hashlib.md5(f.read(0x100000 - 24)).digest()
    f.seek(0x200008)
    f.write(digest)' && foreign_says parallels changed.hds "$1"
}

expect "parallels: extension" foreign_finds_nothing parallels $bitmap
expect "parallels: extension: checksum" hds_finds "^fault.its extension at host offset 2097152 has a wrong checksum" \
	$bitmap 0x2fffff 1 1
expect "parallels: extension: magic" hds_finds "^fault.its extension .* has another magic" $bitmap 0x200000 1 0
expect "parallels: extension: past the end" hds_finds "^fault.its extension .* lies past the end" $bitmap 56 8 -1
expect "parallels: extension: not closed" hds_finds "^leak.2 clusters" $bitmap 44 4 0x746f6e59
expect "parallels: extension: shared" hds_finds "^fault.the data of guest offset 0 shares host offset 1048576 with other metadata" \
	$bitmap 64 4 1
expect "parallels: extension: the bitmap in it" extension_finds "^fault.a bitmap at host offset 2097152 shares" 0x200050 8 4096
expect "parallels: extension: long section" extension_finds "^fault.its extension .* section that does not fit" 0x200028 4 -1
expect "parallels: extension: long bitmap" extension_finds "^fault.its extension .* bitmap that does not fit" 0x20004c 4 -1
expect "parallels: extension: short bitmap" extension_finds "^fault.its extension .* bitmap that does not fit" 0x200028 4 31
qemu-img create -q -f parallels -o cluster_size=64k small.hds 700k
qemu-io -f parallels -c 'write -q -P 1 600k 90k' small.hds
expect "parallels: small clusters" same_disk parallels small.hds
expect "parallels: open" hds_finds "^dirty.1$" some.hds 44 4 0x746f6e59
expect "parallels: closed" foreign_says parallels some.hds "^dirty.0$"

# Found by a check. Cluster 0 is the first one of the file, at 1 MiB.
expect "parallels: check: shared" hds_finds "^fault.*guest offset 3145728 shares .* other data" some.hds 76 4 1
expect "parallels: check: outside" hds_finds "^fault.*guest offset 3145728 .* outside of" some.hds 76 4 1 48 4 8192
expect "parallels: check: leak" hds_finds "^leak.1 clusters of the file have no use" some.hds 64 4 0

# Refused: files
expect "parallels: no magic" hds_refuses "no magic of Parallels" some.hds 0 1 1
expect "parallels: version" hds_refuses "Parallels image of version 3.*; convert" some.hds 16 4 3
expect "parallels: no cluster" hds_refuses "clusters of 0 sectors" some.hds 28 4 0
expect "parallels: large cluster" hds_refuses "clusters of 4294967295 sectors" some.hds 28 4 -1
expect "parallels: entries" hds_refuses "table of 9 clusters for" some.hds 32 4 9
expect "parallels: no disk" hds_refuses "disk of 0 bytes" some.hds 36 8 0
expect "parallels: large disk" hds_refuses "disk of 18446744073709551615 sectors" some.hds 36 8 -1
expect "parallels: table outside" hds_refuses "truncated" some.hds 32 4 -1 36 8 0x7fffffffff
expect "parallels: cluster outside" hds_refuses "past the end of a file" some.hds 64 4 0x10000
cp some.hds changed.hds
truncate -s 3M changed.hds
expect "parallels: truncated" foreign_refuses parallels changed.hds "so it is truncated; restore it from a copy"

# Crafted, for QEMU reads no descriptors: the files are QEMU's, DiskDescriptor.xml is ours.
top={5fbaabe3-6958-40ff-92a7-860e329aab41}
old={11111111-2222-3333-4444-555555555555}
oldest={99999999-2222-3333-4444-555555555555}
{
	echo "0 4M first"
	echo "4M 5632k second"
} | while read -r start size name; do
	for level in oldest old top; do
		qemu-img create -q -f parallels $name-$level.hds "$size"
	done
	qemu-img convert -f parallels -O raw $name-top.hds $name.raw
done
# pattern FILE NUMBER CLUSTER...: fills clusters of a file, and of the raw disk.
pattern()
{
	local name=$1 number=$2 n

	for n in "${@:3}"; do
		qemu-io -f parallels -c "write -q -P $number ${n}M 1M" "$name.hds"
		qemu-io -f raw -c "write -q -P $number ${n}M 1M" "${name%-*}.raw"
	done
}
pattern first-oldest 1 0 1 2
pattern second-oldest 2 1 3
pattern first-old 3 1
pattern second-old 4 0 3
pattern first-top 5 2
pattern second-top 6 4
{
	head -c 4M first.raw
	head -c 5632k second.raw
} > expected.raw
first="8192:$top=Compressed:first-top.hds,$oldest=Compressed:first-oldest.hds,$old=Compressed:first-old.hds"
second="19456:$top=Compressed:second-top.hds,$old=Compressed:second-old.hds,$oldest=Compressed:second-oldest.hds"
"$here/prl.py" 19456 "$first" "$second" -- "$top:$old" "$old:$oldest" "$oldest" > DiskDescriptor.xml
disk_of parallels DiskDescriptor.xml ours.raw
expect "parallels: crafted: split, with snapshots" same_content expected.raw ours.raw
expect "parallels: descriptor: probed" foreign_says probe DiskDescriptor.xml "^format.parallels$"
expect "parallels: descriptor: check" foreign_finds_nothing parallels DiskDescriptor.xml
"$here/prl.py" 8192 "8192:$top=Compressed:first-top.hds" -- > one.xml
qemu-img convert -f parallels -O raw first-top.hds judge.raw
disk_of parallels one.xml ours.raw
expect "parallels: crafted: one file" same_content judge.raw ours.raw
"$here/prl.py" 19456 "8192:$oldest=Plain:first.raw,$top=Compressed:first-top.hds" \
	"19456:$oldest=Plain:second.raw,$top=Compressed:second-top.hds" -- "$top:$oldest" "$oldest" > plain.xml
disk_of parallels plain.xml ours.raw
expect "parallels: crafted: plain files" same_content expected.raw ours.raw

# Refused: descriptors
expect "parallels: xml" foreign_refuses parallels <(echo "<Parallels_disk_image") "truncated|wrong XML"
sed 's/<Snapshots>/<Snapshot>/' DiskDescriptor.xml > changed.xml
expect "parallels: wrong xml" foreign_refuses parallels changed.xml "wrong XML in line [0-9]+: mismatched tag"
{
	echo '<!DOCTYPE Parallels_disk_image [<!ENTITY a "b">]>'
	sed 1d DiskDescriptor.xml
} > changed.xml
expect "parallels: entities" foreign_refuses parallels changed.xml "XML that declares entities"
expect "parallels: xml: version" xml_refuses "version '2.0'" 8192 version=2.0 "$first" --
expect "parallels: xml: padding" xml_refuses "padding .*; convert" 8192 padding=1 "$first" --
expect "parallels: xml: encrypted" xml_refuses "is encrypted by Parallels; decrypt" 8192 "engine=$old" "$first" --
expect "parallels: xml: type" xml_refuses "file of type 'Odd'" 8192 "8192:$top=Odd:first.raw" --
expect "parallels: xml: size" xml_refuses "parts of 8192 sectors for a disk of 8193" 8193 "$first" --
expect "parallels: xml: number" xml_refuses "'many' in place of a number" many "$first" --
expect "parallels: xml: large number" xml_refuses "'99999999999999999999' in place of a number" 99999999999999999999 "$first" --
expect "parallels: xml: order" xml_refuses "part from sector 8192 to 8192 behind sector 8192" 8192 "$first" "$first" --
expect "parallels: xml: no part" xml_refuses "parts of 0 sectors" 8192 --
expect "parallels: xml: no snapshot" xml_refuses "no snapshot {11111111" 8192 "$first" -- "$top:$old"
expect "parallels: xml: cycle" xml_refuses "cycle of them; merge" 8192 "$first" -- "$top:$old" "$old:$top"
expect "parallels: xml: no file" xml_refuses "no file of snapshot {5fb.* at sector 0" 8192 "8192:$old=Plain:first.raw" --
expect "parallels: xml: plain" xml_refuses "plain file of a snapshot with a parent" 8192 "8192:$top=Plain:first.raw,$old=Plain:first.raw" -- "$top:$old" "$old"
expect "parallels: xml: missing" xml_refuses "nothing.hds: No such file" 8192 "8192:$top=Compressed:nothing.hds" --
expect "parallels: xml: short" xml_refuses "past the end of a file" 19456 "19456:$top=Plain:second.raw" --
expect "parallels: xml: table" xml_refuses "table of 4 clusters" 19456 "19456:$top=Compressed:first-top.hds" --

expect "parallels: $count damaged ones" survives_damage parallels some.hds
mkdir folder
cp first-*.hds one.xml folder/
"$here/prl.py" 8192 "$first" -- "$top:$old" "$old:$oldest" "$oldest" > folder/DiskDescriptor.xml
expect "parallels: damaged descriptors" survives_damage parallels --judge none folder/DiskDescriptor.xml
