# VHD, beside qemu-img, libvhdi and 7z. shellcheck shell=bash


vhd()
{
	"$here/vhd.py" "$@"
}

# vpc_field IMAGE HOST_OFFSET BYTES: copies the image to bad.vhd with other bytes, and with
# right checksums
vpc_field()
{
	cp "$1" bad.vhd && vhd field bad.vhd "${@:2}"
}

# QEMU writes dynamic disks, with the size by the geometry or in the footer, and fixed ones.
qemu-img create -q -f vpc some.vhd 9728k
qemu-io -f vpc -c 'write -q -P 1 0 64k' -c 'write -q -P 2 3M 2M' -c 'write -q -P 3 8M 512' some.vhd
expect "vpc: dynamic" same_disk vpc some.vhd
expect "vpc: size by the geometry" foreign_says vpc some.vhd "size-from.geometry"
expect "vpc: probed" foreign_says probe some.vhd "^format.vpc$"
expect "vpc: no faults" foreign_finds_nothing vpc some.vhd
qemu-img convert -O vpc -o force_size=on some.vhd force.vhd
expect "vpc: force_size" same_disk vpc force.vhd
expect "vpc: size in the footer" foreign_says vpc force.vhd "size-from.footer"
# same_size CREATOR: qemu-img has the same size for a disk whose geometry is smaller.
same_size()
{
	"$here/vhd.py" field creator.vhd -484 "$1" && "$here/vhd.py" field creator.vhd 28 "$1" &&
		foreign_says vpc creator.vhd \
			"^size.$(qemu-img info -f vpc --output=json creator.vhd | jq '."virtual-size"')\$"
}

cp force.vhd creator.vhd
"$here/vhd.py" field creator.vhd -456 00640411
"$here/vhd.py" field creator.vhd 56 00640411
# "vpc ", "vs  ", "qemu", "qem2", "win ", "d2v ", "CTXS", "tap", and none
for creator in 76706320 76732020 71656d75 71656d32 77696e20 64327620 43545853 74617000 00000000; do
	expect "vpc: size by the creator $creator" same_size $creator
done
# Disk2vhd ends its name with a NUL, which QEMU does not expect, and older QEMU knows no Azure.
for creator in 64327600 77610000; do
	"$here/vhd.py" field creator.vhd -484 $creator
	"$here/vhd.py" field creator.vhd 28 $creator
	expect "vpc: size by the creator $creator" foreign_says vpc creator.vhd "size-from.footer"
done
expect "vpc: 7z" same_as_7z force.vhd
expect "vpc: libvhdi" same_as_vhdi vpc /dev/null force.vhd
qemu-img convert -O vpc -o subformat=fixed,force_size=on some.vhd fixed.vhd
expect "vpc: fixed" same_disk vpc fixed.vhd
expect "vpc: fixed: libvhdi" same_as_vhdi vpc /dev/null fixed.vhd
expect "vpc: fixed: not probed" foreign_refuses probe fixed.vhd "no such format"

# A fixed disk whose guest wrote a dynamic one into it
head -c 1M some.vhd > trap.raw
qemu-img convert -f raw -O vpc -o subformat=fixed,force_size=on trap.raw trap.vhd
expect "vpc: dynamic in fixed: not probed" foreign_refuses probe trap.vhd "no such format"
disk_of vpc trap.vhd ours.raw
expect "vpc: dynamic in fixed" same_content trap.raw ours.raw

# Footers: lost, one byte short, damaged, and one that differs from its copy
truncate -s -512 some.vhd
expect "vpc: footer lost" same_disk vpc some.vhd
expect "vpc: footer lost: check" foreign_says vpc some.vhd '^fault.the footer at the end is lost'
cp force.vhd bad.vhd
printf x | dd of=bad.vhd bs=1 seek=3 conv=notrunc status=none
disk_of vpc force.vhd judge.raw && disk_of vpc bad.vhd ours.raw
expect "vpc: copy damaged" same_content judge.raw ours.raw
expect "vpc: copy damaged: check" foreign_says vpc bad.vhd '^fault.the copy of the footer'
truncate -s -5 bad.vhd
expect "vpc: both damaged" foreign_refuses vpc bad.vhd "no footer of VHD"
for image in fixed force; do
	disk_of vpc $image.vhd judge.raw
	vhd footer511 $image.vhd
	disk_of vpc $image.vhd ours.raw
	expect "vpc: $image: footer of 511 bytes" same_content judge.raw ours.raw
done
expect "vpc: fixed: footer of 511 bytes: not probed" foreign_refuses probe fixed.vhd "no such format"
qemu-img create -q -f vpc plain.vhd 4M
printf x | dd of=plain.vhd bs=1 seek=$(($(stat -c %s plain.vhd) - 512 + 85)) conv=notrunc status=none
expect "vpc: wrong checksum of the footer" foreign_says vpc plain.vhd "footer at the end is lost"
printf x | dd of=plain.vhd bs=1 seek=85 conv=notrunc status=none
expect "vpc: wrong checksum of both" foreign_refuses vpc plain.vhd "footer with a wrong checksum"
qemu-img create -q -f vpc plain.vhd 4M
vpc_field plain.vhd -464 0000000000100000
expect "vpc: two footers" foreign_refuses vpc bad.vhd "footer that differs from its copy"

# Samples of other programs
for image in virtualpc-dynamic hyperv2012r2-dynamic d2v-zerofilled; do
	sample $image.vhd
	expect "vpc: $image" same_sparse vpc $image.vhd
	expect "vpc: $image: no faults" foreign_finds_nothing vpc $image.vhd
done

# Differencing disks, crafted: blocks of several sizes, two levels. libvhdi misreads runs that end
# inside a byte of a bitmap, so it gets an image without them.
qemu-img create -q -f vpc -o force_size=on base.vhd 6M
qemu-io -f vpc -c 'write -q -P 7 1M 3M' base.vhd
qemu-img convert -O raw base.vhd base.raw
cp base.raw child.raw
vhd child base.vhd child.vhd child.raw seed="$seed" 'relative=.\base.vhd' \
	'absolute=C:\x\Größe 𝄞.vhd' 'url=file://localhost/x/a%20b.vhd' name=base.vhd
disk_of vpc child.vhd ours.raw base.raw
expect "vpc: differencing" same_content child.raw ours.raw
expect "vpc: differencing: 7z" same_as_7z child.vhd
expect "vpc: differencing: no faults" foreign_finds_nothing vpc child.vhd
expect "vpc: differencing: names" is "base.vhd|Größe 𝄞.vhd|/x/a b.vhd|a b.vhd" \
	"$("$F" vpc child.vhd | sed -n 's/^backing\t//p' | paste -sd'|')"
expect "vpc: differencing: ids" is "$("$F" vpc base.vhd | sed -n 's/^id\t//p')" \
	"$("$F" vpc child.vhd | sed -n 's/^parent_id\t//p')"
cp child.raw grandchild.raw
vhd child child.vhd grandchild.vhd grandchild.raw seed="$seed" block=65536 name=child.vhd
disk_of vpc grandchild.vhd ours.raw child.raw
expect "vpc: chain of three" same_content grandchild.raw ours.raw
expect "vpc: chain of three: 7z" same_as_7z grandchild.vhd
cp base.raw raw
vhd child base.vhd aligned.vhd raw seed="$seed" align=8 'absolute=\\server\x\base.vhd'
expect "vpc: runs of bytes: libvhdi" same_as_vhdi vpc base.raw aligned.vhd base.vhd
expect "vpc: runs of bytes" same_content raw ours.raw
expect "vpc: a parent on a server" foreign_says vpc aligned.vhd '^backing.base.vhd$'
cp base.raw raw
vhd child base.vhd tiny.vhd raw seed="$seed" block=512 'relative=..\dir\base.vhd'
disk_of vpc tiny.vhd ours.raw base.raw
expect "vpc: blocks of a sector" same_content raw ours.raw
expect "vpc: blocks of a sector: names" is "../dir/base.vhd|base.vhd" \
	"$("$F" vpc tiny.vhd | sed -n 's/^backing\t//p' | paste -sd'|')"
cp base.raw raw
vhd child base.vhd nameless.vhd raw
expect "vpc: no name of the parent" foreign_refuses vpc nameless.vhd "no name of its parent"

# Damage, one field at a time
# refuses_field NAME MESSAGE HOST_OFFSET BYTES [IMAGE]
refuses_field()
{
	vpc_field "${5:-plain.vhd}" "$3" "$4"
	expect "vpc: $1" foreign_refuses vpc bad.vhd "$2"
}

truncate -s -512 plain.vhd
refuses_field "type" "type 6, which is not supported; convert it" 60 00000006
refuses_field "version of the footer" "VHD of version 2" 12 00020000
refuses_field "size 0" "disk of 0 bytes" 56 00000000
truncate -s -511 force.vhd
vpc_field force.vhd 48 0100000000000000
expect "vpc: size" foreign_refuses vpc bad.vhd "more than VHD can have"
refuses_field "place of the header" "truncated; restore it" 16 00ffffffffffff00
refuses_field "all ones for a header" "truncated; restore it" 16 ffffffffffffffff
refuses_field "no header" "header of a dynamic disk that is none" 512 00
refuses_field "version of the header" "header of version 3" 536 00030000
refuses_field "block of 3 sectors" "blocks of 1536 bytes" 544 00000600
refuses_field "no block" "blocks of 0 bytes" 544 00000000
refuses_field "few blocks" "1 blocks for a disk" 540 00000001
refuses_field "place of the table" "table of blocks at offset 18446744073709551615" 528 ffffffffffffffff
refuses_field "block past the end" "so it is truncated; restore it" 1536 00010000
refuses_field "long name" "name of its parent of 65536 bytes" 1096 00010000 child.vhd
vpc_field child.vhd 1104 7fffffff00000000
expect "vpc: name past the end" foreign_refuses vpc bad.vhd "truncated"
cp plain.vhd bad.vhd
printf x | dd of=bad.vhd bs=1 seek=1100 conv=notrunc status=none
expect "vpc: wrong checksum of the header" foreign_refuses vpc bad.vhd "header has a wrong checksum"
for bytes in 0 100 511 512 1535 1540; do
	head -c $bytes plain.vhd > bad.vhd
	expect "vpc: cut at $bytes" foreign_refuses vpc bad.vhd .
done

# check
qemu-io -f vpc -c 'write -q 0 4M' plain.vhd
vpc_field plain.vhd 1540 "$(xxd -p -s 1536 -l 4 plain.vhd)"
expect "vpc: two blocks in a place" foreign_says vpc bad.vhd '^fault.blocks 0 and 1 overlap'
expect "vpc: a block is unused" foreign_says vpc bad.vhd '^leak.20976[0-9]* bytes belong'
vpc_field plain.vhd 1540 00000002
expect "vpc: block in the table" foreign_says vpc bad.vhd '^fault.block 1 is in the headers'

# Damage
qemu-img create -q -f vpc -o force_size=on seed.vhd 5M
qemu-io -f vpc -c 'write -q -P 1 1k 2k' -c 'write -q -P 2 4M 1k' seed.vhd
expect "vpc: $count damaged ones" survives_damage vpc --module "$here/vhd_damage.py" seed.vhd
expect "vpc: damaged children" survives_damage vpc --count $((count / 3)) --judge none \
	--module "$here/vhd_damage.py" aligned.vhd
