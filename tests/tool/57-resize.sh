# SPDX-License-Identifier: GPL-2.0
# The resize command: its requests to the driver, whose devices have 1G.
# shellcheck shell=bash

fake_root
image top.qcow2
image other.qcow2

# resizes NAME EXPECTED ARGUMENTS...
resizes()
{
	local name=$1 expected=$2

	shift 2
	run with_driver qcowctl resize "$@"
	expect "resize: $name" is "0  $expected" "$code $(cat out err) $(grep ^resize root/log)"
}

# keeps NAME PATTERN ARGUMENTS...: refuses, and the driver was not asked
keeps()
{
	local name=$1

	expect "resize: $name" refuses "$2" with_driver qcowctl resize "${@:3}"
	expect "resize: $name: nothing done" is "" "$(grep -s ^resize root/log)"
}

resizes "a device" "resize flags=0 index=0 bytes=2147483648" qcow0 2G
resizes "more" "resize flags=0 index=0 bytes=1610612736" /dev/qcow0 +512M
resizes "an image that is attached" "resize flags=0 index=0 bytes=2147483648" top.qcow2 2G
resizes "an image that is not" "resize flags=0 index=0 bytes=2147483648" other.qcow2 2G
resizes "the same" "resize flags=0 index=0 bytes=1073741824" other.qcow2 1G

MOCK_OPENERS=0 resizes "smaller, not attached" "resize flags=0 index=0 bytes=536870912" other.qcow2 512M
MOCK_OPENERS=0 resizes "less, not attached" "resize flags=0 index=0 bytes=536870912" other.qcow2 -512M
MOCK_OPENERS=0 resizes "smaller, attached, not in use" "resize flags=0 index=0 bytes=536870912" qcow0 512M
run with_driver qcowctl resize qcow0 512M
expect "resize: smaller, in use" is "1 qcowctl: /dev/qcow0 is in use:" "$code $(head -1 err)"
expect "resize: smaller, in use: what to do" has "--force does it all the same" err
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

# The driver's message is printed after a success, too.
MOCK_RESIZE_SAYS="has partitions there" run with_driver qcowctl resize qcow0 2G
expect "resize: a warning" is "0 qcowctl: qcow0: has partitions there" "$code $(cat out err)"
MOCK_RESIZE_SAYS="was interrupted: go on" MOCK_RESIZE_FAILS=1 run with_driver qcowctl resize qcow0 2G
expect "resize: interrupted" is "1 qcowctl: qcow0: was interrupted: go on" "$code $(cat out err)"
