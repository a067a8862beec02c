#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# into-tree.sh FOLDER: puts the driver and its KUnit tests into the kernel's source in
# FOLDER, or newer ones in the place of older ones. Documentation/in-tree.rst says more.
set -euo pipefail

die() {
	echo "into-tree.sh: $*" >&2
	exit 1
}

# add_line FILE LINE [PATTERN]: once; before the first line that matches, or at the end
add_line() {
	! grep -qxF -- "$2" "$1" || return 0
	if [ $# -lt 3 ]; then
		printf '%s\n' "$2" >> "$1"
	else
		grep -q -- "$3" "$1" || die "$1 has no line $3"
		sed -i "0,/$3/s||$2\n&|" "$1"
	fi
}

[ $# -eq 1 ] || die "usage: into-tree.sh FOLDER"
[ -f "$1/drivers/block/Kconfig" ] && [ -d "$1/include/uapi/linux" ] ||
	die "$1 is no source of a kernel"
tree=$(realpath "$1")
cd "$(dirname "$0")/.."

place=drivers/block/qcow
rm -rf "${tree:?}/$place"
cp -r $place "$tree/$place"
cp -r kunit "$tree/$place/kunit"
cp include/uapi/linux/qcow.h include/uapi/linux/qcow_map.h "$tree/include/uapi/linux/"
cp Documentation/ABI/testing/sysfs-block-qcow "$tree/Documentation/ABI/testing/"
# Objects of a build outside of the kernel's source
find "$tree/$place" \( -name '*.o' -o -name '*.ko' -o -name '*.mod*' -o -name '.*.cmd' \) -delete

add_line "$tree/drivers/block/Kconfig" 'source "drivers/block/qcow/Kconfig"' '^endif # BLK_DEV$'
add_line "$tree/drivers/block/Makefile" "obj-\$(CONFIG_BLK_DEV_QCOW)	+= qcow/"
