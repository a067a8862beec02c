# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Commands that a page of Documentation/ has in its literal blocks, for a test that tries them.

# guide PAGE N: prints the commands, which stand behind "# ", of the Nth block that has any
guide() {
	awk -v wanted="$2" '/^    # / { if (!inside) n++; inside = 1; if (n == wanted) print substr($0, 7) }
		!/^    / { inside = 0 }' "$QCOW_TOP/Documentation/$1.rst"
}

# follow PAGE N [ASSIGNMENT...]: runs the commands of a block; ASSIGNMENTs replace its first
# line.
follow() {
	local text

	text=$(guide "$1" "$2")
	[ -n "$text" ] || fail "block $2 of the page $1"
	shift 2
	[ $# -eq 0 ] || text=$(printf '%s\n' "$@" "$(sed 1d <<< "$text")")
	eval "$text"
}
