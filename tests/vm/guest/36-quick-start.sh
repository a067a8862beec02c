# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Documentation/quick-start.rst, from the image to fstab: its own commands
. "$QCOW_TOP/tests/lib/guide.sh"

# fstab_line: the one of that page, with another folder
fstab_line() {
	sed -n "s|^    /srv/data.qcow2  /srv/data |$PWD/data.qcow2 $PWD/data |p" \
		"$QCOW_TOP/Documentation/quick-start.rst"
}

case_quick_start() {
	cp "$IMAGES/extra/gpt.qcow2" disk.qcow2
	follow quick-start 1 > /dev/null
	is "" "$(left_over)"
	follow quick-start 2 > out
	has '^/dev/qcow0$' out
	has 'qcow0p1 ' out
	is "" "$(left_over)"
	follow quick-start 3 > out
	is 0 "$(blockdev --getro /dev/qcow0)"
	is "$PWD/disk.qcow2" "$(cat /sys/block/qcow0/qcow/image)"
	accepts qcowctl detach disk.qcow2
	follow quick-start 4 > out
	echo written > /mnt/new
	umount /mnt
	accepts qcowctl detach new.qcow2
	is "" "$(guide quick-start 5)"

	mv new.qcow2 data.qcow2
	mkdir data
	fstab_line > fstab
	accepts mount -T fstab data
	is written "$(cat data/new)"
	accepts umount data
	is "" "$(left_over)"
}
