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
