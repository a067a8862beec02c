# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# One submission mixes I/O to the host's disk and to a device whose image lies on that
# disk. While the driver sleeps below, no one may wait for a request that the submitter
# has queued and not sent.
#
# Each kernel runs both cases, see part/cases.sh.

# Another case may run beside this one.
LOWER=lower$$
# Options of qcowwrite mixed
mixed_options=()

# lower DEPTH: an ext4 in $HERE/mnt, on most of the disk; "plain" there is a file.
lower() {
	null_disk $LOWER size=160 "hw_queue_depth=$1" completion_nsec=20000
	addpart /dev/$LOWER 1 2048 262144
	addpart /dev/$LOWER 2 264192 32768
	mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 /dev/${LOWER}p1
	mkdir -p $HERE/mnt
	mount -o noatime /dev/${LOWER}p1 $HERE/mnt
	head -c 16M /dev/urandom > $HERE/mnt/plain
	cp image.qcow2 $HERE/mnt
}

lower_end() {
	umount $HERE/mnt
	null_disk_end $LOWER
}

# mixed MILLISECONDS BATCH FILE...: a hang is a hang after a minute.
mixed() {
	local code=0

	within 60 qcowwrite mixed "${mixed_options[@]}" "$QCOW_SEED" "$@" || code=$?
	[ $code -lt 124 ] || exit 124
	[ $code -eq 0 ] || fail "mixed $*"
}

mixed_depths() {
	local depth

	for depth in 2 4 32; do
		lower $depth
		attach $HERE/mnt/image.qcow2
		mixed 600 $((depth + 1)) $HERE/mnt/plain "$dev"
		mixed 600 $((depth * 3)) $HERE/mnt/plain "$dev"
		detach
		lower_end
	done
}

# rewrite FOLDER: depth and scheduler, until the file "stop" is there; caches dropped
rewrite() {
	while [ ! -e stop ]; do
		echo 4 > "$1/nr_requests"
		echo mq-deadline > "$1/scheduler"
		drop_caches 3
		echo 8 > "$1/nr_requests"
		echo none > "$1/scheduler"
		pause 0.02
	done
} 2> /dev/null

# Of the file below, many extents have to be read again and again.
mixed_changing() {
	local pid

	modprobe mq-deadline
	lower 16
	qcowwrite scatter $HERE/mnt/raw 16
	attach -f raw $HERE/mnt/raw
	rm -f stop
	rewrite /sys/block/$LOWER/queue &
	pid=$!
	mixed 1500 24 $HERE/mnt/plain "$dev"
	touch stop
	wait $pid
	rm -f stop
	rewrite "/sys/block/${dev#/dev/}/queue" &
	pid=$!
	mixed 1500 24 $HERE/mnt/plain "$dev"
	touch stop
	wait $pid
	detach
	lower_end
}

# The driver on ext4 on the driver, and files on all three
mixed_nested() {
	local below

	lower 4
	attach $HERE/mnt/image.qcow2
	below=$dev
	mkfs.ext4 -q -O ^has_journal "$below"
	mkdir -p $HERE/small
	mount -o noatime "$below" $HERE/small
	head -c 4M /dev/urandom > $HERE/small/plain
	head -c 8M /dev/urandom > $HERE/small/raw
	attach -f raw $HERE/small/raw
	mixed 1500 9 $HERE/mnt/plain "$dev" $HERE/small/plain
	detach
	umount $HERE/small
	dev=$below
	detach
	lower_end
}

# A mapped disk over the driver's device and the disk below it: requests go to both, and a
# bio in the middle of it is split. Not by io_uring before Linux 7: if one half of a bio
# has to wait and the other one ends in the submitter's context, that io_uring loses the
# request. It does so over two null_blk as well, one of them with irqmode=0, on 6.1 and on
# 6.12; no disk has any I/O under way then.
mixed_mapped() {
	local table='' i

	[[ $(uname -r) != 6.* ]] || mixed_options=(-a)

	lower 4
	attach $HERE/mnt/image.qcow2
	for ((i = 0; i < 512; i++)); do
		table+="$((i * 24)) 12 linear $dev $((i * 12))"$'\n'
		table+="$((i * 24 + 12)) 12 linear /dev/${LOWER}p2 $((i * 12))"$'\n'
	done
	dmsetup create mixed$$ --noudevsync <<< "$table"
	dmsetup mknodes mixed$$
	mixed 1500 13 $HERE/mnt/plain /dev/mapper/mixed$$ "$dev"
	dmsetup remove --noudevsync --retry mixed$$
	detach
	lower_end
}

make_mixed_depths() {
	create image 16M -o cluster_size=65536
	fill image.qcow2 'write -q -P 1 0 16M'
}

case_mixed_depths() {
	mixed_depths
	mixed_nested
}

make_mixed_changes() {
	make_mixed_depths
}

case_mixed_changes() {
	mixed_changing
	mixed_mapped
}
