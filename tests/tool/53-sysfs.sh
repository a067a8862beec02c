# SPDX-License-Identifier: GPL-2.0
# Without sysfs, as in a chroot or a builder of images, devices are not known; that is not
# the same as no device. shellcheck shell=bash

image top.qcow2

# no_sysfs TYPE: a fake root without sysfs, whose /dev is of that type
no_sysfs()
{
	fake_root
	rm -r root/sys
	echo 259:7 >root/dev/qcow5
	dev_is "$1"
}

for type in devtmpfs tmpfs; do
	no_sysfs $type
	quickly "sysfs: attach, $type" 5 expect "sysfs: attach, $type" attaches top.qcow2
	expect "sysfs: attach, $type: nodes stay" is "qcow0:240:0
qcow0p1:240:1
qcow5:259:7" "$(nodes)"
	run with_driver qcowctl detach /dev/qcow0
	expect "sysfs: detach, $type" is "0 detach flags=0 index=0" "$code $(cat root/log)"
	expect "sysfs: detach, $type: nodes stay" is 3 "$(nodes | wc -l)"
	MOCK_NODE_DISKSEQ=1000 expect "sysfs: attach, $type, the node is its own" attaches top.qcow2
	for err in 1 22; do
		MOCK_STATUS_ERRNO=$err expect "sysfs: attach, $type, status fails ($err)" attaches top.qcow2
	done
done

# The driver says that it has gone, or that it is another device.
gone="/dev/qcow0: is not the device of .*top.qcow2 any more"
MOCK_STATUS_ERRNO=19 expect "sysfs: gone" refuses "$gone" with_driver qcowctl attach top.qcow2
MOCK_ATTACH_DISKSEQ=999 expect "sysfs: another device" refuses "$gone" \
	with_driver qcowctl attach top.qcow2

# A node that another device left: the device stays, the name is told with a warning.
MOCK_NODE_DISKSEQ=77 run with_driver qcowctl attach top.qcow2
expect "sysfs: a node of another device" is "0 /dev/qcow0" "$code $(cat out)"
expect "sysfs: a node of another device: told" has "attached, but it has no node here.*mount sysfs" err
rm root/dev/qcow0
run with_driver qcowctl attach top.qcow2
expect "sysfs: no node" is "0 /dev/qcow0" "$code $(cat out)"
expect "sysfs: no node: told" has "attached, but it has no node here.*mount sysfs" err

# All devices
for command in list "list -J" "detach --all"; do
	# shellcheck disable=SC2086
	expect "sysfs: $command" refuses "/sys/block: cannot be read" with_driver qcowctl $command
done
fake_root
