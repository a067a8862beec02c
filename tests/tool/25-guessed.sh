# SPDX-License-Identifier: GPL-2.0
# A raw disk whose guest wrote a qcow2 header. shellcheck shell=bash

fake_root
echo "root's secret" >secret.conf
truncate -s 1M secret.conf

# The header names a file of the host.
for name in guest.img guest.IMG guest.raw guest.Raw guest.dd guest.bin guest.iso; do
	image $name
	backing $name "$T/secret.conf" raw
	for command in attach "attach -r" "info --chain" map "snapshot create" \
		"snapshot delete" "resize" commit stream "bitmap add"; do
		last=
		case $command in
		snapshot*|bitmap*) last=name ;;
		resize) last=+1M ;;
		esac
		# shellcheck disable=SC2086
		expect "guessed: $name: $command" refuses \
			"$name: its backing file \"$T/secret.conf\" is not opened, .*use -f qcow2 .*or -f raw" \
			with_driver qcowctl $command $name $last
	done
	expect "guessed: $name: -f qcow2" attaches -f qcow2 $name
	expect "guessed: $name: -f qcow2: both files" is 2 "$(attached | wc -l)"
	expect "guessed: $name: -f raw" attaches -f raw $name
	expect "guessed: $name: -f raw: one file" is 1 "$(attached | wc -l)"
	expect "guessed: $name: info shows the name" accepts qcowctl info $name
	expect "guessed: $name: info --chain -f qcow2" accepts qcowctl info --chain -f qcow2 $name
	expect "guessed: $name: map -f qcow2" accepts qcowctl map -f qcow2 $name
	expect "guessed: $name: snapshot list -f qcow2" accepts qcowctl snapshot list -f qcow2 $name
done

# By a symlink with another name, and the other way round
ln -s guest.raw linked.qcow2
expect "guessed: a symlink to it" refuses "linked.qcow2: its backing file .* -f qcow2" \
	with_driver qcowctl attach linked.qcow2
image real.qcow2
backing real.qcow2 "$T/secret.conf" raw
ln -s real.qcow2 link.raw
expect "guessed: a symlink named like it" refuses "link.raw: its backing file .* -f qcow2" \
	with_driver qcowctl attach link.raw
expect "guessed: an image named like one" attaches real.qcow2

# Data files, and version 1
image data.img -o data_file=secret.data
expect "guessed: a data file" refuses "data.img: its data file \"secret.data\" is not opened.* -f qcow2" \
	with_driver qcowctl attach data.img
expect "guessed: a data file: -f qcow2" attaches -f qcow2 data.img
qemu-img create -q -f qcow -b "$T/secret.conf" -F raw one.img 1M
expect "guessed: qcow version 1" refuses "one.img: its backing file .*use -f qcow if it is a qcow image" \
	with_driver qcowctl attach one.img
expect "guessed: qcow version 1: -f qcow" attaches -f qcow one.img

# One that names nothing needs no -f.
image alone.img
expect "guessed: it names no file" attaches alone.img
expect "guessed: -f of stream" refuses "bad value \"vmx\"" with_driver qcowctl stream -f vmx alone.img
expect "guessed: -f of snapshot" refuses "bad value \"vmx\"" \
	with_driver qcowctl snapshot create -f vmx alone.img x

rm -f guest.* linked.qcow2 real.qcow2 link.raw data.img secret.* one.img alone.img

# A raw backing file whose guest wrote what only this tool, and not QEMU, takes for an image
truncate -s 1M base
qemu-img create -q -f qcow -b base -F raw over.qcow 1M
for magic in OOOM '\xce\x8a\x46\x02\x01' 'Bochs Virtual HD Image\0\0\0\0\0\0\0\0\0\0Redolog\0\0\0\0\0\0\0\0\0Undoable' \
	'<?xml version="1.0"?><Parallels_disk_image>' 'sprs\0\0\0\3' encrcdsa; do
	head -c 4096 /dev/zero | dd of=base conv=notrunc status=none
	printf '%b' "$magic" | dd of=base conv=notrunc status=none
	expect "guessed: backing file: $magic" attaches -r over.qcow
	expect "guessed: backing file: $magic: raw" has "^image format=1 fd=ro:base " <(attached)
done
truncate -s 0 base && truncate -s 1M base
# The trailer of a dmg: its magic, version and size
poke base 0xffe00 12 0x6b6f6c790000000400000200
expect "guessed: backing file: trailer of a dmg" attaches -r over.qcow
expect "guessed: backing file: trailer of a dmg: raw" has "^image format=1 fd=ro:base " <(attached)
cp base base.dmg
qemu-img create -q -f qcow -b base.dmg -F raw over.qcow 1M
expect "guessed: backing file: named .dmg" refuses "base.dmg: " with_driver qcowctl attach -r over.qcow
for format in vdi vpc vmdk vhdx qed parallels; do
	rm -f base
	qemu-img create -q -f $format base 1M
	qemu-img create -q -f qcow -b base -F raw over.qcow 1M
	expect "guessed: backing file: $format" attaches -r over.qcow
	expect "guessed: backing file: $format: no raw disk" has "^image format=4 .*table=$format," <(attached)
done
rm -f base base.dmg over.qcow
