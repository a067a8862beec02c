# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# The waits of readers and writers while an image is changed, the ends of such a change,
# and the events that tell of it.

# Two cases can run side by side: each has disks of its own.
ram=ram$$
slow=slow$$

# scattered NAME MIB: an image of 4 KiB clusters that lie in no order in the file
scattered() {
	create "$1" "$2M" -o cluster_size=4k
	fill "$1.qcow2" "write -q -P 7 0 $2M"
	craft "$1.qcow2" "import random; r = range($(($2 * 256))); v = [l2e[i] for i in r]; random.Random(1).shuffle(v); any(l2e.__setitem__(i, v[i]) for i in r)"
}

# keep_images: they are to be had again by attach_anew.
keep_images() {
	create control 1M
	mkdir first
	mv ./*.qcow2 first
}

# attach_anew NAME: as it was at first, and so its backing file
attach_anew() {
	[ "$1" != over ] || cp first/mid.qcow2 .
	cp --sparse=always "first/$1.qcow2" .
	attach "$1.qcow2"
}

# measure MODE COMMAND...: reads $dev meanwhile, and $control, which nothing is done to.
# Sets in ms: how long a read of either took, and the command; and its exit code.
measure() {
	qcowwrite waits "$dev" "$control" "$@" > waited || fail "reads fail: $*"
	read -r longest noise took code < waited
	echo "$*: a read took up to $longest ms, elsewhere $noise, all $took"
}

# yardstick NAME: attaches $control. Sets yard: how many ms a read waits for a snapshot
# of the image, the best of three.
yardstick() {
	local i

	attach_anew control
	control=$dev
	attach_anew "$1"
	yard=1000
	for i in 1 2 3; do
		measure keep qcowctl snapshot create "$dev" "made-$i"
		is 0 $code
		[ "$longest" -ge "$yard" ] || yard=$longest
	done
	detach
}

# waits NAME MODE COMMAND...: attaches the image and runs the command, with DEV for the
# device. A read may wait about as long as for a snapshot; twice as long as elsewhere,
# if that is more, for the machine may be busy. The best of three counts.
waits() {
	local name=$1 try limit

	shift
	for try in 1 2 3; do
		attach_anew "$name"
		measure "${@/#DEV/$dev}"
		is 0 $code
		limit=$((2 * (yard > noise ? yard : noise) + 80))
		[ "$longest" -gt $limit ] || return 0
		echo "that is more than $limit"
		detach
	done
	fail "a read waited for $longest ms of $took, more than $limit: $*"
}

# In the guest: /run/base.raw of 4 GiB, with data at its start and its end
base_raw() {
	local i

	truncate -s 4G /run/base.raw
	for i in 0 4294901760; do
		printf '\3%.0s' {1..65536} |
			dd of=/run/base.raw bs=64k seek=$i oflag=seek_bytes conv=notrunc status=none
	done
}

# over_raw: mid.qcow2 of 1 MiB over /run/base.raw
over_raw() {
	qemu-img create -q -u -f qcow2 -b /run/base.raw -F raw -o cluster_size=4k mid.qcow2 1M
}

# --- Nobody waits ---

make_resize_waits() {
	scattered shrunk 96
	scattered applied 32
	qemu-img snapshot -c first applied.qcow2
	over_raw
	keep_images
}

# As for a snapshot that is made, whatever its size
case_resize_waits() {
	local control yard longest noise took code
	# It is refused if the device is open just then.
	local again='for i in 1 2 3 4 5 6; do "$@" && exit; done; exit 1'

	base_raw
	yardstick applied
	waits applied open bash -c "$again" - qcowctl snapshot apply DEV first
	operate "$dev" 'read 0 32m 7'
	detach
	waits shrunk keep qcowctl resize --force DEV 1M
	operate "$dev" 'read 0 1m 7'
	detach
	waits mid keep qcowctl resize DEV 4G
	operate "$dev" 'read 0 64k 3' 'read 4095m 1m 0'
	detach
	waits shrunk open bash -c "$again" - qcowctl resize DEV 1M
	detach
	qcowctl detach "$control"
	note_blocks
}

after_resize_waits() {
	check applied.qcow2 shrunk.qcow2
	is 1048576 "$(qemu-img info -f qcow2 --output=json shrunk.qcow2 | jq '."virtual-size"')"
	[ "$(used shrunk.qcow2)" -lt $((4 << 20)) ] || fail "its space was not given back"
	qemu-img rebase -u -f qcow2 -b '' mid.qcow2
	check mid.qcow2
}

make_commit_waits() {
	scattered plain 32
	over_raw
	qemu-img create -q -u -f qcow2 -b mid.qcow2 -F qcow2 over.qcow2 4G
	keep_images
}

# Into a smaller backing file: data of a larger file below that one is hidden first.
case_commit_waits() {
	local control yard longest noise took code
	local reads='qcowctl commit "$0" &
		while [ -n "$(jobs -r)" ]; do qcowwrite do "$0" "read 4095m 1m 0"; done
		wait $!'

	base_raw
	yardstick plain
	cp first/*.qcow2 .
	attach over.qcow2
	operate "$dev" 'write 32k 64k 5' 'write 3072m 64k 6'
	detach
	cp over.qcow2 first
	waits over keep bash -ec "$reads" DEV
	operate "$dev" 'read 0 32k 3' 'read 32k 64k 5' 'read 96k 15m 0' 'read 3072m 64k 6' \
		'read 4080m 16m 0'
	detach
	qcowctl detach "$control"
}

after_commit_waits() {
	qemu-img rebase -u -f qcow2 -b '' mid.qcow2
	check mid.qcow2 over.qcow2
	is 4294967296 "$(qemu-img info -f qcow2 --output=json mid.qcow2 | jq '."virtual-size"')"
	holds qcow2 over.qcow2 'read -P 5 32k 64k' 'read -P 6 3G 64k' 'read -P 0 4095M 1M'
}

# An image of 32 MiB, whose backing file is /dev/backing
make_commit_flush_waits() {
	create over 32M
	fill over.qcow2 'write -q -P 5 0 24M'
	qemu-img rebase -u -f qcow2 -b /dev/backing -F raw over.qcow2
	create control 1M
}

# The backing file's cached data is written to its slow disk while readers go on.
case_commit_flush_waits() {
	local control longest noise took code

	null_disk backing size=32 mbps=6
	# A larger request than the limit for a timer's tick would never be done.
	echo 64 > /sys/block/backing/queue/max_sectors_kb
	attach control.qcow2
	control=$dev
	attach --direct-io off over.qcow2
	measure keep qcowctl commit "$dev"
	is 0 $code
	[ "$took" -gt 2500 ] || fail "the disk is fast: $took ms"
	[ $((3 * longest)) -lt "$took" ] || fail "a read waited for $longest ms of $took"
	operate "$dev" 'read 0 24m 5' 'read 24m 8m 0'
	detach
	qcowctl detach "$control"
	[ "$(head -c 1 /dev/backing | od -An -tu1)" -eq 5 ] || fail "the data is not in the backing file"
	null_disk_end backing
}

after_commit_flush_waits() {
	qemu-img rebase -u -f qcow2 -b '' over.qcow2
	check over.qcow2
}

# An image whose file answers nothing while it is resized
make_resize_hangs() {
	create image 16M
	fill image.qcow2 'write -q -P 1 0 16M'
}

# A read hangs in the file below, and the resize waits for it. Others open the device.
case_resize_hangs() {
	local reader pid i

	null_disk $ram size=20
	dd if=image.qcow2 of=/dev/$ram bs=1M conv=fsync status=none
	mapped $slow "0 40960 linear /dev/$ram 0"
	attach -f qcow2 --direct-io on /dev/mapper/$slow
	operate "$dev" 'read 0 64k 1'
	dmsetup suspend --noflush --nolockfs $slow
	operate "$dev" 'read 64k 64k 1' &
	reader=$!
	pause 1
	qcowctl resize --force "$dev" 8M 2> log &
	pid=$!
	pause 2
	runs $pid || fail "the resize does not wait: $(cat log)"
	blockdev --getsize64 "$dev" > size &
	for i in {1..50}; do
		[ ! -s size ] || break
		pause 0.1
	done
	cp size opened
	dmsetup resume --noudevsync $slow
	wait $reader || fail "the read"
	wait $pid || fail "the resize: $(cat log)"
	[ -s opened ] || fail "an opener waits for the read below"
	is 8388608 "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'read 0 8m 1'
	detach
	dmsetup remove --noudevsync --retry $slow
	null_disk_end $ram
}

# --- It is ended ---

make_resize_interrupted() {
	scattered image 96
	create control 1M
	qemu-img create -q -u -f qcow2 -b /run/base.raw -F raw -o cluster_size=4k over.qcow2 1M
}

case_resize_interrupted() {
	local pid code begin control longest noise took

	attach control.qcow2
	control=$dev
	attach image.qcow2
	measure small qcowctl resize --force "$dev" 1M 2> log
	cat log
	is 1 $code
	grep -q 'was interrupted: it has its size of 1048576 bytes' log || fail "it does not say so"
	is 1048576 "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'read 0 1m 7'
	detach
	qcowctl detach "$control"
	cp image.qcow2 left.qcow2
	[ "$(du -k left.qcow2 | cut -f1)" -gt 4096 ] || fail "nothing was left to do"
	qcowctl resize image.qcow2 1M || fail "it does not go on"
	[ "$(du -k image.qcow2 | cut -f1)" -lt 4096 ] || fail "it did not go on"
	# Larger: all of the backing file is to be hidden first. The host never sees that.
	truncate -s 64G /run/base.raw
	attach over.qcow2
	begin=$SECONDS code=0
	qcowctl resize "$dev" 64G 2> log &
	pid=$!
	pause 1
	kill -INT $pid
	wait $pid || code=$?
	cat log
	is 1 $code
	grep -q 'was interrupted, and keeps its size of 1048576 bytes' log || fail "it does not say so"
	is 1048576 "$(blockdev --getsize64 "$dev")"
	[ $((SECONDS - begin)) -lt 20 ] || fail "it took $((SECONDS - begin)) seconds"
	detach
}

after_resize_interrupted() {
	qemu-img rebase -u -f qcow2 -b '' over.qcow2
	check ./*.qcow2
}

# over.qcow2 of 64 GiB over mid.qcow2, which is much smaller
make_commit_ended() {
	over_raw
	qemu-img create -q -u -f qcow2 -b mid.qcow2 -F qcow2 over.qcow2 64G
}

# grows FILE: it is waited for.
grows() {
	local size i

	size=$(stat -c %s "$1")
	for i in {1..200}; do
		[ "$(stat -c %s "$1")" = "$size" ] || return 0
		pause 0.1
	done
	fail "$1 stays as large as it is: $(cat log)"
}

# commit_ends EXIT-CODE COMMAND...: the command ends a commit whose backing file has
# begun to get larger, soon. The disk reads the same.
commit_ends() {
	local expected=$1 code=0 begin

	shift
	qcowctl commit "$dev" 2> log &
	pid=$!
	grows mid.qcow2
	begin=$SECONDS
	"$@" || fail "$*"
	wait $pid || code=$?
	cat log
	is "$expected" $code
	[ $((SECONDS - begin)) -lt 20 ] || fail "it took $((SECONDS - begin)) seconds: $*"
	! stays || operate "$dev" 'read 0 32k 3' 'read 32k 64k 5' 'read 1m 1m 0' 'read 65535m 1m 0'
}

interrupt() {
	kill -INT $pid
}

case_commit_ended() {
	local pid

	base_raw
	truncate -s 64G /run/base.raw
	printf 3 | dd of=/run/base.raw bs=1 seek=$(((64 << 30) - 1)) conv=notrunc status=none
	attach over.qcow2
	operate "$dev" 'write 32k 64k 5' 'flush'
	commit_ends 1 interrupt
	grep -q 'interrupted before it began' log || fail "it does not say so"
	qemu-io -r -f qcow2 -c 'read 0 1' mid.qcow2 || fail "it stays locked"
	# Writes that the device has in memory are not lost when the image is opened once more.
	commit_ends 137 eval 'kill -KILL $pid'
	commit_ends 1 interrupt
	commit_ends 1 qcowctl detach --force "$dev"
	! stays || fail "the device stays"
	attach over.qcow2
	operate "$dev" 'read 0 32k 3' 'read 32k 64k 5' 'read 1m 1m 0' 'read 65535m 1m 0'
	detach
}

after_commit_ended() {
	qemu-img rebase -u -f qcow2 -b '' mid.qcow2
	check mid.qcow2 over.qcow2
	is 1048576 "$(qemu-img info -f qcow2 --output=json mid.qcow2 | jq '."virtual-size"')"
	holds qcow2 over.qcow2 'read -P 5 32k 64k'
}

# Small clusters, so that the snapshot has many tables
make_snapshot_apply_ended() {
	create image 8M -o cluster_size=512
	fill image.qcow2 'write -q -P 1 0 8M'
	qemu-img snapshot -c first image.qcow2
}

# The image lies on a disk that is slow to read, and no table of it is in memory.
apply_attach() {
	attach -f qcow2 /dev/mapper/$slow
}

# applied: prints whether the disk is that of the snapshot, or the other one.
applied() {
	if operate "$dev" 'read 0 8m 1' > /dev/null 2>&1; then
		echo yes
	else
		operate "$dev" 'read 0 2m 2' 'read 2m 4m 1' 'read 6m 2m 2' > /dev/null ||
			fail "it is neither disk"
		echo no
	fi
}

# slow_reads: sets reads: how many the slow disk has ended. It starts no process, as it is
# called all the time.
slow_reads() {
	read -r reads _ < "$slow_stat"
}

# apply_begun READS: makes the disk another one than that of the snapshot, begins to
# apply it, and holds it up after so many reads, until the slow disk is resumed. Sets
# begun, the number of reads before it.
apply_begun() {
	apply_attach
	operate "$dev" 'write 0 2m 2' 'write 6m 2m 2'
	detach
	apply_attach
	slow_reads
	begun=$reads
	qcowctl snapshot apply "$dev" first 2> log &
	pid=$!
	[ "$1" -gt 0 ] || return 0
	until [ $((reads - begun)) -ge "$1" ] || ! runs $pid; do
		pause 0.01
		slow_reads
	done
	dmsetup suspend --noflush --nolockfs $slow
}

# apply_interrupted READS: a signal after so many reads ends it, unless it is through.
apply_interrupted() {
	local code=0

	apply_begun "$1"
	kill -INT $pid 2> /dev/null || true
	pause 0.5
	dmsetup resume --noudevsync $slow
	wait $pid || code=$?
	echo "after $1 of $whole reads: $code; $(cat log)"
	if [ $code = 0 ]; then
		is yes "$(applied)"
	else
		grep -q 'was interrupted; the disk is as it was' log || fail "it does not say so"
		is no "$(applied)"
		ended=$((ended + 1))
	fi
	detach
}

# apply_left READS: so does a forced detach.
apply_left() {
	local code=0 detach

	apply_begun "$1"
	qcowctl detach --force "$dev" &
	detach=$!
	# Until it has told the driver
	pause 4
	dmsetup resume --noudevsync $slow
	wait $detach || fail "detach"
	wait $pid || code=$?
	apply_attach
	echo "detached after $1 of $whole reads: $code; $(cat log); applied: $(applied)"
	[ $code = 0 ] || left=$((left + 1))
	detach
}

case_snapshot_apply_ended() {
	local pid begun whole reads slow_stat i ended=0 left=0

	null_disk $ram size=20
	dd if=image.qcow2 of=/dev/$ram bs=1M conv=fsync status=none
	modprobe dm-delay
	mapped $slow "0 40960 delay /dev/$ram 0 4 /dev/$ram 0 0"
	slow_stat=/sys/dev/block/$(stat -c %Hr:%Lr /dev/mapper/$slow)/stat
	apply_begun 0
	wait $pid
	slow_reads
	whole=$((reads - begun))
	is yes "$(applied)"
	detach
	for i in 1 4 7; do
		apply_interrupted $((whole * i / 9))
	done
	for i in 2 5; do
		apply_left $((whole * i / 9))
	done
	dmsetup remove --noudevsync --retry $slow
	dd if=/dev/$ram of=image.qcow2 bs=1M conv=sparse status=none
	null_disk_end $ram
	dmesg | grep "$slow: .*lost space" > lost || true
	[ $ended -gt 0 ] || fail "it was never interrupted"
	[ $left -gt 0 ] || fail "it was never left"
}

after_snapshot_apply_ended() {
	if [ -s lost ]; then
		check_leaks image.qcow2
	else
		check image.qcow2
	fi
	qemu-img convert -l first -O raw image.qcow2 first.raw
	holds raw first.raw 'read -P 1 0 8M'
}

# --- Events ---

# partitions: those of the device, by their numbers
partitions() {
	local name out=''

	for name in /sys/block/"${dev#/dev/}"/"${dev#/dev/}"p*; do
		[ ! -e "$name" ] || out+=" ${name##*p}"
	done
	echo "${out# }"
}

make_partitions_shrunk() {
	create image 64M
	printf 'start=2048, size=8192\nstart=65536, size=32768\n' > layout
	truncate -s 64M disk.raw
	sfdisk -q disk.raw < layout
	qemu-img convert -f raw -O qcow2 disk.raw image.qcow2
	cp image.qcow2 used.qcow2
	rm disk.raw
}

case_partitions_shrunk() {
	attach image.qcow2
	is '1 2' "$(partitions)"
	qcowctl resize "$dev" 16M 2> log || fail "resize"
	is '1' "$(partitions)"
	is '' "$(cat log)"
	detach
	attach used.qcow2
	exec 7< "${dev}p2"
	qcowctl resize --force "$dev" 16M 2> log || fail "resize --force"
	cat log
	grep -q 'partitions that end behind its end' log || fail "it does not say so"
	exec 7<&-
	blockdev --rereadpt "$dev"
	is '1' "$(partitions)"
	detach
}

make_snapshot_another_disk() {
	create image 8M
	fill image.qcow2 'write -P 1 0 8M'
	qemu-img snapshot -c first image.qcow2
}

# A program that knows the disk by its diskseq learns that it is another one.
case_snapshot_another_disk() {
	local before after

	attach image.qcow2
	read -r before < "/sys/block/${dev#/dev/}/diskseq"
	operate "$dev" 'write 0 64k 9'
	qcowctl snapshot apply "$dev" first
	read -r after < "/sys/block/${dev#/dev/}/diskseq"
	[ "$after" -gt "$before" ] || fail "disk $before is disk $after"
	operate "$dev" 'read 0 8m 1'
	detach
}
