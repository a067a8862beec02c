#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [PART...]: tests the parsers of other programs' image formats, without the driver.
# PART is the name of a file of the folder parts, without its ending; all of them if none is
# given. Each part compares the disks that a parser shows with those that an independent
# reader does. $QCOW_SEED draws the damaged images, $QCOW_COUNT is how many of each format.
# With QCOW_PACK=FOLDER, it only writes inputs of tests/fuzz there.
# Images of other programs come from tests/setup/samples.sh, once, and tests fail without
# them. Ends in a line "foreign: N passed, N failed".

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib/common.sh"
parts=$(scripts_in "$here/parts" | chosen "${@:-*}") || exit 1
T=$(mktemp -d "${TMPDIR:-/tmp}/qcow-foreign.XXXXXX") || exit 1
trap 'rm -rf "$T"' EXIT
export LC_ALL=C.UTF-8

# shellcheck source=/dev/null
. "$here/../lib/assert.sh"
# shellcheck source=/dev/null
. "$here/lib.sh"

seed=${QCOW_SEED:-$((1 + SRANDOM % 1000000000))}
count=${QCOW_COUNT:-60}
export seed count
echo "foreign: seed $seed"
exec 3>&1
cd "$T" || exit 1
build_foreign || exit 1
"$QCOW_TOP/tests/setup/samples.sh"

for part in $parts; do
	mkdir "$T/$part"
	cd "$T/$part" || exit 1
	# shellcheck source=/dev/null
	. "$here/parts/$part.sh"
	cd "$T" && rm -rf "${T:?}/$part"
done

# Inputs are no assertions.
# shellcheck disable=SC2154 # failed is of assert.sh
[ -n "${QCOW_PACK-}" ] && exit "$((failed > 0))"
summary foreign
