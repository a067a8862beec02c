# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Part small: a second guest. Images as a power cut left them, of part cut, are
# attached and written again. Then all memory but 256 MB is taken away: swap and a
# dirty filesystem are on the driver while memory is short, and nothing may hang
# or be lost.

# small_again NAME CLUSTER IMAGE: one more image for diff
small_again() {
	local name=$1 dir=$work/tree/again/$1

	plan "$name"
	mkdir -p "$dir"
	cp --sparse=always "$3" "$dir/image"
	cp --sparse=always "$3.raw" "$dir/model"
	[ ! -f "${3%/*}/backing.raw" ] || cp --sparse=always "${3%/*}/backing.raw" "$dir"
	printf '%s\t%s/image\t%s/model\t-\t%d\t%d\n' "$name" "$name" "$name" "$2" \
		$((QCOW_SEED + $(wc -l < "$work/diff.manifest"))) >> "$work/diff.manifest"
}

# Those that judging kept
small_cut_images() {
	local name cluster image

	while read -r name cluster _; do
		for image in "$work/cut/$name/shown"/keep-[0-9]; do
			[ -f "$image.raw" ] || continue
			small_again "again-$name-${image##*-}" "$cluster" "$image"
		done
	done < "$work/cut/kinds"
}

small_make() {
	rm -rf "$work/tree" "$work"/diff.*
	mkdir "$work/tree" "$work/tree/memory"
	: > "$work/diff.manifest"
	: > "$work/parts"
	if [ -s "$work/cut/kinds" ]; then
		small_cut_images
	fi
	if [ -s "$work/diff.manifest" ]; then
		echo again >> "$work/parts"
		/usr/bin/python3 -B "$write_here/verify.py" --facts "$work/tree/again" \
			> "$work/diff.facts"
	fi
	if wanted memory; then
		echo memory >> "$work/parts"
		plan memory
		qemu-img create -q -f qcow2 "$work/tree/memory/files.qcow2" 512M
	fi
}

small_judge() {
	if [ -s "$work/diff.manifest" ]; then
		touch "$work/diff.results"
		/usr/bin/python3 -B "$write_here/verify.py" --leaks "$work/tree/again" \
			"$work/diff.facts" > "$work/diff.verdicts"
		judge_twice "$work/diff.results" "$work/diff.verdicts"
	fi
	if wanted memory; then
		small_judge_memory
	fi
}

small_judge_memory() {
	local image out opened

	grep -qx 'ok memory' "$work/memory.results" 2> /dev/null || return 0
	for image in swap files; do
		opened=driver=qcow2,file.filename=$work/tree/memory/$image.qcow2
		! grep -q '^encrypted: yes' <(qemu-img info -f qcow2 "$work/tree/memory/$image.qcow2") ||
			opened+=,encrypt.key-secret=s
		if ! out=$(qemu-img check --object secret,id=s,data=secret --image-opts "$opened" 2>&1); then
			bad memory "qemu-img check of $image: $(tail -n 3 <<< "$out")"
		fi
	done
	good memory
}

small_run() {
	small_make
	[ -s "$work/parts" ] || return 0
	cp "$work/kernel.log" "$work/kernel-1.log" 2> /dev/null || true
	make_tree_disk
	run_guest "$kernel" -m 768M -t $((300 + QCOW_MEMORY_SECONDS)) \
		-d "$work/disk" "$write_here/guest/main.sh" || guest_failed
	unpack_tree
	small_judge
}
