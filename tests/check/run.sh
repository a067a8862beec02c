#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [CHECK...]: checks the source without running it. Ends in
# "check: N passed, N failed".
set -uo pipefail
. "$(dirname "$0")/../lib/common.sh"
. "$QCOW_TOP/tests/lib/assert.sh"
cd "$QCOW_TOP" || exit 1

# The kernel whose headers and flags the static checks use: its gcc is the
# machine's own, and sparse of the same age understands it.
CHECK_KERNEL=6.1
MAX_FILE_LINES=800
MAX_FUNCTION_LINES=100
MAX_DRIVER_FUNCTION_LINES=36

# A file in which a tool found no fault has a mark in $CLEAN, and is not checked again.
# The mark's name is made of all that the result may depend on, this script among it,
# as it has the tool's options. A file with a fault is checked each time.
CLEAN=$QCOW_CACHE/clean

# key WORD...: that name, of words and of the contents of standard input
key() {
	{ cat tests/check/run.sh -; echo "$@"; } | sha256sum | cut -c1-40
}

# clean KEY: nothing was found.
clean() {
	touch -c "$CLEAN/$1"
	[ -e "$CLEAN/$1" ]
}

note_clean() {
	touch "$CLEAN/$1"
}

# unless_clean KEY COMMAND...: prints the command's output, unless KEY is marked clean.
unless_clean() {
	local key=$1 out

	clean "$key" && return
	shift
	if out=$("$@" 2>&1) && [ -z "$out" ]; then
		note_clean "$key"
	else
		echo "${out:-"failed: $*"}"
	fi
}

kernel_sources() {
	git ls-files -co --exclude-standard -- 'drivers/*.[ch]' 'include/*.h' 'kunit/*.[ch]'
}

all_sources() {
	kernel_sources
	git ls-files -co --exclude-standard -- 'userspace/*.[ch]' 'tests/*.[ch]'
}

scripts() {
	git ls-files -co --exclude-standard -- tests .ci debian packaging | while read -r file; do
		grep -q '^#!/bin/bash' <(head -1 "$file") && echo "$file"
	done
}

# kernel_script NAME: one of those that come out of the kernel's source package. All
# are taken at once, since a key below is made of all that is in their folder.
kernel_script() {
	local dir=$QCOW_CACHE/checkpatch

	if [ ! -s "$dir/$1" ]; then
		mkdir -p "$dir"
		tar xf /usr/src/linux-source-6.1.tar.xz -C "$dir" --strip-components=2 --wildcards \
			'*/scripts/checkpatch.pl' '*/scripts/spelling.txt' \
			'*/scripts/const_structs.checkpatch' '*/scripts/kernel-doc' || return 1
	fi
	echo "$dir/$1"
}

# Not asked: unbroken message strings may be long; parameters of macros that
# declare functions cannot be put in parentheses; a macro that a list of names is
# expanded with may declare; zlib's names are its own.
run_checkpatch() {
	"$tool" --no-tree --strict --emacs --show-types \
		--ignore LONG_LINE_STRING,MACRO_ARG_PRECEDENCE,TRAILING_SEMICOLON,CAMELCASE -f "$@" 2> /dev/null
}

# It has an opinion on parameters and return values.
check_kernel_doc() {
	local tool

	tool=$(kernel_script kernel-doc) || { echo "no kernel-doc"; return; }
	{ kernel_sources; git ls-files -co --exclude-standard -- 'userspace/*.[ch]'; } |
		xargs perl "$tool" -v -none 2>&1 | grep 'warning: '
}

# Each file by itself. One that it does not say to be clean is not.
check_checkpatch() {
	local tool tool_key file out
	local -A keys=()

	tool=$(kernel_script checkpatch.pl) || { echo "no checkpatch.pl"; return; }
	tool_key=$(cat "${tool%/*}"/* | key checkpatch)
	while read -r file; do
		keys[$file]=$(key "$tool_key" "$file" < "$file")
		! clean "${keys[$file]}" || unset "keys[$file]"
	done < <(kernel_sources)
	[ ${#keys[@]} -gt 0 ] || return
	out=$(run_checkpatch "${!keys[@]}")
	grep -E '(ERROR|WARNING|CHECK):' <<< "$out"
	for file in "${!keys[@]}"; do
		if grep -qF "$file has no obvious style problems" <<< "$out"; then
			note_clean "${keys[$file]}"
		else
			echo "$file is not clean"
		fi
	done
}

# strict_build KERNEL MAKE_ARGUMENTS...: prints the warnings of a build, which takes
# them for errors. An object of an earlier such build had none, and is not made again.
strict_build() {
	local out

	out=$(tests/lib/build.sh "$@" 2>&1) && return
	grep -E '(drivers/block/qcow|include/uapi|kunit)/.*(warning|error):' <<< "$out" ||
		tail -20 <<< "$out"
}

check_sparse() {
	QCOW_BUILD_SUFFIX=-sparse strict_build "$CHECK_KERNEL" C=1 CHECK=sparse \
		CF='-D__CHECK_ENDIAN__ -Wsparse-error'
}

# The tests run the module that is built like this, with W=1e.
check_gcc_w1() {
	local kernel

	for kernel in 6.1 6.12 7; do
		strict_build $kernel
	done
}

# The kernel was configured for gcc: options for which clang has no flag are taken out.
# The kernel's own headers make the warning that is switched off.
check_clang() {
	QCOW_BUILD_SUFFIX=-clang strict_build "$CHECK_KERNEL" CC=clang W=1e \
		CONFIG_CC_IS_GCC= CONFIG_CC_IS_CLANG=y \
		CONFIG_RETHUNK= CONFIG_RETPOLINE= CONFIG_FTRACE_MCOUNT_USE_CC= \
		CONFIG_INIT_STACK_ALL_ZERO= CONFIG_OBJTOOL= CONFIG_CC_IMPLICIT_FALLTHROUGH= \
		KCFLAGS='-Wno-unknown-warning-option -Wno-address-of-packed-member'
}

# userspace_warnings CC: its own Makefile takes warnings for errors. In a copy:
# somebody may be using the tool that is in the tree.
userspace_warnings() {
	local copy=$QCOW_CACHE/build/userspace-$1

	# Headers that are no more would be found.
	rm -rf "$copy"/{drivers,include,userspace/src}
	mkdir -p "$copy"
	git ls-files -co --exclude-standard -- userspace include drivers |
		rsync -rlpc --ignore-missing-args --files-from=- ./ "$copy"
	make -s -j2 -C "$copy/userspace" CC="$1" 2>&1
}

check_userspace_gcc() {
	userspace_warnings gcc
}

check_userspace_clang() {
	userspace_warnings clang
}

check_cppcheck() {
	local key

	key=$(all_sources | xargs cat | key "$(cppcheck --version)" "$(all_sources)")
	unless_clean "$key" cppcheck --quiet --std=c11 \
		--enable=warning,performance,portability \
		--inline-suppr --suppress=missingIncludeSystem -I userspace/src \
		-I include/uapi -I drivers/block -I drivers/block/qcow userspace/src
}

# The files that scripts source count as well.
check_shellcheck() {
	local key all

	mapfile -t all < <(scripts)
	key=$(git ls-files -co --exclude-standard -- tests .ci | grep '\.sh$\|^tests/lib' |
		xargs cat "${all[@]}" | key "$(shellcheck --version)" "${all[@]}")
	unless_clean "$key" shellcheck -x -S warning "${all[@]}"
}

# Bash takes the last of two functions of one name without a word.
check_twice() {
	local file

	git ls-files -co --exclude-standard -- 'tests/*.sh' | while read -r file; do
		grep -oE '^[a-z_0-9]+\(\)' "$file" | sort | uniq -d | sed "s|^|$file: defined twice: |"
	done
}

# misses COMMAND...: it is given a name that nothing has. It fails, and its output has the name.
misses() {
	local out

	if out=$("$@" 2>&1); then
		echo "$*: passes"
	elif ! grep -qF no-such <<< "$out"; then
		echo "$*: fails with: $(tail -n 3 <<< "$out")"
	fi
}

# Tests that do not run because of a slip of the pen have not passed.
check_runners() {
	local runner

	for runner in run.sh {build,check/run,tool/run,foreign/run,host/run,fuzz/run,bench/run}.sh \
			package/run.sh; do
		misses tests/$runner no-such
	done
	misses tests/tool/run.sh assert no-such
	misses tests/bench/run.sh -w no-such
	misses tests/uml/kunit.sh suites=no-such
	misses env QCOW_ONLY=no-such tests/vm/test.sh 7
	misses env QCOW_ONLY=no-such tests/write/test.sh 7 cases
}

# Sentences that begin with "what" or "who" in place of the thing that they are about.
check_headless() {
	git ls-files -co --exclude-standard -- '*.[ch]' '*.rst' '*.md' '*.sh' '*Kbuild*' 'userspace/man/*' |
		xargs python3 tests/check/headless.py
}

# --- Floors: a file includes headers of lower files only. ---

# From the top down; Documentation/design.rst has their picture.
FLOORS="dev jobs data meta file ondisk"
TOOL_FLOORS="boot mount cmd check create image vvfat foreign device export lib"

# The driver's files without their endings: those that are compiled, from the bottom up.
# Kbuild.include has the one list of their order.
file_order() {
	sed -n 's/^qcow-objects [+:]= *//p' drivers/block/qcow/Kbuild.include | tr ' ' '\n' |
		sed 's/\.o$//'
	echo dev/main
}

# includes TOP: "FILE HEADER" for each header in the folders of TOP that a file there
# includes, but for its own
includes() {
	local top=$1 file name

	for file in "$top"/*/*.[ch]; do
		name=${file#"$top"/}
		name=${name%.[ch]}
		sed -n 's/^#include "\(.*\/.*\)\.h"/\1/p' "$file" | grep -vx "$name" |
			grep -v '^qcow/\|^compat/\|^lib/pure_user$' | sed "s|^|$name |"
	done | sort -u
}

# Two files that include each other's headers, also by way of others, are a circle. So are
# two that call each other's functions, whatever headers declare these.
check_circles() {
	local top calls

	for top in drivers/block/qcow userspace/src; do
		includes $top | tsort 2>&1 > /dev/null | grep -v 'input contains a loop'
		calls=$(python3 tests/check/calls.py $top 2>&1) || echo "$calls"
		tsort <<< "$calls" 2>&1 > /dev/null |
			sed '/input contains a loop/d; s/^tsort: /calls: /'
	done
}

# floors TOP FLOOR...: files that include a header of a higher floor, or are on none
floors() {
	local top=$1

	shift
	includes "$top" | awk -v floors="$*" '
		BEGIN { n = split(floors, f, " "); for (i = 1; i <= n; i++) floor[f[i]] = i }
		function of(file) { sub("/.*", "", file); return floor[file] }
		!of($1) || !of($2) || of($2) < of($1) { print $1 " includes " $2 ".h" }'
}

check_floors() {
	floors drivers/block/qcow $FLOORS
	floors userspace/src $TOOL_FLOORS
	awk 'NR == FNR { place[$1] = NR; next }
		!($1 in place) || !($2 in place) { next }
		place[$2] > place[$1] { print $1 " includes the higher " $2 ".h" }' \
		<(file_order) <(includes drivers/block/qcow)
	grep -n '^#include "[^/]*"' drivers/block/qcow/*/*.[ch] userspace/src/*/*.[ch] |
		grep -v 'define_trace' | sed 's/$/: the folder of the header lacks/'
	comm -3 <(file_order | sort) \
		<(cd drivers/block/qcow && ls -- */*.c | sed 's/\.c$//' | sort) |
		sed 's/^[[:space:]]*//; s/$/: is a file or in Kbuild.include, but not both/'
}

# --- The write state: state.h names the files that use the members of each part. ---

check_owners() {
	local part owners state=drivers/block/qcow/meta/state.h

	sed -n 's/^ \* struct qcow_\([a-z0-9_]*\) - .*: \(.*\)$/\1 \2/p' $state |
	while read -r part owners; do
		part=$(sed -n "s/^\tstruct qcow_$part \([a-z0-9]*\);/\1/p" $state)
		[ -n "$part" ] || { echo "state.h: no member for a part"; continue; }
		grep -nE -- "->$part\." drivers/block/qcow/*/*.[ch] |
			grep -vE "/(state|life|${owners//, /|})\.[ch]:" |
			grep -vE ':[0-9]+: \*'
	done
}

# Completion rises through io->end_io(): below dev/ nothing knows of requests.
check_no_blk_mq_below_dev() {
	grep -lE '#include .*(blk-mq|compat_blk)\.h' -r drivers/block/qcow --include='*.[ch]' |
		grep -vE '/(dev/.*|compat/compat_blk(_test)?)\.[ch]$'
}

check_versions_in_compat_only() {
	grep -nE 'LINUX_VERSION|KERNEL_VERSION|QCOW_HAVE_' -r drivers kunit include --include='*.[ch]' |
		grep -v '/compat/[_a-z]*\.h:'
}

check_userspace_includes() {
	grep -nE '#include "(\.\./)*(drivers|qcow)/' -r userspace --include='*.[ch]' |
		grep -vE '"qcow/ondisk/(header|format|compression|pure|entry|bitdir|map_table)\.h"'
}

# Documentation/ABI describes each attribute of sysfs, and no other; columns of list show
# some of them.
check_attributes() {
	local described=Documentation/ABI/testing/sysfs-block-qcow defined

	defined=$(sed -nE 's/^(static DEVICE_ATTR_RO|QCOW_ATTR)\(([a-z]\w*).*/\2/p' \
		drivers/block/qcow/dev/sysfs.c | sort)
	[ -n "$defined" ] || echo "sysfs.c: no attributes found"
	comm -3 <(echo "$defined") <(sed -n 's|^What:.*/qcow/||p' $described | sort) |
		sed "s|^\t\(.*\)|$described: \1 is no attribute|; t; s|\$| is not in $described|"
	comm -3 <(echo "$defined") <(sed -n 's/.*&dev_attr_\(.*\)\.attr,/\1/p' \
		drivers/block/qcow/dev/sysfs.c | sort) | sed 's/$/ is not in qcow_attrs[]/'
	comm -13 <(echo "$defined") <(sed -n 's|.*attr = "qcow/\(.*\)".*|\1|p' \
		userspace/src/cmd/list_columns.c | sort) | sed 's/$/ is shown by list, and no attribute/'
	check_counters $described
}

# differ_from DEFINED WHERE FILE SED_COMMAND: names that are in one of the two only
differ_from() {
	comm -3 <(echo "$1") <(sed -nE "$4" "$3" | sort) |
		sed "s/^\t*//; s/\$/ is a counter or $2, but not both/"
}

# check_counters FILE: it describes each counter, and qcowctl stat knows each.
check_counters() {
	local defined counters=drivers/block/qcow/dev/counters.c

	defined=$(sed -nE 's/^QCOW_COUNTER(_FN)?\(([a-z]\w*).*/\2/p' $counters | sort)
	[ -n "$defined" ] || echo "counters.c: no counters found"
	differ_from "$defined" "described" "$1" 's|^What:.*/qcow_stat/||p'
	differ_from "$defined" "in qcow_counters[]" $counters 's/.*&counter_(.*)\.attr\.attr,/\1/p'
	differ_from "$defined" "known to qcowctl stat" userspace/src/cmd/stat_counters.c \
		's/.*\.name = "([a-z_]*)".*/\1/p'
}

# The tool adds advice to a message by its code: qcow_advise() gives the code of a text
# that has advice behind a semicolon, qcow_fail() that of a text without.
check_advice() {
	# shellcheck disable=SC2016
	git ls-files -co --exclude-standard -- 'drivers/*.[ch]' | xargs perl -0777 -ne '
		while (/\bqcow_(fail|advise)\([^"]*?"((?:[^"\\]|\\.)*)"/g) {
			my ($way, $text) = ($1, $2);
			next if ($way eq "advise") == ($text =~ /;/);
			print "$ARGV: qcow_$way(\"$text\")\n";
		}'
}

# The name of an offset tells a guest offset, a host offset, and an offset in a table apart.
check_offsets() {
	git ls-files -co --exclude-standard -- {drivers,kunit,userspace,tests}'/*.[ch]' |
		xargs python3 tests/check/offsets.py 2>&1
}

# The documented bytes of the tables of maps are those of the header.
check_abi_table() {
	python3 -B tests/check/abi_table.py Documentation/abi.rst \
		drivers/block/qcow/ondisk/map_codecs.h |
		gcc-12 -fsyntax-only -Iinclude/uapi -x c - 2>&1 | grep error
}

# A file's name has one meaning in the driver: no two folders have headers of one name.
check_file_names() {
	git ls-files -co --exclude-standard -- 'drivers/*.h' | while read -r file; do
		[ -e "$file" ] && echo "${file##*/}"
	done | sort | uniq -d | sed 's/$/: a header in more than one folder/'
}

# --- Documents ---

# The table of files in the design document has each file of the driver, and no other.
check_files() {
	python3 -B tests/check/files.py Documentation/design.rst drivers/block/qcow 2>&1
}

# book_of FOLDER OUTPUT: makes the book of the source in FOLDER, and prints its mistakes.
book_of() {
	sphinx-build -nWq --keep-going -b html -d "$2/doctrees" "$1/Documentation" "$2/html" 2>&1 |
		grep -v '^$\|^build finished'
	python3 tests/check/book.py "$1" "$2/html" 2>&1
}

# try_book: the book of this source has no mistakes, and those in a copy are found: a page
# that is in no contents, a reference to nothing, the name of no file, a manual page that is
# not installed.
try_book() {
	local work copy out want

	work=$(mktemp -d)
	copy=$work/copy
	book_of . "$work"
	[ -s "$work/html/man/qcowctl.8.html" ] || echo "no manual in the book"
	git ls-files -co --exclude-standard -- '*.md' '*.rst' '*.docs' Documentation packaging \
		userspace/Makefile userspace/man include |
		rsync -rlp --ignore-missing-args --files-from=- ./ "$copy"
	cat >> "$copy/Documentation/recipes.rst" <<- 'END'

		:doc:`nowhere`, :ref:`nothing`, ``tests/no-such.sh``, ``write:nothing``
	END
	cp "$copy/Documentation/sysfs.rst" "$copy/Documentation/stray.rst"
	sed 's/qcowctl 8/qcowctl 7/' "$copy/userspace/man/qcowtab.5" > "$copy/userspace/man/more.5"
	echo '[link](Documentation/nothing.rst)' >> "$copy/README.md"
	sed -i '/messages/d' "$copy/debian/qcow-utils.docs"
	sed -i '/It Dv QCOW_IOC_FILE/d' "$copy/userspace/man/qcow.4"
	out=$(book_of "$copy" "$work/again")
	for want in "unknown document: 'nowhere'" "undefined label: 'nothing'" \
		'recipes.rst: tests/no-such.sh is not there' \
		'recipes.rst: there is no test write:nothing' "isn't included in any toctree" \
		'stray.html: no link leads there' 'a link to Documentation/nothing.rst, which' \
		'qcow-utils.docs: Documentation/messages.rst is in it or' \
		'qcow.4: QCOW_IOC_FILE is in it or' 'more.5: make install does not install it' \
		'more.5: not in the book' 'more.5: refers to qcowctl(7), which there is not'; do
		grep -qF "$want" <<< "$out" || echo "not found in a copy with mistakes: $want"
	done
	rm -rf "$work"
}

# Each block of a page that is tried is used by the test of the page. The domain of libvirt is
# valid.
check_guides() {
	local page=Documentation/containers-and-vms.rst part=tests/host/parts/60-containers.sh
	local work

	diff <(tests/host/guide.py "$page" 2>&1 | sed 's/ *$//' | sort) \
		<(sed -nE 's/^guide(_file|_here)? //p' "$part" | sort)
	work=$(mktemp -d)
	tests/host/guide.py "$page" libvirt web.xml > "$work/web.xml"
	virt-xml-validate "$work/web.xml" domain 2>&1 | grep -v ' validates$'
	rm -r "$work"
}

check_book() {
	local key

	key=$(git ls-files -co --exclude-standard -- Documentation '*.md' tests/check/book.py \
		tests/run.sh tests/vm/guest tests/write/cases 'kunit/*.c' include drivers userspace/src \
		userspace/Makefile userspace/man 'debian/*.docs' packaging |
		xargs cat | key "$(git ls-files -co --exclude-standard)" "$(sphinx-build --version)")
	unless_clean "$key" try_book
}

# Manual pages. A manual page that the machine has not is none of their mistakes.
check_manuals() {
	find userspace/man -type f -exec mandoc -T lint {} + 2>&1 |
		grep -v 'STYLE: referenced manual not found\|mandoc\.db lacks'
}

check_no_bug() {
	grep -nE '\bBUG(_ON)?\(' -r drivers --include='*.[ch]'
}

# The driver can be put into a kernel's source.
check_kernel_tree() {
	tests/check/kernel_tree.sh 2>&1
}

# --- Size and form ---

check_file_size() {
	all_sources | xargs wc -l | awk -v max=$MAX_FILE_LINES '$2 != "total" && $1 > max'
}

# A function begins with "{" in the first column and ends with "}" there.
# long_functions MAX: of the files of standard input
long_functions() {
	xargs awk -v max="$1" '
		FNR == 1 { start = 0 }
		/^\{/ { start = FNR }
		/^\}/ { if (start && FNR - start - 1 > max)
				print FILENAME ":" start ": function of " FNR - start - 1 " lines"
			start = 0 }'
}

check_function_size() {
	all_sources | long_functions $MAX_FUNCTION_LINES
	git ls-files -co --exclude-standard -- 'drivers/*.[ch]' |
		long_functions $MAX_DRIVER_FUNCTION_LINES
}

check_spdx() {
	{ all_sources; scripts; } | while read -r file; do
		grep -q SPDX-License-Identifier <(head -2 "$file") || echo "$file: no licence tag"
	done
}

# grep -q ends with the first line that it looks for. A program that writes more is killed, and
# with pipefail that fails the pipe though the line is there.
check_grep_pipe() {
	git grep -nE '[^|]\| *grep -[a-zA-Z]*q' -- '*.sh' .ci debian packaging
}

# The address of the tree, which the publisher fills in, is in MAINTAINERS alone.
check_address() {
	local address

	address=$(sed -n 's/^T:\tgit //p' MAINTAINERS)
	if [ -z "$address" ] || [ "$(wc -l <<< "$address")" != 1 ]; then
		echo "MAINTAINERS: needs one line T: with the address of the tree"
		return
	fi
	git grep -nIF -e "$address" -e 'git clone' -- . ':!MAINTAINERS' ':!tests/check'
}

# Nothing that a build leaves behind is there to be committed.
check_clean_tree() {
	git ls-files -co --exclude-standard | grep -E '\.(o|ko|mod|cmd|orig|rej|img)$'
}

# run_check NAME: a check that prints nothing has passed.
run_check() {
	local out

	out=$("check_$1" || [ $? != 127 ] || echo "there is no such check")
	if [ -z "$out" ]; then
		pass "$1"
	else
		failure "$1" "$(head -60 <<< "$out")"
	fi
}

ALL=(checkpatch kernel_doc sparse gcc_w1 clang userspace_gcc userspace_clang cppcheck
     shellcheck twice runners headless circles floors owners no_blk_mq_below_dev versions_in_compat_only
     userspace_includes attributes advice offsets abi_table file_names files kernel_tree guides book manuals no_bug file_size
     function_size spdx grep_pipe address clean_tree)

mkdir -p "$CLEAN"
find "$CLEAN" -type f -mtime +14 -delete
for name in "${@:-${ALL[@]}}"; do
	run_check "$name"
done
summary check
