#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [-ac] [-k KERNEL] [-w GROUP,...] [TARGET...]: the cost of an I/O, in
# instructions of the whole guest: kernel, processes and fio; and in bytes and requests
# on the disk below. See tests/bench/measure.sh for how they are counted. The same input
# gives the same figures on any machine, to the digit.
#
# -w measures some groups of workloads only:
#	read		everything in memory
#	write		in place
#	allocate	to new clusters: on ext4 and XFS with room, on a disk without a
#			filesystem, on a crowded ext4, on a disk that is slow
#	encrypted	LUKS
# and these, which are not measured unless they are named, and which matrix.sh makes tables of:
#	ext4, xfs, aged, disk	the same workloads on a filesystem with room, on an ext4 whose
#			space is in pieces, on a disk without a filesystem
#	latency, throttled	a disk of 80 microseconds, one of 50 MB/s
#
# Targets, all of them unless named:
#	file		the raw file itself, O_DIRECT; for rows disk-* the disk itself
#	loop		loop over it, through the page cache
#	loop_direct	loop over it, direct
#	dm_crypt	dm-crypt over loop_direct: encrypted workloads only
#	nbd		qemu-nbd with the qcow2 image, cache=none, aio=native
#	daemon		qemu-storage-daemon with it, over VDUSE, on Linux 6.1 over FUSE and
#			loop: only for the groups of matrix.sh, and only if it is named
#	qcow		this driver with the qcow2 image
#
# With the group read, the rows attach-* tell what qcowctl takes to parse images of other formats
# of 100 GiB and 2 TiB, whose blocks all lie apart, by its processor time and peak of memory
# (the larger one of qcowctl and its parser).
#
# The figures are left in $QCOW_CACHE/bench/KERNEL/GROUPS/TARGET as well. They are taken
# from there if the measured system is the same to the bit; -a measures them again. With
# -c the figures are held against the project's promises; it ends in "bench: N passed, N failed".
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"
. "$here/../lib/assert.sh"

ALL_TARGETS=(file loop loop_direct dm_crypt nbd qcow)
ALL_GROUPS=read,write,allocate,encrypted
PLACES=ext4,xfs,aged,disk,latency,throttled

kernel=6.1
check=no
again=no
groups=$ALL_GROUPS
while getopts ack:w: option; do
	case $option in
	a)	again=yes ;;
	c)	check=yes ;;
	k)	kernel=$OPTARG ;;
	w)	groups=$OPTARG ;;
	*)	die "usage: run.sh [-ac] [-k KERNEL] [-w GROUP,...] [TARGET...]" ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || set -- "${ALL_TARGETS[@]}"
named=$(printf '%s\n' "${ALL_TARGETS[@]}" daemon | chosen "$@")
mapfile -t targets <<< "$named"
results=$QCOW_CACHE/bench/$kernel/$groups

tr , '\n' <<< "$ALL_GROUPS,$PLACES" | chosen ${groups//,/ } > /dev/null

# Whether a group of PLACES is measured
places() {
	tr , '\n' <<< "$groups" | grep -xE "${PLACES//,/|}" > /dev/null
}

wanted() {
	[[ " ${targets[*]} " == *" $1 "* ]]
}

prepare() {
	local disk folder small=() option=()

	! places || small=(-s) option=(-p)
	"$here/../setup/packages.sh"
	"$here/../setup/kernel.sh" "$kernel"
	disk=$("$here/images.sh" "${small[@]}")
	mkdir -p "$results"
	"$here/initramfs.sh" "${option[@]}" "$kernel" "$disk" "$work/others.cpio"
	wanted qcow || return 0
	folder=$("$here/../lib/build.sh" "$kernel" 2> "$work/build.log") ||
		die "the module does not build:" "$(tail -n 20 "$work/build.log")"
	make -s -C "$QCOW_TOP/userspace" qcowctl
	make -s -C "$QCOW_TOP/tests/write/guest" BUILD="$work"
	"$here/initramfs.sh" "${option[@]}" "$kernel" "$disk" "$work/qcow.cpio" \
		"$folder/qcow.ko" "$work/qcowwrite"
}

# system_of TARGET: prints the name of the guest's system that it is measured in.
system_of() {
	if [ "$1" = qcow ]; then
		echo qcow
	else
		echo others
	fi
}

# make_keys: a hash for each system. The figures depend on it and on the machine, which
# measure() and two functions of vm/run.sh put together.
make_keys() {
	local image

	kernel_info "$kernel"
	for image in "$work"/*.cpio; do
		{
			cat "$image" "$VMLINUX"
			declare -f measure
			sed -n '/^boot() {$/,/^}$/p; /^icount_args() {$/,/^}$/p' "$here/../vm/run.sh"
			qemu-system-x86_64 --version
		} | sha256sum > "${image%.cpio}.key"
	done
}

# known TARGET: it was measured already.
known() {
	[ $again = no ] && [ -s "$results/$1" ] &&
		cmp -s "$results/$1.key" "$work/$(system_of "$1").key"
}

# measure TARGET: into $results/TARGET
measure() {
	rm -f "$results/$1" "$results/$1.key"
	"$here/../vm/run.sh" -k "$kernel" -m 3G -t 1200 --icount -i "$work/$(system_of "$1").cpio" \
		-b "target=$1 work=$groups norandmaps" > "$work/$1" || {
		say "$1 failed:"
		cat "$work/$1" >&2
		return 1
	}
	mv "$work/$1" "$results/$1"
	cp "$work/$(system_of "$1").key" "$results/$1.key"
}

# Each guest is one thread: two at a time.
measure_all() {
	local target status=0

	for target in "${targets[@]}"; do
		! known "$target" || continue
		while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
			wait -n || status=1
		done
		measure "$target" &
	done
	while [ -n "$(jobs -p)" ]; do
		wait -n || status=1
	done
	return $status
}

# print_table TITLE PATTERN SCALE: a row for each figure whose name matches; with a
# scale of 1 each figure has its ratio to the file's behind it.
print_table() {
	local target files=()

	for target in "${targets[@]}"; do
		[ ! -f "$results/$target" ] || files+=("$results/$target")
	done
	[ ${#files[@]} -gt 0 ] && awk '{ print $1 }' "${files[@]}" | grep -e "$2" > /dev/null ||
		return 0
	echo "$1, Linux $kernel"
	awk -v pattern="$2" -v scale="$3" '
		FNR == 1 { target[++targets] = FILENAME; sub(".*/", "", target[targets]) }
		$1 !~ pattern { next }
		{ if (!($1 in seen)) { seen[$1]; row[++rows] = $1 }; cost[$1, targets] = $2 }
		END {
			printf "%-31s", "workload"
			for (t = 1; t <= targets; t++) printf "%19s", target[t]
			print ""
			for (r = 1; r <= rows; r++) {
				printf "%-31s", row[r]
				for (t = 1; t <= targets; t++) printf "%19s", cell(row[r], t)
				print ""
			}
			print ""
		}
		function cell(name, t, base) {
			if (!((name, t) in cost)) return "-"
			if (scale != 1) return sprintf("%.2f", cost[name, t] / scale)
			base = target[1] == "file" ? cost[name, 1] : 0
			if (!base) return cost[name, t]
			return sprintf("%d (%5.2f)", cost[name, t], cost[name, t] / base)
		}' "${files[@]}"
}

print_tables() {
	print_table "Instructions per I/O (ratio to the file)" '^[^.]*$' 1
	print_table "Context switches per I/O" '[.]switches$' 1000
	print_table "Bytes on the disk below, per byte" '[.]bytes$' 1000
	print_table "Requests on the disk below, per I/O" '[.]requests$' 1000
	print_table "Flushes on the disk below, per I/O" '[.]flushes$' 1000
	print_table "Pieces of the image's file" '[.]extents$' 1
	print_table "I/Os in a second, on a disk that takes time" '[.]rate$' 1
}

figure() { # TARGET WORKLOAD
	awk -v name="$2" '$1 == name { print $2 }' "$results/$1" 2> /dev/null
}

# verdict GROUP YES-OR-NO TEXT: counts a promise, if its group was measured
verdict() {
	[[ ,$groups, == *,$1,* ]] || return 0
	if [ "$2" = yes ]; then
		pass "$3"
	else
		failure "$3"
	fi
}

# promise GROUP NAME PERCENT TARGET: a figure of qcow is at most so much of TARGET's.
promise() {
	local ours theirs kept=no

	ours=$(figure qcow "$2") theirs=$(figure "$4" "$2")
	[ -z "$ours" ] || [ -z "$theirs" ] || [ $((ours * 100)) -gt $((theirs * $3)) ] || kept=yes
	verdict "$1" $kept "$2: ${ours:-nothing}, more than $3 % of ${theirs:-nothing} of $4"
}

# promise_at_most GROUP NAME LIMIT
promise_at_most() {
	local ours kept=no

	ours=$(figure qcow "$2")
	[ -z "$ours" ] || [ "$ours" -gt "$3" ] || kept=yes
	verdict "$1" $kept "$2: ${ours:-nothing}, more than $3"
}

# promise_at_least GROUP NAME PERCENT TARGET
promise_at_least() {
	local ours theirs kept=no

	ours=$(figure qcow "$2") theirs=$(figure "$4" "$2")
	[ -z "$ours" ] || [ -z "$theirs" ] || [ $((ours * 100)) -lt $((theirs * $3)) ] || kept=yes
	verdict "$1" $kept "$2: ${ours:-nothing}, less than $3 % of ${theirs:-nothing} of $4"
}

# promise_beside GROUP NAME PERCENT OTHER: a figure of qcow is at most so much of another one.
promise_beside() {
	local ours other kept=no

	ours=$(figure qcow "$2") other=$(figure qcow "$4")
	[ -z "$ours" ] || [ -z "$other" ] || [ $((ours * 100)) -gt $((other * $3)) ] || kept=yes
	verdict "$1" $kept "$2: ${ours:-nothing}, more than $3 % of ${other:-nothing} of $4"
}

# Maps cost what qcow2 images do, and files of a map the same however many there are.
map_promises() {
	promise_beside read map-random-4k-depth-1 105 random-4k-depth-1
	promise_beside read map-random-4k-depth-16 105 random-4k-depth-16
	promise_beside read map-attach-4096-files 850 map-attach-512-files
}

read_promises() {
	promise read random-4k-depth-1 138 file
	promise read random-4k-depth-16 138 file
	promise read random-4k-depth-1 85 loop_direct
	promise read random-4k-depth-16 85 loop_direct
	promise read sequential-1m 104 file
	promise read disk-read-4k 140 file
	promise read disk-read-1m 103 file
	promise read sequential-1m 100 loop_direct
	promise read chain-of-4-random-4k 100 loop_direct
	promise read chain-of-4-random-4k 30 nbd
	promise read cold-64g-4k 60 nbd
	promise read zlib-sequential-4k 30 nbd
	promise read zlib-sequential-128k 100 nbd
	promise read zstd-sequential-128k 100 nbd
}

write_promises() {
	promise write write-4k-depth-1 143 file
	promise write write-4k-depth-16 143 file
	promise write write-4k-depth-1 100 loop_direct
	promise write write-4k-depth-16 100 loop_direct
	promise write write-4k-fsync 50 nbd
	promise write write-sequential-1m 104 file
	promise write disk-write-4k 140 file
	promise write disk-write-1m 103 file
	promise write write-sequential-1m 100 loop_direct
	promise encrypted encrypted-random-4k 50 nbd
	promise encrypted encrypted-sequential-1m 50 nbd
	promise encrypted encrypted-write-4k 50 nbd
	promise encrypted encrypted-write-1m 50 nbd
}

allocate_promises() {
	local name

	for name in 4k-depth-1 4k-depth-16 4k-fsync 64k sequential-1m 4k-xfs 4k-disk 4k-crowded; do
		promise allocate "allocate-$name" 100 nbd
	done
	promise allocate discard-64k 50 nbd
	promise_at_most allocate discard-1g-again 25000
	promise allocate copy-on-write-4k 100 nbd
}

# The disk's share of small writes to new clusters
below_promises() {
	local name

	promise allocate allocate-4k-depth-1 115 loop_direct
	promise allocate allocate-4k-depth-16 115 loop_direct
	promise allocate allocate-4k-xfs 115 loop_direct
	for name in 4k-depth-1 4k-depth-16 4k-xfs 4k-crowded; do
		promise_at_most allocate "allocate-$name.bytes" 1500
		promise allocate "allocate-$name.bytes" 100 nbd
		promise allocate "allocate-$name.requests" 105 nbd
	done
	promise allocate allocate-4k-disk.bytes 100 nbd
	promise_at_least allocate throttled-4k.rate 100 nbd
}

# The pieces that the image's file lies in: of small writes to ext4 no more than QEMU leaves.
# Elsewhere QEMU leaves one or two less.
piece_promises() {
	local name

	for name in 4k-depth-1 4k-depth-16 4k-crowded; do
		promise allocate "allocate-$name.extents" 100 nbd
	done
	promise_at_most allocate allocate-64k.extents 2
	promise_at_most allocate allocate-sequential-1m.extents 2
	promise_at_most allocate allocate-4k-xfs.extents 4
}

# README.md, and with it the book, has the figures that are measured.
readme_promise() {
	local out same=no

	[ "$groups,$kernel" = "$ALL_GROUPS,6.1" ] || return 0
	out=$(python3 "$here/readme.py" -c "$results" "$QCOW_TOP/README.md" 2>&1)
	[ -n "$out" ] || same=yes
	verdict read $same "README.md has old figures; see readme.py: $out"
}

# Images of other formats are parsed by the tool: these figures are of the machine, and not of
# a guest. They are kept for a tool that is the same.
attach_other_formats() {
	local out=$results/other-formats key

	[[ $groups == *read* ]] && wanted qcow || return 0
	key=$(cat "$QCOW_TOP/userspace/qcowctl" "$here/attach.py" "$here/peak.c" | sha256sum)
	[ $again = no ] && [ "$key" = "$(cat "$out.key" 2> /dev/null)" ] || {
		rm -f "$out.key"
		"${CC:-cc}" -shared -fPIC -O1 -I"$QCOW_TOP/include/uapi" -o "$work/mock.so" \
			"$here"/../tool/mock*.c -ldl
		"${CC:-cc}" -O1 -o "$work/peak" "$here/peak.c"
		/usr/bin/python3 -B "$here/attach.py" "$QCOW_TOP/userspace/qcowctl" "$work/mock.so" \
			"$work/peak" "$work" > "$out" || return
		echo "$key" > "$out.key"
	}
	printf '\n%-18s %9s %12s %9s %10s %10s\n' attach entries microseconds KiB "table KiB" "pinned KiB"
	awk '{ printf "%-18s %9d %12d %9d %10d %10d\n", $1, $2, $3, $4, $5, $6 }' "$out"
}

check_promises() {
	local fine=no

	[ ! -e "$results/other-formats.key" ] || fine=yes
	verdict read $fine "the attach of another format takes too much; see $results/other-formats"
	read_promises
	map_promises
	write_promises
	allocate_promises
	below_promises
	piece_promises
	readme_promise
	summary bench
}

status=0
mkdir -p "$QCOW_CACHE/bench"
work=$(mktemp -d "$QCOW_CACHE/bench/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
prepare
make_keys
measure_all || status=1
print_tables
attach_other_formats || status=1
[ $check = no ] || check_promises || status=1
exit $status
