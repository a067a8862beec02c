# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Disks below the image that are full, or fail.

# full_at SOURCE KIB: the filesystem under the image has so much room; when there
# is more, it goes on.
full_at() {
	local error=ENOSPC

	# nbd knows but one error.
	[ "$QCOW_TARGET" != nbd ] || error=EIO
	mkdir -p $HERE/small
	mount -t tmpfs -o "size=$2k" tmpfs $HERE/small
	cp --sparse=always "$1" $HERE/small/image
	# It bears no direct I/O.
	NBD_CACHE=writeback attach $HERE/small/image
	qcowwrite full "$dev" "$2" $error 0 true \
		"mount -o remount,size=64m $HERE/small" $HERE/state || fail "at $2 KiB"
	detach
	cp --sparse=always $HERE/small/image "left-$2.qcow2"
	umount $HERE/small
}

make_full_4k() {
	create image 4M -o cluster_size=4096
}

case_full_4k() {
	local kib

	for kib in 60 300 308 1000 4088 ${QCOW_LONG:+304 312 400 1004 2020 3000}; do
		full_at image.qcow2 $kib
	done
}

make_full_64k() {
	create image 4M -o cluster_size=65536
}

case_full_64k() {
	local kib

	for kib in 260 468 524 1100 ${QCOW_LONG:+400 520 600 4100}; do
		full_at image.qcow2 $kib
	done
}

# Tables that have to grow on a full disk: 512-byte clusters, 64-bit refcounts
make_full_tiny() {
	create image 2M -o cluster_size=512,refcount_bits=64
}

case_full_tiny() {
	local kib

	for kib in 36 100 504 2000 ${QCOW_LONG:+40 44 500 1000 2100}; do
		full_at image.qcow2 $kib
	done
}

make_full_snapshot() {
	create image 4M -o cluster_size=4096
	fill image.qcow2 'write -q -P 33 0 2M'
	qemu-img snapshot -c first image.qcow2
}

case_full_snapshot() {
	local kib

	for kib in 2100 3200 ${QCOW_LONG:+2400 6100}; do
		full_at image.qcow2 $kib
	done
}

after_full_snapshot() {
	local image

	check ./*.qcow2
	for image in left-*.qcow2; do
		qemu-img convert -q -l first -O raw "$image" raw
		holds raw raw 'read -P 33 0 2M'
	done
}

# --- A disk that fails after so many blocks ---

# failing_at BLOCKS BAD: all of it, or only writes, with the target BAD
failing_at() {
	local size good bad

	size=$(blockdev --getsz /dev/vdb)
	good="0 $size linear /dev/vdb 0"
	bad="0 $size $2"
	declare -f table > $HERE/table
	dd if=image.qcow2 of=/dev/vdb bs=1M conv=fsync status=none
	mapped bad "$good"
	attach /dev/mapper/bad
	qcowwrite full "$dev" "$1" EIO "$1" ". $HERE/table; table bad '$bad'" \
		". $HERE/table; table bad '$good'" $HERE/state || fail "at $1"
	qcowctl detach "$dev" || true
	! stays || fail "at $1: it stays"
	attach /dev/mapper/bad
	qcowwrite left "$dev" "$1" $HERE/state || fail "at $1, afterwards"
	detach
	dmsetup remove --noudevsync --retry bad
	blockdev --flushbufs /dev/vdb
	dd if=/dev/vdb of="left-$1.qcow2" bs=1M count=24 iflag=direct conv=sparse status=none
}

make_eio() {
	create image 8M -o cluster_size=4096
}

case_eio() {
	local at

	for at in 1 100 ${QCOW_LONG:+2 17 40 200}; do
		failing_at $at error
	done
}

# Clusters may have leaked.
after_eio() {
	check_leaks left-*.qcow2
}

make_eio_writes() {
	make_eio
}

# It can be read, but not written.
case_eio_writes() {
	local at

	modprobe dm-flakey
	for at in 3 40; do
		failing_at $at 'flakey /dev/vdb 0 0 3600 1 error_writes'
	done
}

after_eio_writes() {
	check_leaks left-*.qcow2
}

make_eio_for_good() {
	make_eio
	fill image.qcow2 'write -q -P 5 0 1M'
}

# It never comes back: nothing hangs, the device can be detached.
case_eio_for_good() {
	local size

	size=$(blockdev --getsz /dev/vdb)
	dd if=image.qcow2 of=/dev/vdb bs=1M conv=fsync status=none
	mapped bad "0 $size linear /dev/vdb 0"
	attach /dev/mapper/bad
	operate "$dev" 'write 1m 64k 6' 'flush' 'write 2m 64k 7'
	table bad "0 $size error"
	operate "$dev" 'write 0 4k 8 =EIO' 'flush =EIO' 'write 4m 64k 9 ?EIO' \
		'flush =EIO' 'zero 0 64k ?EIO' 'discard 0 64k ?EIO'
	# Gone with EIO: another may have its name.
	qcowctl detach "$dev" || ! stays || qcowctl detach --force "$dev" || true
	! stays || fail "it stays"
	table bad "0 $size linear /dev/vdb 0"
	attach /dev/mapper/bad
	operate "$dev" 'read 0 1m 5' 'read 1m 64k 6' 'write 2m 64k 7' 'flush' 'read 2m 64k 7'
	detach
	dmsetup remove --noudevsync --retry bad
	blockdev --flushbufs /dev/vdb
	dd if=/dev/vdb of=left.qcow2 bs=1M count=24 iflag=direct conv=sparse status=none
}

after_eio_for_good() {
	check_leaks left.qcow2
	holds qcow2 left.qcow2 'read -P 5 0 1M' 'read -P 6 1M 64k' 'read -P 7 2M 64k'
}
