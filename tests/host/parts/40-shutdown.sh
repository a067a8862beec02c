# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Shutdown and reboot with devices attached and mounted, by hand and by /etc/qcowtab: every
# image and every filesystem is clean afterwards, and nothing was busy.

vm_new qcow
mkdir -p files images bases
echo content > files/file
printf secret > key
image_of_files bases/base.qcow2 files
qemu-img create -q -f qcow2 -b /base/base.qcow2 -F qcow2 -u images/web.qcow2 50M
image_of_files images/hand.qcow2 files
image_of_files images/outer.qcow2 files
qemu-img create -q -f qcow2 images/swap.qcow2 16M
image_of_files images/secret.qcow2 files --object secret,id=k,file=key \
	-o encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10
cp images/secret.qcow2 images/typed.qcow2
data_disk images.raw 400M images
data_disk bases.raw 128M bases
vm_disk images.raw bases.raw

expect "boot" vm_boot

# By hand: on filesystems that were mounted by hand, one image inside another's filesystem,
# a backing file on another disk, a snapshot of an image in use, a throwaway disk whose overlay
# lies on another disk than its image, swap.
step "attached and mounted by hand" <<'END'
mkdir -p /srv /base /mnt/{web,hand,outer,inner,snapshot,throwaway}
mount /dev/disk/by-id/virtio-disk0 /srv
mount /dev/disk/by-id/virtio-disk1 /base
udevadm settle
web=$(qcowctl attach --name web /srv/web.qcow2)
is "$web" "$(realpath /dev/qcow/web)"
is "${web}p1" "$(realpath /dev/qcow/web-part1)"
mount ${web}p1 /mnt/web
hand=$(qcowctl attach /srv/hand.qcow2)
mount ${hand}p1 /mnt/hand
outer=$(qcowctl attach /srv/outer.qcow2)
qcowctl snapshot create $outer monday
mount ${outer}p1 /mnt/outer
snapshot=$(qcowctl attach --snapshot monday $outer)
mount -o ro ${snapshot}p1 /mnt/snapshot
throwaway=$(qcowctl attach --temporary=/srv /base/base.qcow2)
mount ${throwaway}p1 /mnt/throwaway
qcowctl create /mnt/outer/inner.qcow2 30M
inner=$(qcowctl attach /mnt/outer/inner.qcow2)
mkfs.ext4 -q $inner
udevadm settle
mount $inner /mnt/inner
swap=$(qcowctl attach -f qcow2 /srv/swap.qcow2)
mkswap $swap
swapon $swap
for i in web hand outer inner throwaway; do
	echo by hand > /mnt/$i/file
	dd if=/dev/urandom of=/mnt/$i/data bs=64k count=100 status=none
done
END
# shellcheck disable=SC2016
step "the units of devices are there" <<'END'
for i in $(cd /sys/class/block && echo qcow*); do
	seq=$(cat /sys/class/block/$i/diskseq 2> /dev/null || cat /sys/class/block/$i/../diskseq)
	is active "$(systemctl is-active "qcow-device@$i:$seq.service")"
done
END
step "something writes while it goes down" <<'END'
systemd-run -q sh -c 'while :; do dd if=/dev/urandom of=/mnt/hand/more bs=64k count=50 status=none; sync; done'
END
step "a qcowtab for the next boot" <<'END'
cat > /etc/qcowtab <<-X
	web     /srv/web.qcow2
	secret  /srv/secret.qcow2  /etc/key  nofail
	none    /srv/missing.qcow2 - nofail
	bad     /srv/hand.qcow2    - nofail,sync
	typed   /srv/typed.qcow2
X
printf secret > /etc/key
cat >> /etc/fstab <<-X
	/dev/disk/by-id/virtio-disk0 /srv ext4 defaults 0 2
	/dev/disk/by-id/virtio-disk1 /base ext4 defaults 0 2
	/dev/qcow/web-part1 /mnt/web ext4 defaults 0 2
	/dev/qcow/secret-part1 /mnt/hand ext4 defaults,nofail 0 2
	/srv/hand.qcow2 /mnt/outer qcow2.ext4 partition=1,comit=5,nofail 0 0
	/srv/outer.qcow2 /mnt/inner qcow2.ext4 partition,nofail 0 0
X
END
expect "reboot" vm_stop reboot
expect "reboot: nothing was busy" quiet_stop console-1.log
expect "reboot: the disk of the images" clean_ext4 images.raw
expect "reboot: the disk of the backing file" clean_ext4 bases.raw
cp bases/base.qcow2 .
expect "reboot: the image below the throwaway disk is as it was" \
	clean_image bases.raw /base.qcow2
expect "reboot: its data is as well" cmp base.qcow2 bases/base.qcow2
expect "reboot: an overlay" clean_disk web base.qcow2
expect "reboot: its data" inner_file /file "by hand"
expect "reboot: an image that was being written" clean_disk hand
expect "reboot: the outer image" clean_disk outer
expect "reboot: the inner image" clean_image part /inner.qcow2
qemu-img convert -O raw inner.qcow2 inner.disk
expect "reboot: the inner filesystem" clean_ext4 inner.disk
expect "reboot: the image with swap" clean_image images.raw /swap.qcow2

# An image without a key file: systemd asks at the console.
vm_type 'Passphrase for /srv/typed' 1 wrong &
vm_type 'Passphrase for /srv/typed' 2 secret &
expect "boot with a qcowtab" vm_boot
step "attached at boot" <<'END'
is "mnt-inner.mount mnt-outer.mount qcow@none.service" \
	"$(systemctl --failed --no-legend --plain | sed 's/ .*//' | sort | paste -sd ' ')"
is "by hand" "$(cat /mnt/web/file)"
is content "$(cat /mnt/hand/file)"
is active "$(systemctl is-active qcow@web.service)"
is "/dev/$(lsblk -ndo PKNAME "$(findmnt -no SOURCE /mnt/web)")" "$(realpath /dev/qcow/web)"
END
step "mistakes are in the journal" <<'END'
journalctl -b -t qcow-generator -o cat > log
has '^/etc/qcowtab:4: sync: is no option; see qcowtab' log
journalctl -b -u qcow@none.service -o cat > log
has '^qcowctl: /srv/missing.qcow2: ' log
journalctl -b -u mnt-outer.mount -u mnt-inner.mount -o cat > log
has '^mount.qcow2: /etc/fstab:6: comit: neither mount.qcow2 nor ext4 takes this option' log
has '^mount.qcow2: /etc/fstab:7: partition: needs a value' log
END
step "a passphrase that was typed at the console" <<'END'
journalctl -b -u qcow@typed.service -o cat > log
has '^qcowctl: /srv/typed.qcow2: wrong passphrase' log
is content "$(debugfs -R 'cat /file' /dev/qcow/typed-part1 2> /dev/null)"
END
step "stopped while in use: it goes at the last close" <<'END'
systemctl stop qcow@secret.service
is content "$(cat /mnt/hand/file)"
umount /mnt/hand
for _ in $(seq 100); do [ -e /dev/qcow/secret ] || break; sleep 0.1; done
systemctl start qcow@secret.service
mount /dev/qcow/secret-part1 /mnt/hand
echo at boot > /mnt/hand/file
echo at boot > /mnt/web/file
END
expect "poweroff" vm_poweroff
expect "poweroff: nothing was busy" quiet_stop console-2.log
expect "poweroff: the disk of the images" clean_ext4 images.raw
expect "poweroff: the disk of the backing file" clean_ext4 bases.raw
expect "poweroff: an overlay" clean_disk web base.qcow2
expect "poweroff: its data" inner_file /file "at boot"
for name in secret typed; do
	take images.raw /$name.qcow2 $name.qcow2
	expect "poweroff: the encrypted image $name" qemu-img check -q --object secret,id=k,file=key \
		--image-opts driver=qcow2,file.filename=$name.qcow2,encrypt.key-secret=k
done
