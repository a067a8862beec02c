# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# A flush pays for no discard: space is given back behind it.

# MIB that are discarded at once
discard_sizes() {
	if [ -n "$QCOW_QUICK" ]; then
		echo 24
	else
		echo 24 96 ${QCOW_LONG:+192}
	fi
}

make_discard_fsync() {
	local mib

	for mib in $(discard_sizes); do
		scattered_image "d$mib" "$mib"
	done
}

# value NAME: in the file "times"; of several the one in the middle
value() {
	sed -n "s/^$1 //p" times | sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# A write to a new cluster and its flush, five times, and once after the discard
times_of() {
	local mib=$1 at ops=()

	for at in 2 4 6 8 10; do
		ops+=('clock' "write $((mib + at))m 4k 1" 'flush' 'clock plain')
	done
	operate "$dev" "${ops[@]}" "discard 0 ${mib}m" 'clock' 'write 0 4k 9' 'flush' \
		'clock after' 'read 0 4k 9' "read 4k $((mib * 1024 - 4))k 0" > times
}

# flush_is_free MIB: an emulated guest may be held up, so one try of three is enough, and
# 20 ms are for that; a flush that paid took seconds.
flush_is_free() {
	local plain after i good=1

	for i in 1 2 3; do
		cp --sparse=always "d$1.qcow2" work.qcow2
		attach work.qcow2
		times_of "$1" || fail "$1 MiB: an operation failed: $(cat times)"
		detach
		plain=$(value plain) after=$(value after)
		[ -n "$plain" ] && [ -n "$after" ] || fail "$1 MiB: nothing was measured"
		echo "$1 MiB: $plain us without a discard before it, $after us with one"
		[ "$after" -gt $((3 * plain + 20000)) ] || { good=0; break; }
	done
	mv work.qcow2 "d$1.qcow2"
	return $good
}

case_discard_fsync() {
	local mib bad=''

	for mib in $(discard_sizes); do
		flush_is_free "$mib" || bad+=" $mib"
	done
	[ -z "$bad" ] || fail "a flush pays for the discard of MiB:$bad"
	note_blocks
}

# It was all given back when the device was gone.
after_discard_fsync() {
	local mib

	for mib in $(discard_sizes); do
		check "d$mib.qcow2"
		holds qcow2 "d$mib.qcow2" 'read -P 9 0 4k' "read -P 0 4k $((mib - 1))M"
		[ "$(used "d$mib.qcow2")" -lt $((1 << 20)) ] ||
			fail "$mib MiB: $(used "d$mib.qcow2") bytes are left"
	done
}
