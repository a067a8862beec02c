# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Functions and variables of all test scripts. Source it; it only defines names.

QCOW_CACHE=${QCOW_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/qcow}
QCOW_TOP=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
export QCOW_CACHE QCOW_TOP

# Debian's programs come first. Another python3 may lack Debian's modules, and a wrapper
# that chooses between versions takes eight times as long as Python does.
PATH=/usr/sbin:/usr/bin:$PATH

# Every kernel that modules are built for; the last one runs on the host.
# shellcheck disable=SC2034
QCOW_KERNELS="6.1 6.12 7 uml"

say() {
	echo "${0##*/}: $*" >&2
}

die() {
	say "$*"
	exit 1
}

# retry COMMAND...: for a command that a network hiccup may break
retry() {
	local wait

	for wait in 2 5 15 30; do
		"$@" && return 0
		say "failed, again in $wait s: $*"
		sleep "$wait"
	done
	"$@"
}

# chosen GLOB...: of the names on standard input, prints those that match a glob, with their
# number in front or without it. Fails with a message if a glob matches none: a test that did
# not run has not passed.
chosen() {
	local glob name found names

	mapfile -t names
	for glob; do
		found=
		for name in "${names[@]}"; do
			# shellcheck disable=SC2053
			[[ $name == $glob || ${name#[0-9][0-9]-} == $glob ]] || continue
			echo "$name"
			found=1
		done
		[ -n "$found" ] || die "nothing is named $glob"
	done
}

# scripts_in FOLDER: prints the names of its scripts, without their ending.
scripts_in() {
	(cd "$1" && printf '%s\n' *.sh) | sed 's/\.sh$//'
}

# only_one NAME: waits until no other process holds NAME, then holds it until
# this script ends. Scripts of one cache may run side by side.
only_one() {
	local fd

	mkdir -p "$QCOW_CACHE/locks"
	exec {fd}> "$QCOW_CACHE/locks/$1"
	flock "$fd"
}

# image_folder NAME: sets images to that folder for images in the cache, and holds it until
# this script or subshell ends. A folder that was not asked for in two weeks is removed.
image_folder() {
	images=$QCOW_CACHE/images/$1
	only_one "images-$1"
	mkdir -p "$images"
	touch "$images"
	find "$QCOW_CACHE/images" -mindepth 1 -maxdepth 1 -mtime +14 -exec rm -rf {} +
}

# kernel_info NAME: loads KVER, VMLINUZ, MODULES and BUILD of a cached kernel.
kernel_info() {
	local info=$QCOW_CACHE/kernels/$1/info

	[ -f "$info" ] || die "no kernel $1: run tests/setup/kernel.sh $1"
	# shellcheck source=/dev/null
	. "$info"
}
