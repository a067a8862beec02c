# VHDX, beside qemu-img, 7z and libvhdi. shellcheck shell=bash


craft()
{
	"$here/vhdx.py" "$@"
}

# crafted NAME RAW KEY=VALUE...: makes an image of the disk in base.raw, to which a log
# does something. Ours has to be as crafted.
crafted()
{
	cp base.raw crafted.raw && craft make crafted.vhdx crafted.raw seed="$seed" "${@:2}" &&
		disk_of vhdx crafted.vhdx ours.raw
	expect "vhdx: $1" same_content crafted.raw ours.raw
}

# same_replayed: QEMU's replay of crafted.vhdx gives the same.
same_replayed()
{
	"$here/vhdx_replay.sh" crafted.vhdx judge.raw && same_content judge.raw ours.raw
}

# vhdx_field IMAGE HOST_OFFSET BYTES: copies the image to bad.vhdx with other bytes, and with
# right checksums
vhdx_field()
{
	cp "$1" bad.vhdx && craft field bad.vhdx "${@:2}"
}

# refuses_field NAME MESSAGE HOST_OFFSET BYTES [IMAGE]
refuses_field()
{
	vhdx_field "${5:-plain.vhdx}" "$3" "$4"
	expect "vhdx: $1" foreign_refuses vhdx bad.vhdx "$2"
}

# QEMU writes dynamic and fixed images, with a partial last block, and blocks of all sizes.
qemu-img create -q -f vhdx -o block_size=1M some.vhdx 9728k
qemu-io -f vhdx -c 'write -q -P 1 0 64k' -c 'write -q -P 2 3M 2M' -c 'write -q -P 3 9M 512' some.vhdx
expect "vhdx: dynamic" same_disk vhdx some.vhdx
expect "vhdx: probed" foreign_says probe some.vhdx "^format.vhdx$"
expect "vhdx: no faults" foreign_finds_nothing vhdx some.vhdx
for options in subformat=fixed block_size=256M block_size=8M,log_size=3M \
	block_size=2M,block_state_zero=off; do
	qemu-img convert -O vhdx -o $options some.vhdx other.vhdx
	expect "vhdx: $options" same_disk vhdx other.vhdx
	[ $options != subformat=fixed ] ||
		expect "vhdx: fixed: type" foreign_says vhdx other.vhdx "^tell.type.fixed$"
done
rm other.vhdx

# Samples of other programs; the log of one has to be replayed.
for image in iotest-dynamic-1G test-disk2vhd; do
	sample $image.vhdx
	expect "vhdx: $image" same_sparse vhdx $image.vhdx
	expect "vhdx: $image: no faults" foreign_finds_nothing vhdx $image.vhdx
done
sample iotest-dirtylog-10G-4M.vhdx
expect "vhdx: iotest-dirtylog" same_sparse vhdx iotest-dirtylog-10G-4M.vhdx "$here/vhdx_replay.sh"
expect "vhdx: iotest-dirtylog: dirty" foreign_says vhdx iotest-dirtylog-10G-4M.vhdx '^dirty.1$'

# Logs, crafted, with data of blocks in them. QEMU replays only a part of a log that goes around
# the end of the ring, misreads entries with more than 126 changes, does not always make the file
# longer, and takes a whole entry behind a torn one for the log.
qemu-img create -q -f raw base.raw 6M
qemu-io -f raw -c 'write -q -P 1 0 64k' -c 'write -q -P 2 3M 1536k' -c 'write -q -P 3 5M 512' base.raw
crafted "no log" sector=512
expect "vhdx: no log: qemu-img" same_disk vhdx crafted.vhdx
expect "vhdx: no log: libvhdi" same_as_vhdi vhdx /dev/null crafted.vhdx
crafted "log of one entry" log=1
expect "vhdx: log of one entry: QEMU's replay" same_replayed
expect "vhdx: log of one entry: dirty" foreign_says vhdx crafted.vhdx '^dirty.1$'
expect "vhdx: log of one entry: no faults" foreign_finds_nothing vhdx crafted.vhdx
crafted "log with a wrong tail" log=3 tail=wrong most=8
expect "vhdx: log with a wrong tail: QEMU's replay" same_replayed
crafted "log that is flushed in part" log=5 flushed=2 first=3 most=8
expect "vhdx: log that is flushed in part: QEMU's replay" same_replayed
crafted "log with a torn entry" log=3 torn=1 first=100 most=8
crafted "log around the end of the ring" log=6 first=250
crafted "log of many changes" log=2 most=100
crafted "log of 300 changes" log=1 most=300
crafted "log that makes the file longer" log=3 short=1

# Sectors of 4096 bytes: more blocks to a bitmap, and QEMU does not know them. 7z does not know
# blocks in state 5.
crafted "sectors of 4096 bytes" sector=4096 empty=0123
expect "vhdx: sectors of 4096 bytes: 7z" same_as_7z crafted.vhdx
expect "vhdx: sectors of 4096 bytes: sector" foreign_says vhdx crafted.vhdx '^sector.4096$'

# Differencing disks, crafted. libvhdi takes blocks of zeros for the parent's.
cp base.raw raw
craft make base.vhdx raw seed=$((seed + 1)) empty=0123
for sector in 512 4096; do
	cp base.raw child.raw
	craft child base.vhdx child.vhdx child.raw seed="$seed" sector=$sector \
		'relative_path=.\base.vhdx' 'absolute_win32_path=\\?\C:\x\Größe 𝄞.vhdx' \
		'volume_path=\\?\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\x\base2.vhdx'
	disk_of vhdx child.vhdx ours.raw base.raw
	expect "vhdx: child, sectors of $sector" same_content child.raw ours.raw
	expect "vhdx: child, sectors of $sector: 7z" same_as_7z child.vhdx
	expect "vhdx: child, sectors of $sector: no faults" foreign_finds_nothing vhdx child.vhdx
done
expect "vhdx: child: names" is "base.vhdx|Größe 𝄞.vhdx|base2.vhdx" \
	"$("$F" vhdx child.vhdx | sed -n 's/^backing\t//p' | paste -sd'|')"
expect "vhdx: child: ids" is "$("$F" vhdx base.vhdx | sed -n 's/^id\t//p')" \
	"$("$F" vhdx child.vhdx | sed -n 's/^parent_id\t//p')"
cp base.raw raw
craft child base.vhdx simple.vhdx raw seed="$seed" states=0677 'relative_path=base.vhdx'
expect "vhdx: child without zeros: libvhdi" same_as_vhdi vhdx base.raw simple.vhdx base.vhdx
expect "vhdx: child without zeros" same_content raw ours.raw
cp child.raw grandchild.raw
craft child child.vhdx grandchild.vhdx grandchild.raw seed=$((seed + 2)) sector=4096 block=2097152 \
	'relative_path=child.vhdx' log=3
disk_of vhdx grandchild.vhdx ours.raw child.raw
expect "vhdx: grandchild with a log" same_content grandchild.raw ours.raw

# Damage, one field at a time
cp base.raw raw
craft make plain.vhdx raw seed="$seed"
cp base.raw raw
craft make dirty.vhdx raw seed="$seed" log=1

# both_headers IMAGE IN_HEADER BYTES: like vhdx_field, for both headers
both_headers()
{
	vhdx_field "$1" $((65536 + $2)) "$3" && craft field bad.vhdx $((131072 + $2)) "$3"
}

both_headers plain.vhdx 66 0200
expect "vhdx: version" foreign_refuses vhdx bad.vhdx "VHDX of version 2, which is not supported; convert"
both_headers plain.vhdx 8 0700000000000000
expect "vhdx: two headers with a number" foreign_refuses vhdx bad.vhdx "two headers with the same number"
both_headers plain.vhdx 72 00f0ffffffffffff
expect "vhdx: place of the log" foreign_refuses vhdx bad.vhdx "log of 1048576 bytes at offset 1844"
both_headers dirty.vhdx 64 0100
expect "vhdx: version of the log" foreign_refuses vhdx bad.vhdx "log of version 1, which is not supported; attach"
both_headers dirty.vhdx 72 0000000000000100
expect "vhdx: log past the end" foreign_refuses vhdx bad.vhdx "log that reaches past its end"
refuses_field "size of the file in the log" "log of a file of 281474976710656 bytes.*truncated" \
	$((0x100030)) 0000000000000100 dirty.vhdx
cp dirty.vhdx bad.vhdx
printf x | dd of=bad.vhdx bs=1 seek=$((0x100fff)) conv=notrunc status=none
expect "vhdx: torn log" foreign_refuses vhdx bad.vhdx "log without a whole entry"
cp plain.vhdx bad.vhdx
printf x | dd of=bad.vhdx bs=1 seek=65537 conv=notrunc status=none
disk_of vhdx bad.vhdx ours.raw
expect "vhdx: one header" same_content base.raw ours.raw
expect "vhdx: one header: check" foreign_says vhdx bad.vhdx '^fault.header 1 of 2 is damaged'
printf x | dd of=bad.vhdx bs=1 seek=131073 conv=notrunc status=none
expect "vhdx: no header" foreign_refuses vhdx bad.vhdx "no header of VHDX with a right checksum"
cp plain.vhdx bad.vhdx
printf x | dd of=bad.vhdx bs=1 seek=$((196608 + 9999)) conv=notrunc status=none
disk_of vhdx bad.vhdx ours.raw
expect "vhdx: one table of regions" same_content base.raw ours.raw
expect "vhdx: one table of regions: check" foreign_says vhdx bad.vhdx '^fault.table of regions 1 of 2'
printf x | dd of=bad.vhdx bs=1 seek=$((262144 + 9999)) conv=notrunc status=none
expect "vhdx: no table of regions" foreign_refuses vhdx bad.vhdx "no table of regions with a right checksum"

refuses_field "signature" "no signature of VHDX" 0 00
refuses_field "no regions" "no region for its table of blocks" 0x30008 00000000
refuses_field "many regions" "has 4096 regions" 0x30008 00100000
refuses_field "region at 0" "region of 1048576 bytes at offset 0" 0x30020 0000000000000000
refuses_field "regions in a place" "regions that overlap at offset 2097152" 0x30020 0000200000000000
refuses_field "regions over the log" "regions that overlap at offset 1048576" 0x30020 0000100000000000
refuses_field "unknown region" "region of unknown kind 2dc27700-f623-.*; convert it" 0x30010 00
refuses_field "metadata past the end" "truncated; restore it" 0x30040 0000000000100000
refuses_field "signature of the metadata" "metadata has no signature" 0x200000 00
refuses_field "number of items" "metadata has 65535 items" 0x20000a ffff
refuses_field "unknown item" "metadata of unknown kind caa16700-fa36-.*; convert it" 0x200020 00
refuses_field "place of an item" "wrong place for the parameters" 0x200030 00ffffff
refuses_field "end of an item" "wrong place for the size of the disk" 0x200054 f0ffffff
refuses_field "short item" "wrong place for the size of the disk" 0x200054 04000000
refuses_field "no item" "no item for the size of a logical sector" 0x200080 0000000000000000000000000000000000000000000000000000
refuses_field "block of 3 MiB" "blocks of 3145728 bytes" 0x210000 00003000
refuses_field "block of 512 MiB" "blocks of 536870912 bytes" 0x210000 00000020
refuses_field "disk of 0 bytes" "disk of 0 bytes" 0x210008 0000000000000000
refuses_field "disk of 65 TiB" "disk of 71468255805440 bytes" 0x210008 0000000000410000
refuses_field "disk of half a sector" "disk of 6291712 bytes" 0x210008 00016000
refuses_field "table of blocks is small" "131072 entries in its table of blocks" 0x210008 0000000000400000
refuses_field "sectors of 1024 bytes" "sectors of 1024 bytes" 0x210020 00040000
refuses_field "parent without a name" "no item for the name of the parent" 0x210004 02
refuses_field "state 4" "block 0 in state 4" 0x300000 04
refuses_field "partial without a parent" "block 0 in state 7" 0x300000 07
refuses_field "block in the log" "block in its metadata, at offset 1048576" 0x300000 0600100000000000
refuses_field "block at 0" "block in its metadata, at offset 0" 0x300000 0600000000000000
refuses_field "block past the end" "truncated; restore it" 0x300000 0600000001000000
cp base.raw raw
craft child base.vhdx child.vhdx raw seed="$seed" states=7 relative_path=base.vhdx
refuses_field "no bitmap" "no bitmap for its block 0" 0x308000 00 child.vhdx
refuses_field "bitmap in the log" "block in its metadata, at offset 1048576" 0x308000 0600100000000000 child.vhdx
refuses_field "bitmap past the end" "truncated; restore it" 0x308000 0600000001000000 child.vhdx
refuses_field "kind of the parent" "parent that is no VHDX" 0x210028 00 child.vhdx
refuses_field "no keys of the parent" "no GUID of its data" 0x21003a 0000 child.vhdx
refuses_field "key past the end" "text past the end" 0x21003c ffffffff child.vhdx
cp base.raw raw
craft child base.vhdx child.vhdx raw parent_linkage=x relative_path=base.vhdx
expect "vhdx: no GUID of the parent" foreign_refuses vhdx child.vhdx "no GUID of its data"
craft child base.vhdx child.vhdx raw
expect "vhdx: no path of the parent" foreign_refuses vhdx child.vhdx "no path for the name of the parent"
for bytes in 0 511 65536 200000 1048576 2097152 3145728; do
	head -c $bytes plain.vhdx > bad.vhdx
	expect "vhdx: cut at $bytes" foreign_refuses vhdx bad.vhdx .
done

# check
craft make plain.vhdx base.raw seed="$seed" empty=0
first=$(xxd -p -s $((0x300000)) -l 8 plain.vhdx)
vhdx_field plain.vhdx 0x300008 "$first"
expect "vhdx: two blocks in a place" foreign_says vhdx bad.vhdx '^fault.the data of block 1 is where other data is'
vhdx_field plain.vhdx 0x300000 0000000000000000
truncate -s +4M bad.vhdx
expect "vhdx: unused" foreign_says vhdx bad.vhdx '^leak.4194304 bytes|^leak.5242880 bytes'

qemu-img create -q -f raw small.raw 2M
qemu-io -f raw -c 'write -q -P 1 1M 64k' small.raw
craft make plain.vhdx small.raw seed="$seed" sector=512
expect "vhdx: $count damaged ones" survives_damage vhdx --module "$here/vhdx_damage.py" plain.vhdx
craft make dirty.vhdx small.raw seed="$seed" log=1 most=3
expect "vhdx: damaged logs" survives_damage vhdx --module "$here/vhdx_damage.py" \
	--count $((count / 3)) --judge "$here/vhdx_replay.sh IMAGE OUT" dirty.vhdx
