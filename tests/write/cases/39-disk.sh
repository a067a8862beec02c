# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Images on disks without a filesystem: their data is transferred by bios.

ram=/dev/ram0

# ram_disk: $ram, of 16 MiB, which never splits a bio. Only this file has it.
ram_disk() {
	exec 7> /tmp/ram.lock
	flock 7
	modprobe brd rd_nr=1 rd_size=16384
}

ram_disk_end() {
	rmmod brd
	exec 7>&-
}

# counted fast|slow: how many requests of $dev were done without a worker, or by one
counted() {
	cat "/sys/block/${dev#/dev/}/qcow_stat/$1"
}

# below FILE OFFSET BYTE: 64 KiB of the lower disk have this byte, by its page cache.
below() {
	head -c 65536 /dev/zero | tr '\0' "\\$3" | cmp -n 65536 -i "$2:0" "$1" -
}

# segments DEVICE OFFSET LENGTH...: writes and reads at the offset, with pieces of memory of
# these lengths, one after the other, each in a page of its own
segments() {
	/usr/bin/python3 -B - "$@" <<-'PYTHON'
		import mmap, os, sys
		fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
		offset, lengths = int(sys.argv[2]), [int(n) for n in sys.argv[3:]]
		def pieces(memory):
		    view = memoryview(memory)
		    return [view[i * 4096 + 4096 - n:(i + 1) * 4096] for i, n in enumerate(lengths)]
		def content(memory):
		    return b"".join(bytes(p) for p in pieces(memory))
		out, back = (mmap.mmap(-1, len(lengths) * 4096) for _ in range(2))
		out[:] = os.urandom(len(out))
		assert os.pwritev(fd, pieces(out), offset) == sum(lengths)
		assert os.preadv(fd, pieces(back), offset) == sum(lengths)
		assert content(out) == content(back)
	PYTHON
}

make_disk_segments() {
	create image 8M -o cluster_size=65536
}

# Memory in a thousand pieces, which the block layer joins to one request; pieces that are
# smaller than a sector of the disk; and all sizes on a disk with large sectors.
case_disk_segments() {
	local lower=segments$$ before

	ram_disk
	attach -f raw --offset 1M --direct-io on $ram
	before=$(counted fast)
	segments "$dev" 65536 $(yes 512 | head -n 1000)
	segments "$dev" 0 1024 512 2048 512
	# Until 6.6 a worker of the block layer dispatches writes whose writer waits for them.
	[ "$(counted fast)" -ge $((before + 2)) ] || fail "no read without a worker"
	operate "$dev" 'write 0 64k 5'
	below $ram $((1 << 20)) 5
	detach
	ram_disk_end

	null_disk $lower size=16 blocksize=4096
	dd if=image.qcow2 of=/dev/$lower bs=64k oflag=direct conv=sync status=none
	attach --direct-io on /dev/$lower
	operate "$dev" 'write 0 2m 1' 'write 512 512 2' 'write 4k 4k 3' 'write 7k 2k 4' \
		'write 64k 64k 5' 'flush' 'read 0 512 1' 'read 512 512 2' 'read 4k 3k 3' \
		'read 7k 2k 4' 'read 9k 55k 1' 'read 64k 64k 5'
	segments "$dev" $((1 << 20)) 512 3584 3584 512
	segments "$dev" $((1 << 20)) 4096 4096
	segments "$dev" $((1 << 20)) 512
	detach
	dd if=/dev/$lower of=image.qcow2 bs=64k iflag=direct status=none
	null_disk_end $lower
}

# Other programs read and write the disk through its page cache, and it becomes read-only.
case_disk_cached() {
	ram_disk
	attach -f raw --direct-io on $ram
	operate "$dev" 'write 1m 64k 1'
	below $ram $((1 << 20)) 1
	operate "$dev" 'write 1m 64k 2'
	below $ram $((1 << 20)) 2
	head -c 65536 /dev/zero | tr '\0' '\3' |
		dd of=$ram bs=64k seek=16 iflag=fullblock conv=notrunc status=none
	operate "$dev" 'read 1m 64k 3' 'write 1m 4k 4' 'read 1m 4k 4' 'read 1028k 60k 3'
	blockdev --setro $ram
	operate "$dev" 'write 2m 4k 9 =EIO' 'read 2m 4k 0'
	blockdev --setrw $ram
	operate "$dev" 'write 2m 4k 9' 'read 2m 4k 9'
	detach
	ram_disk_end
}

after_disk_cached() {
	:
}

make_disk_fails() {
	create image 8M -o cluster_size=65536
}

# disk_answers: a disk that does not answer keeps no request that must not wait, and the
# request goes on when it answers.
disk_answers() {
	local before reader

	attach -f raw --direct-io on "/dev/mapper/$mapped"
	before=$(counted slow)
	dmsetup suspend --noflush --nolockfs "$mapped"
	operate "$dev" 'read 0 4k 3' 'write 0 4k 4' 'read 0 4k 4' &
	reader=$!
	until [ "$(counted slow)" -gt "$before" ] || [ "$(awk '{ print $1 }' "/sys/block/${dev#/dev/}/inflight")" -gt 0 ]; do
		pause 0.05
	done
	dmsetup resume --noudevsync "$mapped"
	wait $reader || fail "a request after the disk answers"
	[ "$(counted slow)" -gt "$before" ] || fail "no worker had it"
	detach
}

# An error in the middle of a large request; a disk that does not answer for a while; and
# one that has fewer requests than there are at a time.
case_disk_fails() {
	local mapped=fails$$ lower=few$$ whole

	ram_disk
	whole="0 32768 linear $ram 0"
	mapped "$mapped" "$whole"
	attach -f raw --direct-io on "/dev/mapper/$mapped"
	operate "$dev" 'write 0 2m 1'
	table "$mapped" "0 1000 linear $ram 0
1000 8 error
1008 31760 linear $ram 1008"
	operate "$dev" 'read 0 1m 1 =EIO' 'write 0 1m 2 =EIO' 'write 504k 4k 2' 'read 504k 4k 2' \
		'read 500k 4k 1 =EIO'
	table "$mapped" "$whole"
	operate "$dev" 'read 500k 4k 1' 'read 504k 4k 2' 'write 0 1m 3' 'read 0 1m 3' 'read 1m 1m 1'
	detach
	disk_answers
	dmsetup remove --noudevsync --retry "$mapped"
	ram_disk_end

	null_disk $lower size=16 hw_queue_depth=2 completion_nsec=20000
	dd if=image.qcow2 of=/dev/$lower bs=64k oflag=direct conv=sync status=none
	attach --direct-io on /dev/$lower
	within 120 qcowwrite race "$dev" 1 8 262144
	within 120 qcowwrite race "$dev" 2 8 262144
	[ "$(counted slow)" -gt 0 ] || fail "no worker"
	detach
	dd if=/dev/$lower of=image.qcow2 bs=64k iflag=direct status=none
	null_disk_end $lower
}

# A disk with large sectors: smaller pieces go through its page cache. A page that a read
# brings there while a write of it is under way holds old data, so it must not stay.
case_disk_stale() {
	local lower=large$$ mapped=late$$ writer writes

	null_disk $lower size=16 blocksize=4096
	head -c 65536 /dev/zero | tr '\0' '\1' |
		dd of=/dev/$lower bs=64k iflag=fullblock oflag=direct status=none
	modprobe dm-delay
	mapped "$mapped" "0 32768 delay /dev/$lower 0 0 /dev/$lower 0 4000"
	attach -f raw --direct-io on "/dev/mapper/$mapped"
	operate "$dev" 'write 8k 4k 2' &
	writer=$!
	until read -r _ writes < "/sys/block/${dev#/dev/}/inflight" && [ "$writes" -gt 0 ]; do
		runs $writer || fail "the write is not late"
		pause 0.05
	done
	pause 0.5
	# The kernel reads some pages ahead.
	operate "$dev" 'read 0 512 1'
	runs $writer || fail "the write was there before the read"
	wait $writer || fail "the write"
	operate "$dev" 'read 8k 512 2' 'write 8k 512 3' 'read 8k 512 3' 'read 8704 512 2' 'flush'
	detach
	dmsetup remove --noudevsync --retry "$mapped"
	null_disk_end $lower
}

after_disk_stale() {
	:
}
