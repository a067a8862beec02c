# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The packages on a machine with systemd and udev, in two boots: images are attached and mounted
# by hand, then by fstab and qcowtab, and each time the machine goes down as it is. The other
# parts have more of all that; this one is for "make test".
vm_cpus=1
# Units that images do not need, and the console's text, cost a third of a boot.
vm_append='loglevel=5 systemd.show_status=error'
for unit in rpcbind.service rpcbind.socket rpc-statd-notify.service systemd-binfmt.service \
	proc-sys-fs-binfmt_misc.automount lvm2-monitor.service lvm2-lvmpolld.socket \
	dm-event.socket systemd-random-seed.service systemd-sysusers.service \
	systemd-update-utmp.service systemd-update-utmp-runlevel.service udisks2.service \
	systemd-logind.service systemd-user-sessions.service run-rpc_pipefs.mount \
	modprobe@{drm,efi_pstore,fuse,loop}.service; do
	vm_append+=" systemd.mask=$unit"
done
vm_new qcow
mkdir files images
echo content > files/file
for name in hand mounted web; do
	image_of_files images/$name.qcow2 files
done
data_disk images.raw 192M images
vm_disk images.raw

expect "boot" vm_boot
step "the packages are installed, and the module is loaded" <<'END'
is running "$(systemctl is-system-running --wait || systemctl --failed)"
is "ii ii" "$(dpkg-query -W -f '${db:Status-Abbrev}' qcow-dkms qcow-utils | xargs)"
is "/lib/modules/$(uname -r)/updates/dkms/qcow.ko" "$(modinfo -F filename qcow)"
is live "$(cat /sys/module/qcow/initstate)"
is "" "$(qcowctl list)"
END
step "attached and mounted by hand" <<'END'
mkdir /mnt/{hand,mounted,web}
mount /dev/disk/by-id/virtio-disk0 /srv
is /dev/qcow0 "$(qcowctl attach --name hand /srv/hand.qcow2)"
mount /dev/qcow/hand-part1 /mnt/hand
mount -t qcow2 -o partition=1 /srv/mounted.qcow2 /mnt/mounted
for i in hand mounted; do
	is content "$(cat /mnt/$i/file)"
	echo by hand > /mnt/$i/file
	dd if=/dev/urandom of=/mnt/$i/data bs=64k count=32 status=none
done
END
step "links and units" <<'END'
for link in by-uuid/$(findmnt -no UUID /mnt/hand) by-id/qcow-_srv_hand.qcow2-part1 ../qcow/hand-part1; do
	is /dev/qcow0p1 "$(readlink -f "/dev/disk/$link")"
	link=$(realpath -ms "/dev/disk/$link")
	is active "$(systemctl is-active "$(systemd-escape -p --suffix=device "$link")")"
done
is active "$(systemctl is-active "qcow-device@qcow0:$(cat /sys/block/qcow0/diskseq).service")"
is "part ext4 /mnt/hand" "$(lsblk -nro TYPE,FSTYPE,MOUNTPOINTS /dev/qcow0p1)"
END
step "something writes while it goes down" <<'END'
systemd-run -q sh -c 'while :; do dd if=/dev/urandom of=/mnt/hand/more bs=64k count=16 status=none; sync; done'
END
step "a fstab and a qcowtab for the next boot" <<'END'
echo 'web /srv/web.qcow2' > /etc/qcowtab
cat >> /etc/fstab <<-X
	/dev/disk/by-id/virtio-disk0 /srv ext4 defaults 0 2
	/dev/qcow/web-part1 /mnt/web ext4 defaults 0 2
	/srv/mounted.qcow2 /mnt/mounted qcow2.ext4 partition=1 0 0
X
END
expect "reboot" vm_stop reboot
expect "reboot: nothing was busy" quiet_stop console-1.log
expect "reboot: the disk of the images" clean_ext4 images.raw
for name in hand mounted; do
	expect "reboot: the image $name" clean_disk $name
	expect "reboot: the data of $name" inner_file /file "by hand"
done

expect "boot with a fstab and a qcowtab" vm_boot
step "attached and mounted at boot" <<'END'
is running "$(systemctl is-system-running --wait || systemctl --failed)"
is active "$(systemctl is-active qcow@web.service)"
is "$(readlink -f /dev/qcow/web-part1)" "$(findmnt -no SOURCE /mnt/web)"
is "content ext4 by hand" "$(cat /mnt/web/file) $(findmnt -no FSTYPE /mnt/mounted) $(cat /mnt/mounted/file)"
is 2 "$(qcowctl list -n | wc -l)"
END
step "a mount of fstab detaches itself, and comes again" <<'END'
umount /mnt/mounted
is /srv/web.qcow2 "$(qcowctl list -nO IMAGE)"
mount /mnt/mounted
mount "$(qcowctl attach /srv/hand.qcow2)p1" /mnt/hand
hand=$(lsblk -ndo PKNAME "$(findmnt -no SOURCE /mnt/hand)")
unit=qcow-device@$hand:$(cat "/sys/block/$hand/diskseq").service
until systemctl -q is-active "$unit"; do sleep 0.1; done
for i in hand mounted web; do
	echo at boot > /mnt/$i/file
done
END
expect "poweroff" vm_poweroff
expect "poweroff: nothing was busy" quiet_stop console-2.log
expect "poweroff: the disk of the images" clean_ext4 images.raw
for name in hand mounted web; do
	expect "poweroff: the image $name" clean_disk $name
	expect "poweroff: the data of $name" inner_file /file "at boot"
done
