#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# build.sh FOLDER: builds the Debian packages of this source, and puts them into FOLDER.
# It needs dpkg-dev, and the packages that "Build-Depends" of debian/control names.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: build.sh FOLDER" >&2; exit 1; }

# lacks PACKAGES: says so in one line, and ends.
lacks() {
	echo "build.sh: $1 must be installed first; for all that it takes: apt-get install dpkg-dev && apt-get build-dep ./" >&2
	exit 1
}

command -v dpkg-buildpackage > /dev/null || lacks dpkg-dev
unmet=$(cd "$(dirname "$0")/.." && dpkg-checkbuilddeps 2>&1) || lacks "${unmet##*dependencies: }"

mkdir -p "$1"
folder=$(realpath "$1")
cd "$(dirname "$0")/.."

# dpkg-buildpackage puts its results beside the source.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/qcow"
if [ -e .git ]; then
	git ls-files -co --exclude-standard
else
	find . \( -path ./packages -o -path ./Documentation/output \) -prune -o -type f -print
fi | tar --create --files-from - | tar --extract --directory "$work/qcow"
cd "$work/qcow"
dpkg-buildpackage --build=binary --no-sign
mv ../*.deb ../*.buildinfo ../*.changes "$folder"
