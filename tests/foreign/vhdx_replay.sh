#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# vhdx_replay.sh IMAGE OUT: writes the disk of a VHDX whose log QEMU replays in a copy.
set -e
trap 'rm -f "$2.copy"' EXIT
cp --sparse=always "$1" "$2.copy"
qemu-img check -q -f vhdx -r all "$2.copy"
qemu-img convert -f vhdx -O raw "$2.copy" "$2"
