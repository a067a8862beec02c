# SPDX-License-Identifier: GPL-2.0
# Damaged images whose readable data a repair has to keep; beside it, QEMU's repair.
# KEPT_COUNT: how many, the same ones and as many that are drawn; KEPT_SEED: of the latter,
# which follows QCOW_SEED unless it is given.
# shellcheck shell=bash

# kept SEED COUNT
kept()
{
	local line

	mkdir -p kept
	(cd kept && python3 "$here/kept.py" "$Q" "$@") >kept.log 2>&1 ||
		failure "kept.py" "$(tail -20 kept.log)"
	while IFS= read -r line; do
		case $line in
		ok*)	pass "kept by a repair" ;;
		FAILED*) failure "kept by a repair: ${line#FAILED: }" ;;
		kept:*)	echo "$line" ;;
		esac
	done <kept.log
	expect "kept by a repair: seed $1: all were tried" has "^kept: seed $1: [1-9][0-9]* images" kept.log
	rm -rf kept
}

kept 1 "${KEPT_COUNT:-32}"
kept "${KEPT_SEED:-$((1 + ${QCOW_SEED:-$((1 + SRANDOM % 1000000000))}))}" "${KEPT_COUNT:-32}"
