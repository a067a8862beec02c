# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions of the tests that write, in the guest. Source it.
. "$QCOW_TOP/tests/lib/assert.sh"

BIN=/bin-under-test
# shellcheck disable=SC2034 # used by the scripts that source this
TREE=/tmp/tree
export PATH=$BIN:$PATH

# Programs in memory, the driver or nbd loaded
prepare() {
	mkdir -p $BIN
	mount -t tmpfs tmpfs $BIN
	cp "$QCOW_BUILT/qcowwrite" $BIN
	if [ "$QCOW_TARGET" = nbd ]; then
		mkdir -p /run/lock
		modprobe nbd max_part=0
	else
		cp "$QCOW_TOP/userspace/qcowctl" $BIN
		insmod "$QCOW_MODULE"
	fi
	# Images are mounted, and libcryptsetup needs it for some ciphers; here is no udev.
	modprobe loop
}

# pause SECONDS: sleep, but no process is started for it, which costs an emulated
# processor more than many cases do.
pause() {
	[ -n "${silence:-}" ] || exec {silence}<> <(:)
	read -rt "$1" -u "$silence" || true
}

# try_attach IMAGE [ARGUMENTS...]: sets dev, and disk: no other ever has its number.
try_attach() {
	dev=$(qcowctl attach "$@") || return
	read -r disk < "/sys/block/${dev#/dev/}/diskseq"
}

# attach IMAGE [ARGUMENTS...]: sets dev, too.
attach() {
	if [ "$QCOW_TARGET" = nbd ]; then
		dev=/dev/nbd0
		rm -f /run/nbd.pid
		qemu-nbd -f qcow2 --cache="${NBD_CACHE:-none}" --discard=unmap --detect-zeroes=off \
			--pid-file=/run/nbd.pid -c "$dev" "$1" || fail "attach $*"
		until [ -s /run/nbd.pid ] && [ "$(blockdev --getsz $dev)" != 0 ]; do
			pause 0.05
		done
	else
		try_attach "$@" || fail "attach $*"
	fi
}

# Is the device still there? Another may have its name by now.
stays() {
	local now=

	{ read -r now < "/sys/block/${dev#/dev/}/diskseq"; } 2> /dev/null || true
	[ "$disk" = "$now" ]
}

detach() {
	local pid

	if [ "$QCOW_TARGET" = nbd ]; then
		pid=$(cat /run/nbd.pid)
		qemu-nbd -d "$dev" > /dev/null
		while runs "$pid"; do
			pause 0.05
		done
	else
		qcowctl detach "$dev" || fail "detach"
	fi
}

# operate DEVICE OPERATION...: see do.c.
operate() {
	qcowwrite 'do' "$@"
}

# shows DEVICE REGEX: its image's name matches.
shows() {
	local image=

	read -r image < "/sys/block/$1/qcow/image" && [[ $image =~ $2 ]]
} 2> /dev/null

# remove_devices REGEX: those whose image's name matches. One that is about to go by
# itself is held, or another might have its name when it is its turn.
remove_devices() {
	local device

	for device in /sys/block/qcow*; do
		device=${device##*/}
		! shows "$device" "$1" || {
			shows "$device" "$1" && qcowctl detach --force "/dev/$device"
		} 8< "/dev/$device" || true
	done
}

# runs PID: a process that has not ended. Bash, in a pause, now and then no longer hears
# of children that end, until another program is started: the process is there then,
# and dead.
runs() {
	local stat=

	{ read -r stat < "/proc/$1/stat"; } 2> /dev/null && [[ $stat != *') Z '* ]]
}

# I/O that disks have not ended, and where the processes of qcowwrite wait
show_under_way() {
	local disk pid

	for disk in /sys/block/*; do
		echo "${disk##*/}: under way: $(tr -s ' ' < "$disk/inflight")" > /dev/kmsg
	done
	for pid in $(pgrep qcowwrite); do
		echo "qcowwrite $pid: $(grep State "/proc/$pid/status"), $(tr '\n' ' ' < "/proc/$pid/stack")" > /dev/kmsg
	done
} 2> /dev/null

# within SECONDS COMMAND...: kills a command that takes longer. If it cannot be killed,
# it is left behind, and the kernel log tells where it waits.
within() {
	local seconds=$1 end pid

	shift
	"$@" &
	pid=$!
	end=$((SECONDS + seconds))
	while runs $pid; do
		if [ $SECONDS -ge $end ]; then
			echo "not done after $seconds s: $*" | tee /dev/kmsg
			echo l > /proc/sysrq-trigger
			echo w > /proc/sysrq-trigger
			show_under_way
			kill -KILL $pid
			pause 1
			grep -qs '^State:.D' /proc/$pid/status && return 124
		fi
		pause 0.1
	done
	wait $pid
}

# all_gone: at the end of all parts no device is left, and the module unloads.
all_gone() {
	if [ "$QCOW_TARGET" != nbd ]; then
		[ -z "$(find /sys/block -name 'qcow*')" ] || fail "devices are left"
		rmmod qcow || fail "rmmod"
	fi
}
