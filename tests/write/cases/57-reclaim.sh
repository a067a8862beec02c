# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Space that is given back behind the flush that made it possible.

# scattered NAME MIB: clusters of 4 KiB, the first MIB of them written in an order
# that has nothing to do with the disk's; 32 MiB behind are empty.
scattered() {
	create "$1" $(($2 + 32))M -o cluster_size=4k
	fill "$1.qcow2" "write -q -P 5 0 $2M"
	craft "$1.qcow2" "import random
e = [l2e[i] for i in range($2 * 256)]
random.Random(1).shuffle(e)
for i in range($2 * 256):
    l2e[i] = e[i]"
}

# --- A flush pays for no discard ---

# MIB that are discarded at once
discard_sizes() {
	echo 24 96 ${QCOW_LONG:+192}
}

make_discard_fsync() {
	local mib

	for mib in $(discard_sizes); do
		scattered "d$mib" "$mib"
	done
}

# value NAME: in the file "times"; of several the one in the middle
value() {
	sed -n "s/^$1 //p" times | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# A write to a new cluster and its flush, five times, and once after the discard
times_of() {
	local mib=$1 at ops=()

	for at in 2 4 6 8 10; do
		ops+=('clock' "write $((mib + at))m 4k 1" 'flush' 'clock plain')
	done
	operate "$dev" "${ops[@]}" "discard 0 ${mib}m" 'clock' 'write 0 4k 9' 'flush' \
		'clock after' 'read 0 4k 9' "read 4k $((mib * 1024 - 4))k 0" > times
}

# flush_is_free MIB: an emulated guest may be held up, so one try of three is enough, and
# 20 ms are for that; a flush that paid took seconds.
flush_is_free() {
	local plain after i good=1

	for i in 1 2 3; do
		cp --sparse=always "d$1.qcow2" work.qcow2
		attach work.qcow2
		times_of "$1"
		detach
		plain=$(value plain) after=$(value after)
		echo "$1 MiB: $plain us without a discard before it, $after us with one"
		[ "$after" -gt $((3 * plain + 20000)) ] || { good=0; break; }
	done
	mv work.qcow2 "d$1.qcow2"
	return $good
}

case_discard_fsync() {
	local mib bad=''

	for mib in $(discard_sizes); do
		flush_is_free "$mib" || bad+=" $mib"
	done
	[ -z "$bad" ] || fail "a flush pays for the discard of MiB:$bad"
	note_blocks
}

# It was all given back when the device was gone.
after_discard_fsync() {
	local mib

	for mib in $(discard_sizes); do
		check "d$mib.qcow2"
		holds qcow2 "d$mib.qcow2" 'read -P 9 0 4k' "read -P 0 4k $((mib - 1))M"
		[ "$(used "d$mib.qcow2")" -lt $((1 << 20)) ] ||
			fail "$mib MiB: $(used "d$mib.qcow2") bytes are left"
	done
}

# --- Discarded, flushed, and wanted at once on a full disk ---

# fill_again: 16 MiB are there, and no more than 4 fit.
fill_again() {
	operate "$dev" 'write 16m 8m 2 =ENOSPC' 'flush' 'discard 0 8m' 'flush' \
		'write 40m 6m 3' 'flush' 'discard 8m 4m' 'flush' 'write 34m 3m 4' 'flush' \
		'read 40m 6m 3' 'read 34m 3m 4' 'read 12m 4m 5' 'read 0 12m 0'
}

make_discard_full() {
	scattered image 16
}

case_discard_full() {
	mkdir -p $HERE/small
	mount -t tmpfs -o size=20m tmpfs $HERE/small
	cp --sparse=always image.qcow2 $HERE/small/image
	attach $HERE/small/image
	fill_again
	detach
	cp --sparse=always $HERE/small/image left.qcow2
}

after_discard_full() {
	check left.qcow2
	holds qcow2 left.qcow2 'read -P 3 40M 6M' 'read -P 4 34M 3M' 'read -P 5 12M 4M' \
		'read -P 0 0 12M'
}

# The same where it is the refcounts that say that nothing is free
make_discard_full_device() {
	scattered image 16
}

case_discard_full_device() {
	dd if=image.qcow2 of=/dev/vdb bs=1M conv=fsync status=none
	dmsetup create small --noudevsync --table "0 $((20 << 11)) linear /dev/vdb 0"
	dmsetup mknodes small
	attach /dev/mapper/small
	fill_again
	detach
	dmsetup remove --noudevsync --retry small
	blockdev --flushbufs /dev/vdb
	dd if=/dev/vdb of=left.qcow2 bs=1M count=20 iflag=direct conv=sparse status=none
}

after_discard_full_device() {
	after_discard_full
}
