# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Bugs that other drivers had, each by its name.

# --- Guest data over metadata ---

# An image with a snapshot and some clusters of its own
rich_image() {
	create "$1" 16M -o cluster_size=64k
	fill "$1.qcow2" 'write -P 17 0 1M'
	qemu-img snapshot -c first "$1.qcow2"
	fill "$1.qcow2" 'write -P 18 0 1M'
}

# Where guest data must not go
metadata='l1():l1 l2(0):l2 reftable():reftable refblock(0):refblock
	snapshots():snapshots snapshot_l1(0):snapshot-l1'

make_write_over_metadata() {
	local where

	rich_image image
	for where in $metadata; do
		cp image.qcow2 "${where#*:}.qcow2"
		craft "${where#*:}.qcow2" "l2e[8] = ${where%:*} | COPIED"
	done
	mkdir was
	mv image.qcow2 was
	cp ./*.qcow2 was
}

# It may say that something is lost, but it goes.
detach_corrupt() {
	qcowctl detach "$dev" || true
	! stays || fail "$dev stays"
}

# It fails, everything after it fails, and the image cannot be written again.
corrupt_now() {
	operate "$dev" "write $1 4k 9 =EIO" 'write 0 4k 9 =EIO' 'write 8m 4k 9 =EIO' ||
		fail "$2"
	detach_corrupt
	refuses corrupt qcowctl attach "$2"
	attach -r "$2"
	is 18 "$(od -An -tu1 -N1 "$dev" | tr -d ' ')"
	detach
}

case_write_over_metadata() {
	local image

	for image in *.qcow2; do
		attach "$image"
		corrupt_now 512k "$image"
	done
}

# Only the header has changed, and it has the corrupt bit.
corrupt_after() {
	local image size

	for image; do
		size=$(stat -c %s "was/$image")
		cmp -i 65536 -n $((size - 65536)) "$image" "was/$image" || fail "$image was written"
		craft "$image" 'assert header(72, 8) & 2, "not marked corrupt"'
	done
}

after_write_over_metadata() {
	corrupt_after ./*.qcow2
}

# An L2 table where the L1 table is, tables and data that are not aligned
make_damaged_tables() {
	rich_image image
	mkdir was
	for name in l2-in-l1 l2-unaligned data-unaligned zero-unaligned; do
		cp image.qcow2 $name.qcow2
	done
	mv image.qcow2 was
	craft l2-in-l1.qcow2 'l1e[0] = l1() | COPIED'
	craft l2-unaligned.qcow2 'l1e[0] += 512'
	craft data-unaligned.qcow2 'l2e[8] += 512'
	craft zero-unaligned.qcow2 'l2e[8] += 513'
	cp ./*.qcow2 was
}

case_damaged_tables() {
	local image

	for image in *.qcow2; do
		# It may be found out even before.
		try_attach "$image" 2> err || { cat err; continue; }
		operate "$dev" 'write 512k 4k 9 =EIO' 'write 516k 4k 9 =EIO' || fail "$image"
		detach_corrupt
		refuses corrupt qcowctl attach "$image"
	done
}

after_damaged_tables() {
	local image

	for image in *.qcow2; do
		cmp -s "$image" "was/$image" || corrupt_after "$image"
	done
}

# --- COPIED ---

make_snapshot_kept() {
	rich_image l2
	craft l2.qcow2 'l2e[3] &= ~COPIED' 'l2e[4] &= ~COPIED'
	create l1 16M -o cluster_size=64k
	fill l1.qcow2 'write -P 17 0 1M'
	qemu-img snapshot -c first l1.qcow2
	# Where nobody may believe it
	cp l1.qcow2 lying.qcow2
	craft lying.qcow2 'l2e[3] |= COPIED' 'l2e[4] |= COPIED'
}

case_snapshot_kept() {
	local image

	for image in *.qcow2; do
		attach "$image"
		operate "$dev" 'write 0 4k 1' 'write 200k 64k 2' 'zero 320k 100k' \
			'punch 448k 64k' 'discard 512k 64k' 'flush' 'write 640k 128k 3' \
			'write 512k 4k 4' 'read 200k 64k 2' 'read 0 4k 1'
		detach
	done
}

after_snapshot_kept() {
	local image

	check l1.qcow2 l2.qcow2
	for image in *.qcow2; do
		qemu-img convert -q -l first -O raw "$image" raw
		holds raw raw 'read -P 17 0 1M'
		holds qcow2 "$image" 'read -P 1 0 4k' 'read -P 2 200k 64k' 'read -P 0 320k 100k'
	done
}

# --- Clusters with data in some of their subclusters ---

# A part of each cluster has data, a part reads as zeros, a part comes from the backing file.
make_subclusters_moved() {
	local name

	qemu-img create -q -f raw below.raw 4M
	qemu-io -f raw -c 'write -q -P 18 0 4M' below.raw
	create alone 4M -o extended_l2=on,cluster_size=64k
	create over 4M -o extended_l2=on,cluster_size=64k -b below.raw -F raw
	for name in alone over; do
		fill $name.qcow2 'write -P 5 0 20k' 'write -z 24k 8k' 'write -P 6 108k 20k' \
			'write -P 7 128k 64k' 'write -z 140k 4k' 'write -P 8 200k 2k'
		qemu-img snapshot -c first $name.qcow2
	done
}

# The snapshot has the cluster, too: all of it has to move.
case_subclusters_moved() {
	local name

	for name in alone over; do
		attach $name.qcow2
		operate "$dev" 'write 23k 512 9' 'write 80k 1k 9' 'write 141k 512 9' \
			'write 200k 512 9' 'read 0 20k 5' 'read 24k 8k 0' 'read 108k 20k 6' \
			'read 128k 12k 7' 'read 144k 48k 7' 'read 205312 1536 8' 'flush' || fail $name
		detach
	done
}

after_subclusters_moved() {
	local name below=0

	for name in alone over; do
		check $name.qcow2
		holds qcow2 $name.qcow2 'read -P 5 0 20k' "read -P $below 20k 3k" 'read -P 9 23k 512' \
			'read -P 0 24k 8k' "read -P $below 32k 48k" 'read -P 9 80k 1k' \
			"read -P $below 81k 27k" 'read -P 6 108k 20k' 'read -P 7 128k 12k' \
			'read -P 9 141k 512' 'read -P 7 144k 48k' 'read -P 9 200k 512' 'read -P 8 205312 1536'
		qemu-img convert -q -l first -O raw $name.qcow2 raw
		holds raw raw 'read -P 5 0 20k' 'read -P 0 24k 8k' 'read -P 6 108k 20k' 'read -P 8 200k 2k'
		below=18
	done
}

# --- Two queues that want one cluster ---

make_race_for_clusters() {
	create image 64M -o cluster_size=64k
	create small 8M -o cluster_size=4k
	create over 16M -b image.qcow2 -F qcow2 -o cluster_size=64k
	create large 32M -o cluster_size=2M
}

case_race_for_clusters() {
	local image

	for image in image small over large; do
		attach $image.qcow2
		qcowwrite race "$dev" 7 4 $((1 << 20)) || fail "$image"
		detach
	done
}

# --- Freed clusters that are used again ---

make_reused_after_discard() {
	create image 100M -o cluster_size=64k
}

# Freed clusters are punched later; an L2 table or data that has one by then must not change.
case_reused_after_discard() {
	local i args=()

	for i in 1 2 3 4 5 6; do
		args+=("write 0 2m $i" flush 'discard 0 2m' "write ${i}6m 2m $i" flush)
		args+=("discard ${i}6m 1m" 'write 4m 1m 99' "sleep 20")
	done
	attach image.qcow2
	for i in 1 2 3; do
		operate "$dev" "${args[@]}" 'discard 4m 1m' 'flush' || fail "round $i"
		operate "$dev" 'either 16m 1m 1' 'read 17m 1m 1' 'either 36m 1m 3' \
			'read 37m 1m 3' 'either 56m 1m 5' 'read 57m 1m 5'
	done
	sleep 2
	operate "$dev" 'write 0 4m 77' 'flush' 'sleep 500' 'read 0 4m 77' 'read 37m 1m 3'
	detach
	attach image.qcow2
	operate "$dev" 'read 0 4m 77' 'read 17m 1m 1' 'read 37m 1m 3' 'either 36m 1m 3'
	detach
}

# --- Backing files that show ---

# over NAME BACKING_BYTES OPTIONS
over() {
	qemu-img create -q -f raw "$1.raw" "$2"
	qemu-io -f raw -c "write -q -P 18 0 $2" "$1.raw"
	create "$1" 4M -b "$1.raw" -F raw -o "$3"
}

make_zeroes_over_backing() {
	over v3 4M compat=1.1,cluster_size=64k
	over v2 4M compat=0.10,cluster_size=64k
	over small 4M compat=1.1,cluster_size=4k
	over sub 4M compat=1.1,cluster_size=64k,extended_l2=on
}

case_zeroes_over_backing() {
	local name

	for name in v3 v2 small sub; do
		attach $name.qcow2
		operate "$dev" 'write 0 64k 5' 'zero 0 32k' 'read 0 32k 0' 'read 32k 32k 5' \
			'punch 64k 64k' 'read 64k 64k 0' 'zero 128k 256k' 'read 128k 256k 0' \
			'punch 530k 3k' 'read 530k 3k 0' 'read 524k 6k 18' 'read 533k 7k 18' \
			'write 1m 128k 6' 'punch 1m 128k' 'read 1m 128k 0' \
			'write 1m 4k 7' 'read 1028k 124k 0' 'zero 0 512' || fail "$name"
		detach
	done
}

after_zeroes_over_backing() {
	local name

	for name in v3 v2 small sub; do
		check $name.qcow2
		holds qcow2 $name.qcow2 'read -P 0 0 32k' 'read -P 5 32k 32k' 'read -P 0 64k 320k' \
			'read -P 18 524k 6k' 'read -P 0 530k 3k' 'read -P 18 533k 490k' \
			'read -P 7 1M 4k' 'read -P 0 1028k 124k' 'read -P 18 1152k 1M'
		holds raw $name.raw 'read -P 18 0 4M'
	done
}

make_discard_over_backing() {
	make_zeroes_over_backing
}

# A discarded cluster may keep its data or become zeros, but not show the backing file.
case_discard_over_backing() {
	local name

	for name in v3 v2 small sub; do
		attach $name.qcow2
		operate "$dev" 'write 0 256k 5' 'discard 0 128k' 'either 0 128k 5' \
			'read 128k 128k 5' 'flush' 'either 0 128k 5' 'discard 512k 64k' \
			'either 512k 64k 18' 'zero 1m 64k' 'discard 1m 64k' 'read 1m 64k 0' || fail "$name"
		detach
		attach $name.qcow2
		operate "$dev" 'either 0 128k 5' 'read 128k 128k 5' 'either 512k 64k 18' \
			'read 1m 64k 0' 'read 2m 64k 18'
		detach
	done
}

make_short_backing() {
	over v3 1049088 compat=1.1,cluster_size=64k
	over v2 1049088 compat=0.10,cluster_size=64k
	over sub 1049088 compat=1.1,cluster_size=64k,extended_l2=on
	over odd 1048700 compat=1.1,cluster_size=4k
}

case_short_backing() {
	local name

	for name in v3 v2 sub odd; do
		attach $name.qcow2
		operate "$dev" 'read 1032k 56k 0' 'write 1026k 512 9' 'read 1026k 512 9' \
			'read 1025k 1k 0' 'read 1027k 61k 0' 'write 2m 4k 8' 'read 2052k 60k 0' || fail $name
		detach
	done
}

after_short_backing() {
	local name

	for name in v3 v2 sub odd; do
		check $name.qcow2
		holds qcow2 $name.qcow2 'read -P 18 0 1M' 'read -P 0 1025k 1k' 'read -P 9 1026k 512' \
			'read -P 0 1027k 1021k' 'read -P 8 2M 4k' 'read -P 0 2052k 1M'
	done
}

# --- Tables that cannot be read ---

# Far from the first sectors, which were read in search of partitions
make_l2_read_error() {
	create image 400M -o cluster_size=64k
	fill image.qcow2 'write -P 5 256M 1M'
	craft image.qcow2 'print(l2(0), refblock(0))' > where
}

# bad_sectors OFFSET: 64 KiB of the mapped disk that cannot be read; none: all can
bad_sectors() {
	local size at=$((${1:-0} / 512))

	size=$(blockdev --getsz /dev/vdb)
	if [ $at -eq 0 ]; then
		echo "0 $size linear /dev/vdb 0"
	else
		echo "0 $at linear /dev/vdb 0"
		echo "$at 128 error"
		echo "$((at + 128)) $((size - at - 128)) linear /dev/vdb $((at + 128))"
	fi > $HERE/table
	dmsetup suspend --noflush --nolockfs bad
	dmsetup load bad $HERE/table
	dmsetup resume --noudevsync bad
}

on_bad_disk() {
	dd if=image.qcow2 of=/dev/vdb bs=1M conv=fsync status=none
	mapped bad "0 $(blockdev --getsz /dev/vdb) linear /dev/vdb 0"
	attach /dev/mapper/bad
}

take_from_bad_disk() {
	detach
	dmsetup remove --noudevsync --retry bad
	blockdev --flushbufs /dev/vdb
	dd if=/dev/vdb of=image.qcow2 bs=1M count=18 iflag=direct conv=sparse status=none
}

case_l2_read_error() {
	on_bad_disk
	bad_sectors "$(cut -d' ' -f1 where)"
	operate "$dev" 'read 256m 64k 5 =EIO' 'write 256m 4k 6 =EIO' 'write 300m 4k 6 =EIO' \
		'zero 257m 64k =EIO' 'flush'
	bad_sectors
	operate "$dev" 'read 256m 1m 5' 'read 300m 64k 0' 'write 256m 4k 6' 'write 300m 4k 7' \
		'flush' 'read 256m 4k 6' 'read 262148k 60k 5' 'read 300m 4k 7'
	take_from_bad_disk
}

after_l2_read_error() {
	check image.qcow2
	holds qcow2 image.qcow2 'read -P 6 256M 4k' 'read -P 5 262148k 1020k' 'read -P 7 300M 4k'
}

make_refcount_read_error() {
	make_l2_read_error
}

case_refcount_read_error() {
	on_bad_disk
	bad_sectors "$(cut -d' ' -f2 where)"
	operate "$dev" 'read 256m 1m 5' 'write 300m 4k 6 =EIO' 'write 256m 4k 6' \
		'write 310m 64k 6 =EIO'
	bad_sectors
	operate "$dev" 'write 256m 4k 6' 'write 300m 4k 7' 'flush' 'read 256m 4k 6' \
		'read 262148k 60k 5' 'read 300m 4k 7' 'read 310m 64k 0'
	take_from_bad_disk
}

after_refcount_read_error() {
	after_l2_read_error
}

# --- A raw image stays raw ---

make_raw_stays_raw() {
	truncate -s 4M image.raw probed.raw
	echo "not for guests" > secret
	truncate -s 64k secret
	qemu-img create -q -f qcow2 -b "$PWD/secret" -F raw header.qcow2
	remember secret
}

case_raw_stays_raw() {
	attach -f raw image.raw
	dd if=header.qcow2 of="$dev" conv=notrunc oflag=direct bs=64k count=1 status=none
	detach
	attach -f raw image.raw
	is $((4 << 20)) "$(blockdev --getsize64 "$dev")"
	cmp -n 65536 "$dev" header.qcow2
	detach
	# An image whose format was only guessed to be raw is not written, or its guest could
	# write a header.
	if dev=$(qcowctl attach probed.raw); then
		dd if=header.qcow2 of="$dev" conv=notrunc oflag=direct bs=64k count=1 status=none || true
		detach
		if dev=$(qcowctl attach probed.raw); then
			! grep -aq 'not for guests' "$dev" || fail "the secret is out"
			is $((4 << 20)) "$(blockdev --getsize64 "$dev")"
			detach
		fi
	fi
	unchanged
}

after_raw_stays_raw() {
	unchanged
}

# --- A workspace of 128 MiB for each attach ---

make_zstd_memory() {
	local i

	for i in 1 2 3 4; do
		create $i 8M -o compression_type=zstd
		fill $i.qcow2 'write -c -P 17 0 64k' 'write -c -P 18 64k 64k'
	done
}

free_kib() {
	awk '/^MemAvailable/ { print $2 }' /proc/meminfo
}

case_zstd_memory() {
	local i before devs=()

	before=$(free_kib)
	for i in 1 2 3 4; do
		attach $i.qcow2
		operate "$dev" 'read 0 64k 17' 'write 0 4k 1' 'read 4k 60k 17'
		devs+=("$dev")
	done
	i=$((before - $(free_kib)))
	echo "$i KiB for four"
	# Others may be busy at the same time.
	[ $i -lt $((192 << 10)) ] || fail "$i KiB for four devices"
	for dev in "${devs[@]}"; do
		detach
	done
}
