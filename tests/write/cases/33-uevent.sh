# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Events that the kernel sends to udev when a disk has changed.

# hear FILE: the kernel's events go to it, one a line, until "unhear". It listens now.
hear() {
	/usr/bin/python3 -B - "$1" <<-'PYTHON' &
		import socket, sys
		s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)
		s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
		s.bind((0, 1))
		with open(sys.argv[1], "w", buffering=1) as out:
		    print("listening", file=out)
		    while True:
		        print(" ".join(w.decode(errors="replace") for w in s.recv(8192).split(b"\0")), file=out)
	PYTHON
	hearing=$!
	until [ -s "$1" ]; do
		runs $hearing || fail "nobody listens"
		pause 0.05
	done
}

unhear() {
	pause 0.2
	kill $hearing
	wait $hearing 2> /dev/null || true
}

# told FILE WORD: of the disk
told() {
	grep -q "^change@/devices/virtual/block/${dev#/dev/} .* $2 " "$1"
}

make_uevent_applied() {
	create image 8M
	fill image.qcow2 'write -P 1 0 8M'
	qemu-img snapshot -c first image.qcow2
}

# A disk to which a snapshot was applied is another medium, with another diskseq; no other
# change of a disk makes it one.
case_uevent_applied() {
	local before after

	attach image.qcow2
	operate "$dev" 'write 0 64k 9'
	hear plain
	qcowctl snapshot create "$dev" second
	qcowctl snapshot delete "$dev" second
	unhear
	! told plain DISK_MEDIA_CHANGE=1 || fail "a snapshot is no other medium"
	read -r before < "/sys/block/${dev#/dev/}/diskseq"
	hear applied
	qcowctl snapshot apply "$dev" first
	read -r after < "/sys/block/${dev#/dev/}/diskseq"
	unhear
	[ "$after" -gt "$before" ] || fail "disk $before is disk $after"
	cat applied
	told applied DISK_MEDIA_CHANGE=1 || fail "no media change"
	told applied "DISKSEQ=$after" || fail "nobody is told of disk $after"
	operate "$dev" 'read 0 8m 1'
	detach
}

# --- Events of the driver ---

# events FILE: those of the disk, with the driver's variables, one a line
events() {
	grep "^change@/devices/virtual/block/${dev#/dev/} " "$1" | grep -oE 'QCOW_EVENT=[^ ]+( QCOW_STOPPED=[01])?'
}

make_uevent_corrupt() {
	create broken 8M
	fill broken.qcow2 'write -P 1 0 1M'
	craft broken.qcow2 'l2e[8] += 512' 'l2e[9] += 512' 'l2e[10] += 512'
	cp broken.qcow2 hidden.qcow2
	cp "$cases_here/../../../userspace/udev/60-qcow.rules" .
}

# by_rules FILE: prints the properties that udev's rules give to an event of the driver for
# this disk, on which a filesystem was found before.
by_rules() {
	local name=${dev#/dev/} number rules=/run/udev/rules.d

	read -r number < "/sys/block/$name/dev"
	mkdir -p $rules /run/udev/data
	cp 60-qcow.rules $rules/
	echo "KERNEL==\"$name\", ENV{QCOW_EVENT}=\"corrupt\"" > $rules/59-event.rules
	printf 'E:%s\n' ID_FS_TYPE=ext4 ID_FS_USAGE=filesystem ID_FS_UUID=1111-2222 ID_FS_UUID_ENC=1111-2222 \
		> "/run/udev/data/b$number"
	udevadm test --action=change "/sys/block/$name" > "$1" 2>&1
	rm -r /run/udev
}

# However much damage an image has, nobody is told of it more than once.
case_uevent_corrupt() {
	attach -r broken.qcow2
	hear read
	operate "$dev" 'read 512k 4k 1 =EIO' 'read 576k 4k 1 =EIO' 'read 640k 4k 1 =EIO' 'read 0 64k 1'
	unhear
	is "QCOW_EVENT=corrupt QCOW_STOPPED=0" "$(events read)"
	grep -q 'QCOW_EVENT=.* DISKSEQ=[1-9]' read || fail "which disk is it?"
	detach
	attach broken.qcow2
	hear written
	operate "$dev" 'write 512k 4k 1 =EIO' 'write 576k 4k 1 =EIO' 'read 0 4k 1 =EIO' 'flush =EIO'
	unhear
	is "QCOW_EVENT=corrupt QCOW_STOPPED=1" "$(events written)"
	# Nothing can be read any more, and the links stay.
	by_rules rules
	has '^ID_FS_TYPE=ext4$' rules
	has '^DEVLINKS=(.* )?/dev/disk/by-uuid/1111-2222( |$)' rules
	hear detached
	qcowctl detach "$dev" || true
	unhear
	is "" "$(events detached)"
	# An image that is changed without a device in /dev
	hear hidden
	qcowctl resize hidden.qcow2 256k || true
	unhear
	! grep QCOW_EVENT hidden || fail "an event of a device that cannot be seen"
}

after_uevent_corrupt() {
	grep -q 'corrupt: true' <(qemu-img info broken.qcow2)
	grep -q 'corrupt: true' <(qemu-img info hidden.qcow2)
}

make_uevent_full() {
	create image 4M -o cluster_size=64k
}

# One event while writes fail, and none when there is space again. A flush that fails is
# another one.
case_uevent_full() {
	local i

	mkdir -p full
	mount -t tmpfs -o size=1024k tmpfs full
	cp --sparse=always image.qcow2 full/image
	attach full/image
	hear full.log
	operate "$dev" 'write 0 4m 7 =ENOSPC'
	for i in 1 2 3; do
		operate "$dev" "write ${i}m 1m 7 =ENOSPC"
	done
	mount -o remount,size=64m full
	operate "$dev" 'write 0 4m 7' 'flush'
	unhear
	is "QCOW_EVENT=full" "$(events full.log)"
	detach
	umount full

	null_disk "event$$" size=16
	dd if=image.qcow2 of="/dev/event$$" bs=64k status=none
	mapped "event$$" "0 32768 linear /dev/event$$ 0"
	attach "/dev/mapper/event$$"
	hear lost
	caches_kept operate "$dev" 'write 0 4k 5' "run dmsetup suspend --noflush --nolockfs event$$ && dmsetup load event$$ --table '0 32768 error' && dmsetup resume --noudevsync event$$" \
		'flush =EIO' 'flush =EIO'
	unhear
	is "QCOW_EVENT=sync-failed" "$(events lost)"
	table "event$$" "0 32768 linear /dev/event$$ 0"
	operate "$dev" 'flush' 'read 0 4k 5'
	detach
	dmsetup remove --noudevsync --retry "event$$"
	null_disk_end "event$$"
}
