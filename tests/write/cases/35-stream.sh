# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Images that are to need no backing file any more.

# chains: top images of several kinds, over a base that is longer, shorter, or
# compressed, and over two of them; NAME.raw has the content of each
chains() {
	local name

	create deep 6M -o cluster_size=4k
	fill deep.qcow2 'write -P 1 0 6M'
	create middle 5M -b deep.qcow2 -F qcow2 -o cluster_size=512
	fill middle.qcow2 'write -P 2 1M 300k' 'write -z 2M 64k' 'write -P 3 4M 1M'
	qemu-img convert -c -f qcow2 -O qcow2 middle.qcow2 packed.qcow2
	create over 8M -b middle.qcow2 -F qcow2
	create fine 8M -b packed.qcow2 -F qcow2 -o cluster_size=4k
	create old 5M -b middle.qcow2 -F qcow2 -o compat=0.10
	create sub 8M -b packed.qcow2 -F qcow2 -o extended_l2=on,cluster_size=128k
	create short 3M -b packed.qcow2 -F qcow2 -o cluster_size=2M
	create snap 5M -b middle.qcow2 -F qcow2
	qemu-img create -q -f qcow2 -o data_file=data.raw -b packed.qcow2 -F qcow2 data.qcow2 8M
	fill snap.qcow2 'write -P 8 100k 1M'
	qemu-img snapshot -c first snap.qcow2
	for name in over fine old sub short snap data; do
		fill $name.qcow2 'write -P 5 70k 10k' 'write -z 512k 200k' 'write -P 6 2500k 30k' \
			'discard 1M 128k'
		qemu-img convert -f qcow2 -O raw $name.qcow2 $name.raw.copy
	done
	sha256sum ./deep.qcow2 middle.qcow2 packed.qcow2 > below.sums
}

stands_alone() {
	is null "$(qemu-img info -f qcow2 --output=json "$1" | jq '."backing-filename"')"
}

make_stream() {
	chains
}

case_stream() {
	local name

	for name in over fine old sub short; do
		attach $name.qcow2
		qcowctl stream --progress=json "$dev" 2> log || fail "$name: $(cat log)"
		grep -q '"done":\([0-9]*\),"total":\1}' <(tail -n 1 log) || fail "$(cat log)"
		same_content $name.raw.copy "$dev"
		is 1 "$(cat "/sys/block/${dev#/dev/}/qcow/depth")"
		refuses "has no backing file" qcowctl stream "$dev"
		operate "$dev" 'write 4k 8k 7' 'read 4k 8k 7'
		detach
	done
	qcowctl stream data.qcow2
	# A snapshot would lose the data that it has from the backing file.
	refuses "has snapshots" qcowctl stream snap.qcow2
	attach snap.qcow2
	qcowctl snapshot delete "$dev" first
	qcowctl stream "$dev"
	same_content snap.raw.copy "$dev"
	detach
}

after_stream() {
	local name

	sha256sum --quiet -c below.sums || fail "a backing file was changed"
	rm -f deep.qcow2 middle.qcow2 packed.qcow2
	for name in over fine old sub short snap data; do
		stands_alone $name.qcow2
		check $name.qcow2
		case $name in
		data | snap)	;;
		*)	printf '\7%.0s' {1..8192} |
				dd of=$name.raw.copy bs=4k seek=1 conv=notrunc status=none ;;
		esac
		qemu-img compare -f qcow2 -F raw $name.qcow2 $name.raw.copy
	done
}

# While it is written, interrupted and begun anew
make_stream_busy() {
	create deep 80M
	fill deep.qcow2 'write -P 1 0 80M'
	create over 80M -b deep.qcow2 -F qcow2 -o cluster_size=4k
}

case_stream_busy() {
	local writer

	attach over.qcow2
	qcowwrite race "$dev" 7 2 $((16 << 20)) > race.log 2>&1 &
	writer=$!
	is 1 "$(interrupted INT qcowctl stream "$dev")"
	has 'interrupted after' log
	is 2 "$(cat "/sys/block/${dev#/dev/}/qcow/depth")"
	qcowctl stream "$dev"
	wait $writer || fail "$(cat race.log)"
	operate "$dev" 'read 32m 48m 1'
	detach
}

after_stream_busy() {
	stands_alone over.qcow2
	rm -f deep.qcow2
	check over.qcow2
	holds qcow2 over.qcow2 'read -P 1 32M 48M'
}

# Killed while the image is attached for this only
make_stream_killed() {
	create deep 48M
	fill deep.qcow2 'write -P 1 0 48M'
	create over 48M -b deep.qcow2 -F qcow2 -o cluster_size=1k
}

case_stream_killed() {
	is 137 "$(interrupted KILL qcowctl stream over.qcow2)"
	! grep -qsxF "$PWD/over.qcow2" /sys/block/qcow*/qcow/image || fail "it is attached still"
	fill over.qcow2 'write -P 2 8M 1M'
	qcowctl stream over.qcow2
}

after_stream_killed() {
	stands_alone over.qcow2
	rm -f deep.qcow2
	check over.qcow2
	holds qcow2 over.qcow2 'read -P 1 0 8M' 'read -P 2 8M 1M' 'read -P 1 9M 39M'
}

make_stream_refused() {
	create base 1M
	create over 1M -b base.qcow2 -F qcow2
	truncate -s 1M raw
	remember over.qcow2
}

case_stream_refused() {
	attach -r over.qcow2
	refuses "read-only" qcowctl stream "$dev"
	detach
	refuses "has no backing file" qcowctl stream base.qcow2
	attach -f raw raw
	refuses "has no backing file" qcowctl stream "$dev"
	detach
	refuses "takes one" qcowctl stream
	refuses "json" qcowctl stream --progress=xml over.qcow2
}

after_stream_refused() {
	unchanged
}

# --- Conversion ---

make_convert() {
	create deep 6M -o cluster_size=4k
	fill deep.qcow2 'write -P 1 0 6M'
	create middle 5M -b deep.qcow2 -F qcow2
	fill middle.qcow2 'write -P 2 1M 300k' 'write -z 2M 64k'
	qemu-img convert -c -f qcow2 -O qcow2 middle.qcow2 packed.qcow2
	truncate -s 20M sparse.raw
	io_does -f raw sparse.raw -- 'write -P 3 3M 200k' 'write -P 4 19M 64k'
	qemu-img convert -f qcow2 -O vmdk middle.qcow2 disk.vmdk
	head -c 96M /dev/zero | tr '\0' x > long.raw
}

# converted SOURCE FORMAT
converted() {
	qcowctl convert -f "$2" "$1" "$1.qcow2"
	qemu-img compare -f qcow2 -F "$2" "$1.qcow2" "$1"
	is null "$(qemu-img info -f qcow2 --output=json "$1.qcow2" | jq '."backing-filename"')"
}

case_convert() {
	local pid

	converted middle.qcow2 qcow2
	converted packed.qcow2 qcow2
	converted disk.vmdk vmdk
	converted sparse.raw raw
	# The clusters of the two pieces, and no other
	is 5 "$(qemu-img map -f qcow2 --output=json sparse.raw.qcow2 |
		jq '[.[] | select(.data) | .length] | add / 65536')"
	# One that is ended in the middle goes on, and reads the same before.
	qcowctl convert -f raw long.raw long.qcow2 &
	pid=$!
	until [ "$(stat -c %s long.qcow2 2> /dev/null || echo 0)" -gt 4194304 ]; do
		kill -0 $pid || fail "it ended early"
	done
	kill -KILL $pid
	wait $pid || true
	grep -q '^backing file: ' <(qemu-img info -f qcow2 long.qcow2) || fail "it was too fast to be ended"
	qemu-img compare -f qcow2 -F raw long.qcow2 long.raw
	refuses "is there; choose another name" qcowctl convert -f raw long.raw long.qcow2
	qcowctl convert --resume -f raw long.raw long.qcow2
	stands_alone long.qcow2
	refuses "is no conversion of this source" qcowctl convert --resume -f raw long.raw long.qcow2
}

after_convert() {
	local name

	for name in middle.qcow2 packed.qcow2 disk.vmdk sparse.raw; do
		check "$name.qcow2"
	done
	check long.qcow2
	qemu-img compare -f qcow2 -F raw long.qcow2 long.raw
}
