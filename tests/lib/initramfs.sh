# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Puts an initramfs together. Source it after common.sh; kernel_info must have
# been called. One at a time: the folder it grows in is $initramfs.

initramfs_begin() {
	initramfs=$(mktemp -d)
	trap 'rm -rf "$initramfs"' EXIT
	mkdir -p "$initramfs/bin"
}

# initramfs_file FROM TO
initramfs_file() {
	mkdir -p "$initramfs$(dirname "$2")"
	cp -L "$1" "$initramfs$2"
}

initramfs_busybox() {
	initramfs_file /bin/busybox /bin/busybox
}

# initramfs_modules DIR MODULE...: the modules and what they need, in DIR,
# with names whose order is the order to load them in. With a ?
# before its name a module may be lacking.
initramfs_modules() {
	local dir=$1 count=100 module file

	shift
	mkdir -p "$initramfs$dir"
	for module; do
		module_files "${module#\?}" || [[ $module == \?* ]] ||
			die "$KVER has no ${module#\?}"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
		while read -r file; do
			count=$((count + 1))
			cp "$file" "$initramfs$dir/$count-$(basename "$file")"
		done
}

module_files() {
	modprobe -d "$MODULES" -S "$KVER" --show-depends "$1" 2> /dev/null
}

# initramfs_end IMAGE: not compressed, for an emulated processor unpacks it
initramfs_end() {
	mkdir -p "$(dirname "$1")"
	find "$initramfs" -exec touch -h -d @0 {} +
	(cd "$initramfs" && find . | LC_ALL=C sort |
		cpio -o -H newc --quiet --reproducible --owner=0:0) > "$1.new"
	mv "$1.new" "$1"
}

# initramfs_program FILE...: programs at the same path, with the libraries
# that they need
initramfs_program() {
	local file

	for file; do
		file=$(command -v "$file") || die "no program $file"
		initramfs_file "$file" "$file"
		{ ldd "$file" 2> /dev/null || true; } | grep -o '/[^ ]*' |
			while read -r file; do
				[ -e "$initramfs$file" ] || initramfs_file "$file" "$file"
			done
	done
}
