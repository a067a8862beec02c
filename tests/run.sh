#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [TIER...]: runs all tiers, or those that are named. It installs and fetches
# whatever the tiers need. Each tier's output goes to a log; run.sh shows its failures
# and its last line "...: N passed, N failed", and ends in "N passed, N failed" itself.
set -uo pipefail
. "$(dirname "$0")/lib/common.sh"
cd "$QCOW_TOP" || exit 1

# Of those that share the CPUs the longest comes first, so that no CPU waits at the end; fits()
# decides which tiers run side by side.
ALL=(build write-7 vm-7 cut-7 tool bench host write-6.12 write-6.1 vm-6.12 vm-6.1 kunit foreign
	package check fuzz)
LOGS=$QCOW_CACHE/logs

passed=0
failed=0
cpu_seconds=0

# An older kernel takes an eighth of the named cases, drawn like a seed.
drawn=${QCOW_SEED:-$SRANDOM}
share() {
	echo "$(((drawn + $1) % 8 + 1))/8"
}

# tier_command TIER: prints the command of a tier; it may be run by hand as well.
tier_command() {
	case $1 in
	build)	echo tests/build.sh ;;
	check)	echo tests/check/run.sh ;;
	tool)	echo tests/tool/run.sh ;;
	fuzz)	echo tests/fuzz/run.sh ;;
	foreign) echo tests/foreign/run.sh ;;
	package) echo tests/package/run.sh ;;
	host)	echo "tests/host/run.sh boot" ;;
	kunit)	echo tests/uml/kunit.sh ;;
	vm-*)	echo "tests/vm/test.sh ${1#vm-}" ;;
	write-7) echo "tests/write/test.sh 7 diff cases" ;;
	cut-7)	echo "tests/write/test.sh 7 cut small" ;;
	write-6.1) echo "tests/write/test.sh -q -s $(share 0) 6.1" ;;
	write-6.12) echo "tests/write/test.sh -q -s $(share 4) 6.12" ;;
	bench)	echo "tests/bench/run.sh -c" ;;
	*)	die "no such tier: $1 (there are ${ALL[*]})" ;;
	esac
}

setup_step() {
	local begin=$SECONDS

	"$@" > "$LOGS/setup.log" 2>&1 || {
		tail -40 "$LOGS/setup.log"
		die "$* failed; see $LOGS/setup.log"
	}
	printf '%-10s %-52s %4d s\n' setup "$*" $((SECONDS - begin))
}

setup() {
	local kernel

	setup_step tests/setup/packages.sh
	for kernel in 6.1 6.12 7; do
		setup_step tests/setup/kernel.sh "$kernel"
	done
	setup_step tests/setup/uml.sh
	# The tests that need these images fail without them; the others need not.
	(setup_step tests/setup/samples.sh)
	setup_step make -s -C userspace
}

# A tier that fails without saying how many cases did has one failure.
count() {
	local line=$1 status=$2 p=0 f=0

	if [[ $line =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
		p=${BASH_REMATCH[1]}
		f=${BASH_REMATCH[2]}
	fi
	[ $((p + f)) -gt 0 ] || { f=1; line="nothing ran"; }
	[ "$status" = 0 ] || [ "$f" -gt 0 ] || { f=1; line="$line, exit $status"; }
	passed=$((passed + p))
	failed=$((failed + f))
	summary=$line
	tier_failed=$f
}

# Runs a tier; its exit status, its seconds and those of processors, user's and
# system's, go beside the log.
run_tier() {
	local log=$LOGS/$1.log command begin=$SECONDS status=0 TIMEFORMAT='%0U %0S'

	command=$(tier_command "$1") || exit 1
	# shellcheck disable=SC2086
	{ time $command > "$log" 2>&1; } 2> "$LOGS/$1.cpu" || status=$?
	echo "$status $((SECONDS - begin)) $(tail -n 1 "$LOGS/$1.cpu")" > "$LOGS/$1.status"
	rm "$LOGS/$1.cpu"
}

report_tier() {
	local tier=$1 log=$LOGS/$1.log status seconds user system

	read -r status seconds user system < "$LOGS/$tier.status" ||
		status=1 seconds=0 user=0 system=0
	count "$(grep -E '[0-9]+ passed, [0-9]+ failed$' "$log" | tail -1)" "$status"
	cpu_seconds=$((cpu_seconds + user + system))
	printf '%-10s %-52s %4d s %4d CPU s\n' "$tier" "$summary" "$seconds" $((user + system))
	[ "$tier_failed" = 0 ] || {
		echo "--- end of $log; again: $(tier_command "$tier")"
		tail -60 "$log"
		echo "---"
	}
}

# How many of the host's CPUs a tier keeps busy
weight() {
	case $1 in
	build)	echo "$cpus" ;;
	*-7)	echo 2 ;;
	*)	echo 1 ;;
	esac
}

# Waits for the end of any tier that runs. "wait -n" forgets one that ended
# while another was reported.
wait_for_one() {
	local pid

	while :; do
		for pid in "${!running[@]}"; do
			kill -0 "$pid" 2> /dev/null && continue
			busy=$((busy - running[$pid]))
			unset "running[$pid]"
			return
		done
		sleep 0.5
	done
}

# Reports tiers that have ended, in the order in which they began.
report_ended() {
	while [ ${#unreported[@]} -gt 0 ] && [ -e "$LOGS/${unreported[0]}.status" ]; do
		report_tier "${unreported[0]}"
		unreported=("${unreported[@]:1}")
	done
}

# fits TIER: is there a CPU for it now? One with two emulated processors waits at full speed
# while either of them does not run: more tiers at once take more processor seconds than
# they save time.
fits() {
	[ $busy -eq 0 ] || [ $((busy + $(weight "$1"))) -le "$cpus" ]
}

# begin_one: the first that fits of those that wait, or none
begin_one() {
	local i

	for i in "${!waiting[@]}"; do
		fits "${waiting[i]}" || continue
		run_tier "${waiting[i]}" &
		running[$!]=$(weight "${waiting[i]}")
		busy=$((busy + running[$!]))
		unreported+=("${waiting[i]}")
		unset "waiting[i]"
		return 0
	done
	return 1
}

run_tiers() {
	local -A running=()
	local waiting=("$@") unreported=() busy=0 cpus tier

	cpus=$(nproc)
	while :; do
		while begin_one; do :; done
		[ $busy -gt 0 ] || break
		wait_for_one
		report_ended
	done
	# Those that ended and could not even say so
	for tier in "${unreported[@]}"; do
		report_tier "$tier"
	done
}

mkdir -p "$LOGS"
[ $# -gt 0 ] || set -- "${ALL[@]}"
for tier; do
	tier_command "$tier" > /dev/null || exit 1
done
rm -f "$LOGS"/*.status
setup
run_tiers "$@"
printf '%-10s %-52s %4d s %4d CPU s\n' all '' $SECONDS $cpu_seconds
echo "$passed passed, $failed failed"
[ $failed = 0 ]
