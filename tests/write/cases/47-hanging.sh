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

# now: milliseconds
now() {
	echo $((${EPOCHREALTIME/./} / 1000))
}

# timed FILE COMMAND...: how many milliseconds it takes
timed() {
	local begin

	begin=$(now)
	"${@:2}"
	echo $(($(now) - begin)) > "$1"
}

# detach_hangs PATTERN [OPTION]: it says so after ten seconds, as a sleep beside it takes
# them; the device is going. Nothing else is held up meanwhile.
detach_hangs() {
	local detaching sleeping took ten

	timed ten sleep 10 &
	sleeping=$!
	(timed took refuses "$1" within 60 qcowctl detach "${@:2}" "$dev") &
	detaching=$!
	not_held_up $detaching
	wait $detaching || fail "detach"
	wait $sleeping
	read -r took < took
	read -r ten < ten
	echo "detach returns after $took ms, sleep 10 after $ten ms"
	[ "$took" -ge 8000 ] || fail "after $took ms already"
	[ "$took" -le $((ten + 2000 + 2 * (ten - 10000))) ] ||
		fail "detach takes $took ms, and sleep 10 $ten ms"
	list_says going
	[[ $(qcowctl list) == *going* ]] || fail "list without options"
	[[ $(qcowctl list -J "$dev") == *'"going"'* ]] || fail "list -J"
	# Opening it fails at once.
	within 20 dd if="$dev" of=/dev/null bs=4k count=1 2> opened && fail "it can be opened"
	grep -q 'No such device' opened
	others
}

# Another device comes and goes, devices are listed, another filesystem is synced.
others() {
	within 30 bash -c "qcowctl attach $PWD/other.qcow2 > other.dev" || fail "another attach"
	within 30 qcowctl list > others.list || fail "list"
	echo "$PWD" > mark
	within 30 sync -f mark || fail "sync"
	within 30 qcowctl detach "$(cat other.dev)" || fail "another detach"
}

# not_held_up PID: all that takes as long as it did when nothing hung, now and later on,
# and does not end only when that process does.
not_held_up() {
	local usual took when

	read -r usual < usual
	for when in 0 2; do
		pause $when
		timed others others
		read -r took < others
		echo "the others take $took ms, and usually $usual ms"
		[ "$took" -le $((2 * usual + 2000)) ] ||
			fail "the others take $took ms, and usually $usual ms"
		[ "$took" -le $((2 * usual + 1000)) ] || runs "$1" ||
			fail "the others take $took ms, as long as detach, and usually $usual ms"
	done
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

# attach_again ARGUMENT...: its files are closed a moment after a device has gone by itself.
attach_again() {
	local i

	for ((i = 0; i < 50; i++)); do
		try_attach "$@" && return
		pause 0.2
	done 2> again.err
	fail "attach $*: $(tail -n 1 again.err)"
}

# hanging_disk: a disk of 32 MiB, /dev/mapper/$hanging, that can stop to answer
hanging_disk() {
	hanging=hanging$$
	truncate -s 32M lower
	loop=$(losetup -f --show lower)
	mapped "$hanging" "0 $((32 << 11)) linear $loop 0"
}

hanging_disk_end() {
	dmsetup remove --noudevsync --retry "$hanging"
	losetup -d "$loop"
	rm lower
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
	local pid reads

	# The first time takes longer.
	others
	timed usual others
	hanging_disk
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

	# Writes are left, and no process has the device open.
	attach_again "/dev/mapper/$hanging"
	dd if=/dev/zero of="$dev" bs=4k count=1 seek=1024 oflag=direct status=none
	hang
	detach_hangs "waits for its last writes to $hanging, which does not answer"
	refuses "waits for its last writes to" within 60 qcowctl detach --force "$dev"
	answer
	goes

	# All of it is there.
	dd if="/dev/mapper/$hanging" of=image.qcow2 bs=64k count=128 iflag=direct conv=sparse \
		status=none
	hanging_disk_end
}

after_detach_hangs() {
	check image.qcow2
	holds qcow2 image.qcow2 'read -P 1 0 1M' 'read -P 0 4M 4k'
}

make_detach_hangs_file() {
	make_detach_hangs
}

# The image is a file on a filesystem whose disk does not answer. Nothing of the file is in the
# page cache, so that its metadata are read, and written, when they are needed.
case_detach_hangs_file() {
	local pid

	others
	timed usual others
	hanging_disk
	mkfs.ext4 -q "/dev/mapper/$hanging"
	mkdir -p $HERE/mnt
	mount "/dev/mapper/$hanging" $HERE/mnt
	cp image.qcow2 $HERE/mnt
	sync -f $HERE/mnt
	drop_caches 3
	attach $HERE/mnt/image.qcow2
	dd if=/dev/zero of="$dev" bs=4k count=1 seek=1024 oflag=direct status=none
	hang
	dd if="$dev" of=/dev/null bs=64k count=1 skip=8 iflag=direct 2> read.err &
	pid=$!
	detach_hangs "image.qcow2, which does not answer" --force
	answer
	goes
	wait $pid || true
	umount $HERE/mnt
	mount "/dev/mapper/$hanging" $HERE/mnt
	cp $HERE/mnt/image.qcow2 .
	umount $HERE/mnt
	hanging_disk_end
}

after_detach_hangs_file() {
	after_detach_hangs
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

make_list_hangs() {
	create image 1M
	create other 1M
}

# The folder of an image lies on a filesystem that does not answer: list leaves out the
# state of the image's name. The processes that look it up hang, and are left behind.
case_list_hangs() {
	local usual took state begin guard code=0

	hanging_disk
	mkfs.ext4 -q -O ^has_journal "/dev/mapper/$hanging"
	mkdir -p $HERE/mnt
	mount "/dev/mapper/$hanging" $HERE/mnt
	cp image.qcow2 $HERE/mnt
	attach $HERE/mnt/image.qcow2
	ln $HERE/mnt/image.qcow2 $HERE/mnt/kept.qcow2
	rm $HERE/mnt/image.qcow2
	is deleted "$(qcowctl list -n -O image-state "$dev")"
	timed usual qcowctl list > listed
	sync -f $HERE/mnt
	drop_caches 2
	blockdev --flushbufs "/dev/mapper/$hanging"
	hang
	# Whatever happens, it answers in the end.
	(pause 60; answer) &
	guard=$!
	begin=$(now)
	within 60 qcowctl list > listed || code=1
	state=$(qcowctl list -n -O image-state "$dev") || code=1
	took=$(($(now) - begin))
	pgrep -r D -x qcowctl > left || code=2
	kill $guard || true
	answer
	is 0 $code
	is deleted "$state"
	grep -q "^${dev#/dev/} .*mnt/image.qcow2 (deleted)" listed || fail "it says: $(cat listed)"
	read -r usual < usual
	echo "two lists take $took ms, and one usually $usual ms"
	[ "$took" -le $((6 * usual + 6000)) ] || fail "list takes $took ms, and usually $usual ms"
	detach
	umount $HERE/mnt
	hanging_disk_end
}

make_close_hangs() {
	create image 8M -o cluster_size=65536
	fill image.qcow2 'write -q -P 1 0 1M'
}

# keep_attached IMAGE: attaches it to detach itself, prints the number of the device, and keeps
# the control node open. It does not open the device.
keep_attached() {
	exec /usr/bin/python3 -B - "$1" <<-'PYTHON'
		import ctypes, fcntl, os, struct, sys, time
		control = open("/dev/qcow-control", "rb+", 0)
		image = ctypes.create_string_buffer(struct.pack("iiIIQQIIQ",
		    os.open(sys.argv[1], os.O_RDWR), -1, 3, 0, 0, 0, 0, 0, 0))
		arg = bytearray(struct.pack("IIiIQIIQiIQQQQIIQQ", 104, 1 << 9, -1, 1,
		    ctypes.addressof(image), 48, 0, 0, *(10 * [0])))
		fcntl.ioctl(control, 0xfb00, arg)
		print(struct.unpack_from("i", arg, 8)[0], flush=True)
		time.sleep(3600)
	PYTHON
}

# A program that keeps a device is killed while the block layer has the device's mutex, and
# waits for a disk that does not answer. The program ends all the same; the device goes later.
case_close_hangs() {
	local keeper reader reads i

	hanging_disk
	dd if=image.qcow2 of="/dev/mapper/$hanging" bs=64k conv=fsync status=none
	keep_attached "/dev/mapper/$hanging" > number &
	keeper=$!
	until [ -s number ]; do
		runs $keeper || fail "not attached"
		pause 0.05
	done
	dev=/dev/qcow$(< number)
	read -r disk < "/sys/block/${dev#/dev/}/diskseq"
	list_says lazy
	hang
	blockdev --rereadpt "$dev" 2> read.err &
	reader=$!
	until read -r reads _ < "/sys/block/${dev#/dev/}/inflight" && [ "$reads" -gt 0 ]; do
		runs $reader || fail "the table was read"
		pause 0.05
	done
	kill -KILL $keeper
	for ((i = 0; i < 600; i++)); do
		runs $keeper || break
		pause 0.1
	done
	! runs $keeper || { answer; fail "the program does not end"; }
	stays || fail "it is gone"
	list_says lazy
	answer
	wait $reader || true
	goes
	wait $keeper || true
	hanging_disk_end
}
