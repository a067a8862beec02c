# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# A command acts on the image that was named, whatever names other files have by now.
# In each case an image is attached by a name that then leads to another file. Every
# command by that name has to leave the attached image alone, and every command on the
# device has to read the attached image.

# The image to attach, d/disk.qcow2, and the other file that gets its name, a copy of
# o/other.qcow2: both have a backing file and a snapshot "s", and differ in content and
# size.
make_pair() {
	mkdir d o
	create base 4M
	fill base.qcow2 'write -P 1 0 4M'
	qemu-img create -q -f qcow2 -b ../base.qcow2 -F qcow2 d/disk.qcow2 4M
	fill d/disk.qcow2 'write -P 2 0 256k'
	qemu-img snapshot -c s d/disk.qcow2
	fill d/disk.qcow2 'write -P 3 128k 256k'
	create other-base 3M
	qemu-img create -q -f qcow2 -b ../other-base.qcow2 -F qcow2 o/other.qcow2 3M
	fill o/other.qcow2 'write -P 9 0 64k'
	qemu-img snapshot -c s o/other.qcow2
	qemu-img convert -f qcow2 -O raw d/disk.qcow2 disk.copy
	qemu-img map --output=json d/disk.qcow2 > map.copy
}

# snapshots NAME, bitmaps NAME: those of an image, the tool says
snapshots() {
	qcowctl snapshot list --json "$1" | jq -r '[.snapshots[].name] | join(" ")'
}

bitmaps() {
	qcowctl bitmap list --json "$1" | jq -r '[.[] | "\(.name):\(.flags | join(" "))"] | join(" ")'
}

# extents NAME: which of the disk has data, and how deep in the chain
extents() {
	qcowctl map --json "$1" | jq -c '[.[] | select(.data) | [.start, .length, .depth]]'
}

# by_name NAME: every command that changes an image, on the file that has the name
# now, and that is not attached.
by_name() {
	refuses "not attached" qcowctl detach "$1"
	refuses "not attached" qcowctl detach --force "$1"
	refuses "not attached" qcowctl list -n "$1"
	qcowctl snapshot create "$1" new || fail "snapshot create"
	qcowctl snapshot apply "$1" s || fail "snapshot apply"
	qcowctl snapshot delete "$1" s || fail "snapshot delete"
	qcowctl bitmap add "$1" b || fail "bitmap add"
	qcowctl bitmap clear "$1" b || fail "bitmap clear"
	qcowctl bitmap remove "$1" b || fail "bitmap remove"
	qcowctl resize --force "$1" 2M || fail "resize"
	qcowctl snapshot delete "$1" new || fail "snapshot delete"
	qcowctl commit "$1" || fail "commit"
	qcowctl stream "$1" || fail "stream"
	qcowctl check --repair=all "$1" > /dev/null || fail "check"
	qcowctl info --json "$1" > info
	is "2097152 null 0" "$(jq -r '"\(."virtual-size") \(."backing-filename") \(."format-specific".data."snapshot-count")"' info)"
}

# each_by_name NAME: the same, and every command that reads an image. NAME leads to
# "other.qcow2", so each command has to change or read that file.
each_by_name() {
	refuses "not attached" qcowctl detach "$1"
	refuses "not attached" qcowctl detach --force "$1"
	refuses "not attached" qcowctl detach --lazy "$1"
	refuses "not attached" qcowctl list -n "$1"
	is '[[0,65536,0]]' "$(extents "$1")"
	is s "$(snapshots "$1")"
	is "" "$(bitmaps "$1")"
	qcowctl snapshot create "$1" new || fail "snapshot create"
	is "s new" "$(snapshots "$1")"
	qcowctl snapshot apply "$1" s || fail "snapshot apply"
	qcowctl snapshot delete "$1" s || fail "snapshot delete"
	is new "$(snapshots "$1")"
	qcowctl bitmap add "$1" b || fail "bitmap add"
	is "b:auto" "$(bitmaps "$1")"
	qcowctl bitmap disable "$1" b || fail "bitmap disable"
	is "b:" "$(bitmaps "$1")"
	qcowctl map --bitmap b --json "$1" > map || fail "map --bitmap"
	qcowctl bitmap enable "$1" b || fail "bitmap enable"
	is "b:auto" "$(bitmaps "$1")"
	qcowctl bitmap clear "$1" b || fail "bitmap clear"
	qcowctl bitmap remove "$1" b || fail "bitmap remove"
	is "" "$(bitmaps "$1")"
	qcowctl resize --force "$1" 2M || fail "resize"
	qcowctl snapshot delete "$1" new || fail "snapshot delete"
	is "" "$(snapshots "$1")"
	is '[[0,65536,0]]' "$(extents "$1")"
	qcowctl commit "$1" || fail "commit"
	is '[[0,65536,1]]' "$(extents "$1")"
	qcowctl stream "$1" || fail "stream"
	is '[[0,65536,0]]' "$(extents "$1")"
	qcowctl check --repair=all "$1" > /dev/null || fail "check"
	qcowctl check "$1" > /dev/null || fail "check"
	qcowctl info --json "$1" > info
	is "2097152 null 0" "$(jq -r '"\(."virtual-size") \(."backing-filename") \(."format-specific".data."snapshot-count")"' info)"
}

# by_device [PATH]: the device still shows the attached image, and says so.
by_device() {
	stays || fail "it was detached"
	is 8192 "$(blockdev --getsz "$dev")"
	same_content disk.copy "$dev"
	qcowctl info --chain --json "$dev" > info || fail "info"
	is "4194304 ../base.qcow2 1 2" "$(jq -r '"\(.[0]."virtual-size") \(.[0]."backing-filename") \(.[0]."format-specific".data."snapshot-count") \(length)"' info)"
	[ $# -eq 0 ] || is "$1" "$(jq -r '.[0].filename' info)"
	grep -q '^virtual size: 4 MiB' <(qcowctl info "$dev") || fail "info as text"
	qcowctl map --json "$dev" > map || fail "map"
	is "$(jq -c '.[] | [.start, .length, .depth, .data, .offset]' map.copy)" \
		"$(jq -c '.[] | [.start, .length, .depth, .data, .offset]' map)"
	qcowctl snapshot list --json "$dev" > list || fail "snapshot list"
	is s "$(jq -r '.snapshots[].name' list)"
	is 0 "$(qcowctl bitmap list --json "$dev" | jq length)"
	refuses "is a device" qcowctl check "$dev"
}

# image_state STATE [TEXT]: list has this state of the image's name.
image_state() {
	is "$1" "$(qcowctl list -n -O image-state "$dev")"
	[ $# -eq 1 ] || grep -qF "$2" <(qcowctl list -n -O image "$dev") || fail "list does not say $2"
}

# The changes that are asked of the device go to the attached image.
change_device() {
	qcowctl snapshot create "$1" mine
	grep -qw mine <(qcowctl snapshot list "$dev") || fail "snapshot create $1"
	qcowctl snapshot delete "$1" mine
	qcowctl bitmap add "$1" mine
	grep -qw mine <(qcowctl bitmap list "$1") || fail "bitmap add $1"
	qcowctl bitmap remove "$1" mine
	qcowctl resize "$1" 5M
	is 10240 "$(blockdev --getsz "$dev")"
	qcowctl resize --force "$1" 4M
	by_device
}

# The attached image, after detach; $1 is where it is now.
after_pair() {
	local snapshots

	check "$1" base.qcow2
	holds qcow2 "$1" 'read -P 3 128k 256k' 'read -P 1 384k 3M'
	snapshots=$(qemu-img snapshot -l "$1" | awk 'NR > 2 { print $2 }')
	is s "$snapshots"
}

make_identity_renamed() {
	make_pair
}

# Another file was renamed to the image's name; the image has another one, and a link.
case_identity_renamed() {
	attach d/disk.qcow2
	image_state named
	ln d/disk.qcow2 link.qcow2
	mv d/disk.qcow2 moved.qcow2
	mkdir e
	: > e/bound.qcow2
	mount --bind moved.qcow2 e/bound.qcow2
	# The kernel follows the rename.
	image_state named
	cp o/other.qcow2 d/disk.qcow2
	by_name d/disk.qcow2
	by_device "$PWD/moved.qcow2"
	# Other names of the attached image
	change_device link.qcow2
	change_device "$PWD/e/bound.qcow2"
	is "$dev" "$(qcowctl list --json link.qcow2 | jq -r '.qcowdevices[].name')"
	refuses "in use" qcowctl check --repair=all link.qcow2
	refuses "in use: .*$dev" qcowctl attach moved.qcow2
	umount e/bound.qcow2
	qcowctl detach link.qcow2
	! stays || fail "it was not detached by its other name"
	rm link.qcow2 d/disk.qcow2
	mv moved.qcow2 d/disk.qcow2
}

after_identity_renamed() {
	after_pair d/disk.qcow2
}

make_identity_deleted() {
	make_pair
}

# The image was deleted, and another file has its name; then that is renamed over it.
case_identity_deleted() {
	attach d/disk.qcow2
	ln d/disk.qcow2 kept.qcow2
	rm d/disk.qcow2
	image_state deleted "(deleted)"
	by_device "$PWD/d/disk.qcow2 (deleted)"
	cp o/other.qcow2 d/disk.qcow2
	by_name d/disk.qcow2
	# A file with the very name that the kernel shows for a deleted one
	cp o/other.qcow2 "d/disk.qcow2 (deleted)"
	image_state deleted
	by_name "d/disk.qcow2 (deleted)"
	by_device
	change_device "$dev"
	detach
	rm d/disk.qcow2*
	mv kept.qcow2 d/disk.qcow2
}

after_identity_deleted() {
	after_pair d/disk.qcow2
}

make_identity_overmounted() {
	make_pair
}

# Something is mounted over the image, over its folder, or that was unmounted lazily.
case_identity_overmounted() {
	attach d/disk.qcow2
	cp o/other.qcow2 other.copy
	mount --bind o/other.qcow2 d/disk.qcow2
	image_state replaced "(another file now)"
	by_name d/disk.qcow2
	by_device
	umount d/disk.qcow2
	image_state named
	mount -t tmpfs tmpfs d
	image_state unreachable "(not found by that name)"
	by_device
	cp other.copy d/disk.qcow2
	image_state replaced
	each_by_name d/disk.qcow2
	by_device
	change_device "$dev"
	umount d
	detach
}

after_identity_overmounted() {
	after_pair d/disk.qcow2
}

make_identity_unmounted() {
	make_pair
	truncate -s 24M fs.img
	mkfs.ext4 -q fs.img
}

# The image's filesystem was unmounted lazily, and another has its place.
case_identity_unmounted() {
	mkdir mnt
	mount -o loop fs.img mnt
	mkdir mnt/d
	cp d/disk.qcow2 mnt/d
	cp base.qcow2 mnt
	attach mnt/d/disk.qcow2
	umount -l mnt
	by_device
	mkdir mnt/d
	cp other-base.qcow2 mnt
	cp o/other.qcow2 mnt/d/disk.qcow2
	image_state unreachable
	by_name mnt/d/disk.qcow2
	by_device
	change_device "$dev"
	# The backing file is the attached one, though none has its name.
	qcowctl snapshot delete "$dev" s
	qcowctl commit "$dev" || fail "commit"
	cmp "$dev" disk.copy
	qcowctl stream "$dev" || fail "stream"
	cmp "$dev" disk.copy
	detach
	rm -r mnt
}

after_identity_unmounted() {
	check d/disk.qcow2 base.qcow2
}

make_identity_namespace() {
	make_pair
}

# Another mount namespace, in which the image's folder is another one
case_identity_namespace() {
	attach d/disk.qcow2
	export -f by_name
	export cases_here
	export dev
	unshare -m --propagation private bash -euo pipefail -c '
		. "$cases_here/../../lib/assert.sh"
		mount -t tmpfs tmpfs d
		cp o/other.qcow2 d/disk.qcow2
		by_name d/disk.qcow2' || fail "in the namespace"
	by_device
	export -f by_device stays change_device image_state
	export disk
	unshare -m --propagation private bash -euo pipefail -c '
		. "$cases_here/../../lib/assert.sh"
		mount -t tmpfs tmpfs d
		by_device
		change_device "$dev"
		image_state unreachable
		qcowctl detach "$dev"' || fail "of the device"
	! stays || fail "it was not detached"
}

after_identity_namespace() {
	after_pair d/disk.qcow2
}

# A commit writes to the file that is attached below, not to the one that the image
# names, nor to the one that has its name.
make_identity_commit() {
	create base 1M
	create victim 1M
	create over 1M -b base.qcow2 -F qcow2
	fill over.qcow2 'write -P 5 0 64k'
	mkdir data
	(
		cd data
		qemu-img create -q -f qcow2 -o data_file=below.raw below.qcow2 1M
		qemu-img create -q -f qcow2 -b below.qcow2 -F qcow2 over.qcow2 1M
		fill over.qcow2 'write -P 6 0 64k'
	)
	remember victim.qcow2
}

case_identity_commit() {
	attach over.qcow2
	mv base.qcow2 real.qcow2
	ln victim.qcow2 base.qcow2
	qcowctl info --json "$dev" > info
	is "$PWD/real.qcow2" "$(jq -r '."full-backing-filename"' info)"
	qcowctl commit "$dev"
	operate "$dev" 'read 0 64k 5'
	detach
	rm base.qcow2
	mv real.qcow2 base.qcow2
	# Files that have no name at all by now
	attach data/over.qcow2
	ln data/below.raw kept.raw
	ln data/below.qcow2 kept.qcow2
	rm data/below.raw data/below.qcow2
	qcowctl commit "$dev"
	qcowctl map --json "$dev" > map
	is '[0,65536,1]' "$(jq -c '.[0] | [.start, .length, .depth]' map)"
	detach
	mv kept.raw data/below.raw
	mv kept.qcow2 data/below.qcow2
}

after_identity_commit() {
	unchanged
	check over.qcow2 base.qcow2 victim.qcow2
	holds qcow2 base.qcow2 'read -P 5 0 64k'
	cd data
	check over.qcow2 below.qcow2
	holds qcow2 below.qcow2 'read -P 6 0 64k'
}

# A device that is attached read-only is checked, by the file that is attached.
make_identity_check() {
	create disk 1M
	fill disk.qcow2 'write -P 5 0 64k'
	create v3 1M
	qemu-img bitmap --add v3.qcow2 b
}

case_identity_check() {
	attach -r disk.qcow2
	mv disk.qcow2 moved.qcow2
	echo "no image" > disk.qcow2
	qcowctl check "$dev"
	is "$PWD/moved.qcow2" "$(qcowctl check --json "$dev" | jq -r .filename)"
	refuses "cannot be repaired" qcowctl check --repair=all "$dev"
	detach
	rm disk.qcow2
	mv moved.qcow2 disk.qcow2
	attach -r v3.qcow2
	mv v3.qcow2 moved.qcow2
	is b "$(qcowctl bitmap list --json "$dev" | jq -r '.[].name')"
	qcowctl map --bitmap b "$dev"
	detach
	mv moved.qcow2 v3.qcow2
}

# A command that names a device's diskseq gets no other device of that number.
make_identity_diskseq() {
	create disk 1M
	create over 1M -b disk.qcow2 -F qcow2
	qemu-img snapshot -c s disk.qcow2
	remember disk.qcow2
}

case_identity_diskseq() {
	attach over.qcow2
	qcowwrite diskseq "${dev#/dev/qcow}" "$disk" || fail "diskseq"
	detach
}
