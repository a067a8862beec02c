#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kunit.sh [PARAMETER=VALUE...]: builds the KUnit module and runs its suites
# under User-Mode Linux; without a parameter with seed 1, and once more with
# $QCOW_KUNIT_SEED, or a seed that is drawn and printed. Parameters are those of
# kunit/main.c: suites='qcow_entry' (a glob), seed=7, images=1000. Ends in
# "kunit: N passed, N failed".
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"

# Damaged images for each seed
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
dir=$("$QCOW_TOP/tests/lib/build.sh" kunit)
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0
failed=0
again=()

# once PARAMETER=VALUE...: all suites
once() {
	local status=0

	echo "kunit: tests/uml/kunit.sh $*"
	"$QCOW_TOP/tests/uml/run.sh" "$dir/qcow_kunit.ko" "$@" 2>&1 | tee "$log" || status=$?
	[[ $(tail -n 1 "$log") =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]] || die "kunit: no results"
	passed=$((passed + BASH_REMATCH[1]))
	failed=$((failed + BASH_REMATCH[2]))
	[ $status = 0 ] || again+=("tests/uml/kunit.sh $*")
}

if [ $# -gt 0 ]; then
	once "$@"
else
	once seed=1 images=$IMAGES
	once "seed=${QCOW_KUNIT_SEED:-$((1 + SRANDOM % 1000000000))}" images=$IMAGES
fi
# A run may fail without a case that does: the kernel complained.
for command in "${again[@]}"; do
	echo "kunit: failed; the same again: $command"
	[ $failed -gt 0 ] || failed=1
done
echo "kunit: $passed passed, $failed failed"
[ ${#again[@]} -eq 0 ]
