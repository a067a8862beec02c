# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# The requests of a flush: one of them writes many slices that are neighbours. A write with FUA
# in place writes its data alone, however much metadata is dirty.

make_flush_many() {
	# A new L2 table is 512 slices.
	create image 2T -o cluster_size=2M
}

# written NAME: prints the writes that the disk had done, from a copy of its statistics.
written() {
	awk '{ print $5 }' "$HERE/$1"
}

# flush_many N: makes the L2 table of another 512 GiB; overwrites part of a file with FUA, as a
# filesystem does where the place is there; flushes. Return: false: a flush in the background
# came first.
flush_many() {
	local stat=/sys/block/$below/stat fua all

	operate "$dev" "write $(($1 << 19))m 4k 5"
	operate $HERE/mnt/file "run cat $stat > $HERE/dirty" "fua 0 4k $1" "run cat $stat > $HERE/fua"
	operate "$dev" flush "run cat $stat > $HERE/flushed"
	fua=$(($(written fua) - $(written dirty)))
	all=$(($(written flushed) - $(written fua)))
	echo "writes: $fua for FUA, $all for a flush"
	[ $all -ge 8 ] || return 1
	is 1 $fua
	# 512 slices by 8 requests; refcounts, the L1 table
	[ $all -le 16 ] || fail "a flush of 512 slices needs $all requests"
}

case_flush_many() {
	local below=many$$ i

	null_disk "$below" size=64 blocksize=4096 max_sectors=1024
	dd if=image.qcow2 of="/dev/$below" bs=1M conv=fsync status=none
	attach "/dev/$below"
	mapped "$below" "0 16384 linear $dev 0"
	mkfs.ext4 -q -O ^has_journal "/dev/mapper/$below"
	mkdir -p $HERE/mnt
	mount "/dev/mapper/$below" $HERE/mnt
	dd if=/dev/zero of=$HERE/mnt/file bs=64k count=1 conv=fsync status=none
	operate "$dev" flush
	for i in 1 2 3; do
		! caches_kept flush_many $i || break
		[ $i -lt 3 ] || fail "a flush in the background is always first"
	done
	operate $HERE/mnt/file "read 0 4k $i"
	operate "$dev" "read $((i << 19))m 4k 5"
	umount $HERE/mnt
	dmsetup remove --noudevsync --retry "$below"
	detach
	dd if="/dev/$below" of=image.qcow2 bs=1M conv=sparse status=none
	null_disk_end "$below"
}
