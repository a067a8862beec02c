# SPDX-License-Identifier: GPL-2.0
# Point 10: an attach knows its device by the diskseq while it waits for the node, as the
# number may be given to another image meanwhile. shellcheck shell=bash

# attach_gone NAME: an attach fails at once, prints no device and detaches none.
attach_gone()
{
	local begin=$SECONDS

	with_driver_refuses "$1" "/dev/qcow0: is not the device of .*top.qcow2 any more" \
		attach top.qcow2
	same "$1: nothing is detached" "" "$(grep ^detach root/log)"
	# The wait for a node that does not come takes ten seconds.
	[ $((SECONDS - begin)) -lt 9 ]
	same "$1: at once" 0 $?
}

image top.qcow2
fake_root
attaches "number: its own device" top.qcow2
echo 1001 >root/sys/block/qcow0/diskseq
attach_gone "number: given to another image"
MOCK_OLD_ATTACH=1 attaches "number: a driver that does not tell" top.qcow2

fake_root
rm root/dev/qcow0
rm -r root/sys/block/qcow0
attach_gone "number: detached"

# While the node is waited for
fake_root
rm root/dev/qcow0
(
	sleep 1
	echo 1001 >root/sys/block/qcow0/diskseq
	echo 240:0 >root/dev/qcow0
) &
changer=$!
attach_gone "number: given to another image later"
wait $changer

# Older kernels have no diskseq in sysfs.
fake_root
rm root/sys/block/qcow0/diskseq
attaches "number: sysfs does not tell" top.qcow2
