#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh: tries "make install" and "make uninstall", builds the Debian and RPM packages,
# looks at them, and has DKMS build the module out of one of them. Nothing is installed on
# this machine. A source that has passed is not tried again until one of its files or tools
# changes. Ends in
# "package: N passed, N failed".
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"
. "$QCOW_TOP/tests/lib/assert.sh"
. "$QCOW_TOP/tests/package/install.sh"
. "$QCOW_TOP/tests/package/rpm.sh"
. "$QCOW_TOP/tests/package/lacking.sh"

[ $# -eq 0 ] || die "takes no arguments: $*"

# The kernel that the module is built for
KERNEL=6.1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# try NAME COMMAND...: the command succeeds, and prints nothing.
try() {
	local name=$1 out code=0

	shift
	out=$("$@" 2>&1) || code=$?
	if [ $code -eq 0 ] && [ -z "$out" ]; then
		pass "$name"
	else
		failure "$name" "exit code $code"$'\n'"$(head -n 40 <<< "$out")"
	fi
}

# build FOLDER: the packages; each time build.sh copies the source to another place.
build() {
	"$QCOW_TOP/debian/build.sh" "$work/$1" > "$work/$1.log" 2>&1 || {
		tail -n 20 "$work/$1.log"
		return 1
	}
}

# Other place, umask, time zone, language
build_again() {
	umask 027
	export TZ=Pacific/Kiritimati LC_ALL=C.UTF-8
	build second
}

same_bytes() {
	local file

	for file in "$work"/first/*.deb; do
		cmp "$file" "$work/second/${file##*/}"
	done
}

lint() {
	lintian --allow-root --fail-on error,warning\
		"$work"/first/*.changes
}

# files FOLDER: all but folders; a manual page may be compressed.
files() {
	(cd "$1" && find . ! -type d) | sed '/\/man\//s/\.gz$//' | sort
}

# The tools' package has the files that "make install" installs, and documents.
same_files() {
	make -s -C "$QCOW_TOP/userspace" install DESTDIR="$work/installed"
	dpkg -x "$work"/first/qcow-utils_*.deb "$work/utils"
	rm -r "$work/utils/usr/share/doc"
	diff <(files "$work/installed") <(files "$work/utils")
}

same_version() {
	local version

	version=$(dpkg-parsechangelog -l "$QCOW_TOP/debian/changelog" -S Version)
	grep -qx "VERSION ?= $version" "$QCOW_TOP/userspace/Makefile" ||
		echo "debian/changelog has version $version, and userspace/Makefile another one"
	[ "$("$work/utils/usr/sbin/qcowctl" --version)" = "qcowctl $version" ] ||
		echo "qcowctl tells another version than $version"
}

# Kernels for which DKMS builds the module, and those that it leaves alone
kernels() {
	local BUILD_EXCLUSIVE_KERNEL kernel

	BUILD_EXCLUSIVE_KERNEL=$(sed -n 's/^BUILD_EXCLUSIVE_KERNEL="\(.*\)"$/\1/p' \
		"$work"/dkms/usr/src/qcow-*/dkms.conf)
	for kernel in 6.1.0-57-amd64 6.1.0 6.12.117+deb13-amd64 7.3.4+deb13-amd64 7.0-rc1; do
		[[ $kernel =~ $BUILD_EXCLUSIVE_KERNEL ]] || echo "not for $kernel"
	done
	for kernel in 5.10.0-30-amd64 6.0.12 4.19.0; do
		[[ ! $kernel =~ $BUILD_EXCLUSIVE_KERNEL ]] || echo "for $kernel"
	done
}

# DKMS leaves kernels alone that lack an option that the module needs: no supported one does.
kernel_options() {
	local kernel option options

	options=$(sed -n 's/^BUILD_EXCLUSIVE_CONFIG="\(.*\)"$/\1/p' \
		"$work"/dkms/usr/src/qcow-*/dkms.conf)
	[ -n "$options" ] || echo "no options"
	for kernel in 6.1 6.12 7; do
		kernel_info $kernel
		for option in $options; do
			grep -q "^$option=[ym]$" "$BUILD/.config" || echo "$kernel: not $option"
		done
	done
}

# In a mount namespace whose /var/lib/dkms is empty: DKMS makes its key there, too.
# shellcheck disable=SC2016
dkms_builds() {
	local source module

	kernel_info $KERNEL
	mkdir "$work/var"
	source=$(cd "$work"/dkms/usr/src/qcow-* && pwd)
	mkdir -p /var/lib/dkms
	unshare --mount sh -ec 'mount --bind "$1" /var/lib/dkms; shift; exec "$@"' sh \
		"$work/var" dkms --sourcetree "$work/dkms/usr/src" --kernelsourcedir "$BUILD" \
		build "qcow/${source##*-}" -k "$KVER" > "$work/dkms.log" 2>&1 || {
		tail -n 20 "$work/dkms.log" "$work"/var/qcow/*/build/make.log
		return 1
	}
	! grep -i 'bad exit' "$work/dkms.log" || return
	module=$(find "$work/var" -name 'qcow.ko*')
	[[ $(modinfo -F vermagic "$module") == "$KVER "* ]] || echo "no module for $KVER"
}

# key: a name made of all that the verdict may depend on
key() {
	{ git -C "$QCOW_TOP" ls-files -co --exclude-standard | (cd "$QCOW_TOP" && xargs cat)
	  dpkg-query -W dpkg-dev debhelper dh-dkms dkms lintian gcc rpm rpmlint
	  cat "$QCOW_CACHE"/kernels/*/info; } | sha256sum | cut -c1-40
}

clean=$QCOW_CACHE/clean/package-$(key)
if [ -e "$clean" ]; then
	touch "$clean"
	say "nothing has changed since all has passed"
	cat "$clean"
	exit
fi
try lacking-headers lacking_headers
try lacking-packages lacking_packages
try install-destdir in_overlays install_destdir
try install-machine in_overlays install_machine
try build build first
try build-again build_again
if [ "$failed" -eq 0 ]; then
	dpkg -x "$work"/first/qcow-dkms_*.deb "$work/dkms"
	try same-bytes same_bytes
	try lintian lint
	try same-files same_files
	try same-version same_version
	try kernels kernels
	try kernel-options kernel_options
	try dkms dkms_builds
fi
try rpm-build rpm_build "$QCOW_TOP" rpm-first
try rpm-build-again rpm_build_again
if [ "$failed" -eq 0 ]; then
	try rpm-same-bytes rpm_same_bytes
	try rpm-lint rpm_lint
	try rpm-same-files rpm_same_files
	try rpm-same-version rpm_same_version
	try rpm-erase rpm_erase
fi
summary package
mkdir -p "${clean%/*}"
summary package > "$clean"
