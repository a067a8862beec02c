# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# qcowctl convert -c, read by the driver. tests/tool compares the images with those of qemu-img.

make_packed() {
	seq 150000 > text
	head -c 1M /dev/zero | openssl enc -aes-128-ctr -nosalt -pass pass:x > random 2> /dev/null
	cat text random text random text random text random text > long.raw
	truncate -s 20000256 long.raw
	qemu-img create -q -f qcow2 -o cluster_size=4k -b long.raw -F raw mixed.qcow2
	io_does -f qcow2 mixed.qcow2 -- 'write -P 8 100k 9k' 'write -z 2M 1M' 'write -P 9 15M 4k'
	remember mixed.qcow2 long.raw
}

# compressed IMAGE: bytes of the disk that are compressed
compressed() {
	qcowctl map "$1" | awk '$4 == "compressed" { sum += $2 } END { print sum + 0 }'
}

case_packed() {
	qcowctl convert -c -o compression_type=zstd mixed.qcow2 packed.qcow2
	attach -r packed.qcow2
	qemu-img compare -q -f raw -F qcow2 "$dev" mixed.qcow2
	detach
	# One that was interrupted reads the same, and goes on, also when it is killed.
	is 1 "$(interrupted INT qcowctl convert -c -f raw long.raw long.qcow2)"
	has "long.qcow2: interrupted after .* of .* bytes; it reads the same as its source" log
	qemu-img compare -q -f qcow2 -F raw long.qcow2 long.raw
	(($(compressed long.qcow2) > 0)) || fail "nothing was done"
	is 137 "$(interrupted KILL qcowctl convert -c --resume -f raw long.raw long.qcow2)"
	qemu-img compare -q -f qcow2 -F raw long.qcow2 long.raw
	cp long.qcow2 other.qcow2
	qcowctl convert -c --resume -f raw long.raw long.qcow2
	# Without -c the rest is copied.
	qcowctl convert --resume -f raw long.raw other.qcow2
	! grep -qs long.raw /sys/block/qcow*/qcow/image || fail "the source is attached still"
	truncate -s 3M small.ext4
	mkfs.ext4 -q -O ^has_journal -m 0 small.ext4
	mkdir "$HERE/mnt"
	mount -o loop small.ext4 "$HERE/mnt"
	refuses "cannot be written: No space left on device; it reads the same as its source" \
		qcowctl convert -c -f raw long.raw "$HERE/mnt/full.qcow2"
	qemu-img check -q "$HERE/mnt/full.qcow2"
	umount "$HERE/mnt"
}

after_packed() {
	local name

	unchanged
	for name in packed long other; do
		check $name.qcow2
		is null "$(qemu-img info -f qcow2 --output=json $name.qcow2 | jq '."backing-filename"')"
	done
	qemu-img compare -q -f qcow2 -F raw long.qcow2 long.raw
	qemu-img compare -q -f qcow2 -F raw other.qcow2 long.raw
}
