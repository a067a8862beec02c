#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In the guest: writes to the images on /dev/vda. See ../diff.sh.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

prepare
mkdir /tmp/images
mount -t ext4 -o noatime /dev/vda /tmp/images
start=$SECONDS
qcowwrite diff /tmp/images /out/manifest > /out/results || fail "qcowwrite"
echo "written in $((SECONDS - start)) s"
umount /tmp/images
all_gone
