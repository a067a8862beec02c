# SPDX-License-Identifier: GPL-2.0
# Nodes in a /dev that the kernel does not keep, and a udev that does not answer.
# shellcheck shell=bash

image top.qcow2

# attaches_with_nodes NAME: those of the disk and its partition are there afterwards.
attaches_with_nodes()
{
	quickly "$1" 5 expect "$1" attaches top.qcow2
	expect "$1: nodes" is "qcow0:240:0
qcow0p1:240:1" "$(nodes)"
}

for type in tmpfs ext4; do
	fake_root
	dev_is $type
	rm root/dev/qcow0*
	attaches_with_nodes "node: made in $type"
done
fake_root
rm root/proc/self/mountinfo root/dev/qcow0*
attaches_with_nodes "node: made in who knows what"

# Of devices that have gone
fake_root
dev_is tmpfs
echo 259:7 >root/dev/qcow0
echo 240:2 >root/dev/qcow0p2
echo 240:9 >root/dev/qcow17p3
echo 240:9 >root/dev/qcow1p
echo text >root/dev/qcow3
expect "node: stale ones" attaches top.qcow2
expect "node: stale ones go, other files stay" is "qcow0:240:0
qcow0p1:240:1
qcow1p:240:9
qcow3:text" "$(nodes)"

# By a detach, too, though it finds no device
rm -r root/sys/block/qcow0
expect "node: detach of a device that has gone" refuses "no such device" with_driver qcowctl detach /dev/qcow0
expect "node: detach removes what is left" is "qcow1p:240:9
qcow3:text" "$(nodes)"

# A devtmpfs is the kernel's.
fake_root
echo 259:7 >root/dev/qcow5
expect "node: devtmpfs" attaches top.qcow2
expect "node: devtmpfs is left alone" is "qcow0:240:0
qcow0p1:240:1
qcow5:259:7" "$(nodes)"

# Not allowed to make them: the device stays.
fake_root
dev_is tmpfs
rm root/dev/qcow0*
MOCK_MKNOD_ERRNO=1 quickly "node: forbidden" 5 run with_driver qcowctl attach top.qcow2
expect "node: forbidden" is "0 /dev/qcow0 " "$code $(cat out) $(grep ^detach root/log)"
expect "node: forbidden: what to do" has \
	"^qcowctl: /dev/qcow0: attached, .*Operation not permitted.*mknod -m 660 /dev/qcow0 b 240 0, and likewise for its partitions" err
expect "node: forbidden: one line" is 1 "$(wc -l <err)"

# Somebody wrote to the name.
echo data >root/dev/qcow0
run with_driver qcowctl attach top.qcow2
expect "node: a file" is "0 /dev/qcow0 data" "$code $(cat out) $(cat root/dev/qcow0)"
expect "node: a file: what to do" has "^qcowctl: /dev/qcow0: is no device.*; remove it, then run mknod" err

# udev_socket listen|dead
udev_socket()
{
	mkdir -p root/run/udev
	rm -f root/run/udev/*
	python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.bind("root/run/udev/control")
if sys.argv[1] == "listen":
    s.listen()
    open("root/run/udev/ready", "w")
    time.sleep(30)' "$1" &
	udev=$!
	if [ "$1" = listen ]; then
		until [ -e root/run/udev/ready ]; do sleep 0.05; done
	else
		wait $udev
	fi
}

# Its socket is there, it is not; or it is there, and hears nothing of the device.
for type in devtmpfs tmpfs; do
	fake_root
	dev_is $type
	udev_socket dead
	quickly "node: udev is dead, $type" 2 expect "node: udev is dead, $type" attaches top.qcow2
done
udev_socket listen
quickly "node: udev hears nothing" 8 expect "node: udev hears nothing" attaches top.qcow2
kill $udev

# The driver's own node
fake_root
dev_is tmpfs
mkdir -p root/sys/class/misc/qcow-control
echo 10:120 >root/sys/class/misc/qcow-control/dev
rm root/dev/qcow-control
expect "node: control" attaches top.qcow2
expect "node: control: made" is 10:120 "$(cat root/dev/qcow-control)"
rm root/dev/qcow-control
run with_driver limited env MOCK_MKNOD_ERRNO=1 MOCK_EUID=0 "$Q" attach top.qcow2
expect "node: control: forbidden" refused "/dev/qcow-control: Operation not permitted: root of this container may not use it; allow"
dev_is devtmpfs
run with_driver qcowctl attach top.qcow2
expect "node: control: devtmpfs" refused "module is not loaded"

# Without the module its number may be another driver's, whose node is not opened.
fake_root
dev_is tmpfs
mkdir -p root/sys/class/misc bin
echo 10:130 >root/dev/qcow-control
run with_driver limited env MOCK_EUID=1000 "$Q" attach top.qcow2
expect "node: control of another driver" refused "the qcow module is not loaded"
expect "node: control of another driver: not opened, nothing asked" is "10:130" \
	"$(cat root/dev/qcow-control root/controls root/log 2>/dev/null)"
cat >bin/modprobe <<'EOF'
#!/bin/sh
mkdir root/sys/class/misc/qcow-control
echo 10:120 >root/sys/class/misc/qcow-control/dev
EOF
chmod +x bin/modprobe
MOCK_EUID=0 PATH=$PWD/bin:$PATH expect "node: control of another driver: modprobe" attaches top.qcow2
expect "node: control of another driver: made anew, opened since" is "10:120" \
	"$(cat root/dev/qcow-control root/controls | sort -u)"
# The module was loaded again, with another number.
rm root/controls
echo 10:121 >root/sys/class/misc/qcow-control/dev
expect "node: control of the module loaded before" attaches top.qcow2
expect "node: control of the module loaded before: not opened" is "10:121" "$(sort -u root/controls)"
# Nobody knows.
fake_root
rm -r root/sys
echo 10:120 >root/dev/qcow-control
expect "node: control without sysfs" attaches top.qcow2
fake_root
