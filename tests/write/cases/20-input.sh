# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Images that must be refused, and files that must stay unwritten.

# --- The errors of any disk ---

# as_any_disk LOOP_ARGUMENTS...: the device has the errors that a loop device
# over an empty file has.
as_any_disk() {
	local loop

	truncate -s "$(blockdev --getsize64 "$dev")" loop.raw
	loop=$(losetup -f --show "$@" loop.raw)
	qcowwrite errors "$loop" > expected
	losetup -d "$loop"
	rm loop.raw
	qcowwrite errors "$dev" > got
	diff expected got || fail "not as a loop device"
}

make_errors() {
	create image 16M
	create odd 5000k
}

case_errors() {
	attach image.qcow2
	as_any_disk
	detach
	attach odd.qcow2
	as_any_disk
	detach
}

make_errors_read_only() {
	create image 16M
	fill image.qcow2 'write -P 5 0 1M'
	remember image.qcow2
}

case_errors_read_only() {
	attach -r image.qcow2
	as_any_disk -r
	detach
}

after_errors_read_only() {
	unchanged
	check image.qcow2
}

# --- A file on a disk with sectors of 4 KiB ---

make_large_sectors() {
	create image 16M -o cluster_size=64k
	create small 4M -o cluster_size=512
	truncate -s 64M disk
}

case_large_sectors() {
	local loop mode

	loop=$(losetup -f --show -b 4096 disk)
	mkfs.ext4 -q -b 4096 "$loop"
	mkdir -p $HERE/mnt
	mount "$loop" $HERE/mnt
	cp ./*.qcow2 $HERE/mnt
	sync -f $HERE/mnt
	echo 1 > /proc/sys/vm/drop_caches
	for mode in auto off; do
		attach --direct-io $mode $HERE/mnt/image.qcow2
		# Direct I/O would look for the pages that the tool has read each time.
		[ $mode = off ] || is 0 "$(fincore -n -o PAGES $HERE/mnt/image.qcow2 | xargs)"
		operate "$dev" 'write 512 512 7' 'read 512 512 7' 'write 1000k 1536 8' \
			'read 1000k 1536 8' 'fua 2m 512 9' 'zero 513k 512' 'write 3m 128k 3' \
			'write 3073k 512 4' 'flush' 'read 3m 1k 3' 'read 3073k 512 4' 'read 0 512 0'
		detach
		attach --direct-io $mode $HERE/mnt/small.qcow2
		operate "$dev" 'write 512 512 7' 'write 1m 1536 8' 'flush' 'read 512 512 7' 'read 1m 1536 8'
		detach
	done
	cp $HERE/mnt/*.qcow2 .
	umount $HERE/mnt
	losetup -d "$loop"
}

after_large_sectors() {
	check image.qcow2 small.qcow2
	holds qcow2 image.qcow2 'read -P 7 512 512' 'read -P 0 0 512' 'read -P 8 1000k 1536' \
		'read -P 9 2M 512' 'read -P 4 3073k 512'
	holds qcow2 small.qcow2 'read -P 7 512 512' 'read -P 8 1M 1536'
}

# --- Files that must stay unwritten ---

make_read_only_stays() {
	qemu-img create -q -f raw below.raw 4M
	create image 8M -b below.raw -F raw
	fill image.qcow2 'write -P 5 0 1M'
	craft image.qcow2 'set_header(88, 8, 0xf0)'
	chmod 0444 below.raw
	remember image.qcow2 below.raw
}

case_read_only_stays() {
	attach -r image.qcow2
	dd if="$dev" of=/dev/null bs=1M status=none
	! operate "$dev" 'write 0 4k 1' || fail "it can be written"
	blockdev --setrw "$dev" || true
	! operate "$dev" 'write 0 4k 1' 'flush' || fail "it can be written after --setrw"
	! operate "$dev" 'discard 0 64k' || fail "it can be discarded"
	! operate "$dev" 'zero 0 64k' || fail "it can be zeroed"
	detach
	unchanged
	# There is nobody to write it.
	mkdir -p $HERE/mnt
	mount --bind . $HERE/mnt
	mount -o remount,bind,ro $HERE/mnt
	attach $HERE/mnt/image.qcow2
	is 1 "$(blockdev --getro "$dev")"
	! operate "$dev" 'write 0 4k 1' || fail "it can be written where nothing can be"
	detach
	umount $HERE/mnt
}

after_read_only_stays() {
	unchanged
}

make_locked_stays() {
	create image 8M
	fill image.qcow2 'write -P 5 0 1M'
	create over 8M -b image.qcow2 -F qcow2
	remember image.qcow2
}

# A device that writes has its image alone, and does not write to the backing file.
case_locked_stays() {
	attach over.qcow2
	refuses 'in use|lock|another' qcowctl attach image.qcow2
	refuses 'in use|lock|another' qcowctl attach over.qcow2
	refuses 'in use|lock|another' qcowctl attach -r over.qcow2
	! qemu-io -f qcow2 -c 'write 0 512' over.qcow2 > out 2>&1 || fail "QEMU can write"
	operate "$dev" 'write 0 4k 1' 'flush'
	detach
	unchanged
}

after_locked_stays() {
	unchanged
	check over.qcow2
}

# --- Feature words and the header ---

make_unknown_incompatible() {
	create image 8M
	craft image.qcow2 'set_header(72, 8, 1 << 37)' 'feature(37, b"frobnication")'
	create nameless 8M
	craft nameless.qcow2 'set_header(72, 8, 1 << 38)'
	remember image.qcow2 nameless.qcow2
}

case_unknown_incompatible() {
	refuses frobnication qcowctl attach image.qcow2
	refuses frobnication qcowctl attach -r image.qcow2
	refuses 38 qcowctl attach nameless.qcow2
	unchanged
}

after_unknown_incompatible() {
	unchanged
}

make_header_kept() {
	create image 8M -o cluster_size=512,refcount_bits=16
	fill image.qcow2 'write -P 5 0 64k'
	craft image.qcow2 'set_header(88, 8, 0xf0)' 'set_header(80, 8, 0xe0)' \
		'extension(0x12345678, b"what nobody knows")'
	cp image.qcow2 read.qcow2
	remember read.qcow2
	mkdir was
	cp image.qcow2 was
}

# Small clusters and much of it: the refcount table moves.
case_header_kept() {
	attach -r read.qcow2
	dd if="$dev" of=/dev/null bs=1M status=none
	detach
	attach image.qcow2
	operate "$dev" 'write 0 64k 6'
	craft image.qcow2 'assert header(88, 8) & 0xff == 0, "autoclear bits after a write"'
	operate "$dev" 'write 0 8m 7' 'flush'
	detach
}

after_header_kept() {
	unchanged
	check image.qcow2
	craft image.qcow2 'assert header(88, 8) == 0, "autoclear bits"' \
		'assert header(80, 8) == 0xe0, "compatible bits"'
	grep -aq 'what nobody knows' image.qcow2 || fail "an extension is lost"
	# Up to the refcount table's place, and behind the feature words
	cmp -n 48 image.qcow2 was/image.qcow2
	cmp -i 96 -n 416 image.qcow2 was/image.qcow2
	holds qcow2 image.qcow2 'read -P 7 0 8M'
}

make_dirty() {
	create image 8M -o lazy_refcounts=on
	fill image.qcow2 'write -P 5 0 1M'
	craft image.qcow2 'set_header(72, 8, 1)'
	create corrupt 8M
	fill corrupt.qcow2 'write -P 5 0 1M'
	craft corrupt.qcow2 'set_header(72, 8, 2)'
	remember image.qcow2 corrupt.qcow2
}

# Refused with the command that repairs it; to be read all the same
case_dirty() {
	local name

	for name in image corrupt; do
		refuses 'qcowctl check --repair=all' qcowctl attach $name.qcow2
		attach -r $name.qcow2
		is 5 "$(od -An -tu1 -N1 "$dev" | tr -d ' ')"
		detach
	done
	unchanged
	cp image.qcow2 mended.qcow2
	qemu-img check -q -r all mended.qcow2
	attach mended.qcow2
	operate "$dev" 'write 0 4k 6' 'read 4k 64k 5'
	detach
}

after_dirty() {
	unchanged
	check mended.qcow2
}

# --- A window of the disk ---

make_window() {
	create image 16M
	fill image.qcow2 'write -P 5 0 16M'
}

case_window() {
	attach --offset 1052672 --size-limit 2097152 image.qcow2
	is 2097152 "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'write 0 2m 6' 'zero 512 512' 'discard 1m 64k' 'flush' 'either 1m 64k 6'
	as_any_disk
	detach
}

after_window() {
	check image.qcow2
	holds qcow2 image.qcow2 'read -P 5 0 1052672' 'read -P 5 3149824 12M'
}

# --- Raw images ---

make_raw() {
	truncate -s 16M image.raw
}

case_raw() {
	attach -f raw image.raw
	operate "$dev" 'write 0 1m 5' 'fua 1m 512 6' 'zero 64k 64k' 'punch 256k 64k' 'flush' \
		'read 0 64k 5' 'read 64k 64k 0' 'read 256k 64k 0' 'read 1m 512 6' 'read 2m 1m 0'
	detach
}

after_raw() {
	is $((16 << 20)) "$(stat -c %s image.raw)"
	holds raw image.raw 'read -P 5 0 64k' 'read -P 0 64k 64k' 'read -P 5 128k 128k' \
		'read -P 6 1M 512' 'read -P 0 2M 14M'
}

# --- A file that somebody cuts off ---

make_cut_off() {
	create base 16M
	fill base.qcow2 'write -P 1 0 16M'
	create image 16M -b base.qcow2 -F qcow2 -o cluster_size=4k
}

# Durable data is not read as zeros, nor as the backing file's data.
case_cut_off() {
	local option at

	for option in on off; do
		cp image.qcow2 cut.qcow2
		attach --direct-io=$option cut.qcow2
		for at in 0 2 4 6 8 10; do
			operate "$dev" "write ${at}m 2m 2" 'flush'
		done
		truncate -s 4M cut.qcow2
		operate "$dev" 'read 0 1m 2' 'read 10m 64k 2 =EIO' 'write 11m 4k 3 =EIO'
		is 1 "$(cat "/sys/block/${dev#/dev/}/qcow/corrupt")"
		qcowctl detach "$dev" || true
		! stays || fail "it stays"
	done
}

after_cut_off() {
	check image.qcow2
}

# --- A file that says it has tables everywhere ---

# 4 Mi L2 tables, each far from all others; the file has a hole in their place.
make_tables_everywhere() {
	create image 1M -o cluster_size=512
	python3 -c '
import struct
l1_size = 4 << 20
with open("image.qcow2", "r+b") as f:
    f.seek(0, 2)
    at = (f.tell() + 511) // 512 * 512
    f.seek(36)
    f.write(struct.pack(">IQ", l1_size, at))
    f.seek(at)
    f.write(b"".join(struct.pack(">Q", 1 << 63 | (i + 1) << 33) for i in range(l1_size)))
'
	remember image.qcow2
}

# A machine with little memory refuses it since there are so many, and others since their
# refcounts are 0.
case_tables_everywhere() {
	refuses "has .*tables .*attach it read-only with -r" qcowctl attach image.qcow2
	attach -r image.qcow2
	operate "$dev" 'read 0 1m 0'
	detach
}

after_tables_everywhere() {
	unchanged
}

# --- Detaching ---

make_detach_while_written() {
	create image 64M -o cluster_size=4k
}

case_detach_while_written() {
	local i pid

	for i in 1 2 3; do
		attach image.qcow2
		qcowwrite race "$dev" "$i" 4 $((16 << 20)) > /dev/null 2>&1 &
		pid=$!
		sleep 0.$((i * 3))
		! qcowctl detach "$dev" 2> /dev/null || fail "it went while it was open"
		qcowctl detach --force "$dev" || fail "--force"
		! wait $pid || fail "the writer did not notice"
	done
	attach image.qcow2
	operate "$dev" 'write 32m 1m 5' 'flush'
	exec {fd}<> "$dev"
	qcowctl detach --lazy "$dev"
	dd if=/dev/zero bs=4k count=1 of="/proc/self/fd/$fd" conv=notrunc status=none
	exec {fd}>&-
	for ((i = 0; i < 100; i++)); do
		stays || break
		sleep 0.05
	done
	attach image.qcow2
	operate "$dev" 'read 32m 1m 5' 'read 0 4k 0'
	detach
}

after_detach_while_written() {
	check_leaks image.qcow2
}

# Pages of hugetlbfs can be mapped and read, but not written.
make_no_write_iter() {
	create image 1M
}

case_no_write_iter() {
	echo 2 > /proc/sys/vm/nr_hugepages
	mkdir -p $HERE/huge
	mount -t hugetlbfs none $HERE/huge
	truncate -s 2M $HERE/huge/raw
	refuses "not open for writing" qcowctl attach -f raw $HERE/huge/raw
	attach -r -f raw $HERE/huge/raw
	operate "$dev" 'read 0 2m 0'
	detach
	umount $HERE/huge
	echo 0 > /proc/sys/vm/nr_hugepages
}
