# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# What the cases share. Source it.

IMAGES=/images
BIN=/bin-under-test
export PATH=$BIN:$PATH
# No udev here: libdevmapper makes the nodes itself.
export DM_DISABLE_UDEV=1

# Once for each guest: programs in memory, disks mounted.
prepare() {
	mkdir -p $BIN $IMAGES
	mount -t tmpfs tmpfs $BIN
	cp "$QCOW_BUILT/qcowtest" "$QCOW_TOP/userspace/qcowctl" $BIN
	mount -o ro,noatime /dev/vda $IMAGES
	sort /out/plan -o /tmp/plan
	modprobe -a loop dm-mod
}

planned() {
	grep -qxF "$1" /tmp/plan
}

# left_over: names what should be gone.
left_over() {
	find /sys/block -name 'qcow*' -printf '%f '
}

remove_devices() {
	local i

	for i in $(left_over); do
		umount "/dev/$i"* 2> /dev/null
	done
	qcowctl detach --force --all 2> /dev/null
}

# clean_up DIR: what cases leave mounted, mapped or stored.
clean_up() {
	local mountpoint

	while read -r mountpoint; do
		umount "$mountpoint"
	done < <(awk -v dir="$1" '{ print $2 }' /proc/mounts | grep "^$1/" | sort -r)
	losetup -D
	dmsetup remove_all
	rm -rf "$1"
}

fail() {
	echo "failed: $*"
	exit 1
}

# refuses PATTERN COMMAND...: exit code 1 and one line on stderr, which matches
refuses() {
	local pattern=$1 code=0

	shift
	"$@" > out 2> err || code=$?
	cat err
	[ $code -eq 1 ] || fail "exit code $code: $*"
	[ "$(wc -l < err)" = 1 ] || fail "not one line: $*"
	grep -qE "^qcowctl: .*$pattern" err || fail "no '$pattern'"
}

# is EXPECTED ACTUAL
is() {
	[ "$1" = "$2" ] || fail "expected '$1', got '$2'"
}

# attach ...: attaches, sets dev and index.
attach() {
	dev=$(qcowctl attach -r "$@") || fail "attach $*"
	index=${dev#/dev/qcow}
}

detach() {
	qcowctl detach "${1:-$dev}" || fail "detach ${1:-$dev}"
}

# same_content DEVICE REFERENCE
same_content() {
	cmp "$1" "$2" || fail "$1 is not $2"
}
