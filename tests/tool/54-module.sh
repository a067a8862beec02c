# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Messages when the module cannot be loaded: one line that says why, and what to do. There
# is no driver, and modprobe is a script.

fake_root
rm root/dev/qcow-control
image top.qcow2
mkdir -p bin
release=$(uname -r)
missing="modprobe: FATAL: Module qcow not found in directory /lib/modules/$release"

# not_loaded NAME MESSAGES PATTERN: modprobe fails with these messages, and root's attach with
# that line.
not_loaded()
{
	printf '%s\n' "$2" >complaint
	printf '#!/bin/sh\ncat "%s" >&2\nexit 1\n' "$PWD/complaint" >bin/modprobe
	chmod +x bin/modprobe
	MOCK_EUID=0 PATH=$PWD/bin:$PATH expect "module: $1" \
		refuses "/dev/qcow-control: the qcow module is not loaded$3; for a container, load it on the host$" \
		with_driver qcowctl attach top.qcow2
}

not_loaded "no headers" "$missing" \
	", and modprobe qcow finds none for kernel $release; install the headers of that kernel \(linux-headers-$release on Debian, kernel-devel elsewhere\) and qcow-dkms, or run make install in the source"
mkdir -p "root/lib/modules/$release/build"
: >"root/lib/modules/$release/build/Makefile"
not_loaded "headers, and no module" "$missing" \
	", and modprobe qcow finds none for kernel $release; install qcow-dkms, run dkms autoinstall if it is there already, or make install in the source"
: >"root/lib/modules/$release/modules.dep"
not_loaded "an empty list of modules" "$missing" \
	", and modprobe qcow finds none for kernel $release; install qcow-dkms, run dkms autoinstall if it is there already, or make install in the source"
printf '%s\n' kernel/fs/ext4.ko: 'extra/qcow.ko.xz: extra/other.ko' >"root/lib/modules/$release/modules.dep"
for error in "Key was rejected by service" "Required key not available" "Operation not permitted"; do
	not_loaded "Secure Boot: $error" "modprobe: ERROR: could not insert 'qcow': $error" \
		"; modprobe qcow: could not insert 'qcow': $error; with Secure Boot run mokutil --import /var/lib/dkms/mok.pub, boot, and confirm that key"
done
not_loaded "another error" "modprobe: ERROR: could not insert 'qcow': Exec format error" \
	"; modprobe qcow: could not insert 'qcow': Exec format error; see the kernel log"
not_loaded "many lines" "modprobe: ERROR: first
$(yes 'modprobe: ERROR: more' | head -n 10000)" "; modprobe qcow: first; see the kernel log"
not_loaded "a long line" "$(printf '%9999s' '' | tr ' ' x)" "; modprobe qcow: x+; see the kernel log"
not_loaded "control characters" $'modprobe: ERROR: \e[31mred' '; modprobe qcow: \\x1b\[31mred; see the kernel log'
not_loaded "no word of modprobe" "" "; see the output of modprobe qcow"
expect "module: no modprobe" refuses "not loaded; see the output of modprobe qcow" \
	with_driver env MOCK_EUID=0 PATH=/nowhere "$Q" attach top.qcow2
