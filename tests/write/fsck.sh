#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fsck.sh LIST RAW MARK: whether there is a sound ext4 in RAW after its journal is
# played back, with the files that were durable at that mark of LIST, which is of
# guest/files.c. QCOW_BUILT and QCOW_SEED are set.
set -euo pipefail

[ $# -eq 3 ] || exit 2
list=$1
raw=$2
mark=$3
export LC_ALL=C

# There was nothing yet.
[ "$mark" -ge 1 ] || exit 0
dir=$(mktemp -d)
trap 'rm -rf "$dir" "$raw.fsck"' EXIT
cp --sparse=always "$raw" "$raw.fsck"
raw=$raw.fsck
e2fsck -E journal_only -y "$raw" || [ $? -eq 1 ]
e2fsck -fn "$raw"
# A file that was removed before the next mark may be gone.
awk -v mark="$mark" '
	$1 == "mark" { at = $2 }
	$1 == "file" { size[$2] = $3 }
	$1 == "kept" && at < mark { kept[$2] }
	$1 == "gone" && at <= mark { delete kept[$2] }
	END { for (n in kept) print n, size[n] }' "$list" | sort -n > "$dir/kept"
debugfs -R "rdump / $dir" "$raw" > /dev/null 2>&1
"$QCOW_BUILT/qcowcut" content "$QCOW_SEED" "$dir" < "$dir/kept"
