# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Partitions are there when attach returns, and filesystems in them mount.

check_partitions() {
	attach "$IMAGES/extra/$1.qcow2"
	[ -b "${dev}p1" ] && [ -b "${dev}p2" ] || fail "no partitions"
	[ ! -e "${dev}p3" ] || fail "a third partition"
	is $((28672 * 512)) "$(blockdev --getsize64 "${dev}p1")"
	cmp "${dev}p2" "$IMAGES/extra/$1.second"
	mkdir mnt
	mount -o ro "${dev}p1" mnt
	(cd mnt && sha256sum --quiet -c sums)
	umount mnt
	detach
	[ ! -e "${dev}p1" ] || fail "the partition's node is left"
}

case_partitions_gpt() {
	check_partitions gpt
}

case_partitions_mbr() {
	check_partitions mbr
}

case_partitions_often() {
	for _ in $(seq 10); do
		attach "$IMAGES/extra/gpt.qcow2"
		[ -b "${dev}p2" ] || fail "no partition"
		detach
	done
}

case_partitions_untrusted() {
	attach --untrusted "$IMAGES/extra/gpt.qcow2"
	[ ! -e "${dev}p1" ] || fail "partitions of an untrusted image"
	is 1 "$(cat "/sys/block/qcow$index/qcow/untrusted")"
	detach
}

case_partitions_window() {
	attach --offset 1M --size-limit 14M "$IMAGES/extra/mbr.qcow2"
	mkdir mnt
	mount -o ro "$dev" mnt
	(cd mnt && sha256sum --quiet -c sums)
	umount mnt
	detach
}

case_read_only() {
	attach "$IMAGES/extra/plain.qcow2"
	is 1 "$(blockdev --getro "$dev")"
	! dd if=/dev/zero of="$dev" bs=4096 count=1 oflag=direct 2> /dev/null ||
		fail "a write succeeded"
	# The block layer lets root clear the read-only flag; the driver must not care.
	blockdev --setrw "$dev" || true
	! dd if=/dev/zero of="$dev" bs=4096 count=1 oflag=direct 2> /dev/null ||
		fail "a write succeeded"
	! blkdiscard -f "$dev" 2> /dev/null || fail "a discard succeeded"
	! blkdiscard -z -f "$dev" 2> /dev/null || fail "zeroing succeeded"
	same_content "$IMAGES/extra/plain.raw" "$dev"
	detach
}
