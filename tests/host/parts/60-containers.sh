# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2016
#
# Documentation/containers-and-vms.rst: its commands, in their order, print what it says.
# Steps between them check the claims of the page.
page=$QCOW_TOP/Documentation/containers-and-vms.rst
names=()

# block NAME [PATH]: prints the script, or the content, of a block of the page.
block() {
	"$QCOW_TOP/tests/host/guide.py" "$page" "$@"
}

# guide NAME: runs the commands of a block in the machine.
guide() {
	names+=("$1 ")
	if block "$1" > script; then
		step "guide: $1" < script
	else
		failure "guide: $1" "no such block"
	fi
}

# guide_file NAME PATH: puts the file of a block into the machine.
guide_file() {
	names+=("$1 $2")
	expect "guide: $2" put_block "$@"
}

put_block() {
	block "$@" > file && guest mkdir -p "${2%/*}" && put file "$2"
}

# guide_here NAME PATH: writes the file of a block.
guide_here() {
	names+=("$1 $2")
	block "$@" > "$2"
}

# all_tried: every block of the page was used.
all_tried() {
	is "$(printf '%s\n' "${names[@]}" | sort)" "$(block | sort)"
}

# guest_disk FILE: makes the image of a guest that is a boot sector.
guest_disk() {
	as --32 "$QCOW_TOP/tests/host/boot.S" -o boot.o &&
		ld -m elf_i386 -Ttext 0x7c00 --oformat binary boot.o -o disk || return 1
	truncate -s 16M disk
	printf 'text of the disk\r\n\0' | dd of=disk bs=512 seek=1 conv=notrunc status=none
	qemu-img convert -f raw -O qcow2 disk "$1"
}

vm_new containers
mkdir files
mirror=$("$QCOW_TOP/tests/host/mirror.sh") || die "no mirror"
cp -r "$mirror" files/debian
guest_disk files/vm.qcow2 || die "no disk of a guest"
data_disk data.raw 4G files
rm -r files
vm_disk data.raw
expect "boot" vm_boot
step "the host's packages come from a mirror" <<'END'
mount /dev/disk/by-id/virtio-disk0 /srv
echo 'deb [trusted=yes] copy:/srv/debian bookworm main' > /etc/apt/sources.list
END

guide build-make
guide build-change
step "before the discards" <<'END'
sync
stat -c %b /srv/build.qcow2 > /tmp/blocks
END
guide build-trim
step "the image is smaller after them" <<'END'
is "" "$(qcowctl list)"
before=$(cat /tmp/blocks) after=$(stat -c %b /srv/build.qcow2)
# The deleted files take more than 4 MiB.
[ $((before - after)) -gt $((4 * 2048)) ] || fail "$before blocks before, $after after"
END
guide build-publish
step "the compressed image is smaller still" <<'END'
[ $(($(stat -c %b /srv/debian-1.0.qcow2) * 2)) -lt "$(stat -c %b /srv/build.qcow2)" ] ||
	fail "$(du -k /srv/*.qcow2)"
END
guide build-overlay

guide nspawn-folder
step "umount has closed the image" <<'END'
is "" "$(qcowctl list)"
qemu-img check -q /srv/web.qcow2
END
guide nspawn-image
guide nspawn-volatile

guide podman
step "the container has not written to the image" <<'END'
mount -t qcow2 -o ro /srv/web.qcow2 /mnt
[ ! -e /mnt/etc/new ] || fail "it has"
umount /mnt
END
guide crun
guide_file lxc-config /var/lib/lxc/web/config
guide lxc

guide device
step "what a container may do with a device" <<'END'
run_in() {
	podman run --rm --network none --device "/dev/qcow/data:/dev/data$1" --rootfs /mnt:O "${@:2}"
}
accepts run_in "" blkdiscard /dev/data
is /srv/data.qcow2 "$(run_in :r cat /sys/block/qcow0/qcow/image)"
accepts run_in :r dd if=/dev/data of=/dev/null bs=4k count=1 status=none
exits 1 "Operation not permitted" run_in :r dd if=/dev/zero of=/dev/data count=1 status=none
# mount(2), for the image has no program for it. AppArmor may refuse it first.
exits 1 "^(Operation not permitted|Permission denied)$" run_in "" perl -e '($device, $folder, $type) = @ARGV;
	exit 0 if syscall(165, $device, $folder, $type, 0, 0) == 0;
	print STDERR "$!\n";
	exit 1' /dev/data /mnt ext4
control=$(stat -c '%t %T' /dev/qcow-control)
exits 1 "Operation not permitted" run_in "" mknod /tmp/control c $((16#${control% *})) $((16#${control#* }))
exits 2 "No such file" run_in "" ls /dev/qcow-control
END
step "a container has a device by its number" <<'END'
podman run -d --name web --network none --device /dev/qcow/data:/dev/data --rootfs /mnt:O \
	sleep 3600
echo data > /dev/qcow/data
is data "$(podman exec web head -n 1 /dev/data)"
qcowctl detach /srv/data.qcow2
qcowctl create /srv/other.qcow2 1G
is /dev/qcow0 "$(qcowctl attach --name other /srv/other.qcow2)"
echo other > /dev/qcow/other
is other "$(podman exec web head -n 1 /dev/data)"
podman rm -f -t 0 web
qcowctl detach /srv/other.qcow2
is /dev/qcow0 "$(qcowctl attach --name data /srv/data.qcow2)"
END
guide device-end

guide qemu
step "the guest has read and written the disk" <<'END'
has "text of the disk" /tmp/guide.all
has "the guest has written" /tmp/guide.all
qcowctl attach --name vm --no-partitions /srv/vm.qcow2
is "text of the disk" "$(dd if=/dev/qcow/vm skip=2 count=1 status=none | head -n 1 | tr -d '\r')"
dd if=/dev/zero of=/dev/qcow/vm seek=2 count=1 status=none
qcowctl detach /srv/vm.qcow2
END
guide qemu-temporary
step "the guest has written, but not to the image" <<'END'
has "the guest has written" /tmp/guide.all
qcowctl attach --name vm --no-partitions /srv/vm.qcow2
cmp -n 512 /dev/zero <(dd if=/dev/qcow/vm skip=2 count=1 status=none)
END
step "while a guest runs" <<'END'
vm() {
	qemu-system-x86_64 -accel tcg -m 64 -display none -nodefaults -S -daemonize -pidfile pid-$1 \
		-drive file=/dev/qcow/vm,format=raw,if=virtio,cache=none,aio=native,discard=unmap
}
vm 1
exits 1 'qemu-system' qcowctl detach /srv/vm.qcow2
exits 1 'lock' vm 2
pid=$(cat pid-1)
kill "$pid"
for _ in $(seq 300); do [ -e "/proc/$pid" ] || break; sleep 0.1; done
qcowctl detach /srv/vm.qcow2
END

guide_file qcowtab /etc/qcowtab
guide qcowtab-start
step "the device of the domain is there" <<'END'
[ -b /dev/qcow/vm ] || fail "no device"
is disk "$(lsblk -nro TYPE /dev/qcow/vm)"
systemctl stop qcow@vm.service
is "" "$(qcowctl list)"
END
guide_here libvirt web.xml
expect "libvirt accepts the domain" virt-xml-validate web.xml domain

expect "every block of the page was tried" all_tried
expect "poweroff" vm_poweroff
expect "the disk of the images is clean" clean_ext4 data.raw
for image in build debian-1.0 web data other vm; do
	expect "$image is clean" clean_image data.raw "/$image.qcow2"
done
