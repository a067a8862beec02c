#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kunit.sh [PARAMETER=VALUE...]: builds the KUnit module and runs its suites
# under User-Mode Linux. Without a parameter, about half of the random cases get a
# seed that is drawn and printed; the others have seed 1. Ends in
# "kunit: N passed, N failed".
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"

[ $# -gt 0 ] || set -- "drawn=$((1 + SRANDOM % 1000000000))"
dir=$("$QCOW_TOP/tests/lib/build.sh" kunit)
echo "kunit: the same again: tests/uml/kunit.sh $*"
exec "$QCOW_TOP/tests/uml/run.sh" "$dir/qcow_kunit.ko" "$@"
