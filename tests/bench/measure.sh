# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash
#
# How an I/O is measured in a benchmark guest. Sourced by init after targets.sh.
#
# Each function writes lines to ttyS1, a name and a whole number:
#
#	WORKLOAD INSTRUCTIONS	of the whole guest, for each I/O
#	WORKLOAD.switches N	context switches, for 1000 I/Os
#	WORKLOAD.bytes N	bytes that reached the disk below the image, for
#				1000 bytes written by fio; those read from it, if fio read
#	WORKLOAD.requests N	requests that the disk below served, for 1000 I/Os
#	WORKLOAD.flushes N	flushes among them, for 1000 I/Os
#	WORKLOAD.extents N	pieces that the image's file lies in afterwards
#	WORKLOAD.rate N		I/Os in a second of virtual time

# fio_job COUNT OPTION...: does COUNT I/Os and prints the instructions, and leaves the
# context switches in /tmp/switches. Both are counted from the start of the job's thread to its end, because fio's main thread
# looks for the end every 10 ms only. The end of a writing job includes a flush:
# without it, work that is put off would not be counted.
fio_job() {
	local count=$1 start end start_switches end_switches

	shift
	(cd /tmp && fio --name=job --filename="$dev" ${readonly:+--readonly} --direct=1 \
		--ioengine=libaio --thread --number_ios="$count" --invalidate=0 \
		--allow_file_create=0 --output=/dev/null \
		--exec_prerun="stamp -s" --exec_postrun="stamp -s $([ "$readonly" ] || echo "$dev")" \
		"$@") ||
		fail "fio failed:" "$@"
	[ -s /tmp/job.postrun.txt ] || fail "not durable:" "$@"
	read -r start start_switches < /tmp/job.prerun.txt
	read -r end end_switches < /tmp/job.postrun.txt
	echo $((end_switches - start_switches)) > /tmp/switches
	echo $((end - start))
}

# The memory of jobs of 1 MiB is a huge page. Each piece of memory costs instructions, in all
# block drivers alike, and the pages that fio gets by itself lie together in one guest and
# apart in another.
together="--mem=shmhuge"

make_memory() {
	echo 4 > /proc/sys/vm/nr_hugepages
	[ "$(cat /proc/sys/vm/nr_hugepages)" = 4 ] || fail "no huge pages"
}

# Starting a job costs far more than an I/O does. Two runs of different length
# share that cost; their difference is that of the I/Os alone.
report() { # WORKLOAD COUNT SHORT LONG
	echo "$1 $((($4 - $3) / $2))"
}

# report_switches WORKLOAD IOS: those of the last job, with the few of its start and end. A
# difference of two runs may be less than nothing where work is taken by chance in the
# caller's context or in a worker's.
report_switches() {
	echo "$1.switches $(($(cat /tmp/switches) * 1000 / $2))"
}

# wants WORKLOAD: profile.sh names the workloads that it wants by only=, with commas
# between them.
wants() {
	[ ! "${only:-}" ] || case ,$only, in
	*",$1,"*) ;;
	*) return 1 ;;
	esac
}

# attach_clean IMAGE: the attach may read the image through the page cache. Each direct
# write then looks for pages to drive out, which costs 600 instructions; whether pages are
# left depends on the attaches before it.
attach_clean() {
	"attach_$target" "$1" || return 1
	echo 1 > /proc/sys/vm/drop_caches
}

# warm WORKLOAD IMAGE COUNT FIO_OPTION...: the same I/Os were done before
warm() {
	local name=$1 image=$2 count=$3 short long

	shift 3
	wants "$name" || return 0
	attach_clean "$image" || fail "cannot attach $image"
	[ ! "${only:-}" ] || echo "ios $name $count"
	fio_job $((2 * count)) "$@" > /dev/null
	short=$(fio_job "$count" "$@")
	long=$(fio_job $((2 * count)) "$@")
	"detach_$target"
	report "$name" "$count" "$short" "$long"
	report_switches "$name" $((2 * count))
}

# cold WORKLOAD IMAGE COUNT FIO_OPTION...: freshly attached before each run
cold() {
	local name=$1 image=$2 count=$3 short long

	shift 3
	wants "$name" || return 0
	"attach_$target" "$image" || fail "cannot attach $image"
	short=$(fio_job "$count" "$@")
	"detach_$target"
	"attach_$target" "$image" || fail "cannot attach $image"
	long=$(fio_job $((2 * count)) "$@")
	"detach_$target"
	report "$name" "$count" "$short" "$long"
}

# map_attach WORKLOAD FILE...: the attach of a map of these files
map_attach() {
	local name=$1 time

	shift
	read -r time dev <<-EOF
		$(qcowwrite map -r -T /tmp/table "$@" | tail -n 1)
	EOF
	[ "$dev" ] || fail "cannot attach a map of $# files"
	"detach_$target"
	echo "$name $time"
}

# discard_time LENGTH: instructions of a discard of the disk's first bytes
discard_time() {
	local start

	start=$(stamp)
	/usr/sbin/blkdiscard -l "$1" "$dev" || fail "cannot discard $1"
	echo $(($(stamp) - start))
}

# discard_again WORKLOAD GIB: for each GiB of a disk over a backing file, all of which is
# discarded already
discard_again() {
	local short long

	format ext4 ram1 && cd /room &&
		qcowctl create -b /mnt/flat.qcow2 -F qcow2 fresh.qcow2 $((2 * $2))G &&
		"attach_$target" fresh || fail "no disk of $((2 * $2)) GiB"
	discard_time $(($2 << 31)) > /dev/null
	short=$(discard_time $(($2 << 30)))
	long=$(discard_time $(($2 << 31)))
	"detach_$target"
	drop_fresh || fail "cannot leave the room"
	report "$1" "$2" "$short" "$long"
}

# --- Places for images that are written to ---

# A place is one of
#	ext4, xfs	a filesystem with room, of 1 GiB, made anew for each run
#	aged		an ext4 whose space is in pieces, see aged.sh; copied for each run
#	disk		no filesystem: the image is the disk, which is not cleared for an
#			empty raw image
#	crowded		the ext4 that holds the other images as well
# and lies on a disk: on "ram" for counting instructions, which costs few of them
# itself; on "counted" for counting requests; on "slow" with 4 MiB/s; on "latency" or
# "throttled", see places.sh. ram1 has all its
# memory from the start: the RAM disk's own allocations are not to be measured.
place_device() { # PLACE DISK
	case $1-$2 in
	crowded-ram)	echo ram0 ;;
	crowded-*)	echo dm-0 ;;
	*-ram)		echo ram1 ;;
	*-counted)	echo nullb0 ;;
	*-slow)		echo nullb1 ;;
	*-latency)	echo nullb2 ;;
	*-throttled)	echo nullb3 ;;
	esac
}

# null_disk NAME VALUE...: a memory-backed disk that counts its requests. It has a
# write cache, so that flushes reach it.
null_disk() {
	local folder=/sys/kernel/config/nullb/$1 value

	[ -d "${folder%/*}" ] || mount -t configfs configfs /sys/kernel/config
	mkdir "$folder" || fail "no $1"
	shift
	for value in "size=$room_mib" memory_backed=1 cache_size=64 irqmode=0 "$@" power=1; do
		echo "${value#*=}" > "$folder/${value%%=*}" || fail "$folder: no $value"
	done
}

# fill_ram1: gives it all of its memory.
fill_ram1() {
	/usr/sbin/blkdiscard -z /dev/ram1 || fail "no ram1"
}

make_disks() {
	fill_ram1
	null_disk nullb0
	# A request of more than this disk does in one of its ticks of 20 ms never ends.
	null_disk nullb1 mbps=4
	echo 16 > /sys/block/nullb1/queue/max_sectors_kb || fail "nullb1: no limit"
}

# copy_aged DEVICE: puts the metadata of the aged filesystem into their places.
copy_aged() {
	local start length from=0

	while read -r start length; do
		/usr/bin/dd if=/aged/data of="$1" bs=4k skip=$from seek="$start" count="$length" \
			conv=notrunc status=none || return 1
		from=$((from + length))
	done < /aged/map
}

format() { # PLACE DEVICE
	case $1 in
	ext4)	/usr/sbin/mke2fs -q -F -t ext4 -b 4096 -m 0 -O ^resize_inode -U "$uuid" \
			-E "hash_seed=$uuid,nodiscard,lazy_itable_init=1,lazy_journal_init=1" \
			"/dev/$2" > /dev/null &&
			mount -t ext4 -o noinit_itable "/dev/$2" /room ;;
	xfs)	mkfs.xfs -q -f -K -m "uuid=$uuid" "/dev/$2" &&
			mount -t xfs "/dev/$2" /room ;;
	aged)	copy_aged "/dev/$2" && mount -t ext4 -o noinit_itable "/dev/$2" /room ;;
	disk)	ln -s "/dev/$2" "/room/fresh.$(image_suffix)" ;;
	esac
}

# The crowded filesystem's own disk counts nothing; a mapping over it does.
move_crowded() { # DEVICE
	[ "$crowded" != "$1" ] || return 0
	cd / && umount /mnt || return 1
	if [ "$1" = ram0 ]; then
		dmsetup remove --noudevsync --noudevrules --retry counted
	else
		dmsetup create --noudevsync --noudevrules counted --table \
			"0 $(cat /sys/block/ram0/size) linear /dev/ram0 0" &&
			dmsetup mknodes counted && set -- mapper/counted dm-0
	fi || return 1
	mount -t ext4 "/dev/$1" /mnt && crowded=${2:-$1}
}
crowded=ram0

# make_fresh PLACE DISK IMAGE: goes to a folder with fresh.raw or fresh.qcow2, a copy of
# IMAGE. Nothing of it is in the page cache, from where direct I/O would have to drive
# it out.
make_fresh() {
	local suffix device

	suffix=$(image_suffix)
	device=$(place_device "$1" "$2")
	case $1 in
	crowded)
		move_crowded "$device" && cd /mnt || return 1
		rm -f "fresh.$suffix" ;;
	*)
		format "$1" "$device" && cd /room || return 1
		ln -sf /mnt/flat.qcow2 . ;;
	esac
	case $1-$suffix-$3 in
	disk-raw-empty) ;;
	disk-*)	dd if="/mnt/$3.$suffix" of="fresh.$suffix" bs=64k conv=notrunc status=none ;;
	*)	/usr/bin/cp "/mnt/$3.$suffix" "fresh.$suffix" ;;
	esac || return 1
	sync
	echo 1 > /proc/sys/vm/drop_caches
}

drop_fresh() {
	cd /mnt || return 1
	if grep -q ' /room ' /proc/mounts; then
		umount /room
	else
		rm -f /room/*
	fi
}

# count_extents: pieces that the image's file lies in; nothing without a filesystem
count_extents() {
	[ -b "fresh.$(image_suffix)" ] ||
		filefrag "fresh.$(image_suffix)" | sed -n 's/.*: \([0-9]*\) extents* found$/\1/p'
}

# fresh_job PLACE DISK IMAGE COUNT FIO_OPTION...: a job on a fresh image. Sets time to
# its instructions, and extents; leaves the disk's statistics in /tmp/before and /tmp/after.
fresh_job() {
	local place=$1 disk=$2 image=$3 stat

	shift 3
	make_fresh "$place" "$disk" "$image" || fail "no copy of $image on $place"
	attach_clean fresh || fail "cannot attach a copy of $image on $place"
	stat=/sys/block/$(place_device "$place" "$disk")/stat
	cat "$stat" > /tmp/before
	time=$(fio_job "$@")
	cat "$stat" > /tmp/after
	"detach_$target"
	extents=$(count_extents)
	drop_fresh || fail "cannot leave $place"
}

block_size() { # FIO_OPTION...
	local option

	for option; do
		case $option in
		--bs=*k) option=${option#--bs=}; echo $((${option%k} << 10)) ;;
		--bs=*m) option=${option#--bs=}; echo $((${option%m} << 20)) ;;
		esac
	done
}

# report_below WORKLOAD COUNT FIO_OPTION...: from the files of fresh_job()
report_below() {
	local name=$1 count=$2

	shift 2
	cat /tmp/before /tmp/after | awk -v name="$name" -v ios="$count" \
		-v bytes="$(block_size "$@")" -v sectors=${readonly:+3} '
		NR == 1 { split($0, before) }
		NR == 2 {
			for (i = 1; i <= NF; i++)
				n[i] = $i - before[i]
			printf "%s.bytes %.0f\n", name, n[sectors ? sectors : 7] * 512 * 1000 / ios / bytes
			printf "%s.requests %.0f\n", name,
			       (n[1] + n[5] + n[12] + n[16]) * 1000 / ios
			printf "%s.flushes %.0f\n", name, n[16] * 1000 / ios
		}'
}

# fresh WORKLOAD PLACE IMAGE COUNT FIO_OPTION...: on a new copy in each run
fresh() {
	local name=$1 place=$2 image=$3 count=$4 time extents short

	shift 4
	fresh_job "$place" counted "$image" $((2 * count)) "$@"
	report_below "$name" $((2 * count)) "$@"
	[ -z "$extents" ] || echo "$name.extents $extents"
	fresh_job "$place" ram "$image" "$count" "$@"
	short=$time
	fresh_job "$place" ram "$image" $((2 * count)) "$@"
	report "$name" "$count" "$short" "$time"
	report_switches "$name" $((2 * count))
}

# slow WORKLOAD PLACE IMAGE COUNT FIO_OPTION...: on a disk that does 4 MiB/s
slow() {
	local name=$1 place=$2 image=$3 count=$4 time extents

	shift 4
	fresh_job "$place" slow "$image" "$count" "$@"
	echo "$name.rate $((count * 1000000000 / time))"
	report_below "$name" "$count" "$@"
}

# on_disk WORKLOAD COUNT FIO_OPTION...: as warm(), with the image "flat" on a disk without
# a filesystem
on_disk() {
	local name=$1

	shift
	wants "$name" || return 0
	make_fresh disk ram flat || fail "no copy of flat on a disk"
	warm "$name" fresh "$@" --size=32m
	drop_fresh || fail "cannot leave the disk"
}
