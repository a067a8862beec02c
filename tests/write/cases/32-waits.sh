# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# What others wait for while an image is changed, how it is ended, and what they are
# told of it.

# scattered NAME: an image of 96 MiB whose clusters lie in no order in the file
scattered() {
	create "$1" 96M -o cluster_size=4k
	fill "$1.qcow2" 'write -q -P 7 0 96M'
	craft "$1.qcow2" 'import random; r = range(24576); v = [l2e[i] for i in r]; random.Random(1).shuffle(v); any(l2e.__setitem__(i, v[i]) for i in r)'
}

# waits LIMIT DEVICE MODE COMMAND...: as qcowwrite waits; fails if the command fails, or
# if a read took as long as the LIMIT in ms and more than a third of the command.
waits() {
	local limit=$1 longest took code

	shift
	qcowwrite waits "$@" > waited || fail "reads fail: $*"
	read -r longest took code < waited
	echo "${*:3}: a read took up to $longest ms, all $took ms"
	[ "$code" = 0 ] || fail "exit code $code: $*"
	[ "$longest" -lt "$limit" ] || [ "$longest" -lt $((took / 3)) ] ||
		fail "a read waited for $longest ms of $took, more than $limit: $*"
}

# --- Nobody waits ---

make_resize_waits() {
	scattered shrunk
	cp shrunk.qcow2 opened.qcow2
	cp shrunk.qcow2 applied.qcow2
	qemu-img snapshot -c first applied.qcow2
}

# As for a snapshot that is made, whatever its size
case_resize_waits() {
	local longest limit
	# It is refused if the device is open just then.
	local again='for i in 1 2 3 4 5 6; do "$@" && exit; done; exit 1'

	attach applied.qcow2
	qcowwrite waits "$dev" keep qcowctl snapshot create "$dev" second > waited
	read -r longest _ < waited
	limit=$((longest * 10 + 300))
	waits $limit "$dev" open bash -c "$again" - qcowctl snapshot apply "$dev" first
	operate "$dev" 'read 0 96m 7'
	detach
	attach shrunk.qcow2
	waits $limit "$dev" keep qcowctl resize --force "$dev" 1M
	waits $limit "$dev" keep qcowctl resize "$dev" 4G
	operate "$dev" 'read 0 1m 7' 'read 1m 95m 0'
	detach
	attach opened.qcow2
	waits $limit "$dev" open bash -c "$again" - qcowctl resize "$dev" 1M
	detach
	note_blocks
}

after_resize_waits() {
	check ./*.qcow2
	[ "$(qemu-img info -f qcow2 --output=json opened.qcow2 | jq '."virtual-size"')" = 1048576 ]
	[ "$(used opened.qcow2)" -lt $((4 << 20)) ] || fail "its space was not given back"
}

# --- It is ended ---

make_resize_interrupted() {
	scattered image
	qemu-img create -q -u -f qcow2 -b /run/base.raw -F raw -o cluster_size=4k over.qcow2 1M
}

case_resize_interrupted() {
	local pid code=0 begin

	attach image.qcow2
	qcowwrite waits "$dev" small qcowctl resize --force "$dev" 1M > waited 2> log
	cat waited log
	is 1 "$(cut -d' ' -f3 waited)"
	grep -q 'was interrupted: it has its size of 1048576 bytes' log || fail "it does not say so"
	is 1048576 "$(blockdev --getsize64 "$dev")"
	operate "$dev" 'read 0 1m 7'
	detach
	cp image.qcow2 left.qcow2
	[ "$(du -k left.qcow2 | cut -f1)" -gt 4096 ] || fail "nothing was left to do"
	qcowctl resize image.qcow2 1M || fail "it does not go on"
	[ "$(du -k image.qcow2 | cut -f1)" -lt 4096 ] || fail "it did not go on"
	# Larger: all of the backing file is to be hidden first. The host never sees that.
	truncate -s 64G /run/base.raw
	attach over.qcow2
	begin=$SECONDS
	qcowctl resize "$dev" 64G 2> log &
	pid=$!
	pause 1
	kill -INT $pid
	wait $pid || code=$?
	cat log
	is 1 $code
	grep -q 'was interrupted, and keeps its size of 1048576 bytes' log || fail "it does not say so"
	is 1048576 "$(blockdev --getsize64 "$dev")"
	[ $((SECONDS - begin)) -lt 20 ] || fail "it took $((SECONDS - begin)) seconds"
	detach
}

after_resize_interrupted() {
	qemu-img rebase -u -f qcow2 -b '' over.qcow2
	check ./*.qcow2
}

# --- What is told ---

# partitions: those of the device, by their numbers
partitions() {
	local name out=''

	for name in /sys/block/"${dev#/dev/}"/"${dev#/dev/}"p*; do
		[ ! -e "$name" ] || out+=" ${name##*p}"
	done
	echo "${out# }"
}

make_partitions_shrunk() {
	create image 64M
	printf 'start=2048, size=8192\nstart=65536, size=32768\n' > layout
	truncate -s 64M disk.raw
	sfdisk -q disk.raw < layout
	qemu-img convert -f raw -O qcow2 disk.raw image.qcow2
	cp image.qcow2 used.qcow2
	rm disk.raw
}

case_partitions_shrunk() {
	attach image.qcow2
	is '1 2' "$(partitions)"
	qcowctl resize "$dev" 16M 2> log || fail "resize"
	is '1' "$(partitions)"
	is '' "$(cat log)"
	detach
	attach used.qcow2
	exec 7< "${dev}p2"
	qcowctl resize --force "$dev" 16M 2> log || fail "resize --force"
	cat log
	grep -q 'partitions that end behind its end' log || fail "it does not say so"
	exec 7<&-
	blockdev --rereadpt "$dev"
	is '1' "$(partitions)"
	detach
}

make_snapshot_another_disk() {
	create image 8M
	fill image.qcow2 'write -P 1 0 8M'
	qemu-img snapshot -c first image.qcow2
}

# Whoever knows the disk by its number learns that it is another one.
case_snapshot_another_disk() {
	local before after

	attach image.qcow2
	read -r before < "/sys/block/${dev#/dev/}/diskseq"
	operate "$dev" 'write 0 64k 9'
	qcowctl snapshot apply "$dev" first
	read -r after < "/sys/block/${dev#/dev/}/diskseq"
	[ "$after" -gt "$before" ] || fail "disk $before is disk $after"
	operate "$dev" 'read 0 8m 1'
	detach
}
