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
		with_driver_refuses "guessed: $name: $command" \
			"$name: its backing file \"$T/secret.conf\" is not opened, .*use -f qcow2 .*or -f raw" \
			$command $name $last
	done
	attaches "guessed: $name: -f qcow2" -f qcow2 $name
	same "guessed: $name: -f qcow2: both files" 2 "$(attached | wc -l)"
	attaches "guessed: $name: -f raw" -f raw $name
	same "guessed: $name: -f raw: one file" 1 "$(attached | wc -l)"
	accepts "guessed: $name: info shows the name" info $name
	accepts "guessed: $name: info --chain -f qcow2" info --chain -f qcow2 $name
	accepts "guessed: $name: map -f qcow2" map -f qcow2 $name
	accepts "guessed: $name: snapshot list -f qcow2" snapshot list -f qcow2 $name
done

# By a symlink with another name, and the other way round
ln -s guest.raw linked.qcow2
with_driver_refuses "guessed: a symlink to it" "linked.qcow2: its backing file .* -f qcow2" attach linked.qcow2
image real.qcow2
backing real.qcow2 "$T/secret.conf" raw
ln -s real.qcow2 link.raw
with_driver_refuses "guessed: a symlink named like it" "link.raw: its backing file .* -f qcow2" attach link.raw
attaches "guessed: an image named like one" real.qcow2

# Data files, and version 1
image data.img -o data_file=secret.data
with_driver_refuses "guessed: a data file" "data.img: its data file \"secret.data\" is not opened.* -f qcow2" attach data.img
attaches "guessed: a data file: -f qcow2" -f qcow2 data.img
qemu-img create -q -f qcow -b "$T/secret.conf" -F raw one.img 1M
with_driver_refuses "guessed: qcow version 1" "one.img: its backing file .*use -f qcow if it is a qcow image" attach one.img
attaches "guessed: qcow version 1: -f qcow" -f qcow one.img

# One that names nothing needs no -f.
image alone.img
attaches "guessed: it names no file" alone.img
with_driver_refuses "guessed: -f of stream" "bad value \"vmdk\"" stream -f vmdk alone.img
with_driver_refuses "guessed: -f of snapshot" "bad value \"vmdk\"" snapshot create -f vmdk alone.img x

rm -f guest.* linked.qcow2 real.qcow2 link.raw data.img secret.* one.img alone.img
