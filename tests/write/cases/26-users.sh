# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# detach names all users of a device, also those that no mount, process or device of the
# usual kind shows.

# in_use DEVICE PATTERN...: detach refuses it, with a line for each user and no other.
in_use() {
	local node=$1 code=0 pattern lines

	shift
	qcowctl detach "$node" > out 2> err || code=$?
	is 1 $code
	mapfile -t lines < err
	[ "${lines[0]}" = "qcowctl: $node is in use:" ] || fail "it says $(cat err)"
	[ ${#lines[@]} -eq $(($# + 2)) ] || fail "users of $node are not $*: $(cat err)"
	for pattern; do
		grep -qxE "  $pattern" err || fail "no '$pattern': $(cat err)"
	done
}

# busy_shell COMMAND: a process, in user_pid, that runs it and then waits
busy_shell() {
	mkfifo ready
	bash -c "$1; echo > '$PWD/ready'; exec sleep 1000" &
	user_pid=$!
	read -r _ < ready
	rm ready
	until [ "$(cat /proc/$user_pid/comm)" = sleep ]; do
		pause 0.02
	done
}

end_shell() {
	kill $user_pid
	wait $user_pid || true
}

make_users() {
	create one 400M
	create two 400M
}

# attach_both: sets one and two.
attach_both() {
	attach one.qcow2
	one=$dev
	attach two.qcow2
	two=$dev
}

detach_both() {
	qcowctl detach "$one" "$two"
}

lazily="on a filesystem that was unmounted lazily"

users_of_btrfs() {
	mkfs.btrfs -q -f -d single -m single "$one" "$two" > log 2>&1 || fail "$(cat log)"
	mount -o device="$two" "$one" $HERE/mnt
	in_use "$two" "$two mounted on $HERE/mnt"
	in_use "$one" "$one mounted on $HERE/mnt"
	grep -qx "$HERE/mnt" <(qcowctl list -nO mountpoints "$two") || fail "list has no mount"
	busy_shell "cd $HERE/mnt"
	umount --lazy $HERE/mnt
	in_use "$two" "$two has the working directory of sleep \(pid $user_pid\), $lazily"
	in_use "$one" "$one has the working directory of sleep \(pid $user_pid\), $lazily"
	end_shell
}

users_of_journals() {
	mke2fs -q -F -O journal_dev "$two"
	mkfs.ext4 -q -F -J device="$two" "$one"
	mount "$one" $HERE/mnt
	in_use "$two" "$two used as the journal of an ext4 filesystem"
	umount $HERE/mnt
	mkfs.xfs -q -f -l logdev="$two",size=64m "$one"
	mount -o logdev="$two" "$one" $HERE/mnt
	in_use "$two" "$two mounted on $HERE/mnt"
	umount $HERE/mnt
}

users_unmounted() {
	mkfs.ext4 -q -F "$one"
	mount "$one" $HERE/mnt
	cp "$(command -v sleep)" $HERE/mnt/sleep
	busy_shell "exec 5< $HERE/mnt/sleep"
	umount --lazy $HERE/mnt
	in_use "$one" "$one has an open file of sleep \(pid $user_pid\), $lazily"
	end_shell
	mount "$one" $HERE/mnt
	$HERE/mnt/sleep 1000 &
	user_pid=$!
	until [ "$(cat /proc/$user_pid/comm)" = sleep ]; do
		pause 0.02
	done
	umount --lazy $HERE/mnt
	in_use "$one" "$one has a mapped file of sleep \(pid $user_pid\), $lazily"
	end_shell
}

users_in_namespaces() {
	mkdir -p $HERE/keep
	mount --bind $HERE/keep $HERE/keep
	mount --make-private $HERE/keep
	touch $HERE/keep/ns $HERE/keep/inner
	unshare --mount=$HERE/keep/ns true
	nsenter --mount=$HERE/keep/ns mount "$one" $HERE/mnt
	in_use "$one" "$one mounted on $HERE/mnt in the mount namespace of $HERE/keep/ns"
	# One that is kept in another
	nsenter --mount=$HERE/keep/ns unshare --mount=$HERE/keep/inner true
	nsenter --mount=$HERE/keep/ns nsenter --mount=$HERE/keep/inner mount "$two" /srv
	in_use "$two" "$two mounted on /srv in the mount namespace of /proc/[0-9]+/root$HERE/keep/inner"
	nsenter --mount=$HERE/keep/ns nsenter --mount=$HERE/keep/inner umount "$two"
	nsenter --mount=$HERE/keep/ns umount $HERE/keep/inner
	# By an open file alone
	exec 5< $HERE/keep/ns
	umount --lazy $HERE/keep/ns
	in_use "$one" "$one mounted on $HERE/mnt in the mount namespace of /proc/[0-9]+/fd/5"
	exec 5<&-
	umount $HERE/keep
}

# Targets for other hosts, zram, a mapping of the device
users_stacked() {
	local nvmet=/sys/kernel/config/nvmet/subsystems/nqn.test iblock=/sys/kernel/config/target/core/iblock_0

	modprobe -a nvmet target_core_mod target_core_iblock zram
	mount -t configfs configfs /sys/kernel/config 2> /dev/null || [ -d /sys/kernel/config/nvmet ]
	mkdir -p $nvmet/namespaces/1
	echo -n "$one" > $nvmet/namespaces/1/device_path
	echo 1 > $nvmet/namespaces/1/enable
	in_use "$one" "$one used by the NVMe target nqn.test"
	echo 0 > $nvmet/namespaces/1/enable
	rmdir $nvmet/namespaces/1 $nvmet
	mkdir -p $iblock/disk
	echo "udev_path=$one" > $iblock/disk/control
	echo "$one" > $iblock/disk/udev_path
	echo 1 > $iblock/disk/enable
	in_use "$one" "$one used by the SCSI target iblock_0"
	rmdir $iblock/disk $iblock
	if [ -e /sys/block/zram0/backing_dev ]; then
		echo "$one" > /sys/block/zram0/backing_dev
		in_use "$one" "$one used by /dev/zram0"
		echo 1 > /sys/block/zram0/reset
	fi
	cat > map.py <<'END'
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
fd = os.open(sys.argv[1], os.O_RDONLY)
if libc.mmap(None, ctypes.c_size_t(4096), 1, 1, fd, ctypes.c_long(0)) in (None, 2**64 - 1):
    sys.exit(1)
os.close(fd)
print("mapped", flush=True)
time.sleep(1000)
END
	mkfifo ready
	python3 map.py "$one" > ready &
	user_pid=$!
	read -r _ < ready
	rm ready
	in_use "$one" "$one mapped by python3[0-9.]* \(pid $user_pid\)"
	end_shell
}

# Nobody is found: where else to look is said.
users_elsewhere() {
	local code=0

	exec 5< "$one"
	unshare --pid --fork --mount-proc bash -c "exec 5<&-; qcowctl detach $one" > out 2> err || code=$?
	is 1 $code
	grep -qx '  1 opener in the kernel, see USERS THAT DO NOT SHOW in qcowctl(8)' err ||
		fail "it says $(cat err)"
	exec 5<&-
}

case_users() {
	mkdir -p $HERE/mnt
	attach_both
	users_of_btrfs
	users_of_journals
	mkfs.ext4 -q -F "$two"
	users_unmounted
	users_in_namespaces
	users_stacked
	users_elsewhere
	detach_both
}
