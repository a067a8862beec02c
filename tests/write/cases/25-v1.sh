# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# qcow version 1: what images drawn at random do not show.

# v1_craft FILE CLUSTER_BITS L2_BITS: of 1 MiB, clusters and tables at any sector
v1_craft() {
	/usr/bin/python3 -B - "$@" <<-'END'
	import random
	import struct
	import sys
	import zlib

	name, bits, l2_bits = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
	rng = random.Random(name)
	size, cluster, covered = 1 << 20, 1 << bits, 1 << (bits + l2_bits)
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
	local geometry n

	for geometry in 9-6 9-13 10-9 12-9 14-6 16-13; do
		v1_craft $geometry.qcow ${geometry%-*} ${geometry#*-}
		qemu-img convert -f qcow -O raw $geometry.qcow $geometry.raw
	done
	for n in $(seq 60); do
		echo "write $((n * 7919 % 1900 * 512)) $((n % 5 * 4096 + 512)) $((n % 250 + 1))"
	done > ops
}

# Everything is read; then much of it is written, in place and not.
case_v1_geometry() {
	local image ops

	mapfile -t ops < ops
	for image in *.qcow; do
		attach "$image"
		cmp "$dev" "${image%.qcow}.raw" || fail "$image: other bytes"
		is 0 "$(cat "/sys/block/${dev#/dev/}/queue/discard_max_bytes")"
		operate "$dev" "${ops[@]}" flush 'zero 256k 20k'
		detach
	done
}

after_v1_geometry() {
	local image args=() op

	while read -r op; do
		# shellcheck disable=SC2086
		set -- $op
		args+=(-c "write -q -P $4 $2 $3")
	done < ops
	args+=(-c 'write -q -P 0 256k 20k')
	for image in *.qcow; do
		qemu-io -f raw "${args[@]}" "${image%.qcow}.raw"
		qemu-img compare -f qcow -F raw "$image" "${image%.qcow}.raw" ||
			fail "QEMU reads other bytes in $image"
	done
}

make_v1_damage() {
	v1_craft good.qcow 12 9
	/usr/bin/python3 -B - <<-'END'
	import random

	rng = random.Random("damage")
	good = open("good.qcow", "rb").read()
	for n in range(60):
	    bad = bytearray(good)
	    for _ in range(rng.randrange(1, 30)):
	        at = rng.choice([rng.randrange(64), 48, 512 + rng.randrange(6000),
	                         512 + 8 * rng.randrange(512)])
	        some = rng.randbytes(rng.choice([1, 2, 8]))
	        bad[at:at + len(some)] = some
	    with open("bad%d.qcow" % n, "wb") as f:
	        f.write(bad)
	END
}

# Whatever there is, it is refused, fails, or is read and written; and it ends.
case_v1_damage() {
	local image option

	for image in bad*.qcow; do
		for option in '' -r; do
			# shellcheck disable=SC2086
			dev=$(qcowctl attach $option "$image" 2> err) || {
				grep -q "^qcowctl: $image: " err || fail "$(cat err)"
				continue
			}
			dd if="$dev" of=/dev/null bs=16k conv=noerror status=none 2> /dev/null || true
			[ -n "$option" ] || dd if=/dev/zero of="$dev" bs=4k count=100 seek=20 \
				conv=fsync status=none 2> /dev/null || true
			qcowctl detach "$dev" 2> /dev/null || true
		done
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
