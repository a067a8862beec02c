#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# rpm.sh FOLDER: builds the RPM packages of this source, and puts them into FOLDER. It
# needs rpmbuild, and the packages that "BuildRequires" of qcow.spec names; where RPM has
# no data base, as on Debian, nothing looks for these.
#
# The same source gives the same packages, with the same compiler and the same FOLDER: a
# source package records the place where it was built.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: rpm.sh FOLDER" >&2; exit 1; }
command -v rpmbuild > /dev/null || {
	echo "rpm.sh: rpmbuild must be installed first: the package rpm-build, or rpm on Debian" >&2
	exit 1
}
umask 022
export LC_ALL=C TZ=UTC0
mkdir -p "$1"
folder=$(realpath "$1")
cd "$(dirname "$0")/.."

work=$folder/rpmbuild
trap 'rm -rf "$work"' EXIT
rm -rf "$work"
mkdir -p "$work/SOURCES"
version=$(sed -n 's/^Version:\t//p' packaging/qcow.spec)

source_files() {
	if [ -e .git ]; then
		git ls-files -co --exclude-standard
	else
		find . \( -path ./packages -o -path ./Documentation/output \) -prune -o -type f -printf '%P\n'
	fi | sort
}

source_files |
	tar --create --no-recursion --files-from - --transform "s|^|qcow-$version/|" \
		--mtime 2026-01-01 --owner 0 --group 0 --numeric-owner --mode go=rX,u+w |
	gzip --no-name > "$work/SOURCES/qcow-$version.tar.gz"

options=()
rpm --query rpm > /dev/null 2>&1 || options+=(--nodeps)

rpmbuild -ba --define "_topdir $work" --define "_buildhost localhost" \
	--define "source_date_epoch_from_changelog 1" \
	--define "use_source_date_epoch_as_buildtime 1" \
	--define "clamp_mtime_to_source_date_epoch 1" \
	"${options[@]}" packaging/qcow.spec
mv "$work"/RPMS/*/*.rpm "$work"/SRPMS/*.rpm "$folder"
