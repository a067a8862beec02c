# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# A second device that shows a snapshot of an attached image: it does not change, its
# snapshot is not deleted, and its parent is not detached.

# child_of SNAPSHOT PARENT [ARGUMENTS...]: prints its name
child_of() {
	qcowctl attach --snapshot "$@" || fail "attach --snapshot $*"
}

# attribute DEVICE NAME
attribute() {
	cat "/sys/block/${1#/dev/}/qcow/$2"
}

# gone DEVICE: waits until it is
gone() {
	while [ -e "/sys/block/${1#/dev/}" ]; do
		pause 0.02
	done
}

make_child() {
	create base 8M
	fill base.qcow2 'write -P 1 0 8M'
	create image 16M -b base.qcow2 -F qcow2 -o extended_l2=on
	fill image.qcow2 'write -P 2 1M 1M' 'write -z 3M 100k'
	qemu-img snapshot -c old image.qcow2
	qemu-img convert -O raw image.qcow2 old.raw
	fill image.qcow2 'write -P 3 1200k 1M'
}

case_child() {
	local parent one old name

	attach image.qcow2
	parent=$dev
	operate "$parent" 'write 2m 1m 4'
	qcowctl snapshot create "$parent" one
	cp "$parent" one.raw
	one=$(child_of one "$parent")
	old=$(child_of old "$parent" --direct-io off)
	is "1 ${parent#/dev/} one" "$(cat "/sys/block/${one#/dev/}/ro") $(attribute "$one" parent) $(attribute "$one" snapshot)"
	operate "$parent" 'write 0 4m 7' 'discard 5m 1m' 'zero 8m 1m' 'write 15m 1m 8' flush
	same_content one.raw "$one"
	same_content old.raw "$old"

	# Commands that would change or remove it
	refuses "^qcowctl: $parent: the snapshot is in use by $one" qcowctl snapshot delete "$parent" one
	refuses "the snapshot is in use by $old" qcowctl snapshot delete image.qcow2 1
	exits 1 "$parent is in use:" qcowctl detach "$parent"
	has "^  $one shows its snapshot one$" err
	has "^  $old shows its snapshot old$" err
	exits 1 "$parent is in use:" qcowctl detach image.qcow2
	refuses 'is attached read-only' qcowctl snapshot delete "$one" one
	refuses "shows a snapshot itself; name $parent" qcowctl attach --snapshot old "$one"
	refuses 'has no snapshot with that' qcowctl attach --snapshot none "$parent"
	refuses 'temporary is for images' qcowctl attach --temporary --snapshot one "$parent"
	refuses 'leave out --backing' qcowctl attach --backing none --snapshot one "$parent"
	! operate "$one" 'write 0 4k 1' 2> /dev/null || fail "a snapshot was written"

	# Commands that leave it as it is
	qcowctl snapshot create "$parent" two
	operate "$parent" 'write 1m 300k 9'
	qcowctl snapshot delete "$parent" two
	qcowctl snapshot apply "$parent" one
	same_content one.raw "$parent"
	operate "$parent" 'write 0 16m 10'
	qcowctl resize "$parent" +1M
	is $((16 << 20)) "$(blockdev --getsize64 "$one")"
	refuses 'has snapshots' qcowctl stream "$parent"
	refuses 'has snapshots' qcowctl commit "$parent"
	drop_caches 3
	same_content one.raw "$one"
	same_content old.raw "$old"

	# Commands that name the parent
	qcowctl list -J -b -O name,parent,snapshot image.qcow2 > list.json
	is null "$(jq -r --arg name "$parent" '.qcowdevices[] | select(.name == $name) | .parent' list.json)"
	is "$parent one" "$(jq -r --arg name "$one" '.qcowdevices[] | select(.name == $name) | .parent + " " + .snapshot' list.json)"
	qcowctl info "$one" > info.txt
	has "snapshot of: $parent" info.txt
	is "$parent" "$(qcowctl info --json "$one" | jq -r '.. | ."snapshot-of"? // empty')"
	is "$parent" "$(qcowctl stat -J "$one" | jq -r '.qcowstat[].parent')"

	# It goes first.
	qcowctl detach "$one"
	qcowctl snapshot delete "$parent" one
	qcowctl detach --lazy "$parent"
	is 1 "$(attribute "$parent" autoclear)"
	same_content old.raw "$old"
	qcowctl detach "$old"
	gone "$parent"
	name=$(qcowctl list -n -O image)
	[[ $name != *"$PWD/"* ]] || fail "$name is left"
}

after_child() {
	check image.qcow2
	is old "$(qemu-img info --output=json image.qcow2 | jq -r '.snapshots[].name' | xargs)"
	qemu-img convert -q -l snapshot.name=old -O raw image.qcow2 seen.raw
	# It is as large as the image is now.
	cmp -n "$(stat -c %s old.raw)" old.raw seen.raw || fail "the snapshot"
}

# --- The parent is detached by force, and what is taken over from it ---

make_child_forced() {
	create image 8M
	fill image.qcow2 'write -P 1 0 8M'
	qemu-img snapshot -c one image.qcow2
	truncate -s 4M raw.img
}

case_child_forced() {
	local parent one window bytes

	attach image.qcow2
	parent=$dev
	operate "$parent" 'write 0 64k 2'
	one=$(child_of one "$parent")
	bytes=$(stat -c %s image.qcow2)
	operate "$parent" 'write 64k 64k 2' flush
	qcowctl detach --force "$parent"
	# A shorter file would be damaged for the child.
	[ "$(stat -c %s image.qcow2)" -ge "$bytes" ] || fail "the file was cut off"
	is "" "$(attribute "$one" parent)"
	operate "$one" 'read 0 8m 1'
	# Nobody writes the image, as long as the snapshot is shown.
	refuses "image.qcow2: .*$one" qcowctl attach image.qcow2
	qcowctl detach image.qcow2
	[ ! -e "/sys/block/${one#/dev/}" ] || fail "it is still there"

	attach --offset 1M --size-limit 2M --sector-size 4096 --untrusted image.qcow2
	window=$dev
	one=$(child_of one "$window")
	is "$((2 << 20)) 4096 1048576 1" "$(blockdev --getsize64 "$one") $(blockdev --getss "$one") $(attribute "$one" offset) $(attribute "$one" untrusted)"
	operate "$one" 'read 0 2m 1'
	qcowctl detach "$one"
	qcowctl detach "$window"

	attach -f raw raw.img
	refuses 'has no snapshots' qcowctl attach --snapshot one "$dev"
	detach
	# An image that lies on a device is given a format.
	attach -f raw image.qcow2
	one=$(child_of one "$dev" -f qcow2)
	operate "$one" 'read 0 8m 1'
	qcowctl detach "$one"
	detach
}
