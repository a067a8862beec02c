# SPDX-License-Identifier: GPL-2.0
# Malformed headers. shellcheck shell=bash

# offset, bytes, value, message; of an image of 64 MiB, version 3
while IFS='|' read -r offset bytes value said; do
	[ -n "$offset" ] || continue
	image bad.qcow2
	poke bad.qcow2 "$offset" "$bytes" "$value"
	for command in "attach" "info" "info --chain" "attach -f qcow2"; do
		# Without magic or version, info sees a raw image.
		[ "$offset $value" = "4 0" ] || [ "$offset" = 0 ] &&
			[[ $command == info* ]] && continue
		# shellcheck disable=SC2086
		expect "header: $offset = $value: $command" refuses "bad.qcow2: .*$said" \
			qcowctl $command bad.qcow2
	done
done <<'END'
0|4|0x514649fc|not a qcow2 image
0|4|0|-f raw
4|4|0|version 0 is not supported
4|4|1|(cluster size 2.0|qcow version 1)
4|4|4|version 4 is not supported
4|4|0xffffffff|version 4294967295 is not supported
8|8|0x10001|outside the first cluster
8|8|0xffffffffffffff00|outside the first cluster
20|4|8|cluster size 2\^8 is out of range
20|4|22|cluster size 2\^22 is out of range
20|4|0|out of range
20|4|63|out of range
20|4|0xffffffff|out of range
24|8|0x8000000000000000|too (large|small)
24|8|0xffffffffffffffff|too (large|small)
24|8|0x7fffffffffffffff|too small
24|8|0x20000001|L1 table of 1 entries is too small
32|4|3|encryption method 3 is not supported
32|4|0xffffffff|encryption method
36|4|0|too small
36|4|4194305|L1 table is too large
36|4|0xffffffff|L1 table is too large
40|8|0x30001|L1 table .*not cluster-aligned
40|8|0x30200|L1 table .*not cluster-aligned
40|8|0x100000000|L1 table .*past its end
40|8|0x7fffffffffff0000|L1 table .*past its end
40|8|0x8000000000000000|L1 table .*out of range
40|8|0xffffffffffff0000|L1 table .*out of range
48|8|0x10001|refcount table .*not cluster-aligned
48|8|0x7fffffffffff0000|refcount table
48|8|0xffffffffffff0000|refcount table .*out of range
48|8|0x100000000|refcount table .*past its end
56|4|0|no refcount table; repair it with qcowctl check --repair=all
56|4|129|refcount table is too large
56|4|0xffffffff|refcount table is too large
60|4|65537|too many snapshots
60|4|0xffffffff|too many snapshots
60|4|0x10000000|too many snapshots
64|8|1|snapshot table .*not cluster-aligned
64|8|0x12345|snapshot table .*not cluster-aligned
64|8|0xffffffffffff0000|snapshot table .*out of range
72|8|0x20|unsupported incompatible features: unknown \(bit 5\)
72|8|0x8000000000000000|bit 63
72|8|0xffffffffffffffe0|bit 5.*bit 6
72|8|8|compression type 0 and its .* disagree
96|4|7|refcount order 7
96|4|0xffffffff|refcount order
100|4|0|length 0 is below 104
100|4|103|length 103 is below 104
100|4|0x10001|exceeds the cluster size
100|4|0xffffffff|exceeds the cluster size
104|1|1|compression type 1 and its .* disagree
104|1|128|compression type 128 is not supported
104|1|255|compression type 255 is not supported
END

# A feature's name comes from the image, and may be anything.
image bad.qcow2
poke bad.qcow2 72 8 0x20
python3 - <<'END'
data = bytearray(open("bad.qcow2", "rb").read())
at = data.index(bytes.fromhex("6803f857"))
data[at + 8:at + 56] = bytes([0, 5]) + b"evil\x1b[2Jname\n".ljust(46, b"\0")
open("bad.qcow2", "wb").write(data)
END
expect "header: a feature's name" refuses 'evil\?\[2Jname\? \(bit 5\)' qcowctl info bad.qcow2

# Sizes of extensions and of the backing file's name.
image bad.qcow2
at=$(peek bad.qcow2 100 4)
poke bad.qcow2 $((at + 4)) 4 0xfffffff8
expect "header: extension too large" refuses "extension .* too large" qcowctl info bad.qcow2
poke bad.qcow2 $((at + 4)) 4 65536
expect "header: extension past the cluster" refuses "extension .* too large" qcowctl info bad.qcow2
for length in 1024 65535 0xffffffff; do
	image bad.qcow2
	poke bad.qcow2 8 8 0x400
	poke bad.qcow2 16 4 $length
	expect "header: backing name of $length bytes" refuses "name of .* too long" \
		qcowctl info bad.qcow2
done
image bad.qcow2
poke bad.qcow2 8 8 0x10000
poke bad.qcow2 16 4 1
expect "header: backing name behind the cluster" refuses "too long" qcowctl info bad.qcow2
image bad.qcow2
poke bad.qcow2 8 8 0x400
poke bad.qcow2 16 4 10
expect "header: backing name of NULs" refuses "NUL byte" qcowctl info bad.qcow2
image bad.qcow2
poke bad.qcow2 8 8 8
poke bad.qcow2 16 4 4
expect "header: backing name inside the header" refuses "inside the header" qcowctl info bad.qcow2

# Extended L2 entries, a data file with snapshots.
image bad.qcow2 -o cluster_size=4k
poke bad.qcow2 72 8 0x10
expect "header: extended L2 with small clusters" refuses "16 KiB" qcowctl info bad.qcow2
image bad.qcow2
poke bad.qcow2 72 8 4
expect "header: data file bit, no name" refuses "does not name it" qcowctl attach bad.qcow2
expect "header: data file bit, no name: info" accepts qcowctl info bad.qcow2
poke bad.qcow2 60 4 1
expect "header: data file and snapshots" refuses "exclude each other" qcowctl info bad.qcow2

# Files too short to hold a header.
image good.qcow2
for length in 0 1 3 4 7 8 23 24 71 72 103 104 111; do
	head -c $length good.qcow2 >short.qcow2
	expect "header: file of $length bytes" refuses "short.qcow2: .*(too short|truncated|not a qcow2)" \
		qcowctl attach short.qcow2
done

# Odd but valid images.
for options in compat=0.10 compat=1.1,lazy_refcounts=on cluster_size=512 \
	cluster_size=2M refcount_bits=1 refcount_bits=64 extended_l2=on \
	compression_type=zstd data_file=data.raw; do
	image odd.qcow2 -o $options
	expect "header: $options" accepts qcowctl info odd.qcow2
done
image odd.qcow2
poke odd.qcow2 24 8 67108863
run qcowctl info --json odd.qcow2
expect "header: size is rounded down" has '"virtual-size": 67108352' out
image odd.qcow2
poke odd.qcow2 16 4 77
expect "header: backing length without an offset" accepts qcowctl info odd.qcow2
poke odd.qcow2 88 8 0xff00
expect "header: unknown autoclear features" accepts qcowctl info odd.qcow2
poke odd.qcow2 80 8 0xff00
expect "header: unknown compatible features" accepts qcowctl info odd.qcow2
image odd.qcow2
poke odd.qcow2 72 8 3
expect "header: dirty and corrupt" accepts qcowctl info odd.qcow2
expect "header: dirty" has "cleanly shut down: no" out
expect "header: corrupt" has "corrupt: true" out
