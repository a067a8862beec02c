# dmg, beside 7-Zip for all codecs, and qemu-img for zlib and raw. shellcheck shell=bash
#
# QEMU's sample is of macOS. Nothing on Debian writes a dmg: the others are crafted by dmg.py,
# with compressors of Python for zlib, bzip2 and xz, and with lzfse.py for LZFSE and ADC.

# dmg_of KEY=VALUE...: crafts disk.dmg of disk.raw.
dmg_of()
{
	"$here/dmg.py" disk.raw disk.dmg seed=$seed "$@"
}

# ours_is_disk: our parser reads disk.raw, and all checksums are right.
ours_is_disk()
{
	disk_of dmg disk.dmg ours.raw && same_content disk.raw ours.raw &&
		foreign_finds_nothing dmg disk.dmg
}

# crafted_as_7z [KEY=VALUE...]: 7-Zip and our parser read disk.raw of such an image.
crafted_as_7z()
{
	dmg_of "$@" && "$here/dmg_judge.sh" disk.dmg judge.raw && same_content disk.raw judge.raw &&
		ours_is_disk
}

# crafted_as_qemu [KEY=VALUE...]: the same of qemu-img
crafted_as_qemu()
{
	dmg_of "$@" && same_disk dmg disk.dmg && ours_is_disk
}

# dmg_refuses PATTERN [KEY=VALUE...]
dmg_refuses()
{
	dmg_of "${@:2}" && foreign_refuses dmg disk.dmg "$1"
}

# put_bytes FILE HOST_OFFSET BYTES
put_bytes()
{
	printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

{
	seq 1 40000
	python3 -c "import random, sys; sys.stdout.buffer.write(random.Random($seed).randbytes(53000))"
	head -c 200K /dev/zero
	seq 20000 50000
} | head -c 640K > disk.raw

expect "dmg: sample of QEMU" sample simple-dmg.dmg
expect "dmg: sample of QEMU is read" same_disk dmg simple-dmg.dmg
expect "dmg: sample of QEMU has right checksums" foreign_finds_nothing dmg simple-dmg.dmg
expect "dmg: probed" foreign_says probe simple-dmg.dmg "^format.dmg$"
expect "dmg: codec is told" foreign_says dmg simple-dmg.dmg "^tell.compression.zlib$"

for codec in zlib bzip2 fse lzvn lzfse xz xz64 adc raw; do
	expect "dmg: $codec" crafted_as_7z codec=$codec chunk=100 zero=1
done
# Stored blocks in LZFSE, of which 7-Zip does not find the end
dmg_of codec=plain chunk=100
expect "dmg: stored blocks of LZFSE" ours_is_disk
expect "dmg: all codecs in a resource fork" crafted_as_7z chunk=37 fork=1 tables=3
expect "dmg: all codecs in a property list" crafted_as_7z chunk=37 tables=3 zero=1
expect "dmg: zlib, beside qemu-img" crafted_as_qemu codec=zlib chunk=99 zero=1 tables=3
expect "dmg: raw in a resource fork, beside qemu-img" crafted_as_qemu codec=raw chunk=99 fork=1
dmg_of chunk=100 tail=511
expect "dmg: bytes behind the trailer" ours_is_disk
expect "dmg: trailer in front" crafted_as_7z front=1
# Both judges want the order that writers keep.
dmg_of chunk=37 tables=4 order=1
expect "dmg: tables in the other order" ours_is_disk

# Chunks that are too large for the driver, and a disk of them
mv disk.raw small.raw
{ cat small.raw small.raw small.raw small.raw; head -c 1M /dev/zero; } > disk.raw
expect "dmg: large chunk, zlib" crafted_as_qemu codec=zlib chunk=7000
expect "dmg: large chunk, xz" crafted_as_7z codec=xz chunk=6000
mv small.raw disk.raw

# Bad input
expect "dmg: no trailer" foreign_refuses dmg disk.raw "has no trailer of dmg; .* use --format raw"
dmg_of codec=zlib
for magic in encrcdsa:0 cdsaencr:1048568; do
	truncate -s 1M disk.dmg
	put_bytes disk.dmg "${magic#*:}" "${magic%:*}"
	expect "dmg: encrypted (${magic%:*})" foreign_refuses probe disk.dmg "is an encrypted image of macOS"
	: > disk.dmg
done
printf 'sprs\0\0\0\3' > disk.dmg
truncate -s 8K disk.dmg
expect "dmg: sparse image" foreign_refuses probe disk.dmg "is a sparse image of macOS"
expect "dmg: segments" dmg_refuses "is one of 3 segments" codec=zlib segments=3
expect "dmg: entities" dmg_refuses "property list that declares entities" codec=zlib \
	"edit=\"none\">:\"none\" [<!ENTITY a \"b\">]>"
expect "dmg: wrong XML" dmg_refuses "wrong XML in line 1: " codec=zlib 'edit=<?xml:<xml'
expect "dmg: no tables" dmg_refuses "has no run with sector 0" codec=zlib edit=blkx:blky
expect "dmg: table that is cut off" dmg_refuses "block table that is shorter than its runs" \
	codec=zlib 'edit=</data><key>ID:AAAA</data><key>ID'
expect "dmg: unknown type" dmg_refuses "has runs of type 0x80000009" codec=zlib \
	"runs=[[0x80000009] + runs[0][1:]] + runs[1:]"
expect "dmg: two runs" dmg_refuses "has two runs with sector 512" codec=zlib "runs=runs + runs[1:2]"
expect "dmg: gap" dmg_refuses "has no run with sector 512" codec=zlib "runs=runs[:1] + runs[2:]"
expect "dmg: run past the disk" dmg_refuses "past the disk's end at 1280" codec=zlib \
	"runs=runs + [[0, 1280, 1, 0, 0]]"
expect "dmg: run past all numbers" dmg_refuses "past the disk's end" codec=zlib \
	"runs=runs + [[0, 1 << 63, 1 << 63, 0, 0]]"
expect "dmg: raw run that is short" dmg_refuses "has a run of 512 sectors at sector 0 with 262143" \
	codec=raw "runs=[runs[0][:4] + [262143]] + runs[1:]"
expect "dmg: chunk that is too large" dmg_refuses "with 67108865 bytes" codec=zlib \
	"runs=[runs[0][:4] + [67108865]] + runs[1:]"
expect "dmg: data past the end" dmg_refuses "past the end of a file" codec=raw \
	"runs=[runs[0][:3] + [1 << 40, 262144]] + runs[1:]"
for codec in bzip2 lzfse xz64; do
	dmg_of codec=$codec
	# The first bytes of the first chunk
	put_bytes disk.dmg 5 '\377\376\375\374'
	expect "dmg: damaged chunk, $codec" foreign_refuses dmg disk.dmg "cannot be decompressed to 262144"
done
dmg_of codec=zlib
put_bytes disk.dmg 100 '\377\376\375'
expect "dmg: check finds a damaged chunk" foreign_says dmg disk.dmg "^fault.*cannot be decompressed"
expect "dmg: check finds wrong stored data" foreign_says dmg disk.dmg "^fault.the stored data has"
dmg_of codec=raw "runs=runs[:-1] + [runs[-1][:3] + [runs[-1][3] + 1000, runs[-1][4]]]"
expect "dmg: check finds data in the tables" foreign_says dmg disk.dmg \
	"^fault.the run of sector 1024 is not in the data fork"
dmg_of codec=raw
put_bytes disk.dmg 100 '\377\376\375'
expect "dmg: check finds wrong data" foreign_says dmg disk.dmg "^fault.the data of block table 0 has"
dmg_of codec=zlib
put_bytes disk.dmg "$(($(stat -c %s disk.dmg) - 512 + 360))" '\1\2'
expect "dmg: check finds a wrong trailer" foreign_says dmg disk.dmg "^fault.the checksums of all"
dmg_of codec=zlib
truncate -s -1 disk.dmg
expect "dmg: cut off" foreign_refuses dmg disk.dmg "has no trailer of dmg"

# The tool: chunks of zeros count, and a check keeps no data
qcowctl=$QCOW_TOP/userspace/qcowctl
truncate -s 2M zeros.raw
"$here/dmg.py" zeros.raw zeros.dmg codec=bzip2
expect "dmg: zeros are more than may be decompressed" refuses \
	"has more than 1048576 bytes .* beforehand, .* allow more with --expand-max" \
	"$qcowctl" map --expand-max 1M -f dmg zeros.dmg
expect "dmg: zeros are as much as may be decompressed" accepts \
	"$qcowctl" map --expand-max 2M -f dmg zeros.dmg
dmg_of codec=bzip2
expect "dmg: a check needs no room" env TMPDIR=nowhere "$qcowctl" check -f dmg disk.dmg
put_bytes disk.dmg 5 '\377\376\375\374'
run "$qcowctl" check -f dmg disk.dmg
expect "dmg: a check goes on after a damaged chunk" has "cannot be decompressed to 262144" err

head -c 40K disk.raw > some.raw
"$here/dmg.py" some.raw damaged.dmg codec=zlib chunk=20 fork=1 zero=1
expect "dmg: survives damage" survives_damage dmg damaged.dmg
"$here/dmg.py" some.raw damaged.dmg codec=mixed chunk=8 seed=$seed crc=0 fork=1
expect "dmg: all codecs survive damage" survives_damage dmg \
	--judge "$here/dmg_judge.sh IMAGE OUT" damaged.dmg
