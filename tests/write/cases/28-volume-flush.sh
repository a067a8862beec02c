# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# A flush that fails because there is no space below: with space the next one writes it
# all. A copy made then, while the image is still attached, is complete.

# flush_fails WHAT FILL MAKE_ROOM: some data is written, the shell command FILL takes the
# space, flushes fail, the command MAKE_ROOM gives it back.
flush_fails() {
	caches_kept operate "$dev" 'write 0 4k 5' 'write 3m 64k 6' "run $2" 'flush =ENOSPC' 'flush =ENOSPC' "run $3" \
		'flush' 'read 0 4k 5' 'read 3m 64k 6' || fail "$1"
}

# flush_goes_on: so do writes to new clusters.
flush_goes_on() {
	operate "$dev" 'write 9m 1m 8' 'flush' 'read 9m 1m 8' 'read 0 4k 5' 'read 3m 64k 6'
	detach
}

# In the copy from after the flush, and in the file that was detached
after_flush_fails() {
	check_leaks copy.qcow2
	check left.qcow2
	for image in copy left; do
		holds qcow2 $image.qcow2 'read -P 5 0 4k' 'read -P 0 4k 1M' 'read -P 6 3M 64k'
	done
	holds qcow2 left.qcow2 'read -P 8 9M 1M'
}

make_flush_full_volume() {
	create image 16M -o cluster_size=64k
}

# linear MIB: so large is the mapped disk from now on.
linear() {
	table bad "0 $(($1 << 11)) linear /dev/vdb 0"
}

# copy_volume FILE: as it is on the disk
copy_volume() {
	dd if=/dev/mapper/bad of="$1" bs=64k count=384 iflag=direct conv=sparse status=none
}

# A volume that was extended, reduced below the written part, and extended again
case_flush_full_volume() {
	export HERE
	declare -f table linear > $HERE/functions
	dd if=image.qcow2 of=/dev/vdb bs=1M conv=fsync status=none
	mapped bad "0 512 linear /dev/vdb 0"
	attach /dev/mapper/bad
	operate "$dev" 'write 0 4k 4 =ENOSPC'
	linear 24
	flush_fails "a volume" '. $HERE/functions; table bad "0 512 linear /dev/vdb 0"' \
		'. $HERE/functions; linear 24'
	copy_volume copy.qcow2
	flush_goes_on
	copy_volume left.qcow2
	dmsetup remove --noudevsync --retry bad
}

after_flush_full_volume() {
	after_flush_fails
}

make_flush_full_thin() {
	create image 16M -o cluster_size=64k
}

# data_table BLOCKS, pool_table BLOCKS: a pool of so many blocks of 64 KiB
data_table() {
	echo "0 $(($1 * 128)) linear /dev/vdb 0"
}

pool_table() {
	echo "0 $(($1 * 128)) thin-pool /dev/mapper/bad-meta /dev/mapper/bad-data 128 0 1" \
		error_if_no_space
}

# A thin volume whose pool has room for the image and two clusters of data. These are
# written at once, the table that leads to them is not.
case_flush_full_thin() {
	local blocks=$(($(stat -c %s image.qcow2) / 65536 + 3)) name

	modprobe dm-thin-pool
	dd if=/dev/zero of=/dev/vdb bs=1M seek=64 count=1 oflag=direct status=none
	mapped bad-meta "0 8192 linear /dev/vdb 131072"
	mapped bad-data "$(data_table $blocks)"
	mapped bad-pool "$(pool_table $blocks)"
	dmsetup message bad-pool 0 'create_thin 0'
	mapped bad "0 49152 thin /dev/mapper/bad-pool 0"
	dd if=image.qcow2 of=/dev/mapper/bad bs=64k conv=fsync status=none
	attach /dev/mapper/bad
	caches_kept operate "$dev" 'write 0 4k 5' 'write 3m 64k 6' 'flush =ENOSPC' 'read 0 4k 5' \
		'read 3m 64k 6' 'flush =ENOSPC'
	table bad-data "$(data_table 100)"
	table bad-pool "$(pool_table 100)"
	operate "$dev" 'flush' 'read 0 4k 5' 'read 3m 64k 6' || fail "with space"
	copy_volume copy.qcow2
	flush_goes_on
	copy_volume left.qcow2
	for name in bad bad-pool bad-data bad-meta; do
		dmsetup remove --noudevsync --retry $name
	done
}

after_flush_full_thin() {
	after_flush_fails
}

make_flush_full_filesystem() {
	create image 16M -o cluster_size=64k
}

# A filesystem that is full. The refcounts and the L1 table of the image have no space yet.
case_flush_full_filesystem() {
	export HERE
	mkdir -p $HERE/small
	mount -t tmpfs -o size=8m tmpfs $HERE/small
	cp --sparse=always image.qcow2 $HERE/small/image
	fallocate -p -o 196608 -l 65536 $HERE/small/image
	attach $HERE/small/image
	flush_fails "a filesystem" '! cat /dev/zero > $HERE/small/filler 2> /dev/null' \
		'rm $HERE/small/filler'
	cp --sparse=always $HERE/small/image copy.qcow2
	flush_goes_on
	cp --sparse=always $HERE/small/image left.qcow2
}

after_flush_full_filesystem() {
	after_flush_fails
}
