# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Volumes and files below an image that get another size while it is attached.

# volume MIB: the mapped disk has so many from now on.
volume() {
	mapped bad "0 $(($1 << 11)) linear /dev/vdb 0"
}

# volume_end FILE: copies the volume's content to FILE, and removes it
volume_end() {
	dmsetup remove --noudevsync --retry bad
	blockdev --flushbufs /dev/vdb
	dd if=/dev/vdb of="$1" bs=1M count=24 iflag=direct conv=sparse status=none
}

# on_volume FILE MIB
on_volume() {
	dd if="$1" of=/dev/vdb bs=1M conv=fsync status=none
	volume "$2"
}

make_volume_extended() {
	create image 16M -o cluster_size=4k
	create wide 16M -o cluster_size=64k
	create old 16M -o compat=0.10,cluster_size=4k
	create refs 4M -o cluster_size=512,refcount_bits=64
	qemu-img create -q -f qcow one.qcow 16M
	create base 16M -o cluster_size=64k
	create top 16M -b base.qcow2 -F qcow2 -o cluster_size=64k
	fill top.qcow2 'write -P 3 0 12M'
}

# It is full, is extended, and goes on: writes, tables, and flushes.
case_volume_extended() {
	local image again

	for image in image wide old refs one; do
		again=15m
		case $image in
		refs)	on_volume refs.qcow2 2
			again=3m ;;
		one)	on_volume one.qcow 1 ;;
		*)	on_volume $image.qcow2 6 ;;
		esac
		attach /dev/mapper/bad
		case $image in
		refs)	operate "$dev" 'write 0 2m 5 =ENOSPC' 'flush' ;;
		*)	operate "$dev" 'write 0 64k 5 ?ENOSPC' 'write 1m 7m 6 =ENOSPC' 'flush' ;;
		esac
		# Twice: it is looked at each time.
		operate "$dev" "write $again 640k 6 =ENOSPC" 'flush'
		volume 24
		operate "$dev" 'write 0 4m 7' 'flush' 'read 0 4m 7' || fail "$image: after that"
		[ $image = refs ] || operate "$dev" 'write 9m 4m 8' 'flush' 'read 9m 4m 8'
		detach
		volume_end left-$image.qcow2
	done
	mv left-one.qcow2 left.qcow
	# The backing file of a commit
	on_volume base.qcow2 4
	qemu-img rebase -u -f qcow2 -b /dev/mapper/bad -F qcow2 top.qcow2
	attach top.qcow2
	refuses '[Nn]o space' qcowctl commit "$dev"
	volume 24
	qcowctl commit "$dev" || fail "commit, after that"
	detach
	volume_end left-base.qcow2
	qemu-img rebase -u -f qcow2 -b base.qcow2 -F qcow2 top.qcow2
}

after_volume_extended() {
	local image

	check left-{image,wide,old,refs}.qcow2
	for image in left-{image,wide,old}.qcow2; do
		holds qcow2 $image 'read -P 7 0 4M' 'read -P 8 9M 4M'
	done
	holds qcow2 left-refs.qcow2 'read -P 7 0 4M'
	holds qcow left.qcow 'read -P 7 0 4M' 'read -P 8 9M 4M'
	check_leaks left-base.qcow2
	holds qcow2 left-base.qcow2 'read -P 3 0 12M'
}

make_volume_shrunk() {
	create image 16M -o cluster_size=4k
	fill image.qcow2 'write -P 5 0 2M'
}

# A volume is smaller for a while: nothing is written behind its end, where another volume
# may lie, and the clusters before it read. With its old size it is as it was.
case_volume_shrunk() {
	local i

	on_volume image.qcow2 24
	dd if=/dev/zero bs=1M count=16 status=none | tr '\0' '\252' > mark
	dd if=mark of=/dev/vdb bs=1M seek=8 oflag=direct status=none
	attach /dev/mapper/bad
	operate "$dev" 'write 2m 2m 6' 'flush'
	volume 8
	# One request, which takes all that is left; of several nobody knows which got it.
	operate "$dev" 'write 4m 4m 7 =ENOSPC' 'flush' 'read 0 2m 5' 'read 2m 2m 6'
	for i in 1 2 3; do
		operate "$dev" "write 1${i}m 1m 7 =ENOSPC" 'flush'
	done
	cmp -n 16777216 /dev/vdb mark 8388608 0 || fail "it was written behind its end"
	volume 24
	operate "$dev" 'write 4m 12m 8' 'flush' 'read 0 2m 5' 'read 2m 2m 6' 'read 4m 12m 8'
	detach
	volume_end left.qcow2
}

after_volume_shrunk() {
	check left.qcow2
	holds qcow2 left.qcow2 'read -P 5 0 2M' 'read -P 6 2M 2M' 'read -P 8 4M 12M'
}

make_volume_raw() {
	truncate -s 4M file.raw
	create image 4M
}

# A raw image is as large as its volume when somebody says so.
case_volume_raw() {
	dd if=/dev/zero bs=1M count=24 status=none | tr '\0' '\11' | dd of=/dev/vdb bs=1M oflag=direct status=none
	volume 8
	attach -f raw /dev/mapper/bad
	volume 16
	is 8388608 "$(blockdev --getsize64 "$dev")"
	refuses 'block device of 16777216 bytes.*max' qcowctl resize "$dev" 12M
	qcowctl resize "$dev" max || fail "max"
	is 16777216 "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'read 0 16m 9' 'write 15m 1m 4' 'flush' 'read 15m 1m 4'
	volume 24
	qcowctl resize "$dev" || fail "without a size"
	is 25165824 "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'read 16m 8m 9'
	# Smaller again: reads behind the end fail, and give no zeros.
	volume 16
	operate "$dev" 'read 16m 1m 0 =EIO' 'read 15m 1m 4'
	exits 1 'is in use' qcowctl resize "$dev" max 8< "$dev"
	is 25165824 "$(blockdev --getsize64 "$dev")"
	qcowctl resize "$dev" max
	is 16777216 "$(blockdev --getsize64 "$dev")"
	volume 12
	qcowctl resize --force "$dev" max 8< "$dev"
	is 12582912 "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'read 0 12m 9' 'write 0 12m 2' 'flush'
	volume 24
	qcowctl resize "$dev" 24M || fail "the size that it has"
	operate "$dev" 'read 0 12m 2' 'read 12m 3m 9' 'read 15m 1m 4' 'read 16m 8m 9'
	detach
	dmsetup remove --noudevsync --retry bad

	attach -f raw file.raw
	truncate -s 6000000 file.raw
	qcowctl resize "$dev" || fail "a file"
	is 6000128 "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'write 4m 1m 3' 'read 5242880 757248 0' 'flush'
	truncate -s 0 file.raw
	refuses 'empty' qcowctl resize --force "$dev" max
	truncate -s 5m file.raw
	qcowctl resize "$dev" max || fail "a shorter file"
	is 5242880 "$(blockdev --getsize64 "$dev")"
	detach

	attach image.qcow2
	refuses 'is no raw image.*give a size' qcowctl resize "$dev" max
	detach
	attach --offset 1M -f raw file.raw
	refuses 'a part of its image' qcowctl resize "$dev" max
	detach
}
