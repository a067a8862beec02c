#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tools.sh: prints the name of a disk image with the programs that tests run
# most, and their libraries. A guest lays it over the host's root: to start a
# program from there takes a third of the time that it takes over 9p. Other
# programs come from the host as before. Made once, and again after packages
# or this file have changed.
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"

programs=(
	awk basename bash blkdiscard blockdev busybox cat cmp comm cp cut date dd
	diff dirname dmsetup du env expr false filefrag find findmnt fio flock
	fsck.ext4 gojq grep head id insmod kill ln losetup ls lsblk md5sum mkdir
	mke2fs mkfifo mkfs.btrfs mkfs.ext4 mkfs.xfs mknod mktemp modprobe mount
	mv od paste ps qemu-img qemu-io qemu-nbd readlink realpath rm rmdir rmmod
	sed seq sh sha256sum sleep sort stat stty sync tail taskset tee test timeout touch
	tr true truncate udevadm umount uname uniq wc xargs xfs_repair
)
folders=(/usr/lib/locale/C.utf8)

# A text that changes when one of the files does
fingerprint() {
	{
		cat "$0"
		stat -L -c '%n %s %Y' /etc/ld.so.cache /var/lib/dpkg/status \
			"${paths[@]}" || true
	} 2> /dev/null | sha256sum | cut -c1-16
}

# add FILE: where it really is, so that no layer has a link for a folder
add() {
	local dir

	dir=$tree$(realpath "$(dirname "$1")")
	mkdir -p "$dir"
	cp -L "$1" "$dir/"
}

make_image() {
	local file

	tree=$(mktemp -d)
	trap 'rm -rf "$tree"' EXIT
	{
		printf '%s\n' /etc/ld.so.cache "${paths[@]}"
		find "${folders[@]}" -type f 2> /dev/null || true
		# A script has no libraries; a missing file shows in the guest.
		{ ldd "${paths[@]}" 2> /dev/null || true; } |
			sed -nE 's|.*[[:space:]](/[^ ]*) \(0x.*|\1|p'
	} | sort -u | while read -r file; do
		add "$file"
	done
	truncate -s $(($(du -sm "$tree" | cut -f1) * 5 / 4 + 16))M "$image.new"
	mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=0 -m 0 -d "$tree" "$image.new"
	find "$QCOW_CACHE/vm" -name 'tools-*' -mtime +0 -delete
	mv "$image.new" "$image"
}

mapfile -t paths < <(type -P "${programs[@]}" || true)
image=$QCOW_CACHE/vm/tools-$(fingerprint)
if [ ! -f "$image" ]; then
	mkdir -p "$QCOW_CACHE/vm"
	only_one vm-tools
	[ -f "$image" ] || make_image >&2
fi
echo "$image"
