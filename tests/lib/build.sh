#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# build.sh 6.1|6.12|7|uml|kunit [make arguments]: builds the module for that
# kernel and prints the folder with the .ko. uml is qcow.ko for User-Mode
# Linux, kunit the test module for it.
#
# QCOW_BUILD_SUFFIX in the environment: a folder of one's own, for another
# compiler or checker.
#
# Kbuild leaves its objects beside the source, so each kernel gets a copy of
# the source, in $QCOW_CACHE/build. Only changed files are copied and built.
set -euo pipefail
. "$(dirname "$0")/common.sh"

[ $# -gt 0 ] || die "usage: build.sh 6.1|6.12|7|uml|kunit [make arguments]"
name=$1
shift
copy=$QCOW_CACHE/build/$name${QCOW_BUILD_SUFFIX:-}
uml=$QCOW_CACHE/uml

# The module's source: committed or not, but nothing that git ignores
source_files() {
	git -C "$QCOW_TOP" ls-files -co --exclude-standard -- \
		Kbuild Makefile include drivers kunit | sort -u
}

# Deleted files go from the copy as well, or a stale header could be included.
drop_stale() {
	touch "$copy/.files"
	source_files | comm -13 - "$copy/.files" | (cd "$copy" && xargs -r -d '\n' rm -f)
	source_files > "$copy/.files"
}

# By content, and with the time of copying: make sees every change, even to
# an older file, and nothing else.
copy_source() {
	mkdir -p "$copy"
	drop_stale
	rsync -rlpc --ignore-missing-args --files-from="$copy/.files" "$QCOW_TOP/" "$copy/"
}

# A newer kernel in the cache makes every object stale.
drop_other_kernels_objects() {
	if [ "$(cat "$copy/.kernel" 2> /dev/null)" != "$1" ]; then
		rm -rf "$copy"
		mkdir -p "$copy"
		echo "$1" > "$copy/.kernel"
	fi
}

build_stock() {
	# All callers without arguments get the same flags, or the objects of one
	# would be stale for another.
	[ $# -gt 0 ] || set -- W=1e
	kernel_info "$name"
	drop_other_kernels_objects "$KVER"
	copy_source
	"$QCOW_CACHE/kernels/$name/kmake" "$copy" "$@"
}

# build_uml DIR ...
build_uml() {
	local dir=$1

	shift
	[ -f "$uml/stamp" ] || die "no User-Mode Linux: run tests/setup/uml.sh"
	drop_other_kernels_objects "$(cat "$uml/stamp")"
	copy_source
	make -C "$uml/source" O="$uml/build" ARCH=um CC=gcc-12 M="$dir" "$@" modules
}

only_one "build-$name${QCOW_BUILD_SUFFIX:-}"
case $name in
uml)	result=$copy
	build_uml "$result" "$@" >&2 ;;
kunit)	result=$copy/kunit
	build_uml "$result" "$@" >&2 ;;
*)	result=$copy
	build_stock "$@" >&2 ;;
esac
echo "$result"
