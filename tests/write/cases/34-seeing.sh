# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# The counters of a device, which an administrator sees.

# counter NAME: its value
counter() {
	local value

	read -r value < "/sys/block/${dev#/dev/}/qcow_stat/$1"
	echo "$value"
}

# note: all counters, in the array "noted"
note() {
	local file

	declare -gA noted=()
	for file in "/sys/block/${dev#/dev/}"/qcow_stat/*; do
		noted[${file##*/}]=$(< "$file")
	done
}

# grown: "NAME=DIFFERENCE" of each counter that grew since then, but for those that
# depend on the memory or the time there is
grown() {
	local name now words=()

	for name in "${!noted[@]}"; do
		now=$(counter "$name")
		case $name in fast | slow | cache_* | flush_ns | memory) continue ;; esac
		[ "$now" = "${noted[$name]}" ] || words+=("$name=$((now - noted[$name]))")
	done
	printf '%s\n' "${words[@]}" | sort | tr '\n' ' '
}

# does EXPECTED OPERATION...: these counters grow by that, and no other; sets wrong if not
does() {
	local expected now

	expected=$(tr ' ' '\n' <<< "$1" | sort | tr '\n' ' ')
	shift
	note
	operate "$dev" "$@"
	now=$(grown)
	[ "$now" = "$expected" ] || { echo "$*: '$now', not '$expected'"; wrong=1; }
}

make_seeing_counters() {
	create base 8M
	fill base.qcow2 'write -P 1 0 8M'
	create plain 1M
	fill plain.qcow2 'write -P 7 0 1M'
	qemu-img convert -q -c -f qcow2 -O qcow2 plain.qcow2 packed.qcow2
	rm plain.qcow2
	create broken 8M
	fill broken.qcow2 'write -P 1 0 1M'
	craft broken.qcow2 'l2e[8] += 512'
	create image 8M -b base.qcow2 -F qcow2
}

case_seeing_counters() {
	local before hits wrong=

	attach --direct-io on image.qcow2
	# The cluster, and its L2 table with its refcounts
	does "allocated=2 cow=1 cow_bytes=61440 writes=1 written_bytes=4096" 'write 4k 4k 2'
	does "reads=2 read_bytes=8192" 'read 4k 4k 2' 'read 8k 4k 1'
	does "writes=1 written_bytes=4096" 'write 4k 4k 3'
	does "allocated=1 writes=1 written_bytes=65536" 'write 64k 64k 4'
	does "flushes=1" 'flush'
	does "discarded_bytes=65536 discards=1" 'discard 64k 64k'
	does "zeroed_bytes=65536 zeroes=1" 'zero 0 64k'
	does "unmapped_bytes=65536 unmaps=1" 'punch 0 64k'
	[ -z "$wrong" ] || fail "counters of other work"
	before=$(counter flush_ns)
	operate "$dev" 'write 4k 4k 4' 'flush'
	[ "$(counter flush_ns)" -gt "$before" ] || fail "flushes take no time"
	[ "$(counter memory)" -gt 65536 ] || fail "memory: $(counter memory)"
	before=$(($(counter fast) + $(counter slow)))
	note
	operate "$dev" 'read 1m 4k 1' 'read 2m 4k 1' 'write 3m 4k 1'
	is 3 $(($(counter fast) + $(counter slow) - before))
	[ "$(counter slow)" -gt "${noted[slow]}" ] || fail "an allocation without a worker"
	grep -q "\"errors\": *0" <(qcowctl stat -J "$dev") || fail "qcowctl stat"
	is "$(counter reads)" "$(qcowctl stat -J "$dev" | sed -n 's/.*"reads": *\([0-9]*\).*/\1/p')"
	detach
	attach -r packed.qcow2
	note
	dd if="$dev" of=/dev/null bs=64k count=4 skip=8 iflag=direct status=none
	is "decompressed=4 read_bytes=262144 reads=4 " "$(grown)"
	detach
	attach -r broken.qcow2
	does "errors=2 reads=3 read_bytes=12288" 'read 512k 4k 1 =EIO' 'read 512k 4k 1 =EIO' 'read 0 4k 1'
	[ -z "$wrong" ] || fail "counters of requests that fail"
	# The L2 table has been read, and is in memory now, unless another case drops all caches.
	before=$(counter cache_misses)
	hits=$(counter cache_hits)
	[ "$before" -gt 0 ] || fail "the L2 table was not read"
	dd if="$dev" of=/dev/null bs=4k count=64 iflag=direct status=none
	[ "$(counter cache_hits)" -ge $((hits + 48)) ] || fail "hits: $hits, $(counter cache_hits)"
	[ "$(counter cache_misses)" -le $((before + 16)) ] || fail "misses: $before, $(counter cache_misses)"
	detach
}

after_seeing_counters() {
	check base.qcow2 packed.qcow2 image.qcow2
}

TRACE=/sys/kernel/tracing

make_seeing_trace() {
	create base 8M
	fill base.qcow2 'write -P 1 0 8M'
	create image 8M -b base.qcow2 -F qcow2
	create broken 8M
	fill broken.qcow2 'write -P 1 0 1M'
	craft broken.qcow2 'l2e[8] += 512'
}

# traced REGEX: such an event is in the file "trace"
traced() {
	grep -qE "$1" trace || { echo "no event: $1"; wrong=1; }
}

case_seeing_trace() {
	local wrong= event

	mountpoint -q $TRACE || mount -t tracefs tracefs $TRACE
	attach image.qcow2
	operate "$dev" 'read 0 4k 1'
	echo > $TRACE/trace
	echo 1 > $TRACE/events/qcow/enable
	operate "$dev" 'write 4k 4k 2' 'read 4k 4k 2' 'flush' 'discard 0 64k'
	echo 0 > $TRACE/events/qcow/enable
	grep -v '^#' $TRACE/trace > trace
	traced "qcow_request: ${dev#/dev/} write guest_offset=4096 len=4096 slow error=0$"
	traced "qcow_request: ${dev#/dev/} read guest_offset=4096 len=4096 (fast|slow) error=0$"
	traced "qcow_request: ${dev#/dev/} discard guest_offset=0 len=65536 slow error=0$"
	traced "qcow_map: ${dev#/dev/}: image.qcow2 guest_offset=4096 len=[0-9]+ data host_offset=[1-9]"
	traced "qcow_map: ${dev#/dev/}: image.qcow2 guest_offset=4096 len=[0-9]+ hole host_offset=0"
	traced "qcow_allocate: ${dev#/dev/}: image.qcow2 host_offset=[1-9][0-9]* len=65536$"
	traced "qcow_cow: ${dev#/dev/}: image.qcow2 guest_offset=4096 len=4096 before=4096 behind=57344$"
	traced "qcow_flush: ${dev#/dev/}: image.qcow2 ns=[1-9][0-9]* error=0$"
	traced "qcow_release: ${dev#/dev/}: image.qcow2 host_offset=[1-9][0-9]* len=65536$"
	is 1 "$(grep -c 'qcow_cow:' trace)"
	detach
	attach -r broken.qcow2
	echo 1 > $TRACE/events/qcow/enable
	operate "$dev" 'read 512k 4k 1 =EIO'
	echo 0 > $TRACE/events/qcow/enable
	grep -v '^#' $TRACE/trace > trace
	traced "qcow_corrupt: ${dev#/dev/}: broken.qcow2 guest_offset=524288 .*not aligned"
	traced "qcow_request: ${dev#/dev/} read .* error=-5$"
	for event in $TRACE/events/qcow/*/format; do
		grep -q 'print fmt' "$event" || fail "$event"
	done
	[ -z "$wrong" ] || fail "$(cat trace)"
	detach
}

after_seeing_trace() {
	check image.qcow2
}

DEBUG=/sys/kernel/debug

make_seeing_debugfs() {
	create base 8M
	fill base.qcow2 'write -P 1 0 8M'
	create image 8M -b base.qcow2 -F qcow2
}

# Requests that a filesystem below does not answer are in flight, and the file is read by
# a task that has it open while the device goes.
case_seeing_debugfs() {
	local folder reader i

	: > seen
	mountpoint -q $DEBUG || mount -t debugfs debugfs $DEBUG
	mkdir -p frozen
	null_disk "debug$$" size=32
	mkfs.ext4 -q "/dev/debug$$"
	mount "/dev/debug$$" frozen
	cp image.qcow2 base.qcow2 frozen/
	attach --direct-io on frozen/image.qcow2
	folder=$DEBUG/qcow/${dev#/dev/}
	operate "$dev" 'write 4k 4k 2' 'flush'
	is "" "$(cat "$folder/in_flight")"
	grep -qE '^image=0 table=l2 slice_bytes=[1-9][0-9]* limit=[1-9][0-9]* slices=16 dirty=0 writing=0 pinned=0 ' \
		"$folder/cache" || fail "$(cat "$folder/cache")"
	grep -qE '^image=0 table=refcounts .* slices=[1-9].* found=[0-9]+ loaded=[1-9]' "$folder/cache"
	grep -qE '^image=1 table=l2 .* slices=1 ' "$folder/cache"
	! grep '^image=1 table=refcounts' "$folder/cache" || fail "refcounts of an image that is read"
	grep -qE '^mapping hits=[1-9][0-9]* misses=[1-9]' "$folder/cache"
	# A flush in the background may come in between.
	i=16
	until grep -qE '^image=0 table=l2 .* dirty=1 ' seen; do
		[ $((i++)) -lt 70 ] || fail "$(cat seen)"
		caches_kept operate "$dev" "write $((i * 64))k 4k 2" "run cat $folder/cache > seen"
	done
	fsfreeze -f frozen
	operate "$dev" 'write 4k 4k 3' &
	until grep -qE '^write guest_offset=4096 len=4096 age_ms=[0-9]+ state=(file|mapping|queued)$' "$folder/in_flight"; do
		pause 0.05
	done
	cat "$folder/in_flight"
	fsfreeze -u frozen
	wait $!
	is "" "$(cat "$folder/in_flight")"
	exec 9< "$folder/cache"
	(while [ -e "$folder/cache" ]; do cat "$folder"/* || true; done) > /dev/null 2>&1 &
	reader=$!
	detach
	wait $reader
	[ ! -e "$folder" ] || fail "the folder is still there"
	! cat <&9 2> /dev/null || fail "the file of a device that is gone"
	exec 9<&-
	[ -d $DEBUG/qcow ] || fail "$DEBUG/qcow"
	umount frozen
	null_disk_end "debug$$"
}

make_seeing_progress() {
	create image 64M
	fill image.qcow2 'write -P 1 0 2M' 'write -P 2 40M 1M'
	create below 8M
	fill below.qcow2 'write -P 3 0 2M'
	create over 8M -b below.qcow2 -F qcow2
	fill over.qcow2 'write -P 4 1M 2M'
}

# progresses WHAT COMMAND...: the lines of JSON say how far it is, and at last that all is done.
# Those of a detach may follow.
progresses() {
	local what=$1 line before=0 done total=1

	shift
	"$@" --progress=json 2> progress || fail "$*: $(cat progress)"
	while read -r line; do
		[[ $line != *'"Detaching"'* ]] || [ "$what" = Detaching ] || break
		[[ $line =~ ^\{\"what\":\"$what\",\"done\":([0-9]+),\"total\":([0-9]+)\}$ ]] || fail "$*: $line"
		done=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]}
		[ "$done" -ge "$before" ] || fail "$*: $(cat progress)"
		before=$done
	done < progress
	is "$total" "$before"
}

case_seeing_progress() {
	attach image.qcow2
	progresses Creating qcowctl snapshot create "$dev" first
	operate "$dev" 'write 0 1m 3'
	progresses Resizing qcowctl resize "$dev" 96M
	progresses Resizing qcowctl resize "$dev" 48M
	progresses Applying qcowctl snapshot apply "$dev" first
	operate "$dev" 'read 0 2m 1'
	progresses Deleting qcowctl snapshot delete "$dev" first
	detach
	progresses Resizing qcowctl resize image.qcow2 +1M
	progresses Resizing qcowctl resize image.qcow2 -1M
	progresses Mapping qcowctl map --json image.qcow2
	attach over.qcow2
	progresses Writing qcowctl commit "$dev"
	progresses Copying qcowctl stream "$dev"
	detach
}

after_seeing_progress() {
	check image.qcow2 below.qcow2 over.qcow2
	holds qcow2 image.qcow2 'read -P 1 0 2M' 'read -P 2 40M 1M'
	holds qcow2 over.qcow2 'read -P 3 0 1M' 'read -P 4 1M 2M'
}

# slow_disk MIB: sets slow to a disk in memory, each of whose requests takes 100 ms. It can
# write zeroes, as null_blk cannot. Until slow_disk_end.
slow_disk() {
	local block

	modprobe sd_mod
	modprobe scsi_debug dev_size_mb="$1" lbpws=1 ndelay=100000000
	until block=$(compgen -G '/sys/bus/pseudo/devices/adapter0/host*/target*/*/block/*'); do
		pause 0.05
	done
	slow=/dev/${block##*/}
}

slow_disk_end() {
	modprobe -r scsi_debug
}

make_seeing_detach() {
	scattered_image image 2
}

# A detach gives some 130 runs of clusters back, one by one, which takes longer than ten seconds.
# It says how far it is, and nobody takes it for one that hangs.
case_seeing_detach() {
	local slow begin

	slow_disk 40
	dd if=image.qcow2 of="$slow" bs=1M conv=fsync status=none
	attach "$slow"
	operate "$dev" 'discard 0 1m'
	begin=$SECONDS
	progresses Detaching qcowctl detach "$dev"
	! stays || fail "it stays"
	[ $((SECONDS - begin)) -ge 11 ] || fail "after $((SECONDS - begin)) s already"
	[ "$(wc -l < progress)" -ge 5 ] || fail "$(cat progress)"
	dd if="$slow" of=image.qcow2 bs=1M count=4 iflag=direct conv=sparse status=none
	slow_disk_end
}

# Nothing leaks.
after_seeing_detach() {
	check image.qcow2
	holds qcow2 image.qcow2 'read -P 0 0 1M' 'read -P 5 1M 1M'
}

make_seeing_owner() {
	create image 8M
}

# job_owners INDEX: prints the owner of the last operation as a program sees it that asked for
# none, and after it has asked for one, and as another program sees it then.
job_owners() {
	/usr/bin/python3 -B - "$1" <<-'PYTHON'
		import fcntl, struct, sys
		def owner(control):
		    status = bytearray(144)
		    struct.pack_into("IIi", status, 0, len(status), 0, int(sys.argv[1]))
		    fcntl.ioctl(control, 0xfb02, status)
		    return struct.unpack_from("I", status, 136)[0]
		control, other = (open("/dev/qcow-control", "rb+", 0) for _ in range(2))
		before = owner(control)
		fcntl.ioctl(control, 0xfb03, bytearray(struct.pack("IIiIQQQ", 40, 0,
		    int(sys.argv[1]), 0, 0, 8 << 20, 0)))
		print(before, owner(control), owner(other))
	PYTHON
}

case_seeing_owner() {
	attach image.qcow2
	is "0 1 2" "$(job_owners "${dev#/dev/qcow}")"
	qcowctl resize "$dev" 8M
	is "2 1 2" "$(job_owners "${dev#/dev/qcow}")"
	detach
}
