# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# mount -t qcow2: the filesystems of an image, whose device goes when they are unmounted.

# mounted_from DIR: the device that is mounted there last
mounted_from() {
	findmnt -n -o SOURCE -M "$1" | tail -n1
}

# nothing_attached: right now, without a wait
nothing_attached() {
	is "" "$(left_over)"
}

# goes: the device goes by itself, soon.
goes() {
	for _ in $(seq 100); do
		[ -e /sys/block/qcow0 ] || return 0
		sleep 0.1
	done
	fail "it is still attached"
}

# fails PATTERN MOUNT_ARGUMENTS...: the mount fails as a mount, and leaves nothing attached.
fails() {
	local pattern=$1

	shift
	exits 32 "$pattern" mount -t qcow2 "$@"
	nothing_attached
}

# clean IMAGE: it can be used by others, right now.
clean() {
	nothing_attached
	qemu-img check -q "$1" || fail "$1 is not clean"
}

# several NAME: an image with two ext4s, a minix and something else in partitions
several() {
	truncate -s 32M raw
	sfdisk -q raw <<-'END'
		label: gpt
		start=2048, size=16384, name=first, uuid=11111111-2222-3333-4444-555555555555
		start=18432, size=16384, name=second
		start=34816, size=8192, name=third
		start=43008, size=8192, name=fourth
	END
	mkfs.ext4 -q -F -L root -U aaaaaaaa-0000-0000-0000-000000000001 \
		-E offset=1048576 raw 8M
	mkfs.ext4 -q -F -L "my home" -E offset=$((18432 * 512)) raw 8M
	truncate -s 4M part
	mkfs.minix part > /dev/null
	dd if=part of=raw bs=512 seek=34816 conv=notrunc status=none
	qemu-img convert -O qcow2 raw "$1"
	rm raw part
}

case_mount_only_one() {
	mkdir mnt
	cp "$IMAGES/extra/gpt.qcow2" a.qcow2
	accepts mount -t qcow2 a.qcow2 mnt
	is /dev/qcow0p1 "$(mounted_from mnt)"
	is 0 "$(blockdev --getro /dev/qcow0)"
	is 1 "$(cat /sys/block/qcow0/qcow/autoclear)"
	(cd mnt && sha256sum --quiet -c sums)
	echo written > mnt/new
	accepts umount mnt
	clean a.qcow2
	accepts mount -t qcow2.ext4 -o ro a.qcow2 mnt
	is written "$(cat mnt/new)"
	is 1 "$(blockdev --getro /dev/qcow0)"
	accepts umount mnt
	clean a.qcow2
	# A filesystem that has a program of its own
	cat > /sbin/mount.fake <<-'END'
		#!/bin/sh
		[ "$4" = rw,fakely ] && exec mount -t ext4 "$1" "$2"
	END
	chmod +x /sbin/mount.fake
	accepts mount -t qcow2.fake -o partition=1,fakely a.qcow2 mnt
	rm /sbin/mount.fake
	is written "$(cat mnt/new)"
	umount mnt
	goes
	cp "$IMAGES/extra/fs.qcow2" fs.qcow2
	accepts mount -t qcow2 fs.qcow2 mnt
	is /dev/qcow0 "$(mounted_from mnt)"
	(cd mnt && sha256sum --quiet -c sums)
	accepts umount mnt
	clean fs.qcow2
	# A raw image with its window, and one that is an image no more
	truncate -s 3M raw
	cat "$IMAGES/extra/inner.raw" >> raw
	accepts mount -t qcow2 -o ro,format=raw,image-offset=3M,size-limit=16M raw mnt
	(cd mnt && sha256sum --quiet -c sums)
	umount mnt
	fails 'raw: .*-o format=raw' raw mnt
	# Without a note for umount(8): the device goes all the same.
	accepts mount -n -t qcow2 -o ro fs.qcow2 mnt
	umount mnt
	goes
	clean fs.qcow2
}

case_mount_choice() {
	local which

	several disk.qcow2
	mkdir mnt other
	fails 'disk.qcow2: holds several filesystems' disk.qcow2 mnt
	has '^ +1  ext4 +root +8M  -o partition=1$' err
	has '^ +2  ext4 +my home +8M  -o partition=2$' err
	has '^ +3  minix +third +4M  -o partition=3$' err
	is 4 "$(wc -l < err)"
	for which in 1 root first 11111111-2222-3333-4444-555555555555 \
		AAAAAAAA-0000-0000-0000-000000000001; do
		accepts mount -t qcow2 -o "partition=$which" disk.qcow2 mnt
		is /dev/qcow0p1 "$(mounted_from mnt)"
		accepts umount mnt
		is "" "$(left_over)"
	done
	clean disk.qcow2
	accepts mount -t qcow2 -o 'partition="my home",noatime' disk.qcow2 mnt
	is /dev/qcow0p2 "$(mounted_from mnt)"
	has ' /tmp/case/mnt .*noatime' /proc/self/mountinfo
	# The other partition of the same image, also if only one may write
	accepts mount -t qcow2.minix -o ro disk.qcow2 other
	is /dev/qcow0p3 "$(mounted_from other)"
	is "0 1" "$(blockdev --getro /dev/qcow0p2) $(blockdev --getro /dev/qcow0p3)"
	is qcow0 "$(ls /sys/block | grep qcow)"
	accepts umount mnt
	is qcow0 "$(ls /sys/block | grep qcow)"
	accepts umount other
	clean disk.qcow2
	# The type alone may tell; the driver need not be one of ext4's.
	fails 'has no partition "5"; it has:' -o partition=5 disk.qcow2 mnt
	fails 'has no partition "nobody"; it has:' -o partition=nobody disk.qcow2 mnt
	fails 'partition 4 holds no filesystem' -o partition=4 disk.qcow2 mnt
	exits 32 'holds no xfs filesystem, but ext4 and others' mount -t qcow2.xfs disk.qcow2 mnt
	nothing_attached
	cp "$IMAGES/extra/plain.qcow2" .
	fails '^mount.qcow2: .*plain.qcow2: holds no filesystem; .*mkfs$' plain.qcow2 mnt
	is 1 "$(wc -l < err)"
}

# second PATTERN OPTIONS IMAGE: a second mount is refused, and the first one stays.
second() {
	exits 32 "$1" mount -t qcow2 -o "$2" "$3" other
	is /dev/qcow0p1 "$(mounted_from mnt)"
}

case_mount_shared() {
	local option differs='is mounted from /dev/qcow0 with another value of'

	several disk.qcow2
	mkdir mnt other
	qemu-img create -q -f qcow2 -b disk.qcow2 -F qcow2 over.qcow2
	accepts mount -t qcow2 -o partition=1 over.qcow2 mnt
	for option in sector-size=4096 salvage direct-io=off cache-size=1M backing=none; do
		second "over.qcow2: $differs ${option%=*}; give" "partition=2,$option" over.qcow2
	done
	accepts mount -t qcow2 -o "ro,partition=2,format=qcow2,sector-size=512,backing=$PWD" over.qcow2 other
	is /dev/qcow0p2 "$(mounted_from other)"
	is "0 1" "$(blockdev --getro /dev/qcow0p1) $(blockdev --getro /dev/qcow0p2)"
	exits 32 'qcow0p2 is mounted read-only already' mount -t qcow2 -o partition=2 over.qcow2 mnt
	umount other
	accepts mount -t qcow2 -o partition=2 over.qcow2 other
	echo written > other/new
	exits 32 'already mounted' mount -t qcow2 -o ro,partition=2 over.qcow2 mnt
	umount other mnt
	clean over.qcow2
	# Those that only read have devices of their own.
	accepts mount -t qcow2 -o ro,partition=1 over.qcow2 mnt
	accepts mount -t qcow2 -o ro,partition=2,cache-size=1M over.qcow2 other
	is /dev/qcow1p2 "$(mounted_from other)"
	is written "$(cat other/new)"
	umount other mnt
	clean over.qcow2
	# A throwaway mount, next to another
	accepts mount -t qcow2 -o partition=1,temporary=. over.qcow2 mnt
	accepts mount -t qcow2 -o ro,partition=1 over.qcow2 other
	is /dev/qcow1p1 "$(mounted_from other)"
	echo gone > mnt/later
	[ ! -e other/later ] || fail "it shows a throwaway disk"
	umount mnt other
	clean over.qcow2
	# Killed when the device is there, and nothing has opened it
	for option in partition=1 partition=1,ro; do
		run strace -o /dev/null -P /dev/qcow0 -e trace=openat \
			-e inject=openat:signal=KILL:when=1 mount.qcow2 over.qcow2 mnt -o $option
		is 137 "$code"
		goes
	done
	clean over.qcow2
}

case_mount_read_only() {
	mkdir mnt other fs
	# A filesystem, a snapshot of it, and another state
	cp "$IMAGES/extra/fs.qcow2" a.qcow2
	qemu-img snapshot -c before a.qcow2
	mount -t qcow2 a.qcow2 mnt
	echo later > mnt/later
	umount mnt
	accepts mount -t qcow2 -o snapshot=before a.qcow2 mnt
	[ ! -e mnt/later ] || fail "it is no snapshot"
	is 1 "$(blockdev --getro /dev/qcow0)"
	umount mnt
	clean a.qcow2
	fails 'a.qcow2: .*snapshot' -o snapshot=after a.qcow2 mnt
	# A snapshot that can be written for a while
	sha256sum a.qcow2 > sums
	accepts mount -t qcow2 -o temporary=.,snapshot=before a.qcow2 mnt
	[ ! -e mnt/later ] || fail "it is no snapshot"
	echo gone > mnt/later
	umount mnt
	sha256sum --quiet -c sums || fail "the image was written"
	# The same image twice
	accepts mount -t qcow2 -o ro a.qcow2 mnt
	accepts mount -t qcow2 -o ro a.qcow2 other
	is "$(mounted_from mnt)" "$(mounted_from other)"
	exits 32 'a.qcow2: in use: .*/dev/qcow0' mount -t qcow2 a.qcow2 other
	umount other
	is later "$(cat mnt/later)"
	umount mnt
	clean a.qcow2
	# The image lies where nobody can write.
	mount -t tmpfs tmpfs fs
	cp a.qcow2 fs
	mount -o remount,ro fs
	run mount -t qcow2 fs/a.qcow2 mnt
	is 0 "$code"
	has 'fs/a.qcow2: cannot be opened for writing, mounting it read-only' err
	has ' /tmp/case/mnt ro' /proc/self/mountinfo
	umount mnt
	umount fs
	# Attached by hand: that device is nobody's to detach.
	dev=$(qcowctl attach a.qcow2)
	exits 32 'a.qcow2: in use: .*/dev/qcow0' mount -t qcow2 a.qcow2 mnt
	is 1 "$(qcowctl list -n | wc -l)"
	detach "$dev"
	clean a.qcow2
}

case_mount_fstab() {
	several disk.qcow2
	mkdir mnt home
	cat > fstab <<-END
		$PWD/disk.qcow2 $PWD/mnt qcow2.minix defaults,nofail,_netdev,x-systemd.automount,comment=x 0 0
		$PWD/disk.qcow2 $PWD/home qcow2 partition=my\\040home,user,exec 0 0
		$PWD/missing.qcow2 $PWD/mnt qcow2 nofail 0 0
	END
	for _ in 1 2; do
		run mount -a -T fstab
		is 0 "$code"
		is "" "$(cat out err)"
		is /dev/qcow0p3 "$(mounted_from mnt)"
		is /dev/qcow0p2 "$(mounted_from home)"
		is 2 "$(grep -c ' /tmp/case/' /proc/self/mountinfo)"
	done
	has ' /tmp/case/home .*nosuid,nodev' /proc/self/mountinfo
	! grep -q ' /tmp/case/home .*noexec' /proc/self/mountinfo || fail "exec is lost"
	# Other options of a mount
	accepts mount -T fstab -o remount,ro "$PWD/home"
	has ' /tmp/case/home ro' /proc/self/mountinfo
	# By directory, which waits, and then by image
	accepts umount mnt
	is /dev/qcow0p2 "$(mounted_from home)"
	accepts umount home
	clean disk.qcow2
	# Both at once: one attaches the image, the other uses that device.
	accepts mount -a -F -T fstab
	is /dev/qcow0p3 "$(mounted_from mnt)"
	is /dev/qcow0p2 "$(mounted_from home)"
	accepts umount.qcow2 disk.qcow2
	clean disk.qcow2
	is "" "$(grep ' /tmp/case/' /proc/self/mountinfo)"
	[ ! -e /run/mount/utab ] || ! grep -q qcow /run/mount/utab || fail "left in utab"
	exits 32 'disk.qcow2: is not mounted' umount.qcow2 disk.qcow2
	# Somebody else uses the device: the mount goes, the device stays.
	mount -t qcow2 -o partition=1 disk.qcow2 mnt
	mount --bind mnt home
	accepts umount mnt
	is /dev/qcow0p1 "$(mounted_from home)"
	# There is no note for umount(8) of this one.
	accepts umount home
	goes
}

# waits_or_ends PID: a mount waits for another one of its image, or has ended.
waits_or_ends() {
	for _ in $(seq 600); do
		[ -d "/proc/$1" ] && ! grep -q -- '-> OFDLCK' /proc/locks || return 0
		sleep 0.1
	done
	fail "process $1 does neither"
}

case_mount_together() {
	local writer reader

	several disk.qcow2
	mkdir mnt other again
	# Stops where the device is there, and nothing is mounted
	cat > /sbin/mount.slow <<-'END'
		#!/bin/sh
		: > /tmp/case/begun
		until [ -e /tmp/case/go ]; do sleep 0.1; done
		exec mount -t ext4 "$1" "$2"
	END
	chmod +x /sbin/mount.slow
	mount -t qcow2 -o partition=2 disk.qcow2 other
	mount -t qcow2.slow -o partition=1 disk.qcow2 mnt 2> err.writer &
	writer=$!
	until [ -e begun ]; do sleep 0.1; done
	mount -t qcow2 -v -o ro,partition=1 disk.qcow2 again 2> err.reader &
	reader=$!
	waits_or_ends $reader
	: > go
	wait $writer || fail "the writer: $(cat err.writer)"
	is "" "$(cat err.writer)"
	has ' /tmp/case/mnt rw' /proc/self/mountinfo
	! wait $reader || fail "the reader has mounted"
	has 'disk.qcow2: another mount of this image is not done yet; waiting for it' err.reader
	has 'already mounted' err.reader
	rm /sbin/mount.slow
	umount mnt other
	clean disk.qcow2
}

# in_namespace PID: prints the filesystem on mnt in that process's namespace
in_namespace() {
	grep ' /tmp/case/mnt ' "/proc/$1/mountinfo" | grep -o 'ext4 /dev/qcow[^ ]*'
}

# For another mount namespace, such as a container's
case_mount_namespace() {
	local other

	mkdir mnt
	cp "$IMAGES/extra/gpt.qcow2" a.qcow2
	unshare --mount --propagation private sleep 100 &
	other=$!
	until [ "$(readlink /proc/$other/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ]; do sleep 0.1; done
	accepts mount -N $other -t qcow2 "$PWD/a.qcow2" "$PWD/mnt"
	is "ext4 /dev/qcow0p1" "$(in_namespace $other)"
	is "" "$(mounted_from mnt)"
	exits 32 'is mounted from /dev/qcow0 with another value' mount -t qcow2 -o ro,sector-size=4096 a.qcow2 mnt
	accepts umount -N $other "$PWD/mnt"
	is "" "$(in_namespace $other)"
	clean a.qcow2
	exits 32 'mnt: ' mount -N $other -t qcow2.xfs -o partition=1 "$PWD/a.qcow2" "$PWD/mnt"
	nothing_attached
	# It goes with the namespace.
	accepts mount -N $other -t qcow2 "$PWD/a.qcow2" "$PWD/mnt"
	kill $other
	goes
	clean a.qcow2
}

# The other ways to unmount
case_umount_letters() {
	mkdir mnt
	cp "$IMAGES/extra/gpt.qcow2" a.qcow2
	# Busy: refused; then read-only in its place; then at the last close
	mount -t qcow2 a.qcow2 mnt
	exec 9> mnt/open
	exits 32 'mnt: .*busy' umount mnt
	is /dev/qcow0p1 "$(mounted_from mnt)"
	exec 9>&-
	exec 9< mnt/open
	accepts umount -r mnt
	has ' /tmp/case/mnt ro' /proc/self/mountinfo
	accepts umount -l mnt
	is "" "$(mounted_from mnt)"
	is 1 "$(cat /sys/block/qcow0/qcow/autoclear)"
	exec 9<&-
	goes
	clean a.qcow2
	# By the image's name
	mount -t qcow2 a.qcow2 mnt
	exec 9< mnt/open
	accepts umount.qcow2 -l a.qcow2
	is "" "$(mounted_from mnt)"
	exec 9<&-
	goes
	mount -t qcow2 a.qcow2 mnt
	accepts umount -f mnt
	clean a.qcow2
}

case_mount_forced_read_only() {
	several disk.qcow2
	mkdir mnt
	# As the kernel answers for a medium such as a CD
	run strace -o /dev/null -e trace=mount -e inject=mount:error=EACCES:when=1 \
		mount.qcow2 disk.qcow2 mnt -o partition=1
	is "0 mount.qcow2: mnt: WARNING: source write-protected, mounted read-only" "$code $(cat err)"
	has ' /tmp/case/mnt ro' /proc/self/mountinfo
	umount mnt
	clean disk.qcow2
}

# netdev yes|no IMAGE [OPTIONS]: whether a mount of the image is noted to need the network
netdev() {
	local noted=no

	accepts mount -t qcow2 ${3+-o "$3"} "$2" mnt
	! grep -q ' TARGET=/tmp/case/mnt .*_netdev' /run/mount/utab || noted=yes
	is "$1" "$noted"
	umount mnt
	clean "$2"
}

case_mount_netdev() {
	mkdir mnt net
	mount -t tmpfs -o _netdev tmpfs net
	cp "$IMAGES/extra/gpt.qcow2" local.qcow2
	cp local.qcow2 net/far.qcow2
	qemu-img create -q -f qcow2 -b net/far.qcow2 -F qcow2 over.qcow2
	qemu-img create -q -f qcow2 -b over.qcow2 -F qcow2 top.qcow2
	netdev no local.qcow2
	netdev yes local.qcow2 _netdev
	netdev yes net/far.qcow2
	netdev yes net/far.qcow2 ro
	netdev yes top.qcow2
	mount -t qcow2 net/far.qcow2 mnt
	mount -o remount,ro mnt
	has ' TARGET=/tmp/case/mnt .*_netdev' /run/mount/utab
	umount mnt
	umount net
}

case_mount_key() {
	cp /images/crypt/luks-2 luks
	mkdir mnt
	dev=$(qcowctl attach --key-file /images/crypt/key luks)
	mkfs.ext4 -q -F "$dev"
	detach
	accepts mount -t qcow2 -o key-file=/images/crypt/key luks mnt
	echo secret > mnt/file
	umount mnt
	nothing_attached
	accepts mount -t qcow2 -o ro,key-file=/images/crypt/key luks mnt
	is secret "$(cat mnt/file)"
	umount mnt
	fails 'luks: wrong passphrase' -o key-file=/images/crypt/other luks mnt
	fails 'luks: is encrypted, and there is no terminal .*-o key-file=FILE' luks mnt
	is 1 "$(wc -l < err)"
	cp "$IMAGES/extra/fs.qcow2" .
	fails 'is not encrypted; leave out -o key-file=' -o key-file=/images/crypt/key fs.qcow2 mnt
}

# ends_by_interrupt DELAY: a mount that ends by SIGINT leaves a mount or nothing.
ends_by_interrupt() {
	local pid

	# The shell has its background jobs ignore SIGINT.
	env --default-signal=INT mount.qcow2 a.qcow2 mnt 2> /dev/null &
	pid=$!
	sleep "$1"
	kill -INT $pid 2> /dev/null || :
	wait $pid || :
	[ "$(mounted_from mnt)" = "" ] || umount mnt
	goes
}

case_mount_fails() {
	local delay

	mkdir mnt
	cp "$IMAGES/extra/gpt.qcow2" a.qcow2
	fails 'nowhere: cannot be mounted on: No such file' a.qcow2 nowhere
	fails 'a.qcow2: is no directory' a.qcow2 a.qcow2
	fails 'missing.qcow2: .*No such file' missing.qcow2 mnt
	fails 'mount.qcow2: partiton: neither mount.qcow2 nor ext4 takes this option' \
		-o partiton=1 a.qcow2 mnt
	fails 'mount.qcow2: commit: neither .* with that value' -o commit=often a.qcow2 mnt
	exits 32 "mnt: .*nosuchfs" mount -t qcow2.nosuchfs -o partition=1 a.qcow2 mnt
	nothing_attached
	exits 32 'mnt: ' mount -t qcow2.xfs -o partition=1 a.qcow2 mnt
	nothing_attached
	# A journal to replay, on a device that is read-only
	mount -t qcow2 a.qcow2 mnt
	cp mnt/file1 mnt/copy
	sync
	cp a.qcow2 unclean.qcow2
	umount mnt
	fails 'mnt: .*noload' -o ro unclean.qcow2 mnt
	accepts mount -t qcow2 -o ro,noload unclean.qcow2 mnt
	umount mnt
	# A throwaway device is writable: the journal is replayed, and not in the image.
	sha256sum unclean.qcow2 > sums
	accepts mount -t qcow2 -o temporary=. unclean.qcow2 mnt
	has ' /tmp/case/mnt rw' /proc/self/mountinfo
	cmp mnt/file1 mnt/copy
	accepts umount mnt
	nothing_attached
	sha256sum --quiet -c sums || fail "the image was written"
	# A fake mount attaches nothing.
	accepts mount -f -t qcow2 a.qcow2 mnt
	nothing_attached
	for delay in 0.2 0.4 0.7; do
		ends_by_interrupt $delay
	done
	clean a.qcow2
}
