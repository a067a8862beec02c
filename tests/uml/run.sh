#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh: loads modules under User-Mode Linux and judges what its console says.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"
. "$here/../lib/klog.sh"

usage() {
	cat >&2 <<-EOF
	usage: run.sh [options] MODULE.ko [PARAMETER=VALUE]... [MODULE.ko...] [-- KERNEL ARGUMENTS]
	  -t SECONDS  before it is ended, 600 unless given
	  -m MEMORY   1G unless given
	  -a REGEX    lines that the console may have, bad as they look
	  -x COMMAND  run by /bin/sh in the host's root (read-only) once the modules
	              are loaded; it must succeed. Without it there must be KUnit
	              results instead.
	  -o DIR      host folder that COMMAND finds as /mnt, to write to

	Loads the modules in order, unloads them, and looks for leaks. The console
	is printed; the last line counts KUnit's cases. Fails if a case failed, or
	if the kernel complained of anything.
	EOF
	exit 2
}

limit=600 memory=1G allowed='^$' command='' out=''
modules=() arguments=()

parse_options() {
	local option OPTIND OPTARG

	while getopts t:m:a:x:o: option; do
		case $option in
		t)	limit=$OPTARG ;;
		m)	memory=$OPTARG ;;
		a)	allowed=$OPTARG ;;
		x)	command=$OPTARG ;;
		o)	out=$OPTARG ;;
		*)	usage ;;
		esac
	done
	shift $((OPTIND - 1))
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		modules+=("$1")
		shift
	done
	arguments=("${@:2}")
	[ -n "${modules[*]}$command" ] || usage
}

# module_lines: shell commands for init, from the modules and their parameters
module_lines() {
	local word path line=''

	for word in "${modules[@]}"; do
		case $word in
		*=*)	line+=" $(printf %q "$word")" ;;
		*)	[ -z "$line" ] || echo "$line || finish 1"
			path=$(realpath -e "$word") || die "no $word"
			line="insmod $(printf %q "/host$path")" ;;
		esac
	done
	[ -z "$line" ] || echo "$line || finish 1"
}

# The names to unload, the last one first
module_names() {
	local word

	for word in "${modules[@]}"; do
		[[ $word == *=* ]] || modinfo -F name "$word"
	done | tac | tr '\n' ' '
}

write_plan() {
	module_lines
	if [ -n "$command" ]; then
		echo "chroot /host /bin/sh -c $(printf %q "$command")"
		echo "status=\$?"
	fi
	echo "loaded='$(module_names)'"
}

make_root() {
	mkdir -p "$root"/{bin,dev,proc,sys,host,out}
	cp /bin/busybox "$root/bin/"
	cp "$here/init" "$root/init"
	write_plan > "$root/plan"
	if [ -n "$out" ]; then
		mkdir -p "$out"
		echo "mount -t hostfs -o $(realpath "$out") out /host/mnt" |
			cat - "$root/plan" > "$root/plan.new"
		mv "$root/plan.new" "$root/plan"
	fi
}

boot() {
	timeout -k 5 "$limit" "$QCOW_CACHE/uml/build/linux" mem="$memory" \
		root=/dev/root rootfstype=hostfs rootflags="$root" rw init=/init \
		con=null con0=fd:0,fd:1 oops=panic null_blk.nr_devices=0 \
		"${arguments[@]}" < /dev/null 2>&1 | tr -d '\r' | tee "$log" || true
}

# count: prints how many cases of KUnit's report have passed, failed and been skipped.
# Cases are indented by four spaces. Deeper lines are the rows of a table of cases; each
# of them counts, and then the line of the table does not.
count() {
	sed 's/^\[ *[0-9.]*\] //' "$log" | awk '
		/^        (not )?ok / { add($0); rows++; next }
		/^    (not )?ok / { if (!rows) add($0); rows = 0 }
		function add(line) { n[line ~ /# SKIP/ ? "s" : line ~ /^ *not/ ? "f" : "p"]++ }
		END { print n["p"] + 0, n["f"] + 0, n["s"] + 0 }'
}

judge() {
	local passed failed skipped problems verdict=0

	if ! grep -q '^uml: ready' "$log"; then
		say "did not boot"
		verdict=1
	elif ! grep -q '^uml: exit 0' "$log"; then
		say "did not finish"
		verdict=1
	fi
	problems=$(klog_problems "$log" | grep -vE -- "$allowed" || true)
	if [ -n "$problems" ]; then
		say "the kernel complained:"
		echo "$problems" >&2
		verdict=1
	fi
	read -r passed failed skipped < <(count)
	! grep -qE '^(\[ *[0-9.]*\] )? *not ok ' "$log" || verdict=1
	[ -n "$command" ] || [ "$passed" -gt 0 ] || verdict=1
	# A case that does not run has not passed.
	if [ "$skipped" -ne 0 ]; then
		echo "kunit: $skipped skipped"
		failed=$((failed + skipped))
		verdict=1
	fi
	echo "kunit: $passed passed, $failed failed"
	return $verdict
}

parse_options "$@"
[ -f "$QCOW_CACHE/uml/stamp" ] || die "no User-Mode Linux: run tests/setup/uml.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root log=$work/console
make_root
boot
judge
