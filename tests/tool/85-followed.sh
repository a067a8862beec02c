# SPDX-License-Identifier: GPL-2.0
# Advice for damaged bitmaps, which is followed for each kind of damage.
# shellcheck shell=bash

image bitmaps.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 1 0 64k' bitmaps.qcow2
qemu-img bitmap --add bitmaps.qcow2 b0
qemu-img bitmap --add -g 512 bitmaps.qcow2 b1
qemu-io -f qcow2 -c 'write -q -P 2 0 16k' bitmaps.qcow2
ext=$(peek bitmaps.qcow2 100 4)
while [ "$(peek bitmaps.qcow2 "$ext" 4)" -ne $((0x23852875)) ]; do
	ext=$((ext + 8 + ($(peek bitmaps.qcow2 $((ext + 4)) 4) + 7) / 8 * 8))
done
dir=$(peek bitmaps.qcow2 $((ext + 24)) 8)
table=$(peek bitmaps.qcow2 "$dir" 8)
while read -r what host_offset bytes value; do
	cp bitmaps.qcow2 copy.qcow2
	poke copy.qcow2 "$host_offset" "$bytes" "$value"
	expect "followed: $what" refuses "its bitmaps are damaged; restore it from a copy, or give them up: attach the image, and write to it" \
		qcowctl check copy.qcow2
	# The driver clears the feature bit with the first write.
	poke copy.qcow2 88 8 0
	expect "followed: $what: given up" exits 3 "leaked" qcowctl check copy.qcow2
	expect "followed: $what: removed" exits 0 "leaked" qcowctl check --repair=leaks copy.qcow2
	expect "followed: $what: clean" accepts qcowctl check copy.qcow2
done <<END
number $((ext + 8)) 4 9
number-0 $((ext + 8)) 4 0
directory-bytes $((ext + 16)) 8 24
directory-place $((ext + 24)) 8 $((dir + 512))
table-place $dir 8 $((table + 512))
table-entries $((dir + 8)) 4 77
flags $((dir + 12)) 4 0x80
type $((dir + 16)) 1 7
granularity $((dir + 17)) 1 3
name $((dir + 18)) 2 0
bits-place $table 8 0x1201
END
cp bitmaps.qcow2 copy.qcow2
poke copy.qcow2 $((ext + 4)) 4 20
expect "followed: the extension's length" refuses "damaged header: the length of its extension for bitmaps is wrong; restore it from a copy" \
	qcowctl check copy.qcow2
