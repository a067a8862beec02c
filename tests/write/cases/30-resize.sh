# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Disks of another size, while they are attached and while they are not.

# Images with data at the start and at the end of the disk, 5 and 6; the end is not
# that of a cluster.
resize_images() {
	local name

	create plain 3M
	create small 3M -o cluster_size=512
	create tables 30M -o cluster_size=4k
	create old 3M -o compat=0.10,cluster_size=4k
	create sub 3M -o extended_l2=on,cluster_size=128k
	create wide 3M -o refcount_bits=64,cluster_size=2M
	qemu-img create -q -f qcow2 -o data_file=data.raw,data_file_raw=on data.qcow2 3M
	qemu-img create -q -f raw base 8M
	qemu-io -f raw -c 'write -P 7 0 8M' base > /dev/null
	for name in over over-old; do
		create $name 3M -b base -F raw -o "compat=$([ $name = over ] && echo 1.1 || echo 0.10)"
	done
	create snap 3M
	fill snap.qcow2 'write -P 9 0 1M'
	qemu-img snapshot -c first snap.qcow2
	[ -z "${QCOW_QUICK:-}" ] || rm {tables,wide,over-old}.qcow2
	for name in *.qcow2; do
		fill "$name" 'write -P 5 0 64k' 'write -P 6 3080192 65024'
	done
	for name in *.qcow2; do
		qemu-img resize -q --shrink "$name" 3145216 2> log || grep snapshots log
	done
}

# size IMAGE: of its disk, as QEMU sees it
size() {
	qemu-img info -f qcow2 --output=json "$1" | jq '."virtual-size"'
}

make_resize_grow() {
	resize_images
}

case_resize_grow() {
	local image

	for image in *.qcow2; do
		attach "$image"
		qcowctl resize "$dev" 6M || fail "$image: 6M"
		is 6291456 "$(blockdev --getsize64 "$dev")"
		operate "$dev" 'read 0 64k 5' 'read 3080192 65024 6' || fail "$image: what was there"
		case $image in
		over*)	operate "$dev" 'read 64k 64k 7' || fail "$image: the backing file" ;;
		esac
		operate "$dev" 'read 3145216 3146240 0' || fail "$image: the new part"
		operate "$dev" 'write 3100k 200k 3' 'write 6287360 4k 4' 'read 4m 1m 0' ||
			fail "$image: writing"
		detach
		qcowctl resize "$image" +2M || fail "$image: +2M"
		attach "$image"
		is 8388608 "$(blockdev --getsize64 "$dev")"
		operate "$dev" 'read 6m 2m 0' 'write 8384512 4k 2' flush || fail "$image: at the end"
		qcowctl resize "$dev" 96M || fail "$image: 96M"
		operate "$dev" 'read 8m 88m 0' 'write 90m 4k 1' || fail "$image: 96M"
		detach
	done
}

after_resize_grow() {
	local image

	for image in *.qcow2; do
		is 100663296 "$(size "$image")"
		holds qcow2 "$image" 'read -P 5 0 64k' 'read -P 6 3080192 65024' 'read -P 0 3145216 29184' 'read -P 3 3174400 200k' \
			'read -P 0 4M 1M' 'read -P 4 6287360 4k' 'read -P 0 6M 2093056' \
			'read -P 2 8384512 4k' 'read -P 0 8M 82M' 'read -P 1 90M 4k' 'read -P 0 91M 5M'
		check "$image"
	done
	is 100663296 "$(stat -c %s data.raw)"
}

make_resize_shrink() {
	resize_images
	rm -f snap.qcow2
}

# Data that was cut off is gone for good.
case_resize_shrink() {
	local image

	for image in *.qcow2; do
		attach "$image"
		exec 7< "$dev"
		exits 1 "in use" qcowctl resize "$dev" 1M
		qcowctl resize --force "$dev" 66048 || fail "$image: --force"
		exec 7<&-
		is 66048 "$(blockdev --getsize64 "$dev")"
		operate "$dev" 'read 0 64k 5' || fail "$image: what stays"
		qcowctl resize "$dev" 4M || fail "$image: 4M"
		operate "$dev" 'read 0 64k 5' 'read 128k 3968k 0' || fail "$image: larger again"
		qcowctl resize "$dev" -3M || fail "$image: -3M"
		detach
		qcowctl resize "$image" -512k || fail "$image: -512k"
	done
}

after_resize_shrink() {
	local image

	for image in *.qcow2; do
		is 524288 "$(size "$image")"
		holds qcow2 "$image" 'read -P 5 0 64k' 'read -P 0 66048 446k'
		check "$image"
	done
	is 524288 "$(stat -c %s data.raw)"
}

make_resize_refused() {
	create image 3M
	create old 3M -o compat=0.10
	fill old.qcow2 'write -P 9 0 1M'
	qemu-img snapshot -c first old.qcow2
	create tiny 3M -o cluster_size=512
	cp image.qcow2 readonly.qcow2
	truncate -s 1M raw
	remember old.qcow2 tiny.qcow2 readonly.qcow2
}

case_resize_refused() {
	local size

	attach image.qcow2
	for size in 0 1 1000 -4M x 18446744073709551615 ''; do
		refuses "" qcowctl resize "$dev" "$size"
	done
	refuses "" qcowctl resize "$dev"
	refuses "too small for a disk" qcowctl resize "$dev" 4096T
	is 3145728 "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'write 0 3m 3'
	detach
	attach --offset 1M image.qcow2
	refuses "part of its image" qcowctl resize "$dev" 4M
	detach
	attach -r readonly.qcow2
	refuses "read-only" qcowctl resize "$dev" 4M
	detach
	refuses "no such device" qcowctl resize /dev/qcow99999 4M
	attach old.qcow2
	refuses "has snapshots" qcowctl resize "$dev" 4M
	detach
	attach tiny.qcow2
	refuses "in a row" qcowctl resize "$dev" 4G
	operate "$dev" 'read 0 3m 0'
	detach
	qcowctl resize -f raw raw 2M
	attach -f raw raw
	qcowctl resize "$dev" +1M
	operate "$dev" 'write 2m 1m 4' 'read 0 2m 0'
	qcowctl resize "$dev" -512k
	is 2621440 "$(blockdev --getsize64 "$dev")"
	detach
}

after_resize_refused() {
	check image.qcow2 old.qcow2
	holds qcow2 image.qcow2 'read -P 3 0 3M'
	is 2621440 "$(stat -c %s raw)"
}

# A filesystem grows into it, mounted.
make_resize_mounted() {
	create image 64M
}

case_resize_mounted() {
	attach image.qcow2
	mkfs.ext4 -q "$dev"
	mkdir -p $HERE/mnt
	mount "$dev" $HERE/mnt
	dd if=/dev/urandom of=$HERE/mnt/random bs=1M count=20 status=none
	qcowctl resize "$dev" 256M
	resize2fs "$dev" > /dev/null 2>&1
	[ "$(df --output=size -B1M $HERE/mnt | tail -1)" -gt 200 ] || fail "it did not grow"
	dd if=/dev/urandom of=$HERE/mnt/more bs=1M count=60 status=none
	sha256sum $HERE/mnt/random $HERE/mnt/more > sums
	umount $HERE/mnt
	mount "$dev" $HERE/mnt
	sha256sum --quiet -c sums || fail "files changed"
	umount $HERE/mnt
	fsck.ext4 -fn "$dev" > fsck.log 2>&1 || fail "$(cat fsck.log)"
	detach
}

# A disk is made smaller while it is written and discarded all over: requests on their way
# to sectors beyond the new end fail.
make_resize_raced() {
	create plain 16M
	qemu-img create -q -f qcow2 -o data_file=data.raw data.qcow2 16M
}

case_resize_raced() {
	local image pid i
	local fio=(fio --output=$HERE/fio.out --direct=1 --ioengine=libaio --iodepth=16
		   --size=16M --time_based --runtime=600
		   --continue_on_error=all --ignore_error=EIO:ENOSPC,EIO:ENOSPC,EIO:ENOSPC)

	for image in *.qcow2; do
		attach "$image"
		"${fio[@]}" --filename="$dev" --name=write --rw=randwrite --bs=4k \
			--name=trim --rw=randtrim --bs=768k &
		pid=$!
		for i in {1..5}; do
			qcowctl resize --force "$dev" 5M || fail "$image: smaller, $i"
			sleep 0.1
			qcowctl resize "$dev" 16M || fail "$image: larger, $i"
			sleep 0.1
		done
		kill -INT $pid
		wait $pid || true
		detach
	done
}
