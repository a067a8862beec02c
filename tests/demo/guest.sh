#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# guest.sh MODULE SHA256: the part of the demo that runs in the virtual machine.
# MODULE is qcow.ko, SHA256 the sum of the disk's bytes.
set -euo pipefail
# shellcheck source=tests/demo/show.sh
. "$QCOW_TOP/tests/demo/show.sh"

module=$1
expected=$2
PATH=$QCOW_TOP/userspace:$PATH

cpu_model() {
	sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n1
}

prepare() {
	explain "Up: Linux $(uname -r), $(nproc) x $(cpu_model)."
	explain "Its disk /dev/vda holds an ext4 filesystem with the images."
	modprobe ext4
	mkdir -p /srv/images /mnt/guest /mnt/box
	mount -o ro /dev/vda /srv/images
	cp "$module" /srv/qcow.ko
	cd /srv/images
}

attach() {
	step_begin attach "Attach the image and its backing file"
	run "insmod /srv/qcow.ko"
	run "qcowctl attach -r guest.qcow2"
	run "lsblk -o NAME,SIZE,RO,TYPE /dev/qcow0"
	step_end
}

mount_it() {
	step_begin mount "Mount its partition"
	run "mount -o ro /dev/qcow0p1 /mnt/guest"
	run "ls -C /mnt/guest"
	run "head -n 3 /mnt/guest/etc/os-release"
	run "cat /mnt/guest/etc/motd"
	step_end
}

use_it() {
	step_begin use "Run a program that lies in it"
	run "chroot /mnt/guest dpkg-query -W base-files bash libc6"
	run "qcowctl list"
	step_end
}

compare() {
	step_begin sha256 "Read the whole disk"
	run "sha256sum /dev/qcow0"
	if [ "${output%% *}" != "$expected" ]; then
		printf '\n     %s\n' "$(red "qemu-img reads something else: $expected")"
		exit 1
	fi
	explain "$(green "qemu-img reads the same.")"
	run "qcowctl info /dev/qcow0 | grep -E 'direct|requests|decompressed'"
	step_end
}

# Nothing is unpacked or converted.
appliance() {
	step_begin ova "An appliance, attached as it was downloaded"
	run "qcowctl attach -r box.ova"
	run "mount -o ro /dev/qcow1p1 /mnt/box"
	run "cat /mnt/box/etc/motd"
	run "diff -r --no-dereference /mnt/guest/etc /mnt/box/etc && echo the same files"
	run "umount /mnt/box"
	run "qcowctl detach /dev/qcow1"
	step_end
}

let_go() {
	step_begin detach "Let go of it"
	run "umount /mnt/guest"
	run "qcowctl detach /dev/qcow0"
	run "rmmod qcow"
	step_end
}

prepare
attach
mount_it
use_it
compare
appliance
let_go
