# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The machine itself: it boots, the packages are there and its disks survive a reboot.
vm_new qcow
mkdir files
echo content > files/file
data_disk data.raw 64M files
vm_disk data.raw
expect "boot" vm_boot
step "a system that runs" <<'END'
is running "$(systemctl is-system-running --wait || systemctl --failed)"
END
step "the module is loaded at boot" <<'END'
grep -q '^qcow ' /proc/modules
is "" "$(qcowctl list)"
END
step "a disk" <<'END'
udevadm settle
mount /dev/disk/by-id/virtio-disk0 /mnt
is content "$(cat /mnt/file)"
echo written > /mnt/file
END
expect "reboot" vm_reboot
expect "a clean disk afterwards" clean_ext4 data.raw
step "the disk after the reboot" <<'END'
mount /dev/disk/by-id/virtio-disk0 /mnt
is written "$(cat /mnt/file)"
END
expect "poweroff" vm_poweroff
take data.raw /file file
expect "the file on the host" is written "$(cat file)"
