# SPDX-License-Identifier: GPL-2.0
# The assertions themselves: one that does not hold ends a case, says why, and is
# counted by expect. shellcheck shell=bash

# says OUT ERR CODE: a command that ends so
says()
{
	printf %b "$1"
	printf %b "$2" >&2
	return "$3"
}

# ends NAME REASON ASSERTION...: the assertion ends a case for that reason.
ends()
{
	local name=$1 reason=$2

	shift 2
	(assert_counts=''; "$@"; echo "goes on") >said 2>&1
	expect "assert: $name" is "failed: $reason" "$(tail -n 1 said)"
}

line="qcowctl: disk: is bad\n"
ends "is" "expected 'a', got 'b'" is a b
echo some >some
ends "has" "no 'other' in some: some" has other some
ends "same_content" "other is not some" same_content some other
ends "accepts: exit code" "exit code 1: says x\n  1" accepts says 'x\n' '' 1
ends "accepts: stderr" "exit code 0: says x y\n 0" accepts says x 'y\n' 0
ends "exits: exit code" "exit code 1, not 2: says  y\n 1" exits 2 y says '' 'y\n' 1
ends "exits: pattern" "no 'z': says  y\n 2" exits 2 z says '' 'y\n' 2
ends "refuses: exit code 0" "exit code 0, not 1" refuses bad says '' "$line" 0
ends "refuses: exit code 2" "exit code 2, not 1" refuses bad says '' "$line" 2
ends "refuses: stdout" "more output than one line on stderr" refuses bad says x "$line" 1
ends "refuses: two lines" "more output than one line on stderr" refuses bad says '' "$line$line" 1
ends "refuses: pattern" "no 'good'" refuses good says '' "$line" 1
ends "refuses: silence" "no ''" refuses '' says '' '' 1
ends "refuses: another program" "no 'bad'" refuses bad says '' "dd: bad\n" 1
ends "refuses: escape code" "control characters" refuses bad says '' "${line%?n}\033[2J\n" 1
ends "refuses: NUL" "control characters" refuses bad says '' "${line%?n}\0000\n" 1
expect "assert: refuses" refuses ' bad$' says '' "$line" 1
expect "assert: exits" exits 3 '^two$' says '' "one\ntwo\n" 3
expect "assert: accepts" accepts says x '' 0
expect "assert: counted" is "1 1" \
	"$(passed=0 failed=0 VERBOSE=''; expect x is a b >said; expect x is a a; echo "$passed $failed")"
