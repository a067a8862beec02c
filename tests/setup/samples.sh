#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# samples.sh: unpacks QEMU's sample images of many formats, which other programs made, into
# $QCOW_CACHE/samples. They come from Debian's source package of QEMU, whose signature apt
# checks; apt runs with a state of its own, so the host needs no source repository.
#
# With the folder in place it does nothing; remove the folder to fetch them again.
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"

final=$QCOW_CACHE/samples
inside=tests/qemu-iotests/sample_images

# Prints the lines of a sources.list with the sources of the host's Debian packages.
sources() {
	# shellcheck disable=SC2016 # for apt to expand
	apt-get indextargets 'Created-By: Packages' 'Component: main' 'Origin: Debian' \
		--format '[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(REPO_URI) $(RELEASE) main' |
		sort -u | sed 's/^/deb-src /'
}

# apt ARGS...: runs apt-get with the sources only, and with all of its files in $work
apt() {
	apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" \
		-o Dir::Etc::sourceparts="$work/parts" -o Dir::State="$work/state" \
		-o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none \
		-o Acquire::Retries=3 -o APT::Update::Error-Mode=any "$@"
}

fetch() {
	mkdir -p "$work"/{parts,state/lists/partial,cache/archives/partial,source}
	: > "$work/status"
	sources > "$work/sources.list"
	[ -s "$work/sources.list" ] || die "apt knows no Debian repository"
	retry apt update || return 1
	(cd "$work/source" && retry apt source --download-only --tar-only qemu)
}

# unpack: takes the images out of the source, and decompresses them
unpack() {
	local tarball

	tarball=$(ls "$work"/source/qemu_*.orig.tar.*)
	mkdir "$work/samples"
	tar -xf "$tarball" -C "$work/samples" --no-same-owner --strip-components=4 \
		--wildcards "*/$inside/*"
	find "$work/samples" -name '*.bz2' -exec bunzip2 {} +
	find "$work/samples" -name '*.xz' -exec unxz {} +
	find "$work/samples" -type f -exec fallocate -d {} \;
}

[ ! -d "$final" ] || exit 0
only_one samples
[ ! -d "$final" ] || exit 0

mkdir -p "$QCOW_CACHE"
work=$(mktemp -d "$QCOW_CACHE/samples.XXXXXX")
trap 'rm -rf "$work"' EXIT
fetch > "$work/log" 2>&1 ||
	die "QEMU's source package cannot be fetched, and tests need the images in it:" "$(tail -n 20 "$work/log")"
unpack
mv "$work/samples" "$final"
say "the images are in $final"
