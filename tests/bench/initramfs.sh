#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# initramfs.sh [-p] KERNEL DISK IMAGE [MODULE QCOWWRITE]: makes a self-contained initramfs
# IMAGE that runs tests/bench/init, with the file system DISK inside. Our own tool and
# MODULE, qcow.ko, and QCOWWRITE, which attaches maps, are there only if it is named, so that
# the other targets' figures do not change with every change of ours, not even in the last
# digit. With -p it has the aged filesystem and QEMU's storage daemon as well.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"
. "$here/../lib/initramfs.sh"

places=
[ "${1:-}" != -p ] || { places=yes; shift; }
[ $# -ge 3 ] || die "usage: initramfs.sh [-p] KERNEL DISK IMAGE [MODULE QCOWWRITE]"
kernel=$1 disk=$2 image=$3 driver=${4:-} qcowwrite=${5:-}
qcowctl=$QCOW_TOP/userspace/qcowctl

# The kernel's modules that the driver needs are put in before it.
add_driver() {
	local needs

	mapfile -t needs < <(modinfo -F depends "$driver" | tr ',' '\n' | sed '/^$/d')
	initramfs_modules /modules/qcow "${needs[@]}"
	initramfs_file "$driver" /modules/qcow/999-qcow.ko
	initramfs_program "$qcowctl"
	ln -s "$qcowctl" "$initramfs/bin/qcowctl"
	initramfs_file "$qcowwrite" /bin/qcowwrite
}

# Kernels without VDUSE have FUSE for the daemon.
add_places() {
	local aged

	aged=$("$here/aged.sh")
	initramfs_file "$aged/data" /aged/data
	initramfs_file "$aged/map" /aged/map
	initramfs_program /usr/bin/qemu-storage-daemon /usr/sbin/vdpa
	initramfs_modules /modules/daemon '?fuse' '?vduse' '?virtio_vdpa' '?virtio_blk'
}

kernel_info "$kernel"
initramfs_begin
initramfs_busybox
initramfs_file "$here/init" /init
initramfs_file /etc/mke2fs.conf /etc/mke2fs.conf
initramfs_file "$here/targets.sh" /bench/targets.sh
initramfs_file "$here/measure.sh" /bench/measure.sh
initramfs_file "$here/places.sh" /bench/places.sh
initramfs_file "$disk" /disk
initramfs_program /usr/bin/{fio,qemu-nbd,dd,cp} \
	/usr/sbin/{losetup,dmsetup,blkdiscard,mke2fs,mkfs.xfs,filefrag}
gcc-12 -O2 -Wall -static -o "$initramfs/bin/stamp" "$here/stamp.c"
# Older kernels' ext4 asks the crypto API for crc32c, by name.
initramfs_modules /modules brd null_blk '?crc32c_generic' ext4 xfs loop nbd dm-crypt xts aesni-intel algif_skcipher
[ -z "$places" ] || add_places
[ -z "$driver" ] || add_driver
initramfs_end "$image"
