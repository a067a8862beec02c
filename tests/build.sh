#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the module for every supported kernel, as a user would: by the
# top-level Makefile, out of a clean copy. Ends in "build: N passed, N failed".
set -uo pipefail
. "$(dirname "$0")/lib/common.sh"
. "$QCOW_TOP/tests/lib/assert.sh"
cd "$QCOW_TOP" || exit 1
[ $# -eq 0 ] || die "takes no arguments: $*"

for kernel in 6.1 6.12 7; do
	if dir=$(tests/lib/build.sh "$kernel") && [ -s "$dir/qcow.ko" ]; then
		pass "$kernel"
	else
		failure "the module does not build for $kernel"
	fi
done
summary build
