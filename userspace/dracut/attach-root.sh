#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC2154
#
# qcow-attach-root ARGUMENT: attaches the image of qcow=ARGUMENT, once its device is there.
# dracut's initqueue calls it again and again until there is a root filesystem.
type getarg > /dev/null 2>&1 || . /lib/dracut-lib.sh
. /usr/share/qcow/root.sh

qcow_parse "$1" || exit 1
device=$(label_uuid_to_dev "$qcow_device")
if [ ! -e "$device" ] || [ -e /run/qcow/tried ]; then
	exit 0
fi
mkdir -p /run/qcow
: > /run/qcow/tried
set --
[ -z "$DRACUT_SYSTEMD" ] || set -- --ask-password
# A key file comes first: then nobody is asked.
case ,$qcow_options in
*,key-file=*)	set -- ;;
esac
qcow_attach "$device" auto "$@" ||
	emergency_shell -n qcow "The image $qcow_path of $device is not attached."
udevadm settle
