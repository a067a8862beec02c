#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh [PART...]: tries this source on a whole Debian 12 with systemd and udev, in a
# virtual machine. Runs all parts of tests/host/parts, or those that are named; globs work.
# "make hosttest" calls it. "make test" runs the part boot alone, since each boot takes half a
# minute of emulation. Ends in "host: N passed, N failed".
#
# A part is a script parts/NN-NAME.sh. It runs on the host, in an empty folder and a mount
# namespace of its own, and uses the functions of lib.sh:
#
#	vm_new qcow		a machine with a new system disk that has this source's
#				packages installed ("bare": without them; "containers":
#				with Podman, LXC, QEMU and the like as well)
#	data_disk images.raw 256M FOLDER
#				an ext4 with the content of FOLDER
#	vm_disk images.raw	gives it to the machine as /dev/disk/by-id/virtio-disk0,
#				/dev/vdb; the next one is disk1
#	vm_boot			returns when multi-user.target is reached
#	step NAME <<'END'	a script for the machine's shell that counts as passed or
#				failed; it has the assertions of tests/lib/assert.sh and ends
#				at the first command that fails
#	guest COMMAND...	output and exit status of a command; without arguments, of a
#				script on stdin
#	put FILE PATH		copies a file into the machine
#	vm_reboot, vm_poweroff	have systemd end the machine; fail if it does not end. Reboot
#				boots the kernel again on the same disks
#	vm_kill			a power failure
#	vm_type PATTERN TIMES TEXT &
#				types at the console during the next boot
#	take DISK PATH FILE	copies a file out of a raw disk while no machine runs
#	clean_ext4 DISK		no journal to replay, and no errors
#	clean_image DISK PATH	takes out an image that has no errors and no leaks
#	clean_partition FILE MIB	the ext4 in an image's partition is clean
#	expect NAME COMMAND...	counts whether a command on the host succeeds
#
#	image_of_files FILE FOLDER
#				a qcow2 image with a partition that has the folder's content
#	clean_disk NAME		takes such an image out of images.raw; it and its ext4 are clean
#	inner_file PATH CONTENT	of a file in that ext4
#
# Variables for the next boot: vm_append, more arguments for the kernel; vm_kernel and
# vm_initrd, other files than Debian's; vm_cpus, its processors. A part also fails if
# a console has a complaint of the kernel (tests/lib/klog.sh). Logs of the last run, and
# times of boots, are in the folder host/run/NAME of the cache.
set -uo pipefail
self=$(realpath "$0")
here=${self%/*}
. "$here/../lib/common.sh"
. "$here/../lib/assert.sh"
. "$here/../lib/klog.sh"
. "$here/../lib/qemu.sh"
. "$here/lib.sh"

run_part() {
	local file=$1 name

	name=$(basename "$file" .sh)
	rm -rf "$QCOW_CACHE/host/run/$name"
	mkdir -p "$QCOW_CACHE/host/run/$name"
	cd "$QCOW_CACHE/host/run/$name" || exit 1
	trap vm_kill EXIT
	# shellcheck source=/dev/null
	. "$file"
}

# clean_part NAME: nothing that only this run needs; logs stay.
clean_part() {
	rm -rf "$QCOW_CACHE/host/run/$1"/{system.qcow2,agent.*,console.*,*.raw,work}
}

# count NAME: adds what the part's last line tells. One that does not tell has failed.
count() {
	local last

	last=$(tail -n 1 "$log")
	if [[ $last =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
		passed=$((passed + BASH_REMATCH[1]))
		failed=$((failed + BASH_REMATCH[2]))
	else
		failure "$1" "it did not come to its end"
	fi
}

if [ "${1-}" = --part ]; then
	run_part "$2"
	expect "no complaint of the kernel" clean_kernel
	summary "$(basename "$2" .sh)"
	exit
fi

parts=$(scripts_in "$here/parts" | chosen "${@:-*}" | sort -u) || exit 1
"$here/../setup/packages.sh"
"$here/../setup/kernel.sh" 6.1	# with which find_accel tries KVM
mkdir -p "$QCOW_CACHE/host/run"
only_one host-run
for name in $parts; do
	log=$QCOW_CACHE/host/run/$name.log
	begin=$SECONDS
	unshare --mount "$self" --part "$here/parts/$name.sh" 2>&1 | tee "$log"
	count "$name"
	clean_part "$name"
	echo "$name: $((SECONDS - begin)) s"
done
summary host
