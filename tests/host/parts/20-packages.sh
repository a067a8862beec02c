# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # root is of chroot.sh
#
# The packages: a new user installs them, uses an image, upgrades and removes them. First
# in a folder, where DKMS builds the module; then in the machine, which gets those modules
# as DKMS tarballs, since it would compile for many minutes under emulation.
. "$QCOW_TOP/tests/host/chroot.sh"

NEXT=0.1.99

# make_next: this source with a higher version, as packages
make_next() {
	mkdir source
	(cd "$QCOW_TOP" && git ls-files -co --exclude-standard -- ':!tests') |
		tar -C "$QCOW_TOP" -c -T - | tar -C source -x
	sed -i "1s/(.*)/($NEXT)/" source/debian/changelog
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

# install FOLDER: its packages
install() {
	local debs

	rm -rf "$root/tmp/packages"
	cp -r "$1" "$root/tmp/packages"
	debs=("$root"/tmp/packages/qcow-{dkms,utils}_*.deb)
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
expect "install" install "$packages"
expect "module" built "$version"
expect "tarball" tarball "$version"
expect "tool" is "qcowctl $version" "$(in_root qcowctl --version)"
expect "upgrade" install next
expect "module after the upgrade" built "$NEXT"
expect "tarball of the higher version" tarball "$NEXT"
expect "tool after the upgrade" is "qcowctl $NEXT" "$(in_root qcowctl --version)"
expect "remove" apt_in_root remove qcow-utils qcow-dkms
expect "nothing is left" compare
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
	rm -r raw guest
}

expect "a guest's disk" make_disk
mkdir -p data/{this,next}
cp "$packages"/qcow-{dkms,utils}_*.deb data/this
cp next/qcow-{dkms,utils}_*.deb data/next
data_disk data.raw 256M data
vm_new bare
vm_disk data.raw
expect "boot" vm_boot
cat > functions <<'END'
apt() {
	DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Use-Pty=0 -y "$@" > apt.log 2>&1 ||
		fail "apt-get $*: $(cat apt.log)"
}

# prebuilt: DKMS takes these modules rather than compile.
prebuilt() {
	mkdir -p /usr/share/qcow-dkms
	cp /srv/*.dkms.tar.gz /usr/share/qcow-dkms/
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
put "$QCOW_TOP/debian/tests/attach" /root/attach
guest chmod +x /root/attach
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
cp /etc/fstab /root/fstab
echo 'guest /srv/disk.qcow2' > /etc/qcowtab
echo '/dev/qcow/guest-part1 /mnt ext4 defaults,nofail 0 2' >> /etc/fstab
END
expect "reboot" vm_reboot
step "attached and mounted at boot, with the data of before" <<'END'
has '^/dev/qcow[0-9]+p1$' <(findmnt -nro SOURCE /mnt)
is "from the host" "$(cat /mnt/new)"
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
[ "\$(wc -l < /mnt/writing)" -gt 0 ]
END
step "the new tool with the module that stays" <<'END'
is "$(readlink -f /dev/qcow/guest)" "/dev/$(qcowctl list -nO NAME)"
umount /mnt
qcowctl detach /srv/disk.qcow2
qcowctl check /srv/disk.qcow2 > out
qcowctl attach -r /srv/disk.qcow2
qcowctl detach /srv/disk.qcow2
END
step "the tool of before with the new module" <<'END'
. /root/functions
modprobe -r qcow
apt install --allow-downgrades /srv/this/qcow-utils_*.deb
is /dev/qcow0 "$(qcowctl attach /srv/disk.qcow2)"
is qcow0 "$(qcowctl list -nO NAME)"
END
step "debian/tests" <<'END'
rm /etc/qcowtab
cp /root/fstab /etc/fstab
systemctl daemon-reload
qcowctl detach --all
AUTOPKGTEST_TMP=$PWD /root/attach > /root/attach.log 2>&1 || fail "$(cat /root/attach.log)"
is "" "$(qcowctl list -n)"
qcowctl attach /srv/disk.qcow2
END
step "purge" <<'END'
. /root/functions
mount LABEL=guest /mnt
echo "after all" > /mnt/last
umount /mnt
qcowctl detach --all
apt purge qcow-utils qcow-dkms
END
step "nothing is left after purge" <<'END'
. /root/functions
files_there > /root/after
diff /root/before /root/after
END
expect "poweroff" vm_poweroff
expect "a clean disk" clean_ext4 data.raw
take data.raw /disk.qcow2 disk.qcow2
expect "a clean image" qemu-img check -q disk.qcow2
expect "the data of the last run" is "after all" \
	"$(qemu-img convert -O raw disk.qcow2 raw && dd if=raw of=part bs=1M skip=1 status=none &&
		debugfs -R 'cat /last' part 2> /dev/null)"
