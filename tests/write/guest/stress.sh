#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stress.sh [CASE]: in the guest, all cases or one; each is a process of its own. The
# images are on vda, vdb is empty. See ../stress.sh.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

IMAGES=/tmp/images
dev=
CASE_SECONDS=240

# Two that write and verify, one that discards, each its third of the disk; flushes
# in between
run_fio() {
	local third

	attach "$IMAGES/$1.qcow2"
	third=$(($(blockdev --getsize64 "$dev") / 3 / 65536 * 65536))
	fio --output=/tmp/fio.out --filename="$dev" --direct=1 --ioengine=libaio \
		--group_reporting --size=$third --time_based \
		--runtime="$QCOW_RUNTIME" --iodepth=8 --fsync=64 \
		--bsrange=512-64k --blockalign=512 --verify=crc32c --verify_fatal=1 \
		--name=a --rw=randwrite --offset=0 --verify_backlog=256 \
		--name=b --rw=randwrite --offset=$third --verify_backlog=128 --bsrange=4k-16k --blockalign=4k \
		--name=c --rw=trimwrite --offset=$((2 * third)) --verify=0 --bs=64k ||
		{ tail -n 20 /tmp/fio.out; fail fio; }
	grep -hE '^ +(write|trim):' /tmp/fio.out || true
	detach
}

case_fio_plain() {
	run_fio fio-plain
}

case_fio_small() {
	run_fio fio-small
}

case_fio_snapshot() {
	run_fio fio-snapshot
}

case_fio_backing() {
	run_fio fio-backing
}

# Files of all sizes, some deleted again
populate() {
	local i

	head -c 24M /dev/urandom > /tmp/random
	for i in 1 2 3 4; do
		mkdir "$1/$i"
		split -b $((i * i * 9000 + 123)) -a 4 /tmp/random "$1/$i/"
		sync
	done
	rm -rf "$1/2"
	fstrim "$1" || true
	split -b 70001 -a 4 /tmp/random "$1/1/more-"
	(cd "$1" && find . -type f ! -name sums -exec sha256sum {} + > sums)
}

# filesystem NAME CHECK...
filesystem() {
	local name=$1

	shift
	attach "$IMAGES/fs-$name.qcow2"
	"mkfs.$name" -q "$dev"
	mkdir /tmp/mnt
	mount -t "$name" "$dev" /tmp/mnt
	populate /tmp/mnt
	umount /tmp/mnt
	"$@" "$dev"
	detach
	attach "$IMAGES/fs-$name.qcow2"
	mount -t "$name" "$dev" /tmp/mnt
	(cd /tmp/mnt && sha256sum --quiet -c sums)
	umount /tmp/mnt
	detach
}

case_fs_ext4() {
	filesystem ext4 e2fsck -fn
}

case_fs_xfs() {
	filesystem xfs xfs_repair -n
}

case_fs_btrfs() {
	filesystem btrfs btrfs check
}

# full_at IMAGE KIB: the filesystem under the image has so much room.
full_at() {
	local error=ENOSPC

	# nbd knows but one error.
	[ "$QCOW_TARGET" != nbd ] || error=EIO
	mount -t tmpfs -o "size=$2k" tmpfs /tmp/small
	cp --sparse=always "$IMAGES/$1.qcow2" /tmp/small/image
	# It bears no direct I/O.
	NBD_CACHE=writeback attach /tmp/small/image
	qcowwrite full "$dev" "$2" $error 0 true \
		'mount -o remount,size=64m /tmp/small' || fail "at $2 KiB"
	detach
	qemu-img check -q -f qcow2 /tmp/small/image || fail "check at $2 KiB"
	umount /tmp/small
}

case_full() {
	local kib

	mkdir /tmp/small
	for kib in 300 304 308 312 400 1000 1004 2020 4040 6000 8000 8188; do
		full_at full $kib
	done
}

case_full64() {
	local kib

	mkdir /tmp/small
	for kib in 400 468 520 524 600 1100 4200 8200; do
		full_at full64 $kib
	done
}

# The disk fails after so many blocks, and comes back.
case_eio() {
	local size at

	size=$(blockdev --getsz /dev/vdb)
	echo "0 $size linear /dev/vdb 0" > /tmp/good
	echo "0 $size error" > /tmp/bad
	for at in 1 3 17 40 100 200; do
		dd if="$IMAGES/eio.qcow2" of=/dev/vdb bs=1M conv=fsync status=none
		dmsetup create bad --noudevsync /tmp/good
		dmsetup mknodes bad
		attach /dev/mapper/bad
		qcowwrite full "$dev" $at EIO $at \
			'dmsetup suspend --noflush --nolockfs bad && dmsetup load bad /tmp/bad &&
			 dmsetup resume --noudevsync bad' \
			'dmsetup suspend --noflush --nolockfs bad && dmsetup load bad /tmp/good &&
			 dmsetup resume --noudevsync bad' || fail "at $at"
		detach
		dmsetup remove --noudevsync bad
		blockdev --flushbufs /dev/vdb
		dd if=/dev/vdb of="$IMAGES/eio-$at.qcow2" bs=1M iflag=direct conv=sparse status=none
	done
}

clean_up() {
	umount /tmp/mnt 2> /dev/null || true
	[ "$QCOW_TARGET" != nbd ] || qemu-nbd -d /dev/nbd0 > /dev/null || true
	[ "$QCOW_TARGET" = nbd ] || qcowctl detach --force --all 2> /dev/null || true
	umount /tmp/small 2> /dev/null || true
	dmsetup remove --noudevsync bad 2> /dev/null || true
	rmdir /tmp/mnt /tmp/small 2> /dev/null || true
}

run_case() {
	local code=0 start=$SECONDS

	echo "$1" > /dev/kmsg
	within $CASE_SECONDS "$0" "$1" > /tmp/log 2>&1 || code=$?
	if [ $code -eq 0 ]; then
		echo "ok $1" >> /out/results
	else
		echo "not ok $1: exit $code: $(tail -n 3 /tmp/log | tr '\n' ' ')" >> /out/results
		tail -n 25 /tmp/log
	fi
	echo "$1: $((SECONDS - start)) s; $(tail -n 1 /tmp/log)"
	[ $code -ne 124 ] || fail "$1 hangs"
	clean_up
}

if [ $# -eq 1 ]; then
	"case_${1//-/_}"
	exit 0
fi
prepare
mkdir $IMAGES
mount -t ext4 -o noatime /dev/vda $IMAGES
for name in $(compgen -A function case_ | sed 's/^case_//; s/_/-/g'); do
	# shellcheck disable=SC2053
	[[ $name != $QCOW_ONLY ]] || run_case "$name"
done
umount $IMAGES
all_gone
