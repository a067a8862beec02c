#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mirror.sh: makes a mirror of Debian 12 that has the packages of a minimal system, and prints
# its folder. The packages are not compressed: an emulated processor would take many minutes to
# decompress them. It needs a network once; tests/host/base.sh has the system that it belongs to.
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"

# download FOLDER: the packages that debootstrap and the like call "minbase"
download() {
	apt-get update -qq
	apt-get -o Dir::State::status=/dev/null -o Debug::NoLocking=1 \
		-o Dir::Cache::archives="$1" -o Dir::Cache::pkgcache= -o Acquire::Retries=3 \
		-o APT::Sandbox::User=root --target-release bookworm --no-install-recommends \
		--download-only -y install \
		'?narrow(?codename(^bookworm$),?architecture(amd64),?essential)' apt
}

# decompress FROM TO
decompress() {
	local deb

	for deb in "$1"/*.deb; do
		dpkg-deb -R "$deb" "$1/tree"
		dpkg-deb -Znone -b "$1/tree" "$2" > /dev/null
		rm -r "$1/tree"
	done
}

# lists MIRROR: makes the lists that apt reads.
lists() {
	local dist=$1/dists/bookworm list=main/binary-amd64/Packages

	mkdir -p "$dist/${list%/*}"
	(cd "$1" && dpkg-scanpackages -m pool 2> /dev/null) > "$dist/$list"
	cat > "$dist/Release" <<-END
		Origin: Debian
		Codename: bookworm
		Architectures: amd64
		Components: main
		Date: $(date -Ru)
		SHA256:
		 $(sha256sum < "$dist/$list" | cut -d ' ' -f 1) $(stat -c %s "$dist/$list") $list
	END
}

make_mirror() {
	rm -rf "$1" "$1.debs"
	mkdir -p "$1/pool" "$1.debs"
	download "$1.debs"
	decompress "$1.debs" "$1/pool"
	rm -r "$1.debs"
	lists "$1"
}

if [ "${1-}" = --make ]; then
	make_mirror "$2"
	exit
fi

base=$("$(dirname "$0")/base.sh")
only_one host-mirror
key=$(echo "$base" | cat - "$0" | sha256sum | cut -c1-16)
mirror=$QCOW_CACHE/host/mirror-$key
if [ ! -d "$mirror" ]; then
	say "making a mirror of Debian; the log is ${mirror%/*}/mirror.log"
	rm -rf "${mirror%/*}"/mirror-*
	retry "$0" --make "${mirror%/*}/mirror" > "${mirror%/*}/mirror.log" 2>&1
	mv "${mirror%/*}/mirror" "$mirror"
fi
echo "$mirror"
