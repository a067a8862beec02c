# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# The ways to detach, and files below a device that are cut off or deleted.

# hold DEVICE [read]: a process that has it open
hold() {
	mkfifo hold
	qcowtest hold "$@" < hold > hold.log 2>&1 &
	hold_pid=$!
	exec 8> hold
	for _ in $(seq 100); do
		grep -q open hold.log && return
		sleep 0.05
	done
	fail "cannot open the device"
}

end_hold() {
	exec 8>&-
	wait $hold_pid || true
	rm hold
}

# in_use DEVICE USER...: detach says this, word for word.
in_use() {
	local code=0 user

	{
		echo "qcowctl: $1 is in use:"
		shift
		for user; do
			echo "  $user"
		done
		echo "Use --lazy to detach at last close, --force to fail its I/O now."
	} > expected
	qcowctl detach "$dev" > out 2> err || code=$?
	is 1 $code
	[ ! -s out ] || fail "something is on stdout"
	diff expected err
}

gone() {
	for _ in $(seq 50); do
		[ -e "$dev" ] || [ -e "/sys/block/qcow$index" ] || return 0
		sleep 0.1
	done
	fail "$dev is still there"
}

case_detach_mounted() {
	mkdir "mount point" mnt
	attach "$IMAGES/extra/fs.qcow2"
	mount -o ro "$dev" "mount point"
	in_use "$dev" "$dev mounted on $PWD/mount point"
	umount "mount point"
	detach
	attach "$IMAGES/extra/gpt.qcow2"
	mount -o ro "${dev}p1" mnt
	in_use "$dev" "${dev}p1 mounted on $PWD/mnt"
	(cd mnt && sha256sum --quiet -c sums)
	umount mnt
	detach
	gone
}

case_detach_open() {
	attach "$IMAGES/extra/gpt.qcow2"
	hold "$dev"
	in_use "$dev" "$dev open by qcowtest (pid $hold_pid)"
	end_hold
	hold "${dev}p2"
	in_use "$dev" "${dev}p2 open by qcowtest (pid $hold_pid)"
	end_hold
	detach
	gone
}

# udisks and udev have other programs look at a new disk for a moment.
case_detach_probed() {
	attach "$IMAGES/extra/plain.qcow2"
	printf '#!/bin/sh\nsleep 1 < "$1"\ntrue\n' > udisksd
	chmod +x udisksd
	./udisksd "$dev" &
	for _ in $(seq 100); do
		[ "$(cat "/sys/block/qcow$index/qcow/openers")" -eq 0 ] || break
		sleep 0.01
	done
	detach
	wait
	gone
}

case_detach_used_below() {
	attach "$IMAGES/extra/gpt.qcow2"
	dmsetup create over --table "0 2048 linear ${dev}p2 0"
	in_use "$dev" "${dev}p2 used by /dev/dm-0 (over)"
	dmsetup remove over
	loop=$(losetup -r -f --show "$dev")
	in_use "$dev" "$dev used by $loop"
	losetup -d "$loop"
	detach
}

case_detach_by_image() {
	attach "$IMAGES/extra/gpt.qcow2"
	qcowctl detach "$IMAGES/extra/gpt.qcow2"
	gone
	attach "$IMAGES/extra/gpt.qcow2"
	qcowctl detach "${dev#/dev/}"
	gone
	refuses 'qcow' qcowctl detach "$dev"
	refuses 'gpt.qcow2' qcowctl detach "$IMAGES/extra/gpt.qcow2"
}

case_detach_lazy() {
	attach "$IMAGES/extra/plain.qcow2"
	hold "$dev"
	qcowctl detach --lazy "$dev"
	same_content "$IMAGES/extra/plain.raw" "/proc/$hold_pid/fd/3"
	[ -e "$dev" ] || fail "it is gone before the last close"
	end_hold
	gone
	# Nobody has it open: at once
	attach "$IMAGES/extra/plain.qcow2"
	qcowctl detach --lazy "$dev"
	gone
}

case_detach_lazy_mounted() {
	mkdir mnt
	attach "$IMAGES/extra/gpt.qcow2"
	mount -o ro "${dev}p1" mnt
	qcowctl detach --lazy "$dev"
	(cd mnt && sha256sum --quiet -c sums)
	umount mnt
	gone
}

case_detach_force() {
	attach "$IMAGES/extra/plain.qcow2"
	hold "$dev" read
	sleep 0.5
	timeout 10 qcowctl detach --force "$dev" || fail "not detached"
	[ ! -e "/sys/block/qcow$index" ] || fail "it is still there"
	for _ in $(seq 50); do
		[ "$(wc -l < hold.log)" = 2 ] && break
		sleep 0.1
	done
	# The kernel gives a dead disk a size of 0, so a read that begins after
	# that meets the end of the disk and no error.
	grep -qxE 'EIO|EOF' <(tail -n 1 hold.log) || fail "$(cat hold.log)"
	# Its number is free again.
	attach "$IMAGES/extra/over.qcow2"
	same_content "$IMAGES/extra/over.raw" "$dev"
	end_hold
	detach
}

case_detach_force_mounted() {
	mkdir mnt
	attach "$IMAGES/extra/gpt.qcow2"
	mount -o ro "${dev}p1" mnt
	timeout 10 qcowctl detach --force "$dev" || fail "not detached"
	echo 3 > /proc/sys/vm/drop_caches
	! cat mnt/file7 > /dev/null 2>&1 || fail "a file of a dead disk can be read"
	umount mnt
	gone
}

case_detach_all() {
	for name in plain over gpt; do
		attach "$IMAGES/extra/$name.qcow2"
	done
	qcowctl detach --all
	is "" "$(qcowctl list -n)"
	qcowctl detach --all
}

case_detach_lazy_state() {
	attach "$IMAGES/extra/plain.qcow2"
	is 0 "$(cat "/sys/block/qcow$index/qcow/autoclear")"
	is 0 $(($(qcowtest status "$index" state) & 1))
	hold "$dev"
	qcowctl detach --lazy "$dev"
	is 1 "$(cat "/sys/block/qcow$index/qcow/autoclear")"
	is 1 $(($(qcowtest status "$index" state) & 1))
	end_hold
	gone
}

case_rmmod_busy() {
	attach "$IMAGES/extra/plain.qcow2"
	! rmmod qcow 2> err || fail "the module is gone"
	has 'in use' err
	same_content "$IMAGES/extra/plain.raw" "$dev"
	detach
	rmmod qcow
	insmod "$QCOW_MODULE"
}

case_storm() {
	cp "$IMAGES/extra/plain.qcow2" .
	qemu-img snapshot -c shown plain.qcow2
	qcowtest storm "${QCOW_STORM:-10}" plain.qcow2 "$IMAGES/extra/plain.raw"
}

# As after a crash of a download: a read beyond the file's end fails, and gives no zeros.
case_file_truncated() {
	mkdir fs
	mount -t tmpfs tmpfs fs
	cp "$IMAGES/extra/plain.qcow2" fs/
	attach fs/plain.qcow2
	is ok "$(qcowtest read "$dev" 7987200 4096 direct)"
	truncate -s 2M fs/plain.qcow2
	is EIO "$(qcowtest read "$dev" 7987200 4096 direct || true)"
	is ok "$(qcowtest read "$dev" 0 4096 direct)"
	is EIO "$(qcowtest read "$dev" 7987200 4096 || true)"
	detach
}

case_file_truncated_direct() {
	mkfs.xfs -q -f /dev/vdd
	mkdir fs
	mount /dev/vdd fs
	cp "$IMAGES/extra/par-zlib.qcow2" "$IMAGES/extra/plain.qcow2" fs/
	attach --direct-io on fs/plain.qcow2
	truncate -s 2M fs/plain.qcow2
	is EIO "$(qcowtest read "$dev" 7987200 4096 direct || true)"
	is ok "$(qcowtest read "$dev" 0 4096 direct)"
	detach
	attach fs/par-zlib.qcow2
	truncate -s 1M fs/par-zlib.qcow2
	is EIO "$(qcowtest read "$dev" $((15 << 20)) 1048576 direct || true)"
	detach
}

case_file_deleted() {
	mkdir fs
	mount -t tmpfs tmpfs fs
	cp "$IMAGES/extra/plain.qcow2" fs/
	attach fs/plain.qcow2
	rm fs/plain.qcow2
	same_content "$IMAGES/extra/plain.raw" "$dev"
	qcowctl list | grep 'plain.qcow2'
	qcowctl list -J | jq -e '.qcowdevices[0].image' > /dev/null
	detach
}
