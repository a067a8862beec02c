# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Part diff: images of every kind, written at random. See images.py, which makes
# them, guest/diff.c, which writes, and verify.py, which looks at the result.

# Prints the folder with them, made once.
diff_images() {
	local id images

	id=$({ cat "$write_here"/images.py "$QCOW_TOP"/tests/vm/images/{common,cross,encrypted,qcow2}.py
	       qemu-img --version; echo "$QCOW_SEED $QCOW_COUNT"; } | sha256sum | cut -c1-16)
	image_folder "write-$QCOW_SEED-$id"
	if [ ! -f "$images/facts" ]; then
		rm -rf "${images:?}"/*
		say "making images in $images"
		PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$write_here/images.py" \
			"$images" "$QCOW_SEED" "$QCOW_COUNT" >&2
	fi
	echo "$images"
}

diff_make() {
	local images line name

	images=$(diff_images)
	mkdir "$work/tree/diff"
	: > "$work/diff.manifest"
	while IFS= read -r line; do
		name=${line%%$'\t'*}
		wanted "$name" || continue
		echo "$line" >> "$work/diff.manifest"
		plan "$name"
		cp -r --sparse=always --reflink=auto "$images/images/$name" "$work/tree/diff"
	done < "$images/manifest"
	cp "$images/facts" "$work/diff.facts"
}

# An image is good if the guest and the host say so.
diff_judge() {
	touch "$work/diff.results"
	PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$write_here/verify.py" \
		"$work/tree/diff" "$work/diff.facts" > "$work/diff.verdicts"
	judge_twice "$work/diff.results" "$work/diff.verdicts"
}

# judge_twice FILE FILE: passes the names that are ok in both
judge_twice() {
	cat "$1" "$2" | grep '^not ok' >> "$work/results" || true
	sort <(grep '^ok' "$1") <(grep '^ok' "$2") | uniq -d >> "$work/results"
}
