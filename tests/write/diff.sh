#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# diff.sh KERNEL [COUNT]: writes, zeroes, discards and flushes at random in
# images of every kind, 100 unless told, through the driver in a guest with that
# kernel; then QEMU has to find the same content in them and no fault. Ends in
# "write-diff KERNEL: N passed, N failed".
#
# TARGET=nbd       qemu-nbd in place of the driver, to try the test itself
# QCOW_SEED=N      of everything drawn at random (1 unless given)
# QCOW_ONLY=GLOB   only images whose name matches
# QCOW_STEPS=N     operations on each image (60 unless given)
set -euo pipefail
shopt -s inherit_errexit
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"
. "$here/lib.sh"

[ $# -ge 1 ] && [ $# -le 2 ] || die "usage: diff.sh 6.1|6.12|7 [COUNT]"
kernel=$1
work=
count=${2:-100}
: "${QCOW_SEED:=1}" "${QCOW_ONLY:=*}" "${QCOW_STEPS:=60}"
export QCOW_SEED QCOW_ONLY QCOW_STEPS

# make_images: prints the folder with them, made once.
make_images() {
	local id dir

	id=$({ cat "$here"/images.py "$here"/../vm/images/{common,cross,qcow2}.py
	       qemu-img --version; echo "$QCOW_SEED $count"; } | sha256sum | cut -c1-16)
	dir=$QCOW_CACHE/images/write-$id
	only_one "images-write-$id"
	if [ ! -f "$dir/facts" ]; then
		rm -rf "$dir"
		mkdir -p "$dir"
		say "making images in $dir"
		/usr/bin/python3 "$here/images.py" "$dir" "$QCOW_SEED" "$count" >&2
	fi
	echo "$dir"
}

# make_plan: the manifest and facts of the images asked for, and the names
make_plan() {
	local line name

	while IFS= read -r line; do
		name=${line%%$'\t'*}
		# shellcheck disable=SC2053
		[[ $name == $QCOW_ONLY ]] && echo "$line"
	done < "$images/manifest" > "$work/manifest" || true
	cut -f1 "$work/manifest" | sort > "$work/plan"
	[ -s "$work/plan" ] || die "no image matches $QCOW_ONLY"
	cp "$images/facts" "$work/facts"
}

make_disk() {
	local size

	size=$(du -sm --apparent-size "$images/images" | cut -f1)
	truncate -s $((size * 3 + 1024))M "$work/disk"
	mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=0 -m 0 -N 20000 \
		-d "$images/images" "$work/disk"
}

# The images as the guest left them
unpack_disk() {
	local status=0

	e2fsck -fn "$work/disk" > "$work/fsck" 2>&1 || status=$?
	[ $status -eq 0 ] || cat "$work/fsck"
	mkdir "$work/images"
	debugfs -R "rdump / $work/images" "$work/disk" > /dev/null 2>&1
	rm -f "$work/disk"
}

# An image passes if the guest and the host say so.
judge() {
	grep -hv '^ok ' "$work/results" "$work/verdicts" | head -n 40 || true
	sort <(sed -n 's/^ok //p' "$work/results") \
		<(sed -n 's/^ok //p' "$work/verdicts") | uniq -d > "$work/passed"
	passed=$(wc -l < "$work/passed")
	failed=$(($(wc -l < "$work/plan") - passed))
	comm -23 "$work/plan" <(sort "$work/passed") | head -n 5 | while read -r name; do
		grep -hq "^not ok $name:" "$work/results" "$work/verdicts" ||
			echo "did not run: $name"
		echo "again: TARGET=$QCOW_TARGET QCOW_SEED=$QCOW_SEED QCOW_STEPS=$QCOW_STEPS" \
			"QCOW_ONLY='$name' tests/write/diff.sh $kernel $count"
	done
}

build_all "$kernel"
images=$(make_images)
work_folder
make_plan
make_disk
status=0
: > "$work/results"
run_guest "$kernel" diff.sh -t $((120 + count * 8)) -d "$work/disk" || status=$?
unpack_disk
/usr/bin/python3 "$here/verify.py" "$work/images" "$work/facts" > "$work/verdicts"
judge
if [ $status -ne 0 ] && [ $failed -eq 0 ]; then
	failed=1
fi
[ $failed -eq 0 ] || keep_work
finish write-diff "$kernel" "$passed" $failed
