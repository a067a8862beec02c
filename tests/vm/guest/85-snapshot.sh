# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Internal snapshots: their disk, not today's.

# make_image NAME OPTIONS...: three snapshots, two of them of a smaller disk where
# QEMU can do that; what they hold is in NAME.1 to NAME.3.
make_image() {
	local name=$1 i

	shift
	qemu-img create -q -f qcow2 "$@" "$name" 3M
	for i in 1 2 3; do
		qemu-io -c "write -q -P $i $((i * 300))k 700k" -c 'write -q -z 64k 128k' \
			-c "discard $((i * 512))k 64k" "$name" > /dev/null
		qemu-img snapshot -c "state $i" "$name"
		qemu-img convert -q -l "state $i" -O raw "$name" "$name.$i"
		[ $i != 2 ] || [[ $* = *compat=0.10* ]] ||
			qemu-img resize -q "$name" 5M
	done
	qemu-io -c 'write -q -P 9 0 3M' "$name"
}

case_snapshot_read() {
	local options i

	for options in "" compat=0.10,cluster_size=512 extended_l2=on,refcount_bits=64 \
		cluster_size=2M; do
		rm -f image*
		make_image image ${options:+-o "$options"}
		for i in 1 2 3; do
			attach --snapshot "state $i" image
			same_content "$dev" image.$i
			is "state $i" "$(cat "/sys/block/${dev#/dev/}/qcow/snapshot")"
			is 1 "$(cat "/sys/block/${dev#/dev/}/ro")"
			is "state $i" "$(qcowctl list -nO SNAPSHOT)"
			is "state $i" "$(qcowctl info --json "$dev" | jq -r .device.snapshot)"
			qcowctl info "$dev" | grep -qx "    snapshot: state $i" >/dev/null
			! qcowctl map "$dev" > out 2> err || fail "mapped"
			grep -q "shows snapshot state $i" err
			detach
			[ -z "$options" ] || continue
			# the same by its id
			attach --snapshot $i image
			same_content "$dev" image.$i
			detach
		done
		attach image
		is "" "$(cat "/sys/block/${dev#/dev/}/qcow/snapshot")"
		is "$(qemu-img info -U --output=json image | jq '."virtual-size"')" \
			"$(blockdev --getsize64 "$dev")"
		detach
	done
}

case_snapshot_backing() {
	qemu-img create -q -f raw base 3M
	qemu-io -f raw -c 'write -q -P 7 0 3M' base
	make_image over -b base -F raw
	attach --snapshot 2 over
	same_content "$dev" over.2
	is 2 "$(cat "/sys/block/${dev#/dev/}/qcow/depth")"
	detach
}

# refuses_snapshot MESSAGE ARGUMENTS...
refuses_snapshot() {
	local message=$1

	shift
	! qcowctl attach "$@" > out 2> err || fail "attach $* works"
	is 1 "$(wc -l < err)"
	grep -q "$message" err || fail "$(cat err)"
}

case_snapshot_refused() {
	make_image image
	refuses_snapshot "image: has no snapshot" --snapshot 4 image
	refuses_snapshot "image: has no snapshot" --snapshot "state" image
	truncate -s 1M raw
	refuses_snapshot "raw: has no snapshots" --snapshot 1 -f raw raw
	# an L1 table for less than the disk
	python3 - <<-'EOF'
		import struct
		with open("image", "r+b") as f:
		    f.seek(60)
		    n, table = struct.unpack(">IQ", f.read(12))
		    f.seek(table + 8)
		    f.write(struct.pack(">I", 0))
	EOF
	refuses_snapshot "L1 table is too small" --snapshot 1 image
	is "" "$(qcowctl list -n)"
}
