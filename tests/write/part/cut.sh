# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Part cut: dm-log-writes records the writes to disks with images. After a power cut at
# any point of the record, no flushed write may be lost, no sector may hold data that
# was never written there, and the images must be sound. guest/cut.c writes, and
# host/cut.c looks at the result.
#
# All disks are pieces of one, $work/cut/disk, as are their records of
# $work/cut/log.

CUT_DISK_MB=64
CUT_LOG_MB=8192

# name, cluster size, MiB, first content, options of qemu-img create, and the changes
# that are made while it is written, see guest/change.c
#	empty: nothing	base: data	backing: a backing file with data, and data
#	snapshot: data, all of it in a snapshot too	compressed: data
#	ext4: nothing; a filesystem is written to
cut_kinds='
ext4       65536 48 ext4       compat=1.1
plain      65536 24 empty      compat=1.1
small      4096  24 base       compat=1.1 bitmap
old        4096  16 backing    compat=0.10
snapshot   65536 16 snapshot   compat=1.1
cow        4096  8  snapshot   compat=1.1 snapshot
sub        65536 16 backing    compat=1.1,extended_l2=on stream
subsnap    16384 8  snapshot   compat=1.1,extended_l2=on snapshot
packed     4096  8  compressed compat=1.1
packedzstd 32768 8  compressed compat=1.1,compression_type=zstd
tiny       512   4  empty      compat=1.1,refcount_bits=64
bits       1024  4  base       compat=1.1,refcount_bits=1
lazy       16384 16 base       compat=1.1,lazy_refcounts=on
large      1048576 24 backing  compat=1.1
resize     4096  6  backing    compat=1.1 size
resizeold  512   2  base       compat=0.10 size
'

# Those that are enough for a quick look
cut_quick_kinds='ext4|cow|sub|tiny|resize'

# Ways a driver may be wrong; each is made in the record, and has to be found
cut_ways='no-flush no-data no-refcounts no-l2 misplaced'

# cut_fill GEN MIB FILE
cut_fill() {
	"$QCOW_BUILT/qcowcut" fill "$QCOW_SEED" "$1" $(($2 * 2048)) "$3"
}

# cut_content CONTENT MIB: makes files with the first content of an image and of its
# backing file; prints arguments for qemu-img convert.
cut_content() {
	truncate -s "$2M" base.raw
	case $1 in
	base|snapshot|compressed)
		cut_fill 2 "$2" base.raw ;;
	backing)
		# The image is longer than its backing file.
		cut_fill 1 $(($2 * 3 / 4)) backing.raw
		cp backing.raw base.raw
		truncate -s "$2M" base.raw
		cut_fill 2 $(($2 / 4)) base.raw
		echo "-B backing.raw -F raw" ;;
	esac
	[ "$1" != compressed ] || echo -c
}

# cut_make_kind NUMBER NAME CLUSTER MIB CONTENT OPTIONS [CHANGES]
cut_make_kind() {
	local number=$1 name=$2 convert=()

	mkdir "$work/cut/$name"
	(
		cd "$work/cut/$name" || exit
		read -ra convert < <(cut_content "$5" "$4") || true
		qemu-img convert -q -f raw -O qcow2 -o "$6,cluster_size=$3" \
			"${convert[@]}" base.raw image
		[ "$5" != snapshot ] || qemu-img snapshot -c first image
		cp image disk0
		truncate -s "${CUT_DISK_MB}M" disk0
		dd if=image of=../disk bs=1M seek=$((number * CUT_DISK_MB)) \
			conv=notrunc,sparse status=none
		rm image
	)
	echo "$name $3 $((number * CUT_DISK_MB)) $((number * CUT_LOG_MB)) ${7:--}" >> "$work/cut/kinds"
	plan "cut-$name"
	cut_plan_ways "$name"
}

# The filesystem's writes are no oracle of ours; lazy refcounts may be wrong.
cut_plan_ways() {
	local way

	for way in $cut_ways; do
		case $1-$way in
		ext4-*|lazy-no-refcounts) continue ;;
		esac
		plan "cut-$1-$way"
	done
}

cut_make() {
	local name rest number=0

	mkdir "$work/cut"
	: > "$work/cut/kinds"
	truncate -s $(($(wc -l <<< "$cut_kinds") * CUT_DISK_MB))M "$work/cut/disk"
	while read -r name rest; do
		if [ -z "$name" ] || ! wanted "cut-$name"; then
			continue
		fi
		[ -z "$QCOW_QUICK" ] || [[ $name =~ ^($cut_quick_kinds)$ ]] || continue
		# shellcheck disable=SC2086
		cut_make_kind $number "$name" $rest
		number=$((number + 1))
	done <<< "$cut_kinds"
	truncate -s $((number * CUT_LOG_MB + 1))M "$work/cut/log"
}

# cut_replay NAME POINTS ARGUMENTS...
cut_replay() {
	local name=$1 dir=$work/cut/$1 args=(-p "$2") log

	shift 2
	log=$(awk -v name="$name" '$1 == name { print $4 }' "$work/cut/kinds")
	[ "$QCOW_TARGET" != nbd ] || args+=(-q)
	if [ -f "$dir/backing.raw" ]; then
		args+=(-b "$dir/backing.raw")
	fi
	if [ -f "$dir/journal" ]; then
		args+=(-j "$dir/journal" -o "$dir/base.raw")
	else
		args+=(-f "$write_here/fsck.sh $dir/files")
	fi
	"$QCOW_BUILT/qcowcut" replay -d "$dir/disk0" -l "$work/cut/log" -L "$log" \
		-s "$QCOW_SEED" "${args[@]}" "$@"
}

# cut_judge_kind NAME POINTS: leaves its results in the folder of the kind.
cut_judge_kind() {
	local name=$1 dir=$work/cut/$1 way

	mkdir "$dir/shown"
	[ ! -f "$dir/backing.raw" ] || ln "$dir/backing.raw" "$dir/shown/backing.raw"
	grep -qx "$name" "$work/cut/written" || return 0
	if cut_replay "$name" "$2" -c "$QCOW_SAMPLE" -k 1 -w "$dir/shown" > "$dir/replayed" 2>&1; then
		echo "ok cut-$name" > "$dir/results"
	else
		echo "not ok cut-$name: $(head -n 3 "$dir/replayed" | tr '\n' ' ')" > "$dir/results"
	fi
	for way in $cut_ways; do
		grep -qx "cut-$name-$way" "$work/plan" || continue
		if cut_replay "$name" 4000 -1 -x "$way" > "$dir/broken-$way" 2>&1; then
			echo "not ok cut-$name-$way: it was not found out" >> "$dir/results"
		else
			echo "ok cut-$name-$way" >> "$dir/results"
		fi
	done
	rm -f "$dir"/shown/sample*
}

# Two at a time
cut_judge() {
	local name share total=0

	[ -s "$work/cut/kinds" ] || return 0
	touch "$work/cut/written"
	share=$(((QCOW_POINTS - 1) / $(wc -l < "$work/cut/kinds") + 1))
	while read -r name _; do
		while [ "$(jobs -rp | wc -l)" -ge 2 ]; do
			wait -n
		done
		cut_judge_kind "$name" $share &
	done < "$work/cut/kinds"
	wait
	while read -r name _; do
		[ -f "$work/cut/$name/results" ] || continue
		echo "$name: $(tail -n 1 "$work/cut/$name/replayed")"
		cat "$work/cut/$name/results" >> "$work/results"
		total=$((total + $(sed -n '$s/ points.*//p' "$work/cut/$name/replayed")))
	done < "$work/cut/kinds"
	echo "power cuts looked at: $total"
}
