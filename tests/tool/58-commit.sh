# SPDX-License-Identifier: GPL-2.0
# The commit command: which files the driver is given. shellcheck shell=bash

fake_root
image base.qcow2
image top.qcow2 -b base.qcow2 -F qcow2

# commits NAME EXPECTED ARGUMENTS...
commits()
{
	local name=$1 expected=$2

	shift 2
	run with_driver qcowctl commit "$@"
	expect "commit: $name" is "0  $expected" \
		"$code $(cat out err) $(grep ^commit root/log | sed "s|$T/||g")"
}

# One that a killed caller has left behind is closed first.
steps="commit op=3 index=0 fd=-1 data=-1
commit op=4 index=0 fd=ro:base.qcow2 data=-1
commit op=1 index=0 fd=rw:base.qcow2 data=-1
commit op=2 index=0 fd=-1 data=-1
commit op=3 index=0 fd=-1 data=-1
commit op=4 index=0 fd=ro:base.qcow2 data=-1"
commits "a device" "$steps" /dev/qcow0
echo "$T/none.qcow2" >root/sys/block/qcow0/qcow/image
commits "an image that is not attached" "$steps" top.qcow2
fake_root

# A guest's header in a raw disk, which names a file of the host
MOCK_FORMAT=1 expect "commit: raw" refuses "qcow0: is raw and has no backing file" \
	with_driver qcowctl commit qcow0
expect "commit: raw: no file is opened" is "" "$(grep 'op=[124]' root/log)"
echo "$T/none.raw" >root/sys/block/qcow0/qcow/image
MOCK_FORMAT=1 expect "commit: raw, by another name now" refuses "is raw and has no backing file" \
	with_driver qcowctl commit qcow0
fake_root
image single.qcow2
image other.qcow2 -b base.qcow2 -F qcow2
expect "commit: no backing file" refuses "single.qcow2: has no backing file; see" \
	with_driver qcowctl commit single.qcow2

MOCK_COMMIT_ERRNO=28 MOCK_MSG="no space is left; make room" \
	expect "commit: the backing file's failure" refuses "^qcowctl: $T/base.qcow2: no space" \
		with_driver qcowctl commit other.qcow2
MOCK_COMMIT_ERRNO=28 MOCK_MSG="no space is left; make room" \
	expect "commit: of a device" refuses "^qcowctl: $T/base.qcow2: no space" \
		with_driver qcowctl commit qcow0
MOCK_COMMIT_ERRNO=5 expect "commit: a failure without a word" refuses \
	"^qcowctl: qcow0: Input/output error" with_driver qcowctl commit qcow0

# Interrupted before anything was done
MOCK_COMMIT_ERRNO=4 run with_driver qcowctl commit --progress=json qcow0
expect "commit: interrupted early" is "qcowctl: qcow0: interrupted before it began; " \
	"$(head -n 3 err | grep -o '^{.*\|^qcowctl.*; ')"
