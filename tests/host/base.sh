#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# base.sh: unpacks a bare Debian 12 with systemd, udev, the distribution's kernel and what
# DKMS needs, and prints its folder. A few minutes and a network, once for each list of
# packages; a folder that was not asked for in two weeks is removed.
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"

packages=(
	# a system that boots
	linux-image-amd64 initramfs-tools systemd-sysv udev dbus kmod
	# for DKMS to build a module for that kernel
	dkms linux-headers-amd64
	# the other maker of initramfs images
	dracut-core
	# programs that look at block devices, and that the packages depend on
	bash-completion btrfs-progs cryptsetup-bin dosfstools e2fsprogs fdisk keyutils
	libbz2-1.0 libcryptsetup12 libexpat1 libjson-c5 libkeyutils1 liblzma5 libseccomp2
	libzstd1 lvm2 udisks2 xfsprogs zlib1g
	# hosts whose images lie elsewhere
	kexec-tools nfs-common nfs-kernel-server
	# lets an emulated processor unpack its initramfs soonest
	lz4
)

# Prints the places that the host has its own Debian packages from.
sources() {
	# shellcheck disable=SC2016 # for apt to expand
	apt-get indextargets 'Created-By: Packages' 'Component: main' \
		--format 'deb $(REPO_URI) $(RELEASE) main' |
		grep -E '/debian(-security)?/* bookworm' | sort -u
}

# Drivers of the emulated machine only: an emulated processor unpacks no more than it must.
customize() {
	local root=$1

	cat >> "$root/etc/initramfs-tools/modules" <<-EOT
		virtio_pci
		virtio_blk
		ext4
	EOT
	echo MODULES=list > "$root/etc/initramfs-tools/conf.d/host-tests"
	echo COMPRESS=lz4 >> "$root/etc/initramfs-tools/conf.d/host-tests"
	chroot "$root" update-initramfs -u
}

unpack() {
	local root=$1 include

	rm -rf --one-file-system "$root"
	include=$(IFS=,; echo "${packages[*]}")
	sources | mmdebstrap --mode=root --variant=minbase --include="$include" \
		--dpkgopt='path-exclude=/usr/share/locale/*' --aptopt='Acquire::Retries "3"' \
		bookworm "$root" - > "$root.log" 2>&1 || {
		tail -n 30 "$root.log"
		return 1
	}
	customize "$root" >> "$root.log" 2>&1
}

key() {
	{ declare -f unpack customize sources; echo "${packages[@]}"; sources; } | sha256sum | cut -c1-16
}

only_one host-base
base=$QCOW_CACHE/host/base-$(key)
if [ ! -d "$base" ]; then
	mkdir -p "$QCOW_CACHE/host"
	say "unpacking a bare Debian; the log is ${base%/*}/new.log"
	retry unpack "$QCOW_CACHE/host/new" >&2
	mv "$QCOW_CACHE/host/new" "$base"
fi
touch "$base"
find "$QCOW_CACHE/host" -mindepth 1 -maxdepth 1 -name 'base-*' -mtime +14 -exec rm -rf {} +
echo "$base"
