# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Block devices below images: a user of one keeps it, and so does the driver.

# disk_of FILE: sets loop, a disk of it with its partitions.
disk_of() {
	loop=$(losetup -P -f --show "$1")
}

# busy COMMAND...: the kernel refuses it.
busy() {
	! "$@" > busy.log 2>&1 || fail "it works: $*"
	grep -qi 'busy\|in use\|mounted' busy.log || fail "$* says: $(cat busy.log)"
}

# keeps DEVICE: nobody else gets it.
keeps() {
	busy mkfs.ext4 -q -F "$1"
	busy mount "$1" $HERE/mnt
	busy mkswap "$1"
}

# is_free DEVICE: it can be had at once.
is_free() {
	qcowwrite claim "$1" || fail "$1 is still claimed"
}

make_claim_disk() {
	truncate -s 32M disk
	printf 'label: dos\nsize=16MiB\nsize=8MiB\n' | sfdisk -q disk
}

case_claim_disk() {
	mkdir -p $HERE/mnt
	disk_of disk
	mkfs.ext4 -q "${loop}p1"
	mount "${loop}p1" $HERE/mnt
	exits 1 "  ${loop}p1 mounted on $HERE/mnt" qcowctl attach -f raw "$loop"
	has 'attach it read-only with -r' err
	exits 1 "  ${loop}p1 mounted on $HERE/mnt" qcowctl attach -f raw "${loop}p1"
	# Nobody has the other partition.
	attach -f raw "${loop}p2"
	busy mkswap "${loop}p2"
	detach
	is_free "${loop}p2"
	# To look at a disk that others use
	for node in "$loop" "${loop}p1"; do
		attach -r -f raw "$node" 2> err
		grep -q "$node: is in use (${loop}p1 mounted on $HERE/mnt), so its data may change while it is read" err ||
			fail "it says $(cat err)"
		detach
	done
	umount $HERE/mnt
	mkswap "${loop}p2" > log
	swapon "${loop}p2"
	exits 1 "  ${loop}p2 used as swap" qcowctl attach -f raw "$loop"
	swapoff "${loop}p2"
	mapped "held$$" "0 2048 linear $loop 0"
	exits 1 "  $loop used by /dev/dm-[0-9]* .held$$." qcowctl attach -f raw "$loop"
	dmsetup remove --noudevsync --retry "held$$"

	# Ours
	attach -f raw "$loop"
	keeps "${loop}p1"
	keeps "$loop"
	exits 1 "in use" qcowctl attach -f raw "$loop"
	exits 1 "in use" qcowctl attach -r -f raw "$loop"
	exits 1 "in use" qcowctl attach -f raw "${loop}p1"
	exits 1 "in use" qcowctl attach -r -f raw "${loop}p1"
	detach
	is_free "$loop"
	mount "${loop}p1" $HERE/mnt || fail "mount after detach"
	umount $HERE/mnt
	attach -f raw "$loop"
	exec 7< "$dev"
	qcowctl detach --lazy "$dev"
	keeps "${loop}p1"
	exec 7<&-
	for _ in {1..100}; do
		! stays || pause 0.1
	done
	is_free "$loop"

	# Any number of readers, and nobody else
	attach -r -f raw "$loop"
	first=$dev
	attach -r -f raw "$loop"
	second=$dev
	attach -r -f raw "${loop}p1"
	keeps "$loop"
	exits 1 "in use" qcowctl attach -f raw "$loop"
	exits 1 "in use" qcowctl attach -f raw "${loop}p1"
	detach
	dev=$first detach
	keeps "$loop"
	exits 1 "in use" qcowctl attach -f raw "$loop"
	dev=$second detach
	is_free "$loop"
	attach -f raw "$loop"
	detach

	# Its guest may have written the header of an image that names a file of the host
	truncate -s 1M named
	qcowctl create -f qcow2 -b "$PWD/named" -F raw naming.qcow2
	dd if=naming.qcow2 of="$loop" bs=64k conv=notrunc,fsync status=none
	exits 1 "its backing file .*/named. is not opened.* -f qcow2" qcowctl attach "$loop"
	is_free "$loop"
	attach -f qcow2 "$loop"
	detach
	losetup -d "$loop"
}

after_claim_disk() {
	:
}

make_claim_chain() {
	truncate -s 8M disk base data
	create one 8M -b base -F raw
	create two 8M -b base -F raw
	fill one.qcow2 'write -P 5 0 1M'
	qemu-img create -q -f qcow2 -o data_file=data data.qcow2 8M
	rm base data
}

# Backing files that are read by several, written by a commit; data files
case_claim_chain() {
	mkdir -p $HERE/mnt
	disk_of disk
	ln -s "$loop" base
	attach one.qcow2
	one=$dev
	keeps "$loop"
	attach two.qcow2
	two=$dev
	refuses "is in use by $two" qcowctl commit "$one"
	operate "$one" 'read 0 1m 5' 'read 1m 7m 0'
	keeps "$loop"
	dev=$two detach
	qcowctl commit "$one" || fail "commit"
	# It is only read again.
	keeps "$loop"
	attach two.qcow2
	operate "$dev" 'read 0 1m 5'
	refuses "in use" qcowctl attach -f raw "$loop"
	detach
	operate "$one" 'read 0 1m 5'
	dev=$one detach
	is_free "$loop"
	operate "$loop" 'read 0 1m 5'

	ln -s "$loop" data
	attach data.qcow2
	keeps "$loop"
	refuses "in use" qcowctl attach -f raw "$loop"
	refuses "in use" qcowctl attach one.qcow2
	detach
	is_free "$loop"
	attach -r data.qcow2
	first=$dev
	attach -r data.qcow2
	keeps "$loop"
	detach
	dev=$first detach
	is_free "$loop"
	losetup -d "$loop"
}

after_claim_chain() {
	check one.qcow2
}

make_claim_file() {
	create image 4M
	fill image.qcow2 'write -P 5 0 1M'
	qemu-img bitmap --add image.qcow2 b
	create over 4M -b image.qcow2 -F qcow2
}

# On filesystems without locks nothing but the driver keeps two attaches at the same
# moment from each other.
case_claim_file() {
	qcowwrite twice image.qcow2 20 || fail "twice"
	# It is free again, and readers share it.
	attach over.qcow2
	over=$dev
	attach -r image.qcow2
	operate "$over" 'read 0 1m 5'
	refuses 'in use' qcowctl commit "$over"
	detach
	qcowctl commit "$over" || fail "commit"
	attach -r image.qcow2
	detach
	dev=$over detach
	attach image.qcow2
	operate "$dev" 'read 0 1m 5' 'write 1m 64k 6' 'flush'
	detach
}

after_claim_file() {
	check image.qcow2 over.qcow2
	is 1 "$(qemu-img info --output=json image.qcow2 |
		jq '[."format-specific".data.bitmaps[] | select(.flags == ["auto"])] | length')"
}
