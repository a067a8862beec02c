# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # root is of chroot.sh
#
# The packages: a new user installs them, uses an image, upgrades and removes them. First
# in a folder, where DKMS builds the module; then in the machine, which gets those modules
# as DKMS tarballs, since it would compile for many minutes under emulation. In the end
# Debian's autopkgtest runs debian/tests there.
. "$QCOW_TOP/tests/host/chroot.sh"

NEXT=0.1.99

# make_next: this source with a higher version, which its module tells as well, as packages
make_next() {
	mkdir source
	(cd "$QCOW_TOP" && git ls-files -co --exclude-standard -- ':!tests') |
		tar -C "$QCOW_TOP" -c -T - | tar -C source -x
	sed -i "1s/(.*)/($NEXT)/" source/debian/changelog
	echo "MODULE_VERSION(\"$NEXT\");" >> source/drivers/block/qcow/dev/main.c
	source/debian/build.sh next > next.log 2>&1 || { tail next.log; return 1; }
	rm -r source
}

# listing: every file with its kind, owner, mode and target, and the content of settings.
# Not what apt, dpkg, DKMS (its keys for signing) and caches write for any package. And dpkg
# removes a folder without files that systemd has as /lib/systemd, and we as /usr/lib.
listing() {
	in_root find / -xdev \( -path /proc -o -path /run -o -path /tmp -o -path /dev \
		-o -path /var/log -o -path /var/lib/dpkg -o -path /var/lib/apt \
		-o -path /var/cache -o -path '/var/lib/dkms/mok.*' \
		-o -path /usr/lib/systemd/system-shutdown \) -prune \
		-o -printf '%p %y %u:%g %m %l\n' | sort
	in_root find /etc -type f -exec sha256sum {} + | sort -k 2
}

apt_in_root() {
	in_root apt-get -o DPkg::Use-Pty=0 -y "$@" > apt.log 2>&1 || { cat apt.log; return 1; }
}

# install FOLDER [PACKAGE]: both packages of the folder, or one
install() {
	local package debs

	rm -rf "$root/tmp/packages"
	mkdir "$root/tmp/packages"
	for package in ${2-qcow-dkms qcow-utils}; do
		cp "$1/${package}"_*.deb "$root/tmp/packages"
	done
	debs=("$root"/tmp/packages/*.deb)
	apt_in_root install "${debs[@]#"$root"}"
}

# built VERSION: DKMS has the module of this version for the kernel, and of no other one;
# modprobe finds it.
built() {
	is "qcow/$1, $release, x86_64: installed" "$(in_root dkms status qcow)" || return
	is "/lib/modules/$release/updates/dkms/qcow.ko" \
		"$(in_root modinfo -k "$release" -F filename qcow)" || return
	is "qcow-$1" "$(cd "$root/usr/src" && echo qcow*)"
}

# tarball VERSION: packs the module that DKMS has built, for another machine with the same kernel
tarball() {
	in_root dkms mktarball -m qcow -v "$1" -k "$release" > dkms.log 2>&1 ||
		{ cat dkms.log; return 1; }
	mv "$root/var/lib/dkms/qcow/$1"/tarball/*.tar.gz "data/qcow-$1.dkms.tar.gz"
	rmdir "$root/var/lib/dkms/qcow/$1/tarball"
}

# initramfs_has FILE COMMAND...: the command succeeds with that file of the initramfs,
# which is there under its own name.
initramfs_has() {
	local file=$1 found

	shift
	rm -rf "$root/tmp/initramfs"
	in_root unmkinitramfs "/boot/initrd.img-$release" /tmp/initramfs
	found=$(find "$root/tmp/initramfs" -path "*/$file")
	[ -n "$found" ] || { echo "no $file"; return 1; }
	"$@" "$found"
}

# initramfs_lacks: neither the module nor the tool; a script that does nothing may be there.
initramfs_lacks() {
	in_root lsinitramfs "/boot/initrd.img-$release" > list
	! grep -E 'qcow\.ko|qcowctl|60-qcow' list
}

# module_version VERSION FILE; tool_version VERSION FILE
module_version() {
	is "$1" "$(modinfo -F version "$2")"
}

tool_version() {
	is "qcowctl $1" "$("$2" --version)"
}

# without_headers: the packages are installed all the same, and a line says what lacks. The
# headers that come later have DKMS build the module.
without_headers() {
	local build=$root/lib/modules/$release/build words

	mv "$build" "$build.away"
	install "$packages" || return
	has 'headers' apt.log
	is "qcow/$version: added" "$(in_root dkms status qcow)" || return
	in_root qcowctl create /tmp/disk.qcow2 1M
	words="install the headers of that kernel .*linux-headers-$(uname -r) .* and qcow-dkms"
	in_root qcowctl attach /tmp/disk.qcow2 2> said && { echo "attached"; return 1; }
	is 1 "$(wc -l < said)" && has "$words" said || return
	mv "$build.away" "$build"
	in_root /etc/kernel/header_postinst.d/dkms "$release" > dkms.log 2>&1 ||
		{ cat dkms.log; return 1; }
	built "$version"
}

# get_autopkgtest: that package, and those that it needs, for the machine without a network
get_autopkgtest() {
	mkdir data/autopkgtest
	apt_in_root update && apt_in_root --download-only --no-install-recommends \
		install autopkgtest &&
		cp "$root"/var/cache/apt/archives/*.deb data/autopkgtest/
}

# compare NAME...: the files are those of before the installation.
compare() {
	listing > after
	diff before after
}

# --- In a folder ---

mkdir work data
packages=$("$QCOW_TOP/tests/host/image.sh" packages)
version=$(dpkg-parsechangelog -l "$QCOW_TOP/debian/changelog" -S Version)
expect "packages of a higher version" make_next
mount_root "$("$QCOW_TOP/tests/host/base.sh")" work
release=$(basename "$root"/lib/modules/*)
no_services
listing > before
expect "install without headers, then the headers" without_headers
expect "tarball" tarball "$version"
expect "tool" is "qcowctl $version" "$(in_root qcowctl --version)"
expect "initramfs of a machine that has none of it" initramfs_lacks
echo QCOW=y > "$root/etc/initramfs-tools/conf.d/qcow"
expect "upgrade of the tools" install next qcow-utils
expect "tool after the upgrade" is "qcowctl $NEXT" "$(in_root qcowctl --version)"
expect "tool in the initramfs" initramfs_has usr/sbin/qcowctl tool_version "$NEXT"
expect "upgrade of the module" install next qcow-dkms
expect "module after the upgrade" built "$NEXT"
expect "module in the initramfs" initramfs_has qcow.ko module_version "$NEXT"
expect "tarball of the higher version" tarball "$NEXT"
expect "remove" apt_in_root remove qcow-utils qcow-dkms
expect "initramfs after the removal" initramfs_lacks
rm "$root/etc/initramfs-tools/conf.d/qcow"
expect "nothing is left" compare
expect "autopkgtest for the machine" get_autopkgtest
umount_special
umount "$root"

# --- In the machine ---

# A guest's disk with a partition table
make_disk() {
	truncate -s 64M raw
	sfdisk -q raw <<< 'size=60M, type=linux' || return
	mkdir guest
	echo 'from the guest' > guest/file
	mke2fs -q -t ext4 -L guest -d guest -E offset=1048576 raw 60M &&
		qemu-img convert -f raw -O qcow2 raw data/disk.qcow2
	cp data/disk.qcow2 data/second.qcow2
	rm -r raw guest
}

expect "a guest's disk" make_disk
mkdir -p data/{this,next}
cp "$packages"/qcow-{dkms,utils}_*.deb data/this
cp next/qcow-{dkms,utils}_*.deb data/next
mkdir data/source
cp -r "$QCOW_TOP/debian" data/source
data_disk data.raw 256M data
vm_new bare
vm_disk data.raw
expect "boot" vm_boot
cat > functions <<'END'
apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Use-Pty=0 -y "$@" > apt.log 2>&1 ||
		fail "apt-get $*: $(cat apt.log)"
}

# prebuilt: DKMS takes these modules rather than compile. No initramfs is made, since the
# machine boots one from outside; the folder has tried that.
prebuilt() {
	mkdir -p /usr/share/qcow-dkms
	cp /srv/*.dkms.tar.gz /usr/share/qcow-dkms/
	echo update_initramfs=no > /etc/initramfs-tools/update-initramfs.conf
}

files_there() {
	find / -xdev \( -path /tmp -o -path /var/log -o -path /var/lib/dpkg \
		-o -path /var/lib/apt -o -path /var/cache -o -path '/var/lib/dkms/mok.*' \
		-o -path /root -o -path /srv -o -path /var/lib/systemd -o -path /mnt \
		-o -path /usr/share/qcow-dkms -o -path /var/tmp \
		-o -path /usr/lib/systemd/system-shutdown \) \
		-prune -o -printf '%p %y %u:%g %m %l\n' | sort
}
END
put functions /root/functions
step "install as a new user" <<'END'
. /root/functions
echo '/dev/disk/by-id/virtio-disk0 /srv ext4 defaults 0 2' >> /etc/fstab
systemctl daemon-reload
mount /srv
files_there > /root/before
prebuilt
apt install /srv/this/*.deb
END
step "attach and mount, without a boot" <<'END'
is /dev/qcow0 "$(qcowctl attach /srv/disk.qcow2)"
mount LABEL=guest /mnt
is "from the guest" "$(cat /mnt/file)"
echo "from the host" > /mnt/new
umount /mnt
qcowctl detach /srv/disk.qcow2
is "" "$(qcowctl list -n)"
END
step "qcowtab and fstab" <<'END'
cp /etc/fstab /root/fstab
echo 'guest /srv/disk.qcow2' > /etc/qcowtab
echo '/dev/qcow/guest-part1 /mnt ext4 defaults,nofail 0 2' >> /etc/fstab
echo '/srv/second.qcow2 /opt qcow2.ext4 partition=1,nofail 0 0' >> /etc/fstab
systemctl daemon-reload
mount /opt
echo "by fstab" > /opt/new
umount /opt
is "" "$(qcowctl list -n)"
END
step "a kernel that takes signed modules only" <<'END'
modprobe -r qcow
echo integrity > /sys/kernel/security/lockdown
run qcowctl attach /srv/disk.qcow2
refused 'Secure Boot run mokutil --import /var/lib/dkms/mok.pub, boot, and confirm that key'
END
expect "reboot" vm_reboot
step "attached and mounted at boot, with the data of before" <<'END'
has '^/dev/qcow[0-9]+p1$' <(findmnt -nro SOURCE /mnt)
is "from the host" "$(cat /mnt/new)"
is "from the guest by fstab" "$(cat /opt/file /opt/new | xargs)"
is 2 "$(qcowctl list -n | wc -l)"
is running "$(systemctl is-system-running --wait || systemctl --failed)"
umount /opt
is 1 "$(qcowctl list -n | wc -l)"
END
step "mount and umount by the image" <<'END'
mount -t qcow2 -o partition=1 /srv/second.qcow2 /opt
echo "another line" >> /opt/file
umount /opt
is 1 "$(qcowctl list -n | wc -l)"
END
step "upgrade with a filesystem in use" <<END
. /root/functions
name=\$(basename "\$(readlink -f /dev/qcow/guest)")
before=\$(cat /sys/block/\$name/diskseq)
(exec 9> /mnt/writing; while sleep 0.1; do echo line >&9; done) > /dev/null 2>&1 &
writer=\$!
apt install /srv/next/*.deb
kill \$writer
is "\$before" "\$(cat /sys/block/\$name/diskseq)"
is /dev/\${name}p1 "\$(findmnt -nro SOURCE /mnt)"
is "qcow/$NEXT, \$(uname -r), x86_64: installed" "\$(dkms status qcow)"
is "qcowctl $NEXT" "\$(qcowctl --version)"
[ ! -e /sys/module/qcow/version ]
[ "\$(wc -l < /mnt/writing)" -gt 0 ]
END
step "the new tool with the module that stays" <<'END'
is "$(readlink -f /dev/qcow/guest)" "/dev/$(qcowctl list -nO NAME)"
umount /mnt
qcowctl detach /srv/disk.qcow2
qcowctl check /srv/disk.qcow2 > out
qcowctl attach -r /srv/disk.qcow2
qcowctl detach /srv/disk.qcow2
mount /opt
echo "after the upgrade" >> /opt/new
END
expect "reboot after the upgrade" vm_reboot
step "the new module with the data of before" <<END
is $NEXT "\$(cat /sys/module/qcow/version)"
is "from the host" "\$(cat /mnt/new)"
is "by fstab after the upgrade" "\$(cat /opt/new | xargs)"
is running "\$(systemctl is-system-running --wait || systemctl --failed)"
umount /opt /mnt
systemctl stop qcow@guest.service
is "" "\$(qcowctl list -n)"
END
step "the tool of before with the new module" <<'END'
. /root/functions
apt install --allow-downgrades /srv/this/qcow-utils_*.deb
is /dev/qcow0 "$(qcowctl attach /srv/disk.qcow2)"
is qcow0 "$(qcowctl list -nO NAME)"
END
step "no qcowtab, the fstab of before" <<'END'
rm /etc/qcowtab
cp /root/fstab /etc/fstab
systemctl daemon-reload
is /srv/disk.qcow2 "$(qcowctl list -nO IMAGE)"
mount /dev/qcow0p1 /mnt
mount -t qcow2 -o partition=1 /srv/second.qcow2 /opt
END
# Such as that of somebody who prepares an image: /sys, /dev and /run are the host's.
step "removal in a chroot leaves the devices of the host alone" <<'END'
mount -t tmpfs tmpfs /media
mkdir /media/{upper,work,root}
mount -t overlay -o lowerdir=/,upperdir=/media/upper,workdir=/media/work overlay /media/root
for i in proc sys dev run; do mount --bind /$i /media/root/$i; done
chroot /media/root sh /var/lib/dpkg/info/qcow-utils.prerm remove
for i in proc sys dev run; do umount /media/root/$i; done
umount /media/root /media
is "" "$(find /run/systemd/system -name removed.conf)"
umount /mnt
[ -e /sys/block/qcow0 ]
mount /dev/qcow0p1 /mnt
END
# One filesystem is unmounted soon, the other one when the machine goes down.
step "purge with filesystems in use" <<'END'
. /root/functions
dd if=/dev/urandom of=/mnt/data bs=1M count=20 status=none
echo "after all" > /mnt/last
echo "after all" > /opt/last
apt purge qcow-utils qcow-dkms
is "after all" "$(cat /mnt/last)"
is 2 "$(ls -d /sys/block/qcow* | wc -l)"
umount /opt
for i in $(seq 100); do [ -e /sys/block/qcow1 ] || break; sleep 0.1; done
is /sys/block/qcow0 "$(echo /sys/block/qcow*)"
echo "and more" >> /mnt/last
END
step "nothing is left after purge" <<'END'
. /root/functions
files_there > /root/after
diff /root/before /root/after
END
expect "poweroff" vm_poweroff
expect "nothing was busy" quiet_stop "$vm_console"
expect "the disk of the images" clean_ext4 data.raw

# image_has NAME CONTENT: the image and the filesystem in its partition are clean, and the
# file last there has the content.
image_has() {
	clean_image data.raw "/$1.qcow2" && clean_partition "$1.qcow2" 60 &&
		is "$2" "$(debugfs -R 'cat /last' part 2> /dev/null | xargs)"
}

expect "the image in use at the poweroff" image_has disk "after all and more"
expect "the image in use at the purge" image_has second "after all"
expect "boot without the packages" vm_boot
step "autopkgtest" <<'END'
. /root/functions
is running "$(systemctl is-system-running --wait || systemctl --failed)"
: > /etc/apt/sources.list
apt install --no-install-recommends /srv/autopkgtest/*.deb
autopkgtest --no-built-binaries --ignore-restrictions=isolation-machine /srv/this/*.deb \
	/srv/source/ -- null > /root/autopkgtest.log 2>&1 || fail "$(tail -n 50 /root/autopkgtest.log)"
has '^attach +PASS' /root/autopkgtest.log
is "" "$(qcowctl list -n)"
END
expect "the last poweroff" vm_poweroff
