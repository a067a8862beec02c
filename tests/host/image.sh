#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# image.sh bare|qcow|containers: makes the disk of a virtual machine with Debian 12, and
# prints its folder. In that folder are
#
#	root.img	the root filesystem, an ext4 without a partition table
#	vmlinuz, initrd.img
#			the kernel, and the initramfs that Debian's tools made
#	release		the kernel as uname -r tells it
#
# "qcow" has this source's packages installed, by apt, with DKMS building the module;
# "bare" has all that they need, and not them; "containers" has programs as well that run
# containers and virtual machines.
#
# image.sh packages: builds the packages of this source, and prints their folder.
# image.sh layers: prints the folders of the system with the packages installed, for
# mount_root of chroot.sh.
# Nothing is made anew unless one of its inputs changes.
set -euo pipefail
self=$(realpath "$0")
here=${self%/*}
. "$here/../lib/common.sh"
. "$here/chroot.sh"

# --- In a mount namespace of its own ---

# Layers of files over the base system: one with the module, which takes DKMS most of the
# time, and one with the tools.
# inside_layer LAYERS WORK DEBS: leaves what the installation of the packages, a file or a
# folder, changes in WORK/upper.
inside_layer() {
	local deb=$3 debs

	mount_root "$1" "$2"
	no_services
	cp -r "$deb" "$root/tmp/"
	mapfile -t debs < <(cd "$root" && find "tmp/${deb##*/}" -name '*.deb' -printf '/%p\n')
	in_root apt-get -o DPkg::Use-Pty=0 install -y --no-install-recommends "${debs[@]}"
	services_again
	[[ $deb != */qcow-dkms_* ]] || [ -n "$(find "$root/lib/modules" -name 'qcow.ko*')" ] || {
		cat "$root"/var/lib/dkms/qcow/*/build/make.log
		die "DKMS has built no module"
	}
}

# The answers that an installer asks for; and units are masked that only take time
configure() {
	local unit

	echo '/dev/vda / ext4 errors=remount-ro 0 1' > "$root/etc/fstab"
	echo host > "$root/etc/hostname"
	echo '127.0.0.1 localhost host' > "$root/etc/hosts"
	echo 0123456789abcdef0123456789abcdef > "$root/etc/machine-id"
	passwd --root "$root" -d root
	for unit in getty@tty1.service serial-getty@ttyS0.service apt-daily.timer \
		apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
		e2scrub_reap.service fstrim.timer nfs-server.service kexec.service \
		kexec-load.service lxc.service lxc-net.service lxc-monitord.service \
		podman.service podman-auto-update.timer podman-restart.service; do
		ln -sfn /dev/null "$root/etc/systemd/system/$unit"
	done
}

install_agent() {
	install -m 755 "$here/guest/host-agent" "$root/usr/local/sbin/host-agent"
	install -m 644 "$here/guest/host-agent.service" "$root/etc/systemd/system/"
	install -m 644 "$here/../lib/assert.sh" "$root/usr/local/share/assert.sh"
	in_root systemctl enable host-agent.service
}

# inside_disk LAYERS WORK: leaves the files of the image in WORK.
inside_disk() {
	local release

	mount_root "$1" "$2"
	configure
	install_agent
	umount_special
	release=$(basename "$root"/lib/modules/*)
	echo "$release" > "$2/release"
	cp -L "$root/boot/vmlinuz-$release" "$2/vmlinuz"
	cp -L "$root/boot/initrd.img-$release" "$2/initrd.img"
	truncate -s 6G "$2/root.img"
	mke2fs -q -t ext4 -E root_owner=0:0,lazy_itable_init=1 -d "$root" "$2/root.img"
}

# --- Outside ---

# Prints a name made of the words, and of the contents of files of this source.
key_of() {
	local folder=$1

	shift
	{ git -C "$QCOW_TOP" ls-files -co --exclude-standard "$@" |
		(cd "$QCOW_TOP" && xargs cat)
	  echo "$base" "$folder"; } | sha256sum | cut -c1-16
}

# make FOLDER KEY COMMAND...: has the command fill a new folder, its last argument, unless
# there is one with this key; its log is FOLDER.log.
make() {
	local folder=$QCOW_CACHE/host/$1 key=$2 work

	shift 2
	[ "$(cat "$folder/key" 2> /dev/null)" != "$key" ] || return 0
	say "making ${folder##*/}"
	work=$folder.new
	rm -rf --one-file-system "$work"
	mkdir -p "$work"
	"$@" "$work" > "$folder.log" 2>&1 || {
		tail -n 30 "$folder.log" >&2
		die "no ${folder##*/}; the log is $folder.log"
	}
	echo "$key" > "$work/key"
	rm -rf --one-file-system "$folder"
	mv "$work" "$folder"
}

make_packages() {
	make packages "$(key_of packages "${sources[@]}")" "$QCOW_TOP/debian/build.sh"
}

# debian_packages WORK: downloads the containers' programs, and what the base lacks for them.
debian_packages() {
	apt-get update -qq
	apt-get -o Dir::State::status="$base/var/lib/dpkg/status" -o Debug::NoLocking=1 \
		-o Dir::Cache::archives="$1" -o Dir::Cache::pkgcache= -o Acquire::Retries=3 \
		-o APT::Sandbox::User=root --target-release bookworm --no-install-recommends \
		--download-only -y install "${containers[@]}"
}

# make_inside FOLDER KEY STEP [DEBS]
make_inside() {
	make "$1" "$2" make_inside_of "$3" "${4-}"
}

# make_inside_of STEP DEB WORK
make_inside_of() {
	unshare --mount "$self" "--$1" "$layers" "$3" "$2"
	rm -rf --one-file-system "$3"/{overlay,root}
	[ "$1" = layer ] || rm -rf "$3/upper"
}

# add_layer NAME DEBS FILE...: installs the packages, which are made of these files.
add_layer() {
	local name=$1

	make_inside "layer-$name" "$(key_of "$layers $layer_keys" "${@:3}" \
		tests/host/image.sh tests/host/chroot.sh)" layer "$2"
	layers=$QCOW_CACHE/host/layer-$name/upper:$layers
	layer_keys+=" $(cat "$QCOW_CACHE/host/layer-$name/key")"
}

module_sources=(Kbuild Makefile drivers include debian/build.sh debian/changelog
	debian/control debian/rules 'debian/qcow-dkms*')
containers=(apparmor systemd-container podman crun lxc qemu-system-x86 qemu-utils mmdebstrap jq)
sources=("${module_sources[@]}" userspace debian README.md 'Documentation/*.rst')

case ${1-} in
--layer|--disk)
	"inside_${1#--}" "${@:2}"
	exit ;;
bare|qcow|containers|packages|layers) ;;
*)	die "usage: image.sh bare|qcow|containers|packages|layers" ;;
esac

base=$("$here/base.sh")
layers=$base layer_keys=''
only_one host-image
if [ "$1" != bare ]; then
	make_packages
fi
if [[ $1 == @(qcow|containers|layers) ]]; then
	add_layer dkms "$(echo "$QCOW_CACHE"/host/packages/qcow-dkms_*.deb)" "${module_sources[@]}"
	add_layer utils "$(echo "$QCOW_CACHE"/host/packages/qcow-utils_*.deb)" "${sources[@]}"
fi
if [ "$1" = containers ]; then
	make debian "$(key_of "${containers[*]}" tests/host/base.sh)" retry debian_packages
	add_layer containers "$QCOW_CACHE/host/debian" tests/host/base.sh
fi
if [ "$1" = layers ]; then
	echo "$layers"
	exit
fi
if [ "$1" != packages ]; then
	make_inside "$1" "$(key_of "$layers $layer_keys" tests/host/image.sh \
		tests/host/chroot.sh tests/host/guest tests/lib/assert.sh)" disk
fi
echo "$QCOW_CACHE/host/$1"
