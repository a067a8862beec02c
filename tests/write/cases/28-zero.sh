# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Zeros and discards that cover a part of a cluster, or a device that begins inside of
# a cluster.

# Of a cluster of 64 KiB each: data; zeros; a hole; data at the begin, at the end, in the
# middle; the end of the backing file at 416 KiB; nothing behind it.
zero_base='write -P 1 0 64k;write -z 64k 64k;write -P 1 192k 4k;write -P 1 316k 4k
write -P 1 340k 4k;write -P 1 384k 8k'

# The operations: of qemu-io, and of "operate". The disk ends inside of its last cluster.
zero_steps='zero 4k 8k;zero 68k 4k;zero 128k 60k;zero 192k 4k;zero 256k 32k;zero 340k 8k
zero 400k 4k;zero 480k 512;zero 544k 96k;write 704k 64k 2;zero 704k 64k;zero 708k 4k
write 768k 64k 2;zero 768k 64k;punch 772k 4k;write 832k 64k 2;punch 836k 4k
zero 966k 1k;zero 1028k 4k'

# qemu_words: the same for qemu-io
qemu_words() {
	tr ';' '\n' <<< "$zero_steps" | sed -E \
		's/^zero (.*)/write -z \1/; s/^punch (.*)/write -z -u \1/
		 s/^write ([0-9]+k) ([0-9]+k) 2/write -P 2 \1 \2/'
}

# make_pair NAME SIZE ARGUMENTS...: NAME.qcow2, and NAME-by-qemu.qcow2 as QEMU writes it
make_pair() {
	local name=$1 size=$2 words

	shift 2
	create "$name" "$size" "$@"
	cp "$name.qcow2" "$name-by-qemu.qcow2"
	mapfile -t words < <(qemu_words)
	fill "$name-by-qemu.qcow2" "${words[@]}"
}

make_zero_partial() {
	local words

	create base 416k -o cluster_size=4k
	mapfile -t words < <(tr ';' '\n' <<< "$zero_base")
	fill base.qcow2 "${words[@]}"
	make_pair v3 1032k -b base.qcow2 -F qcow2
	make_pair extended 1032k -b base.qcow2 -F qcow2 -o extended_l2=on,cluster_size=64k
	make_pair v2 1032k -b base.qcow2 -F qcow2 -o compat=0.10
	make_pair alone 1032k
	make_pair v2-alone 1032k -o compat=0.10
	# A raw backing file, made in the guest: copying fills holes.
	touch sparse.raw
	create over-raw 1M -b sparse.raw -F raw
	create discarded 1M -b base.qcow2 -F qcow2
}

# Entries tell that clusters are zeros, and no space is taken for them, as QEMU does it.
case_zero_partial() {
	local name words

	truncate -s 1M sparse.raw
	printf data | dd of=sparse.raw bs=64k seek=2 conv=notrunc status=none
	mapfile -t words < <(tr ';' '\n' <<< "$zero_steps")
	for name in v3 extended v2 alone v2-alone; do
		attach $name.qcow2
		operate "$dev" "${words[@]}" flush
		detach
	done
	attach over-raw.qcow2
	operate "$dev" 'zero 4k 8k' 'zero 132k 4k' 'zero 960k 512' 'read 4k 8k 0' flush
	detach
	attach discarded.qcow2
	operate "$dev" 'discard 68k 4k' 'discard 132k 4k' 'discard 4k 8k' 'read 4k 8k 1' flush
	detach
}

# tells IMAGE: its map, without the places in the file: neighbours are joined that are
# of the same image, and the same otherwise. A hole over nothing is zeros.
tells() {
	qemu-img map -f qcow2 --output=json "$1" | jq -c 'reduce .[] as $e ([];
		($e | [.depth, .zero, .data]) as $kind |
		if length > 0 and .[-1][1:] == $kind then . else . + [[$e.start] + $kind] end)'
}

# own IMAGE TYPE: where the image itself has data, or zeros by an entry
own() {
	qemu-img map -f qcow2 --output=json "$1" |
		jq -r "[.[] | select(.depth == 0 and .present and .$2) | \"\(.start / 1024)+\(.length / 1024)\"] | join(\" \")"
}

after_zero_partial() {
	local name

	for name in v3 extended v2 alone v2-alone; do
		qemu-img check -q -f qcow2 $name.qcow2 || fail "check: $name"
		qemu-img compare -f qcow2 -F qcow2 $name.qcow2 $name-by-qemu.qcow2 ||
			fail "$name differs"
		is "$(tells $name-by-qemu.qcow2)" "$(tells $name.qcow2)"
	done
	check over-raw.qcow2 discarded.qcow2
	is '128+64' "$(own over-raw.qcow2 data)"
	is '0+64 960+64' "$(own over-raw.qcow2 zero)"
	is '' "$(own discarded.qcow2 data)"
	is '64+128' "$(own discarded.qcow2 zero)"
}

make_offset_discard() {
	local name

	for name in whole pieces trimmed; do
		create $name 16M -o cluster_size=64k
		fill $name.qcow2 'write -P 5 0 16M'
	done
	create large 3G -o cluster_size=2M
	fill large.qcow2 'write -P 5 1020M 8M' 'write -P 5 2044M 8M'
}

# A device that begins inside of a cluster gives back all whole clusters that are
# discarded, however the requests are cut.
case_offset_discard() {
	attach whole.qcow2 --offset 36864
	blkdiscard "$dev"
	detach
	# Requests of 512 KiB, where each end is inside of a cluster if it is not aligned
	attach pieces.qcow2 --offset 512
	echo $((512 << 10)) > "/sys/block/${dev#/dev/}/queue/discard_max_bytes"
	blkdiscard -o $((1 << 20)) -l $((8 << 20)) "$dev"
	detach
	# Requests have at most 1 GiB.
	attach large.qcow2 --offset 1M
	blkdiscard "$dev"
	detach
	attach trimmed.qcow2 --offset $((1048576 + 512))
	printf 'label: dos\nstart=8, type=83\n' | sfdisk -q "$dev"
	blockdev --rereadpt "$dev" 2> /dev/null || true
	until [ -b "${dev}p1" ]; do pause 0.05; done
	# Since Linux 5.19 the attribute of a whole disk shows something else.
	is $((65536 - 512 - 4096)) "$(cat "/sys/class/block/${dev#/dev/}p1/discard_alignment")"
	mkfs.ext4 -q -O ^has_journal -E nodiscard "${dev}p1"
	mkdir -p "$HERE/mnt"
	mount "${dev}p1" "$HERE/mnt"
	fstrim "$HERE/mnt"
	umount "$HERE/mnt"
	detach
}

after_offset_discard() {
	check whole.qcow2 pieces.qcow2 large.qcow2 trimmed.qcow2
	is '0+64' "$(own whole.qcow2 data)"
	# Whole clusters in [1 MiB + 512, 9 MiB + 512)
	is '0+1088 9216+7168' "$(own pieces.qcow2 data)"
	is '' "$(own large.qcow2 data)"
	[ "$(qemu-img map -f qcow2 --output=json trimmed.qcow2 |
		jq '[.[] | select(.data) | .length] | add')" -lt $((4 << 20)) ] ||
		fail "fstrim gave nothing back: $(own trimmed.qcow2 data)"
}
