#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dkms-config.sh FILE: completes a dkms.conf with the kernel options that the module needs,
# which Kconfig selects.
set -euo pipefail
kconfig=$(dirname "$0")/../drivers/block/qcow/Kconfig

selected() {
	sed -n '/^config BLK_DEV_QCOW$/,/help/s/^\tselect \(.*\)/ CONFIG_\1/p' "$kconfig" | tr -d '\n'
}

sed -i "s/#SELECTED#/$(selected)/" "$1"
