# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Snapshots of a disk that is written all the while.

make_snapshot_storm() {
	create image 64M -o cluster_size=4096
}

# digest NAME
digest_of() {
	qemu-img convert -q -U -l "snapshot.name=$1" -O raw image.qcow2 storm.raw
	md5sum < storm.raw
}

case_snapshot_storm() {
	local pid n=0 old

	attach image.qcow2
	fio --output=$HERE/fio.out --filename="$dev" --direct=1 --ioengine=libaio \
		--size=64M --time_based --runtime=$((QCOW_RUNTIME * 3)) --iodepth=8 --fsync=64 --name=a \
		--rw=randwrite --bsrange=512-64k --blockalign=512 --verify=crc32c \
		--verify_fatal=1 --verify_backlog=256 &
	pid=$!
	declare -A digests
	while runs $pid; do
		n=$((n + 1))
		qcowctl snapshot create -v "$dev" "s$n" || fail "create s$n"
		[ $((n % 4)) != 0 ] || digests[s$n]=$(digest_of s$n)
		old=s$((n - 5))
		[ $n -gt 5 ] || continue
		[ -z "${digests[$old]:-}" ] || is "${digests[$old]}" "$(digest_of "$old")"
		qcowctl snapshot delete "$dev" "$old" || fail "delete $old"
	done
	wait $pid || { grep -m 3 -E 'err=|verify' $HERE/fio.out; fail fio; }
	[ $n -gt 2 ] || fail "only $n snapshots"
	detach
	check image.qcow2
	qcowctl check image.qcow2
	echo "$n snapshots"
}

# Many L2 tables
case_snapshot_large() {
	local i nr=${QCOW_LONG:+2048} at=()

	: "${nr:=256}"

	qemu-img create -q -f qcow2 image.qcow2 1T
	attach image.qcow2
	for ((i = 0; i < nr; i++)); do
		at+=("write $((i * 512))m 4k 7")
	done
	operate "$dev" "${at[@]}"
	(while [ ! -e stop ]; do operate "$dev" "write $((RANDOM % nr * 512))m 4k 7"; done) &
	i=$!
	qcowctl snapshot create -v "$dev" first
	qcowctl snapshot create -v --json "$dev" second > created.json
	touch stop
	wait $i
	qcowctl snapshot delete "$dev" first
	detach
	check image.qcow2
	qcowctl check image.qcow2
	i=$(jq '."stopped-nsec"' created.json)
	echo "held up for $i ns"
	rm image.qcow2
	[ "$i" -lt 200000000 ] || fail "too long"
}

after_snapshot_large() {
	:
}
