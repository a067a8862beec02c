#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# aged.sh: prints the name of a folder with an ext4 of 1 GiB whose space is that of a filesystem
# long in use: three quarters are files, and the rest is some thousand holes of 4 KiB to 1 MiB
# between them, where files were deleted. Made once; the same at every making.
#
#	data	the filesystem's metadata, piece after piece
#	map	lines "OFFSET LENGTH", in blocks of 4 KiB: where the pieces belong
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"

uuid=6d1cbbee-7a2c-4c45-9f5b-3c6ab0d1ea12

# make_files: files of which every one to be deleted is named d*, in the order of their
# places. Sizes are spread evenly over their logarithms.
make_files() {
	python3 - <<-'EOF2'
		import os, random
		rng = random.Random(1)
		blocks, number, text = 0, 0, b"aged" * (1 << 18)
		while blocks < 248000:
		    size = int(2 ** rng.uniform(0, 8))
		    number += 1
		    folder = f"{number // 200:03}"
		    os.makedirs(folder, exist_ok=True)
		    kind = "d" if rng.random() < 0.25 else "k"
		    with open(f"{folder}/{number:05}{kind}", "wb") as out:
		        out.write(text[:size << 12])
		    blocks += size
	EOF2
}

# take_pieces: the metadata, without the blocks of files
take_pieces() {
	python3 - "$work/meta" "$folder.new" <<-'EOF2'
		import sys
		gap, zero = 32, bytes(4096)
		pieces = []
		with open(sys.argv[1], "rb") as disk:
		    block = 0
		    while data := disk.read(4096):
		        if data != zero:
		            if pieces and block - pieces[-1][1] <= gap:
		                pieces[-1][1] = block + 1
		            else:
		                pieces.append([block, block + 1])
		        block += 1
		    with open(sys.argv[2] + "/data", "wb") as out, open(sys.argv[2] + "/map", "w") as places:
		        for start, end in pieces:
		            disk.seek(start << 12)
		            out.write(disk.read((end - start) << 12))
		            print(start, end - start, file=places)
	EOF2
}

make_aged() {
	work=$(mktemp -d "$QCOW_CACHE/bench/work.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mkdir "$work/files"
	(cd "$work/files" && make_files)
	find "$work/files" -exec touch -d @1 {} +
	truncate -s 1G "$work/disk"
	E2FSPROGS_FAKE_TIME=1 mke2fs -q -t ext4 -b 4096 -O ^resize_inode -m 0 -U "$uuid" \
		-E "hash_seed=$uuid,lazy_itable_init=0" -d "$work/files" "$work/disk"
	(cd "$work/files" && find . -name '*d' | sort | sed 's/^/rm /') |
		E2FSPROGS_FAKE_TIME=1 debugfs -w -f - "$work/disk" > /dev/null 2>&1
	e2fsck -fn "$work/disk" > /dev/null 2>&1 || die "the aged filesystem is damaged"
	e2image -r "$work/disk" "$work/meta" 2> /dev/null
	rm -rf "$QCOW_CACHE"/bench/aged-*
	mkdir "$folder.new"
	take_pieces
	mv "$folder.new" "$folder"
}

folder=$QCOW_CACHE/bench/aged-$(sha256sum < "$here/aged.sh" | cut -c1-12)
if [ ! -d "$folder" ]; then
	mkdir -p "$QCOW_CACHE/bench"
	only_one bench-aged
	[ -d "$folder" ] || make_aged
fi
echo "$folder"
