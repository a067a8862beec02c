# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Maps: images of formats that the driver does not know, by a table of their pieces, which
# qcowwrite makes of a text (guest/map.c). Here no format is parsed.

# map ARGUMENTS...: attaches, and sets dev
map() {
	dev=$(qcowwrite map "$@") || fail "map $*"
}

# refuses_map PATTERN ARGUMENTS...
refuses_map() {
	exits 1 "$1" qcowwrite map "${@:2}"
}

# is_attached DEVICE IMAGE NUMBER FILE: both ways
is_attached() {
	is "${1#/dev/} $2 $3" "$(qcowwrite file "$4")"
	is "$PWD/$4" "$(qcowwrite file "$1" "$2" "$3")"
}

# open_files: of the whole machine, some more or less
open_files() {
	local number

	read -r number _ < /proc/sys/fs/file-nr
	echo "$number"
}

# All files that a map may have, each with a sector of the disk
case_map_files() {
	local before i same

	mkdir "$HERE/mnt"
	mount -t tmpfs tmpfs "$HERE/mnt"
	cd "$HERE/mnt" || fail "no folder"
	dd if=/dev/urandom of=whole bs=1M count=2 status=none
	split -b 512 -d -a 4 whole f.
	{ echo "size 2097152"; awk 'BEGIN { for (i = 0; i < 4096; i++) print i * 512, "data", i }'; } > table
	before=$(open_files)
	map -r table f.*
	[ "$(open_files)" -gt $((before + 3000)) ] || fail "it has no files"
	same_content whole "$dev"
	is_attached "$dev" 0 0 f.0000
	is_attached "$dev" 0 255 f.0255
	is_attached "$dev" 0 256 f.0256
	is_attached "$dev" 0 4095 f.4095
	is "No such file or directory" "$(qcowwrite file whole)"
	is "No such file or directory" "$(qcowwrite file "$dev" 0 4096)"
	refuses "is in use by $dev" qcowctl attach -f raw f.4095
	# Another one may read them.
	before=$(open_files) first=$dev
	map -r table f.*
	same_content whole "$dev"
	detach
	dev=$first detach
	for ((i = 0; i < 50; i++)); do
		[ "$(open_files)" -ge $((before - 3000)) ] || break
		pause 0.1
	done
	[ $i -lt 50 ] || fail "$(open_files) files are open"
	attach -f raw f.4095
	detach
	# One file may be there any number of times.
	mapfile -t same < <(yes f.0000 | head -n 4096)
	map -r table "${same[@]}"
	cmp -n 512 f.0000 "$dev"
	cmp -n 512 -i 0:2096640 f.0000 "$dev"
	detach
}

after_map_files() {
	:
}

make_map_sectors() {
	/usr/bin/python3 -B "$cases_here/../gpt.py" native.raw 4096
	qemu-img create -q -f qcow2 -F raw -b native.raw overlay.qcow2
}

# sectors BYTES PARTITIONS
sectors() {
	is "$1" "$(blockdev --getss "$dev")"
	is "$2" "$(find "/sys/block/${dev#/dev/}/" -maxdepth 1 -name "${dev#/dev/}p*" | wc -l)"
}

# The table says how large sectors are, unless the attach does.
case_map_sectors() {
	printf '%s\n' "size 8388608" "sector 4096" "0 data" > table
	map -r table native.raw
	sectors 4096 1
	same_content native.raw "$dev"
	detach
	map -r -s 512 table native.raw
	sectors 512 0
	detach
	map -r -s 2048 table native.raw
	sectors 2048 0
	detach
	map -a overlay.qcow2 table native.raw
	sectors 4096 1
	detach
	map -r -o 1048576 table native.raw
	sectors 4096 0
	detach
	refuses_map "must be multiples of 4096" -r -o 512 table native.raw
	map -r -s 512 -o 512 table native.raw
	is 8388096 "$(blockdev --getsize64 "$dev")"
	detach
	printf '%s\n' "size 512" "sector 4096" "0 data" > table
	refuses_map "no whole sector of 4096 bytes" -r table native.raw
}

make_map_stream() {
	local file

	for file in one two below; do
		head -c 2M /dev/zero | openssl enc -aes-128-ctr -nosalt -pass "pass:$file" \
			> $file.raw 2> /dev/null
	done
	{
		dd if=below.raw bs=512 count=2048
		dd if=/dev/zero bs=512 count=1024
		dd if=one.raw bs=512 count=2048 skip=1
		dd if=two.raw bs=512 count=1024
		dd if=one.raw bs=512 count=2048 skip=1024
	} > expected.raw 2> /dev/null
	qemu-img create -q -f qcow2 -F raw -b expected.raw overlay.qcow2
	create temporary 4M -b expected.raw -F raw
	remember one.raw two.raw below.raw
}

# Pieces of two files, at any place, a hole, zeros. A qcow2 overlay above them is written,
# and becomes a qcow2 image without backing file while it is in use.
case_map_stream() {
	printf '%s\n' "size 4194304" "0 hole" "0x100000 zero" "0x180000 data 0 512" \
		"0x280000 data 1 0" "0x300000 data 0 0x80000" > table
	map -r -b below.raw table one.raw two.raw
	same_content expected.raw "$dev"
	refuses "" qcowctl stream "$dev"
	detach
	refuses_map "attach it read-only" -b below.raw table one.raw two.raw
	map -t -a temporary.qcow2 -b below.raw table one.raw two.raw
	same_content expected.raw "$dev"
	operate "$dev" 'write 0 64k 9' 'read 0 64k 9'
	refuses "is temporary" qcowctl stream "$dev"
	detach

	cp expected.raw content.raw
	map -a overlay.qcow2 -b below.raw table one.raw two.raw
	same_content expected.raw "$dev"
	operate "$dev" 'write 1m 64k 7' 'write 1700k 100k 8' 'flush'
	operate content.raw 'write 1m 64k 7' 'write 1700k 100k 8'
	is_attached "$dev" 1 0 one.raw
	is_attached "$dev" 1 1 two.raw
	is_attached "$dev" 2 0 below.raw
	refuses "format that is only read" qcowctl commit "$dev"
	qcowctl stream "$dev" & 
	operate "$dev" 'write 3m 64k 6' 'flush'
	operate content.raw 'write 3m 64k 6'
	wait $! || fail "stream"
	same_content content.raw "$dev"
	is "No such file or directory" "$(qcowwrite file one.raw)"
	is "No such file or directory" "$(qcowwrite file "$dev" 1 0)"
	# Nobody needs them any more.
	attach -f raw two.raw
	detach
	dev=/dev/$(qcowwrite file overlay.qcow2 | cut -d' ' -f1)
	detach
	rm one.raw two.raw below.raw
	attach -r overlay.qcow2
	same_content content.raw "$dev"
	detach
}

after_map_stream() {
	check overlay.qcow2
	is null "$(qemu-img info --output json overlay.qcow2 | jq -r '."backing-filename"')"
	qemu-img compare -q -F raw overlay.qcow2 content.raw
}

after_map_lower() {
	:
}

# Files that direct I/O cannot address, that are devices, and that become shorter
case_map_lower() {
	local lower=nullm$$ i

	null_disk $lower size=4
	dd if=/dev/urandom of=data bs=1M count=4 status=none
	dd if=data of=/dev/$lower bs=1M status=none oflag=direct
	cp data copy
	# At byte 1: through the page cache
	{ printf x; cat data; } > odd
	printf '%s\n' "size 4194304" "0 data 0" "0x100000 data 1 0x100001" "0x200000 data 2 0x200000" > table
	map -r table data odd /dev/$lower
	same_content data "$dev"
	is "${dev#/dev/} 0 2" "$(qcowwrite file /dev/$lower)"
	refuses_map "not aligned for direct" -r -D table data odd /dev/$lower
	exits 1 "used by $dev" qcowctl attach -f raw /dev/$lower
	exits 32 "busy" mount /dev/$lower "$HERE"
	detach
	map -r -B table data odd /dev/$lower
	same_content data "$dev"
	truncate -s 1M odd
	drop_caches 1
	blockdev --flushbufs "$dev"
	same_content <(head -c 1M data) <(dd if="$dev" bs=1M count=1 iflag=direct status=none)
	same_content <(tail -c +2097153 data) <(dd if="$dev" bs=1M skip=2 iflag=direct status=none)
	for ((i = 0; i < 3; i++)); do
		exits 1 "Input/output error" dd if="$dev" of=/dev/null bs=64k count=1 \
			skip=$((16 + 7 * i)) iflag=direct status=none
	done
	grep -q "${dev#/dev/}: data: damaged .*one of its other files became shorter" <(dmesg) ||
		fail "$(dmesg | tail -n 5)"
	detach
	refuses_map "past the end of its file" -r table data odd /dev/$lower
	attach -f raw /dev/$lower
	detach
	null_disk_end $lower
}

after_map_waits() {
	:
}

# A table lies on a disk that does not answer. The attach that checks it holds nobody up, and
# ends when its task is killed.
case_map_waits() {
	local lower=nullw$$ name=mapw$$ pid i

	truncate -s 64k file
	printf '%s\n' "size 33554432" "fill 512 65536" > text
	null_disk $lower size=16
	mapped $name "0 32768 linear /dev/$lower 0"
	mkfs.ext4 -q -O ^has_journal /dev/mapper/$name
	mkdir "$HERE/mnt"
	mount -o noatime /dev/mapper/$name "$HERE/mnt"
	qcowwrite table text "$HERE/mnt/table"
	dmsetup suspend --noflush --nolockfs $name
	: > out
	qcowwrite map -r -R -T "$HERE/mnt/table" file > out 2>&1 &
	pid=$!
	until grep -q begun out; do
		pause 0.01
	done
	attach -f raw -r file
	detach
	is begun "$(< out)"
	kill -KILL $pid
	for ((i = 0; i < 100; i++)); do
		runs $pid || break
		pause 0.1
	done
	[ $i -lt 100 ] || fail "it cannot be killed"
	wait $pid || true
	is begun "$(< out)"
	dmsetup resume --noudevsync $name
	is "No such file or directory" "$(qcowwrite file file)"
	map -r -R "$HERE/mnt/table" file
	is 33554432 "$(blockdev --getsize64 "$dev")"
	same_content <(head -c 64k /dev/zero) <(dd if="$dev" bs=64k count=1 skip=300 status=none)
	detach
	umount "$HERE/mnt"
	dmsetup remove --noudevsync --retry $name
	null_disk_end $lower
}
