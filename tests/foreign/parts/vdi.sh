# VDI, beside qemu-img. shellcheck shell=bash

# put IMAGE HOST_OFFSET BYTES NUMBER...: a copy changed.vdi with other numbers, little-endian
vdi_changed()
{
	cp "$1" changed.vdi && "$here/put.py" changed.vdi "${@:2}"
}

# vdi_refuses PATTERN IMAGE NUMBERS...
vdi_refuses()
{
	vdi_changed "${@:2}" && foreign_refuses vdi changed.vdi "$1"
}

# vdi_finds PATTERN IMAGE NUMBERS...: a check of a changed copy does.
vdi_finds()
{
	vdi_changed "${@:2}" && foreign_says vdi changed.vdi "$1"
}

# Blocks of 1 MiB: written, zero, none, and a disk that is no multiple of one.
qemu-img create -q -f vdi some.vdi 9728k
qemu-io -f vdi -c 'write -q -P 1 0 64k' -c 'write -q -P 2 3M 2M' -c 'write -q -P 3 8M 512' some.vdi
expect "vdi: some blocks" same_disk vdi some.vdi
qemu-img convert -O vdi -o static=on some.vdi fixed.vdi
expect "vdi: fixed" same_disk vdi fixed.vdi
expect "vdi: probed" foreign_says probe some.vdi "^format.vdi$"
for image in some fixed; do
	expect "vdi: check: $image" foreign_finds_nothing vdi $image.vdi
done
expect "vdi: zeros" vdi_changed some.vdi 512 4 0xfffffffe
expect "vdi: zeros: as qemu-img" same_disk vdi changed.vdi

# Crafted, for QEMU makes none: a differencing image, whose parent has blocks that it has not.
"$F" vdi some.vdi > parent.txt
uuid=$(sed -n 's/^id.//p' parent.txt)
cp some.vdi child.vdi
"$here/put.py" child.vdi 76 4 4 524 4 0 528 4 0xfffffffe 532 4 1 544 4 0xffffffff \
	392 8 0x1122334455667788 --copy some.vdi 392 424 16
tr '\0' '\7' < /dev/zero | head -c 9728k > below.raw
"$F" vdi child.vdi > child.txt
disk_of vdi child.vdi ours.raw below.raw
# Patterns: the child's blocks 0, 3 and 5 begin with 1, 1 and 2; its block 4 is zeros.
{
	head -c 64k /dev/zero | tr '\0' '\1'
	head -c 960k /dev/zero
	head -c 2M /dev/zero | tr '\0' '\7'
	head -c 64k /dev/zero | tr '\0' '\1'
	head -c 960k /dev/zero
	head -c 1M /dev/zero
	head -c 1M /dev/zero | tr '\0' '\2'
	head -c 3584k /dev/zero | tr '\0' '\7'
} > judge.raw
expect "vdi: crafted: child" same_content judge.raw ours.raw
expect "vdi: child: id of its parent" is "$uuid" "$(sed -n 's/^parent_id.//p' child.txt)"
expect "vdi: child: looks for its parent" is "*.vdi" "$(sed -n 's/^backing.//p' child.txt)"
expect "vdi: child: of any type" vdi_finds "^parent.1" child.vdi 76 4 1

expect "vdi: fact: type" foreign_says vdi fixed.vdi "^tell.type.fixed$"
expect "vdi: fact: uuid" foreign_says vdi some.vdi "^tell.uuid.$uuid$"

# Found by a check
expect "vdi: check: shared" vdi_finds "^fault.*guest offset 3145728 shares .* other data" some.vdi 524 4 0
expect "vdi: check: count" vdi_finds "^fault.*counts 9 blocks of data, and the map has 4" some.vdi 388 4 9
expect "vdi: check: leak" vdi_finds "^leak.1 blocks of the file have no use" some.vdi 524 4 0xffffffff
expect "vdi: check: in the map" vdi_finds "^fault.*overlap" some.vdi 344 4 512

# Refused
cp fixed.vdi cut.vdi
truncate -s 1M cut.vdi
expect "vdi: truncated" foreign_refuses vdi cut.vdi "so it is truncated; restore it from a copy"
truncate -s 300 cut.vdi
expect "vdi: truncated header" foreign_refuses vdi cut.vdi "so it is truncated; restore it from a copy"
expect "vdi: no signature" vdi_refuses "no signature" some.vdi 64 4 1
expect "vdi: another version" vdi_refuses "VDI of version 2.1.*; convert" some.vdi 70 2 2
expect "vdi: first version" vdi_refuses "VDI of version 0.1.*; convert" some.vdi 68 4 1
expect "vdi: undo" vdi_refuses "undo image.*; merge" some.vdi 76 4 3
expect "vdi: type" vdi_refuses "type 9" some.vdi 76 4 9
expect "vdi: no parent" vdi_refuses "without the UUID of a parent" some.vdi 76 4 4
expect "vdi: block" vdi_refuses "blocks of 3000000 bytes" some.vdi 376 4 3000000
expect "vdi: no block" vdi_refuses "blocks of 0 bytes" some.vdi 376 4 0
expect "vdi: offset" vdi_refuses "not aligned" some.vdi 344 4 513
expect "vdi: blocks" vdi_refuses "9 blocks for a disk" some.vdi 384 4 9
expect "vdi: no disk" vdi_refuses "disk of 0 bytes" some.vdi 368 8 0
expect "vdi: large disk" vdi_refuses "disk of" some.vdi 368 8 -1
expect "vdi: map outside" vdi_refuses "truncated" some.vdi 340 4 0x40000000
expect "vdi: block outside" vdi_refuses "past the end of a file" some.vdi 512 4 0xfffffffd

expect "vdi: $count damaged ones" survives_damage vdi some.vdi
expect "vdi: damaged children" survives_damage vdi --judge none child.vdi
