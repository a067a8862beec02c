# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Reads of compressed clusters

make_compressed_depth() {
	head -c 2M /dev/urandom > data
	qemu-img create -q -f raw data.raw 2M
	# Two thirds of each cluster are random bytes, the rest compresses.
	for ((i = 0; i < 32; i++)); do
		dd if=data of=data.raw bs=4k count=10 skip=$((i * 16)) seek=$((i * 16)) \
			conv=notrunc status=none
	done
	qemu-img convert -c -f raw -O qcow2 data.raw image.qcow2
	rm data
}

# The disk below takes 0.3 seconds for each request. More requests than there are CPUs
# are under way.
case_compressed_depth() {
	local slow=slow$$ i most=0 reads enough=$(nproc) pids=()

	null_disk $slow size=8 completion_nsec=300000000
	dd if=image.qcow2 of=/dev/$slow bs=64k oflag=direct conv=sync status=none
	attach -r -f qcow2 /dev/$slow
	dd if="$dev" of=/dev/null bs=4k count=1 iflag=direct status=none
	for ((i = 1; i < 32; i++)); do
		dd if="$dev" of=read.$i bs=64k count=1 skip=$i iflag=direct status=none &
		pids+=($!)
	done
	while runs "${pids[-1]}"; do
		read -r reads _ < /sys/block/$slow/inflight
		[ "$reads" -le $most ] || most=$reads
	done
	wait "${pids[@]}"
	echo "$most reads of the disk at a time, $(nproc) CPUs"
	[ $most -gt $enough ] || fail "no more than $most reads at a time"
	cat read.? read.?? | cmp - <(tail -c +65537 data.raw) || fail "other data"
	detach
	null_disk_end $slow
}
