# SPDX-License-Identifier: GPL-2.0
# Helpers of run.sh. shellcheck shell=bash

# build_foreign: makes the program $F of foreign.c.
build_foreign()
{
	local user="$QCOW_TOP/userspace"

	make -s -C "$user" || return 1
	F=$T/foreign
	# shellcheck disable=SC2046 # the words of the libraries
	${CC:-cc} -O1 -g -std=gnu11 -Wall -Wextra -D_FILE_OFFSET_BITS=64 -I"$user/src" \
		-I"$QCOW_TOP/include/uapi" -I"$QCOW_TOP/drivers/block" \
		-I"$QCOW_TOP/drivers/block/qcow" -o "$F" "$here/foreign.c" "$user/obj/qcow.a" \
		$(pkg-config --libs zlib liblzma libmd expat) -lbz2
}

# sample NAME: takes one of QEMU's sample images into the current folder, as a link
sample()
{
	ln -s "$QCOW_CACHE/samples/$1" . && [ -e "$1" ] ||
		fail "there is no image $1: tests/setup/samples.sh has to fetch it"
}

# disk_of FORMAT IMAGE OUT [PARENT]: writes the disk as a raw file, as our parser reads it.
disk_of()
{
	"$here/foreign.py" "$F" "$@"
}

# same_map FORMAT IMAGE: qcowctl, whose parser runs in a child, has the same table.
same_map()
{
	"$here/map.py" "$F" "$QCOW_TOP/userspace/qcowctl" "$1" "$2"
}

# same_disk FORMAT IMAGE [QEMU FORMAT]: ours and qemu-img read the same disk.
same_disk()
{
	same_map "$1" "$2" && disk_of "$1" "$2" ours.raw && qemu-img convert -f "${3:-$1}" -O raw "$2" judge.raw &&
		same_content judge.raw ours.raw
}

# foreign_says FORMAT IMAGE PATTERN: a line of the program matches.
foreign_says()
{
	run "$F" "$1" "$2"
	[ "$code" = 0 ] && [ ! -s err ] && has "$3" out
}

# foreign_refuses FORMAT IMAGE PATTERN: the parser refuses the image, with such a message.
foreign_refuses()
{
	run "$F" "$1" "$2"
	[ "$code" = 1 ] || fail "exit code $code: $(cat out err)" || return 1
	has $'^error\t.*'"$3" out
}

# survives_damage FORMAT [damage.py option...] SEED...: $count damaged copies of small images,
# beside a judge. Images that show a fault are kept in the cache.
survives_damage()
{
	run "$here/damage.py" --count "$count" --seed "$seed" --keep "$QCOW_CACHE/runs" \
		--pack "${QCOW_PACK-}" "$F" "$@"
	cat out err >&3
	[ "$code" = 0 ] || fail "exit code $code: $(cat out err)"
}

# foreign_finds_nothing FORMAT IMAGE: a check finds neither faults nor leaks.
foreign_finds_nothing()
{
	run "$F" "$1" "$2"
	[ "$code" = 0 ] || fail "exit code $code: $(tail -n 1 out)" || return 1
	is "" "$(grep -aE '^(fault|leak)' out)"
}

# same_sparse FORMAT IMAGE [JUDGE...]: ours and a judge, to whose words the image and the name
# of a raw file are added, read the same disk, of any size. The judge is qemu-img convert.
same_sparse()
{
	local format=$1 image=$2

	shift 2
	[ $# -gt 0 ] || set -- qemu-img convert -f "$format" -O raw
	rm -f judge.raw && "$@" "$image" judge.raw && "$here/sparse.py" "$F" "$format" "$image" judge.raw
}

# same_as_vhdi FORMAT PARENT_RAW IMAGE...: a chain, the child first, which libvhdi reads, too
same_as_vhdi()
{
	disk_of "$1" "$3" ours.raw "$2" && "$here/vhdi.py" judge.raw "${@:3}" &&
		same_content judge.raw ours.raw
}

# same_as_7z IMAGE: 7z, which finds parents by itself, reads the same as is in ours.raw.
same_as_7z()
{
	rm -rf 7z && 7z x -y -o7z "$1" > 7z.log && same_content "$(echo 7z/*)" ours.raw
}

# For the fuzzer: the images of assertions become its first inputs, whether the parser accepts
# or refuses them, and nothing is compared.
if [ -n "${QCOW_PACK-}" ]; then
	# pack_image FORMAT IMAGE: makes an input of an image that is small enough.
	pack_image()
	{
		[ "$1" != probe ] && [ -f "$2" ] && [ "$(stat -Lc %s "$2")" -le 16777216 ] ||
			return 0
		run "$here/damage.py" --pack "$QCOW_PACK" "$F" "$1" "$2"
		[ "$code" = 0 ] || fail "$2: $(tail -n 3 err)"
	}

	# Other assertions may make images, but are not the fuzzer's concern.
	expect()
	{
		local assert_counts=1

		case $2 in
		survives_damage)
			"${@:2}" ;;
		same_disk|same_sparse|foreign_says|foreign_finds_nothing|foreign_refuses)
			pack_image "$3" "$4" ;;
		crafted_disk)
			pack_image cloop disk.cloop ;;
		*)
			"${@:2}" || return 0 ;;
		esac > why || failure "$1" "$(cat why)"
	}
fi
