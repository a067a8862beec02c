# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# The work that workers do for a process is on its account: control groups, I/O priority.

CGROUP=/sys/fs/cgroup

# in_group COMMAND...: in a control group of its own
in_group() {
	(echo $BASHPID > "$group/cgroup.procs" && exec "$@")
}

# charged rbytes|wbytes: of the group, at the disk below
charged() {
	local number word value=0

	while read -r number word; do
		[ "$number" = "$lower" ] || continue
		[[ " $word " =~ \ $1=([0-9]+)\  ]] && value=${BASH_REMATCH[1]}
	done < "$group/io.stat"
	echo "$value"
}

# at_least BYTES WHAT
at_least() {
	local bytes

	bytes=$(charged "$2")
	echo "$2: $bytes"
	[ "$bytes" -ge "$1" ] || fail "$2 of $bytes bytes on the group's account, not $1"
}

# memory_of WHAT: bytes of it on the group's account
memory_of() {
	awk -v what="$1" '$1 == what { print $2 }' "$group/memory.stat"
}

# in_memory BYTES BEFORE: so many of its page cache are more than before, but for a tenth.
in_memory() {
	local bytes=$(($(memory_of file) - $2))

	echo "page cache: $bytes"
	[ $bytes -ge $(($1 * 9 / 10)) ] ||
		fail "$bytes bytes of page cache on the group's account, not $1"
}

make_account_group() {
	local i

	create image 16M -o cluster_size=65536
	create buffered 16M -o cluster_size=65536
	# Half of each cluster cannot be compressed.
	truncate -s 2M plain
	for ((i = 0; i < 32; i++)); do
		dd if=/dev/urandom of=plain bs=1k seek=$((i * 64)) count=32 conv=notrunc status=none
	done
	qemu-img convert -q -c -f raw -O qcow2 plain compressed.qcow2
	rm plain
}

case_account_group() {
	local below=account$$ before

	group=$CGROUP/$below
	mkdir "$group"
	null_disk "$below" size=64 completion_nsec=10000
	lower=$(cat "/sys/block/$below/dev")
	mkfs.ext4 -q "/dev/$below"
	mkdir -p $HERE/mnt
	mount "/dev/$below" $HERE/mnt
	cp ./*.qcow2 $HERE/mnt
	sync -f $HERE/mnt
	# Each write to a new cluster, of all of it, is placed by a worker.
	attach --direct-io on $HERE/mnt/image.qcow2
	in_group dd if=/dev/urandom of="$dev" bs=64k count=32 oflag=direct status=none
	at_least $((2 << 20)) wbytes
	detach
	# The page cache of the image, which a worker fills: its memory is the group's, too.
	attach --direct-io off $HERE/mnt/buffered.qcow2
	before=$(memory_of file)
	in_group dd if=/dev/urandom of="$dev" bs=64k count=64 oflag=direct status=none
	in_memory $((4 << 20)) "$before"
	detach
	attach -r --direct-io on $HERE/mnt/compressed.qcow2
	in_group dd if="$dev" of=/dev/null bs=64k count=16 iflag=direct status=none
	# But for the first cluster, which the partition scan has read
	at_least $((15 << 15)) rbytes
	detach
	# On nobody else's
	attach $HERE/mnt/image.qcow2
	before=$(charged wbytes)
	dd if=/dev/urandom of="$dev" bs=64k count=8 seek=64 oflag=direct status=none
	is "$before" "$(charged wbytes)"
	detach
	cp $HERE/mnt/image.qcow2 .
	umount $HERE/mnt
	rmdir "$group"
	null_disk_end "$below"
}

make_account_priority() {
	create image 16M -o cluster_size=65536
}

# A slow disk, whose scheduler says how many of its requests are real-time.
case_account_priority() {
	local below=prio$$ pid realtime=0 most=0 i

	modprobe mq-deadline
	null_disk "$below" size=64 completion_nsec=60000000
	echo mq-deadline > "/sys/block/$below/queue/scheduler"
	dd if=image.qcow2 of="/dev/$below" bs=64k status=none
	attach --direct-io on "/dev/$below"
	ionice -c 1 dd if=/dev/urandom of="$dev" bs=64k count=16 oflag=direct status=none &
	pid=$!
	for ((i = 0; i < 2000; i++)); do
		runs $pid || break
		read -r realtime _ < "/sys/kernel/debug/block/$below/sched/owned_by_driver"
		[ "$realtime" -le $most ] || most=$realtime
		pause 0.01
	done
	wait $pid
	echo "$most real-time requests at most"
	[ "$most" -gt 0 ] || fail "none was real-time"
	detach
	dd if="/dev/$below" of=image.qcow2 bs=64k conv=sparse status=none
	null_disk_end "$below"
}
