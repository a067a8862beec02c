# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# "make install" and "make uninstall"; run.sh sources it. The kernel's modules and /usr are
# overlays in a mount namespace: the machine itself stays as it is.

# in_overlays COMMAND...: a function of this file, in a source tree of its own where the
# module and the tools are built. The tree has the path of tests/lib/build.sh's folder, or
# Kbuild would compile everything again.
in_overlays() {
	local built

	kernel_info "$KERNEL"
	built=$("$QCOW_TOP/tests/lib/build.sh" "$KERNEL" 2> "$work/build.log") || {
		tail -n 20 "$work/build.log"
		return 1
	}
	make -s -C "$QCOW_TOP/userspace"
	rm -rf "$work/overlay"
	mkdir -p "$work"/overlay/{tools,tree,tree-work,usr,usr-work}
	cp -a "$QCOW_TOP/userspace" "$work/overlay/tools"
	export KVER BUILD work built
	export -f overlay install_tree kernel_files "$1"
	unshare --mount bash -euc "overlay; cd '$built'; $*"
}

overlay() {
	mount -t overlay -o "lowerdir=$work/overlay/tools:$built" \
		-o "upperdir=$work/overlay/tree,workdir=$work/overlay/tree-work" overlay "$built"
	mount -t overlay -o lowerdir=/usr \
		-o "upperdir=$work/overlay/usr,workdir=$work/overlay/usr-work" overlay /usr
}

# install_tree TARGET [VARIABLE=VALUE...]: without building; dkms_builds has make do that.
install_tree() {
	make -s --assume-old=module "$@" KDIR="$BUILD" > "$work/install.log" 2>&1 || {
		tail -n 20 "$work/install.log"
		return 1
	}
}

# A file of another program stays.
install_destdir() {
	local other=$work/destdir/usr/lib/udev/rules.d/10-other.rules

	mkdir -p "${other%/*}"
	touch "$other"
	install_tree install DESTDIR="$work/destdir" PREFIX=/usr
	(cd "$work/destdir" && find . ! -type d | sort) > "$work/destdir.list"
	grep -qx "./lib/modules/$KVER/extra/qcow.ko" "$work/destdir.list" ||
		echo "no module in DESTDIR:" "$(cat "$work/destdir.list")"
	grep -qx ./usr/sbin/qcowctl "$work/destdir.list" || echo "no qcowctl in DESTDIR"
	find "$work/overlay/usr" ! -type d | sed "s|^$work/overlay|outside of DESTDIR: |"
	install_tree uninstall DESTDIR="$work/destdir" PREFIX=/usr
	find "$work/destdir" ! -type d ! -path "$other" | sed 's/^/left over: /'
	[ -e "$other" ] || echo "uninstall has removed the file of another program"
}

# kernel_files: all files of the kernel's modules, with their contents
kernel_files() {
	find "/lib/modules/$KVER/" -type f -exec sha256sum {} + | sort -k 2
}

# Into the machine, where modprobe has to find the module
install_machine() {
	mkdir -p "/lib/modules/$KVER"
	depmod "$KVER" 2> /dev/null
	kernel_files > "$work/before"
	find "$work/overlay/usr" ! -type d | sort > "$work/files-before"
	install_tree install PREFIX=/usr
	[ "$(modprobe --set-version="$KVER" --show-depends qcow | tail -n 1)" = \
		"insmod /lib/modules/$KVER/extra/qcow.ko " ] || echo "modprobe does not find qcow"
	qcowctl --version > /dev/null || echo "no qcowctl"
	install_tree uninstall PREFIX=/usr
	kernel_files | diff "$work/before" -
	find "$work/overlay/usr" ! -type d | sort | diff "$work/files-before" - || true
}
