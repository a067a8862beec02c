# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The demo's output, on the host and in its virtual machine. Source it.
#
# Steps go on counting from $QCOW_DEMO_STEP. Colours come if $QCOW_DEMO_COLOR is
# set. How long each step took is noted in the file $QCOW_DEMO_TIMES, and the step
# being done in $QCOW_DEMO_TIMES.step.

paint() {
	local code=$1

	shift
	if [ -n "${QCOW_DEMO_COLOR:-}" ]; then
		printf '\033[%sm%s\033[0m' "$code" "$*"
	else
		printf '%s' "$*"
	fi
}

bold() {
	paint 1 "$@"
}

green() {
	paint '1;32' "$@"
}

red() {
	paint '1;31' "$@"
}

# dim: prints stdin, set apart from the demo's own words
dim() {
	local line

	expand | while IFS= read -r line; do
		printf '       %s\n' "$(paint 2 "$line")"
	done
}

# Microseconds
clock() {
	echo "${EPOCHREALTIME/[.,]/}"
}

# step_begin NAME WHAT: NAME is for the table of times
step_begin() {
	QCOW_DEMO_STEP=$((QCOW_DEMO_STEP + 1))
	step_name=$1
	step_start=$(clock)
	echo "$QCOW_DEMO_STEP $step_name" > "$QCOW_DEMO_TIMES.step"
	printf '\n  %s  %s\n' "$(bold "$(printf %2d "$QCOW_DEMO_STEP")")" "$(bold "$2")"
}

step_end() {
	echo "$step_name $(($(clock) - step_start))" >> "$QCOW_DEMO_TIMES"
}

# explain TEXT: a line under a step
explain() {
	printf '      %s\n' "$*"
}

# run COMMAND: runs a line of shell, and shows it as a person would type it, with its
# output, which is also in $output. A failure ends the script.
run() {
	local status=0

	printf '     %s\n' "$(bold "# $1")"
	output=$(eval "$1" 2>&1) || status=$?
	[ -z "$output" ] || dim <<< "$output"
	[ $status -eq 0 ] && return
	printf '\n     %s\n' "$(red "\"$1\" failed with status $status.")"
	exit 1
}

# time_table: of $QCOW_DEMO_TIMES, with a bar for each
time_table() {
	awk '
	{ name[NR] = $1; us[NR] = $2; sum += $2 }
	END {
		for (i = 1; i <= NR; i++) {
			printf "      %-10s %7.1f s  ", name[i], us[i] / 1e6
			for (n = int(40 * us[i] / sum + 0.5); n > 0; n--)
				printf "#"
			print ""
		}
		printf "      %-10s %7.1f s\n", "total", sum / 1e6
	}' "$QCOW_DEMO_TIMES" | sed 's/ *$//'
}
