#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# initramfs.sh KERNEL: prints the name of an initramfs that boots that cached
# kernel into tests/vm/init. Made once per kernel and version of these files.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"
. "$here/../lib/initramfs.sh"

[ $# -eq 1 ] || die "usage: initramfs.sh KERNEL"
kernel_info "$1"
stamp=$(cat "$here/init" "$here/initramfs.sh" "$here/../lib/initramfs.sh" |
	sha256sum | cut -c1-12)
image=$QCOW_CACHE/vm/$KVER-$stamp.cpio

make_image() {
	initramfs_begin
	initramfs_busybox
	initramfs_file "$here/init" /init
	initramfs_modules /modules virtio_pci virtio_console virtio_blk \
		9pnet_virtio 9p overlay ext4
	rm -f "$QCOW_CACHE/vm/$KVER"-*.cpio
	initramfs_end "$image"
}

if [ ! -f "$image" ]; then
	only_one "vm-$1"
	[ -f "$image" ] || make_image
fi
echo "$image"
