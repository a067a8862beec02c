# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Space: a file is hardly larger than its content, and the space of discarded clusters is
# given back.

# honest IMAGE CLUSTER BYTES: the file has no more than 1.05 x so many live bytes
# and 64 clusters; both as its length and as the blocks that it uses
honest() {
	local most=$(($3 * 105 / 100 + 64 * $2)) size blocks

	size=$(stat -c %s "$1")
	blocks=$(used "$1")
	echo "$1: $3 bytes live, length $size, uses $blocks"
	[ "$size" -le $most ] || fail "$1 is $size bytes long, $most would do"
	[ "$blocks" -le $most ] || fail "$1 uses $blocks bytes, $most would do"
}

# live IMAGE: bytes of it that hold data or zeros
live() {
	qemu-img map -f qcow2 --output=json "$1" |
		jq '[.[] | select(.depth == 0 and .data) | .length] | add'
}

make_fsyncs() {
	create large 64M -o cluster_size=64k
	create small 64M -o cluster_size=4k
	create copied 16M -o cluster_size=64k
	fill copied.qcow2 'write -P 5 0 16M'
	qemu-img snapshot -c first copied.qcow2
}

# 10,000 of them, each after a small write
case_fsyncs() {
	local image

	# The image lies in memory: only the number of blocks matters.
	mkdir -p $HERE/small
	mount -t tmpfs tmpfs $HERE/small
	cp --sparse=always ./*.qcow2 $HERE/small
	for image in large small; do
		attach $HERE/small/$image.qcow2
		qcowwrite fsyncs "$dev" 4000 1 $((24 << 20))
		detach
	done
	attach $HERE/small/copied.qcow2
	qcowwrite fsyncs "$dev" 2000 2 $((8 << 20))
	detach
	(cd $HERE/small && note_blocks)
	cp --sparse=always $HERE/small/* .
}

after_fsyncs() {
	check large.qcow2 small.qcow2 copied.qcow2
	honest large.qcow2 65536 "$(live large.qcow2)"
	honest small.qcow2 4096 "$(live small.qcow2)"
	# The snapshot's data, and the data written since
	honest copied.qcow2 65536 $(((16 << 20) + (8 << 20)))
}

make_discarded_space() {
	create image 64M -o cluster_size=64k
	create small 16M -o cluster_size=4k
}

# returned IMAGE: waits until the space of discarded clusters is given back, which the
# driver does in the background. Space for the next writes stays allocated.
returned() {
	until [ $(($(stat -c %b "$1") * 512)) -lt $((12 << 20)) ]; do
		pause 0.05
	done
}

# Written and discarded again and again: the same place is used, and in the end
# next to none.
case_discarded_space() {
	local name mib i

	for name in image:48m small:12m; do
		mib=${name#*:}
		attach "${name%:*}.qcow2"
		for i in 1 2 3 4; do
			operate "$dev" "write 0 $mib $i" flush "discard 0 $mib" flush
			returned "${name%:*}.qcow2"
		done
		operate "$dev" 'write 1m 1m 9' flush
		detach
	done
	note_blocks
}

after_discarded_space() {
	local name

	check image.qcow2 small.qcow2
	for name in image small; do
		holds qcow2 $name.qcow2 'read -P 9 1M 1M'
		# 1 MiB of data
		[ "$(used $name.qcow2)" -lt $((3 << 20)) ] ||
			fail "$name uses $(used $name.qcow2) bytes"
		[ "$(stat -c %s $name.qcow2)" -lt $((60 << 20)) ] ||
			fail "$name is $(stat -c %s $name.qcow2) bytes long"
	done
}
