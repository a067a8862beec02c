# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# The targets of a benchmark guest: attaching an image as each of them, and what
# each of them can do. Sourced by init; the variable target names one.

# 64 bytes in hexadecimal
crypt_key=$(seq -s '' 1000000 1000018 | cut -c1-128)

# attach_TARGET NAME: attaches the image NAME of the current folder, given without its
# suffix, and sets dev to the device or file for fio. It is attached for reading only
# unless readonly is empty.
readonly=yes

attach_file() {
	dev=$PWD/$1.raw
}

detach_file() { :; }

attach_loop() {
	dev=/dev/loop0
	/usr/sbin/losetup ${readonly:+-r} "$dev" "$1.raw"
}

attach_loop_direct() {
	dev=/dev/loop0
	/usr/sbin/losetup ${readonly:+-r} --direct-io=on "$dev" "$1.raw"
}

detach_loop() {
	/usr/sbin/losetup -d "$dev"
}

detach_loop_direct() {
	detach_loop
}

# Encrypted by the kernel, on a raw file; its data is garbage.
attach_dm_crypt() {
	attach_loop_direct "$1"
	dmsetup create ${readonly:+-r} --noudevsync --noudevrules crypt --table \
		"0 $(cat /sys/block/loop0/size) crypt aes-xts-plain64 $crypt_key 0 $dev 0" &&
		dmsetup mknodes crypt
	dev=/dev/mapper/crypt
}

detach_dm_crypt() {
	dmsetup remove --noudevsync --noudevrules --retry crypt
	dev=/dev/loop0
	detach_loop
}

attach_nbd() {
	dev=/dev/nbd0
	if [ "$1" = luks ]; then
		set -- --object secret,id=k,data=bench --image-opts \
			driver=qcow2,encrypt.key-secret=k,file.filename=luks.qcow2
	else
		set -- -f qcow2 "$1.qcow2"
	fi
	qemu-nbd ${readonly:+-r} --cache=none --aio=native --discard=unmap -c "$dev" "$@" &
	for _ in $(seq 50); do
		[ "$(cat /sys/block/nbd0/size)" -eq 0 ] || return 0
		sleep 0.1
	done
	return 1
}

detach_nbd() {
	qemu-nbd -d "$dev" > /dev/null
	wait
}

# QEMU's storage daemon, over VDUSE where the kernel has that: a virtio disk. Elsewhere over
# FUSE, as a file of the disk's bytes that loop makes a device of.
attach_daemon() {
	local driver=file writable=on read_only=off way

	[ ! "$readonly" ] || writable=off read_only=on
	[ ! -b "$1.qcow2" ] || driver=host_device
	if [ -e /dev/vduse/control ]; then
		way="vduse-blk,name=bench"
		dev=/dev/vda
	else
		way="fuse,mountpoint=/tmp/exported"
		dev=/dev/loop0
		: > /tmp/exported
	fi
	qemu-storage-daemon --blockdev "driver=qcow2,node-name=n,read-only=$read_only,\
discard=unmap,cache.direct=on,file.driver=$driver,file.filename=$1.qcow2,file.aio=native,\
file.cache.direct=on,file.discard=unmap" \
		--export "$way,id=e,node-name=n,writable=$writable" &
	daemon=$!
	for _ in $(seq 50); do
		! appeared || return 0
		sleep 0.1
	done
	return 1
}

# appeared: the daemon exports the disk, and the kernel shows it.
appeared() {
	if [ $dev = /dev/vda ]; then
		[ -b $dev ] || vdpa dev add name bench mgmtdev vduse
	else
		grep -q ' /tmp/exported fuse' /proc/mounts &&
			/usr/sbin/losetup ${readonly:+-r} --direct-io=on $dev /tmp/exported
	fi 2> /dev/null
}

detach_daemon() {
	if [ $dev = /dev/vda ]; then
		vdpa dev del bench
	else
		/usr/sbin/losetup -d $dev
	fi
	kill $daemon
	wait $daemon
}

# "map" is a map of flat.raw.
attach_qcow() {
	if [ "$1" = map ]; then
		dev=$(qcowwrite map -r /tmp/table flat.raw)
		return
	fi
	dev=$(printf bench | qcowctl attach ${readonly:+-r} \
		$([ "$1" != luks ] || echo --key-file -) "$1.qcow2" | grep -o '/dev/qcow[0-9]*')
}

detach_qcow() {
	qcowctl detach "$dev" > /dev/null
}

image_suffix() {
	case $target in
	nbd | daemon | qcow) echo qcow2 ;;
	*) echo raw ;;
	esac
}

# The image for a workload: targets that cannot read qcow2 read the same bytes
# from a raw file.
image_of() {
	case $target in
	nbd | daemon | qcow) echo "$1" ;;
	*) echo flat ;;
	esac
}

has_backing() {
	[ "$(image_suffix)" = qcow2 ]
}

has_encryption() {
	case $target in
	nbd | qcow | dm_crypt) return 0 ;;
	esac
	return 1
}

# The image for a workload: dm-crypt has the same bytes, encrypted or not.
encrypted_image() {
	case $target in
	dm_crypt) echo flat ;;
	*) echo luks ;;
	esac
}

# fio discards from block devices only.
has_discard() {
	[ "$target" != file ]
}
