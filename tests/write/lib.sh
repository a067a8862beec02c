# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests that write share, on the host. Source it after common.sh.

write_here=$QCOW_TOP/tests/write

# build_all KERNEL: the module, qcowctl and the test programs. Sets what the
# guest is to know of them.
build_all() {
	QCOW_TARGET=${TARGET:-qcow}
	QCOW_BUILT=$QCOW_CACHE/build/qcowwrite
	QCOW_MODULE=
	if [ "$QCOW_TARGET" = qcow ]; then
		QCOW_MODULE=$("$QCOW_TOP/tests/lib/build.sh" "$1" | tail -n1)/qcow.ko
		make -s -C "$QCOW_TOP/userspace" >&2
	fi
	only_one qcowwrite
	make -s -C "$write_here/guest" BUILD="$QCOW_BUILT" >&2
	make -s -C "$write_here/host" BUILD="$QCOW_BUILT" >&2
	export QCOW_TARGET QCOW_BUILT QCOW_MODULE
}

# work_folder: $work, which is gone at the end unless keep_work was called.
work_folder() {
	mkdir -p "$QCOW_CACHE/runs"
	work=$(mktemp -d "$QCOW_CACHE/runs/write-XXXXXX")
	trap '[ -z "$work" ] || rm -rf "$work"' EXIT
}

keep_work() {
	[ -z "$work" ] || say "all there is to see is in $work"
	work=
}

# finish NAME KERNEL PASSED FAILED: the last line, and the exit status
finish() {
	echo "$1 $2: $3 passed, $4 failed"
	[ "$4" -eq 0 ]
}

# run_guest KERNEL SCRIPT OPTIONS...: SCRIPT of guest/, the options for run.sh;
# $work is /out there.
run_guest() {
	local kernel=$1 script=$2

	shift 2
	(cd / && "$QCOW_TOP/tests/vm/run.sh" -k "$kernel" -o "$work" "$@" \
		bash "$write_here/guest/$script")
}
