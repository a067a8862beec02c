# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# qcow-shutdown, in a root of its own with the devices of this case alone.

# shutdown_root: makes a folder "root" that is for a chroot. Its /sys/block has $dev's name
# and those that show_device adds.
shutdown_root() {
	local file

	mkdir root
	mount -t tmpfs -o mode=755 tmpfs root
	mkdir -p root/{proc,run,dev,sys,host,dead,guest}
	# The root becomes read-only.
	mount -t tmpfs tmpfs root/sys
	mkdir -p root/sys/{real,block,class/block}
	mount -t proc proc root/proc
	mount -t sysfs sysfs root/sys/real
	cp -a /dev/null /dev/qcow-control root/dev
	ldd "$QCOW_TOP/userspace/qcow-shutdown" | grep -o '/[^ ]*' | while read -r file; do
		install -D "$file" "root$file"
	done
	cp "$QCOW_TOP/userspace/qcow-shutdown" root/
}

# show_device NAME
show_device() {
	ln -s "../real/block/$1" "root/sys/block/$1"
	ln -s "../../real/block/$1" "root/sys/class/block/$1"
	[ -b "root/dev/$1" ] || cp -a "/dev/$1" root/dev/
}

# hide_gone PID: as sysfs does, while the process runs.
hide_gone() {
	local link

	while runs "$1"; do
		for link in root/sys/block/* root/sys/class/block/*; do
			[ -e "$link" ] || rm -f "$link"
		done
		pause 0.2
	done
}

make_shutdown_dead() {
	mkdir host dead empty
	create first 8M
	create lost 8M
	mke2fs -q -t ext4 -d empty guest.raw 8M
	qemu-img convert -f raw -O qcow2 guest.raw guest.qcow2
	mv first.qcow2 guest.qcow2 host/
	mv lost.qcow2 dead/
	mke2fs -q -t ext4 -d host host.img 48M
	mke2fs -q -t ext4 -d dead dead.img 32M
	rm -r guest.raw host dead empty
}

case_shutdown_dead() {
	unshare --mount --propagation private bash "$here/case.sh" inside 57-shutdown.sh shutdown-dead
}

# A filesystem that has nothing to do with it does not answer, and one that holds an image.
# Everything else is written, unmounted and detached, by force where a mapped disk lies on
# a device.
inside_shutdown_dead() {
	local host dead first pid late code=0 name=dead$$ upper=upper$$

	. "$here/guest/lib.sh"
	shutdown_root
	host=$(losetup -f --show host.img)
	dead=$(losetup -f --show dead.img)
	mapped $name "0 $((32 << 11)) linear $dead 0"
	mount "$host" root/host
	mount /dev/mapper/$name root/dead
	attach root/dead/lost.qcow2
	show_device "${dev#/dev/}"
	attach root/host/first.qcow2
	first=$dev
	show_device "${dev#/dev/}"
	mapped $upper "0 $((8 << 11)) linear $first 0"
	exec 9<> /dev/mapper/$upper
	show_device "dm-$(dmsetup info -c --noheadings -o minor $upper)"
	attach root/host/guest.qcow2
	show_device "${dev#/dev/}"
	mount "$dev" root/guest
	dd if=/dev/zero of=root/dead/dirty bs=64k count=20 status=none
	dd if=/dev/urandom of=data bs=64k count=40 status=none
	cp data root/guest/data
	dmsetup suspend --noflush --nolockfs $name

	chroot root /qcow-shutdown poweroff > log 2>&1 9>&- &
	pid=$!
	hide_gone $pid 9>&- &
	# Before the kernel would write it by itself
	(pause 15; dd if=data of=/dev/fd/9 bs=64k status=none) &
	late=$!
	for ((i = 0; i < 900; i++)); do
		! grep -qs 'by force' log || [ -e "/sys/block/${first#/dev/}/qcow" ] || break
		runs $pid || break
		pause 0.1
	done
	runs $pid || fail "it did not wait for the filesystem, or ended early: $(cat log)"
	wait $late || fail "the late write"
	dmsetup resume --noudevsync $name
	wait $pid || code=$?
	cat log
	has '^qcow-shutdown: unmount of /dead: takes long; going on without it' log
	has "^qcow-shutdown: $first: is still in use, detaching it by force" log
	is 0 $code
	is "" "$(findmnt -rno TARGET | grep -E "$PWD/root/(host|dead|guest)")"
	exec 9>&-
	dmsetup remove --noudevsync --retry $upper
	dmsetup remove --noudevsync --retry $name
	e2fsck -fn "$host" > fsck.log || fail "$(cat fsck.log)"
	mount -o ro "$host" root/host
	cp root/host/*.qcow2 .
	umount root/host
	losetup -d "$host" "$dead"
	rm dead.img host.img
	umount -R root
}

after_shutdown_dead() {
	check ./*.qcow2
	qemu-img convert -O raw guest.qcow2 guest.raw
	e2fsck -fn guest.raw > fsck.log || fail "$(cat fsck.log)"
	debugfs -R 'dump /data guest.data' guest.raw 2> /dev/null
	same_content data guest.data
	qemu-img convert -O raw first.qcow2 first.raw
	cmp -n "$(stat -c %s data)" data first.raw || fail "what was written to the mapped disk"
}
