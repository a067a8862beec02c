#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [TARGET...] [INPUT...]: runs commands of qcowctl on damaged images, under
# libFuzzer with AddressSanitizer, UndefinedBehaviorSanitizer and leak detection. TARGET
# is pure, counts, check, repair, map, info, lists or foreign; with an INPUT, the targets get
# that image and no other. Inputs of foreign have a form of their own: see foreign.c.
#
# FUZZ_FORMAT=vdi        foreign: this format only
# QCOW_FUZZ_SECONDS=30   for all targets together
# QCOW_FUZZ_RUNS=1000000 inputs of each target, or format of foreign, in place of a time
# QCOW_SEED=1            seed of all random choices; drawn if not given. The same seed
#                        does the same only with the same program on the same machine.
#
# Ends in a line "fuzz: N passed, N failed".
set -uo pipefail
. "$(dirname "$0")/../lib/common.sh"
. "$QCOW_TOP/tests/lib/assert.sh"

# Of the time, so many parts go to each target; a repair takes ten times as long as a
# check.
declare -A parts=([pure]=1 [counts]=1 [check]=2 [repair]=4 [map]=2 [info]=1 [lists]=2
	[foreign]=3)
ALL=(pure counts check repair map info lists foreign)
# Faults that the fuzzer has to find, and the words by which it reports each
declare -A broken=([promise]="this fault was made" [read]=heap-buffer-overflow
	[undefined]="shift exponent" [leak]="detected memory leaks")

# Bytes of an input, and MB of memory that it may take
MAX_BYTES=65536
MAX_MB=512
# A parser stops at 512 MB by itself. Short inputs are quick.
FOREIGN_MAX_MB=1024
FOREIGN_MAX_BYTES=32768
# Seconds by the clock for one input; fuzz.c limits the processor time.
MAX_SECONDS=300

here=$(realpath "$(dirname "$0")")
out=$QCOW_CACHE/fuzz
VERBOSE=1
targets=()
inputs=()

export ASAN_OPTIONS=quarantine_size_mb=16:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1

build() {
	mkdir -p "$out" "$QCOW_CACHE/runs"
	# In a subshell, so that others need not wait until this script ends.
	(only_one fuzz-build
	make -s -C "$here" -j "$(nproc)" OUT="$out") || die "cannot build the fuzzer"
}

make_work() {
	local shm=/dev/shm

	[ -w $shm ] || shm=${TMPDIR:-/tmp}
	work=$(mktemp -d "$shm/qcow-fuzz.XXXXXX") || exit 1
	trap 'rm -rf "$work"' EXIT
	# A build while this runs makes another program.
	cp "$out/qcow-fuzz" "$work/"
	"$here/seeds.sh" "$work" || die "cannot make the seeds"
}

# make_foreign_seeds: makes inputs of the images of tests/foreign in $work/foreign, once for
# each state of these tests.
make_foreign_seeds() {
	local state made

	FUZZ_TARGET=formats "$work/qcow-fuzz" > "$work/formats"
	state=$(cat "$work/formats" "$here"/../foreign/*.* "$here"/../foreign/parts/* | sha256sum)
	made=$out/foreign-${state:0:16}
	(only_one fuzz-foreign-seeds
	[ ! -d "$made" ] || exit 0
	rm -rf "$out"/foreign-*
	mkdir "$work/pack"
	cp "$work/formats" "$work/pack/.formats"
	# shellcheck disable=SC2046 # a part for each format that is parsed
	QCOW_PACK=$work/pack "$here/../foreign/run.sh" $(grep -vx vvfat "$work/formats") &&
		cp -r "$work/pack" "$made"
	) > "$work/log" 2>&1 || die "cannot make the seeds of foreign: $(cat "$work/log")"
	cp -r "$made" "$work/foreign"
}

# fuzz TARGET ARGUMENT...: libFuzzer with these arguments
fuzz() {
	local mb=$MAX_MB bytes=$MAX_BYTES

	[ "$1" != foreign ] || mb=$FOREIGN_MAX_MB bytes=$FOREIGN_MAX_BYTES
	(cd "$work/files" && FUZZ_TARGET=$1 nice "$work/qcow-fuzz" -rss_limit_mb=$mb \
		-max_len=$bytes -timeout=$MAX_SECONDS -artifact_prefix="$QCOW_CACHE/runs/fuzz-$1-" "${@:2}") 2>&1
}

# found TARGET LOG: counts a failure, and shows the report and how to see it again.
found() {
	local input

	failure "$1 (seed $seed)" \
		"$(grep -avE '^(INFO:|#[0-9]+[[:space:]])' "$2" | tail -n 60 | tr -d '\0')"
	input=$(sed -n 's/.*Test unit written to //p' "$2" | tail -n 1)
	[ -z "$input" ] || echo "again: tests/fuzz/run.sh $1 $input"
}

# A fuzzer that overlooks faults passes everything.
try_broken() {
	local way log=$work/log

	for way in "${!broken[@]}"; do
		fuzz "broken-$way" -artifact_prefix="$work/" "$work/seeds/plain" > "$log"
		grep -qF "${broken[$way]}" "$log" || {
			found "broken-$way" "$log"
			return
		}
	done
	pass "the made faults are found"
}

try_input() {
	local target=$1 input=$2

	if fuzz "$target" "$input" > "$work/log"; then
		pass "$target: nothing in $input"
	else
		found "$target" "$work/log"
	fi
}

# try_seeds TARGET SECONDS SEEDS NAME: lets libFuzzer go on from the inputs of a folder.
try_seeds() {
	local target=$1 seconds=$2 seeds=$3 name=$4 log=$work/log runs amount

	amount=(-max_total_time="$seconds")
	[ -z "${QCOW_FUZZ_RUNS:-}" ] || amount=(-runs="$QCOW_FUZZ_RUNS")
	mkdir "$work/corpus"
	if fuzz "$target" -seed="$seed" "${amount[@]}" "$work/corpus" "$seeds" > "$log" &&
		runs=$(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log") && [ "${runs:-0}" -gt 1 ]
	then
		pass "$name: $runs runs, $(reached "$log")"
	else
		found "$target" "$log"
	fi
	rm -rf "$work/corpus"
}

# reached LOG: prints how much code libFuzzer has reached.
reached() {
	sed -n 's/^#.* cov: \([0-9]*\) ft: \([0-9]*\) .*/\1 edges, \2 features/p' "$1" | tail -n 1
}

# try_formats SECONDS: gives each format of foreign its share of the time. A corpus of all of
# them together would have the fuzzer stay with few.
try_formats() {
	local formats format seconds

	make_foreign_seeds
	mapfile -t formats < <(grep -x "${FUZZ_FORMAT:-.*}" "$work/formats" | grep -vx vvfat)
	[ ${#formats[@]} -gt 0 ] || die "$FUZZ_FORMAT is no format"
	seconds=$(($1 / ${#formats[@]}))
	for format in "${formats[@]}"; do
		mkdir "$work/foreign-$format"
		mv "$work/foreign/$format"-* "$work/foreign-$format/" 2> /dev/null
		FUZZ_FORMAT=$format try_seeds foreign $((seconds > 0 ? seconds : 1)) \
			"$work/foreign-$format" "foreign, $format"
	done
}

try_target() {
	local target=$1 seconds

	seconds=$(((${QCOW_FUZZ_SECONDS:-30} * parts[$target] + all_parts - 1) / all_parts))
	if [ "$target" = foreign ]; then
		try_formats "$seconds"
	else
		try_seeds "$target" "$seconds" "$work/seeds" "$target"
	fi
}

sum_parts() {
	local target

	all_parts=0
	for target in "${targets[@]}"; do
		all_parts=$((all_parts + parts[$target]))
	done
}

for word; do
	if [ -n "${parts[$word]:-}" ]; then
		targets+=("$word")
	elif [ -f "$word" ]; then
		inputs+=("$(realpath "$word")")
	else
		die "$word is neither a target (${ALL[*]}) nor a file"
	fi
done
[ ${#targets[@]} -gt 0 ] || targets=("${ALL[@]}")
seed=${QCOW_SEED:-$((1 + SRANDOM % 1000000000))}
echo "fuzz: seed $seed"
build
make_work
sum_parts
try_broken
for target in "${targets[@]}"; do
	for input in "${inputs[@]}"; do
		try_input "$target" "$input"
	done
	[ ${#inputs[@]} -gt 0 ] || try_target "$target"
done
summary fuzz
