# SPDX-License-Identifier: GPL-2.0
# Images that QEMU has open. shellcheck shell=bash

# Start qemu-io on an image and wait until it has its locks.
hold()
{
	rm -f hold.in hold.out
	mkfifo hold.in
	qemu-io "$@" <hold.in >hold.out 2>&1 &
	holder=$!
	exec 9>hold.in
	echo 'length' >&9
	for _ in $(seq 200); do
		grep -q MiB hold.out && return
		sleep 0.05
	done
}

release()
{
	exec 9>&-
	wait "$holder"
}

fake_root
image base.qcow2
image top.qcow2 -b base.qcow2 -F qcow2

hold -f qcow2 base.qcow2
refuses "written by QEMU" "base.qcow2: in use: another program writes to it.*may be held by qemu-io pid $holder.*shut it down" \
	attach base.qcow2
refuses "written by QEMU, as raw" "base.qcow2: in use" attach -f raw base.qcow2
refuses "backing file written by QEMU" "base.qcow2: in use" attach top.qcow2
accepts "written by QEMU: info" info --chain top.qcow2
release

hold -r -f qcow2 base.qcow2
attaches "read by QEMU" base.qcow2
release

hold -f qcow2 top.qcow2
refuses "overlay written by QEMU" "top.qcow2: in use" attach top.qcow2
attaches "overlay written by QEMU: its backing file" base.qcow2
release

hold -U -r -f qcow2 base.qcow2
attaches "read by QEMU with force-share" base.qcow2
release

image ext.qcow2 -o data_file=ext.raw
hold -f qcow2 ext.qcow2
refuses "data file: image written" "ext.qcow2: in use" attach ext.qcow2
refuses "data file written" "ext.raw: in use" attach -f raw ext.raw
release
attaches "nobody holds it" ext.qcow2
