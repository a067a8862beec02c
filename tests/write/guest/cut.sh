#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In the guest: writes to the images on pieces of vdc; pieces of vdd take the
# record of each. See ../part/cut.sh, which has the sizes, too.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

KIND_SECONDS=120
DISK_SECTORS=$((64 << 11))
LOG_SECTORS=$((8192 << 11))

# create NAME TABLE
create() {
	dmsetup create "$1" --noudevsync --table "$2" && dmsetup mknodes "$1"
}

# make_disk DISK_MB LOG_MB
make_disk() {
	create cutdisk "0 $DISK_SECTORS linear /dev/vdc $(($1 << 11))"
	create cutlog "0 $LOG_SECTORS linear /dev/vdd $(($2 << 11))"
	create cut "0 $DISK_SECTORS log-writes /dev/mapper/cutdisk /dev/mapper/cutlog"
}

remove_disk() {
	local name

	remove_devices '/cut$' 2> /dev/null || true
	for name in cut cutlog cutdisk; do
		dmsetup remove --noudevsync --retry $name
	done
}

# write_blocks NAME CLUSTER CHANGES: leaves a journal.
write_blocks() {
	local dir file

	# where the name of a backing file is looked up
	for dir in /dev /dev/mapper; do
		ln -sfn "/out/cut/$1/backing.raw" $dir/backing.raw
	done
	within $KIND_SECONDS qcowwrite cut cut /dev/mapper/cut "-f qcow2" /tmp/journal \
		"$QCOW_SEED" "$2" "$QCOW_CUT_STEPS" "$3" || return
	for file in journal journal.content; do
		cp /tmp/$file "/out/cut/$1/$file"
	done
}

# write_files NAME: leaves a list of them.
write_files() {
	within $KIND_SECONDS qcowwrite files cut /dev/mapper/cut - /tmp/files \
		"$QCOW_SEED" $((QCOW_CUT_STEPS / 2)) || return
	cp /tmp/files "/out/cut/$1/files"
}

write_kind() {
	local name=$1 code=0

	echo "$name" > /dev/kmsg
	make_disk "$3" "$4"
	if [ "$name" = ext4 ]; then
		write_files "$name" || code=$?
	else
		write_blocks "$name" "$2" "$5" || code=$?
	fi
	[ $code -ne 124 ] || fail "$name: it hangs"
	if grep -q logging_disabled <(dmsetup status cut); then
		fail "$name: the log is full"
	fi
	remove_disk
	[ $code -ne 0 ] || echo "$name" >> /out/cut/written
	return $code
}

modprobe dm-log-writes
mknod /dev/mapper/control c 10 236 2> /dev/null || true
while read -r name cluster disk log changes; do
	start=$SECONDS
	write_kind "$name" "$cluster" "$disk" "$log" "$changes" || echo "$name: not written"
	echo "$name: $((SECONDS - start)) s"
done < /out/cut/kinds
