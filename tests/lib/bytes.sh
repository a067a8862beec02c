# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Big-endian numbers in files, for the shell tests on the host and in the guests. Source it.

# poke FILE OFFSET BYTES VALUE: writes a number of at most 8 bytes.
poke() {
	local digits i bytes=

	printf -v digits '%0*x' $((2 * $3)) "$4"
	# A negative number has 16 digits.
	digits=${digits: -2 * $3}
	for ((i = 0; i < 2 * $3; i += 2)); do
		bytes+="\\x${digits:i:2}"
	done
	printf %b "$bytes" | dd of="$1" bs=1 seek=$(($2)) conv=notrunc status=none
}

# peek FILE OFFSET BYTES: prints the number that is there.
peek() {
	local digits

	digits=$(od -A n -v -t x1 -j $(($2)) -N "$3" "$1")
	printf '%u\n' "0x${digits//[[:space:]]/}"
}
