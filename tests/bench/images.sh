#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# images.sh [-s]: prints the name of an ext4 file system with the images that the
# benchmark reads and writes, and some room. Made once; the same at every making but for file times.
# With -s it is a small one with the images "flat" and "empty" alone: a guest boots sooner.
#
#	flat.raw, flat.qcow2	32 MiB of text, every cluster there
#	zlib.qcow2, zstd.qcow2	the same, compressed
#	luks.qcow2		the same, encrypted with LUKS, aes-xts-plain64; its
#				passphrase is "bench", its key is not the same at
#				every making
#	chain[0-3].qcow2	the same, each layer holding every fourth cluster
#	cold.raw, cold.qcow2	64 GiB with one 4 KiB block in every 64 MiB, so
#				that each lies under metadata of its own
#	empty.raw, empty.qcow2	512 MiB of nothing
#	overlay.qcow2		nothing, over flat.qcow2
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"

size=$((32 << 20))
cluster=$((64 << 10))
cold_size=$((64 << 30))
uuid=6d1cbbee-7a2c-4c45-9f5b-3c6ab0d1ea10
cold_step=$((64 << 20))
empty_size=$((512 << 20))
room=$((128 << 20))	# for what the benchmark writes

# Text that compresses about as well as text does
make_text() {
	python3 - "$size" <<-'EOF'
		import random, sys
		size = int(sys.argv[1])
		rng = random.Random(1)
		letters = "etaoinshrdlucmfwypvbgkjqxz"
		words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(6000)]
		weights = [1 / (i + 1) for i in range(len(words))]
		text = bytearray()
		while len(text) < size:
		    line = " ".join(rng.choices(words, weights, k=4096))
		    text += line.encode() + b"\n"
		sys.stdout.buffer.write(text[:size])
	EOF
}

# QEMU measures how fast it can hash, and fails if it was given no tick meanwhile.
make_luks() {
	local i

	for ((i = 0; i < 100; i++)); do
		! qemu-img convert -q -f raw -O qcow2 --object secret,id=k,data=bench \
			-o encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10 \
			flat.raw luks.qcow2 2> /dev/null || return 0
	done
	die "luks.qcow2 cannot be made"
}

# Cluster n is written in layer n % 4.
make_chain() {
	local layer n pieces=$((size / cluster)) backing=()

	split -a 4 -d -b "$cluster" flat.raw piece.
	for layer in 0 1 2 3; do
		qemu-img create -q -f qcow2 "${backing[@]}" "chain$layer.qcow2" "$size"
		for ((n = layer; n < pieces; n += 4)); do
			printf 'write -q -s piece.%04d %d %d\n' "$n" $((n * cluster)) "$cluster"
		done | qemu-io -f qcow2 "chain$layer.qcow2" > /dev/null
		backing=(-F qcow2 -b "chain$layer.qcow2")
	done
	rm piece.*
	qemu-img compare -q flat.raw "chain3.qcow2"
}

# make_cold FORMAT
make_cold() {
	local offset

	qemu-img create -q -f "$1" "cold.$1" "$cold_size"
	for ((offset = 0; offset < cold_size; offset += cold_step)); do
		echo "write -q -P 90 $offset 4k"
	done | qemu-io -f "$1" "cold.$1" > /dev/null
}

make_images() {
	make_text > flat.raw
	qemu-img convert -q -f raw -O qcow2 flat.raw flat.qcow2
	qemu-img convert -q -f raw -O qcow2 -c flat.raw zlib.qcow2
	qemu-img convert -q -f raw -O qcow2 -c -o compression_type=zstd flat.raw zstd.qcow2
	make_luks
	make_chain
	make_cold raw
	make_cold qcow2
	truncate -s "$empty_size" empty.raw
	qemu-img create -q -f qcow2 empty.qcow2 "$empty_size"
	qemu-img create -q -f qcow2 -F qcow2 -b flat.qcow2 overlay.qcow2
}

# The filesystem gets the size of the files and of the free space.
make_disk() {
	local work kib

	work=$(mktemp -d "$QCOW_CACHE/bench/work.XXXXXX")
	# shellcheck disable=SC2064 # the name of now
	trap "rm -rf $work" EXIT
	(mkdir "$work/files" && cd "$work/files" && make_images)
	sync -f "$work" # so that holes are known as such
	kib=$(du -sk "$work/files" | cut -f1)
	truncate -s $((kib + kib / 16 + 16384 + (room >> 10)))K "$work/disk"
	find "$work/files" -exec touch -d @1 {} +
	E2FSPROGS_FAKE_TIME=1 mke2fs -q -t ext4 -b 4096 -O ^resize_inode -m 0 \
		-U "$uuid" -E "hash_seed=$uuid,lazy_itable_init=0" \
		-d "$work/files" "$work/disk"
	rm -f "$QCOW_CACHE"/bench/disk-*
	mv "$work/disk" "$disk"
}

make_small() {
	local work name

	work=$(mktemp -d "$QCOW_CACHE/bench/work.XXXXXX")
	# shellcheck disable=SC2064 # the name of now
	trap "rm -rf $work" EXIT
	mkdir "$work/files"
	for name in flat.raw flat.qcow2 empty.qcow2; do
		debugfs -R "dump /$name $work/files/$name" "$disk" 2> /dev/null
	done
	truncate -s "$empty_size" "$work/files/empty.raw"
	find "$work/files" -exec touch -d @1 {} +
	truncate -s 96M "$work/disk"
	E2FSPROGS_FAKE_TIME=1 mke2fs -q -t ext4 -b 4096 -O ^resize_inode -m 0 \
		-U "$uuid" -E "hash_seed=$uuid,lazy_itable_init=0" \
		-d "$work/files" "$work/disk"
	mv "$work/disk" "$disk.small"
}

disk=$QCOW_CACHE/bench/disk-$(sha256sum < "$here/images.sh" | cut -c1-12)
if [ ! -f "$disk" ]; then
	mkdir -p "$QCOW_CACHE/bench"
	only_one bench-images
	[ -f "$disk" ] || make_disk
fi
if [ "${1:-}" = -s ] && [ ! -f "$disk.small" ]; then
	only_one bench-images-small
	[ -f "$disk.small" ] || make_small
fi
echo "$disk${1:+.small}"
