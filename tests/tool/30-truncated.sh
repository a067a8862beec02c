# SPDX-License-Identifier: GPL-2.0
# Files cut short: refused if data is gone, taken if not. shellcheck shell=bash

fake_root

cut_at()
{
	head -c "$2" "$1" >cut.qcow2
}

length_of()
{
	stat -c %s "$1"
}

cluster_of()
{
	echo $((1 << $(peek "$1" 20 4)))
}

for options in cluster_size=64k cluster_size=512 cluster_size=4k \
	cluster_size=2M compat=0.10 refcount_bits=1 refcount_bits=2 \
	refcount_bits=4 refcount_bits=8 refcount_bits=32 refcount_bits=64 \
	extended_l2=on,cluster_size=16k compression_type=zstd; do
	image full.qcow2 -o "$options"
	expect "fresh: $options" attaches full.qcow2
	qemu-io -f qcow2 -c 'write -P 1 0 4M' -c 'write -P 2 40M 5000' full.qcow2 >/dev/null
	expect "written: $options" attaches full.qcow2
	length=$(length_of full.qcow2)
	cluster=$(cluster_of full.qcow2)
	for lost in $cluster $((2 * cluster)) $((3 * cluster + 100)) $((length / 2)); do
		cut_at full.qcow2 $((length - lost))
		expect "short by $lost: $options" refuses \
			"cut.qcow2: .*truncated" qcowctl attach cut.qcow2
	done
	cut_at full.qcow2 $((length - 100))
	expect "short by less than a cluster: $options" attaches cut.qcow2
	# Free clusters past the end do no harm.
	truncate -s +1M full.qcow2
	expect "longer than needed: $options" attaches full.qcow2
done

# The line's numbers.
image full.qcow2
qemu-io -f qcow2 -c 'write -P 1 0 4M' full.qcow2 >/dev/null
length=$(length_of full.qcow2)
cut_at full.qcow2 $((length - 65536))
expect "the numbers" refuses "cut.qcow2: file is truncated: $((length - 65536)) bytes, but the image uses $length; restore it from a copy, or attach the rest with -r --salvage" \
	qcowctl attach cut.qcow2

# At every length, down to nothing: refused, and in one line.
for ((n = 0; n < length; n += 65536)); do
	cut_at full.qcow2 "$n"
	expect "cut at $n" refuses "cut.qcow2: .*(truncated|too short)" qcowctl attach cut.qcow2
done

# A leaked cluster past the end.
image leak.qcow2
qemu-io -f qcow2 -c 'write -P 1 0 1M' leak.qcow2 >/dev/null
block=$(peek leak.qcow2 "$(peek leak.qcow2 48 8)" 8)
poke leak.qcow2 $((block + 2 * 1000)) 2 1
expect "a leaked cluster past the end" attaches leak.qcow2

# Zero entries keep their cluster, but nobody reads it.
image zero.qcow2
qemu-io -f qcow2 -c 'write -P 1 0 1M' -c 'write -z 960k 64k' zero.qcow2 >/dev/null
cut_at zero.qcow2 $(($(length_of zero.qcow2) - 65536))
expect "a zero cluster past the end" attaches cut.qcow2

# The last L2 table cut in two: its second half would read as unallocated.
image l2.qcow2
qemu-io -f qcow2 -c 'write -z 0 64M' l2.qcow2 >/dev/null
expect "an L2 table at the end" attaches l2.qcow2
cut_at l2.qcow2 $(($(length_of l2.qcow2) - 4096))
expect "an L2 table at the end, cut" refuses "truncated" qcowctl attach cut.qcow2

# Compressed clusters may end anywhere in the last sector.
dd if=/dev/urandom of=noise bs=1M count=4 status=none
for options in compression_type=zlib compression_type=zstd cluster_size=4k; do
	qemu-img convert -q -c -O qcow2 -o $options noise packed.qcow2
	head -c 4M /dev/zero | tr '\0' x >flat
	qemu-img convert -q -c -O qcow2 -o $options flat packed2.qcow2
	expect "compressed: $options" attaches packed.qcow2
	expect "compressed well: $options" attaches packed2.qcow2
	cut_at packed2.qcow2 $(($(length_of packed2.qcow2) - 200))
	expect "compressed, last sector short: $options" attaches cut.qcow2
	cut_at packed.qcow2 $(($(length_of packed.qcow2) - 3 * 65536))
	expect "compressed, cut: $options" refuses "truncated" qcowctl attach cut.qcow2
done

# Preallocated.
for how in metadata falloc full; do
	image pre.qcow2 -o preallocation=$how
	expect "preallocation=$how" attaches pre.qcow2
done
cut_at pre.qcow2 1M
expect "preallocation=full, cut" refuses "truncated" qcowctl attach cut.qcow2

# Under lazy refcounts a crash leaves refcounts that know nothing.
image lazy.qcow2 -o lazy_refcounts=on
(qemu-io -f qcow2 -c 'write -P 1 0 4M' -c flush -c 'sigraise 9' lazy.qcow2; :) >/dev/null 2>&1
expect "dirty" attaches -r lazy.qcow2
cut_at lazy.qcow2 $(($(length_of lazy.qcow2) - 65536))
expect "dirty, cut" refuses "truncated" qcowctl attach cut.qcow2

# In a chain every image counts.
image base.qcow2
qemu-io -f qcow2 -c 'write -P 1 0 4M' base.qcow2 >/dev/null
image top.qcow2 -b base.qcow2 -F qcow2
expect "chain" attaches top.qcow2
truncate -s -65536 base.qcow2
expect "chain, backing file cut" refuses "base.qcow2: file is truncated" qcowctl attach top.qcow2

# Data files.
image ext.qcow2 -o data_file=ext.raw
expect "data file, nothing in it" attaches ext.qcow2
qemu-io -f qcow2 -c 'write -P 1 0 1M' -c 'write -P 1 8M 1M' ext.qcow2 >/dev/null
expect "data file" attaches ext.qcow2
truncate -s -100 ext.raw
expect "data file short by less than a cluster" attaches ext.qcow2
truncate -s 8M ext.raw
expect "data file cut" refuses "ext.raw: file is truncated: 8388608 bytes" qcowctl attach ext.qcow2
truncate -s 0 ext.raw
expect "data file emptied" refuses "ext.raw: file is truncated: 0 bytes" qcowctl attach ext.qcow2
image ext.qcow2 -o data_file=ext.raw,data_file_raw=on
expect "data_file_raw=on" attaches ext.qcow2

# Damage in the refcounts is not for this test to judge.
image odd.qcow2
qemu-io -f qcow2 -c 'write -P 1 0 1M' odd.qcow2 >/dev/null
poke odd.qcow2 "$(peek odd.qcow2 48 8)" 8 0
expect "an empty refcount table" attaches odd.qcow2
poke odd.qcow2 "$(peek odd.qcow2 48 8)" 8 0x10000000000
expect "a refcount block past the end" attaches odd.qcow2
poke odd.qcow2 "$(peek odd.qcow2 48 8)" 8 0x20001
expect "a reserved bit in the refcount table" attaches odd.qcow2
l1=$(peek odd.qcow2 40 8)
poke odd.qcow2 "$(peek odd.qcow2 48 8)" 8 0x20000
poke odd.qcow2 "$l1" 8 0x12345
expect "an unaligned L2 table" attaches odd.qcow2

# A raw image has no end to lose.
run with_driver qcowctl attach -f raw noise
expect "raw" is "0 /dev/qcow0" "$code $(cat out err)"
