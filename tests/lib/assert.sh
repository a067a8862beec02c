# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The assertions of all shell tests, on the host and in the guests. Source it.
#
# An assertion takes the expected value before the actual one, and a command as its
# last words. If it does not hold, it calls fail, which says why. Then
#  - a case that has a process of its own (tests/vm, tests/write) ends;
#  - a script that counts and goes on (tests/tool) writes "expect NAME" in front:
#	expect "resize: no size" refuses "takes a size" qcowctl resize /dev/qcow0
#
# run and the assertions that take a command leave its exit code in $code, and its
# output in the files out and err of the current folder.

# fail REASON...
fail() {
	echo "failed: $*"
	[ -n "${assert_counts-}" ] || exit 1
	return 1
}

# is EXPECTED ACTUAL
is() {
	[ "$1" = "$2" ] || fail "expected '$1', got '$2'"
}

# has PATTERN FILE: a line of the file matches.
has() {
	grep -aqE -e "$1" -- "$2" || fail "no '$1' in $2: $(cat "$2")"
}

# same_content EXPECTED ACTUAL: two files or devices
same_content() {
	cmp "$1" "$2" || fail "$2 is not $1"
}

# run COMMAND...
run() {
	code=0
	"$@" > out 2> err || code=$?
}

# accepts COMMAND...: its exit code is 0, and stderr is empty.
accepts() {
	run "$@"
	if [ "$code" -ne 0 ] || [ -s err ]; then
		assert_fail "exit code $code: $*"
	fi
}

# exits CODE PATTERN COMMAND...: a line on stderr matches.
exits() {
	local expected=$1 pattern=$2

	shift 2
	run "$@"
	if [ "$code" -ne "$expected" ]; then
		assert_fail "exit code $code, not $expected: $*"
	elif ! assert_said "$pattern"; then
		assert_fail "no '$pattern': $*"
	fi
}

# refuses PATTERN COMMAND...: qcowctl refuses as it has to: exit code 1, nothing on
# stdout, and on stderr one line that begins with its name, has no control
# characters, and matches.
refuses() {
	local pattern=$1

	shift
	run "$@"
	refused "$pattern"
}

# refused PATTERN: the same of the command that run has run
refused() {
	local said nul='' LC_ALL=C

	! IFS= read -rd '' said < err || nul=1
	said=${said%$'\n'}
	if [ "$code" -ne 1 ]; then
		assert_fail "exit code $code, not 1"
	elif [ -s out ] || [[ $said == *$'\n'* ]]; then
		assert_fail "more output than one line on stderr"
	elif [ -n "$nul" ] || [[ $said == *[$'\x01'-$'\x1f\x7f']* ]]; then
		assert_fail "control characters"
	elif [[ $said != "qcowctl: "[!\ ]* ]] || ! assert_said "$1"; then
		assert_fail "no '$1'"
	fi
}

# assert_said PATTERN: a line on stderr matches; an empty pattern needs none. No program
# is started, for that costs an emulated processor more than most assertions do.
assert_said() {
	local line

	[ -n "$1" ] || return 0
	while IFS= read -r line || [ -n "$line" ]; do
		[[ ! $line =~ $1 ]] || return 0
	done < err
	return 1
}

# assert_fail REASON: with the output that it is about
assert_fail() {
	cat out err
	fail "$1"
}

# --- Counting ---

passed=0
failed=0

# pass NAME
pass() {
	passed=$((passed + 1))
	[ -z "${VERBOSE-}" ] || echo "ok: $1"
}

# failure NAME [DETAILS]
failure() {
	failed=$((failed + 1))
	echo "FAILED: $1"
	[ -z "${2-}" ] || sed 's/^/    /' <<< "$2"
}

# expect NAME ASSERTION...: counts whether the assertion holds. Its output goes to the
# file why of the current folder.
expect() {
	local name=$1 assert_counts=1

	shift
	if "$@" > why; then
		pass "$name"
	else
		failure "$name" "$(tr -d '\0' < why)"
	fi
}

# summary TIER: the last line of a tier, which tests/run.sh reads. Fails if anything
# has failed, or nothing ran.
summary() {
	[ $((passed + failed)) -gt 0 ] || failure "nothing ran"
	echo "$1: $passed passed, $failed failed"
	[ "$failed" -eq 0 ]
}
