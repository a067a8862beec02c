# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # vm_image is of lib.sh
#
# Links, units and properties that udevd, systemd, LVM and udisks give to attached images,
# and what the usual programs show of them.

uuid=(11111111-2222-3333-4444-00000000000{0..9})

# image NAME SIZE: makes files/NAME.qcow2 of the file raw.
image() {
	qemu-img convert -f raw -O qcow2 raw "files/$1.qcow2"
	rm raw
}

make_images() {
	truncate -s 32M raw
	mke2fs -q -t ext4 -L plain -U "${uuid[0]}" raw
	image plain

	truncate -s 64M raw
	sfdisk -q raw <<-END
		label: gpt
		size=16M, uuid=${uuid[1]}, name=first
		size=40M, uuid=${uuid[2]}, name="second one"
	END
	mke2fs -q -t ext4 -L "a label" -U "${uuid[3]}" -E offset=1048576 raw 16M
	image parts

	truncate -s 32M raw
	image empty
	truncate -s 32M raw
	image physical

	# Damaged, where no filesystem looks
	truncate -s 32M raw
	mke2fs -q -t ext4 -U "${uuid[7]}" raw
	dd if=/dev/urandom of=raw bs=64k seek=320 count=1 conv=notrunc status=none
	image trouble
	/usr/bin/python3 -B "$QCOW_TOP/tests/write/craft.py" files/trouble.qcow2 'l2e[320] += 512'

	# A copy of the machine's own disk
	truncate -s 32M raw
	mke2fs -q -t ext4 -U "$(dumpe2fs -h "$vm_image/root.img" 2> /dev/null |
		sed -n 's/^Filesystem UUID: *//p')" raw
	image copy
}

vm_new qcow
mkdir files
make_images
data_disk data.raw 256M files
vm_disk data.raw
# Functions of all steps: no settle anywhere, for attach waits for udev.
cat > functions <<'END'
uuid=(11111111-2222-3333-4444-00000000000{0..9})
cd /srv

# link LINK DEVICE: LINK in /dev/disk is to the device.
link() {
	[ -L "/dev/disk/$1" ] || fail "no $1, but $(ls /dev/disk/"${1%%/*}")"
	is "$2" "$(readlink -f "/dev/disk/$1")"
}

no_link() {
	[ ! -L "/dev/disk/$1" ] || fail "there is $1, of $(readlink -f "/dev/disk/$1")"
}

property() {
	udevadm info -q property -n "$1" | sed -n "s/^$2=//p"
}

# unit PATH: its .device unit
unit() {
	systemctl is-active "$(systemd-escape -p --suffix=device "$1")" || true
}

# soon VALUE COMMAND...: prints this value within ten seconds. For what systemd and
# others do when they hear of udev.
soon() {
	local value=$1 i

	shift
	for ((i = 0; i < 100; i++)); do
		[ "$("$@")" != "$value" ] || return 0
		sleep 0.1
	done
	is "$value" "$("$@")"
}
END
expect "boot" vm_boot
put functions /root/functions
guest mount /dev/vdb /srv

step "by-uuid, by-label, by-id of a disk" <<'END'
. /root/functions
is /dev/qcow0 "$(qcowctl attach plain.qcow2)"
link by-uuid/${uuid[0]} /dev/qcow0
link by-label/plain /dev/qcow0
link by-id/qcow-_srv_plain.qcow2 /dev/qcow0
link by-diskseq/$(cat /sys/block/qcow0/diskseq) /dev/qcow0
END
step "links of partitions" <<'END'
. /root/functions
is /dev/qcow1 "$(qcowctl attach parts.qcow2)"
link by-partuuid/${uuid[1]} /dev/qcow1p1
link by-partuuid/${uuid[2]} /dev/qcow1p2
link by-partlabel/first /dev/qcow1p1
link 'by-partlabel/second\x20one' /dev/qcow1p2
link by-uuid/${uuid[3]} /dev/qcow1p1
link 'by-label/a\x20label' /dev/qcow1p1
link by-id/qcow-_srv_parts.qcow2 /dev/qcow1
link by-id/qcow-_srv_parts.qcow2-part2 /dev/qcow1p2
is "" "$(property /dev/qcow1p2 ID_FS_UUID)"
END
step "device units come" <<'END'
. /root/functions
for path in /dev/qcow0 /dev/qcow1p1 /dev/disk/by-uuid/${uuid[0]} \
	'/dev/disk/by-label/a\x20label' /dev/disk/by-id/qcow-_srv_plain.qcow2; do
	soon active unit "$path"
done
END
step "lsblk, blkid, findmnt, findfs" <<'END'
. /root/functions
is "disk ext4 plain ${uuid[0]} _srv_plain.qcow2" \
	"$(lsblk -dnro TYPE,FSTYPE,LABEL,UUID,SERIAL /dev/qcow0)"
is "part qcow1 ${uuid[2]}" "$(lsblk -nro TYPE,PKNAME,PARTUUID /dev/qcow1p2)"
is /dev/qcow0 "$(blkid -U ${uuid[0]})"
is /dev/qcow1p1 "$(blkid -L 'a label')"
blkid /dev/qcow1p1 > out
has "LABEL=\"a label\" UUID=\"${uuid[3]}\" .*TYPE=\"ext4\" .*PARTUUID=\"${uuid[1]}\"" out
is /dev/qcow1p2 "$(findfs PARTLABEL='second one')"
mount UUID=${uuid[3]} /mnt
is "/dev/qcow1p1 ext4" "$(findmnt -nro SOURCE,FSTYPE /mnt)"
is "/mnt" "$(lsblk -nro MOUNTPOINTS /dev/qcow1p1)"
umount /mnt
END
step "udisks" <<'END'
. /root/functions
udisksctl info -b /dev/qcow1p1 > out
has "IdUUID: +${uuid[3]}" out
has "HintAuto: +false" out
has "HintIgnore: +false" out
has "Id: +by-id-qcow-_srv_parts.qcow2-part1" out
udisksctl mount -b /dev/qcow1p1 > out
has "Mounted /dev/qcow1p1 at /media/" out
udisksctl unmount -b /dev/qcow1p1
END
step "all is gone after detach" <<'END'
. /root/functions
qcowctl detach --all
udevadm settle
no_link by-uuid/${uuid[0]}
no_link by-partuuid/${uuid[2]}
is "" "$(ls /dev/disk/by-id | grep qcow || true)"
soon inactive unit /dev/qcow0
soon inactive unit /dev/disk/by-uuid/${uuid[3]}
END
step "a copy of the machine's own disk" <<'END'
. /root/functions
own=$(findmnt -nro UUID /)
link by-uuid/$own /dev/vda
is /dev/qcow0 "$(qcowctl attach copy.qcow2)"
link by-uuid/$own /dev/vda
is "$own" "$(lsblk -nro UUID /dev/qcow0)"
qcowctl detach qcow0
link by-uuid/$own /dev/vda
END
step "watch" <<'END'
. /root/functions
qcowctl attach empty.qcow2
mke2fs -q -t ext4 -U ${uuid[4]} /dev/qcow0
soon /dev/qcow0 readlink -f /dev/disk/by-uuid/${uuid[4]}
soon active unit /dev/disk/by-uuid/${uuid[4]}
wipefs -qa /dev/qcow0
soon "/dev/disk/by-uuid/${uuid[4]}" readlink -f /dev/disk/by-uuid/${uuid[4]}
sfdisk -q /dev/qcow0 <<-EOT
	label: gpt
	size=16M, uuid=${uuid[5]}
EOT
soon /dev/qcow0p1 readlink -f /dev/disk/by-partuuid/${uuid[5]}
mke2fs -q -t ext4 -U ${uuid[6]} /dev/qcow0p1
soon /dev/qcow0p1 readlink -f /dev/disk/by-uuid/${uuid[6]}
qcowctl detach qcow0
END
step "an image that turns corrupt keeps its links, and its filesystem stays mounted" <<'END'
. /root/functions
is /dev/qcow0 "$(qcowctl attach trouble.qcow2)"
systemd-mount -q /dev/disk/by-uuid/${uuid[7]} /mnt
soon active unit /dev/disk/by-uuid/${uuid[7]}
udevadm monitor --kernel --property > events &
monitor=$!
sleep 1
! dd if=/dev/qcow0 of=/dev/null bs=64k skip=320 count=1 iflag=direct
for ((i = 0; i < 100; i++)); do
	! grep -qx QCOW_EVENT=corrupt events || break
	sleep 0.1
done
kill $monitor
has QCOW_STOPPED=1 events
udevadm settle
link by-uuid/${uuid[7]} /dev/qcow0
is ext4 "$(property /dev/qcow0 ID_FS_TYPE)"
is active "$(unit /dev/disk/by-uuid/${uuid[7]})"
is /dev/qcow0 "$(findmnt -nro SOURCE /mnt)"
umount -l /mnt
qcowctl detach --force qcow0 || true
rm events
END
# Such as a device that is only being made. The driver makes none without an image, so this is
# another driver's disk with such a name.
step "a disk without an image is not ready for systemd" <<'END'
. /root/functions
modprobe null_blk nr_devices=0
disk=/sys/kernel/config/nullb/qcow77
mkdir $disk
echo 1 > $disk/size
echo 1 > $disk/memory_backed
echo 1 > $disk/power
udevadm settle
is "0 0" "$(property /dev/qcow77 SYSTEMD_READY) $(property /dev/qcow77 UDISKS_AUTO)"
is inactive "$(unit /dev/qcow77)"
rmdir $disk
is /dev/qcow0 "$(qcowctl attach plain.qcow2)"
is "" "$(property /dev/qcow0 SYSTEMD_READY)"
qcowctl detach qcow0
END
step "untrusted" <<'END'
. /root/functions
qcowctl attach --untrusted plain.qcow2
udevadm settle
no_link by-uuid/${uuid[0]}
no_link by-id/qcow-_srv_plain.qcow2
is "" "$(property /dev/qcow0 ID_FS_TYPE)"
udisksctl info -b /dev/qcow0 > out
has "HintIgnore: +true" out
qcowctl detach qcow0
END

# The longest path is 4095 bytes. sysfs cuts nothing; udev and the filesystem of /dev
# have limits of their own.
step "by-id for paths of any length" <<'END'
. /root/functions
# path LENGTH LETTER: a path of that length below /srv; a folder's name has 200 letters
path() {
	local path=/srv part

	printf -v part '%200s' ''
	part=${part// /$2}
	while [ $(($1 - ${#path})) -gt 240 ]; do
		path+=/$part
	done
	part=$(printf "%$(($1 - ${#path} - 1))s" '')
	echo "$path/${part// /$2}"
}

# one_link DEVICE: prints its link in by-id.
one_link() {
	find /dev/disk/by-id -lname "*/$1" -name 'qcow-*' -printf '%f\n'
}

qcowctl detach --all
for length in 100 199 200 242 254 520 1100 4000; do
	for letter in a b; do
		file=$(path $length $letter)
		mkdir -p "${file%/*}"
		cp parts.qcow2 "$file"
	done
	a=$(qcowctl attach -r "$(path $length a)")
	b=$(qcowctl attach -r "$(path $length b)")
	for dev in ${a#/dev/} ${b#/dev/} ${a#/dev/}p1 ${b#/dev/}p2; do
		[ "$(one_link $dev | wc -l)" -eq 1 ] ||
			fail "$length bytes, $dev: '$(one_link $dev)'"
	done
	is "$(one_link ${a#/dev/})-part1" "$(one_link ${a#/dev/}p1)"
	[ $length -ge 200 ] ||
		is "qcow-$(path $length a | tr / _)" "$(one_link ${a#/dev/})"
	link by-partuuid/${uuid[1]} ${b}p1
	# The same path has the same link the next time.
	before=$(one_link ${b#/dev/})
	qcowctl detach $a
	qcowctl detach $b
	[ $length -eq 4000 ] || continue
	b=$(qcowctl attach -r "$(path $length b)")
	is "$before" "$(one_link ${b#/dev/})"
	qcowctl detach $b
done
END
step "by-id for any characters" <<'END'
. /root/functions
qcowctl detach --all
for name in 'a b' 'quote"double' "quote'single" 'dollar$HOME' 'per%ncent' 'ümlaut' 'semi;colon' \
	'back\slash' '$(reboot)' '{x}' '#hash' 'com,ma' $'new\nline'; do
	cp plain.qcow2 "$name"
	dev=$(qcowctl attach -r "$name") || fail "$name"
	links=$(find /dev/disk/by-id -lname "*/${dev#/dev/}" -name 'qcow-*' -printf '%f ')
	[[ $links =~ ^qcow-_srv_[^[:space:]]+\ $ ]] || fail "$name: '$links'"
	[ -n "$(lsblk -dno SERIAL $dev)" ] || fail "$name: no serial"
	qcowctl detach $dev
done
END
step "LVM with a devices file" <<'END'
. /root/functions
qcowctl detach --all
printf 'devices {\nuse_devicesfile=1\n}\n' > /etc/lvm/lvmlocal.conf
mkdir -p /etc/lvm/devices
touch /etc/lvm/devices/system.devices
qcowctl attach physical.qcow2
pvcreate -qy /dev/qcow0
lvm lvmdevices > out	# Debian has no link of that name
has "DEVNAME=/dev/qcow0" out
vgcreate -q guest /dev/qcow0
lvcreate -qy -n data -L 8M guest
soon active unit /dev/guest/data
vgchange -qan guest
qcowctl detach qcow0

# With another number
qcowctl attach plain.qcow2
qcowctl attach physical.qcow2
is "guest /dev/qcow1" "$(vgs --noheadings -o vg_name,pv_name | xargs)"
vgchange -qay guest
is "LVM2_member" "$(lsblk -dnro FSTYPE /dev/qcow1)"
is "lvm qcow1" "$(lsblk -nro TYPE,PKNAME /dev/qcow1 | tail -n 1)"
vgchange -qan guest
qcowctl detach --all
END
expect "poweroff" vm_poweroff
for image in plain parts empty physical copy; do
	expect "$image is clean" clean_image data.raw "/$image.qcow2"
done
