#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the module for every supported kernel, as a user would: by the
# top-level Makefile, out of a clean copy. Ends in "build: N passed, N failed".
set -uo pipefail
. "$(dirname "$0")/lib/common.sh"
cd "$QCOW_TOP" || exit 1

passed=0
failed=0
for kernel in 6.1 6.12 7; do
	if dir=$(tests/lib/build.sh "$kernel") && [ -s "$dir/qcow.ko" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "build: the module does not build for $kernel"
	fi
done
echo "build: $passed passed, $failed failed"
[ $failed = 0 ]
