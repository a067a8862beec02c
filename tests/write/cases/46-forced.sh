# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# A device that is detached by force while a snapshot is being deleted.

make_forced_delete() {
	create image 16M -o cluster_size=512,preallocation=metadata
	qemu-img snapshot -c s image.qcow2
}

# slow MS: each read of the mapped disk takes so long.
slow() {
	mapped bad "0 131072 delay /dev/vdb 0 $1 /dev/vdb 0 0"
}

# Both commands say how much space leaks because of that, and name the command that gives
# it back.
case_forced_delete() {
	local pid code=0
	local have="leaked; have it back with qcowctl check --repair=leaks IMAGE"

	modprobe dm-delay
	dd if=image.qcow2 of=/dev/vdb bs=1M conv=fsync status=none
	slow 0
	attach -f qcow2 --direct-io on --cache-size 64K /dev/mapper/bad
	slow 30
	qcowctl snapshot delete "$dev" s > out 2> deleted &
	pid=$!
	pause 1
	qcowctl detach --force "$dev" 2> log || fail "$(cat log)"
	grep -qx "qcowctl: $dev: is detached, but the space that it was giving back is $have" log ||
		fail "detach says '$(cat log)'"
	wait $pid || fail "$(cat deleted)"
	grep -q "the snapshot is deleted, but space that only it had is $have" deleted ||
		fail "delete says '$(cat deleted)'"
	slow 0
	is "" "$(qcowctl snapshot list /dev/mapper/bad | grep -w s)"
	qcowctl check /dev/mapper/bad > out || code=$?
	is 3 $code
	qcowctl check --repair=leaks /dev/mapper/bad > out || fail "$(cat out)"
	qcowctl check /dev/mapper/bad > out || fail "$(cat out)"
	# Without haste nothing is leaked, and nothing said.
	attach -f qcow2 /dev/mapper/bad
	qcowctl snapshot create "$dev" t
	qcowctl snapshot delete "$dev" t 2> log
	qcowctl detach --force "$dev" 2>> log
	[ ! -s log ] || fail "it says $(cat log)"
	qcowctl check /dev/mapper/bad > out || fail "$(cat out)"
	dmsetup remove --noudevsync --retry bad
}
