#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2154 # variables of dracut
#
# Module of dracut: puts into the initramfs what it takes to mount a root filesystem in a
# disk image. add_dracutmodules+=" qcow " or add_drivers+=" qcow " in /etc/dracut.conf.d
# asks for that; a system that was booted so has it, too. Key files are install_items.

# dracut calls these four.

check() {
	require_binaries qcowctl || return 1
	[[ " $add_drivers $force_drivers " != *' qcow '* ]] || return 0
	[[ -z $hostonly ]] || ! grep -qsE '(^| )qcow=' /proc/cmdline || return 0
	return 255
}

depends() {
	local wanted=base

	wanted+=' rootfs-block udev-rules'
	! dracut_module_included systemd || wanted+=' systemd-ask-password'
	echo "$wanted"
}

installkernel() {
	local type

	hostonly='' instmods -c qcow || {
		derror "kernel $kernel has no module qcow; its initramfs cannot attach images"
		return
	}
	hostonly='' instmods crypto-aes crypto-xts crypto-cbc crypto-ecb crypto-essiv \
		crypto-sha256 crypto-serpent crypto-twofish crypto-cast5 algif_skcipher \
		dm_crypt loop
	# The filesystem that holds the image that the system runs from
	type=$(findmnt -no FSTYPE /run/qcow/host)
	[[ -z $type ]] || hostonly='' instmods "$type"
}

install() {
	inst_multiple qcowctl mount modprobe mkdir sed
	# qcow-shutdown runs again when the root filesystem is unmounted, if other modules have
	# systemd go back to the initramfs.
	inst /usr/lib/systemd/system-shutdown/qcow-shutdown
	inst_simple /usr/share/qcow/root.sh
	inst_rules 60-qcow.rules
	inst_libdir_file 'libcryptsetup.so.12*' 'libgcc_s.so*' 'ossl-modules/legacy.so'
	inst_hook cmdline 91 "$moddir/parse-qcow.sh"
	inst_hook shutdown 40 "$moddir/shutdown.sh"
	inst_script "$moddir/attach-root.sh" /sbin/qcow-attach-root
	dracut_need_initqueue
}
