# Bochs, beside qemu-img, bximage and Bochs itself. shellcheck shell=bash


qcowctl=$QCOW_TOP/userspace/qcowctl

image()
{
	"$here/bochs.py" "$@"
}

# by_bximage MODE IN OUT: converts an image, whose mode bximage finds out
by_bximage()
{
	rm -f "$3" && bximage -q -func=convert -imgmode="$1" "$2" "$3" > bximage.log 2>&1 ||
		fail "$(tail -n 3 bximage.log)"
}

same_as_bximage()
{
	disk_of bochs "$1" ours.raw && by_bximage flat "$1" judge.raw &&
		same_content judge.raw ours.raw
}

# same_as_commit REDOLOG BASE: bximage writes the same changes into a copy of the base.
same_as_commit()
{
	disk_of bochs "$1" ours.raw "$2" && cp -p "$2" judge.raw &&
		cp "$1" judge.raw.redolog &&
		bximage -q -func=commit judge.raw judge.raw.redolog > bximage.log 2>&1 &&
		same_content judge.raw ours.raw
}

# in_bochs IMAGE MODE: boots an image, which writes to itself. Debian's Bochs waits for a
# command of its debugger first, and ends with a failure after the guest has ended it.
in_bochs()
{
	cat > bochsrc <<- END
		megs: 32
		romimage: file=/usr/share/bochs/BIOS-bochs-legacy
		vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
		ata0-master: type=disk, path="$1", mode=$2, cylinders=2, heads=16, spt=63
		boot: disk
		display_library: term
		log: bochs.log
		panic: action=fatal
	END
	echo c > debugger
	TERM=xterm timeout 300 script -qec "bochs -q -f bochsrc -rc debugger" typescript \
		< /dev/null > /dev/null 2>&1
	has "shutdown requested" bochs.log
}

# field IMAGE OFFSET BYTES VALUE
field()
{
	image field bad.img "$@"
}

# CHS of 2/16/63
bytes=$((2 * 16 * 63 * 512))
image disk disk.raw $bytes 1
by_bximage growing disk.raw growing.img
expect "bochs: growing" same_disk bochs growing.img
expect "bochs: growing: bximage" same_as_bximage growing.img
expect "bochs: growing: no faults" foreign_finds_nothing bochs growing.img
expect "bochs: growing: probed" foreign_says probe growing.img "^format.bochs$"
sample empty.bochs
expect "bochs: the sample of QEMU" same_disk bochs empty.bochs
image type first.img growing.img Growing first
expect "bochs: growing of version 1 (crafted)" same_disk bochs first.img

by_bximage sparse disk.raw sparse0
expect "bochs: sparse" same_as_bximage sparse0
expect "bochs: sparse: probed" foreign_says probe sparse0 "^format.bochs$"
expect "bochs: sparse: no faults" foreign_finds_nothing bochs sparse0
image sparse1 sparse-v1 sparse0
expect "bochs: sparse of version 1 (crafted)" disk_of bochs sparse-v1 ours.raw
expect "bochs: sparse of version 1 (crafted): disk" same_content disk.raw \
	<(head -c $bytes ours.raw)

# Bochs writes changes: sectors of one extent, the last sector, and one that is there.
image boot base.raw $bytes 5 6 7 100 2000 2015
touch -d '2024-07-05 12:34:57' base.raw
cp -p base.raw base.before
export TZ=Europe/Berlin
expect "bochs: undoable: written" in_bochs base.raw undoable
expect "bochs: undoable" same_as_commit base.raw.redolog base.raw
expect "bochs: undoable: base" foreign_says bochs base.raw.redolog $'^backing\tbase.raw$'
expect "bochs: undoable: time of the base, in local time" foreign_says bochs base.raw.redolog \
	$'\tbase-changed\t2024-07-05 '"$(date -r base.before +%H:%M:56)"
unset TZ
image type base.raw.abcdef base.raw.redolog Volatile
expect "bochs: volatile (crafted)" foreign_says bochs base.raw.abcdef $'^backing\tbase.raw$'
cp base.raw.redolog changes
expect "bochs: undoable without the name of a base" foreign_refuses bochs changes \
	"does not name; name it DISK.redolog"

# A sparse image over another one; Bochs finds it by the digit.
by_bximage sparse base.raw s0
image empty s1 s0
expect "bochs: sparse with a parent: written" in_bochs s1 sparse
expect "bochs: sparse with a parent: named" foreign_says bochs s1 $'^backing\ts0$'
by_bximage flat s1 judge.raw
disk_of bochs s1 ours.raw base.raw
expect "bochs: sparse with a parent" same_content judge.raw ours.raw

# The same by the tool, which looks for the parents
cp -p base.before base.raw
TZ=Europe/Berlin expect "bochs: tool: undoable" accepts "$qcowctl" info --chain base.raw.redolog
TZ=Asia/Tokyo run "$qcowctl" info --chain base.raw.redolog
expect "bochs: tool: a base with another time" has "was changed since it was made over" err
cp sparse0 alone1
expect "bochs: tool: sparse without the parent that it may have" accepts "$qcowctl" map alone1
expect "bochs: tool: all of it is there" is "" "$(awk 'NR > 1 && $3 != 0' out)"
expect "bochs: tool: sparse with a parent" accepts "$qcowctl" info --chain s1
expect "bochs: tool: the parent is named" has "^image: s0$" out

# Bad ones
field growing.img 64 4 0x30000
expect "bochs: another version" foreign_refuses bochs bad.img "of version 0x30000"
field growing.img 68 4 1024
expect "bochs: another header" foreign_refuses bochs bad.img "its header has 1024 bytes"
field growing.img 80 4 0x1000000
expect "bochs: large extents" foreign_refuses bochs bad.img "extents of 16777216 bytes"
field growing.img 76 4 0
expect "bochs: small bitmaps" foreign_refuses bochs bad.img "bitmaps of 0 bytes"
field growing.img 92 4 1
expect "bochs: large disk" foreign_refuses bochs bad.img "a disk of [0-9]* bytes, and"
field growing.img 48 4 0x41414141
expect "bochs: unknown type" foreign_refuses bochs bad.img "of an unknown type"
field growing.img 512 4 0x00ffffff
expect "bochs: extent past the end" foreign_refuses bochs bad.img "restore it from a copy"
head -c 600 growing.img > bad.img
expect "bochs: truncated index" foreign_refuses bochs bad.img "so it is truncated"
field sparse0 8 4 33000
expect "bochs: odd pages" foreign_refuses bochs bad.img "pages of 33000 bytes"
field sparse0 4 4 3
expect "bochs: sparse of another version" foreign_refuses bochs bad.img "of version 0x3"
field sparse0 260 4 0
expect "bochs: pages at the same place" foreign_says bochs bad.img "^fault.guest offset 65536 has"
field sparse0 264 4 0xffffffff
expect "bochs: page that is not used" foreign_says bochs bad.img "^leak.1 parts of 32768"

expect "bochs: $count damaged growing ones" survives_damage bochs growing.img first.img
expect "bochs: $count damaged other ones" survives_damage bochs --judge none sparse0 \
	base.raw.redolog
