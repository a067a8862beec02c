# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# A disk below that does not answer.

# list_says STATE: of the device
list_says() {
	local line

	line=$(qcowctl list -n -O STATE "$dev")
	[[ $line == *"$1"* ]] || fail "list says '$line', not '$1'"
}

# detach_hangs PATTERN [OPTION]: it says so after ten seconds; the device is going.
detach_hangs() {
	local start=$SECONDS

	refuses "$1" within 60 qcowctl detach "${@:2}" "$dev"
	[ $((SECONDS - start)) -ge 8 ] || fail "after $((SECONDS - start)) s already"
	list_says going
	[[ $(qcowctl list) == *going* ]] || fail "list without options"
	[[ $(qcowctl list -J "$dev") == *'"going"'* ]] || fail "list -J"
	# Opening it fails at once.
	within 20 dd if="$dev" of=/dev/null bs=4k count=1 2> opened && fail "it can be opened"
	grep -q 'No such device' opened
	others_live
}

# Another device comes and goes meanwhile.
others_live() {
	local going=$dev

	within 30 bash -c "qcowctl attach $PWD/other.qcow2 > other.dev" || fail "another attach"
	within 30 qcowctl detach "$(cat other.dev)" || fail "another detach"
	dev=$going
}

# It goes by itself.
goes() {
	local i

	for ((i = 0; i < 300; i++)); do
		stays || return 0
		pause 0.1
	done
	fail "it stays"
}

hang() {
	dmsetup suspend --noflush --nolockfs "$hanging"
}

answer() {
	dmsetup resume --noudevsync "$hanging"
}

make_detach_hangs() {
	create image 8M -o cluster_size=65536
	fill image.qcow2 'write -q -P 1 0 1M'
	create other 8M
}

case_detach_hangs() {
	local pid loop reads

	hanging=hanging$$
	truncate -s 32M lower
	loop=$(losetup -f --show lower)
	dmsetup create "$hanging" --noudevsync --table "0 $((32 << 11)) linear $loop 0"
	dmsetup mknodes "$hanging"
	dd if=image.qcow2 of="/dev/mapper/$hanging" bs=64k conv=fsync status=none

	# Requests under way: by force
	attach "/dev/mapper/$hanging"
	operate "$dev" 'read 0 4k 1' > /dev/null
	hang
	dd if="$dev" of=/dev/null bs=64k count=1 skip=1 iflag=direct 2> read.err &
	pid=$!
	until read -r reads _ < "/sys/block/${dev#/dev/}/inflight" && [ "$reads" -gt 0 ]; do
		pause 0.05
	done
	detach_hangs "waits for 1 request under way, to $hanging, which does not answer" --force
	answer
	goes
	wait $pid || fail "what was under way failed: $(cat read.err)"

	# What is left to be written: nobody has it open.
	attach "/dev/mapper/$hanging"
	dd if=/dev/zero of="$dev" bs=4k count=1 seek=1024 oflag=direct status=none
	hang
	detach_hangs "waits for its last writes to $hanging, which does not answer"
	refuses "waits for its last writes to" within 60 qcowctl detach --force "$dev"
	answer
	goes

	# All of it is there.
	dd if="/dev/mapper/$hanging" of=image.qcow2 bs=64k count=128 iflag=direct conv=sparse \
		status=none
	dmsetup remove --noudevsync --retry "$hanging"
	losetup -d "$loop"
	rm lower
}

after_detach_hangs() {
	check image.qcow2
	holds qcow2 image.qcow2 'read -P 1 0 1M' 'read -P 0 4M 4k'
}

make_detach_another() {
	create image 8M
}

# detach_diskseq NUMBER: prints how the ioctl ends, an error's name or nothing.
detach_diskseq() {
	/usr/bin/python3 -B - "${dev#/dev/qcow}" "$1" <<-'PYTHON'
		import errno, fcntl, struct, sys
		arg = struct.pack("IIiIQIIQ", 40, 0, int(sys.argv[1]), 0, 0, 0, 0, int(sys.argv[2]))
		try:
		    fcntl.ioctl(open("/dev/qcow-control", "rb+", 0), 0xfb01, arg)
		except OSError as e:
		    print(errno.errorcode[e.errno])
	PYTHON
}

# A number that another device has got by now
case_detach_another() {
	attach image.qcow2
	is ESTALE "$(detach_diskseq $((disk + 1)))"
	stays || fail "it was detached"
	is "" "$(detach_diskseq "$disk")"
	! stays || fail "it stays"
}
