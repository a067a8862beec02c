#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# cases.sh first|last: in the guest, the cases of /out/cases.plan, each a process
# of its own in its own folder. Two of these may run side by side, one that begins
# with the first case and one that begins with the last; they meet somewhere.
# $HERE is where cases put what they need besides.
set -euo pipefail
here=$(dirname "$0")
. "$here/lib.sh"

CASE_SECONDS=200
HERE=/tmp/here-$$
LEFT=/tmp/cases.left
export HERE
mkdir $HERE

# unmount REGEX: what is mounted there
unmount() {
	local mountpoint

	while read -r mountpoint; do
		umount "$mountpoint"
	done < <(awk -v regex="$1" '$2 ~ regex { print $2 }' /proc/mounts | sort -r)
}

# clean_up NAME FILE: a device may be over a filesystem, and a filesystem over a device.
clean_up() {
	unmount "^$HERE/"
	if [ "$QCOW_TARGET" = nbd ]; then
		qemu-nbd -d /dev/nbd0
	else
		remove_devices "^$HERE/|/cases/$1/"
		grep -q 'mapper/bad' "$here/../cases/$2" && remove_devices '/bad$'
	fi
	unmount "^$HERE/"
	grep -q 'mapper/bad' "$here/../cases/$2" && dmsetup remove --noudevsync --retry bad
	losetup -nO NAME,BACK-FILE | awk -v dir="/cases/$1/" 'index($2, dir) { print $1 }' |
		xargs -r losetup -d
	rm -rf --one-file-system "${HERE:?}"/mnt "${HERE:?}"/small
	true
} > /dev/null 2>&1 < /dev/null

# take first|last: prints a case that nobody has taken, file and name. Fails if
# there is none.
take() {
	(
		flock 9
		[ -e $LEFT ] || cp /out/cases.plan $LEFT
		[ -s $LEFT ] || exit 1
		if [ "$1" = first ]; then
			head -n 1 $LEFT
			sed -i 1d $LEFT
		else
			tail -n 1 $LEFT
			sed -i '$d' $LEFT
		fi
	) 9> $LEFT.lock
}

# alone FILE COMMAND...: only one at a time of those with a mapped disk, "bad"
alone() {
	if grep -q 'mapper/bad' "$here/../cases/$1"; then
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
