#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# packages.sh: installs the packages that building and testing need on Debian 12.
# If all are installed, it only looks, in a fraction of a second.
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"

packages=(
	# the module and the user-space tools
	build-essential gcc-12 make pkg-config libblkid-dev libcryptsetup-dev
	libbz2-dev libexpat1-dev libjson-c-dev libkeyutils-dev liblzma-dev libmd-dev libmount-dev
	libseccomp-dev libsmartcols-dev libudev-dev libzstd-dev uuid-dev zlib1g-dev
	# checkers and debuggers
	clang cppcheck gdb libclang-rt-dev lld llvm shellcheck sparse strace
	# kernels: to unpack Debian's, to build User-Mode Linux
	bc binutils bison flex kmod libelf-dev libssl-dev linux-headers-amd64
	linux-source-6.1 patchelf rsync xz-utils zstd
	# guests, and the programs that run in them
	attr btrfs-progs busybox-static cpio cryptsetup-bin dmsetup dosfstools
	e2fsprogs fdisk fio gdisk gojq iproute2 jq keyutils mmdebstrap parted python3
	python3-zstandard qemu-system-x86 qemu-utils systemd udev util-linux xfsprogs
	# the book; shells whose completion is tried
	fish mandoc python3-myst-parser python3-sphinx zsh
	# writers and readers of other programs' image formats
	bochs bochs-term bochsbios bximage cloop-utils libvhdi-utils libvmdk-utils mtools p7zip-full
	python3-libvhdi python3-libvmdk python3-lz4 python3-lzo uml-utilities user-mode-linux
	vgabios
	# Debian packages
	debhelper dh-dkms dkms dpkg-dev lintian
	# guides
	libvirt-clients libxml2-utils
	# RPM packages
	rpm rpmlint
)

# Prints the installed ones of the named packages. dpkg-query complains of
# those it has never heard of; they are missing, which is all we ask.
installed() {
	dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
		sed -n 's/^installed //p' || true
}

missing() {
	comm -23 <(printf '%s\n' "$@" | sort -u) <(installed "$@" | sort -u)
}

mapfile -t wanted < <(missing "${packages[@]}")
[ ${#wanted[@]} -gt 0 ] || exit 0

only_one packages
say "installing ${wanted[*]}"
export DEBIAN_FRONTEND=noninteractive
retry apt-get update -qq
retry apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends "${wanted[@]}"

mapfile -t wanted < <(missing "${packages[@]}")
[ ${#wanted[@]} -eq 0 ] || die "still missing: ${wanted[*]}"
