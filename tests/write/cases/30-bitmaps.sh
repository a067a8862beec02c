# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Persistent dirty bitmaps: the driver keeps QEMU's, and QEMU reads the driver's.

# dirty IMAGE BITMAP: prints QEMU's view of it, lines of "start length"
dirty() {
	local socket=$PWD/nbd.sock pid

	rm -f "$socket" nbd.pid
	qemu-nbd -r -t --fork -f qcow2 -B "$2" -k "$socket" --pid-file="$PWD/nbd.pid" "$1" >&2 ||
		fail "QEMU does not show $2 of $1"
	qemu-img map --output=json --image-opts \
		"driver=nbd,server.type=unix,server.path=$socket,x-dirty-bitmap=qemu:dirty-bitmap:$2" |
		jq -r '.[] | select(.data | not) | "\(.start) \(.length)"'
	pid=$(cat nbd.pid)
	kill "$pid"
	while [ -d "/proc/$pid" ] && ! grep -qs '^State:.Z' "/proc/$pid/status"; do
		sleep 0.02
	done
}

# ours IMAGE BITMAP: prints qcowctl's view of it
ours() {
	qcowctl map --bitmap "$2" --json "$1" |
		jq -r '.[] | select(.dirty) | "\(.start) \(.length)"'
}

# flags IMAGE BITMAP: as QEMU lists them, sorted
flags() {
	qemu-img info --output=json "$1" | jq -r --arg name "$2" '
		."format-specific".data.bitmaps[]? | select(.name == $name) |
		.flags | sort | join(" ")'
}

# names IMAGE: of its bitmaps
names() {
	qemu-img info --output=json "$1" | jq -r '."format-specific".data.bitmaps[]?.name' | xargs
}

# --- QEMU's bitmaps ---

# The same is done by QEMU and by us; granularities, clusters, a data file.
bitmap_images="large small sub data"

make_bitmap_kept() {
	local name g

	create large 64M -o cluster_size=64k
	create small 3000k -o cluster_size=512
	create sub 64M -o cluster_size=64k,extended_l2=on
	create data 64M -o cluster_size=4k,data_file=data.raw
	for name in $bitmap_images; do
		fill $name.qcow2 'write -P 1 128k 300k'
		for g in 512 4k 64k 1M 2G; do
			qemu-img bitmap --add -g $g $name.qcow2 g$g
		done
		qemu-img bitmap --add $name.qcow2 off
		fill $name.qcow2 'write -P 2 100k 1k'
		qemu-img bitmap --disable $name.qcow2 off
		cp $name.qcow2 $name-qemu.qcow2
		[ $name != data ] || cp data.raw data-qemu.raw
	done
	qemu-img amend -f qcow2 -o data_file=data-qemu.raw data-qemu.qcow2
	for name in $bitmap_images; do
		fill $name-qemu.qcow2 'write -P 3 130k 512' 'write -P 4 1M 70k' \
			'write -z 1536k 3k' 'write -P 5 2048k 512k' 'write -P 6 2999k 1k'
	done
}

case_bitmap_kept() {
	local name

	for name in $bitmap_images; do
		attach $name.qcow2
		operate "$dev" 'write 130k 512 3' 'write 1024k 70k 4' 'zero 1536k 3k' \
			'write 2048k 512k 5' 'fua 2999k 1k 6'
		ours "$dev" g4k > $name.live
		detach
		ours $name.qcow2 g4k > $name.stored
	done
}

after_bitmap_kept() {
	local name g

	for name in $bitmap_images; do
		check $name.qcow2
		for g in g512 g4k g64k g1M g2G off; do
			dirty $name-qemu.qcow2 $g > expected
			dirty $name.qcow2 $g > got
			diff expected got || fail "$name: $g"
		done
		is auto "$(flags $name.qcow2 g512)"
		is "" "$(flags $name.qcow2 off)"
		dirty $name.qcow2 g4k | diff - $name.live
		diff $name.live $name.stored
		# QEMU goes on with it.
		fill $name.qcow2 'write 900k 1k'
		grep -q '^921600 1024$' <(dirty $name.qcow2 g512) || fail "$name: QEMU"
		check $name.qcow2
	done
}

# --- The driver's bitmaps ---

make_bitmap_made() {
	create base 16M
	fill base.qcow2 'write -P 1 0 16M'
	create image 16M -o cluster_size=4k -b base.qcow2 -F qcow2
	create plain 16M
}

case_bitmap_made() {
	attach image.qcow2
	qcowctl bitmap add "$dev" first
	qcowctl bitmap add -g 4K "$dev" second
	qcowctl bitmap add -g 1M "$dev" gone
	operate "$dev" 'write 1m 4k 2' 'discard 2m 64k' 'punch 3m 4k'
	qcowctl bitmap disable "$dev" second
	qcowctl bitmap remove "$dev" gone
	qcowctl bitmap list "$dev" | tee list
	is "65536 3" "$(qcowctl map --bitmap first "$dev" |
		awk 'NR > 1 { n++; most = $2 > most ? $2 : most } END { print most, n }')"
	operate "$dev" 'write 4m 4k 3'
	qcowctl bitmap clear "$dev" first
	operate "$dev" 'write 5m 4k 4'
	detach
	# Not attached
	qcowctl bitmap add plain.qcow2 one
	qcowctl bitmap add plain.qcow2 two
	qcowctl bitmap remove plain.qcow2 one
	qcowctl bitmap disable plain.qcow2 two
	qcowctl bitmap list -J plain.qcow2 | tee plain.json
	is '[{"dirty-bytes":0,"flags":[],"granularity":65536,"name":"two"}]' "$(jq -c . plain.json)"
	qcowctl bitmap add image.qcow2 third
	# The last one goes.
	qcowctl bitmap remove plain.qcow2 two
	is '[]' "$(qcowctl bitmap list -J plain.qcow2 | jq -c .)"
}

after_bitmap_made() {
	check image.qcow2 plain.qcow2
	is "first second third" "$(names image.qcow2)"
	is auto "$(flags image.qcow2 first)"
	is "" "$(flags image.qcow2 second)"
	is "5242880 65536" "$(dirty image.qcow2 first)"
	is "1048576 4096 2097152 65536 3145728 4096" "$(dirty image.qcow2 second | xargs)"
	is "" "$(dirty image.qcow2 third)"
	is "" "$(names plain.qcow2)"
	is base.qcow2 "$(qemu-img info --output=json image.qcow2 | jq -r '."backing-filename"')"
	holds qcow2 image.qcow2 'read -P 2 1M 4k' 'read -P 1 6M 4k'
	qemu-img bitmap --remove image.qcow2 second
	qemu-img bitmap --clear image.qcow2 first
	check image.qcow2
}

# --- The power fails ---

make_bitmap_cut() {
	create image 16M
	qemu-img bitmap --add image.qcow2 kept
	qemu-img bitmap --add image.qcow2 off
	fill image.qcow2 'write 0 64k'
	qemu-img bitmap --disable image.qcow2 off
}

# A copy of the file while it is attached is the image that a power cut leaves.
case_bitmap_cut() {
	attach image.qcow2
	operate "$dev" 'write 1m 64k 1' flush
	cp image.qcow2 cut.qcow2
	refuses 'inconsistent' qcowctl map --bitmap kept cut.qcow2
	detach
	# It is left alone, and can be removed.
	cp cut.qcow2 again.qcow2
	attach again.qcow2
	operate "$dev" 'write 2m 64k 1'
	refuses 'inconsistent.*removed' qcowctl bitmap clear "$dev" kept
	refuses 'inconsistent' qcowctl map --bitmap kept "$dev"
	qcowctl bitmap list "$dev" | grep ' inconsistent *kept'
	detach
	cp again.qcow2 removed.qcow2
	qcowctl bitmap remove removed.qcow2 kept
}

after_bitmap_cut() {
	check_leaks cut.qcow2 again.qcow2
	check image.qcow2
	is "auto in-use" "$(flags cut.qcow2 kept)"
	is "auto in-use" "$(flags again.qcow2 kept)"
	is auto "$(flags image.qcow2 kept)"
	is "" "$(flags cut.qcow2 off)"
	is "0 65536" "$(dirty cut.qcow2 off)"
	is "0 65536 1048576 65536" "$(dirty image.qcow2 kept | xargs)"
	is off "$(names removed.qcow2)"
	check_leaks removed.qcow2
}

# --- An incremental backup ---

make_bitmap_backup() {
	create image 64M
	fill image.qcow2 'write -P 1 1M 40M'
	qemu-img bitmap --add -g 4k image.qcow2 backup
}

case_bitmap_backup() {
	local i

	attach image.qcow2
	dd if="$dev" of=copy.raw bs=1M status=none
	for i in 1 2 3; do
		operate "$dev" "write ${i}m 5k $i" "write $((i * 9))m 123k 7" \
			"discard $((i * 5))m 100k" "zero $((i * 6))m 9k"
		qcowctl map --bitmap backup "$dev" > map
		[ "$(awk 'NR > 1 { n += $2 } END { print n }' map)" -lt 400000 ] ||
			fail "too much is dirty"
		while read -r start length; do
			dd if="$dev" of=copy.raw bs=4k iflag=skip_bytes,count_bytes \
				oflag=seek_bytes conv=notrunc status=none \
				skip="$start" seek="$start" count="$length"
		done < <(tail -n +2 map)
		qcowctl bitmap clear "$dev" backup
		same_content copy.raw "$dev"
		sleep 0.1
	done
	detach
}

# --- Refusals ---

make_bitmap_refused() {
	create old 16M -o compat=0.10
	truncate -s 1M plain.raw
	create image 16M
	qemu-img bitmap --add image.qcow2 one
	create damaged 16M
	qemu-img bitmap --add damaged.qcow2 one
	craft damaged.qcow2 'set_header(bitmaps() + 16, 1, 2)'
}

case_bitmap_refused() {
	attach old.qcow2
	refuses 'older than qcow2 version 3' qcowctl bitmap add "$dev" name
	detach
	refuses 'older than qcow2 version 3' qcowctl bitmap add old.qcow2 name
	attach -f raw plain.raw
	refuses 'raw image' qcowctl bitmap add "$dev" name
	detach
	attach -r image.qcow2
	refuses 'writable' qcowctl bitmap add "$dev" two
	qcowctl bitmap list "$dev" | grep enabled
	detach
	attach image.qcow2
	refuses 'already' qcowctl bitmap add "$dev" one
	refuses 'no bitmap of that name' qcowctl bitmap remove "$dev" two
	refuses 'no bitmap of that name' qcowctl map --bitmap two "$dev"
	refuses 'power of two' qcowctl bitmap add -g 3K "$dev" two
	refuses 'power of two' qcowctl bitmap add -g 256 "$dev" two
	refuses 'power of two' qcowctl bitmap add -g 4G "$dev" two
	refuses '1 to 1023 bytes' qcowctl bitmap add "$dev" "$(printf %01024d 0)"
	qcowctl bitmap add "$dev" "$(printf %01023d 0)"
	refuses 'takes list' qcowctl bitmap frob "$dev" two
	detach
	# As before there were bitmaps: they become invalid.
	refuses 'damaged' qcowctl bitmap list damaged.qcow2
	attach damaged.qcow2
	is "" "$(qcowctl bitmap list "$dev")"
	detach
}

after_bitmap_refused() {
	check image.qcow2 old.qcow2
	is 0 "$(od -An -tu1 -j95 -N1 damaged.qcow2 | xargs)"
}
