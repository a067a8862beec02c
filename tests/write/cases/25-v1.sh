# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# qcow version 1: the driver reads QEMU's images byte by byte, and QEMU reads back the
# driver's writes.

# Random bytes, text and zeros in turn, of odd lengths: source.
v1_source() {
	/usr/bin/python3 - <<- 'END'
	import random
	rng = random.Random(1)
	with open("source", "wb") as f:
	    while f.tell() < 5 << 20:
	        n = rng.randrange(1, 40000)
	        kind = rng.randrange(3)
	        f.write(rng.randbytes(n) if kind == 0 else bytes(n) if kind == 1 else
	                b"".join(b"line %d\n" % rng.randrange(1000) for _ in range(n // 8)))
	    f.truncate(5 << 20)
	END
}

# v1_write IMAGE SEED: pieces of source, by QEMU
v1_write() {
	local i commands=()

	RANDOM=$2
	for ((i = 0; i < 30; i++)); do
		commands+=("write -s source $((RANDOM % 7900 * 512)) $((RANDOM % 40 * 512 + 512))")
	done
	io_does -f qcow "$1" -- "${commands[@]}"
}

# v1_geometry NAME CLUSTER_BITS L2_BITS: QEMU makes two geometries, but takes any.
v1_geometry() {
	local shift=$(($2 + $3))

	qemu-img create -q -f qcow "$1" 5000k
	poke "$1" 32 2 $(($2 << 8 | $3))
	truncate -s $((48 + 8 * ((5120000 >> shift) + 1))) "$1"
}

v1_images() {
	local geometry

	v1_source
	qemu-img create -q -f qcow empty.qcow 5000k
	qemu-img create -q -f qcow small.qcow 512
	qemu-img convert -f raw -O qcow source plain.qcow
	# It says nothing, fails, and has done all of it.
	qemu-img convert -f raw -c -O qcow source compressed.qcow || true
	qemu-img compare -q -f raw -F qcow source compressed.qcow
	for geometry in 9:6 9:13 12:13 16:6; do
		v1_geometry "geometry-${geometry/:/-}.qcow" "${geometry%:*}" "${geometry#*:}"
		v1_write "geometry-${geometry/:/-}.qcow" "${geometry/:/}"
	done
	# The bases of the next images are not written any more.
	mkdir base
	cp compressed.qcow base
	qemu-img convert -f raw -O qcow2 source base/image.qcow2
	cp source base/raw
	qemu-img create -q -f qcow -F raw -b base/raw over-raw.qcow 4000k
	qemu-img create -q -f qcow -F qcow2 -b base/image.qcow2 over-qcow2.qcow
	qemu-img create -q -f qcow -F qcow -b base/compressed.qcow over-qcow.qcow 6000k
	for geometry in raw qcow2 qcow; do
		v1_write "over-$geometry.qcow" 7
	done
	cp over-qcow.qcow base/middle.qcow
	sed -i 's,base/compressed.qcow,compressed.qcow\x00\x00\x00\x00\x00,' base/middle.qcow
	poke base/middle.qcow 16 4 15
	qemu-img create -q -f qcow2 -F qcow -b base/middle.qcow above.qcow2
	qemu-io -f qcow2 -c 'write -P 3 100k 300k' above.qcow2 > qemu-io.log
}

# Content as QEMU reads it
v1_references() {
	local image

	for image in *.qcow*; do
		qemu-img convert -f "${image##*.}" -O raw "$image" "$image.raw"
	done
}

make_v1_read() {
	v1_images
	v1_references
	remember ./*.qcow ./*.qcow2
}

case_v1_read() {
	local image options

	for options in -r "-r --direct-io off"; do
		for image in *.qcow *.qcow2; do
			# shellcheck disable=SC2086
			attach $options "$image"
			same_content "$image.raw" "$dev"
			detach
		done
	done
}

after_v1_read() {
	unchanged
}

# --- Writing ---

# v1_same FILE...: QEMU reads the expected content.
v1_same() {
	local image

	for image; do
		qemu-img compare -q -f "${image##*.}" -F raw "$image" "$image.raw" ||
			fail "$image: QEMU reads other bytes"
	done
}

# v1_piece FROM TO SECTORS DD_ARGUMENTS...: of source, in one write
v1_piece() {
	dd if=source bs=1M iflag=skip_bytes,count_bytes oflag=seek_bytes conv=notrunc status=none \
		skip=$(($1 * 512)) seek=$(($2 * 512)) count=$(($3 * 512)) "${@:4}"
}

# v1_scribble IMAGE SEED: writes pieces of source to the device and to its copy
v1_scribble() {
	local i from to nr limit

	RANDOM=$2
	limit=$(($(blockdev --getsz "$dev") - 1))
	for ((i = 0; i < 3; i++)); do
		from=$((RANDOM % 9000))
		to=$((limit ? RANDOM % limit : 0))
		nr=$((1 + (RANDOM % 3 ? RANDOM % 20 : RANDOM % 400)))
		[ $((to + nr)) -le $limit ] || nr=$((limit - to + 1))
		v1_piece $from $to $nr of="$dev" oflag=direct
		v1_piece $from $to $nr of="$1.raw"
		[ $i != 1 ] || operate "$dev" flush
	done
}

make_v1_write() {
	v1_images
	cp compressed.qcow cached.qcow
	v1_references
	remember base/*
}

case_v1_write() {
	local image options

	# Some images are attached twice: the second time goes on with the content of the first.
	for image in *.qcow *.qcow2 compressed.qcow over-raw.qcow geometry-16*.qcow; do
		options=
		[ "$image" != cached.qcow ] || options="--direct-io off"
		# shellcheck disable=SC2086
		attach $options "$image"
		v1_scribble "$image" ${#options}
		same_content "$image.raw" "$dev"
		detach
	done
}

after_v1_write() {
	unchanged
	v1_same ./*.qcow ./*.qcow2
	# QEMU goes on where we stopped.
	qemu-io -f qcow -c 'write -P 9 1M 512k' -c 'read -P 9 1M 512k' plain.qcow
	is 0 "$(find . -name '*.qcow' -size +9M | wc -l)"
}

# --- Zeros, discards ---

make_v1_zero() {
	v1_source
	qemu-img create -q -f qcow empty.qcow 4M
	qemu-img convert -f raw -c -O qcow source full.qcow || true
	cp source raw
	qemu-img create -q -f qcow -F raw -b raw over.qcow
	v1_references
}

case_v1_zero() {
	local image piece size

	for image in *.qcow; do
		size=$(stat -c %s "$image")
		attach "$image"
		operate "$dev" 'discard 0 1m' 'discard 3584 512' flush
		same_content "$image.raw" "$dev"
		operate "$dev" 'zero 4k 64k' 'punch 1m 512k' 'zero 2560 512' 'punch 3m 1536'
		detach
		for piece in 4096:65536 1048576:524288 2560:512 3145728:1536; do
			dd if=/dev/zero of="$image.raw" bs=1M count=${piece#*:} iflag=count_bytes \
				oflag=seek_bytes seek=${piece%:*} conv=notrunc status=none
		done
		# Zeros where there is nothing take no space.
		[ "$image" != empty.qcow ] || is "$size" "$(stat -c %s "$image")"
	done
}

after_v1_zero() {
	v1_same ./*.qcow
}

# --- Refusals ---

# Tables of empty.qcow with cluster 0 at 8192, entry 0 of the L1 table at 48
make_v1_damage() {
	local entry name field bytes value

	qemu-img create -q -f qcow good.qcow 4M
	qemu-io -f qcow -c 'write -P 5 0 8k' -c 'write -P 6 2M 4k' good.qcow > qemu-io.log
	# The second entry of the first table, and the second of the L1 table
	for entry in unaligned:0000000000002001 far:4000000000000000 table:0000000000001000 \
			header:0000000000000200 behind:0000000100000000 \
			nothing:8000000000002000 comp:8028000000002000 long:fff8000000002000; do
		cp good.qcow "l2-${entry%:*}.qcow"
		poke "l2-${entry%:*}.qcow" 4104 8 "0x${entry#*:}"
	done
	for entry in unaligned:0000000000001008 far:4000000000001000 flag:8000000000001000 \
			twice:0000000000001000 header:0000000000000200 behind:0000000100000000; do
		cp good.qcow "l1-${entry%:*}.qcow"
		poke "l1-${entry%:*}.qcow" 56 8 "0x${entry#*:}"
	done
	for entry in size:24:8:1 cluster:32:1:8 table:33:1:5 crypt:36:4:2 aes:36:4:1 l1:40:8:8 \
			far:40:8:0x4000000000000000 name:8:8:0x30 large:24:8:0x0fffffffffffffff; do
		IFS=: read -r name field bytes value <<< "$entry"
		cp good.qcow "header-$name.qcow"
		poke "header-$name.qcow" "$field" "$bytes" "$value"
	done
	poke header-name.qcow 16 4 0x5ff
	cp good.qcow header-short.qcow
	truncate -s 47 header-short.qcow
	cp good.qcow short.qcow
	truncate -s 9000 short.qcow
}

case_v1_damage() {
	local image

	attach good.qcow
	operate "$dev" 'read 0 8k 5' 'read 2m 4k 6' 'write 3m 4k 7'
	refuses 'version 1' qcowctl resize "$dev" 8M
	detach
	refuses 'snapshot' qcowctl attach --snapshot 1 good.qcow
	for image in header-*.qcow; do
		refuses 'damaged header|too large|encrypt|truncated' qcowctl attach -r "$image"
	done
	refuses truncated qcowctl attach -r short.qcow
	for image in l2-*.qcow l1-*.qcow; do
		# An entry behind the end is refused at attach.
		case $image in
		*-behind.qcow)
			refuses truncated qcowctl attach "$image"
			continue ;;
		esac
		attach -r "$image"
		operate "$dev" 'read 0 4k 5'
		case $image in
		l1-twice.qcow | l1-header.qcow) ;;
		l1-*)	operate "$dev" 'read 2m 4k 6 =EIO' ;;
		l2-table.qcow | l2-header.qcow) ;;
		*)	operate "$dev" 'read 4k 4k 5 =EIO' ;;
		esac
		detach
		case $image in
		l1-*)
			refuses 'overlap or lie' qcowctl attach "$image"
			continue ;;
		esac
		attach "$image"
		case $image in
		l2-comp.qcow | l2-long.qcow)
			operate "$dev" 'write 4k 512 1 ?EIO' 'write 4k 4k 1 ?EIO' 'read 0 4k 5' ;;
		*)	operate "$dev" 'write 4k 4k 1 =EIO' 'write 4k 512 1 =EIO' ;;
		esac
		qcowctl detach "$dev" || true
	done
}

after_v1_damage() {
	qemu-io -r -f qcow -c 'read -P 5 0 8k' -c 'read -P 6 2M 4k' -c 'read -P 7 3M 4k' good.qcow |
		grep -c failed && fail "good.qcow"
	# Nothing was written over the tables.
	cmp -n 4096 l2-table.qcow l2-header.qcow
	qemu-io -r -f qcow -c 'read -P 5 0 4k' l2-table.qcow | grep failed && fail l2-table.qcow
	return 0
}
