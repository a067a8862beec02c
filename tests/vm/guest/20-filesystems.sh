# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Image files on filesystems of all kinds, and images on block devices.
. "$QCOW_TOP/tests/lib/nfs.sh"

# compare_in DIR MANIFEST ATTACH_ARGUMENTS...
compare_in() {
	local dir=$1 manifest=$2

	shift 2
	qcowtest compare -r "$dir" -a "$*" "$manifest" > results || fail "compare"
	cat results
	! grep -q '^not ok' results || fail "something was not read right"
	is "$(wc -l < "$manifest")" "$(grep -c '^ok' results)"
}

# on_filesystem DIR: the same images, in DIR
on_filesystem() {
	local name

	cut -f1 /out/subset | while read -r name; do
		cp -r --sparse=always "$IMAGES/$name" "$1/"
	done
	compare_in "$1" /out/subset
}

case_fs_xfs() {
	mkfs.xfs -q -f /dev/vdb
	mkdir fs
	mount -t xfs /dev/vdb fs
	on_filesystem fs
	compare_in fs /out/subset --direct-io off
}

case_fs_btrfs() {
	mkfs.btrfs -q -f /dev/vdb
	mkdir fs
	mount -t btrfs /dev/vdb fs
	on_filesystem fs
}

case_fs_ext4_small_blocks() {
	mkfs.ext4 -q -F -b 1024 /dev/vdb
	mkdir fs
	mount -t ext4 /dev/vdb fs
	on_filesystem fs
}

case_fs_tmpfs() {
	mkdir fs
	mount -t tmpfs tmpfs fs
	on_filesystem fs
}

case_fs_overlay() {
	mkdir upper
	mount -t tmpfs tmpfs upper
	mkdir upper/upper upper/work fs
	mount -t overlay -o "lowerdir=$IMAGES,upperdir=upper/upper,workdir=upper/work" \
		overlay fs
	compare_in fs /out/subset
}

# As a network's filesystem: the host holds the files.
case_fs_9p() {
	mkdir /out/9p
	on_filesystem /out/9p
	rm -rf /out/9p
}

case_fs_nfs() {
	mkdir served fs
	mount -t tmpfs tmpfs served
	nfs_serve "$PWD/served"
	nfs_mount fs
	on_filesystem fs
	compare_in fs /out/subset --direct-io on
	umount fs
	nfs_end
}

# one_line NAME IMAGE REFERENCE: a manifest of one
one_line() {
	printf '%s\t%s\t%s\t-\t-\n' "$1" "$2" "$IMAGES/$3" > manifest
}

case_block_device() {
	local name image ref

	cut -f1-3 /out/flat > flat
	while read -r name image ref; do
		blkdiscard -f /dev/vdc
		blkdiscard -z -f -l 64M /dev/vdc
		dd if="$IMAGES/$image" of=/dev/vdc bs=1M conv=fsync status=none
		one_line "$name" /dev/vdc "$ref"
		compare_in / manifest
	done < flat
}

# on_loop OPTIONS...
on_loop() {
	local name image ref loop

	cut -f1-3 /out/flat > flat
	mkdir fs
	mount -t tmpfs tmpfs fs
	while read -r name image ref; do
		cp --sparse=always "$IMAGES/$image" fs/image
		truncate -s %4096 fs/image
		loop=$(losetup -f --show "$@" fs/image)
		one_line "$name" "$loop" "$ref"
		compare_in / manifest
		losetup -d "$loop"
	done < flat
}

case_loop_device() {
	on_loop
}

# Clusters are smaller than a sector of the device.
case_loop_device_4k_sectors() {
	on_loop -b 4096
}

# A raw image on a block device, and a backing file that is one
case_raw_on_block_device() {
	dd if="$IMAGES/extra/par.raw" of=/dev/vdc bs=1M conv=fsync status=none
	attach -f raw --size-limit 16M /dev/vdc
	same_content "$IMAGES/extra/par.raw" "$dev"
	detach
	qemu-img create -q -f qcow2 -b /dev/vdc -F raw over.qcow2
	attach --size-limit 16M over.qcow2
	same_content "$IMAGES/extra/par.raw" "$dev"
	detach
}

# The tool falls back, or names an option that helps.
case_direct_io_impossible() {
	mkdir fs
	mount -t ramfs ramfs fs
	cp "$IMAGES/extra/plain.qcow2" fs/
	attach fs/plain.qcow2
	is 0 "$(cat "/sys/block/qcow$index/qcow/direct_io")"
	same_content "$IMAGES/extra/plain.raw" "$dev"
	detach
	refuses 'plain.qcow2: .*direct I/O.*--direct-io' qcowctl attach --direct-io on fs/plain.qcow2
}

case_direct_io_chosen() {
	attach --direct-io on "$IMAGES/extra/plain.qcow2"
	is 1 "$(cat "/sys/block/qcow$index/qcow/direct_io")"
	detach
	attach --direct-io off "$IMAGES/extra/plain.qcow2"
	is 0 "$(cat "/sys/block/qcow$index/qcow/direct_io")"
	detach
	attach "$IMAGES/extra/plain.qcow2"
	is 1 "$(cat "/sys/block/qcow$index/qcow/direct_io")"
	detach
}
