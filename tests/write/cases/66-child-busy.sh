# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Snapshots that are shown while their disk is written, and the backups of
# Documentation/backup.rst, which need that.

. "$QCOW_TOP/tests/lib/guide.sh"

make_child_busy() {
	create image 16M -o cluster_size=4096
	fill image.qcow2 'write -P 1 0 8M'
}

case_child_busy() {
	local pid n=0 child sum shown

	attach image.qcow2
	fio --output="$HERE/fio.out" --filename="$dev" --direct=1 --ioengine=libaio \
		--size=16M --time_based --runtime=$((QCOW_RUNTIME)) --iodepth=8 --fsync=64 --name=a \
		--rw=randwrite --bsrange=512-64k --blockalign=512 --verify=crc32c \
		--verify_fatal=1 --verify_backlog=256 &
	pid=$!
	while runs $pid; do
		n=$((n + 1))
		qcowctl snapshot create "$dev" "s$n" || fail "create s$n"
		child=$(qcowctl attach --snapshot "s$n" "$dev") || fail "attach s$n"
		shown=$(md5sum < "$child")
		sum=$(qemu-img convert -q -U -l "snapshot.name=s$n" -O raw image.qcow2 seen.raw && md5sum < seen.raw)
		is "$sum" "$shown"
		refuses "in use by $child" qcowctl snapshot delete "$dev" "s$n"
		blockdev --flushbufs "$child"
		is "$sum" "$(md5sum < "$child")"
		qcowctl detach "$child" || fail "detach s$n"
		qcowctl snapshot delete "$dev" "s$n" || fail "delete s$n"
	done
	wait $pid || { grep -m 3 -E 'err=|verify' "$HERE/fio.out"; fail fio; }
	detach
	rm seen.raw
	check image.qcow2
	qcowctl check image.qcow2
	echo "$n snapshots"
}

make_child_guide() {
	create image 16M
}

# one_night NAME
one_night() {
	follow backup 2
	cp "$night" "$1.raw"
}

case_child_guide() {
	local disk night

	# shellcheck disable=SC2034 # of the guide's commands
	local dir to copy last today
	attach image.qcow2
	disk=$dev
	mkfs.ext4 -q "$disk"
	mkdir web backup
	mount "$disk" web
	cp -r /etc/init.d web/
	follow backup 1 "disk=$dev dir=$PWD/web to=$PWD/backup"

	one_night full
	cp -r /etc/default web/
	follow backup 3
	diff -r web/init.d backup/files/init.d || fail "files"
	[ ! -e backup/files/default ] || fail "a file of later"
	follow backup 4
	follow backup 6
	is "" "$(qcowctl snapshot list -J "$disk" | jq -r '.snapshots[].name')"

	one_night monday
	dd if=/dev/urandom of=web/data bs=64k count=20 status=none
	rm -r web/init.d
	follow backup 5 'last=full today=monday'
	follow backup 6

	one_night tuesday
	dd if=/dev/urandom of=web/data bs=64k count=20 status=none
	follow backup 5 'last=monday today=tuesday'
	follow backup 6
	umount web
	detach
	[ "$(wc -l < backup/ranges)" -lt 20 ] || fail "$(wc -l < backup/ranges) ranges"
}

# same_backup NAME...: the disk as QEMU sees it in the backup is that of the night.
same_backup() {
	local name

	for name; do
		qemu-img compare -q -f qcow2 -F raw "backup/$name.qcow2" "$name.raw" || fail "$name"
	done
}

after_child_guide() {
	# shellcheck disable=SC2034 # of the guide's commands
	local to=$PWD/backup

	check image.qcow2
	same_backup full monday tuesday
	follow backup 7
	[ ! -e backup/monday.qcow2 ] || fail "monday is left"
	same_backup full tuesday
}
