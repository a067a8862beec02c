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

# Headers of other formats, and a fixed VHD, which only its end tells from one
qemu-img create -q -f qed -b "$T/secret.conf" -F raw evil.qed 1M
image evil.qcow2
backing evil.qcow2 "$T/secret.conf" raw
qemu-img create -q -f vpc -o subformat=fixed,force_size=on plain.vhd 4M
cp plain.vhd disk.vhd
dd if=evil.qed of=disk.vhd conv=notrunc status=none
for command in "attach -r" attach "info --chain" info map; do
	# shellcheck disable=SC2086
	expect "guessed: fixed VHD: QED: $command" refuses "disk.vhd: .*it seems to be a fixed VHD.*-f vpc" \
		with_driver qcowctl $command disk.vhd
done
head -c -1 disk.vhd >old.vhd
expect "guessed: fixed VHD: 511 bytes" refuses "old.vhd: .*it seems to be a fixed VHD.*-f vpc" \
	with_driver qcowctl attach -r old.vhd
expect "guessed: fixed VHD: -f vpc" attaches -r -f vpc disk.vhd
expect "guessed: fixed VHD: -f vpc: one file" is 1 "$(attached | wc -l)"
expect "guessed: fixed VHD: -f qed" attaches -r -f qed disk.vhd
cp plain.vhd two.vhd
dd if=evil.qcow2 of=two.vhd conv=notrunc status=none
expect "guessed: fixed VHD: qcow2" \
	refuses "two.vhd: its backing file .* is not opened, .*use -f qcow2 .*or -f vpc if it is a fixed VHD" \
	with_driver qcowctl attach -r two.vhd
expect "guessed: fixed VHD: qcow2: -f vpc" attaches -r -f vpc two.vhd

# A descriptor of VMDK in the raw part of another
qemu-img create -q -f vmdk -o subformat=monolithicFlat some.vmdk 1M
sed "s|some-flat.vmdk|$T/secret.conf|" some.vmdk >descriptor
truncate -s 1M descriptor
for name in x-flat.vmdk X-FLAT.VMDK x-f001.vmdk x-rdm.vmdk x-rdmp.vmdk x.cdr x.hds x.hdd; do
	cp descriptor $name
	expect "guessed: $name" refuses "$name: its extent .* is not opened, .*use -f vmdk .*or -f raw" \
		with_driver qcowctl attach -r $name
	expect "guessed: $name: -f vmdk" attaches -r -f vmdk $name
	rm $name
done
for name in x.vmdk flat.vmdk x-fab.vmdk x-f.vmdk; do
	cp descriptor $name
	expect "guessed: $name" attaches -r $name
	rm $name
done

# The same in an archive
echo '<Envelope/>' >box.ovf
tar -cf vhd.ova box.ovf disk.vhd
expect "guessed: a fixed VHD in an OVA" attaches -r vhd.ova
expect "guessed: a fixed VHD in an OVA: one file" is 1 "$(attached | wc -l)"
expect "guessed: a fixed VHD in an OVA: it is read as such" accepts qcowctl info vhd.ova
expect "guessed: a fixed VHD in an OVA: its size" has '^virtual size: 4 MiB' out
cp evil.qed disk.img
cp some.vmdk x-flat.vmdk
tar -cf raw.ova box.ovf disk.img x-flat.vmdk some-flat.vmdk
for name in disk.img x-flat.vmdk; do
	for format in "" "-f ova"; do
		# shellcheck disable=SC2086
		expect "guessed: a raw disk in an OVA: $name $format" \
			refuses "raw.ova: its member $name .*names another file.*guessed.*tar" \
			with_driver qcowctl attach -r $format raw.ova:$name
	done
done
rm -rf evil.* plain.vhd disk.* old.vhd two.vhd some*.vmdk descriptor box.ovf *.ova x-flat.vmdk

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
poke base 0xffe00 8 0x6b6f6c7900000004
poke base 0xffe08 4 0x200
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
