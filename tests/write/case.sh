#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# case.sh make|case|after FILE NAME: runs make_NAME, case_NAME or after_NAME of
# cases/FILE in the current folder. A case needs no make. If it has no after, its
# images have to be without any fault. Its own name has to be absolute.
set -euo pipefail
here=${0%/*}
. "$here/cases/lib.sh"
[ "$1" != case ] || . "$here/guest/lib.sh"
# shellcheck source=/dev/null
. "$here/cases/$2"

make_default() {
	:
}

after_default() {
	check ./*.qcow2
}

# In a mount namespace of its own: it would keep the mounts of a case that runs beside this
# one, until the NFS server has ended, for which the last one then waits.
[ "$1" != inside ] || umount -a -l -t nfs,nfs4

name=${3//-/_}
declare -F "$1_$name" > /dev/null || name=default
"$1_$name"
