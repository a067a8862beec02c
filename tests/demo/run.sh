#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh: shows qcow at work, from an empty Debian 12 machine to a guest's disk that
# the kernel has mounted. All of it happens in a virtual machine that is thrown away:
# the kernel of this machine is never touched.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"
. "$here/show.sh"

demo=$QCOW_CACHE/demo
disk=$demo/disk
export QCOW_DEMO_STEP=0 QCOW_DEMO_TIMES=$demo/times QCOW_DEMO_COLOR=
[ ! -t 1 ] || [ -n "${NO_COLOR:-}" ] || QCOW_DEMO_COLOR=1

# give_up WHERE-TO-LOOK...
give_up() {
	local line step name

	read -r step name < "$QCOW_DEMO_TIMES.step"
	printf '\n  %s\n' "$(red "The demo failed in step $step ($name).")"
	for line; do
		explain "$line"
	done
	exit 1
}

# quietly COMMAND...: stderr of the command goes to the step's log, and is shown only
# if the command fails; its standard output is in $output.
quietly() {
	local log=$demo/logs/$step_name.log

	output=$("$@" 2> "$log" < /dev/null) && return
	{ echo "$output"; tail -n 15 "$log"; } | grep . | dim
	give_up "The command was: ${*//$QCOW_TOP\//}" "Its whole output is in $log."
}

check_root() {
	[ "$(id -u)" -eq 0 ] && return
	die "run the demo as root: it installs packages and makes a root filesystem"
}

packages() {
	step_begin packages "Packages that building and the virtual machine need"
	quietly "$QCOW_TOP/tests/setup/packages.sh"
	if [ -s "$demo/logs/packages.log" ]; then
		explain "Installed the missing ones."
	else
		explain "All of them are installed."
	fi
	step_end
}

kernel() {
	step_begin kernel "Debian 12's own kernel"
	quietly "$QCOW_TOP/tests/setup/kernel.sh" 6.1
	kernel_info 6.1
	explain "Linux $KVER, unpacked in the cache, not installed."
	step_end
}

build() {
	step_begin build "The module for it, and the tool"
	quietly make -C "$QCOW_TOP/userspace"
	quietly "$QCOW_TOP/tests/lib/build.sh" 6.1
	module=$(tail -n1 <<< "$output")/qcow.ko
	explain "qcow.ko: $(($(stat -c %s "$module") / 1024)) KiB with debugging information; qcowctl."
	step_end
}

size() {
	echo "$(($(stat -c %s "$disk/$1") >> 20)) MiB"
}

guest_disk() {
	step_begin disk "A guest's disk: Debian in a partition"
	[ -s "$disk/stamp" ] || explain "(made now, in a minute or two; kept for the next time)"
	quietly "$here/disk.sh" "$disk"
	explain "base.qcow2   $(size base.qcow2), zstd: Debian as it was installed"
	explain "guest.qcow2  $(size guest.qcow2), zlib: later changes"
	explain "box.ova      $(size box.ova): the same disk as an appliance, a VMDK in a tar archive"
	step_end
}

# The result that the driver is compared with
reference() {
	step_begin qemu-img "The same disk as qemu-img reads it"
	quietly qemu-img convert -O raw "$disk/guest.qcow2" "$demo/reference.raw"
	sum=$(sha256sum < "$demo/reference.raw")
	sum=${sum%% *}
	bytes=$(stat -c %s "$demo/reference.raw")
	rm "$demo/reference.raw"
	explain "$((bytes >> 20)) MiB, sha256 $sum"
	step_end
}

# The guest notes its own steps' times; the rest is for starting and ending it.
machine() {
	local inside status=0

	step_begin boot "A virtual machine with that kernel"
	compgen -G "$QCOW_CACHE/vm/accel-*" > /dev/null ||
		explain "(first it is found out whether KVM works here)"
	: > "$demo/vm/times"
	rm -f "$demo/vm/times.step"
	QCOW_DEMO_TIMES=/out/times "$QCOW_TOP/tests/vm/run.sh" -k 6.1 -t 600 \
		-d "$disk/store.img" -o "$demo/vm" "$here/guest.sh" "$module" "$sum" || status=$?
	if [ $status -ne 0 ]; then
		# it got further than to boot
		cp "$demo/vm/times.step" "$QCOW_DEMO_TIMES.step" 2> /dev/null || true
		give_up "The virtual machine's kernel log is $demo/vm/kernel.log."
	fi
	inside=$(awk '{ us += $2 } END { print us + 0 }' "$demo/vm/times")
	step_start=$((step_start + inside))
	step_end
	cat "$demo/vm/times" >> "$QCOW_DEMO_TIMES"
}

finish() {
	printf '\n  %s\n' "$(bold "Where the time went")"
	time_table
	printf '\n  %s\n\n' "$(green "Success: the kernel read all $((bytes >> 20)) MiB of the guest's disk, byte for byte as qemu-img does.")"
}

check_root
only_one demo
mkdir -p "$demo/logs" "$demo/vm"
: > "$QCOW_DEMO_TIMES"

printf '\n  %s\n' "$(bold "qcow: a guest's disk image, opened by the kernel itself")"
packages
kernel
build
guest_disk
reference
machine
finish
