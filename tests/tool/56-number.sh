# SPDX-License-Identifier: GPL-2.0
# An attach knows its device by the diskseq while it waits for the node, as the
# number may be given to another image meanwhile. shellcheck shell=bash

# attach_gone NAME: an attach fails at once, prints no device and detaches none.
attach_gone()
{
	local begin=$SECONDS

	expect "$1" refuses "/dev/qcow0: is not the device of .*top.qcow2 any more" \
		with_driver qcowctl attach top.qcow2
	expect "$1: nothing is detached" is "" "$(grep ^detach root/log)"
	# The wait for a node that does not come takes ten seconds.
	expect "$1: at once" test $((SECONDS - begin)) -lt 9
}

image top.qcow2
fake_root
expect "number: its own device" attaches top.qcow2
echo 1001 >root/sys/block/qcow0/diskseq
attach_gone "number: given to another image"
MOCK_OLD_ATTACH=1 expect "number: a driver that does not tell" attaches top.qcow2

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
expect "number: sysfs does not tell" attaches top.qcow2

# gpt: the node of the disk has a partition table for sectors of 4096 bytes
gpt()
{
	fake_root
	rm -r root/sys/block/qcow0/qcow0p1 root/dev/qcow0p1
	mkdir root/sys/block/qcow0/queue
	echo 512 >root/sys/block/qcow0/queue/logical_block_size
	python3 -c 'import struct
with open("root/dev/qcow0", "r+b") as f:
    f.seek(4096)
    f.write(struct.pack("<8s4IQ", b"EFI PART", 0x10000, 92, 0, 0, 1).ljust(4096, b"\0"))'
}

# The partition table is read from the node, which may lead to another image by then.
gpt
run with_driver qcowctl attach top.qcow2
expect "number: partition table: attached" is "0 /dev/qcow0" "$code $(cat out)"
expect "number: partition table" has "has a partition table for sectors of 4096 bytes" err
MOCK_NODE_DISKSEQ=1001 expect "number: partition table: of another image" attaches top.qcow2
MOCK_SWAP=1 attach_gone "number: given to another image while its table is read"

# The node is missing, and its number is another image's.
fake_root
dev_is tmpfs
rm root/dev/qcow0*
echo 1001 >root/sys/block/qcow0/diskseq
attach_gone "number: nodes of another image"
expect "number: no nodes are made for another image" is "" "$(ls root/dev | grep '^qcow[0-9]')"
fake_root
