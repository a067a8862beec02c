#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# seeds.sh FOLDER: makes small images of every kind in FOLDER/seeds, and in FOLDER/files
# the backing and data files that they name.
set -euo pipefail
here=$(realpath "$(dirname "$0")")

# image NAME SIZE [qemu-img create arguments...]
image() {
	local name=$1 size=$2

	shift 2
	qemu-img create -q -f qcow2 "$@" "$name" "$size"
}

# write IMAGE COMMAND...: of qemu-io
write() {
	local image=$1 words=() command

	for command in "${@:2}"; do
		words+=(-c "$command")
	done
	qemu-io -f qcow2 "${words[@]}" "$image" > /dev/null
}

# A disk of 64 KiB with data, zeros, compressed clusters and holes
fill() {
	write "$1" 'write -q -P 1 0 3k' 'write -q -P 2 32k 1k' 'write -q -c -P 3 8k 2k' \
		'write -q -z 40k 2k' 'write -q -z -u 32k 512' "${@:2}"
}

make_bases() {
	truncate -s 48k base.raw
	image base.qcow2 48k -o cluster_size=512
	write base.qcow2 'write -q -P 4 1k 2k'
}

make_plain() {
	image plain 64k -o cluster_size=512
	fill plain
	image empty 64k -o cluster_size=512
	image wide 64k -o cluster_size=4096,refcount_bits=64,lazy_refcounts=on
	write wide 'write -q 0 12k' 'write -q -c -P 3 16k 4k' 'write -q -z 40k 4k'
	image bits1 64k -o cluster_size=512,refcount_bits=1
	write bits1 'write -q 0 4k'
	image bits8 64k -o cluster_size=1024,refcount_bits=8
	fill bits8
	image old 64k -o cluster_size=512,compat=0.10
	write old 'write -q 0 3k' 'write -q -c -P 3 8k 2k'
	image zstd 64k -o cluster_size=512,compression_type=zstd
	fill zstd
	image prealloc 16k -o cluster_size=512,preallocation=metadata
}

make_chained() {
	image backed 64k -o cluster_size=512 -b base.raw -F raw
	fill backed
	image chain 64k -o cluster_size=512 -b base.qcow2 -F qcow2
	write chain 'write -q -z 0 1k' 'write -q -P 5 2k 1k'
	image data 64k -o cluster_size=512,data_file=data.raw
	write data 'write -q 0 3k' 'write -q -z 40k 2k'
	image rawdata 64k -o cluster_size=512,data_file=raw.raw,data_file_raw=on
}

make_extended() {
	image extended 512k -o cluster_size=16k,extended_l2=on
	write extended 'write -q 0 1k' 'write -q -z 2k 1k' 'write -q -P 3 100k 4k'
	# The data itself is not looked at.
	truncate -s 64k extended
}

make_snapshots() {
	local compat

	for compat in 0.10 1.1; do
		image snap-$compat 32k -o cluster_size=512,compat=$compat
		write snap-$compat 'write -q -P 1 0 2k'
		qemu-img snapshot -c one snap-$compat
		write snap-$compat 'write -q -P 2 1k 2k'
		qemu-img snapshot -c 'two words' snap-$compat
		write snap-$compat 'write -q -P 3 0 512'
	done
}

make_bitmaps() {
	image bitmaps 64k -o cluster_size=512
	qemu-img bitmap --add -g 512 bitmaps b0
	write bitmaps 'write -q -P 1 0 5k' 'write -q -P 1 60k 1k'
	qemu-img bitmap --add bitmaps b1
	qemu-img bitmap --add --disable bitmaps b2
	cp bitmaps stale
	craft stale 'set_header(88, 8, 0)'
}

craft() {
	python3 "$here/../write/craft.py" "$@"
}

# Damaged in ways that are repaired
make_damaged() {
	cp plain leaky
	craft leaky 'refcount[9] = 3'
	cp plain low
	craft low 'refcount[6] = 0' 'l2e[0] &= ~COPIED'
	cp plain dirty
	craft dirty 'set_header(72, 8, 1)'
	cp plain corrupt
	craft corrupt 'set_header(72, 8, 2)' 'l2e[1] = l2e[0]'
	cp plain lost-table
	craft lost-table 'set_header(48, 8, 0)' 'set_header(56, 4, 0)'
	cp plain luks
	craft luks 'set_header(32, 4, 2)' \
		'extension(0x0537be77, (0x1000).to_bytes(8, "big") + (512).to_bytes(8, "big"))'
}

make_others() {
	qemu-img create -q -f qcow v1 32k
	qemu-io -f qcow -c 'write -q 0 4k' -c 'write -q 16k 8k' v1 > /dev/null
	qemu-img create -q -f qcow -b base.raw -F raw v1-backed 32k
	head -c 2048 /dev/zero > raw
	printf 'KDMV' | cat - raw > vmdk
}

rm -rf "$1/seeds" "$1/files"
mkdir -p "$1/seeds" "$1/files"
cd "$1/seeds"
make_bases
make_plain
make_chained
make_extended
make_snapshots
make_bitmaps
make_damaged
make_others
mv base.raw base.qcow2 data.raw raw.raw ../files/
