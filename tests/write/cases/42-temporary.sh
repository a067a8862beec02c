# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Temporary devices: data that was written can be read, the image stays as it is, and
# nothing is left.

make_temporary() {
	create base 4M
	fill base.qcow2 'write -P 1 0 1M'
	create image 4M -b base.qcow2 -F qcow2
	fill image.qcow2 'write -P 2 1M 1M'
	qemu-img snapshot -c then image.qcow2
	qemu-img resize -q image.qcow2 6M
	fill image.qcow2 'write -P 3 1M 64k'
	truncate -s 3M image.raw
	io_does -f raw image.raw -- 'write -P 4 0 1M'
	printf 'pass of crypt' > crypt.key
	for ((i = 0; i < 100; i++)); do
		qemu-img create -q -f qcow2 --object secret,id=s,file=crypt.key -o \
			encrypt.format=luks,encrypt.iter-time=1,encrypt.key-secret=s crypt.qcow2 4M && break
	done
	remember base.qcow2 image.qcow2 image.raw crypt.qcow2
}

# free_blocks: of the filesystem of the folder tmp
free_blocks() {
	sync -f tmp
	stat -f -c %f tmp
}

# gone BLOCKS: nothing is left in tmp, and its space is free, but for a few blocks that
# the filesystem needs itself.
gone() {
	local i

	is "" "$(ls -A tmp | grep -v lost+found)"
	for ((i = 0; i < 100; i++)); do
		[ "$(free_blocks)" -lt $(($1 - 16)) ] || return 0
		pause 0.1
	done
	fail "blocks were free: $1, are: $(free_blocks)"
}

# sysfs NAME: an attribute of the device
sysfs() {
	cat "/sys/block/${dev#/dev/}/qcow/$1"
}

# used_by IMAGE ARGUMENTS...: of attach --temporary; the device is written, and says what
# it is.
used_by() {
	local image=$1 before

	before=$(free_blocks)
	attach --temporary=tmp "${@:2}" "$image"
	operate "$dev" 'write 0 64k 9' 'write 1200k 300k 8' 'flush' 'fua 2m 4k 7' \
		'zero 1m 16k' 'read 0 64k 9' 'read 1200k 300k 8' 'read 2m 4k 7' 'read 1m 16k 0' ||
		fail "$*"
	is 1 "$(sysfs temporary)"
	is "$PWD/$image" "$(sysfs image)"
	is "1 ${image##*.}" "$(qcowctl list -n -O TEMPORARY,FORMAT "$image" | xargs)"
	grep -q "$image (temporary)" <(qcowctl list "$image") || fail "$(qcowctl list)"
	is true "$(qcowctl info --json "$dev" | jq '.device.temporary // .temporary' -r)"
	is "" "$(ls -A tmp | grep -v lost+found)"
	[ "$(free_blocks)" -lt $((before - 64)) ] || fail "nothing was written to tmp"
	refuses "is temporary" qcowctl commit "$dev"
	refuses "is temporary" qcowctl stream "$dev"
	qcowctl detach "$image" || fail "detach $image"
	gone "$before"
}

case_temporary() {
	local lower=nullt$$

	mkdir tmp media
	null_disk $lower size=96
	mkfs.ext4 -q -O ^has_journal /dev/$lower
	mount /dev/$lower tmp

	# Media that cannot be written
	mount --bind . media
	mount -o remount,bind,ro media
	used_by media/image.qcow2
	used_by media/image.raw -f raw
	umount media
	used_by image.qcow2 --offset 512 --size-limit 3M

	# The current disk, twice at the same time, and the snapshot, which is smaller
	attach --temporary=tmp image.qcow2
	operate "$dev" 'read 0 1m 1' 'read 1m 64k 3' 'write 1m 64k 9'
	is 6291456 "$(blockdev --getsize64 "$dev")"
	first=$dev
	attach --temporary=tmp --snapshot then image.qcow2
	is 4194304 "$(blockdev --getsize64 "$dev")"
	is then "$(sysfs snapshot)"
	operate "$dev" 'read 0 1m 1' 'read 1m 1m 2' 'write 1m 4k 8' 'read 1m 4k 8' 'read 1028k 60k 2'
	operate "$first" 'read 1m 64k 9'
	refuses "in use" qcowctl attach image.qcow2
	detach
	qcowctl detach "$first"
	attach -r --snapshot then image.qcow2
	operate "$dev" 'read 1m 1m 2'
	detach
	refuses "no snapshot" qcowctl attach --temporary=tmp --snapshot nix image.qcow2

	# Data that is written over an encrypted image is encrypted in the overlay.
	attach --temporary=tmp --key-file crypt.key crypt.qcow2
	operate "$dev" 'read 0 4m 0' 'write 0 512k 0x58' 'read 0 512k 0x58' 'read 512k 1m 0'
	[ "$(free_blocks)" -gt 0 ]
	sync -f tmp
	blockdev --flushbufs /dev/$lower
	! grep -qa XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX /dev/$lower || fail "plain text in the overlay"
	detach
	printf wrong > wrong.key
	refuses "wrong passphrase" qcowctl attach --temporary=tmp --key-file wrong.key crypt.qcow2

	# Where it goes by itself, and when it cannot
	TMPDIR=$PWD/tmp attach --temporary image.qcow2
	before=$(free_blocks)
	operate "$dev" 'write 0 4m 5'
	[ "$(free_blocks)" -lt $((before - 512)) ] || fail "not in TMPDIR"
	qcowctl detach --force "$dev"
	refuses "nix: cannot hold a temporary file: No such file" qcowctl attach --temporary=nix image.qcow2
	refuses "leave out -r" qcowctl attach --temporary=tmp -r image.qcow2
	refuses "exclude each other" qcowctl attach --temporary=tmp --untrusted base.qcow2

	# A full filesystem fails the writes, and only those.
	attach --temporary=tmp image.qcow2
	head -c 200M /dev/zero > tmp/full 2> /dev/null || :
	operate "$dev" 'write 2m 1m 6 =ENOSPC' 'read 0 1m 1' || fail "full"
	detach
	rm tmp/full
	umount tmp
	null_disk_end $lower
}

after_temporary() {
	unchanged
}
