# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# Functions of all cases. Source it.
. "$QCOW_TOP/tests/lib/assert.sh"

IMAGES=/images
BIN=/bin-under-test
export PATH=$BIN:$PATH
# No udev here: libdevmapper makes the nodes itself.
export DM_DISABLE_UDEV=1

declare -A plan

# Once for each guest: programs in memory, disks mounted.
prepare() {
	local name

	mkdir -p $BIN $IMAGES
	mount -t tmpfs tmpfs $BIN
	cp "$QCOW_BUILT/qcowtest" "$QCOW_TOP/userspace/qcowctl" $BIN
	# where mount(8) and umount(8) look for them
	cp "$QCOW_TOP/userspace/mount.qcow2" /sbin/
	ln -sf mount.qcow2 /sbin/umount.qcow2
	mount -o ro,noatime /dev/vda $IMAGES
	while read -r name; do
		plan[$name]=1
	done < /out/plan
	modprobe -a loop dm-mod
}

planned() {
	[ -n "${plan[$1]-}" ]
}

# left_over: names the devices that should be gone. It and clean_up start no program
# that they need not: they run after every case.
left_over() {
	local path

	for path in /sys/block/qcow*; do
		[ ! -e "$path" ] || printf '%s ' "${path##*/}"
	done
}

remove_devices() {
	local i

	for i in $(left_over); do
		umount "/dev/$i"* 2> /dev/null
	done
	qcowctl detach --force --all 2> /dev/null
}

# clean_up DIR: removes all that a case left mounted, mapped or stored.
clean_up() {
	local point points=()

	while read -r _ point _; do
		# A space is \040 there.
		printf -v point %b "$point"
		[[ $point != "$1"/* ]] || points=("$point" "${points[@]}")
	done < /proc/mounts
	[ ${#points[@]} -eq 0 ] || umount "${points[@]}"
	! compgen -G '/sys/block/loop*/loop' > /dev/null || losetup -D
	! compgen -G '/sys/block/dm-*' > /dev/null || dmsetup remove_all
	rm -rf "$1"
}

# attach ...: attaches, sets dev and index.
attach() {
	dev=$(qcowctl attach -r "$@") || fail "attach $*"
	index=${dev#/dev/qcow}
}

detach() {
	qcowctl detach "${1:-$dev}" || fail "detach ${1:-$dev}"
}
