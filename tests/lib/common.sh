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
