# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Devices with logical sectors of other sizes than 512 bytes.

# partitions NUMBER: of $dev
partitions() {
	local found

	found=$(find "/sys/block/${dev#/dev/}/" -maxdepth 1 -name "${dev#/dev/}p*" | wc -l)
	is "$1" "$found"
}

# silent_attach ARGUMENTS...: there is nothing to say of it.
silent_attach() {
	attach "$@" 2> err
	[ ! -s err ] || fail "attach $* says $(cat err)"
}

# telling_attach PATTERN ARGUMENTS...
telling_attach() {
	attach "${@:2}" 2> err
	[[ $(cat err) =~ $1 ]] || fail "attach ${*:2} does not say '$1', but $(cat err)"
	is 1 "$(wc -l < err)"
}

make_sector_partitions() {
	local size

	for size in 512 1024 2048 4096; do
		/usr/bin/python3 -B "$cases_here/../gpt.py" $size.raw $size
	done
	qemu-img convert -f raw -O qcow2 4096.raw native.qcow2
	qemu-img convert -f raw -O qcow2 -o cluster_size=512 4096.raw small.qcow2
	qemu-img convert -f raw -O qcow 4096.raw one.qcow
}

# used_as_disk ARGUMENTS...: a filesystem in the partition of an image with sectors of
# 4096 bytes
used_as_disk() {
	silent_attach --sector-size 4096 "$@"
	partitions 1
	[ -b "${dev}p1" ] || fail "${dev}p1 is not there"
	mkfs.ext4 -q -b 4096 "${dev}p1"
	mkdir -p mnt
	mount -o discard "${dev}p1" mnt
	dd if=/dev/urandom of=mnt/file bs=1k count=1200 status=none conv=fsync
	cp mnt/file copy
	dd if=copy of=mnt/file bs=1000 conv=notrunc,fsync status=none
	umount mnt
	mount -o ro "${dev}p1" mnt
	same_content copy mnt/file
	umount mnt
	# The block layer keeps smaller pieces from the device.
	exits 1 'Invalid argument' dd if="$dev" of=/dev/null bs=512 count=1 iflag=direct
	exits 1 'Invalid argument' dd if=/dev/zero of="$dev" bs=512 seek=1 count=1 oflag=direct
	detach
}

# A partition table shows with its sectors, and without them there is a word of it.
case_sector_partitions() {
	local size queue

	for size in 512 1024 2048 4096; do
		silent_attach -f raw --sector-size $size $size.raw
		partitions 1
		is "$size" "$(blockdev --getss "$dev")"
		is "$size" "$(qcowctl list -n -O log-sec "$dev" | tr -d ' ')"
		is "$size" "$(qcowctl list -J -O log-sec "$dev" | jq '.qcowdevices[]."log-sec"')"
		grep -q "sector size: $size\$" <(qcowctl info "$dev") || fail "info"
		is $((6 << 20)) "$(blockdev --getsize64 "${dev}p1")"
		queue=/sys/block/${dev#/dev/}/queue
		[ "$(cat "$queue/physical_block_size")" -ge $size ] || fail "physical block"
		[ "$(cat "$queue/minimum_io_size")" -ge $size ] || fail "minimum I/O"
		[ "$(cat "$queue/discard_granularity")" -ge $size ] || fail "discards"
		detach
		[ $size = 512 ] || {
			telling_attach "--sector-size $size\$" -f raw $size.raw
			partitions 0
			detach
		}
	done
	telling_attach "sectors of 512 bytes.*--sector-size 512\$" -f raw --sector-size 4096 512.raw
	detach
	telling_attach "no partitions; .*--sector-size 4096\$" native.qcow2
	partitions 0
	detach
	silent_attach --untrusted native.qcow2
	detach
	silent_attach -f raw 512.raw
	partitions 1
	detach
	used_as_disk native.qcow2
	used_as_disk one.qcow
	used_as_disk -f raw 4096.raw
	# Discards of single sectors reach clusters that are smaller.
	silent_attach --sector-size 4096 small.qcow2
	operate "$dev" 'write 4m 64k 7' 'flush'
	blkdiscard -o $(((4 << 20) + 4096)) -l 8192 "$dev"
	operate "$dev" 'read 4m 4k 7' 'read 4100k 8k 0' 'read 4108k 52k 7'
	detach
}

make_sector_window() {
	create image 4M
	fill image.qcow2 'write -P 1 0 4M' 'write -P 2 1M 4k'
	truncate -s $(((3 << 20) + 1000)) tail.raw
	truncate -s 3584 tiny.raw
	create odd 1000000
}

# Chosen sizes have to be multiples of a sector; an image's own size is rounded down, with
# a message.
case_sector_window() {
	silent_attach --sector-size 4096 --offset 1M --size-limit 8k image.qcow2
	is 8192 "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'read 0 4k 2' 'read 4k 4k 1' 'write 4k 4k 3' 'flush'
	detach
	refuses 'multiples of 4096' qcowctl attach --sector-size 4096 --offset 512 image.qcow2
	refuses 'multiples of 2048' qcowctl attach --sector-size 2048 --size-limit 9k image.qcow2
	refuses 'no whole sector of 4096' qcowctl attach -f raw --sector-size 4096 tiny.raw
	telling_attach 'last 512 bytes are not shown' -f raw --sector-size 1024 tiny.raw
	is 3072 "$(blockdev --getsize64 "$dev")"
	detach
	telling_attach 'last 1024 bytes are not shown' -f raw --sector-size 4096 tail.raw
	is $((3 << 20)) "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'write 3068k 4k 9' 'flush' 'read 3068k 4k 9'
	detach
	is $(((3 << 20) + 1000)) "$(stat -c %s tail.raw)"
	silent_attach -f raw tail.raw
	is $(((3 << 20) + 1024)) "$(blockdev --getsize64 "$dev")"
	detach
	telling_attach 'last 1024 bytes are not shown' --sector-size 4096 odd.qcow2
	operate "$dev" 'write 0 64k 5' 'flush'
	detach
	telling_attach 'last 1024 bytes are not shown' --sector-size 4096 --offset 4096 odd.qcow2
	is 995328 "$(blockdev --getsize64 "$dev")"
	detach
}

make_sector_changes() {
	create image 4M -o compat=1.1
	fill image.qcow2 'write -P 1 0 4M'
	qemu-img snapshot -c four image.qcow2
	qemu-img resize -q image.qcow2 $(((5 << 20) + 512))
	qemu-img snapshot -c odd image.qcow2
	create tiny 512
	qemu-img snapshot -c tiny tiny.qcow2
	qemu-img resize -q tiny.qcow2 1M
	truncate -s 4M disk.raw
	create base 4M
	fill base.qcow2 'write -P 1 0 4M'
	create top 6M -b base.qcow2 -F qcow2
	create over 4M -b base.qcow2 -F qcow2
}

# Sizes change: by resize, by a snapshot, by a file that grew.
case_sector_changes() {
	telling_attach 'last 512 bytes' --sector-size 4096 image.qcow2
	qcowctl snapshot apply "$dev" four
	is $((4 << 20)) "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'write 0 4k 2' 'flush'
	qcowctl snapshot apply "$dev" odd
	is $((5 << 20)) "$(blockdev --getsize64 "$dev")"
	is 4096 "$(blockdev --getss "$dev")"
	operate "$dev" 'read 0 4m 1' 'read 4m 1m 0'
	refuses 'multiple of 4096' qcowctl resize "$dev" $(((6 << 20) + 512))
	is $((5 << 20)) "$(blockdev --getsize64 "$dev")"
	qcowctl resize "$dev" +4k
	is $(((5 << 20) + 4096)) "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'write 5m 4k 4' 'flush' 'read 5m 4k 4'
	qcowctl resize --force "$dev" 4M
	is $((4 << 20)) "$(blockdev --getsize64 "$dev")"
	detach
	silent_attach --sector-size 4096 tiny.qcow2
	refuses 'ends before' qcowctl snapshot apply "$dev" tiny
	is $((1 << 20)) "$(blockdev --getsize64 "$dev")"
	detach
	refuses 'no whole sector' qcowctl attach --sector-size 1024 --snapshot tiny tiny.qcow2
	silent_attach --snapshot tiny tiny.qcow2
	is 512 "$(blockdev --getsize64 "$dev")"
	detach
	silent_attach -f raw --sector-size 4096 disk.raw
	truncate -s $(((4 << 20) + 8192 + 512)) disk.raw
	qcowctl resize "$dev" max
	is $(((4 << 20) + 8192)) "$(blockdev --getsize64 "$dev")"
	is $(((4 << 20) + 8192 + 512)) "$(stat -c %s disk.raw)"
	operate "$dev" 'write 4100k 4k 6' 'flush' 'read 4100k 4k 6'
	detach
	silent_attach --sector-size 4096 top.qcow2
	operate "$dev" 'write 0 12k 5' 'write 5m 4k 6' 'flush'
	qcowctl stream "$dev"
	operate "$dev" 'read 0 12k 5' 'read 12k 4000k 1' 'read 5m 4k 6' 'read 5124k 1020k 0'
	detach
	silent_attach --sector-size 4096 over.qcow2
	operate "$dev" 'write 64k 4k 7' 'flush'
	qcowctl commit "$dev"
	operate "$dev" 'read 0 64k 1' 'read 64k 4k 7' 'read 68k 1m 1'
	detach
}

after_sector_changes() {
	check ./*.qcow2
	holds qcow2 base.qcow2 'read -P 7 64k 4k' 'read -P 1 68k 3M'
	holds qcow2 top.qcow2 'read -P 5 0 12k' 'read -P 6 5M 4k'
}
