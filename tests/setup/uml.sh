#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# uml.sh: builds the User-Mode Linux that KUnit runs under, from Debian's
# linux-source package and tests/uml/kernel.config, into $QCOW_CACHE/uml:
#
#	source/		the unpacked source
#	build/linux	the kernel, and what external modules build against
#
# About three minutes on two cores; nothing to do once it is there and neither
# the configuration nor the package has changed.
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"

tarball=/usr/src/linux-source-6.1.tar.xz
config=$QCOW_TOP/tests/uml/kernel.config
uml=$QCOW_CACHE/uml

uml_make() {
	nice make -C "$uml/source" ARCH=um O="$uml/build" CC=gcc-12 "$@"
}

unpack_source() {
	rm -rf "$uml/source"
	mkdir -p "$uml/source"
	tar -xf "$tarball" -C "$uml/source" --strip-components=1
}

# Faults of 6.1 that disturb the tests:
# - UML forbids counting preemption, and then sleeping under a spinlock goes
#   unseen;
# - it walks a new process's mappings without any lock, which lockdep reports;
# - it looks at every word of a stack for return addresses, although those who save a
#   trace, as KASAN does for each allocation, only want what frame pointers lead to;
# - KUnit runs a module's suites before the module has its parameters and has
#   initialised itself; later kernels do it afterwards;
# - kmemleak spares what is younger than five seconds, for the sake of machines
#   that never rest. Ours rests after every test.
mend_source() {
	sed -i '/select ARCH_NO_PREEMPT$/d' "$uml/source/arch/um/Kconfig"
	sed -i '/^void force_flush_all/,/^}/ {
		s/^\tfor_each_vma(vmi, vma)$/\trcu_read_lock();\n&/
		s/^\t\tfix_range(.*$/&\n\trcu_read_unlock();/
	}' "$uml/source/arch/um/kernel/tlb.c"
	sed -i '/^void dump_trace/,/^}/ {
		s/^void dump_trace/static const struct stacktrace_ops dump_ops;\n\n&/
		s/^\t\tsp++;$/\t\tif (ops == \&dump_ops \&\& (long)(bp + sizeof(long)) > (long)sp \&\&\
		    !((bp ^ (long)sp) \& ~(THREAD_SIZE - 1)))\
			sp = (unsigned long *)(bp + sizeof(long));\
		else\
			sp++;/
	}' "$uml/source/arch/um/kernel/stacktrace.c"
	sed -i '/^static int kunit_module_notify/,/^}/ {
		s/MODULE_STATE_COMING/MODULE_STATE_LATER/
		s/MODULE_STATE_LIVE/MODULE_STATE_COMING/
		s/MODULE_STATE_LATER/MODULE_STATE_LIVE/
	}' "$uml/source/lib/kunit/test.c"
	sed -i 's/\(define MSECS_MIN_AGE\).*/\1 300/' "$uml/source/mm/kmemleak.c"
}

# Kconfig drops options that it cannot satisfy without a message.
check_config() {
	local lost

	lost=$(grep '^CONFIG' "$config" | grep -vxFf "$uml/build/.config") || return 0
	die "the configuration lost:" "$lost"
}

configure() {
	rm -rf "$uml/build"
	mkdir -p "$uml/build"
	uml_make -s KCONFIG_ALLCONFIG="$config" allnoconfig
	check_config
}

# All that the result depends on
stamp() {
	dpkg-query -W linux-source-6.1 gcc-12
	declare -f unpack_source mend_source configure uml_make
	cat "$config"
}

want=$(stamp | sha256sum)
up_to_date() {
	[ -x "$uml/build/linux" ] && [ "$(cat "$uml/stamp" 2> /dev/null)" = "$want" ]
}

! up_to_date || exit 0
only_one uml
! up_to_date || exit 0

start=$SECONDS
mkdir -p "$uml"
rm -f "$uml/stamp"
say "unpacking the source"
unpack_source
mend_source
configure
say "building: about three minutes; the log is $uml/build.log"
uml_make -j"$(nproc)" > "$uml/build.log" 2>&1 ||
	die "failed:" "$(tail -n 20 "$uml/build.log")"
echo "$want" > "$uml/stamp"
say "built in $((SECONDS - start)) s"
