# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The driver in the source of Debian's kernels, as a module and built in, and its KUnit
# tests there. No machine boots but KUnit's. The first run builds four kernels, in half an
# hour; a source that has passed is not tried again.
TREES=$QCOW_CACHE/tree

# Cases that are skipped: no program runs that could drop caches.
MAY_SKIP=cache_shrinker

# get_source VERSION: Debian's source of the kernel, in $tree
get_source() {
	local package=linux-source-$1 installed

	tree=$TREES/$1
	dpkg-query -W "$package" > /dev/null 2>&1 || {
		retry apt-get update -qq
		retry apt-get install -qq -y --no-install-recommends "$package"
	} > apt.log 2>&1
	installed=$(dpkg-query -W "$package") || return
	[ "$(cat "$tree/.package" 2> /dev/null)" != "$installed" ] || return 0
	rm -rf "$tree"
	mkdir -p "$tree"
	tar -xf "/usr/src/$package.tar.xz" -C "$tree" --strip-components=1
	echo "$installed" > "$tree/.package"
}

# build ARGUMENTS...: in the folder out beside the source; no warnings about the driver
build() {
	make -C "$tree" O="$tree/out" -j"$(nproc)" "$@" > build.log 2>&1 || {
		grep -E 'error|Error' build.log | tail
		return 1
	}
	! grep -E '(drivers/block/qcow|linux/qcow.h).*(warning|error):' build.log
}

# configure m|y: a small kernel with the driver
configure() {
	printf 'CONFIG_%s=y\n' 64BIT MODULES MODULE_UNLOAD BLOCK BLK_DEV > all.config
	echo "CONFIG_BLK_DEV_QCOW=$1" >> all.config
	KCONFIG_ALLCONFIG=$PWD/all.config build allnoconfig || return
	grep -qx "CONFIG_BLK_DEV_QCOW=$1" "$tree/out/.config" || echo "lost: CONFIG_BLK_DEV_QCOW=$1"
}

# says_nothing COMMAND...: it succeeds as well.
says_nothing() {
	local out

	out=$("$@" 2>&1) && [ -z "$out" ] && return
	echo "$out"
	return 1
}

as_module() {
	configure m && build vmlinux modules
	[ "$(modinfo -F intree "$tree/out/drivers/block/qcow/qcow.ko")" = Y ] ||
		echo "no module of the kernel's own"
}

built_in() {
	configure y && build vmlinux
	grep -q ' qcow_init$' "$tree/out/System.map" || echo "no driver in vmlinux"
}

# The header is complete, and has C and comments that all programs may have.
header() {
	build headers
	gcc -std=c90 -Wall -Wextra -Werror -fsyntax-only -I "$tree/out/usr/include" \
		-include "$tree/out/usr/include/linux/qcow.h" -x c /dev/null
}

# kunit VERSION: the suites, with the kernel's own script
kunit() {
	local skipped

	(cd "$tree" && ./tools/testing/kunit/kunit.py run --jobs="$(nproc)" \
		--kunitconfig=drivers/block/qcow --timeout=3000 \
		--kernel_args qcow_kunit.images=1000) < /dev/null > kunit.log 2>&1 ||
		tail -n 40 kunit.log
	# User-Mode Linux with the script's options complains of its own PCI bus.
	grep -v um_pci_init "$tree/.kunit/test.log" > "console-kunit-$1.log"
	grep -q 'Testing complete.*passed: [0-9][0-9][0-9]' kunit.log ||
		echo "not all suites have run"
	skipped=$(sed -n 's/.*\[SKIPPED\] //p' kunit.log | paste -sd ' ')
	[ "$skipped" = $MAY_SKIP ] || echo "skipped: $skipped"
}

# tree_key VERSION: all that the verdict depends on
tree_key() {
	{ git -C "$QCOW_TOP" ls-files -co --exclude-standard -- drivers include kunit \
		packaging/into-tree.sh "${BASH_SOURCE[0]}" | sort |
		(cd "$QCOW_TOP" && xargs sha256sum)
	  dpkg-query -W "linux-source-$1" gcc; } | sha256sum | cut -c1-40
}

try_tree() {
	local version=$1 before=$failed clean

	expect "$version: source" says_nothing get_source "$version"
	tree=$TREES/$version
	clean=$QCOW_CACHE/clean/tree-$(tree_key "$version")
	if [ -e "$clean" ]; then
		touch "$clean"
		pass "$version: nothing has changed since all has passed"
		return
	fi
	expect "$version: into the tree" says_nothing "$QCOW_TOP/packaging/into-tree.sh" "$tree"
	expect "$version: module" says_nothing as_module
	expect "$version: header" says_nothing header
	expect "$version: built in" says_nothing built_in
	expect "$version: KUnit" says_nothing kunit "$version"
	[ "$failed" -gt "$before" ] || touch "$clean"
}

only_one kernel-tree
mkdir -p "$QCOW_CACHE/clean"
: > console-none.log
try_tree 6.1
try_tree 6.12
