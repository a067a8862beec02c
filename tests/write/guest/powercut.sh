#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In the guest: writes to the images on vda, vdc, ...; vdb, vdd, ... take the
# record of each. See ../powercut.sh.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

KIND_SECONDS=90

prepare
modprobe dm-log-writes
mknod /dev/mapper/control c 10 236 2> /dev/null || true
disks=(/dev/vd[a-z])
i=0
while read -r name cluster; do
	disk=${disks[i]}
	log=${disks[i + 1]}
	i=$((i + 2))
	start=$SECONDS
	echo "$name" > /dev/kmsg
	dmsetup create cut --noudevsync --table \
		"0 $(blockdev --getsz "$disk") log-writes $disk $log"
	dmsetup mknodes cut
	# where its name is looked up
	for dir in /dev /dev/mapper; do
		ln -sfn "/out/$name/backing.raw" $dir/backing.raw
	done
	code=0
	within $KIND_SECONDS qcowwrite cut cut /dev/mapper/cut - /tmp/journal \
		"$QCOW_SEED" "$cluster" "$QCOW_STEPS" || code=$?
	if [ $code -eq 124 ]; then
		fail "$name: it hangs"
	elif [ $code -eq 0 ]; then
		cp /tmp/journal "/out/$name/journal"
		echo "ok $name" >> /out/results
	fi
	if dmsetup status cut | grep -q logging_disabled; then
		fail "$name: the log is full"
	fi
	[ "$QCOW_TARGET" = nbd ] || qcowctl detach --force --all 2> /dev/null || true
	dmsetup remove --noudevsync cut
	echo "$name: $((SECONDS - start)) s"
done < /out/kinds
all_gone
