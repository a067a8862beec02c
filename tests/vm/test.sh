#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# test.sh KERNEL: reads images of every kind through the driver in a guest with
# that kernel, and compares with the content that QEMU reads. Ends in
# "vmtest KERNEL: N passed, N failed".
#
# QCOW_ONLY=GLOB   only cases whose name matches
# QCOW_SEED=1,2    seeds of the random images (1 unless given)
# QCOW_COUNT=N     random images of each seed (90 unless given)
# QCOW_READ=N      how many of them are read; on the newest kernel all unless
#                  given, on others a third. Counts unless QCOW_ONLY is given.
# QCOW_LONG=1      every case that is no image also on other kernels than the newest,
#                  which share them unless given
# QCOW_MUTANTS=N, QCOW_STORM=SECONDS, QCOW_CPUS=N: as much as is good for the
#                  kernel unless given
set -euo pipefail
shopt -s inherit_errexit
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"

[ $# -eq 1 ] || die "usage: test.sh 6.1|6.12|7"
kernel=$1
: "${QCOW_SEED:=1}" "${QCOW_COUNT:=90}" "${QCOW_ONLY:=*}" "${QCOW_LONG:=}"
# Cases that depend on the image or on chance are tried most on the newest kernel.
if [ "$kernel" = 7 ]; then
	: "${QCOW_READ:=$QCOW_COUNT}" "${QCOW_MUTANTS:=500}" "${QCOW_STORM:=6}" "${QCOW_CPUS:=2}"
else
	: "${QCOW_READ:=$((QCOW_COUNT / 3))}" "${QCOW_MUTANTS:=300}" "${QCOW_STORM:=5}" "${QCOW_CPUS:=1}"
fi
GUEST_SECONDS=1500
manifests=(cross crafted damage crypt refuse)

# make_images: prints the folder with the images' disk and the manifests. Its name is
# made of all that decides on its content.
make_images() {
	local id images

	id=$({ cat "$here"/images/*.py; qemu-img --version
	       echo "$QCOW_SEED $QCOW_COUNT"; } | sha256sum | cut -c1-16)
	image_folder "$id"
	if [ ! -f "$images/disk" ]; then
		rm -rf "${images:?}"/*
		say "making images in $images"
		PYTHONDONTWRITEBYTECODE=1 "$here/images/make.py" "$images" "$QCOW_SEED" \
			"$QCOW_COUNT" >&2
		make_disk "$images"
		rm -rf "$images/images"
	fi
	echo "$images"
}

make_disk() {
	local size

	size=$(du -sm "$1/images" | cut -f1)
	rm -f "$1/disk.new"
	truncate -s $((size * 5 / 4 + 64))M "$1/disk.new"
	mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=0 -m 0 -N 20000 \
		-d "$1/images" "$1/disk.new"
	mv "$1/disk.new" "$1/disk"
}

# A few of the encrypted images are enough for other kernels than the newest.
crypt_some='crypt-(aes-256-xts-plain64|aes-128-cbc-essiv.*|serpent-256.*|twofish-256.*|kind-luks-512|kind-v1|chain-3)'

# wanted NAME: is no random image of too high a number.
wanted() {
	[ "$QCOW_ONLY" = '*' ] || return 0
	if [ "$kernel" != 7 ] && [[ $1 == crypt-* ]]; then
		[[ $1 =~ ^$crypt_some$ ]]
		return
	fi
	[[ ! $1 =~ ^(cross|crafted)-[0-9]+-([0-9]+)$ ]] ||
		[ "$((10#${BASH_REMATCH[2]}))" -lt "$QCOW_READ" ]
}

# share: of lines, those for this kernel.
share() {
	case ${QCOW_LONG:+all}$QCOW_ONLY$kernel in
	'*6.1')		sed -n 'p;n' ;;
	'*6.12')	sed -n 'n;p' ;;
	*)		cat ;;
	esac
}

# make_plan: writes the guest's work to $out: each manifest with only the cases asked
# for, and the names of all cases.
make_plan() {
	local manifest name

	: > "$out/plan"
	cp "$images/subset" "$images/flat" "$out"
	for manifest in "${manifests[@]}"; do
		[ -f "$images/$manifest" ] || continue
		while IFS= read -r line; do
			name=${line%%$'\t'*}
			# shellcheck disable=SC2053
			[[ $name == $QCOW_ONLY ]] && wanted "$name" && echo "$line"
		done < "$images/$manifest" > "$out/$manifest" || true
		cut -f1 "$out/$manifest" >> "$out/plan"
	done
	sed -n 's/^case_\([a-z0-9_]*\)() {$/\1/p' "$here"/guest/[0-9]*.sh | tr _ - | share |
		while read -r name; do
			# shellcheck disable=SC2053
			[[ $name != $QCOW_ONLY ]] || echo "$name"
		done >> "$out/plan"
	[ "$(sort "$out/plan" | uniq -d)" = "" ] || die "two cases have one name"
	[ -s "$out/plan" ] || die "no case matches $QCOW_ONLY"
}

# judge: compares the results with the plan.
judge() {
	local planned passed

	touch "$out/results"
	sed -n 's/^ok //p' "$out/results" | sort -u |
		comm -12 - <(sort "$out/plan") > "$out/passed"
	planned=$(wc -l < "$out/plan")
	passed=$(wc -l < "$out/passed")
	grep -v '^ok ' "$out/results" | head -n 60 || true
	comm -23 <(sort "$out/plan") "$out/passed" > "$out/failed"
	while read -r name; do
		grep -q "^not ok $name:" "$out/results" || echo "did not run: $name"
	done < "$out/failed" | sed -n '1,10p; 11s/.*/and more did not run/p'
	head -n 10 "$out/failed" | while read -r name; do
		echo "again: QCOW_SEED=$QCOW_SEED QCOW_COUNT=$QCOW_COUNT QCOW_ONLY='$name' tests/vm/test.sh $kernel"
	done
	failed=$((planned - passed + $(grep -c '^not ok nothing' "$out/results" || true)))
	passed_count=$passed
}

QCOW_MODULE=$("$here/../lib/build.sh" "$kernel" | tail -n1)/qcow.ko
make -s -C "$QCOW_TOP/userspace" >&2
QCOW_BUILT=$QCOW_CACHE/build/qcowtest
make -s -C "$here/guest" BUILD="$QCOW_BUILT" >&2
images=$(make_images)
out=$(mktemp -d "${TMPDIR:-/tmp}/qcow-vmtest-XXXXXX")
trap 'rm -rf "$out"' EXIT
make_plan
export QCOW_MODULE QCOW_BUILT QCOW_TOP QCOW_SEED QCOW_MUTANTS QCOW_STORM

# The guest writes to its disks.
disks=("$out/images")
cp --sparse=always --reflink=auto "$images/disk" "$out/images"
for name in b c d; do
	truncate -s 1G "$out/disk-$name"
	disks+=("$out/disk-$name")
done
status=0
# shellcheck disable=SC2046
"$here/run.sh" -k "$kernel" -c "$QCOW_CPUS" -t $GUEST_SECONDS -b oops=panic -o "$out" \
	$(printf -- '-d %s ' "${disks[@]}") "$here/guest/main.sh" || status=$?
judge
if [ $status -ne 0 ] || [ "$failed" -ne 0 ]; then
	mkdir -p "$QCOW_CACHE/runs"
	cp "$out/kernel.log" "$QCOW_CACHE/runs/vmtest-$kernel.log" || true
	cp "$out/results" "$QCOW_CACHE/runs/vmtest-$kernel.results" || true
	say "the kernel log is $QCOW_CACHE/runs/vmtest-$kernel.log"
fi
if [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then
	failed=1
fi
echo "vmtest $kernel: $passed_count passed, $failed failed"
[ "$failed" -eq 0 ]
