#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# stress.sh KERNEL: much at once, filesystems, and disks that are full or fail,
# in a guest with that kernel; afterwards QEMU's tools and the filesystems' own
# look at the images here. Ends in "write-stress KERNEL: N passed, N failed".
#
# TARGET=nbd       qemu-nbd in place of the driver, to try the test itself
# QCOW_ONLY=GLOB   only cases whose name matches
# QCOW_RUNTIME=N   seconds of each run of fio (15 unless given)
set -euo pipefail
shopt -s inherit_errexit
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"
. "$here/lib.sh"

[ $# -eq 1 ] || die "usage: stress.sh 6.1|6.12|7"
kernel=$1
work=
: "${QCOW_ONLY:=*}" "${QCOW_RUNTIME:=15}"
export QCOW_ONLY QCOW_RUNTIME

# create NAME SIZE OPTIONS [ARGUMENTS...]
create() {
	local name=$1 size=$2 opts=$3

	shift 3
	qemu-img create -q -f qcow2 -o "$opts" "$@" "$work/tree/$name.qcow2" "$size"
}

make_images() {
	mkdir "$work/tree"
	create fio-plain 256M cluster_size=65536
	create fio-small 96M cluster_size=4096
	create fio-snapshot 64M cluster_size=65536
	qemu-io -c 'write -q -P 17 0 64M' "$work/tree/fio-snapshot.qcow2"
	qemu-img snapshot -c first "$work/tree/fio-snapshot.qcow2"
	qemu-img create -q -f raw "$work/tree/below.raw" 40M
	qemu-io -f raw -c 'write -q -P 18 0 40M' "$work/tree/below.raw"
	(cd "$work/tree" && qemu-img create -q -f qcow2 -b below.raw -F raw \
		fio-backing.qcow2 64M)
	create fs-ext4 400M cluster_size=65536
	create fs-xfs 400M cluster_size=65536
	create fs-btrfs 400M cluster_size=4096
	create full 8M cluster_size=4096
	create full64 8M cluster_size=65536
	cp "$work/tree/full.qcow2" "$work/tree/eio.qcow2"
	truncate -s 6G "$work/disk"
	mkfs.ext4 -q -O ^has_journal -E lazy_itable_init=0 -m 0 -d "$work/tree" "$work/disk"
	truncate -s 64M "$work/disk-b"
}

unpack_disk() {
	rm -rf "$work/tree"
	mkdir "$work/tree"
	debugfs -R "rdump / $work/tree" "$work/disk" > /dev/null 2>&1
	rm -f "$work/disk"
}

# only NAME COMMAND...: remembers whether it succeeds.
only() {
	local name=$1

	shift
	if "$@" > "$work/log" 2>&1; then
		echo "ok $name" >> "$work/results"
	else
		echo "not ok $name: $*: $(tail -n 3 "$work/log" | tr '\n' ' ')" >> "$work/results"
	fi
}

# After an error of the disk clusters may have leaked.
sound() {
	local code=0

	qemu-img check -f qcow2 "$1" || code=$?
	[ $code -eq 0 ] || [ "$code $2" = "3 leaks" ]
}

check_files() {
	mkdir "$work/files"
	debugfs -R "rdump / $work/files" "$1" || return 1
	(cd "$work/files" && sha256sum --quiet -c sums)
}

check_images() {
	local image name leaks

	for image in "$work"/tree/*.qcow2; do
		name=$(basename "$image" .qcow2)
		# shellcheck disable=SC2053
		[[ $name == $QCOW_ONLY ]] || continue
		leaks=
		[[ $name != eio* ]] || leaks=leaks
		only "check-$name" sound "$image" "$leaks"
		[[ $name == fs-* ]] || continue
		qemu-img convert -q -f qcow2 -O raw "$image" "$work/raw"
		case $name in
		*ext4)	only fsck-ext4 e2fsck -fn "$work/raw"
			only files-ext4 check_files "$work/raw" ;;
		*xfs)	only fsck-xfs xfs_repair -n -f "$work/raw" ;;
		*btrfs)	only fsck-btrfs btrfs check "$work/raw" ;;
		esac
		rm -f "$work/raw"
	done
	# shellcheck disable=SC2053
	[[ fio-snapshot == $QCOW_ONLY ]] || return 0
	qemu-img convert -q -l first -O raw "$work/tree/fio-snapshot.qcow2" "$work/raw"
	only snapshot-kept qemu-io -f raw -c 'read -q -P 17 0 64M' "$work/raw"
	only backing-kept qemu-io -f raw -c 'read -q -P 18 0 40M' "$work/tree/below.raw"
}

build_all "$kernel"
work_folder
make_images
: > "$work/results"
status=0
run_guest "$kernel" stress.sh -t 1500 -d "$work/disk" -d "$work/disk-b" \
	-a 'I/O error|critical space' || status=$?
unpack_disk
check_images
grep -v '^ok' "$work/results" | cut -c1-400 || true
passed=$(grep -c '^ok' "$work/results" || true)
failed=$(grep -vc '^ok' "$work/results" || true)
if [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then
	failed=1
fi
[ "$failed" -eq 0 ] || keep_work
finish write-stress "$kernel" "$passed" "$failed"
