# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions of the parts, on the host. Source it after common.sh.
#
# $work is the folder of a run. There: tree, the files on the guest's first disk;
# plan, the names of the cases; results, "ok NAME" or "not ok NAME: why", of the guest
# and of the host, which judges afterwards.

write_here=$QCOW_TOP/tests/write

# build_all KERNEL: builds the module, qcowctl and the test programs. Sets variables
# that the guest gets, too.
build_all() {
	QCOW_TARGET=${TARGET:-qcow}
	QCOW_BUILT=$QCOW_CACHE/build/qcowwrite${QCOW_BUILD_SUFFIX:-}
	QCOW_MODULE=
	if [ "$QCOW_TARGET" = qcow ]; then
		QCOW_MODULE=$("$QCOW_TOP/tests/lib/build.sh" "$1" | tail -n1)/qcow.ko
		make -s -C "$QCOW_TOP/userspace" >&2
	fi
	(
		only_one qcowwrite
		make -s -C "$write_here/guest" BUILD="$QCOW_BUILT" >&2
		make -s -C "$write_here/host" BUILD="$QCOW_BUILT" >&2
	)
	export QCOW_TARGET QCOW_BUILT QCOW_MODULE
}

work_folder() {
	mkdir -p "$QCOW_CACHE/runs"
	work=$(mktemp -d "$QCOW_CACHE/runs/write-XXXXXX")
	trap '[ -z "$work" ] || rm -rf "$work"' EXIT
	mkdir "$work/tree"
	touch "$work/plan" "$work/results" "$work/parts"
}

keep_work() {
	[ -z "$work" ] || say "all there is to see is in $work"
	work=
}

wanted() {
	# shellcheck disable=SC2053
	[[ $1 == $QCOW_ONLY ]]
}

plan() {
	echo "$1" >> "$work/plan"
}

good() {
	echo "ok $1" >> "$work/results"
}

# bad NAME WHY...
bad() {
	local name=$1

	shift
	echo "not ok $name: $*" | tr '\n' ' ' >> "$work/results"
	echo >> "$work/results"
}

# run_guest KERNEL OPTIONS... SCRIPT: $work is /out there.
run_guest() {
	local kernel=$1

	shift
	(cd / && "$QCOW_TOP/tests/vm/run.sh" -k "$kernel" -o "$work" \
		-c "$QCOW_CPUS" -b oops=panic "$@")
}

make_tree_disk() {
	local size

	size=$(du -sm --apparent-size "$work/tree" | cut -f1)
	truncate -s $((size * 2 + 2048))M "$work/disk"
	mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=0 -m 0 -N 20000 \
		-d "$work/tree" "$work/disk"
	rm -rf "$work/tree"
}

# The tree as the guest left it
unpack_tree() {
	e2fsck -fn "$work/disk" > "$work/fsck" 2>&1 || bad disk "$(tail -n3 "$work/fsck")"
	mkdir "$work/tree"
	debugfs -R "rdump / $work/tree" "$work/disk" > /dev/null 2>&1
	rm -f "$work/disk"
}
