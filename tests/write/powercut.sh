#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# powercut.sh KERNEL [POINTS]: writes, in a guest with that kernel, to images on
# disks whose writes dm-log-writes records; then looks, here, at what the disks may
# hold after a power cut at 20,000 points, or as many as told. No flushed write
# may be lost, nothing may show that was never written there, and the images must
# be sound. Ends in "write-powercut KERNEL: N passed, N failed".
#
# TARGET=nbd       qemu-nbd in place of the driver, to try the test itself
# QCOW_SEED=N      of everything drawn at random (1 unless given)
# QCOW_ONLY=GLOB   only kinds of images whose name matches
# QCOW_STEPS=N     steps of writing on each image (700 unless given)
# QCOW_SAMPLE=N    shows one point in N to QEMU's tools (100 unless given)
# QCOW_KEEP=1      keeps the recordings
set -euo pipefail
shopt -s inherit_errexit
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"
. "$here/lib.sh"

[ $# -ge 1 ] && [ $# -le 2 ] || die "usage: powercut.sh 6.1|6.12|7 [POINTS]"
kernel=$1
work=
points=${2:-20000}
: "${QCOW_SEED:=1}" "${QCOW_ONLY:=*}" "${QCOW_STEPS:=700}" "${QCOW_SAMPLE:=100}"
: "${QCOW_KEEP:=}"
export QCOW_SEED QCOW_STEPS

DISK_MB=64
LOG_MB=8192

# name, cluster size, MiB, what it begins with, how qemu-img makes it
#	empty: nothing	base: data	backing: a backing file with data, and data
#	snapshot: data, all of it in a snapshot too	compressed: data
kinds='
plain      65536 24 empty      compat=1.1
small      4096  24 base       compat=1.1
old        4096  16 backing    compat=0.10
snapshot   65536 16 snapshot   compat=1.1
cow        4096  8  snapshot   compat=1.1
sub        65536 16 backing    compat=1.1,extended_l2=on
subsnap    16384 8  snapshot   compat=1.1,extended_l2=on
packed     4096  8  compressed compat=1.1
packedzstd 32768 8  compressed compat=1.1,compression_type=zstd
tiny       512   4  empty      compat=1.1,refcount_bits=64
bits       1024  4  base       compat=1.1,refcount_bits=1
lazy       16384 16 base       compat=1.1,lazy_refcounts=on
large      1048576 24 backing  compat=1.1
'

# Ways a driver may be wrong, each of which has to be found in what was recorded
ways='no-flush no-data no-refcounts no-l2 misplaced'

# fill GEN MIB FILE
fill() {
	"$QCOW_BUILT/qcowcut" fill "$QCOW_SEED" "$1" $(($2 * 2048)) "$3"
}

# make_image NAME CLUSTER MIB CONTENT OPTIONS: the disk with the image, and
# what is in it
make_image() {
	local name=$1 dir=$work/$1 opts=$5,cluster_size=$2 convert=()

	mkdir -p "$dir"
	truncate -s "$3M" "$dir/base.raw"
	case $4 in
	base|snapshot|compressed)
		fill 2 "$3" "$dir/base.raw" ;;
	backing)
		# The image is longer than its backing file.
		fill 1 $(($3 * 3 / 4)) "$dir/backing.raw"
		cp "$dir/backing.raw" "$dir/base.raw"
		truncate -s "$3M" "$dir/base.raw"
		fill 2 $(($3 / 4)) "$dir/base.raw"
		convert=(-B backing.raw -F raw) ;;
	esac
	[ "$4" != compressed ] || convert=(-c)
	(
		cd "$dir"
		qemu-img convert -q -f raw -O qcow2 -o "$opts" "${convert[@]}" \
			base.raw image
		[ "$4" != snapshot ] || qemu-img snapshot -c first image
		truncate -s "${DISK_MB}M" disk0
		dd if=image of=disk0 conv=notrunc status=none
		rm image
		cp disk0 disk
		truncate -s "${LOG_MB}M" log
	)
	echo "$name $2" >> "$work/kinds"
	disks+=(-d "$dir/disk" -d "$dir/log")
}

make_images() {
	local name cluster size content opts

	while read -r name cluster size content opts; do
		# shellcheck disable=SC2053
		if [ -n "$name" ] && [[ $name == $QCOW_ONLY ]]; then
			make_image "$name" "$cluster" "$size" "$content" "$opts"
		fi
	done <<< "$kinds"
	[ ${#disks[@]} -gt 0 ] || die "no kind of image matches $QCOW_ONLY"
}

# replay NAME POINTS ARGUMENTS...
replay() {
	local dir=$work/$1 args=(-p "$2")

	shift 2
	[ "$QCOW_TARGET" != nbd ] || args+=(-q)
	if [ -f "$dir/backing.raw" ]; then
		args+=(-b "$dir/backing.raw")
		ln -f "$dir/backing.raw" "$dir/shown/backing.raw"
	fi
	"$QCOW_BUILT/qcowcut" replay -d "$dir/disk0" -l "$dir/log" -j "$dir/journal" \
		-s "$QCOW_SEED" -o "$dir/base.raw" "${args[@]}" "$@"
}

# judge_kind NAME POINTS: leaves the verdict in the folder of the kind.
judge_kind() {
	local name=$1 dir=$work/$1 way

	mkdir -p "$dir/shown"
	if ! grep -qx "ok $name" "$work/results"; then
		echo "$name: was not written" > "$dir/verdict"
		return
	fi
	if replay "$name" "$2" -c "$QCOW_SAMPLE" -w "$dir/shown" > "$dir/replayed" 2>&1; then
		echo "ok $name" > "$dir/verdict"
	else
		echo "not ok $name" > "$dir/verdict"
	fi
	for way in $ways; do
		# Lazy refcounts may be wrong.
		[ "$name $way" != "lazy no-refcounts" ] || continue
		if replay "$name" 2000 -x "$way" > "$dir/broken-$way" 2>&1; then
			echo "broken by $way, and not found out" >> "$dir/replayed"
			echo "missed $name $way" >> "$dir/verdict"
		else
			echo "ok $name $way" >> "$dir/verdict"
		fi
	done
	rm -f "$dir"/shown/sample*
}

# Two at a time
judge_all() {
	local name share

	share=$(((points + $(wc -l < "$work/kinds") - 1) / $(wc -l < "$work/kinds")))
	while read -r name _; do
		while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
			wait -n
		done
		judge_kind "$name" $share &
	done < "$work/kinds"
	wait
	while read -r name _; do
		{ echo "$name:"; cut -c1-400 "$work/$name/replayed" || true; } 2> /dev/null
		cat "$work/$name/verdict" >> "$work/verdicts"
	done < "$work/kinds"
}

build_all "$kernel"
work_folder
disks=()
make_images
: > "$work/results"
status=0
run_guest "$kernel" powercut.sh -t 1500 "${disks[@]}" || status=$?
judge_all
passed=$(grep -c '^ok' "$work/verdicts" || true)
failed=$(grep -vc '^ok' "$work/verdicts" || true)
grep -v '^ok' "$work/verdicts" || true
if [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then
	failed=1
fi
if [ "$failed" -gt 0 ] || [ -n "$QCOW_KEEP" ]; then
	keep_work
fi
finish write-powercut "$kernel" "$passed" "$failed"
