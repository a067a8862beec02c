# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Much at once: two CPUs, several jobs, everything verified.

# Two that write and verify, one that discards, each its third of the disk; flushes
# in between
run_fio() {
	local third

	attach image.qcow2
	third=$(($(blockdev --getsize64 "$dev") / 3 / 65536 * 65536))
	fio --output=$HERE/fio.out --filename="$dev" --direct=1 --ioengine=libaio \
		--group_reporting --size=$third --time_based \
		--runtime="$QCOW_RUNTIME" --iodepth=8 --fsync=64 \
		--bsrange=512-64k --blockalign=512 --verify=crc32c --verify_fatal=1 \
		--name=a --rw=randwrite --offset=0 --verify_backlog=256 \
		--name=b --rw=randwrite --offset=$third --verify_backlog=128 --bsrange=4k-16k --blockalign=4k \
		--name=c --rw=trimwrite --offset=$((2 * third)) --verify=0 --bs=64k ||
		{ grep -m 3 -E '^fio|err=|verify' $HERE/fio.out; fail fio; }
	grep -hE '^ +(write|trim):' $HERE/fio.out || true
	detach
}

make_fio_plain() {
	create image 256M -o cluster_size=65536
}

case_fio_plain() {
	run_fio
}

make_fio_small() {
	create image 96M -o cluster_size=4096
}

case_fio_small() {
	run_fio
}

make_fio_subclusters() {
	create image 128M -o extended_l2=on,cluster_size=65536
}

case_fio_subclusters() {
	run_fio
}

make_fio_snapshot() {
	create image 64M -o cluster_size=65536
	fill image.qcow2 'write -q -P 17 0 64M'
	qemu-img snapshot -c first image.qcow2
}

case_fio_snapshot() {
	run_fio
}

after_fio_snapshot() {
	check image.qcow2
	qemu-img convert -q -l first -O raw image.qcow2 raw
	holds raw raw 'read -P 17 0 64M'
}

make_fio_backing() {
	qemu-img create -q -f raw below.raw 40M
	qemu-io -f raw -c 'write -q -P 18 0 40M' below.raw
	create image 64M -b below.raw -F raw
}

case_fio_backing() {
	run_fio
}

after_fio_backing() {
	check image.qcow2
	holds raw below.raw 'read -P 18 0 40M'
}
