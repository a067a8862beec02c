# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A Debian system that may be changed, and leaves another one as it was. Source it in a
# process with a mount namespace of its own ("unshare --mount").

# mount_root LAYERS WORK: sets root to WORK/root, which has the files of the folders LAYERS,
# first:second:..., the first one on top. Changes go to WORK/upper.
mount_root() {
	local node

	root=$2/root
	mkdir -p "$2"/{upper,overlay,root}
	mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/overlay" "$root"
	mount -t proc proc "$root/proc"
	mount -t tmpfs tmpfs "$root/run"
	mount -t tmpfs tmpfs "$root/tmp"
	for node in null zero full random urandom; do
		[ -e "$root/dev/$node" ] || cp -a "/dev/$node" "$root/dev/"
	done
}

umount_special() {
	umount "$root/proc" "$root/run" "$root/tmp"
}

# in_root COMMAND...
in_root() {
	chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive "$@"
}

# Services do not start in a chroot, whatever a package wants.
no_services() {
	printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
}

services_again() {
	rm "$root/usr/sbin/policy-rc.d"
}
