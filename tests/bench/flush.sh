#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# flush.sh [-k KERNEL] [-m MODULE]: the time of a flush of 10,000 dirty slices, 40 MiB, on a
# disk whose requests take 80 microseconds each, beside a sequential writer of as many bytes
# to the same filesystem. MODULE is another qcow.ko than that of the tree.
#
# Time is virtual: it goes on by a nanosecond with each instruction of the guest, and up to
# the next timer when the guest is idle. It prints lines "NAME FIGURE": microseconds, and writes
# of the disk. "new-tables" is a flush of tables that the image did not have. It fails if the
# flush takes more than twice the writer's time.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"
. "$here/../lib/initramfs.sh"

usage="usage: flush.sh [-k KERNEL] [-m MODULE]"
kernel=6.1 driver=
while getopts k:m: option; do
	case $option in
	k)	kernel=$OPTARG ;;
	m)	driver=$OPTARG ;;
	*)	die "$usage" ;;
	esac
done
[ $# -lt $OPTIND ] || die "$usage"

mkdir -p "$QCOW_CACHE/bench"
work=$(mktemp -d "$QCOW_CACHE/bench/work.XXXXXX")
"$here/../setup/kernel.sh" "$kernel"
if [ -z "$driver" ]; then
	driver=$("$here/../lib/build.sh" "$kernel" 2> "$work/build.log")/qcow.ko ||
		die "the module does not build:" "$(tail -n 20 "$work/build.log")"
fi
make -s -C "$QCOW_TOP/userspace" qcowctl
make -s -C "$QCOW_TOP/tests/write/guest" BUILD="$work"

kernel_info "$kernel"
initramfs_begin
trap 'rm -rf "$initramfs" "$work"' EXIT
mapfile -t needs < <(modinfo -F depends "$driver" | tr ',' '\n' | sed '/^$/d')
initramfs_busybox
initramfs_file "$here/flush-init" /init
initramfs_file /etc/mke2fs.conf /etc/mke2fs.conf
initramfs_file "$driver" /modules/999-qcow.ko
initramfs_file "$work/qcowwrite" /bin/qcowwrite
initramfs_program /usr/bin/dd /usr/sbin/mke2fs "$QCOW_TOP/userspace/qcowctl"
gcc-12 -O2 -Wall -static -o "$initramfs/bin/stamp" "$here/stamp.c"
ln -s "$QCOW_TOP/userspace/qcowctl" "$initramfs/bin/qcowctl"
initramfs_modules /modules null_blk '?crc32c_generic' ext4 "${needs[@]}"
initramfs_end "$work/image"

"$here/../vm/run.sh" -k "$kernel" -m 2G -t 1200 --icount -i "$work/image" \
	-b norandmaps > "$work/out" || {
	cat "$work/out" >&2
	die "no figures"
}
cat "$work/out"
awk '{ n[$1] = $2 }
	END {
		if (!n["flush.us"] || !n["sequential.us"]) exit 1
		printf "ratio %.2f\n", n["flush.us"] / n["sequential.us"]
		exit n["flush.us"] > 2 * n["sequential.us"]
	}' "$work/out"
