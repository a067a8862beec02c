# SPDX-License-Identifier: GPL-2.0
# attach --snapshot of a device, and the devices that list and detach name then.
# shellcheck shell=bash

fake_root
image base.qcow2
image top.qcow2 -b base.qcow2 -F qcow2
qemu-img snapshot -c then top.qcow2

# asks NAME EXPECTED ARGUMENTS...: the request to the driver, and how many files it gets
asks()
{
	local name=$1 expected=$2

	shift 2
	run with_driver qcowctl attach "$@"
	expect "of device: $name" is "0 /dev/qcow0" "$code $(cat out err)"
	expect "of device: $name: request" is "$expected" \
		"$(sed -n 's/^attach .*flags=/flags=/p' root/log) $(grep -c ^image root/log)"
}

window="offset=0 limit=0 cache=0 snapshot=then"
asks "a device" "flags=0x101 index=-1 $window parent=0 0" --snapshot then /dev/qcow0
asks "its name alone" "flags=0x101 index=-1 $window parent=0 0" --snapshot then qcow0
asks "with options" "flags=0x105 index=-1 offset=512 limit=0 cache=65536 snapshot=then parent=0 0" \
	--snapshot then --direct-io off --offset 512 --cache-size 64K qcow0
asks "an image" "flags=0x1 index=-1 $window 2" --snapshot then top.qcow2

r()
{
	expect "of device: $1" refuses "$2" with_driver qcowctl attach "${@:3}"
}
r "temporary" "/dev/qcow0: --temporary is for images" --temporary --snapshot then /dev/qcow0
r "backing files" "leave out --backing and --key-file" --backing none --snapshot then /dev/qcow0
r "keys" "leave out --backing and --key-file" --key-file top.qcow2 --snapshot then /dev/qcow0
MOCK_ERRNO=7 r "an old driver" "too old to show a snapshot of a device" --snapshot then qcow0
MOCK_ERRNO=1 r "no root" "only root may" --snapshot then qcow0
MOCK_ERRNO=19 r "it goes" "no such device; see qcowctl list" --snapshot then qcow0
MOCK_ERRNO=2 MOCK_MSG="has no snapshot with that id or name" MOCK_CODE=9 \
	r "no snapshot" "qcow0: has no snapshot with that" --snapshot now qcow0

# --- A child that is there ---

cp -r root/sys/block/qcow0 root/sys/block/qcow5
echo 2005 >root/sys/block/qcow5/diskseq
echo 240:80 >root/sys/block/qcow5/dev
echo then >root/sys/block/qcow5/qcow/snapshot
echo qcow0 >root/sys/block/qcow5/qcow/parent
echo >root/sys/block/qcow0/qcow/parent
expect "of device: list" is "null /dev/qcow0" \
	"$(with_driver qcowctl list -J -O parent | jq -r '.qcowdevices[].parent' | xargs)"
