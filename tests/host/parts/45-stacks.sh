# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Devices in stacks: images on LVM and on NFS; device-mapper, LVM and an NVMe target above a
# device. Suspend, kexec, poweroff and reboot with all of them in use, and each ends clean.

vm_new qcow
truncate -s 400M pv.raw
mkdir -p empty
data_disk export.raw 200M empty
vm_disk pv.raw export.raw
expect "boot" vm_boot
step "images on LVM and on NFS" <<'END'
pvcreate -q /dev/disk/by-id/virtio-disk0
vgcreate -q host /dev/disk/by-id/virtio-disk0
lvcreate -q -n srv -L 350M host
mkfs.ext4 -q /dev/host/srv
rm /etc/systemd/system/nfs-server.service
# The server is of this machine's own mounts: it stops after them, and before /export.
mkdir /etc/systemd/system/nfs-server.service.d
cat > /etc/systemd/system/nfs-server.service.d/order.conf <<'X'
[Unit]
Conflicts=umount.target
Before=umount.target net.mount
RequiresMountsFor=/export
X
systemctl daemon-reload
mkdir -p /export
echo '/export 127.0.0.1(rw,no_root_squash,no_subtree_check,fsid=1)' > /etc/exports
cat > /usr/local/sbin/stacks <<'X'
#!/bin/bash
# stacks new|old: attaches and mounts all, by hand. Old ones are looked at before.
set -e

# closed DEVICE: its ext4 has no journal to replay.
closed() {
	! dumpe2fs -h "$1" 2>&1 | grep needs_recovery
}

if [ "$1" = old ]; then
	closed /dev/host/srv
	closed /dev/disk/by-id/virtio-disk1
fi
mkdir -p /srv /net /mnt/{plain,dm,lvm,nfs,mounted}
mount /dev/host/srv /srv
mount /dev/disk/by-id/virtio-disk1 /export
systemctl start nfs-server
mount -t nfs -o vers=4.2 127.0.0.1:/export /net
for image in /srv/{plain,dm,lvm,target}.qcow2 /net/nfs.qcow2; do
	if [ "$1" = new ]; then
		qcowctl create $image 40M
	else
		qcowctl check $image > check.log || { cat check.log; exit 1; }
	fi
	qcowctl attach --name "$(basename $image .qcow2)" $image
done
image=/net/mounted.qcow2
if [ "$1" = new ]; then
	qcowctl create $image 40M
	device=$(qcowctl attach $image)
	mkfs.ext4 -q $device
else
	qcowctl check $image > check.log || { cat check.log; exit 1; }
	device=$(qcowctl attach -r $image)
	closed $device
fi
qcowctl detach $device
dmsetup create upper --table "0 81920 linear /dev/qcow/dm 0"
if [ "$1" = new ]; then
	pvcreate -q /dev/qcow/lvm
	vgcreate -q inner /dev/qcow/lvm
	lvcreate -q -n disk -L 32M inner
else
	vgchange -q -ay inner
fi
for device in qcow/plain mapper/upper inner/disk qcow/nfs; do
	if [ "$1" = new ]; then
		mkfs.ext4 -q /dev/$device
	else
		closed /dev/$device
	fi
done
mount /dev/qcow/plain /mnt/plain
mount /dev/mapper/upper /mnt/dm
mount /dev/inner/disk /mnt/lvm
# Without that systemd takes it for a local filesystem, which outlives the network.
mount -o _netdev /dev/qcow/nfs /mnt/nfs
# That adds the option itself.
mount -t qcow2 $image /mnt/mounted
for i in plain dm lvm nfs mounted; do
	[ "$1" = new ] || [ "$(cat /mnt/$i/file)" = before ]
	dd if=/dev/urandom of=/mnt/$i/data bs=64k count=100 status=none
	echo before > /mnt/$i/file
done
X
chmod +x /usr/local/sbin/stacks
stacks new
END
step "suspend while a disk is written" <<'END'
(for _ in $(seq 40); do dd if=/dev/urandom of=/mnt/plain/data bs=64k count=50 conv=fsync status=none; done) &
writer=$!
for level in freezer devices; do
	echo $level > /sys/power/pm_test
	echo freeze > /sys/power/state
done
echo none > /sys/power/pm_test
dmesg > log
is 2 "$(grep -c 'suspend debug: Waiting' log)"
echo 3 > /proc/sys/vm/drop_caches
kill $writer || true
wait $writer || true
is before "$(cat /mnt/plain/file)"
qcowctl list
END

# The next kernel runs in the same QEMU: it is ready when the agent says so again.
kexec_boot() {
	local line

	guest_send <<< 'kexec -l /vmlinuz --initrd=/initrd.img --reuse-cmdline && systemctl --no-block kexec'
	while vm_line $BOOT_LIMIT; do
		[[ $line != ready* ]] || return 0
	done
	tail -n 20 "${vm_console:?}"
	return 1
}

# nothing_left CONSOLE: systemd came to its end, and qcow-shutdown had nothing to do.
nothing_left() {
	grep -aq 'systemd-shutdown.*: All filesystems.*detached' "$1" || return
	! grep -aE 'systemd-shutdown.*(Could not|Failed|busy)|qcow-shutdown' "$1"
}

expect "kexec" kexec_boot
expect "kexec: it was one" grep -aq 'kexec_core: Starting new kernel' "$vm_console"
expect "kexec: nothing was left at the end" nothing_left "$vm_console"
step "kexec: all is clean" <<'END'
is "" "$(qcowctl list)"
stacks old
END
# A target of the kernel, and a filesystem that is frozen, which nobody can thaw once it is
# unmounted
step "users that no process is" <<'END'
modprobe nvmet
target=/sys/kernel/config/nvmet/subsystems/q
mkdir -p $target/namespaces/1
realpath /dev/qcow/target > $target/namespaces/1/device_path
echo 1 > $target/namespaces/1/enable
dd if=/dev/urandom of=/dev/qcow/target bs=1M count=5 conv=fsync status=none
! qcowctl detach /dev/qcow/target 2> /dev/null
fsfreeze -f /mnt/plain
END
target=$(guest realpath /dev/qcow/target)
plain=$(guest realpath /dev/qcow/plain)
expect "poweroff" vm_poweroff
expect "poweroff: the target's device was detached by force" \
	grep -aq "qcow-shutdown: ${target:-none}: is still in use, detaching it by force" "$vm_console"
expect "poweroff: and that of the frozen filesystem" \
	grep -aq "qcow-shutdown: ${plain:-none}: is still in use, detaching it by force" "$vm_console"
expect "poweroff: the disk of the NFS server" clean_ext4 export.raw
expect "poweroff: the image on NFS" clean_image export.raw /nfs.qcow2
expect "poweroff: an image on NFS that mount attached" clean_image export.raw /mounted.qcow2
expect "boot" vm_boot
step "poweroff: all is clean" <<'END'
e2fsck -fn /dev/host/srv
stacks old
END
expect "reboot" vm_stop reboot
expect "reboot: nothing was left at the end" nothing_left "$vm_console"
expect "reboot: the disk of the NFS server" clean_ext4 export.raw
# The first volume of a new group begins behind the first MiB.
dd if=pv.raw of=srv.raw bs=1M skip=1 count=352 conv=sparse status=none
expect "reboot: the filesystem on LVM" clean_ext4 srv.raw
for image in srv/plain srv/dm srv/lvm srv/target export/nfs export/mounted; do
	rm -f image.qcow2
	take "${image%/*}.raw" "/${image#*/}.qcow2" image.qcow2
	expect "reboot: $image" qemu-img check -q image.qcow2
done
