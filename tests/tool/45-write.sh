# SPDX-License-Identifier: GPL-2.0
# Images that are opened for writing, and the messages if they cannot be.
# shellcheck shell=bash

fake_root
image base.qcow2
image top.qcow2 -b base.qcow2 -F qcow2
image ext.qcow2 -o data_file=ext.raw
image baseext.qcow2 -o data_file=baseext.raw
image overext.qcow2 -b baseext.qcow2 -F qcow2
truncate -s 1M plain.raw plain.disk plain-ro.disk

# opens NAME IMAGES ARGUMENTS...: the driver gets these images, and there is no message.
opens()
{
	local name=$1 images=$2

	shift 2
	expect "$name" attaches "$@"
	expect "$name: images" is "$images" "$(attached)"
}

# falls_back NAME FILE IMAGES ARGUMENTS...: read-only, and one line says so.
falls_back()
{
	local name=$1 file=$2 images=$3

	shift 3
	run with_driver qcowctl attach "$@"
	expect "$name: result" is "0 /dev/qcow0" "$code $(cat out)"
	expect "$name: what is said" is \
		"qcowctl: $file: cannot be opened for writing, attaching it read-only" "$(cat err)"
	expect "$name: images" is "$images" "$(attached)"
	expect "$name: read-only" has "^attach .* flags=0x1 " root/log
}

# unwritable FILE ERRNO
unwritable()
{
	export MOCK_UNWRITABLE=/$1 MOCK_UNWRITABLE_ERRNO=$2
}

opens "chain" "image format=3 fd=rw:top.qcow2 data=-1
image format=3 fd=ro:base.qcow2 data=-1" top.qcow2
opens "data file" "image format=3 fd=rw:ext.qcow2 data=rw:ext.raw" ext.qcow2
opens "a backing file's data file" "image format=3 fd=rw:overext.qcow2 data=-1
image format=3 fd=ro:baseext.qcow2 data=ro:baseext.raw" overext.qcow2
opens "raw" "image format=1 fd=rw:plain.raw data=-1" -f raw plain.raw
opens "block device" "image format=1 fd=rw:plain.disk data=-1" -f raw plain.disk

# EPERM, EACCES, ETXTBSY, EROFS
for errno in 1 13 26 30; do
	unwritable top.qcow2 $errno
	falls_back "errno $errno" top.qcow2 "image format=3 fd=ro:top.qcow2 data=-1
image format=3 fd=ro:base.qcow2 data=-1" top.qcow2
	opens "errno $errno: -r" "image format=3 fd=ro:top.qcow2 data=-1
image format=3 fd=ro:base.qcow2 data=-1" -r top.qcow2
	unwritable base.qcow2 $errno
	opens "errno $errno: backing file" "image format=3 fd=rw:top.qcow2 data=-1
image format=3 fd=ro:base.qcow2 data=-1" top.qcow2
	unwritable ext.raw $errno
	falls_back "errno $errno: data file" ext.raw "image format=3 fd=ro:ext.qcow2 data=ro:ext.raw" ext.qcow2
	unwritable ext.qcow2 $errno
	falls_back "errno $errno: image with a data file" ext.qcow2 \
		"image format=3 fd=ro:ext.qcow2 data=ro:ext.raw" ext.qcow2
done
falls_back "read-only block device" plain-ro.disk "image format=1 fd=ro:plain-ro.disk data=-1" \
	-f raw plain-ro.disk
opens "read-only block device, -r" "image format=1 fd=ro:plain-ro.disk data=-1" -r -f raw plain-ro.disk

# Other errors, such as EIO, are errors; a command that fails does not say it falls back.
unwritable top.qcow2 5
expect "errno 5" refuses "top.qcow2: Input/output error; check the disk" \
	with_driver qcowctl attach top.qcow2
unwritable ext.raw 5
expect "errno 5: data file" refuses "ext.raw: Input/output error \(data file of ext.qcow2\); check the disk" \
	with_driver qcowctl attach ext.qcow2
unwritable top.qcow2 30
MOCK_ERRNO=22 MOCK_MSG="bad; do so" expect "not writable, and refused" refuses \
	"^qcowctl: top.qcow2: bad; do so" with_driver qcowctl attach top.qcow2
unset MOCK_UNWRITABLE MOCK_UNWRITABLE_ERRNO

# Without pretence.
cp "$(command -v sleep)" running.raw
truncate -s %512 running.raw
./running.raw 60 &
running=$!
falls_back "a program that runs" running.raw "image format=1 fd=ro:running.raw data=-1" -f raw running.raw
kill $running
wait $running 2>/dev/null
opens "a program that ran" "image format=1 fd=rw:running.raw data=-1" -f raw running.raw
if [ "$(id -u)" -ne 0 ]; then
	chmod a-w top.qcow2
	falls_back "no permission" top.qcow2 "image format=3 fd=ro:top.qcow2 data=-1
image format=3 fd=ro:base.qcow2 data=-1" top.qcow2
	chmod u+w top.qcow2
fi

# A name that is a symlink into another folder.
mkdir -p real
image real/linked.qcow2 -o data_file=real/linked.raw
ln -sf real/linked.qcow2 link.qcow2
opens "by a symlink" "image format=3 fd=rw:real/linked.qcow2 data=rw:real/linked.raw" link.qcow2

# One file twice.
ln -f top.qcow2 same.qcow2
backing base.qcow2 same.qcow2 qcow2
expect "a cycle, for writing" refuses "same.qcow2: is a backing file of itself" qcowctl attach top.qcow2
image base.qcow2
image self.qcow2 -o data_file=self.raw
rm self.raw
ln -s self.qcow2 self.raw
expect "its own data file, for writing" refuses "self.raw: is a data file of itself" \
	qcowctl attach self.qcow2
image twice.qcow2 -o data_file=twice.raw
backing twice.qcow2 twice.raw raw
expect "data file and backing file in one" refuses "twice.raw: is a backing file of itself" \
	qcowctl attach twice.qcow2
expect "data file and backing file in one, -r" attaches -r twice.qcow2

# marked NAME FEATURES PATTERN
marked()
{
	image marked.qcow2
	poke marked.qcow2 72 8 "$2"
	expect "$1" refuses "^qcowctl: marked.qcow2: $3, or attach it read-only with -r\$" \
		qcowctl attach marked.qcow2
	expect "$1, -r" attaches -r marked.qcow2
	expect "$1, --untrusted" attaches --untrusted marked.qcow2
	expect "$1, as raw" attaches -f raw marked.qcow2
	image over.qcow2 -b marked.qcow2 -F qcow2
	expect "$1, as backing file" attaches over.qcow2
	unwritable marked.qcow2 30
	falls_back "$1, not writable" marked.qcow2 "image format=3 fd=ro:marked.qcow2 data=-1" marked.qcow2
	unset MOCK_UNWRITABLE
	qemu-img check -q -r all marked.qcow2 >/dev/null 2>&1
	expect "$1, repaired" attaches marked.qcow2
}
marked "dirty" 1 'was not closed cleanly \(dirty\); repair it with qcowctl check --repair=all'
marked "corrupt" 2 'is marked corrupt; repair it with qcowctl check --repair=all'
marked "corrupt and dirty" 3 'is marked corrupt; repair it with qcowctl check --repair=all'

# An image that a killed QEMU leaves behind.
image killed.qcow2 -o lazy_refcounts=on
(qemu-io -f qcow2 -c 'write -P 1 0 4M' -c flush -c 'sigraise 9' killed.qcow2; :) >/dev/null 2>&1
expect "killed under lazy refcounts" refuses "was not closed cleanly" qcowctl attach killed.qcow2
expect "killed under lazy refcounts, -r" attaches -r killed.qcow2
