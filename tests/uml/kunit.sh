#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kunit.sh [PARAMETER=VALUE...]: builds the KUnit module and runs its suites
# under User-Mode Linux. Ends in "kunit: N passed, N failed".
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"

dir=$("$QCOW_TOP/tests/lib/build.sh" kunit)
exec "$QCOW_TOP/tests/uml/run.sh" "$dir/qcow_kunit.ko" "$@"
