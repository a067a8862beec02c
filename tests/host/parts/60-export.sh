# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A device of qcowtab that is exported at each boot, by units of systemd. The machine is the
# other host as well, over the loopback interface.
vm_new qcow
mkdir files
qemu-img create -q -f qcow2 files/disk.qcow2 64M
qemu-img create -q -f qcow2 files/hand.qcow2 64M
data_disk data.raw 256M files
vm_disk data.raw

# The other host's part, a file that steps source
cat > other.sh <<'END'
host=nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555

# connect NQN: connects, and sets remote, the disk.
connect() {
	local nqn=$1 name

	modprobe nvme-tcp
	echo "transport=tcp,traddr=127.0.0.1,trsvcid=4420,nqn=$nqn,hostnqn=$host,hostid=${host##*:},nr_io_queues=1,reconnect_delay=1" \
		> /dev/nvme-fabrics
	name=$(grep -l "^$nqn$" /sys/class/nvme-subsystem/*/subsysnqn)
	until remote=$(ls "${name%/*}" | grep -x 'nvme[0-9]*n[0-9]*') && [ -b "/dev/$remote" ]; do
		sleep 0.2
	done
	udevadm settle
}

disconnect() {
	echo 1 | tee /sys/class/nvme/nvme*/delete_controller > /dev/null
}
END

expect "boot" vm_boot
put other.sh /root/other.sh
step "an export by qcowtab" <<'END'
. /root/other.sh
echo '/dev/disk/by-id/virtio-disk0 /srv ext4 defaults 0 2' >> /etc/fstab
echo "web /srv/disk.qcow2 - export=127.0.0.1:4420,allow-host=$host" > /etc/qcowtab
systemctl daemon-reload
systemctl start qcow@web qcow-export@web
qcowctl list -nO export /dev/qcow/web > /root/nqn
exits 1 "exported as $(cat /root/nqn); run qcowctl unexport" qcowctl detach /dev/qcow/web
connect "$(cat /root/nqn)"
mkfs.ext4 -q "/dev/$remote"
mount "/dev/$remote" /mnt
echo content > /mnt/file
sync
readlink /dev/disk/by-id/nvme-qcow_* > /root/link
END
step "the units stop and start while the other host has it mounted" <<'END'
systemctl stop qcow@web
is "inactive inactive" "$(systemctl is-active qcow@web qcow-export@web | paste -sd ' ')"
is "" "$(qcowctl list -n)$(ls /sys/kernel/config/nvmet/{subsystems,ports,hosts} | grep -v :)"
systemctl start qcow@web qcow-export@web
echo more > /mnt/more
sync
umount /mnt
. /root/other.sh
disconnect
END
expect "reboot" vm_reboot
step "it is exported again, by the same name" <<'END'
. /root/other.sh
until systemctl is-active qcow-export@web; do
	sleep 1
done
is running "$(systemctl is-system-running --wait || systemctl --failed)"
is "$(cat /root/nqn)" "$(qcowctl list -nO export /dev/qcow/web)"
connect "$(cat /root/nqn)"
is "$(cat /root/link)" "$(readlink /dev/disk/by-id/nvme-qcow_*)"
mount "/dev/$remote" /mnt
is "content more" "$(cat /mnt/file /mnt/more | paste -sd ' ')"
umount /mnt
disconnect
END
step "one that was exported by hand" <<'END'
. /root/other.sh
dev=$(qcowctl attach /srv/hand.qcow2)
qcowctl export --tcp 127.0.0.1 --allow-host "$host" "$dev"
dd if=/dev/urandom of="$dev" bs=1M count=8 status=none
END
expect "poweroff" vm_poweroff
expect "a clean disk afterwards" clean_ext4 data.raw
for image in disk hand; do
	expect "a clean image: $image" clean_image data.raw /$image.qcow2
done
