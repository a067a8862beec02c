# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The root filesystem in an image on a disk of the host, with an initramfs that
# initramfs-tools makes. It is written, and clean after a reboot and a poweroff.

vm_new qcow
mkdir -p empty
data_disk scratch.raw 200M empty
vm_disk scratch.raw
expect "boot" vm_boot
step "an initramfs" <<'END'
mount /dev/disk/by-id/virtio-disk0 /mnt
mkinitramfs -o /mnt/without
echo QCOW=y > /etc/initramfs-tools/conf.d/qcow
mkinitramfs -o /mnt/initrd
lsinitramfs /mnt/initrd > list
has '^usr/sbin/qcowctl$' list
has 'qcow\.ko' list
lsinitramfs /mnt/without > list
! grep -E 'qcow\.ko|qcowctl' list
umount /mnt
sed -i 's|^/dev/vda|/dev/qcow/root|' /etc/fstab
END
expect "poweroff" vm_poweroff
take scratch.raw /initrd initrd

mkdir host
qemu-img convert -f qcow2 -O qcow2 system.qcow2 host/root.qcow2
truncate -s 4G host.raw
mke2fs -q -t ext4 -E root_owner=0:0,lazy_itable_init=1 -d host host.raw
rm -r host scratch.raw system.qcow2
qemu-img create -q -f qcow2 system.qcow2 1M
vm_disks=(host.raw)
vm_initrd=initrd
vm_append='qcow=/dev/vdb:/root.qcow2:cache-size=16M root=/dev/qcow/root'

# clean_root: the disk, the image on it, and the filesystem in that
clean_root() {
	clean_ext4 host.raw || return 1
	rm -f root.qcow2 root.raw
	take host.raw /root.qcow2 root.qcow2
	qemu-img check -q root.qcow2 > why.image 2>&1 || { cat why.image; return 1; }
	qemu-img convert -O raw root.qcow2 root.raw
	rm root.qcow2
	clean_ext4 root.raw
}

expect "boot from the image" vm_boot
step "the root filesystem is in the image, and is written" <<'END'
is "$(realpath /dev/qcow/root)" "$(realpath "$(findmnt -no SOURCE /)")"
is /run/qcow/host/root.qcow2 "$(qcowctl list -no IMAGE)"
dd if=/dev/urandom of=/var/tmp/data bs=1M count=30 status=none
sha256sum /var/tmp/data > /var/tmp/sum
END
expect "reboot" vm_stop reboot
expect "reboot: all is clean" clean_root
expect "boot again" vm_boot
step "the data is there" <<'END'
sha256sum -c --quiet /var/tmp/sum
echo more > /var/tmp/file
is running "$(systemctl is-system-running || systemctl --failed)"
END
expect "the second poweroff" vm_poweroff
expect "poweroff: all is clean" clean_root
rm -f inner.file
take root.raw /var/tmp/file inner.file
expect "poweroff: the last file" is more "$(cat inner.file)"
rm -f root.raw
vm_initrd='' vm_append=''
