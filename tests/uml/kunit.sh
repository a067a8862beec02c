#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kunit.sh [PARAMETER=VALUE...]: builds the KUnit module and runs its suites
# under User-Mode Linux; without a parameter with the seed $QCOW_KUNIT_SEED, or
# one that is drawn and printed. Parameters are those of
# kunit/main.c: suites='qcow_entry' (a glob), seed=7, images=1000. Ends in
# "kunit: N passed, N failed".
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"

# Damaged images of each kind
IMAGES=300

# check_suites PARAMETER=VALUE...: the glob of suites matches one.
check_suites() {
	local word

	for word; do
		[[ $word != suites=* ]] || sed -n 's/^\t\.name = "\(.*\)",$/\1/p' \
			"$QCOW_TOP"/kunit/*.c | chosen "${word#*=}" > /dev/null
	done
}

check_suites "$@"
[ $# -gt 0 ] || set -- "seed=${QCOW_KUNIT_SEED:-$((1 + SRANDOM % 1000000000))}" images=$IMAGES
dir=$("$QCOW_TOP/tests/lib/build.sh" kunit)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
echo "kunit: tests/uml/kunit.sh $*"
"$QCOW_TOP/tests/uml/run.sh" "$dir/qcow_kunit.ko" "$@" 2>&1 | tee "$log" || status=$?
[[ $(tail -n 1 "$log") =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]] || die "kunit: no results"
passed=${BASH_REMATCH[1]}
failed=${BASH_REMATCH[2]}
if [ $status -ne 0 ]; then
	echo "kunit: failed; the same again: tests/uml/kunit.sh $*"
	# The kernel may complain although no case fails.
	[ "$failed" -gt 0 ] || failed=1
fi
echo "kunit: $passed passed, $failed failed"
exit $status
