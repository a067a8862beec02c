# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Many readers at once, and how often a cluster is decompressed.

case_parallel_threads() {
	local args=() name

	for name in zlib zstd plain; do
		attach "$IMAGES/extra/par-$name.qcow2"
		args+=("$dev" "$IMAGES/extra/par.raw")
	done
	attach --direct-io off "$IMAGES/extra/par-zlib.qcow2"
	args+=("$dev" "$IMAGES/extra/par.raw")
	attach --cache-size 64K "$IMAGES/extra/par-chain2.qcow2"
	args+=("$dev" "$IMAGES/extra/par-chain.raw")
	qcowtest threads 600 "${args[@]}"
	qcowctl detach --all
}

# Cold caches and tiny ones, so that slices come and go under the readers
case_parallel_evict() {
	attach --cache-size 64K "$IMAGES/extra/par-plain.qcow2"
	qcowtest threads 600 "$dev" "$IMAGES/extra/par.raw"
	[ "$(qcowtest status "$index" cache_used)" -le 131072 ] || fail "cache too large"
	detach
}

# sequential IMAGE DD_OPTIONS...: sixteen reads for each cluster
sequential() {
	local image=$IMAGES/extra/$1 count clusters

	shift
	clusters=$(qemu-img check -U --output=json "$image" | jq '.["compressed-clusters"]')
	attach "$image"
	dd if="$dev" of=/dev/null bs=4k status=none "$@"
	count=$(qcowtest status "$index" decompressed)
	echo "$clusters compressed clusters, $count decompressed"
	[ "$clusters" -gt 100 ] || fail "too few clusters"
	[ "$count" -ge "$clusters" ] && [ "$count" -le $((clusters + 16)) ] ||
		fail "$count decompressed"
	detach
}

case_sequential_direct() {
	sequential par-zlib.qcow2 iflag=direct
}

case_sequential_direct_zstd() {
	sequential par-zstd.qcow2 iflag=direct
}

case_sequential_buffered() {
	sequential par-zlib.qcow2
}

case_fio_verify() {
	attach "$IMAGES/extra/par-chain2.qcow2"
	fio --name=read --filename="$dev" --readonly --rw=randread --bs=512-64k \
		--ioengine=libaio --iodepth=16 --numjobs=2 --direct=1 --runtime=3 \
		--time_based --output-format=terse > fio
	same_content "$IMAGES/extra/par-chain.raw" "$dev"
	is 0 "$(qcowtest status "$index" errors)"
	detach
}
