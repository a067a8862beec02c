#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [PART...]: tests qcowctl without the driver: the images that it takes and
# refuses, its messages, and its requests to the driver, in front of a mock. Needs cc,
# python3 with zstandard, and qemu-utils; runs as root or not. PART is the name of a file
# NN-PART.sh of this folder, such as header or locks. $WRAP, such as valgrind, runs
# qcowctl; VERBOSE=1 names the checks that pass.
# Ends in a line "tool: N passed, N failed".

here=$(cd "$(dirname "$0")" && pwd)
Q=$(realpath -m "${QCOWCTL:-$here/../../userspace/qcowctl}")
T=$(mktemp -d "${TMPDIR:-/tmp}/qcowctl.XXXXXX") || exit 1
export LC_ALL=C.UTF-8
# Debian's python3 first: a wrapper that chooses between versions takes longer than it.
PATH=/usr/bin:$PATH

cleanup()
{
	local pid

	for pid in $(jobs -p); do
		kill "$pid" 2>/dev/null
	done
	let_go
	wait 2>/dev/null
	rm -rf "$T"
}
trap cleanup EXIT

# shellcheck source=/dev/null
. "$here/../lib/common.sh"
. "$here/../lib/assert.sh"
# shellcheck source=/dev/null
. "$here/lib.sh"

parts=$(scripts_in "$here" | grep '^[0-9]' | chosen "${@:-*}") || exit 1
[ -x "$Q" ] || make -s -C "$here/../../userspace" || exit 1
cd "$T" || exit 1
${CC:-cc} -shared -fPIC -O1 -I"$here/../../include/uapi" \
	-o mock.so "$here"/mock*.c -ldl || exit 1

for part in $parts; do
	# shellcheck source=/dev/null
	. "$here/$part.sh"
done

summary tool
