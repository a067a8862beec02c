# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# qcow version 1: what images drawn at random do not show.

# v1_craft FILE CLUSTER_BITS L2_BITS: of 4 MiB, clusters and tables at any sector
v1_craft() {
	/usr/bin/python3 -B - "$@" <<-'END'
	import random
	import struct
	import sys
	import zlib

	name, bits, l2_bits = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
	rng = random.Random(name)
	size, cluster, covered = 4 << 20, 1 << bits, 1 << (bits + l2_bits)
	entries = -(-size // covered)
	head = struct.pack(">IIQIIQBBHIQ", 0x514649fb, 1, 0, 0, 0, size, bits, l2_bits,
	                   0, 0, 48)
	body = bytearray(head + bytes(entries * 8))

	def place(data, unit=512):
	    body.extend(bytes(-len(body) % unit + 512 * rng.randrange(3)))
	    body.extend(data)
	    return len(body) - len(data)

	def put(at, value):
	    body[at:at + 8] = struct.pack(">Q", value)

	for i in range(entries):
	    table = place(bytes(8 << l2_bits))
	    put(48 + 8 * i, table)
	    for j in range(min(1 << l2_bits, size - i * covered >> bits)):
	        data = (b"%d %d. " % (i, j) * cluster)[:cluster]
	        packer = zlib.compressobj(9, 8, -12)
	        packed = packer.compress(data) + packer.flush()
	        kind = rng.randrange(4)
	        if kind == 0 and len(packed) < cluster:
	            body += bytes(rng.randrange(5))
	            put(table + 8 * j, 1 << 63 | len(packed) << (63 - bits) | len(body))
	            body += packed
	        elif kind < 3:
	            put(table + 8 * j, place(data))
	with open(name, "wb") as f:
	    f.write(body)
	END
}

make_v1_geometry() {
	local bits l2_bits

	for bits in 9 10 12 14 16; do
		for l2_bits in 6 9 13; do
			v1_craft $bits-$l2_bits.qcow $bits $l2_bits
			qemu-img convert -f qcow -O raw $bits-$l2_bits.qcow $bits-$l2_bits.raw
		done
	done
}

# Everything is read; then a third of the sectors is written, in place and not.
case_v1_geometry() {
	local image model n

	for image in *.qcow; do
		model=${image%.qcow}.raw
		attach "$image"
		cmp "$dev" "$model" || fail "$image: other bytes"
		is 0 "$(cat "/sys/block/${dev#/dev/}/queue/discard_max_bytes")"
		for n in $(seq 40); do
			n=$((n * 7919 % 8000))
			for file in "$dev" "$model"; do
				head -c $((n % 5 * 4096 + 512)) /dev/zero | tr '\0' "\\$((n % 8))" |
					dd of="$file" bs=512 seek=$n conv=notrunc iflag=fullblock status=none
			done
		done
		fallocate -z -o 1M -l 100k "$dev"
		fallocate -z -o 1M -l 100k "$model"
		cmp "$dev" "$model" || fail "$image: other bytes than were written"
		detach
	done
}

after_v1_geometry() {
	local image

	for image in *.qcow; do
		qemu-img compare -f qcow -F raw "$image" "${image%.qcow}.raw" ||
			fail "QEMU reads other bytes in $image"
	done
}

make_v1_damage() {
	v1_craft good.qcow 12 9
}

# Entries at random: each is refused, or read, or fails; QEMU fails wherever we do
# not read what it reads.
case_v1_damage() {
	local n

	for n in $(seq 40); do
		cp good.qcow bad.qcow
		/usr/bin/python3 -B - bad.qcow "$n" <<-'END'
		import random
		import sys

		rng = random.Random(sys.argv[2])
		with open(sys.argv[1], "r+b") as f:
		    for _ in range(rng.randrange(1, 30)):
		        f.seek(rng.choice([rng.randrange(64), 48 + 8 * rng.randrange(2),
		                           512 + rng.randrange(6000)]))
		        f.write(rng.randbytes(rng.choice([1, 2, 8])))
		END
		dev=$(qcowctl attach bad.qcow 2> err) || dev=$(qcowctl attach -r bad.qcow 2> err) || {
			grep -q '^qcowctl: bad.qcow: ' err || fail "$(cat err)"
			continue
		}
		dd if="$dev" of=/dev/null bs=64k conv=noerror status=none 2> /dev/null || true
		[ "$(blockdev --getro "$dev")" = 1 ] ||
			dd if=/dev/urandom of="$dev" bs=4k count=200 oflag=direct status=none 2> /dev/null || true
		qcowctl detach "$dev" 2> /dev/null || true
	done
}

after_v1_damage() {
	:
}

make_v1_refused() {
	qemu-img create -q -f qcow image.qcow 4M
	qemu-io -f qcow -c 'write -q -P 7 0 64k' image.qcow
	qemu-img create -q -f qcow --object secret,id=s,data=x \
		-o encrypt.format=aes,encrypt.key-secret=s secret.qcow 1M
	truncate -s 8M disk
	dd if=image.qcow of=disk conv=notrunc status=none
}

case_v1_refused() {
	local loop

	refuses 'encrypted \(AES\)' qcowctl attach secret.qcow
	loop=$(losetup -f --show disk)
	refuses 'on a block device; attach it read-only' qcowctl attach -f qcow "$loop"
	attach -r -f qcow "$loop"
	operate "$dev" 'read 0 64k 7' 'read 64k 64k 0'
	detach
	losetup -d "$loop"
	attach image.qcow
	refuses 'version 1, whose size cannot be changed' qcowctl resize "$dev" 8M
	refuses . blkdiscard "$dev"
	operate "$dev" 'read 0 64k 7'
	detach
}

after_v1_refused() {
	:
}
