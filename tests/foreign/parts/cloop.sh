# cloop, beside qemu-img and the content that it was made of. shellcheck shell=bash
#
# create_compressed_fs writes version 2.0. Nothing on Debian writes or reads version 4.0, 1.0,
# or the images of FreeBSD: these are crafted by cloop.py, and compared with their content.


# cloop_of KEY=VALUE...: crafts disk.cloop of disk.raw.
cloop_of()
{
	"$here/cloop.py" disk.raw disk.cloop "$@"
}

# crafted_disk FILE: disk.cloop has the content of a raw file of whole blocks.
crafted_disk()
{
	disk_of cloop disk.cloop ours.raw && same_content "$1" ours.raw &&
		foreign_finds_nothing cloop disk.cloop
}

{
	seq 1 40000
	python3 -c "import random, sys; sys.stdout.buffer.write(random.Random($seed).randbytes(102400))"
	head -c 200K /dev/zero
	seq 20000 50000
} | head -c 640K > disk.raw

create_compressed_fs -q -B 32K disk.raw written.cloop > /dev/null 2>&1
expect "cloop: written by create_compressed_fs" same_disk cloop written.cloop
expect "cloop: probed" foreign_says probe written.cloop "^format.cloop$"
expect "cloop: check" foreign_finds_nothing cloop written.cloop
extract_compressed_fs written.cloop extracted.raw > /dev/null 2>&1
expect "cloop: extract_compressed_fs reads the same" same_content extracted.raw ours.raw
expect "cloop: sample of QEMU" sample simple-pattern.cloop
expect "cloop: sample of QEMU is read" same_disk cloop simple-pattern.cloop
# Blocks from 512 bytes to some that the driver does not decompress
for block in 512 4194304; do
	cloop_of block=$block
	expect "cloop: blocks of $block bytes" same_disk cloop disk.cloop
done

# Crafted
cp disk.raw want.raw
for codec in zlib none xz lz4 lzo; do
	cloop_of version=4 codec=$codec
	expect "cloop: version 4.0, $codec" crafted_disk want.raw
	cloop_of version=4 codec=$codec last=1 block=4194304
	truncate -s 4M want.raw
	expect "cloop: version 4.0, large blocks, $codec" crafted_disk want.raw
	truncate -s 640K want.raw
done
# Kernels decompress xz with CRC32 and without other filters: the rest is done at the attach.
for codec in xz-sha256 xz-x86; do
	cloop_of version=4 codec=$codec
	expect "cloop: version 4.0, $codec" crafted_disk want.raw
	expect "cloop: version 4.0, $codec: at the attach" is "" \
		"$("$F" cloop disk.cloop | awk -F '\t' '$1 == "entry" && $3 == 3')"
done
cloop_of version=4 codec=mixed last=1
expect "cloop: version 4.0, header last, is probed" foreign_says probe disk.cloop "^format.cloop$"
cloop_of version=4 codec=none block=71680 short=1
truncate -s 716800 want.raw
expect "cloop: version 4.0, a stored block that is short" crafted_disk want.raw
truncate -s 640K want.raw
cloop_of version=1
expect "cloop: version 1.0" crafted_disk want.raw
cloop_of zero=1 text=$'#!/bin/sh\n#V2.0 Format\n(kldstat -m g_uzip||kldload geom_uzip)>&-&&mount_cd9660 $1\n'
expect "cloop: FreeBSD's, with zeros in no bytes" crafted_disk want.raw
expect "cloop: FreeBSD's is not probed" foreign_refuses probe disk.cloop "no such format"

# Bad input
cloop_of text=$'#!/bin/sh\n#L3.0\n'
expect "cloop: another version" foreign_refuses cloop disk.cloop "of version 'L3.0', and not of V1.0"
expect "cloop: no cloop" foreign_refuses cloop disk.raw "has no header of cloop"
head -c 100 written.cloop > disk.cloop
expect "cloop: header cut off" foreign_refuses cloop disk.cloop "is truncated; restore it from a copy"
head -c 200 written.cloop > disk.cloop
expect "cloop: index cut off" foreign_refuses cloop disk.cloop "has 20 blocks, but it ends at byte 200"
head -c 100K written.cloop > disk.cloop
expect "cloop: blocks cut off" foreign_refuses cloop disk.cloop "past the end of a file.* is truncated"
cloop_of block=1000
expect "cloop: odd blocks" foreign_refuses cloop disk.cloop "its header has blocks of 1000 bytes"
cloop_of version=4 "index=[5 << 60 | index[0]] + index[1:]"
expect "cloop: unknown compression" foreign_refuses cloop disk.cloop "blocks of compression 5"
cloop_of "index=[index[1], index[0]] + index[2:]"
expect "cloop: block that ends before its start" foreign_refuses cloop disk.cloop "has block 0 from offset"
cloop_of version=4 codec=none "index=index[:1] + [index[1] + 1] + index[2:]"
expect "cloop: stored block that is too long" foreign_refuses cloop disk.cloop "has block 0 of 65536 bytes stored in 65537"
cloop_of "index=[130] + index[1:]"
expect "cloop: block in the header" foreign_says cloop disk.cloop "^fault.block 0 is in the header"
expect "cloop: check decompresses" foreign_says cloop disk.cloop "^fault.*cannot be decompressed to 65536"
cloop_of block=4194304
printf '\377' | dd of=disk.cloop bs=1 seek=2000 conv=notrunc status=none
expect "cloop: damaged large block" foreign_refuses cloop disk.cloop "cannot be decompressed to 4194304"

head -c 100K disk.raw > some.raw
"$here/cloop.py" some.raw small.cloop block=8192
expect "cloop: survives damage" survives_damage cloop small.cloop
"$here/cloop.py" some.raw small.cloop version=4 codec=mixed block=8192 last=1
expect "cloop: version 4.0 survives damage" survives_damage cloop --judge none small.cloop
