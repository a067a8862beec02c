# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # root is of chroot.sh
#
# The root filesystem in an image on a disk of the host, with an initramfs that
# initramfs-tools or dracut makes. The image may be encrypted: then a key file is in the
# initramfs, or somebody types the passphrase. It is written, and clean after a reboot and a
# poweroff.
. "$QCOW_TOP/tests/host/chroot.sh"

PASSPHRASE='right one'

# make_initramfs NAME: with the settings of /etc/initramfs-tools as they are
make_initramfs() {
	in_root mkinitramfs -o /var/tmp/initramfs "$release" > "$1.log" 2>&1 || { cat "$1.log" >&2; return 1; }
	mv "$root/var/tmp/initramfs" "$1"
	cp "$1" "$root/tmp/initramfs"
	in_root lsinitramfs /tmp/initramfs > "$1.list"
}

# make_dracut NAME ARGUMENTS...
make_dracut() {
	in_root dracut --kver "$release" --no-hostonly --no-early-microcode --compress lz4 \
		--force "${@:2}" /var/tmp/initramfs > "$1.log" 2>&1 || { cat "$1.log" >&2; return 1; }
	mv "$root/var/tmp/initramfs" "$1"
	cp "$1" "$root/tmp/initramfs"
	in_root lsinitrd /tmp/initramfs | sed -n 's/^[-l].* \(usr\/[^ ]*\).*/\1/p' > "$1.list"
}

# complete LIST: it has all that it takes to attach an encrypted image.
complete() {
	local word

	for word in 'usr/sbin/qcowctl$' '/qcow\.ko' '/60-qcow\.rules$' 'qcow/root\.sh$' \
		'/libcryptsetup\.so\.12$' '/libgcc_s\.so' '/xts\.ko' '/algif_skcipher\.ko' '/essiv\.ko'; do
		has "$word" "$1" || return
	done
}

empty() {
	! grep -E 'sbin/qcowctl|60-qcow|qcow/root|etc/root.key' "$1"
}

mkdir work
mount_root "$("$QCOW_TOP/tests/host/image.sh" layers)" work
release=$(basename "$root"/lib/modules/*)
conf=$root/etc/initramfs-tools
expect "an initramfs without" make_initramfs without
expect "it has nothing of it" empty without.list
cp "$conf/modules" modules
echo qcow >> "$conf/modules"
expect "an initramfs with the module named" make_initramfs named
expect "it is complete" complete named.list
cp modules "$conf/modules"
printf %s "$PASSPHRASE" > "$root/etc/root.key"
printf 'QCOW=y\nQCOW_KEY_FILES=/etc/root.key\n' > "$conf/conf.d/qcow"
expect "an initramfs with a key file" make_initramfs keyed
expect "it is complete, too" complete keyed.list
expect "it has the key file" has '^etc/root.key$' keyed.list
expect "and it is told that everyone can read it" has 'W: qcow: .*UMASK=0077' keyed.log
echo UMASK=0077 >> "$conf/conf.d/qcow"
expect "an initramfs for root's eyes" make_initramfs keyed
expect "then nothing is told" is "" "$(grep qcow: keyed.log)"
echo 'QCOW_KEY_FILES=/etc/missing' >> "$conf/conf.d/qcow"
expect "a key file that is not there" exits 1 'E: qcow: /etc/missing cannot be copied' \
	make_initramfs missing
expect "dracut without" make_dracut dracut-without
expect "dracut without has nothing of it" empty dracut-without.list
expect "dracut with the module named" make_dracut dracut-named --add-drivers qcow
expect "that is complete" complete dracut-named.list
expect "dracut" make_dracut dracut --add qcow --omit 'kernel-modules kernel-modules-extra' \
	--add-drivers 'virtio_pci virtio_blk ext4'
expect "dracut is complete" complete dracut.list
umount_special
umount "$root"
rm -rf work

# root_disk FORMAT-ARGUMENTS...: host.raw, a disk with an image of the root filesystem, to which
# dracut's initramfs belongs
root_disk() {
	local image

	image=$("$QCOW_TOP/tests/host/image.sh" qcow)
	cp --sparse=always "$image/root.img" root.raw
	echo '/dev/qcow/root / ext4 errors=remount-ro 0 1' > fstab
	printf '%s\n' 'rm /etc/fstab' 'write fstab /etc/fstab' "rm /boot/initrd.img-$release" \
		"write dracut /boot/initrd.img-$release" | debugfs -w root.raw > debugfs.log 2>&1
	rm -rf host
	mkdir host
	printf %s "$PASSPHRASE" > key
	qemu-img convert -f raw -O qcow2 "$@" root.raw host/root.qcow2
	rm -f root.raw host.raw
	truncate -s 4G host.raw
	mke2fs -q -t ext4 -E root_owner=0:0,lazy_itable_init=1 -d host host.raw
	rm -r host
}

secret='secret,id=k,file=key'
# shellcheck disable=SC2054
encrypted=(--object "$secret" -o encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10)

# clean_root [plain]: the disk, the image on it, and the filesystem in that, of which root.raw
# is a copy
clean_root() {
	local options=driver=qcow2,file.filename=root.qcow2

	[ "${1-}" = plain ] || options+=,encrypt.key-secret=k
	clean_ext4 host.raw || return 1
	rm -f root.qcow2 root.raw
	take host.raw /root.qcow2 root.qcow2
	qemu-img check -q --object "$secret" --image-opts "$options" > why.image 2>&1 ||
		{ cat why.image; return 1; }
	qemu-img convert -O raw --object "$secret" --image-opts "$options" root.raw
	rm root.qcow2
	clean_ext4 root.raw
}

# writes_root: a step that writes to the root filesystem
writes_root() {
	step "$1: the root filesystem is in the image, and is written" <<'END'
is "$(realpath /dev/qcow/root)" "$(realpath "$(findmnt -no SOURCE /)")"
is /run/qcow/host/root.qcow2 "$(qcowctl list -nO IMAGE | sed 's/ *$//')"
[ ! -e /var/tmp/sum ] || sha256sum -c --quiet /var/tmp/sum
dd if=/dev/urandom of=/var/tmp/data bs=1M count=30 status=none
sha256sum /var/tmp/data > /var/tmp/sum
is running "$(systemctl is-system-running --wait || systemctl --failed)"
echo "$(cat /proc/sys/kernel/random/boot_id)" > /var/tmp/boot
END
	boot=$(guest cat /var/tmp/boot)
}

# ends_clean NAME HOW [plain]: the machine ends, and the last file is there.
ends_clean() {
	expect "$1: $2" vm_stop "$2"
	expect "$1: all is clean" clean_root "${3-}"
	rm -f inner.file
	take root.raw /var/tmp/boot inner.file
	expect "$1: the last file" is "$boot" "$(cat inner.file)"
	rm -f root.raw
}

vm_new qcow
qemu-img create -q -f qcow2 system.qcow2 1M
vm_disk host.raw
arguments='qcow=/dev/vdb:/root.qcow2:cache-size=16M root=/dev/qcow/root'

expect "a disk with an encrypted image" root_disk "${encrypted[@]}"
vm_initrd=keyed
vm_append=${arguments/cache/key-file=/etc/root.key,cache}
expect "a key file: boot" vm_boot
writes_root "a key file"
ends_clean "a key file" reboot

vm_append=$arguments
vm_type 'Passphrase for ' 1 wrong &
vm_type 'Passphrase for ' 2 "$PASSPHRASE" &
expect "a passphrase: boot" vm_boot
expect "a passphrase: the wrong one was told" grep -aq 'root.qcow2: wrong passphrase' "$vm_console"
writes_root "a passphrase"
ends_clean "a passphrase" poweroff

vm_initrd=dracut
vm_type 'Passphrase for ' 1 "$PASSPHRASE" &
expect "dracut, a passphrase: boot" vm_boot
writes_root "dracut, a passphrase"
ends_clean "dracut, a passphrase" reboot

expect "a disk with a plain image" root_disk
expect "dracut: boot" vm_boot
writes_root "dracut"
step "dracut: systemd goes back to the initramfs" <<< ': > /run/initramfs/.need_shutdown'
ends_clean "dracut" poweroff plain
expect "dracut: the root filesystem was unmounted" grep -aq 'Unmounted /oldroot' "$vm_console"
rm -f host.raw
# shellcheck disable=SC2034
vm_initrd='' vm_append=''
