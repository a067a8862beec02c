#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In the guest: writes to images that were on a disk when power failed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

QCOW_STEPS=15 within 300 qcowwrite diff $TREE/again /out/diff.manifest > /tmp/results ||
	fail "qcowwrite"
cp /tmp/results /out/diff.results
