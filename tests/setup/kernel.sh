#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kernel.sh 6.1|6.12|7: unpacks Debian's newest kernel of that line, with its
# headers and its modules, none of them compressed, into $QCOW_CACHE/kernels/NAME.
# Nothing is installed: apt runs there with a state of its own. Afterwards that
# folder has
#
#	info	KVER=, VMLINUZ=, VMLINUX= (ELF, which boots a second or three sooner),
#		MODULES= (holds lib/modules), BUILD= (for make -C)
#	kmake	kmake DIR [make arguments] builds the external module in DIR
#
# With the folder in place it does nothing; remove the folder for a newer kernel.
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"

name=${1:-}
case $name in
6.1)	suites="bookworm" ;;
6.12)	suites="bookworm-backports trixie" ;;
7)	suites="sid trixie-backports" ;;
*)	die "usage: kernel.sh 6.1|6.12|7" ;;
esac

final=$QCOW_CACHE/kernels/$name
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# Prints the places that the host has its own Debian packages from.
host_sources() {
	# shellcheck disable=SC2016 # for apt to expand
	apt-get indextargets 'Created-By: Packages' 'Component: main' \
		--format '$(REPO_URI) $(RELEASE) main' |
		grep -E '/debian(-security)?/* '
}

# sources SUITE: the lines of its sources.list
sources() {
	local suite=$1 uri

	if [ "$suite" = bookworm ]; then
		host_sources
	else
		uri=$(host_sources | sed -n '1s/ .*//p')
		printf '%s\n' "$uri ${suite%-backports} main" "$uri $suite main"
	fi | sort -u | sed "s|^|deb [signed-by=$keyring] |"
}

# apt's name of the suite that is wanted. Without one the newest package wins, which
# for bookworm may be a security update.
default_release() {
	[ "$1" = bookworm ] || echo "$1"
}

# apt SUITE TOOL ARGS...: runs an apt tool that sees SUITE, and the host not.
apt() {
	local suite=$1 tool=$2 state=$work/apt/$1

	shift 2
	if [ ! -s "$state/sources.list" ]; then
		mkdir -p "$state"/{lists/partial,cache/archives/partial,parts}
		: > "$state/status"
		sources "$suite" > "$state/sources.list"
	fi
	"$tool" -o Dir::Etc::sourcelist="$state/sources.list" \
		-o Dir::Etc::sourceparts="$state/parts" \
		-o Dir::Etc::preferencesparts="$state/parts" \
		-o Dir::State::lists="$state/lists" \
		-o Dir::State::status="$state/status" \
		-o Dir::Cache="$state/cache" \
		-o APT::Default-Release="$(default_release "$suite")" \
		-o APT::Sandbox::User=root \
		-o Acquire::Languages=none -o Acquire::Retries=3 \
		-o Debug::NoLocking=1 "$@"
}

# unpack SUITE DIR PACKAGES...
unpack() {
	local suite=$1 dir=$2 debs=$work/debs d

	shift 2
	rm -rf "$debs"
	mkdir -p "$debs" "$dir"
	(cd "$debs" && retry apt "$suite" apt-get download -qq "$@") || return 1
	for d in "$debs"/*.deb; do
		dpkg-deb -x "$d" "$dir" || return 1
	done
	rm -rf "$debs"
}

has_package() {
	apt "$1" apt-cache show "$2" > /dev/null 2>&1
}

# Prints the newest kernel that a suite has, as uname -r will.
newest_version() {
	retry apt "$1" apt-get update -qq || return 1
	apt "$1" apt-cache depends linux-headers-amd64 2> /dev/null |
		awk '$1 == "Depends:" && sub(/^linux-headers-/, "", $2) && !n++ { print $2 }'
}

# Prints "VERSION SUITE" of every suite that may have the kernel, newest first.
candidates() {
	local suite version

	for suite in $suites; do
		version=$(newest_version "$suite")
		case $version in
		"$name".*) echo "$version $suite" ;;
		esac
	done | sort -rV
}

# unpack_kernel VERSION SUITE
unpack_kernel() {
	local suite=$2 image

	kver=$1
	kbuild=${kver%-amd64}
	# Since 7.x linux-image is an empty package over these three.
	image=linux-image-$kver
	if has_package "$suite" "linux-modules-$kver"; then
		image="linux-binary-$kver linux-modules-$kver linux-base-$kver"
	fi
	# linux-kbuild is named after the upstream version alone on 6.1.
	has_package "$suite" "linux-kbuild-$kbuild" ||
		kbuild=$(echo "$kver" | cut -d. -f1-2)
	# shellcheck disable=SC2086 # image may be several names
	unpack "$suite" "$work/tree" $image "linux-headers-$kver" \
		"linux-headers-${kver%-amd64}-common" "linux-kbuild-$kbuild"
}

is_elf() {
	[ "$(head -c4 "$1" | tail -c3)" = ELF ]
}

# The host tools in kbuild come from the kernel's own suite. Those that ask
# for a newer C library than the host's get Debian 13's, beside the kernel.
give_tools_their_libc() {
	local tools=$work/tree/usr/lib/linux-kbuild-$kbuild
	local lib=usr/lib/x86_64-linux-gnu tool

	objdump -T "$tools"/scripts/mod/modpost* 2> /dev/null |
		grep -E 'GLIBC_2\.(3[789]|[4-9])' > /dev/null || return 0
	retry apt trixie apt-get update -qq
	unpack trixie "$work/tree/rt" libc6 libelf1t64 zlib1g libzstd1
	find "$tools" -type f -perm -u+x | while read -r tool; do
		is_elf "$tool" || continue
		patchelf --set-interpreter "$final/rt/$lib/ld-linux-x86-64.so.2" \
			--force-rpath --set-rpath "$final/rt/$lib" "$tool"
	done
}

# Headers hold absolute paths; they get those of the final place.
relocate_headers() {
	sed -i -E "s#(^|[ =])/usr/(src|lib)/linux-#\1$final/usr/\2/linux-#g" \
		"$work/tree/usr/src/linux-headers-$kver/Makefile"
}

# The compiler of these kernels may be newer than gcc-12: flags that gcc-12 lacks are
# switched off, and so is type information, which needs the kernel's vmlinux.
overrides="CONFIG_DEBUG_INFO_BTF_MODULES= CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT= \
KCFLAGS=-Wno-attributes"

write_kmake() {
	cat > "$work/tree/kmake" <<-EOF
		#!/bin/sh
		# kmake DIR [make arguments]: builds the module in DIR for $kver
		dir=\$(realpath "\$1") || exit 1
		shift
		exec make -C $final/usr/src/linux-headers-$kver M="\$dir" \\
			CC=gcc-12 $overrides "\$@"
	EOF
	chmod +x "$work/tree/kmake"
}

first_of() {
	local f

	for f; do
		[ -e "$f" ] && echo "$f" && return
	done
	die "none of these: $*"
}

# field OFFSET SIZE FILE: an unsigned little-endian number
field() {
	od -An -v -t "u$2" -j "$1" -N "$2" "$3" | tr -d ' '
}

# Takes the kernel proper out of a bzImage: its header (boot protocol 2.08)
# tells where the compressed payload lies. The last four bytes of that are the
# unpacked size.
extract_vmlinux() {
	local image=$1 start length unpack

	start=$((($(field 0x1f1 1 "$image") + 1) * 512 + $(field 0x248 4 "$image")))
	length=$(($(field 0x24c 4 "$image") - 4))
	case $(field "$start" 4 "$image") in
	1484404733) unpack="xz -dc" ;;
	4247762216) unpack="zstd -dcq" ;;
	*) unpack="gzip -dc" ;;
	esac
	dd if="$image" iflag=skip_bytes,count_bytes bs=1M status=none \
		skip="$start" count="$length" | $unpack
}

write_info() {
	local tree=$work/tree modules vmlinuz

	modules=$(first_of "$tree/lib/modules/$kver" "$tree/usr/lib/modules/$kver")
	vmlinuz=$(first_of "$tree/boot/vmlinuz-$kver" "$modules/vmlinuz")
	extract_vmlinux "$vmlinuz" > "$tree/vmlinux"
	is_elf "$tree/vmlinux" || die "no kernel in $vmlinuz"
	modules=${modules%/lib/modules/*}
	cat > "$tree/info" <<-EOF
		KVER=$kver
		VMLINUZ=$final${vmlinuz#"$tree"}
		VMLINUX=$final/vmlinux
		MODULES=$final${modules#"$tree"}
		BUILD=$final/usr/src/linux-headers-$kver
	EOF
}

get_kernel() {
	local version suite

	work=$(mktemp -d "$QCOW_CACHE/kernel-$name.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	while read -r version suite; do
		say "unpacking $version of $suite"
		unpack_kernel "$version" "$suite" && break
		rm -rf "$work/tree"
	done < <(candidates)
	[ -d "$work/tree" ] || die "no kernel $name to be had"

	give_tools_their_libc
	relocate_headers
	write_kmake
	write_info
	rm -rf "$final"
	mkdir -p "$QCOW_CACHE/kernels"
	mv "$work/tree" "$final"
	say "$kver is in $final"
}

# An emulated processor takes seconds to unpack a module.
unpack_modules() {
	kernel_info "$name"
	find "$MODULES/lib/modules" -name '*.ko.xz' -print0 |
		xargs -r -0 -P "$(nproc)" -n 64 xz -df
	depmod -b "$MODULES" "$KVER"
	touch "$final/unpacked"
}

there() {
	[ -f "$final/info" ] && [ -f "$final/unpacked" ]
}

! there || exit 0
only_one "kernel-$name"
! there || exit 0
[ -f "$final/info" ] || get_kernel
unpack_modules
