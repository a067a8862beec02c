# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # work is of run.sh
#
# Builds on a machine that lacks what they need; run.sh sources it. Each ends in one line that
# names what lacks, and what to do.

# says PATTERN COMMAND...: it fails, and its output without make's own last words is one line.
says() {
	local pattern=$1 out code=0

	shift
	out=$("$@" 2>&1) || code=$?
	out=$(grep -vE '^make(\[[0-9]+])?: \*\*\*' <<< "$out") || true
	[ $code -ne 0 ] || echo "$*: no error"
	[[ $(wc -l <<< "$out") -eq 1 && $out =~ $pattern ]] || echo "$*: $out; not: $pattern"
}

lacking_headers() {
	local words="$work has no kernel headers: install linux-headers-.*, or give KDIR=FOLDER"

	says "$words" make -C "$QCOW_TOP" --no-print-directory module KDIR="$work"
	says "$words" make -C "$QCOW_TOP" --no-print-directory uninstall KDIR="$work" DESTDIR="$work"
	cp -r "$QCOW_TOP/userspace" "$work/userspace"
	make -s -C "$work/userspace" clean
	says '^pkg-config does not find smartcols mount .*: install the packages' \
		env PKG_CONFIG_LIBDIR="$work" make -s -C "$work/userspace"
	rm -r "$work/userspace"
}

# path_of PROGRAM...: a folder for $PATH with these programs
path_of() {
	local program

	mkdir -p "$work/path"
	for program; do
		ln -sf "$(command -v "$program")" "$work/path/"
	done
	echo "$work/path"
}

lacking_packages() {
	local path

	path=$(path_of bash dirname)
	says 'dpkg-dev must be installed first; .*: apt-get install' \
		env PATH="$path" "$QCOW_TOP/debian/build.sh" "$work/none"
	says 'rpmbuild must be installed first' \
		env PATH="$path" "$QCOW_TOP/packaging/rpm.sh" "$work/none"
	printf '#!/bin/sh\necho "dpkg-checkbuilddeps: error: Unmet build dependencies: dh-sequence-dkms libmount-dev" >&2\nexit 1\n' \
		> "$path/dpkg-checkbuilddeps"
	chmod +x "$path/dpkg-checkbuilddeps"
	says '^build.sh: dh-sequence-dkms libmount-dev must be installed first; .*apt-get build-dep' \
		env PATH="$path:$PATH" "$QCOW_TOP/debian/build.sh" "$work/none"
	[ ! -e "$work/none" ] || echo "a folder is left"
}
