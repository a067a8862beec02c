# SPDX-License-Identifier: GPL-2.0
# The functions of an initramfs that has its root filesystem in an image. shellcheck shell=bash

ROOT=$(realpath "$here/../../userspace/initramfs/root.sh")

# parsed ARGUMENT: the variables that qcow_parse sets for qcow=ARGUMENT
parsed()
{
	# shellcheck disable=SC2016
	dash -euc '. "$1"; qcow_parse "$2" || exit; echo "$qcow_device|$qcow_path|$qcow_options"' - \
		"$ROOT" "$1"
}

expect "root: device and path" is "/dev/vdb|/root.qcow2|" "$(parsed /dev/vdb:/root.qcow2)"
expect "root: options" is "UUID=12-34|/a/b.qcow2|ro,cache-size=16M" "$(parsed UUID=12-34:/a/b.qcow2:ro,cache-size=16M)"
expect "root: a path in an option" is "/dev/vdb|/r|key-file=/etc/k" "$(parsed /dev/vdb:/r:key-file=/etc/k)"
for argument in '' /dev/vdb /dev/vdb: /dev/vdb:root.qcow2 ro; do
	run parsed "$argument"
	expect "root: refused: $argument" is "1 " "$code $(cat out err)"
done

# attached ARGUMENT WORD...: the commands of qcow_attach, whose words these are
attached()
{
	# shellcheck disable=SC2016
	unshare --mount dash -euc '
		mount -t tmpfs tmpfs /run
		modprobe() { [ -z "${NO_MODULE-}" ]; }
		mount() { echo mount "$@"; }
		qcowctl() { echo qcowctl "$@"; }
		. "$1"
		shift
		qcow_parse "$1"
		shift
		qcow_attach "$@"
		cat /run/systemd/system/run-qcow-host.mount.d/qcow.conf' - "$ROOT" "$@"
}

expect "root: commands" is "mount -t ext4 -o rw /dev/vdb /run/qcow/host
qcowctl attach --name root --ask-password --read-only --cache-size=1M -- /run/qcow/host/d/r.qcow2
[Unit]
DefaultDependencies=no
IgnoreOnIsolate=yes" "$(attached /dev/vdb:/d/r.qcow2:read-only,cache-size=1M /dev/vdb ext4 --ask-password)"
NO_MODULE=1 run attached /dev/vdb:/r /dev/vdb ext4
expect "root: no module" is "1 qcow: the initramfs lacks the kernel's module qcow" "$code $(cat out err)"

# ended ARGUMENT: whether a filesystem is mounted yet after qcow-shutdown, in a root without
# any device
ended()
{
	# shellcheck disable=SC2016
	unshare --mount --propagation private bash -euc '
		mkdir -p end
		mount -t tmpfs tmpfs end
		mkdir -p end/proc end/sys/block end/host
		ldd "$1" | grep -o "/[^ ]*" | while read -r file; do
			install -D "$file" "end$file"
		done
		cp "$1" end/qcow-shutdown
		mount -t proc proc end/proc
		mount -t tmpfs tmpfs end/host
		chroot end /qcow-shutdown "$2"
		mountpoint -q end/host && echo mounted || echo unmounted' - \
		"$(dirname "$Q")/qcow-shutdown" "$1"
}

expect "root: a shutdown without devices is systemd's" is mounted "$(ended poweroff)"
expect "root: in the initramfs, the image's filesystem is unmounted" is unmounted "$(ended --in-initramfs)"
