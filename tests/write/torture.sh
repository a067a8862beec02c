#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# torture.sh [KERNEL...]: test.sh with more of everything, again and again, each
# time with a new seed, which it prints, and with the next kernel. Ends after
# TORTURE_MINUTES (60 unless given) with "torture: N passed, N failed"; at the first
# round that fails, if TORTURE_STOP is 1.
#
# TORTURE_SEED=N   of the first round (of the clock unless given)
set -uo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"

: "${TORTURE_MINUTES:=60}" "${TORTURE_SEED:=$(date +%s)}" "${TORTURE_STOP:=}"
kernels=("$@")
[ $# -gt 0 ] || kernels=(7 6.12 6.1)
end=$((SECONDS + TORTURE_MINUTES * 60))
log=$QCOW_CACHE/logs/torture.log
passed=0
failed=0
round=0

: "${QCOW_COUNT:=150}" "${QCOW_STEPS:=150}" "${QCOW_POINTS:=200000}"
: "${QCOW_CUT_STEPS:=1500}" "${QCOW_SAMPLE:=500}" "${QCOW_RUNTIME:=40}"
: "${QCOW_MEMORY_SECONDS:=600}" "${QCOW_LONG:=1}"
export QCOW_LONG QCOW_COUNT QCOW_STEPS QCOW_POINTS QCOW_CUT_STEPS QCOW_SAMPLE QCOW_RUNTIME \
	QCOW_MEMORY_SECONDS

# Prints the command that runs the same again.
one_round() {
	local kernel=${kernels[round % ${#kernels[@]}]} seed=$((TORTURE_SEED + round))
	local status=0

	echo "round $((round + 1)): QCOW_SEED=$seed, kernel $kernel"
	QCOW_SEED=$seed "$here/test.sh" "$kernel" > "$log" 2>&1 || status=$?
	rm -rf "$QCOW_CACHE"/images/write-"$seed"-*
	count "$(tail -n 1 "$log")" $status
	round=$((round + 1))
	[ $status -eq 0 ] && return
	grep -E '^(not ok|did not run|again)' "$log"
	cp "$log" "$QCOW_CACHE/logs/torture-$seed.log"
	echo "the whole log is $QCOW_CACHE/logs/torture-$seed.log"
	return 1
}

# count LINE STATUS: of one round
count() {
	echo "$1"
	if [[ $1 =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
		passed=$((passed + BASH_REMATCH[1]))
		failed=$((failed + BASH_REMATCH[2]))
	else
		failed=$((failed + 1))
	fi
}

mkdir -p "$QCOW_CACHE/logs"
while [ $round -eq 0 ] || [ $SECONDS -lt $end ]; do
	one_round || [ "$TORTURE_STOP" != 1 ] || break
done
echo "torture: $passed passed, $failed failed"
[ $failed -eq 0 ]
