#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cases.sh first|last: in the guest, the cases of /out/cases.plan, each a process
# of its own in its own folder. Two of these may run side by side, one that begins
# with the first case and one that begins with the last; they meet somewhere.
# $HERE is a folder for other files of a case.
set -euo pipefail
here=${0%/*}
. "$here/lib.sh"

CASE_SECONDS=200
HERE=/tmp/here-$$
LEFT=/tmp/cases.left
export HERE
mkdir $HERE
# Those files whose cases have the second disk, or the mapped one, "bad"
mapfile -t bad < <(cd "$here/../cases" && grep -lE "mapper/bad|/dev/vdb" [0-9]*.sh)

has_bad() {
	[[ " ${bad[*]} " == *" $1 "* ]]
}

# Between cases no program is started that need not be: see pause.

# unmount FOLDER: unmounts all filesystems below it.
unmount() {
	local point points=()

	while read -r _ point _; do
		[[ $point != "$1"/* ]] || points=("$point" "${points[@]}")
	done < /proc/mounts
	[ ${#points[@]} -eq 0 ] || umount "${points[@]}"
}

# remove_loops FOLDER: those over files in it
remove_loops() {
	local loop file

	for loop in /sys/block/loop*/loop; do
		file=
		read -r file < "$loop/backing_file" || continue
		loop=${loop%/loop}
		[[ $file != *"$1"* ]] || losetup -d "/dev/${loop##*/}"
	done
}

# clean_up NAME FILE: a device may be over a filesystem, and a filesystem over a device.
clean_up() {
	local dir

	unmount "$HERE"
	if [ "$QCOW_TARGET" = nbd ]; then
		qemu-nbd -d /dev/nbd0
	else
		remove_devices "^$HERE/|/cases/$1/"
		has_bad "$2" && remove_devices '/bad$'
	fi
	unmount "$HERE"
	has_bad "$2" && dmsetup remove --noudevsync --retry bad
	remove_loops "/cases/$1/"
	for dir in "$HERE"/mnt "$HERE"/small; do
		[ ! -e "$dir" ] || rm -rf --one-file-system "$dir"
	done
	true
} > /dev/null 2>&1 < /dev/null

# take first|last: prints a case that nobody has taken, file and name. Fails if
# there is none.
take() {
	local left

	(
		flock 9
		[ -e $LEFT ] || cp /out/cases.plan $LEFT
		mapfile -t left < $LEFT
		[ ${#left[@]} -gt 0 ] || exit 1
		if [ "$1" = first ]; then
			echo "${left[0]}"
			left=("${left[@]:1}")
		else
			echo "${left[-1]}"
			unset "left[-1]"
		fi
		printf '%s\n' "${left[@]}" > $LEFT
		[ ${#left[@]} -gt 0 ] || : > $LEFT
	) 9> $LEFT.lock
}

# alone FILE COMMAND...: only one at a time of those with a mapped disk, "bad"
alone() {
	if has_bad "$1"; then
		exec 9> /tmp/bad.lock
		flock 9
		"${@:2}" 9>&-
		exec 9>&-
	else
		"${@:2}"
	fi
}

run_case() {
	local code=0 start=$SECONDS log=$HERE/log

	echo "case $2" > /dev/kmsg
	cd "$TREE/cases/$2"
	within $CASE_SECONDS bash "$here/../case.sh" case "$1" "$2" > $log 2>&1 || code=$?
	cd /
	if [ $code -eq 0 ]; then
		echo "ok $2" >> /out/cases.results
	else
		echo "not ok $2: exit $code: $(tail -n 3 $log | tr '\n' ' ')" >> /out/cases.results
		echo "--- $2: exit $code"
		tail -n 12 $log
	fi
	[ $((SECONDS - start)) -lt 4 ] || echo "$2: $((SECONDS - start)) s; $(tail -n 1 $log)"
	[ $code -ne 124 ] || fail "$2 hangs"
	clean_up "$2" "$1" || true
}

modprobe -a loop dm-mod
mknod /dev/mapper/control c 10 236 2> /dev/null || true
while read -r file name < <(take "$1"); do
	alone "$file" run_case "$file" "$name"
done
