# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Space that is taken ahead of writes to new clusters: the cost of these writes on the
# disk below, and the return of the space.

# on NAME [MKFS ARGUMENTS...]: a new filesystem of that kind at $HERE/mnt; its disk is $loop
on() {
	local name=$1

	shift
	rm -f $HERE/disk
	truncate -s 400M $HERE/disk
	loop=$(losetup --show -f $HERE/disk)
	"mkfs.$name" -q "$@" "$loop"
	mkdir -p $HERE/mnt
	mount -t "$name" "$loop" $HERE/mnt
}

off() {
	umount $HERE/mnt
	losetup -d "$loop"
}

# Operations that write 4 KiB to each of NR clusters, in an order that is no sequence
scattered() { # NR
	local i

	for ((i = 0; i < $1; i++)); do
		echo "write $((i * 37 % $1 * 192 + 20))k 4k $((i % 200 + 1))"
	done
}

# Bytes that the disk below was told to write
bytes_below() {
	awk '{ print $7 * 512 }' "/sys/block/${loop#/dev/}/stat"
}

ext4_at_rest=(-E 'lazy_itable_init=0,lazy_journal_init=0')

make_small_writes_below() {
	create image 64M
}

# At most 1.5 bytes below for each byte written, with the metadata of the host's filesystem
# and of the image
case_small_writes_below() {
	local name before below operations

	mapfile -t operations < <(scattered 256)
	for name in ext4 xfs; do
		if [ $name = ext4 ]; then
			on ext4 "${ext4_at_rest[@]}"
		else
			on xfs
		fi
		cp --sparse=always image.qcow2 $HERE/mnt
		sync -f $HERE/mnt
		attach $HERE/mnt/image.qcow2
		before=$(bytes_below)
		operate "$dev" "${operations[@]}" flush
		below=$(($(bytes_below) - before))
		echo "$name: $below bytes below for $((256 * 4096))"
		[ $below -le $((256 * 4096 * 3 / 2)) ] || fail "$name: $below bytes below"
		detach
		cp --sparse=always $HERE/mnt/image.qcow2 $name.qcow2
		off
	done
}

make_small_writes_zeroing() {
	create image 64M
}

# A block device that makes zeros itself is written no more than that, either: zeros that
# were written to it would take blocks of the file below it.
case_small_writes_zeroing() {
	local operations used

	mapfile -t operations < <(scattered 256)
	# Zeros of the image are not written: the disk must have none of another case.
	rm -f $HERE/disk
	truncate -s 128M $HERE/disk
	loop=$(losetup --show -f $HERE/disk)
	dd if=image.qcow2 of="$loop" bs=64k conv=sparse,fsync status=none
	attach "$loop"
	operate "$dev" "${operations[@]}" flush
	detach
	blockdev --flushbufs "$loop"
	used=$(($(stat -c %b $HERE/disk) * 512))
	echo "$used bytes for $((256 * 4096))"
	[ $used -le $((256 * 4096 * 3 / 2)) ] || fail "$used bytes are used"
	dd if="$loop" of=left.qcow2 bs=1M count=64 conv=sparse status=none
	losetup -d "$loop"
}

make_space_returned() {
	create image 64M -o cluster_size=4096
}

# Space that was taken ahead and not used is given back at detach, also if it is not at the
# end of the file: the L1 table of a larger disk lies behind it.
case_space_returned() {
	local most used

	on ext4 "${ext4_at_rest[@]}"
	cp --sparse=always image.qcow2 $HERE/mnt
	attach $HERE/mnt/image.qcow2
	operate "$dev" 'write 0 40k 1' flush
	qcowctl resize "$dev" 256G
	detach
	sync -f $HERE/mnt
	used=$(($(stat -c %b $HERE/mnt/image.qcow2) * 512))
	# 1 MiB of L1 table, 10 clusters of data, and 64 clusters
	most=$(((1 << 20) * 105 / 100 + 74 * 4096))
	echo "$used bytes are used, $most would do"
	[ $used -le $most ] || fail "$used bytes are used, $most would do"
	cp --sparse=always $HERE/mnt/image.qcow2 left.qcow2
	off
}

make_run_does_not_fit() {
	create image 64M
}

# The host's filesystem has room for the data, but not for a run of clusters: nothing
# fails. When it is full, writes fail; with room they work again.
case_run_does_not_fit() {
	local room operations=() i

	on ext4 "${ext4_at_rest[@]}" -m 0
	cp --sparse=always image.qcow2 $HERE/mnt
	sync -f $HERE/mnt
	room=$(df --output=avail -B1 $HERE/mnt | tail -n1)
	fallocate -l $((room - (3 << 19))) $HERE/mnt/filler
	attach $HERE/mnt/image.qcow2
	for ((i = 0; i < 12; i++)); do
		operations+=("write ${i}m 4k $((i + 1))")
	done
	operate "$dev" "${operations[@]}" flush || fail "no space for what would fit"
	operate "$dev" 'write 16m 4m 50 =ENOSPC'
	rm $HERE/mnt/filler
	operate "$dev" 'write 16m 4m 51' flush "${operations[@]/write/read}" 'read 16m 4m 51'
	detach
	cp --sparse=always $HERE/mnt/image.qcow2 left.qcow2
	off
}
