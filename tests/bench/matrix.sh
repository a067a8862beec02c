#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# matrix.sh [-w] [KERNEL...]: the groups of run.sh that take the same workloads from place to
# place, on Linux 6.1 and 7 unless kernels are named, and their tables. With -w the tables go
# into Documentation/performance.rst. Figures that are known are not measured again; all of
# them take the better part of an hour on two processors that have nothing else to do.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"

groups=ext4,aged,latency,throttled,xfs,disk
targets=(file loop_direct nbd daemon qcow)

write=()
if [ "${1:-}" = -w ]; then
	write=(--write "$QCOW_TOP/Documentation/performance.rst")
	shift
fi
[ $# -gt 0 ] || set -- 6.1 7

status=0 folders=()
for kernel; do
	"$here/run.sh" -k "$kernel" -w $groups "${targets[@]}" >&2 || status=1
	kernel_info "$kernel"
	folders+=("$KVER=$QCOW_CACHE/bench/$kernel/$groups")
done
commit=$(git -C "$QCOW_TOP" log -1 --format=%h -- drivers include)
/usr/bin/python3 -B "$here/matrix.py" "${write[@]}" "$commit" "${folders[@]}"
exit $status
