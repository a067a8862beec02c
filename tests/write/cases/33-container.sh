# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# In a container whose /dev is a tmpfs: a mount namespace of its own. There the kernel
# makes no nodes. A case is run there again, as inside_NAME.

# in_container NAME
in_container() {
	unshare --mount --propagation private bash "$here/case.sh" inside 33-container.sh "$1"
}

# A /dev and a /run as a container's engine makes them
enter() {
	. "$here/guest/lib.sh"
	mount -t tmpfs -o mode=755 tmpfs /dev
	mknod -m 666 /dev/null c 1 3
	mknod -m 666 /dev/zero c 1 5
	mknod -m 666 /dev/urandom c 1 9
	ln -s /proc/self/fd /dev/fd
	mkdir /dev/shm
	mount -t tmpfs tmpfs /run
}

# no_stale_nodes: those in /dev are of devices that are there, with their numbers. Other
# cases may have some, by numbers that were this one's before.
no_stale_nodes() {
	local node

	for node in /dev/qcow[0-9]*; do
		[ -e "$node" ] || continue
		is "$(cat "/sys/class/block/${node#/dev/}/dev")" \
			"$(printf '%d:%d' $(stat -c '0x%t 0x%T' "$node"))"
		is "660 root disk" "$(stat -c '%a %U %G' "$node")"
	done
}

# right_nodes PARTITIONS: $dev and so many partitions have their nodes.
right_nodes() {
	no_stale_nodes
	[ -b "$dev" ] || fail "$dev is not there"
	is "$1" "$(find /dev -maxdepth 1 -name "${dev#/dev/}p*" | wc -l)"
	is "$1" "$(find "/sys/block/${dev#/dev/}/" -maxdepth 1 -name "${dev#/dev/}p*" | wc -l)"
}

# soon COMMAND...: it does not wait ten seconds for an event that never comes.
soon() {
	local begin=${EPOCHREALTIME/./}

	"$@"
	[ $((${EPOCHREALTIME/./} - begin)) -lt 5000000 ] || fail "it waited: $*"
}

make_container_dev() {
	/usr/bin/python3 -B "$cases_here/../gpt.py" disk.raw 512
	qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2
	create plain 8M
	qemu-img convert -f raw -O qcow2 disk.raw parted.qcow2
	qemu-img snapshot -c parted parted.qcow2
	fill parted.qcow2 'write -z 0 1M' 'write -z 7M 1M'
	qemu-img snapshot -c bare parted.qcow2
}

case_container_dev() {
	in_container container-dev
}

# Nodes come and go with the devices.
inside_container_dev() {
	enter
	soon attach disk.qcow2
	right_nodes 1
	[ -c /dev/qcow-control ] || fail "no control node"
	is 600 "$(stat -c %a /dev/qcow-control)"
	operate "${dev}p1" 'write 0 64k 5' 'flush' 'read 0 64k 5'
	detach
	no_stale_nodes
	# The module was loaded anew, and has another number.
	rm /dev/qcow-control
	mknod /dev/qcow-control c 10 1
	# Somebody else detaches it, and the nodes stay until they are met again.
	attach disk.qcow2
	nsenter --mount=/proc/1/ns/mnt "$BIN/qcowctl" detach "$dev"
	[ -b "$dev" ] && [ -b "${dev}p1" ] || fail "the kernel removed a node in a tmpfs"
	attach plain.qcow2
	right_nodes 0
	nsenter --mount=/proc/1/ns/mnt "$BIN/qcowctl" detach "$dev"
	# Its number may be another case's disk by now: no disk has this one.
	mknod /dev/qcow99999 b "$(stat -c %Hr "$dev")" 1048575
	refuses 'no such' qcowctl detach /dev/qcow99999
	[ ! -e /dev/qcow99999 ] || fail "the node stays"
	no_stale_nodes
	attach plain.qcow2
	# It goes by itself, and its node is met later.
	qcowctl detach --lazy "$dev" 7< "$dev"
	while stays; do pause 0.05; done
	# Partitions that come and go with a snapshot
	attach parted.qcow2
	right_nodes 0
	qcowctl snapshot apply "$dev" parted
	right_nodes 1
	qcowctl snapshot apply "$dev" bare
	right_nodes 0
	qcowctl snapshot apply "$dev" parted
	qcowctl resize --force "$dev" 4M 2> /dev/null
	right_nodes "$(find "/sys/block/${dev#/dev/}/" -maxdepth 1 -name 'qcow*p*' | wc -l)"
	detach
	no_stale_nodes
}

make_container_forbidden() {
	/usr/bin/python3 -B "$cases_here/../gpt.py" disk.raw 512
	qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2
}

case_container_forbidden() {
	in_container container-forbidden
}

# Without CAP_MKNOD the device is attached all the same, and the way out is told.
inside_container_forbidden() {
	local say

	enter
	# The control node is made first.
	qcowctl list > /dev/null
	refuses 'not attached' qcowctl detach disk.qcow2
	[ -c /dev/qcow-control ] || fail "no control node"
	dev=$(soon setpriv --bounding-set -mknod qcowctl attach disk.qcow2 2> err) ||
		fail "attach without CAP_MKNOD: $(cat err)"
	[ ! -e "$dev" ] || fail "there is a node"
	is 1 "$(wc -l < err)"
	say=$(sed -nE "s|^qcowctl: $dev: attached, but .*run (mknod [^,]*), and likewise.*|\1|p" err)
	[ -n "$say" ] || fail "it says: $(cat err)"
	$say
	dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
	setpriv --bounding-set -mknod qcowctl detach "$dev"
	no_stale_nodes
	rm /dev/qcow-control
	refuses '/dev/qcow-control: .*container' setpriv --bounding-set -mknod qcowctl attach disk.qcow2
}

make_container_udev() {
	create image 1M
}

case_container_udev() {
	in_container container-udev
}

# Of a udev that has ended its socket is left. The kernel's nodes are there.
inside_container_udev() {
	. "$here/guest/lib.sh"
	mount -t tmpfs tmpfs /run
	mkdir /run/udev
	/usr/bin/python3 -c 'import socket
socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind("/run/udev/control")'
	soon attach image.qcow2
	detach
	enter
	mkdir /run/udev
	/usr/bin/python3 -c 'import socket
socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).bind("/run/udev/control")'
	soon attach image.qcow2
	right_nodes 0
	detach
}
