# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Filesystems: made, filled, trimmed, mounted again; and the same files as QEMU
# reads them.

blocks_of() {
	sync "$1"
	stat -c %b "$1"
}

# Files of all sizes
populate() {
	local i

	head -c 4M /dev/urandom > $HERE/random
	for i in 1 2 3 4; do
		mkdir "$1/$i"
		split -b $((i * i * 20000 + 123)) -a 4 $HERE/random "$1/$i/"
		sync -f "$1"
	done
	head -c 12M /dev/urandom > "$1/large"
	sync -f "$1"
}

# A file that is removed and trimmed gives its blocks back, some time after a flush: 16 MiB,
# of which 4 MiB may be taken ahead of later writes, and a few have the filesystem's own
# metadata.
trim() {
	local before after i

	before=$(blocks_of image.qcow2)
	rm -rf "$1/2" "$1/large"
	sync -f "$1"
	fstrim -v "$1" || fail fstrim
	for i in 1 2 3 4 5 6 7 8 9 10; do
		sync -f "$1"
		after=$(blocks_of image.qcow2)
		[ $((before - after)) -lt $((10 << 11)) ] || break
		sleep 1
	done
	echo "blocks after $i s: $before, trimmed $after"
	[ $((before - after)) -ge $((10 << 11)) ] || fail "$before blocks, and $after after fstrim"
}

# filesystem NAME CHECK...
filesystem() {
	local name=$1

	shift
	attach image.qcow2
	"mkfs.$name" -q "$dev"
	mkdir -p $HERE/mnt
	mount -t "$name" "$dev" $HERE/mnt
	populate $HERE/mnt
	trim $HERE/mnt
	split -b 70001 -a 4 $HERE/random "$HERE/mnt/1/more-"
	(cd $HERE/mnt && find . -type f ! -name sums -exec md5sum {} + > sums)
	umount $HERE/mnt
	"$@" "$dev"
	detach
	attach image.qcow2
	mount -t "$name" "$dev" $HERE/mnt
	(cd $HERE/mnt && md5sum --quiet -c sums)
	umount $HERE/mnt
	detach
}

# same_in_qemu COMMAND...: the command accepts a raw file with the content that QEMU reads.
same_in_qemu() {
	check image.qcow2
	qemu-img convert -q -f qcow2 -O raw image.qcow2 raw
	"$@" raw
}

make_fs_ext4() {
	create image 300M -o cluster_size=65536
}

case_fs_ext4() {
	filesystem ext4 e2fsck -fn
}

after_fs_ext4() {
	same_in_qemu e2fsck -fn
	mkdir files
	debugfs -R "rdump / files" raw
	(cd files && md5sum --quiet -c sums)
}

make_fs_xfs() {
	create image 320M -o cluster_size=65536
}

case_fs_xfs() {
	filesystem xfs xfs_repair -n
}

after_fs_xfs() {
	same_in_qemu xfs_repair -n -f
}

make_fs_btrfs() {
	create image 300M -o cluster_size=4096
}

case_fs_btrfs() {
	filesystem btrfs btrfs check
}

after_fs_btrfs() {
	same_in_qemu btrfs check
}

# A filesystem that computes checksums of its data needs pages that do not change.
make_stable_writes() {
	create image 8M
	truncate -s 128M disk
	mkfs.btrfs -q disk
}

wants_stable_writes() {
	is "$1" "$(cat "/sys/block/${dev#/dev/}/queue/stable_writes")"
}

case_stable_writes() {
	attach image.qcow2
	wants_stable_writes 0
	detach
	mkdir -p $HERE/mnt
	mount -o loop disk $HERE/mnt
	cp image.qcow2 $HERE/mnt
	attach $HERE/mnt/image.qcow2
	wants_stable_writes 1
	detach
	attach -r $HERE/mnt/image.qcow2
	wants_stable_writes 0
	detach
	attach --direct-io off $HERE/mnt/image.qcow2
	wants_stable_writes 0
	detach
	umount $HERE/mnt
}
