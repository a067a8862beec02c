# SPDX-License-Identifier: GPL-2.0
# The resize command: what the driver, whose devices have 1G, is asked for.
# shellcheck shell=bash

fake_root
image top.qcow2
image other.qcow2

# resizes NAME EXPECTED ARGUMENTS...
resizes()
{
	local name=$1 expected=$2

	shift 2
	with_driver "$Q" resize "$@"
	same "resize: $name" "0  $expected" "$code $(cat out err) $(grep ^resize root/log)"
}

# keeps NAME PATTERN ARGUMENTS...: refuses, and the driver was not asked
keeps()
{
	local name=$1

	with_driver_refuses "resize: $name" "$2" resize "${@:3}"
	same "resize: $name: nothing done" "" "$(grep -s ^resize root/log)"
}

resizes "a device" "resize flags=0 index=0 bytes=2147483648" qcow0 2G
resizes "more" "resize flags=0 index=0 bytes=1610612736" /dev/qcow0 +512M
resizes "an image that is attached" "resize flags=0 index=0 bytes=2147483648" top.qcow2 2G
resizes "an image that is not" "resize flags=0 index=0 bytes=2147483648" other.qcow2 2G
resizes "the same" "resize flags=0 index=0 bytes=1073741824" other.qcow2 1G

MOCK_OPENERS=0 resizes "smaller, not attached" "resize flags=0 index=0 bytes=536870912" other.qcow2 512M
MOCK_OPENERS=0 resizes "less, not attached" "resize flags=0 index=0 bytes=536870912" other.qcow2 -512M
MOCK_OPENERS=0 resizes "smaller, attached, not in use" "resize flags=0 index=0 bytes=536870912" qcow0 512M
with_driver "$Q" resize qcow0 512M
same "resize: smaller, in use" "1 qcowctl: /dev/qcow0 is in use:" "$code $(head -1 err)"
has "resize: smaller, in use: what to do" "--force does it all the same" err
resizes "--force" "resize flags=0x1 index=0 bytes=536870912" --force qcow0 512M
resizes "--force, not attached" "resize flags=0x1 index=0 bytes=536870912" other.qcow2 512M --force
resizes "as large as its file" "resize flags=0x2 index=0 bytes=0" qcow0
resizes "max" "resize flags=0x2 index=0 bytes=0" qcow0 max
resizes "max, forced" "resize flags=0x3 index=0 bytes=0" --force qcow0 max
keeps "max and more" "bad size \"max1\"; give .* or max" qcow0 max1
keeps "nothing left" "has 1073741824 bytes" --force qcow0 -1G
keeps "odd" "multiple of 512" qcow0 1000

# Where "-5G" stands
less="resize flags=0x1 index=0 bytes=536870912"
resizes "less, last" "$less" --force qcow0 -512M
resizes "less, and an option" "$less" qcow0 -512M --force
resizes "less, first" "$less" -512M --force qcow0
resizes "less, behind --" "$less" --force -- other.qcow2 -512M
keeps "two sizes" "unknown or incomplete option -5" --force -512M qcow0 -512M
keeps "less, no image" "takes an image or device, and a size or max" --force -512M
keeps "an option like a size" "unknown or incomplete option -x" -x5 qcow0 1G

# What the driver says is printed after a success, too.
MOCK_RESIZE_SAYS="has partitions there" with_driver "$Q" resize qcow0 2G
same "resize: a warning" "0 qcowctl: qcow0: has partitions there" "$code $(cat out err)"
MOCK_RESIZE_SAYS="was interrupted: go on" MOCK_RESIZE_FAILS=1 with_driver "$Q" resize qcow0 2G
same "resize: interrupted" "1 qcowctl: qcow0: was interrupted: go on" "$code $(cat out err)"
