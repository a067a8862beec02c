#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In the guest: writes to the images of /out/diff.manifest.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

[ -s /out/diff.manifest ] || exit 0
within 900 qcowwrite diff $TREE/diff /out/diff.manifest > /tmp/results || fail "qcowwrite"
cp /tmp/results /out/diff.results
