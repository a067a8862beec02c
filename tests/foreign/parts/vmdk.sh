# VMDK, beside qemu-img and libvmdk. shellcheck shell=bash

# vmdk_make KIND: an image that no program at hand writes, in a folder of that name
vmdk_make()
{
	"$here/vmdk.py" make "$1" "$1"
}

# vmdk_beside IMAGE: ours and libvmdk read the same disk.
vmdk_beside()
{
	run "$here/vmdk.py" beside "$F" "$1"
	[ "$code" = 0 ] || fail "$(cat err)"
}

# vmdk_crafted KIND [PARENT]: ours reads the disk that the image was made of.
vmdk_crafted()
{
	vmdk_make "$1" && disk_of vmdk "$1/disk.vmdk" ours.raw ${2:+"$1/$2"} &&
		same_content "$1/disk.raw" ours.raw
}

# vmdk_changed IMAGE OFFSET BYTES NUMBER PATTERN: refused with a number changed, in a copy
vmdk_changed()
{
	cp "$1" changed.vmdk && "$here/vmdk.py" put changed.vmdk "$2" "$3" "$4" &&
		foreign_refuses vmdk changed.vmdk "$5"
}

# vmdk_text PATTERN LINE...: a descriptor of these lines is refused.
vmdk_text()
{
	local pattern=$1

	shift
	printf '%s\n' "# Disk DescriptorFile" version=1 "$@" > text.vmdk
	foreign_refuses probe text.vmdk "$pattern"
}

writes=(-c 'write -q -P 1 0 64k' -c 'write -q -P 2 3M 2M' -c 'write -q -P 3 9600k 512'
	-c 'write -q -P 4 100k 1k' -c 'write -q -P 5 8M 64k')
for kind in monolithicSparse monolithicFlat twoGbMaxExtentSparse twoGbMaxExtentFlat; do
	qemu-img create -q -f vmdk -o subformat=$kind $kind.vmdk 9728k
	qemu-io -f vmdk "${writes[@]}" $kind.vmdk
	expect "vmdk: $kind" same_disk vmdk $kind.vmdk
	expect "vmdk: $kind: libvmdk" vmdk_beside $kind.vmdk
	expect "vmdk: $kind: probed" foreign_says probe $kind.vmdk "^format.vmdk$"
done
qemu-img convert -f vmdk -O vmdk -o subformat=streamOptimized monolithicFlat.vmdk stream.vmdk
expect "vmdk: stream" same_disk vmdk stream.vmdk
expect "vmdk: stream: libvmdk" vmdk_beside stream.vmdk
expect "vmdk: stream: compressed" foreign_says vmdk stream.vmdk "^entry.*1$"

# Grains of zeros, and disks of several files.
qemu-img create -q -f vmdk -o zeroed_grain=on zeros.vmdk 4M
qemu-io -f vmdk -c 'write -q -P 1 0 2M' -c 'write -q -z 512k 1M' zeros.vmdk
expect "vmdk: zeroed grains" same_disk vmdk zeros.vmdk
for kind in twoGbMaxExtentSparse twoGbMaxExtentFlat monolithicSparse; do
	qemu-img create -q -f vmdk -o subformat=$kind large.vmdk 4200M
	qemu-io -f vmdk -c 'write -q -P 1 2047M 3M' -c 'write -q -P 2 4093M 2M' \
		-c 'write -q -P 3 4198M 70k' large.vmdk
	expect "vmdk: $kind of 4200 MiB" vmdk_beside large.vmdk
	rm large*
done
sample iotest-version3.vmdk
# It has its first name inside, which libvmdk opens.
ln -s iotest-version3.vmdk generated-stream.vmdk
expect "vmdk: VMware's stream" vmdk_beside generated-stream.vmdk

# The name in the descriptor of the only extent does not matter.
mv monolithicSparse.vmdk renamed.vmdk
expect "vmdk: renamed" same_disk vmdk renamed.vmdk

# A chain: the child names its parent and has the parent's CID.
qemu-img create -q -f vmdk -b zeros.vmdk -F vmdk child.vmdk
qemu-io -f vmdk -c 'write -q -P 7 700k 64k' child.vmdk
qemu-img convert -f vmdk -O raw zeros.vmdk zeros.raw
qemu-img convert -f vmdk -O raw child.vmdk judge.raw
disk_of vmdk child.vmdk ours.raw zeros.raw
expect "vmdk: child" same_content judge.raw ours.raw
"$F" vmdk zeros.vmdk > parent.txt
"$F" vmdk child.vmdk > child.txt
expect "vmdk: child: name" has "^backing.zeros.vmdk$" child.txt
expect "vmdk: child: id" is "$(sed -n 's/^id//p' parent.txt)" "$(sed -n 's/^parent_id//p' child.txt)"
expect "vmdk: child: has a parent" has "^parent.1" child.txt

# Crafted: streams in their three forms, all kinds of extents in their places, deltas, a
# header that only has the descriptor, grains in any order.
for kind in header whole part footer markers several rdonly container sparse; do
	expect "vmdk: crafted: $kind" vmdk_crafted $kind
done
expect "vmdk: crafted: VMFSSPARSE" vmdk_crafted VMFSSPARSE base-flat.vmdk
expect "vmdk: crafted: SESPARSE" vmdk_crafted SESPARSE base-flat.vmdk
expect "vmdk: crafted: SESPARSE, large" vmdk_crafted large base-flat.vmdk
for kind in header whole part footer container sparse VMFSSPARSE SESPARSE large; do
	qemu-img convert -f vmdk -O raw $kind/disk.vmdk judge.raw
	expect "vmdk: crafted: $kind: qemu-img" same_content judge.raw $kind/disk.raw
done
for kind in header footer rdonly; do
	expect "vmdk: crafted: $kind: libvmdk" vmdk_beside $kind/disk.vmdk
done
expect "vmdk: not closed" foreign_says vmdk sparse/disk.vmdk "^dirty.1$"

# Checked: nothing to find, and damage of each kind.
for image in twoGbMaxExtentSparse.vmdk stream.vmdk generated-stream.vmdk {footer,markers,several,sparse,SESPARSE}/disk.vmdk; do
	"$F" vmdk "$image" > out
	expect "vmdk: check: $image" is "" "$(grep -E $'^(fault|leak)\t' out)"
done
image=sparse/disk.vmdk
gd=$(($(od -An -tu8 -j56 -N8 $image) * 512))
gt=$(($(od -An -tu4 -j$gd -N4 $image) * 512))
copy=$(($(od -An -tu8 -j48 -N8 $image) * 512))
copy=$(($(od -An -tu4 -j$copy -N4 $image) * 512))
# The first two entries with a grain, of all 512.
mapfile -t grains < <(od -An -v -w4 -tu4 -j$gt -N2048 $image | awk '$1 > 1 { print NR - 1, $1 }')
entry=$((gt + 4 * ${grains[0]% *}))
vmdk_finds()
{
	cp "$1" changed.vmdk && "$here/vmdk.py" put changed.vmdk "$2" "$3" "$4" &&
		foreign_says vmdk changed.vmdk "$5"
}
expect "vmdk: check: shared" vmdk_finds $image $entry 4 "${grains[1]#* }" "^fault.guest offsets .* share"
expect "vmdk: check: in metadata" vmdk_finds $image $entry 4 2 "^fault.guest offset .* with metadata"
expect "vmdk: check: copy" vmdk_finds $image $copy 4 0xffff "^fault.grain table 0, .* not the same"
expect "vmdk: check: marker" vmdk_finds markers/disk.vmdk $((11 * 512 + 16)) 4 0 "^fault.*cannot be decompressed"
sector=$(($(od -An -tu4 -j$((11 * 512)) -N4 header/disk.vmdk)))
expect "vmdk: check: place" vmdk_finds header/disk.vmdk $((11 * 512)) 4 9 \
	"^fault.the grain of guest offset $((sector * 512)) has a marker for sector 9$"
cp $image changed.vmdk
truncate -s +64K changed.vmdk
expect "vmdk: check: leak" foreign_says vmdk changed.vmdk "^leak.65536 bytes belong to no grain"

# Names of a parent that was moved.
sed 's/parentFileNameHint=.*/parentFileNameHint="..\\vm\\base.vmdk"/' VMFSSPARSE/disk.vmdk > VMFSSPARSE/moved.vmdk
"$F" vmdk VMFSSPARSE/moved.vmdk > out
expect "vmdk: names of a parent" is "../vm/base.vmdk base.vmdk" \
	"$(sed -n 's/^backing.//p' out | paste -sd ' ')"

# Names in the code page of a Windows machine: the euro sign, and a letter of ISO 8859-1.
head -c 512 twoGbMaxExtentFlat-f001.vmdk > $'\u20ac B\u00fcro.vmdk'
printf '%s\n' "# Disk DescriptorFile" version=1 'encoding="windows-1252"' CID=1 parentCID=2 \
	$'parentFileNameHint="B\xfcro\\\x80.vmdk"' $'RW 1 FLAT "\x80 B\xfcro.vmdk" 0' > page.vmdk
expect "vmdk: code page" foreign_says vmdk page.vmdk $'^file.1.*\u20ac B\u00fcro.vmdk$'
expect "vmdk: code page: parent" has $'^backing.B\u00fcro/\u20ac.vmdk$' out

# Refused: headers. The offsets are those of the specification.
image=sparse/disk.vmdk
expect "vmdk: version" vmdk_changed $image 4 4 4 "VMDK of version 4.*; convert"
expect "vmdk: newlines" vmdk_changed $image 74 1 10 "transfer as text"
expect "vmdk: no grain" vmdk_changed $image 20 8 0 "grains of 0 sectors"
expect "vmdk: large grain" vmdk_changed $image 20 8 0x200001 "grains of 2097153 sectors"
expect "vmdk: all sectors" vmdk_changed $image 12 8 -1 "disk of 18446744073709551615 sectors"
expect "vmdk: too many sectors" vmdk_changed $image 12 8 0x10000000000000 "which is too many"
expect "vmdk: more than the directory" vmdk_changed $image 12 8 0x1000000000 "truncated; restore"
expect "vmdk: table of none" vmdk_changed $image 44 4 0 "tables of 0 entries"
expect "vmdk: large table" vmdk_changed $image 44 4 513 "tables of 513 entries"
expect "vmdk: no directory" vmdk_changed $image 56 8 0 "no grain directory"
expect "vmdk: directory outside" vmdk_changed $image 56 8 0x7fffffffffffff "truncated; restore"
expect "vmdk: no footer" vmdk_changed $image 56 8 -1 "truncated; restore"
expect "vmdk: overhead" vmdk_changed $image 64 8 100000 "truncated; restore"
expect "vmdk: compression" vmdk_changed $image 77 2 2 "compression 2"
expect "vmdk: no compression" vmdk_changed $image 10 2 1 "without a compression"
expect "vmdk: no descriptor" vmdk_changed $image 28 8 0 "without a descriptor; attach the VMDK"
expect "vmdk: part of a split disk" foreign_refuses vmdk twoGbMaxExtentSparse-s001.vmdk "without a descriptor"
expect "vmdk: descriptor outside" vmdk_changed $image 28 8 -1 "truncated; restore"
expect "vmdk: large compressed grain" vmdk_changed header/disk.vmdk 20 8 8192 "compressed grains of 4194304"
expect "vmdk: no magic" vmdk_changed $image 0 4 0 "no signature"
expect "vmdk: table outside" vmdk_changed $image "$gd" 4 0xffffffff "truncated; restore"
expect "vmdk: grain outside" vmdk_changed $image "$gt" 4 0xffffffff "guest offset 0 past the end"
mkdir loop
"$here/vmdk.py" loop loop
expect "vmdk: one table for all" foreign_refuses vmdk loop/disk.vmdk "directory has tables that overlap"
rm loop/disk.vmdk
for part in header footer markers; do
	cp $part/disk.vmdk cut.vmdk
	truncate -s -512 cut.vmdk
	[ $part = header ] || expect "vmdk: $part: no end" foreign_refuses vmdk cut.vmdk "truncated; restore"
	truncate -s -50000 cut.vmdk
	expect "vmdk: $part: cut" foreign_refuses vmdk cut.vmdk "truncated; restore"
done
expect "vmdk: marker" vmdk_changed markers/disk.vmdk $((11 * 512)) 8 3 "marker at host offset 5632"

for kind in VMFSSPARSE SESPARSE; do
	count=$((count / 4 + 1)) expect "vmdk: damaged: $kind" survives_damage vmdk \
		--parent $kind/base-flat.vmdk $kind/disk.vmdk
done

# Refused: deltas. Messages name the extent.
delta()
{
	cp "$1/disk-delta.vmdk" saved && "$here/vmdk.py" put "$1/disk-delta.vmdk" "$2" "$3" "$4" &&
		foreign_refuses vmdk "$1/disk.vmdk" "its extent disk-delta.vmdk: .*$5"
	local ret=$?
	mv saved "$1/disk-delta.vmdk"
	return $ret
}
expect "vmdk: COWD: version" delta VMFSSPARSE 4 4 2 "ESX of version 2"
expect "vmdk: COWD: no grain" delta VMFSSPARSE 16 4 0 "grains of 0 sectors"
expect "vmdk: COWD: directory" delta VMFSSPARSE 24 4 0 "directory of 0 entries"
expect "vmdk: COWD: directory outside" delta VMFSSPARSE 20 4 -1 "truncated; restore"
expect "vmdk: seSparse: version" delta SESPARSE 8 8 1 "seSparse of version 0x1 "
expect "vmdk: seSparse: flags" delta SESPARSE 40 8 1 "flags 0x1"
expect "vmdk: seSparse: grain" delta SESPARSE 24 8 16 "grains of 16 "
expect "vmdk: seSparse: journal" delta SESPARSE 536 1 1 "not closed and needs its journal"
expect "vmdk: seSparse: second header" delta SESPARSE 512 8 0 "no second header"
expect "vmdk: seSparse: second header outside" delta SESPARSE 80 8 -1 "truncated"
expect "vmdk: seSparse: directory" delta SESPARSE 136 8 0 "directory of 0 bytes"
expect "vmdk: no extent" delta SESPARSE 0 8 5 "no signature of a sparse extent"
# These are found on the walk, so the disk's own message has no name of the extent.
"$here/vmdk.py" put SESPARSE/disk-delta.vmdk $((16 * 512 + 4)) 4 0x20000000
expect "vmdk: seSparse: tag" foreign_refuses vmdk SESPARSE/disk.vmdk "0x2000000000000000 as entry 0"
"$here/vmdk.py" put SESPARSE/disk-delta.vmdk $((16 * 512 + 4)) 4 0x10000000
"$here/vmdk.py" put SESPARSE/disk-delta.vmdk $((17 * 512)) 8 0x0000000000000005
expect "vmdk: seSparse: entry" foreign_refuses vmdk SESPARSE/disk.vmdk "0x5 as an entry"
"$here/vmdk.py" put SESPARSE/disk-delta.vmdk $((17 * 512)) 8 0x3fffffffffffffff
expect "vmdk: seSparse: grain outside" foreign_refuses vmdk SESPARSE/disk.vmdk "0x3fffffffffffffff as an entry"

# Refused: descriptors.
expect "vmdk: no extents" vmdk_text "no extents" 'createType="vmfs"'
expect "vmdk: encrypted" vmdk_text "encrypted by VMware.*; decrypt" 'encryption.keySafe = "vmware:key"' 'RW 1 ZERO'
expect "vmdk: encrypted by vSphere" vmdk_text "encrypted by VMware" 'ddb.iofilters = "vmwarevmcrypt"' 'RW 1 ZERO'
expect "vmdk: version of the text" vmdk_changed $image 542 1 0x34 "descriptor of version 4"
expect "vmdk: device" vmdk_text "type fullDevice, for a device" 'createType="fullDevice"' 'RW 1 FLAT "/dev/zero" 0'
expect "vmdk: mapped device" vmdk_text "type VMFSRDM, which is a device" 'RW 1 VMFSRDM "rdm.vmdk"'
expect "vmdk: type" vmdk_text "type VSANSPARSE, which is not supported" 'RW 1 VSANSPARSE "x"'
expect "vmdk: no type" vmdk_text "without a type" 'RW 1'
expect "vmdk: no file" vmdk_text "without a file" 'RW 1 FLAT'
expect "vmdk: missing file" vmdk_text "no-such.vmdk: No such file" 'RW 1 FLAT "no-such.vmdk" 0'
expect "vmdk: negative" vmdk_text "'-1' sectors" 'RW -1 ZERO'
expect "vmdk: sectors" vmdk_text "'9223372036854775807' sectors" 'RW 9223372036854775807 ZERO'
expect "vmdk: sum" vmdk_text "too many sectors" 'RW 18014398509481982 ZERO' 'RW 18014398509481982 ZERO'
expect "vmdk: first sector" vmdk_text "at sector '1x'" 'RW 1 FLAT "text.vmdk" 1x'
expect "vmdk: short file" vmdk_text "extent text.vmdk of .* too short.*; restore" 'RW 1 FLAT "text.vmdk" 1'
expect "vmdk: itself" vmdk_text "extent text.vmdk: .*no signature|truncated" 'RW 9 SPARSE "text.vmdk"'
expect "vmdk: CID" vmdk_text "a CID of 'xyz'" CID=xyz 'RW 1 ZERO'
expect "vmdk: no hint" vmdk_text "parentCID 00000005, but no parentFileNameHint" CID=1 parentCID=5 'RW 1 ZERO'
expect "vmdk: capitals" vmdk_text "parentCID 00000005, but no parentFileNameHint" parentCID=5 'PARENTfilenamehint="x"' 'RW 1 ZERO'
expect "vmdk: nothing" vmdk_text "disk of 0 bytes" 'RW 0 ZERO'

expect "vmdk: $count damaged ones" survives_damage vmdk --module "$here/vmdk_damage.py" \
	renamed.vmdk stream.vmdk twoGbMaxExtentSparse.vmdk header/disk.vmdk sparse/disk.vmdk
