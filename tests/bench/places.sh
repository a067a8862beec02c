# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# The same workloads on one place after the other: the groups ext4, xfs, aged and disk of a
# benchmark guest, and those whose disk takes time: latency and throttled. Sourced by init
# after measure.sh.

# Processes cost several times as much, so that fewer I/Os are as exact.
case $target in
nbd | daemon) fewer=4 ;;
*) fewer=1 ;;
esac

# reads_in_place PLACE COMMAND: COMMAND is warm() or below()
reads_in_place() {
	readonly=yes
	[ "$2" = below ] ||
		"$2" "$1-read-4k-depth-1" fresh $many --rw=randread --bs=4k --iodepth=1 --size=32m
	"$2" "$1-read-4k-depth-16" fresh $many --rw=randread --bs=4k --iodepth=16 --size=32m
	"$2" "$1-read-1m" fresh 64 --rw=read --bs=1m $together --io_size=1g --iodepth=1 --size=32m
}

writes_in_place() {
	readonly=
	[ "$2" = below ] ||
		"$2" "$1-write-4k-depth-1" fresh $many --rw=randwrite --bs=4k --iodepth=1 --size=32m
	"$2" "$1-write-4k-depth-16" fresh $many --rw=randwrite --bs=4k --iodepth=16 --size=32m
	"$2" "$1-write-4k-fsync" fresh $((100 / fewer)) --rw=randwrite --bs=4k --iodepth=1 --fsync=1 --size=32m
	"$2" "$1-write-1m" fresh 64 --rw=write --bs=1m $together --io_size=1g --iodepth=1 --size=32m
}

# below WORKLOAD IMAGE COUNT FIO_OPTION...: counts requests and bytes of the disk below; for a
# place on the disk "counted". Of 4 KiB only depth 16: the depth makes no difference.
below() {
	local name=$1 image=$2 count=$3

	shift 3
	attach_clean "$image" || fail "cannot attach $image"
	cat /sys/block/nullb0/stat > /tmp/before
	fio_job "$count" "$@" > /dev/null
	cat /sys/block/nullb0/stat > /tmp/after
	"detach_$target"
	report_below "$name" "$count" "$@"
}

in_place() {
	make_fresh "$1" "$2" flat || fail "no copy of flat on $1"
	reads_in_place "$1" "$3"
	writes_in_place "$1" "$3"
	drop_fresh || fail "cannot leave $1"
}

make_place_disks() {
	fill_ram1
	null_disk nullb0
}

# measure_place PLACE: everything on it
measure_place() {
	local place=$1

	[ -d /sys/block/nullb0 ] || make_place_disks
	many=$((2000 / fewer))
	in_place "$place" ram warm
	in_place "$place" counted below
	set -- --size=512m --rw=randwrite
	fresh "$place-new-4k-depth-1" "$place" empty $((500 / fewer)) "$@" --bs=4k --iodepth=1
	fresh "$place-new-4k-depth-16" "$place" empty $((500 / fewer)) "$@" --bs=4k --iodepth=16
	fresh "$place-new-4k-fsync" "$place" empty $((100 / fewer)) "$@" --bs=4k --iodepth=1 --fsync=1
	fresh "$place-new-64k" "$place" empty $((200 / fewer)) "$@" --bs=64k --iodepth=1
	fresh "$place-new-1m" "$place" empty 32 --rw=write --bs=1m $together --iodepth=1
}

work_ext4() { measure_place ext4; }
work_xfs() { measure_place xfs; }
work_aged() { measure_place aged; }
work_disk() { measure_place disk; }

# --- Disks that take time ---

# Virtual time gives the processor one instruction in a nanosecond. One of today does about
# four, so the disks are four times as slow as they are meant to be: 320 microseconds stand
# for 80, and 12 MiB/s for 50 MB/s. The figures are converted back.
speed=4

# rate WORKLOAD IMAGE COUNT FIO_OPTION...: I/Os in a second, of I/Os that were done before
rate() {
	local name=$1 image=$2 count=$3 short

	shift 3
	attach_clean "$image" || fail "cannot attach $image"
	fio_job "$count" "$@" > /dev/null
	short=$(fio_job "$count" "$@")
	report_rate "$name" "$count" "$short" "$(fio_job $((2 * count)) "$@")"
	"detach_$target"
}

# fresh_rate WORKLOAD PLACE DISK COUNT FIO_OPTION...: of I/Os to new clusters
fresh_rate() {
	local name=$1 place=$2 disk=$3 count=$4 time extents short

	shift 4
	fresh_job "$place" "$disk" empty "$count" "$@"
	short=$time
	fresh_job "$place" "$disk" empty $((2 * count)) "$@"
	report_rate "$name" "$count" "$short" "$time"
}

report_rate() { # WORKLOAD COUNT SHORT LONG
	echo "$1.rate $(($2 * 1000000000 / ($4 - $3) * speed))"
}

# rates DISK PLACE COUNT DEPTH...
rates() {
	local disk=$1 place=$2 count=$3 depth

	shift 3
	make_fresh "$place" "$disk" flat || fail "no copy of flat on $place"
	for depth; do
		readonly=yes
		rate "$disk-$place-read-4k-depth-$depth" fresh "$count" \
			--rw=randread --bs=4k --iodepth="$depth" --size=32m
		readonly=
		rate "$disk-$place-write-4k-depth-$depth" fresh "$count" \
			--rw=randwrite --bs=4k --iodepth="$depth" --size=32m
	done
	drop_fresh || fail "cannot leave $place"
	fresh_rate "$disk-$place-new-4k-depth-32" "$place" "$disk" "$count" \
		--rw=randwrite --bs=4k --iodepth=32 --size=512m
}

work_latency() {
	null_disk nullb2 irqmode=2 completion_nsec=$((80000 * speed))
	echo none > /sys/block/nullb2/queue/scheduler
	rates latency ext4 $((1000 / fewer)) 1 8 32
	rates latency disk $((1000 / fewer)) 1 8 32
}

# Each tick of 20 ms of this disk is 61 I/Os long, so few I/Os would be counted in ticks.
work_throttled() {
	null_disk nullb3 mbps=$((48 / speed))
	echo 120 > /sys/block/nullb3/queue/max_sectors_kb || fail "nullb3: no limit"
	rates throttled ext4 4000 32
	rates throttled disk 4000 32
}
