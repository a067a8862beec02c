#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernel_tree.sh: looks at the driver as it is in a kernel's source, without building one
# (tests/host/parts/*-kernel-tree.sh does): its lists of objects, Kconfig, and the script
# that puts it there. It prints the faults.
set -uo pipefail
. "$(dirname "$0")/../lib/common.sh"
cd "$QCOW_TOP" || exit 1

DRIVER=drivers/block/qcow
# Of the kernel that KUnit runs in
SOURCE=$QCOW_CACHE/uml/source
CONF=$QCOW_CACHE/uml/build/scripts/kconfig/conf

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree

# --- The script: a second call changes nothing, and old files go. ---

make_tree() {
	mkdir -p "$tree"/{drivers/block/qcow,include/uapi/linux,Documentation/ABI/testing}
	cp "$SOURCE"/drivers/block/{Kconfig,Makefile} "$tree/drivers/block"
	touch "$tree/drivers/block/qcow/gone.c"
}

check_script() {
	local file

	packaging/into-tree.sh "$tree"
	for file in Kconfig Makefile; do
		diff "$SOURCE/drivers/block/$file" "$tree/drivers/block/$file" > "$work/diff"
		[ "$(grep -c '^>' "$work/diff")" = 1 ] && ! grep -q '^<' "$work/diff" ||
			echo "into-tree.sh: not one more line in drivers/block/$file"
	done
	[ ! -e "$tree/$DRIVER/gone.c" ] || echo "into-tree.sh: leaves an older file"
	cp -r "$tree" "$work/first"
	packaging/into-tree.sh "$tree"
	diff -r "$work/first" "$tree" | sed 's/^/into-tree.sh: called twice: /'
	packaging/into-tree.sh "$work" > "$work/out" 2>&1 &&
		echo "into-tree.sh: takes a folder without a kernel"
}

# --- Objects: Kbuild.include has the one list. ---

# objects MAKEFILE VARIABLE [ASSIGNMENT...]: the sorted words of a variable
objects() {
	local file=$1 variable=$2

	shift 2
	printf '%s\n' "include $file" "all: ; @printf '%s\\n' \$($variable)" |
		make -s -f - all "$@" | sort
}

check_objects() {
	local in_tree

	in_tree=$(objects "$tree/$DRIVER/Makefile" qcow-y srctree="$tree")
	diff <(objects Kbuild qcow-y src=. srctree="$SOURCE" | sed "s|^$DRIVER/||") \
		- <<< "$in_tree" | sed 's/^/objects of Kbuild (<), of Makefile (>): /'
	diff <(cd "$tree/$DRIVER" && printf '%s\n' */*.c | grep -v ^kunit/ | sed 's/c$/o/' | sort) \
		- <<< "$in_tree" | sed 's/^/files (<), objects (>): /'
	diff <(cd kunit && printf '%s\n' ./*.c | sed 's|^./||; s/c$/o/' | sort) \
		<(objects "$tree/$DRIVER/kunit/Kbuild" qcow_kunit-y srctree="$tree") |
		sed 's/^/files of kunit (<), objects (>): /'
	# Outside, the test module has the driver's objects as well, but for main.o.
	diff <({ objects "$tree/$DRIVER/kunit/Kbuild" qcow_kunit-y srctree="$tree"
		 grep -vx dev/main.o <<< "$in_tree" | sed "s|^|../$DRIVER/|"; } | sort) \
		<(objects kunit/Kbuild qcow_kunit-y src=kunit srctree="$SOURCE" KBUILD_EXTMOD=x) |
		sed 's/^/objects of the tests in a kernel (<), outside (>): /'
}

# --- Kconfig ---

# A kernel with the options that the driver's Kconfig names
write_kconfig() {
	local name

	printf 'config MODULES\n\tbool "MODULES"\n\tmodules\n'
	printf 'config %s\n\tbool "0"\n' 64BIT KUNIT_ALL_TESTS
	printf 'config KUNIT\n\ttristate "KUnit"\n'
	sed -nE 's/^\t(select|imply) //p' $DRIVER/Kconfig | sort -u | while read -r name; do
		printf 'config %s\n\ttristate\n' "$name"
	done
	echo "source \"$tree/$DRIVER/Kconfig\""
}

# config NAME=VALUE...: prints what Kconfig makes of the driver's options.
config() {
	printf 'CONFIG_%s\n' "$@" > "$work/all"
	(cd "$work" && KCONFIG_ALLCONFIG=all KCONFIG_CONFIG=config \
		"$CONF" -s --allnoconfig Kconfig 2>&1) || echo failed
	grep -o 'CONFIG_BLK_DEV_QCOW.*=.*' "$work/config" | sed 's/CONFIG_//' | paste -sd ' '
}

# wants EXPECTED NAME=VALUE...
wants() {
	local expected=$1 got

	shift
	got=$(config "$@")
	[ "$got" = "$expected" ] || echo "Kconfig: '$got', not '$expected', with $*"
}

check_kconfig() {
	local driver=BLK_DEV_QCOW test=BLK_DEV_QCOW_KUNIT_TEST

	write_kconfig > "$work/Kconfig"
	wants "$driver=m" 64BIT=y MODULES=y $driver=m
	wants "$driver=y" 64BIT=y MODULES=y $driver=y
	wants "" MODULES=y $driver=y
	wants "$driver=y $test=y" 64BIT=y MODULES=y KUNIT=y $driver=y $test=y
	wants "$driver=y $test=y" 64BIT=y KUNIT=y KUNIT_ALL_TESTS=y $driver=y
	wants "$driver=m" 64BIT=y MODULES=y KUNIT=y $driver=m $test=y
	wants "$driver=y" 64BIT=y MODULES=y KUNIT=m $driver=y $test=y
}

# Options that the kernel does not have are taken without a word.
check_symbols() {
	local known

	known=$(find "$SOURCE" "$tree/$DRIVER" -name 'Kconfig*' -exec sed -nE \
		's/^(menu)?config (\w+)$/\2/p' {} + | sort -u)
	{ sed -nE 's/^\t(select|imply) //p' $DRIVER/Kconfig
	  sed -n 's/^CONFIG_\(.*\)=.*/\1/p' $DRIVER/.kunitconfig; } | sort -u |
		comm -23 - <(echo "$known") | sed 's/$/: no such option of the kernel/'
}

make_tree
check_script
check_objects
check_kconfig
check_symbols
