#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [-ac] [-k KERNEL] [TARGET...]: what an I/O costs, in instructions of the
# whole guest: kernel, processes and fio. See tests/bench/init for how it is
# counted. The same input gives the same figures on any machine, to the digit.
#
# Targets, all of them unless named:
#	file		the raw file itself, O_DIRECT
#	loop		loop over it, through the page cache
#	loop_direct	loop over it, direct
#	dm_crypt	dm-crypt over loop_direct: what is encrypted only
#	nbd		qemu-nbd with the qcow2 image, cache=none, aio=native
#	qcow		this driver with the qcow2 image
#
# The figures are left in $QCOW_CACHE/bench/KERNEL/TARGET as well. Those of other
# targets are taken from there if nothing of what is measured is another than it
# was then, to the bit; -a measures them again. With -c the figures are held
# against what the project promises; ends in "bench: N passed, N failed".
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"

kernel=6.1
check=no
again=no
while getopts ack: option; do
	case $option in
	a)	again=yes ;;
	c)	check=yes ;;
	k)	kernel=$OPTARG ;;
	*)	die "usage: run.sh [-ac] [-k KERNEL] [TARGET...]" ;;
	esac
done
shift $((OPTIND - 1))
targets=("$@")
[ $# -gt 0 ] || targets=(file loop loop_direct dm_crypt nbd qcow)
results=$QCOW_CACHE/bench/$kernel

wanted() {
	[[ " ${targets[*]} " == *" $1 "* ]]
}

prepare() {
	local disk folder

	"$here/../setup/packages.sh"
	"$here/../setup/kernel.sh" "$kernel"
	disk=$("$here/images.sh")
	mkdir -p "$results"
	"$here/initramfs.sh" "$kernel" "$disk" "$work/others.cpio"
	wanted qcow || return 0
	folder=$("$here/../lib/build.sh" "$kernel" 2> "$work/build.log") ||
		die "the module does not build:" "$(tail -n 20 "$work/build.log")"
	make -s -C "$QCOW_TOP/userspace" qcowctl
	"$here/initramfs.sh" "$kernel" "$disk" "$work/qcow.cpio" "$folder/qcow.ko"
}

# What figures of others depend on: the same system on the same machine gives the
# same. How the machine is put together, measure() and two functions of run.sh say.
others_key() {
	kernel_info "$kernel"
	{
		cat "$work/others.cpio" "$VMLINUX"
		declare -f measure
		sed -n '/^boot() {$/,/^}$/p; /^icount_args() {$/,/^}$/p' "$here/../vm/run.sh"
		qemu-system-x86_64 --version
	} | sha256sum
}

# known TARGET: it was measured already.
known() {
	[ $again = no ] && [ "$1" != qcow ] && [ -s "$results/$1" ] &&
		[ "$(cat "$results/$1.key" 2> /dev/null)" = "$key" ]
}

# measure TARGET: into $results/TARGET
measure() {
	local image=$work/others.cpio

	[ "$1" != qcow ] || image=$work/qcow.cpio
	rm -f "$results/$1" "$results/$1.key"
	"$here/../vm/run.sh" -k "$kernel" -m 2G -t 600 --icount -i "$image" \
		-b "target=$1 norandmaps" > "$work/$1" || {
		say "$1 failed:"
		cat "$work/$1" >&2
		return 1
	}
	mv "$work/$1" "$results/$1"
	[ "$1" = qcow ] || echo "$key" > "$results/$1.key"
}

# Each guest is one thread: two at a time.
measure_all() {
	local target failed=0

	for target in "${targets[@]}"; do
		! known "$target" || continue
		while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
			wait -n || failed=1
		done
		measure "$target" &
	done
	while [ -n "$(jobs -p)" ]; do
		wait -n || failed=1
	done
	return $failed
}

# One row a workload; after each figure its ratio to the file's
print_table() {
	local target files=()

	for target in "${targets[@]}"; do
		[ ! -f "$results/$target" ] || files+=("$results/$target")
	done
	[ ${#files[@]} -gt 0 ] || return 0
	echo "Instructions per I/O, Linux $kernel (ratio to the file)"
	awk '
		FNR == 1 { target[++targets] = FILENAME; sub(".*/", "", target[targets]) }
		{ if (!($1 in seen)) { seen[$1]; row[++rows] = $1 }; cost[$1, targets] = $2 }
		END {
			printf "%-22s", "workload"
			for (t = 1; t <= targets; t++) printf "%20s", target[t]
			print ""
			for (r = 1; r <= rows; r++) {
				printf "%-22s", row[r]
				for (t = 1; t <= targets; t++) printf "%20s", cell(row[r], t)
				print ""
			}
		}
		function cell(name, t, base) {
			if (!((name, t) in cost)) return "-"
			base = target[1] == "file" ? cost[name, 1] : 0
			if (!base) return cost[name, t]
			return sprintf("%d (%5.2f)", cost[name, t], cost[name, t] / base)
		}' "${files[@]}"
}

figure() { # TARGET WORKLOAD
	awk -v name="$2" '$1 == name { print $2 }' "$results/$1" 2> /dev/null
}

# promise WORKLOAD PERCENT TARGET: qcow costs at most so much of what TARGET does.
promise() {
	local ours theirs

	ours=$(figure qcow "$1") theirs=$(figure "$3" "$1")
	if [ -n "$ours" ] && [ -n "$theirs" ] && [ $((ours * 100)) -le $((theirs * $2)) ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "bench: $1: ${ours:-nothing} instructions, more than $2 % of ${theirs:-nothing} of $3"
	fi
}

check_promises() {
	local passed=0 failed=0

	promise random-4k-depth-1 145 file
	promise random-4k-depth-16 145 file
	promise random-4k-depth-1 100 loop_direct
	promise random-4k-depth-16 100 loop_direct
	promise sequential-1m 110 file
	promise chain-of-4-random-4k 100 loop_direct
	promise chain-of-4-random-4k 30 nbd
	promise cold-64g-4k 60 nbd
	promise zlib-sequential-4k 30 nbd
	promise zlib-sequential-128k 100 nbd
	promise zstd-sequential-128k 100 nbd
	promise write-4k-depth-1 145 file
	promise write-4k-depth-16 145 file
	promise write-4k-depth-1 100 loop_direct
	promise write-4k-depth-16 100 loop_direct
	promise write-4k-fsync 50 nbd
	promise allocate-4k-depth-1 25 nbd
	promise allocate-4k-depth-16 25 nbd
	promise allocate-4k-fsync 30 nbd
	promise allocate-64k 25 nbd
	promise allocate-sequential-1m 10 nbd
	promise discard-64k 50 nbd
	promise copy-on-write-4k 100 nbd
	promise encrypted-random-4k 50 nbd
	promise encrypted-sequential-1m 50 nbd
	promise encrypted-write-4k 50 nbd
	promise encrypted-write-1m 50 nbd
	echo "bench: $passed passed, $failed failed"
	[ $failed = 0 ]
}

status=0
mkdir -p "$QCOW_CACHE/bench"
work=$(mktemp -d "$QCOW_CACHE/bench/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
prepare
key=$(others_key)
measure_all || status=1
print_table
[ $check = no ] || check_promises || status=1
exit $status
