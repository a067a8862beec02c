#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In the guest: the parts that /out/parts names. vda holds the tree of images,
# vdb is empty, vdc and vdd are of part cut. See ../test.sh.
set -euo pipefail
here=$(dirname "$0")
. "$here/lib.sh"

prepare
mkdir $TREE
mount -t ext4 -o noatime /dev/vda $TREE

# run_part PART [ARGUMENT]
run_part() {
	local start=$SECONDS code=0

	grep -qx "$1" /out/parts || return 0
	bash "$here/$1.sh" "${@:2}" || code=1
	echo "$*: $((SECONDS - start)) s"
	return $code
}

one() {
	local code=0

	run_part diff || code=1
	run_part cut || code=1
	[ "$QCOW_CPUS" -le 1 ] || run_part cases last || code=1
	return $code
}

# Side by side if there are two processors
status=0
one &
pid=$!
[ "$QCOW_CPUS" -gt 1 ] || wait $pid || status=1
run_part cases first || status=1
[ "$QCOW_CPUS" -le 1 ] || wait $pid || status=1
run_part again || status=1
run_part memory || status=1
umount $TREE
all_gone
exit $status
