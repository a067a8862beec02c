#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# test.sh [-q [-s N/M]] KERNEL [PART...]: writes to images of every kind through the
# driver in a guest with that kernel; then QEMU's tools and our own check the images
# on the host. Ends in "write KERNEL: N passed, N failed". Parts:
#
#	diff	at random, and QEMU has to find the same content and no fault
#	cut	disks whose writes are recorded, and their content after a power
#		cut at any time
#	cases	cases by name: cases/*.sh
#	small	a guest with little memory: swap and dirty files on the driver;
#		images from after a power cut are written again
#
# -q: less of it, without the last, and with one processor. -s N/M: and of the
# cases the N-th of every M, so that M kernels share them.
#
# TARGET=nbd       qemu-nbd in place of the driver, to try the test itself
# QCOW_ONLY=GLOB   only images, kinds and cases whose name matches
# QCOW_SEED=N      of everything drawn at random (1 unless given)
# QCOW_COUNT=N     images that are written at random
# QCOW_STEPS=N     operations on each of them
# QCOW_POINTS=N    power cuts looked at
# QCOW_CUT_STEPS=N steps of writing on each disk that is recorded
# QCOW_SAMPLE=N    one cut in N is shown to QEMU's tools (200 unless given)
# QCOW_RUNTIME=N   seconds of each run of fio
# QCOW_LONG=1      more places for disks to be full or to fail
# QCOW_KEEP=1      keeps all there is to see
set -euo pipefail
shopt -s inherit_errexit
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"
. "$here/lib.sh"
for file in "$here"/part/*.sh; do
	# shellcheck source=/dev/null
	. "$file"
done

usage() {
	die "usage: test.sh [-q [-s N/M]] 6.1|6.12|7 [diff|cut|cases|small...]"
}

parse_arguments() {
	QCOW_QUICK='' share=1/1
	[ "${1:-}" != -q ] || { QCOW_QUICK=1; shift; }
	[ "${1:-}" != -s ] || { share=${2:-}; shift 2; }
	[[ $share =~ ^[1-9]/[1-9]$ ]] || usage
	[ $# -ge 1 ] || usage
	kernel=$1
	shift
	parts=("$@")
	if [ ${#parts[@]} -eq 0 ]; then
		parts=(diff cut cases)
		[ -n "$QCOW_QUICK" ] || parts+=(small)
	fi
	for part in "${parts[@]}"; do
		[[ $part =~ ^(diff|cut|cases|small)$ ]] || usage
	done
}

# how_much NAME MUCH LITTLE: unless it was told
how_much() {
	local value=$2

	[ -z "$QCOW_QUICK" ] || value=$3
	printf -v "$1" %s "${!1:-$value}"
	export "${1?}"
}

settings() {
	: "${QCOW_ONLY:=*}" "${QCOW_SEED:=1}" "${QCOW_SAMPLE:=200}" "${QCOW_KEEP:=}"
	how_much QCOW_COUNT 24 6
	how_much QCOW_STEPS 60 60
	how_much QCOW_POINTS 7200 1600
	how_much QCOW_CUT_STEPS 300 200
	how_much QCOW_RUNTIME 2 2
	how_much QCOW_MEMORY_SECONDS 6 5
	# An emulated processor is a busy one of the host.
	how_much QCOW_CPUS 2 1
	export QCOW_ONLY QCOW_SEED QCOW_KEEP QCOW_QUICK
}

wanted_part() {
	[[ " ${parts[*]} " == *" $1 "* ]]
}

guest_failed() {
	status=1
}

# Everything on the tree's disk, and the disks of the parts that have their own
first_guest() {
	local seconds=$((600 + QCOW_COUNT * 12 + QCOW_CUT_STEPS / 2 + QCOW_RUNTIME * 20))
	local disks=()

	make_tree_disk
	truncate -s 1G "$work/disk-b"
	disks=(-d "$work/disk" -d "$work/disk-b")
	! wanted_part cut || disks+=(-d "$work/cut/disk" -d "$work/cut/log")
	run_guest "$kernel" -t $seconds "${disks[@]}" "$here/guest/main.sh" || guest_failed
	unpack_tree
}

# processor_ticks: sets ticks: those of this process and of all that have ended
processor_ticks() {
	local stat

	read -ra stat < /proc/$$/stat
	ticks=$((stat[13] + stat[14] + stat[15] + stat[16]))
}

# took WHAT: so many seconds since the last one, and processor seconds
took() {
	local before=$ticks

	processor_ticks
	echo "$1: $((SECONDS - since)) s, $(((ticks - before) / $(getconf CLK_TCK))) CPU s"
	since=$SECONDS
}

run_parts() {
	local part since=$SECONDS ticks

	processor_ticks
	for part in diff cut cases; do
		! wanted_part $part || "${part}_make"
	done
	took "images"
	[ -s "$work/plan" ] || wanted_part small || die "nothing matches $QCOW_ONLY"
	if wanted_part diff || wanted_part cut || wanted_part cases; then
		printf '%s\n' "${parts[@]}" | grep -vx small > "$work/parts"
		first_guest
		took "guest"
	fi
	for part in diff cut cases; do
		! wanted_part $part || "${part}_judge"
	done
	took "judging"
	! wanted_part small || small_run
	! wanted_part small || took "the second guest"
}

# Everything planned has to be there, well.
judge() {
	local name

	sed -n 's/^ok //p' "$work/results" | sort -u > "$work/good"
	sed -n 's/^not ok \([^:]*\).*/\1/p' "$work/results" | sort -u > "$work/bad"
	sort -u "$work/plan" | comm -12 - "$work/good" | comm -23 - "$work/bad" > "$work/passed"
	sort -u "$work/plan" "$work/bad" | comm -23 - "$work/passed" > "$work/failed"
	grep '^not ok' "$work/results" | cut -c1-500 | head -n 60 || true
	comm -23 "$work/failed" "$work/bad" | head -n 10 | sed 's/^/did not run: /'
	[ ! -s "$work/failed" ] ||
		echo "again: QCOW_SEED=$QCOW_SEED QCOW_ONLY='$(head -n1 "$work/failed")'" \
			"tests/write/test.sh${QCOW_QUICK:+ -q -s $share} $kernel ${parts[*]}"
	passed=$(wc -l < "$work/passed")
	failed=$(wc -l < "$work/failed")
}

work=
status=0
parse_arguments "$@"
settings
build_all "$kernel"
work_folder
run_parts
judge
if [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then
	failed=1
fi
[ "$((passed + failed))" -gt 0 ] || die "nothing matches $QCOW_ONLY"
if [ "$failed" -gt 0 ] || [ -n "$QCOW_KEEP" ]; then
	keep_work
fi
echo "write $kernel: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
