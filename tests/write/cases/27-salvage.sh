# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Images that were cut off, or whose header is damaged: the rest of their data reads.

# reference NAME FORMAT: the disk's bytes, in NAME.raw
reference() {
	qemu-img convert -f "$2" -O raw "$1.$2" "$1.raw"
}

# Half of it is noise, some is zeros by entry, some is missing.
make_salvage_cut() {
	local name

	dd if=/dev/urandom of=noise bs=64k count=16 status=none
	head -c 1M /dev/zero | tr '\0' x >> noise
	create big 2M -o cluster_size=64k
	create small 2M -o cluster_size=4k
	create tiny 2M -o cluster_size=512,refcount_bits=64
	create sub 2M -o extended_l2=on,cluster_size=16k
	create old 2M -o compat=0.10,cluster_size=4k
	qemu-img create -q -f qcow2 -o cluster_size=4k,data_file=split.data split.qcow2 2M
	qemu-img create -q -f qcow one.qcow 2M
	for name in {big,small,tiny,sub,old,split}.qcow2 one.qcow; do
		qemu-io -f "${name##*.}" -c 'write -q -s noise 0 1000k' \
			-c 'write -q -s noise 1200k 600k' "$name" > log
		[[ $name = *.qcow || $name = old.* ]] ||
			qemu-io -f qcow2 -c 'write -q -z 200k 64k' "$name" > log
		reference "${name%.*}" "${name##*.}"
	done
	qemu-img convert -q -c -f raw -O qcow2 noise zlib.qcow2
	qemu-img convert -q -c -O qcow2 -o compression_type=zstd,cluster_size=4k -f raw noise zstd.qcow2
	# Clusters that do not get smaller are not compressed.
	base64 -w 0 noise > log
	head -c 2M log > comp.raw
	# It writes all of it, and fails.
	qemu-img convert -q -c -f raw -O qcow comp.raw comp.qcow || true
	qemu-img compare -q -f raw -F qcow comp.raw comp.qcow
	cp noise zlib.raw
	cp noise zstd.raw
	# Over a backing file that is cut off
	cp small.qcow2 below.qcow2
	create top 2M -b below.qcow2 -F qcow2 -o cluster_size=64k
	fill top.qcow2 'write -q -P 7 0 64k' 'write -q -P 8 1984k 64k'
	reference top qcow2
}

# salvages FILE NAME LEAST: FILE, a damaged copy of NAME, gives at least so much of its data.
salvages() {
	attach -r --salvage "$1" 2> err
	right=$(qcowwrite salvage "$dev" "$2.raw" "$3") || fail "$1: $right"
	detach
}

case_salvage_cut() {
	local image name file length cut k=2

	for image in big small tiny sub old split zlib zstd one comp top; do
		name=$image.qcow2
		[ -e $name ] || name=$image.qcow
		file=$name
		case $image in
		split)	file=split.data ;;
		top)	file=below.qcow2 ;;
		esac
		length=$(stat -c %s $file)
		cp $file whole
		# As it is, all of it reads.
		salvages $name $image 4096
		[ ! -s err ] || fail "$name: $(cat err)"
		is 4096 "$right"
		# One after the other keeps three quarters and one quarter.
		k=$((8 - k))
		cut=$((length * k / 8 + k * 37))
		truncate -s $cut $file
		refuses 'truncated.*-r --salvage' qcowctl attach -r $name
		salvages $name $image 0
		grep -q "$file: file is truncated: $cut bytes.*missing parts fail with EIO" err ||
			fail "$name: $cut: it says $(cat err)"
		[ "$right" -lt 4096 ] || fail "$name: $cut: nothing is missing"
		case $image in
		comp|one|zlib|zstd) ;;
		*)	[ $k -lt 4 ] || [ "$right" -ge $(((k - 2) * 512)) ] ||
				fail "$name: $cut: only $right are right" ;;
		esac
		cp whole $file
	done
	# Down to where there is no header, and inside tables.
	cp tiny.qcow2 whole
	for cut in 600 1100 2100 30000; do
		truncate -s $cut tiny.qcow2
		refuses 'truncated' qcowctl attach -r tiny.qcow2
		salvages tiny.qcow2 tiny 0
		cp whole tiny.qcow2
	done
	truncate -s 80 tiny.qcow2
	refuses 'truncated' qcowctl attach -r --salvage tiny.qcow2
	cp whole tiny.qcow2
}

after_salvage_cut() {
	:
}

make_salvage_header() {
	create image 2M -o cluster_size=4k
	fill image.qcow2 'write -q -P 5 0 1M'
	reference image qcow2
}

# Fields that only writing needs, and an L1 table that is too short
case_salvage_header() {
	local damage field least

	cp image.qcow2 whole
	for damage in '48 8 1:4096' '48 8 -1:4096' '56 4 0:4096' '56 4 -1:4096' '60 4 -1:4096' \
			'64 8 7:4096' '96 4 99:4096' '36 4 -1:4096' '36 4 0:0'; do
		field=${damage%:*} least=${damage#*:}
		# shellcheck disable=SC2086
		poke image.qcow2 $field
		refuses "damaged header.*-r --salvage" qcowctl attach -r image.qcow2
		salvages image.qcow2 image "$least"
		[ "$least" != 0 ] || is 0 "$right"
		cp whole image.qcow2
	done
	# It is for reading only.
	attach --salvage image.qcow2
	is 1 "$(blockdev --getro "$dev")"
	qcowctl info "$dev"
	detach
}

after_salvage_header() {
	check image.qcow2
}
