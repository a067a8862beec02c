# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Many devices: those whose files lie on one filesystem share queues. The first eight have
# queues of their own.
. "$cases_here/47-hanging.sh"

# many: so many devices are there that later ones share.
many() {
	local i

	truncate -s 1M few.raw
	for ((i = 0; i < 8; i++)); do
		qcowctl attach -f raw --read-only few.raw > /dev/null || fail "attach few.raw"
	done
}

# Another case, with devices of its own, may run beside this one.
many_end() {
	qcowctl list -n -O NAME,IMAGE | awk -v image="$PWD/few.raw" \
		'$2 == image { print "/dev/" $1 }' > few
	[ -s few ] || fail "no device of few.raw"
	xargs qcowctl detach < few
}

# threads NAME...: prints how many threads the queues have that are named so, a device or a
# filesystem.
threads() {
	local name pattern

	for name; do
		pattern+="|$name"
	done
	cat /proc/[0-9]*/comm 2> /dev/null | grep -cE "^(kworker/R-)?(${pattern#|})(_[a-z]+)?\$"
}

# kernel_kib: prints how much memory the kernel has taken and cannot give back, but for whole
# pages: those of the requests are not among it.
kernel_kib() {
	awk '$1 ~ /^(SUnreclaim|Percpu|KernelStack):$/ { kib += $2 }
		END { print kib }' /proc/meminfo
}

# least_kib: attaches more devices of late.qcow2, three at a time, and sets least: the memory of
# an idle one. Another case that runs beside this one takes memory in between, so of five
# times the least one counts.
least_kib() {
	local batch i before kib

	least=
	for batch in 0 1 2 3 4; do
		for ((i = 0; i < 3; i++)); do
			cp late.qcow2 "$HERE/mnt/late-$batch-$i.qcow2"
		done
		sync -f $HERE/mnt
		before=$(kernel_kib)
		for ((i = 0; i < 3; i++)); do
			attach "$HERE/mnt/late-$batch-$i.qcow2"
			devices+=("$dev")
		done
		kib=$((($(kernel_kib) - before) / 3))
		echo "an idle device takes $kib KiB"
		[ -n "$least" ] && [ "$least" -le $kib ] || least=$kib
	done
}

# filesystem_on NAME: an ext4 on a disk /dev/NAME in memory, in $HERE/mnt
filesystem_on() {
	null_disk "$1" size=96
	mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "/dev/$1"
	mkdir -p $HERE/mnt
	mount -o noatime "/dev/$1" $HERE/mnt
}

# write_and_read NUMBER DEVICE...: 1 MiB of each at once, with flushes
write_and_read() {
	local nr=$1 device pids=() pid

	for device in "${@:2}"; do
		operate "$device" "write 0 512k $nr" flush "write 512k 512k $nr" flush \
			"read 0 1m $nr" > /dev/null &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || fail "one of $*"
	done
}

make_many_threads() {
	create image 16M -o cluster_size=4k
	create over 16M -b image.qcow2 -F qcow2 -o cluster_size=64k
	create late 16M -o cluster_size=64k
}

case_many_threads() {
	local name=m$$ devices=() least i

	filesystem_on $name
	many
	for ((i = 0; i < 12; i++)); do
		cp image.qcow2 "$HERE/mnt/$i.qcow2"
		attach "$HERE/mnt/$i.qcow2"
		devices+=("$dev")
	done
	is 0 "$(threads "${devices[@]#/dev/}")"
	is 5 "$(threads "qcow@$name")"
	write_and_read 7 "${devices[@]}"
	# From the 33rd device on they have fewer requests, too.
	many
	many
	least_kib
	[ "$least" -le 100 ] || fail "an idle device takes $least KiB"
	is 5 "$(threads "qcow@$name")"
	# Files on a filesystem without a disk, and on two: queues of its own
	mkdir $HERE/small
	mount -t tmpfs tmpfs $HERE/small
	cp image.qcow2 $HERE/small
	attach --read-only $HERE/small/image.qcow2
	is 4 "$(threads "${dev#/dev/}")"
	detach
	cp over.qcow2 $HERE/mnt
	ln -s ../small/image.qcow2 $HERE/mnt/image.qcow2
	attach $HERE/mnt/over.qcow2
	is 4 "$(threads "${dev#/dev/}")"
	detach
	umount $HERE/small
	# The queues go with the last of them.
	for dev in "${devices[@]}"; do
		is 5 "$(threads "qcow@$name")"
		detach
	done
	is 0 "$(threads "qcow@$name")"
	many_end
	umount $HERE/mnt
	null_disk_end $name
}

make_many_nested() {
	create lower 64M
	create upper 16M -o cluster_size=4k
}

# An image on a filesystem on a device that shares queues: it shares those of its own
# filesystem.
case_many_nested() {
	local name=m$$ lower devices=() i

	filesystem_on $name
	many
	cp lower.qcow2 upper.qcow2 $HERE/mnt
	attach $HERE/mnt/upper.qcow2
	devices+=("$dev")
	attach $HERE/mnt/lower.qcow2
	lower=$dev
	mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$lower"
	mkdir $HERE/small
	mount -o noatime "$lower" $HERE/small
	for ((i = 0; i < 2; i++)); do
		cp upper.qcow2 "$HERE/small/$i.qcow2"
		attach "$HERE/small/$i.qcow2"
		devices+=("$dev")
	done
	is 0 "$(threads "${devices[@]#/dev/}" "${lower#/dev/}")"
	is 10 "$(threads "qcow@$name" "qcow@${lower#/dev/}")"
	for ((i = 1; i < 6; i++)); do
		within 60 write_and_read $i "${devices[@]}"
		sync -f $HERE/small
		drop_caches 3
	done
	for dev in "${devices[@]}"; do
		detach
	done
	umount $HERE/small
	dev=$lower detach
	many_end
	umount $HERE/mnt
	null_disk_end $name
}

make_many_hang() {
	create image 8M -o cluster_size=65536
	fill image.qcow2 'write -q -P 1 0 1M'
	create other 8M
}

# One of the devices that share queues waits for its file: another one is detached, and
# devices on other filesystems go on.
case_many_hang() {
	local hung idle elsewhere pid reads

	hanging_disk
	mkfs.ext4 -q -O ^has_journal "/dev/mapper/$hanging"
	mkdir -p $HERE/mnt
	mount -o noatime "/dev/mapper/$hanging" $HERE/mnt
	cp image.qcow2 $HERE/mnt/hung.qcow2
	cp image.qcow2 $HERE/mnt/idle.qcow2
	sync -f $HERE/mnt
	many
	attach $HERE/mnt/hung.qcow2
	hung=$dev
	attach --read-only $HERE/mnt/idle.qcow2
	idle=$dev
	attach other.qcow2
	elsewhere=$dev
	is 0 "$(threads "${hung#/dev/}" "${idle#/dev/}" "${elsewhere#/dev/}")"
	operate "$hung" 'read 0 4k 1' > /dev/null
	drop_caches 3
	hang
	dd if="$hung" of=/dev/null bs=64k count=1 skip=4 iflag=direct 2> read.err &
	pid=$!
	until read -r reads _ < "/sys/block/${hung#/dev/}/inflight" && [ "$reads" -gt 0 ]; do
		pause 0.05
	done
	within 60 qcowctl detach "$idle" || fail "another device waits for it"
	within 60 operate "$elsewhere" 'write 0 1m 3' flush 'read 0 1m 3' > /dev/null ||
		fail "a device on another filesystem waits for it"
	within 60 qcowctl detach "$elsewhere" || fail "a device on another filesystem stays"
	refuses "which does not answer" within 60 qcowctl detach --force "$hung"
	attach other.qcow2
	write_and_read 4 "$dev"
	detach
	answer
	wait $pid || fail "what was under way failed: $(cat read.err)"
	(dev=$hung; goes)
	many_end
	umount $HERE/mnt
	hanging_disk_end
}
