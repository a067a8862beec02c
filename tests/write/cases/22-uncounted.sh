# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Clusters that are in use and have a refcount of 0.

# Each is free by its refcount: a kind of metadata, as a cluster of the file
uncounted_tables() {
	cat <<-EOF
	header		0
	l1		l1() // CLUSTER
	l2		l2(0) // CLUSTER
	other-l2	l2(1) // CLUSTER
	reftable	reftable() // CLUSTER
	refblock	refblock(0) // CLUSTER
	snapshots	snapshots() // CLUSTER
	snapshot-l1	snapshot_l1(0) // CLUSTER
	snapshot-l2	(header(snapshot_l1(0), 8) & 0x00fffffffffffe00) // CLUSTER
	bitmaps		bitmaps() // CLUSTER
	EOF
}

make_uncounted_tables() {
	local kind cluster

	create image 4M -o cluster_size=4k
	fill image.qcow2 'write -P 5 0 3M'
	qemu-img snapshot -c first image.qcow2
	fill image.qcow2 'write -P 6 0 64k'
	qemu-img bitmap --add image.qcow2 b
	while read -r kind cluster; do
		cp image.qcow2 "$kind.qcow2"
		craft "$kind.qcow2" "refcount[$cluster] = 0"
	done < <(uncounted_tables)
	rm image.qcow2
	remember ./*.qcow2
}

# Refused with the command that repairs it, and that does
case_uncounted_tables() {
	local image

	for image in *.qcow2; do
		refuses 'qcowctl check --repair=all' qcowctl attach "$image"
	done
	unchanged
	for image in *.qcow2; do
		qcowctl check --repair=all "$image" > out 2>&1 || { cat out; fail "$image: repair"; }
		attach "$image"
		operate "$dev" 'write 1m 1m 7' 'flush' 'read 0 64k 6' 'read 64k 960k 5'
		detach
	done
}

after_uncounted_tables() {
	check ./*.qcow2
	for image in *.qcow2; do
		holds qcow2 "$image" 'read -P 6 0 64k' 'read -P 5 64k 960k' 'read -P 7 1M 1M'
	done
}

# Data of every other cluster is free by its refcount
make_uncounted_data() {
	create image 16M -o cluster_size=4k
	fill image.qcow2 'write -P 5 0 1M'
	craft image.qcow2 'any(refcount.__setitem__((l2e[i] & 0x00fffffffffffe00) // CLUSTER, 0) for i in range(0, 256, 2))'
}

case_uncounted_data() {
	attach image.qcow2
	# The table changes, and much is allocated: none of it where the data is
	operate "$dev" 'write 1m 4k 6' 'write 2m 8m 7' 'flush' 'read 0 1m 5'
	operate "$dev" 'write 0 4k 8' 'write 12k 512 8' 'discard 8k 4k' 'flush' 'write 12m 2m 7' 'flush'
	is 1 "$(cat "/sys/block/${dev#/dev/}/qcow/corrupt")"
	detach
	attach -r image.qcow2
	operate "$dev" 'read 0 4k 8' 'read 4k 4k 5' 'read 8k 4k 0' 'read 12k 512 8' 'read 16k 1008k 5' 'read 2m 8m 7'
	detach
}

after_uncounted_data() {
	qemu-img check -q -r all image.qcow2
	check image.qcow2
	holds qcow2 image.qcow2 'read -P 8 0 4k' 'read -P 5 16k 1008k' 'read -P 6 1M 4k' \
		'read -P 7 2M 8M' 'read -P 7 12M 2M'
}

# --- A refcount block where the next one is to be made ---

make_refblock_overlap() {
	create image 4M -o cluster_size=512
	fill image.qcow2 'write -P 5 0 16k'
	craft image.qcow2 'n = CLUSTER // 2 * CLUSTER; block = bytes(header(refblock(0) + i, 1) for i in range(CLUSTER)); [set_header(n + i, 1, block[i]) for i in range(CLUSTER)]; set_header(reftable(), 8, n); set_header(reftable() + 8, 8, 0)'
	remember image.qcow2
}

case_refblock_overlap() {
	refuses 'qcowctl check --repair=all' qcowctl attach image.qcow2
	unchanged
	qcowctl check --repair=all image.qcow2 > out 2>&1 || { cat out; fail "repair"; }
	attach image.qcow2
	operate "$dev" 'read 0 16k 5' 'write 1m 1m 6' 'flush'
	detach
}

after_refblock_overlap() {
	check image.qcow2
	holds qcow2 image.qcow2 'read -P 5 0 16k' 'read -P 6 1M 1M'
}
