#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC2154
#
# Hook of dracut: with qcow=DEVICE:PATH[:OPTIONS] on the kernel's command line, the image is
# attached when udev has nothing more to do.
type getarg > /dev/null 2>&1 || . /lib/dracut-lib.sh
. /usr/share/qcow/root.sh

qcow=$(getarg qcow=)
if [ -n "$qcow" ]; then
	qcow_parse "$qcow" || die "qcow=$qcow: not DEVICE:PATH"
	/sbin/initqueue --settled --unique /sbin/qcow-attach-root "'$qcow'"
	echo "[ -e /dev/qcow/root ] || warn 'the image of qcow=$qcow is not attached'" \
		> "$hookdir/emergency/80-qcow.sh"
fi
