#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# disk.sh DIR: makes the demo's guest disk in DIR, unless it is there:
#
#	base.qcow2	Debian in an ext4 partition, compressed with zstd
#	guest.qcow2	what changed since, on top of it: compressed with zlib, and
#			plain where compression gains nothing
#	box.ova		the whole disk once more, as an appliance: a tar archive with a VMDK stream
#	store.img	an ext4 filesystem with all of them, for the virtual machine
#
# Neither loop devices nor mounts are needed.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"

[ $# -eq 1 ] || die "usage: disk.sh DIR"
dir=$1
disk_size=320M
partition_start=1048576
partition_size=318M
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The sources of this machine's own Debian packages, or nothing
sources() {
	# shellcheck disable=SC2016 # for apt to expand
	apt-get indextargets 'Created-By: Packages' 'Component: main' \
		--format "deb [signed-by=$keyring] \$(REPO_URI) \$(RELEASE) main" |
		grep -E '/debian(-security)?/? ' | sort -u || true
}

# Debian's smallest useful system, without documentation
bootstrap() {
	local codename mirrors=()

	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")
	sources > "$work/sources.list"
	[ ! -s "$work/sources.list" ] || mirrors=("$work/sources.list")
	retry mmdebstrap --variant=minbase \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"$codename" "$work/root.tar" "${mirrors[@]}"
	mkdir "$work/root"
	tar -xf "$work/root.tar" -C "$work/root" --numeric-owner --exclude='./dev/*'
	rm "$work/root.tar"
}

# A disk with one partition, and the filesystem written straight into it
make_base() {
	truncate -s "$disk_size" "$work/disk.raw"
	printf '%s\n' 'label: gpt' "start=1M, size=$partition_size, name=root, type=linux" |
		sfdisk -q "$work/disk.raw"
	mkfs.ext4 -q -L debian -d "$work/root" -E offset=$partition_start \
		"$work/disk.raw" "$partition_size"
	qemu-img convert -c -O qcow2 -o compression_type=zstd \
		"$work/disk.raw" "$work/base.qcow2"
}

# Files that the guest changed since. debugfs reports no failure, so the file is read
# back.
write_file() {
	local disk="$work/disk.raw?offset=$partition_start"

	debugfs -w -f /dev/stdin "$disk" > /dev/null <<-EOF
		rm $2
		write $1 $2
	EOF
	debugfs -R "cat $2" "$disk" | cmp - "$1"
}

change_disk() {
	echo "This line is newer than base.qcow2: it lies in guest.qcow2 alone." > "$work/motd"
	echo qcow-demo > "$work/hostname"
	head -c 4M /dev/urandom > "$work/random"
	write_file "$work/motd" /etc/motd
	write_file "$work/hostname" /etc/hostname
	write_file "$work/random" /srv/random
	e2fsck -fn "$work/disk.raw?offset=$partition_start"
}

# Only what differs goes into the overlay: rebase finds it, convert compresses it.
make_overlay() (
	cd "$work"
	qemu-img create -q -f qcow2 -b disk.raw -F raw delta.qcow2
	qemu-img rebase -b base.qcow2 -F qcow2 delta.qcow2
	qemu-img convert -c -O qcow2 -B base.qcow2 -F qcow2 delta.qcow2 guest.qcow2
	qemu-img compare guest.qcow2 disk.raw
)

make_ova() {
	echo '<Envelope/>' > "$work/box.ovf"
	qemu-img convert -O vmdk -o subformat=streamOptimized "$work/disk.raw" "$work/box.vmdk"
	tar -C "$work" -cf "$work/box.ova" box.ovf box.vmdk
}

make_store() {
	local bytes

	mkdir "$work/store"
	mv "$work"/{base,guest}.qcow2 "$work/box.ova" "$work/store"
	bytes=$(du -cb "$work/store"/* | tail -n1 | cut -f1)
	truncate -s $((bytes / 1048576 + 24))M "$work/store.img"
	mkfs.ext4 -q -m 0 -d "$work/store" "$work/store.img"
}

stamp=$(sha256sum "$0" | cut -c1-16)
[ "$(cat "$dir/stamp" 2> /dev/null)" != "$stamp" ] || exit 0
mkdir -p "$dir"
rm -f "$dir/stamp"
work=$(mktemp -d "$dir/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
bootstrap
make_base
change_disk
make_overlay
make_ova
make_store
mv "$work"/store/*.{qcow2,ova} "$work/store.img" "$dir"
echo "$stamp" > "$dir/stamp"
