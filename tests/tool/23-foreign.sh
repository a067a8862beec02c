# SPDX-License-Identifier: GPL-2.0
# Images of formats that a parser reads: attach, info, map and create. tests/foreign looks at
# the parsers themselves. shellcheck shell=bash

fake_root

# vdi_image NAME: a disk of 4 MiB with two blocks of data.
vdi_image()
{
	rm -f "$1"
	qemu-img create -q -f vdi "$1" 4M &&
		qemu-io -f vdi -c 'write -q -P 1 0 64k' -c 'write -q -P 2 3M 512' "$1"
}

vdi_image some.vdi
read_only="attached read-only, as vdi images are not written; --temporary, or an overlay"
run with_driver qcowctl attach some.vdi
expect "foreign: attached" is "/dev/qcow0 0" "$(cat out) $code"
expect "foreign: says that it is read-only" has "some.vdi: $read_only" err
expect "foreign: the table, and no other file" \
	is "image format=4 fd=ro:some.vdi data=-1 table=vdi,4194304,3,0" "$(attached)"
expect "foreign: the device is read-only" has "flags=0x1 " root/log
expect "foreign: with -r" attaches -r some.vdi
expect "foreign: with -r: no note" is "" "$(cat err)"
expect "foreign: with -f" attaches -r -f vdi some.vdi
expect "foreign: others may read it" holds -r some.vdi
expect "foreign: others may read it, too" attaches -r some.vdi
let_go
expect "foreign: as raw" attaches -f raw some.vdi
expect "foreign: as raw: no table" is "image format=1 fd=rw:some.vdi data=-1" "$(attached)"
expect "foreign: --temporary" attaches --temporary=. some.vdi
expect "foreign: --temporary: the chain" has "^image format=4 fd=ro:some.vdi .*table=vdi," <(attached)
expect "foreign: --untrusted" attaches --untrusted some.vdi
expect "foreign: resize" refuses "some.vdi: is a vdi image, which is only read; make a qcow2 image" \
	with_driver qcowctl resize some.vdi 8M
cp some.vdi guest.img
expect "foreign: a raw disk whose guest wrote a header" attaches -r guest.img

# A folder as a disk: one file is large enough to be in the table.
mkdir folder && head -c 3000 /dev/urandom >folder/data && echo small >folder/small
expect "foreign: a folder" attaches -r -f vvfat folder
expect "foreign: a folder: the table, and one more file" \
	has "^image format=4 .* data=-1 file=ro:folder/data table=vvfat,536870912,[0-9]*,0\$" <(attached)
expect "foreign: a folder: --temporary" attaches --temporary=. -f vvfat folder
expect "foreign: a folder below an overlay" refuses "is no folder, and vvfat shows a folder" \
	qcowctl create -b some.vdi -F vvfat new.qcow2

# Below an overlay
expect "foreign: an overlay" accepts qcowctl create -b some.vdi -F vdi top.qcow2
expect "foreign: an overlay is attached" attaches top.qcow2
expect "foreign: an overlay: the chain" has "^image format=4 fd=ro:some.vdi .*table=vdi," <(attached)
expect "foreign: an overlay without the format" refuses "it seems to be vdi: use -F vdi" \
	qcowctl create -b some.vdi new.qcow2
qemu-img convert -O raw top.qcow2 judge.raw
backing top.qcow2 some.vdi
expect "foreign: backing file of no format" attaches top.qcow2
expect "foreign: bad format" refuses '"vmx"; give qcow2, qcow, raw.* or ' \
	qcowctl attach -f vmx some.vdi
expect "foreign: create" refuses "vdi images are not made; use qcow2 or raw" \
	qcowctl create -f vdi new.vdi 1M

# Described and mapped as QEMU does it
expect "foreign: info" accepts qcowctl info some.vdi
expect "foreign: info: format" has '^file format: vdi$' out
expect "foreign: info: size" has '^virtual size: 4 MiB .4194304 bytes.$' out
qcowctl map --json some.vdi | sed 's/, "filename": "some.vdi"//' >ours
qemu-img map --output=json some.vdi >judge
expect "foreign: map" same_content judge ours
qcowctl map --json top.qcow2 | sed 's/, "filename": "some.vdi"//' >ours
qemu-img map --output=json top.qcow2 >judge
expect "foreign: map of an overlay" same_content judge ours

# Damage
truncate -s 1M some.vdi
expect "foreign: truncated" refuses "some.vdi: .*so it is truncated; restore it from a copy" \
	with_driver qcowctl attach some.vdi
expect "foreign: truncated: info" accepts qcowctl info some.vdi
rm -f some.vdi top.qcow2 guest.img judge* ours
