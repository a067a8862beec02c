# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Images of formats that qcowctl parses, attached by the driver. tests/foreign tries the
# parsers themselves.

# alike FORMAT IMAGE: qemu-img reads disk.raw of an image.
alike() {
	rm -f judge.raw
	qemu-img convert -f "$1" -O raw "$2" judge.raw
	same_content disk.raw judge.raw
	rm judge.raw
}

# overlay FORMAT: QEMU's over-FORMAT.qcow2, which it reads as over.raw
overlay() {
	qemu-img create -q -f qcow2 -b "disk.$1" -F "$1" "over-$1.qcow2"
	io_does -f qcow2 "over-$1.qcow2" -- 'write -P 3 4M 64k' 'write -z 2M 64k'
	qemu-img convert -f qcow2 -O raw "over-$1.qcow2" judge.raw
	[ -e over.raw ] || cp judge.raw over.raw
	same_content over.raw judge.raw
	rm judge.raw
}

# crafted FORMAT [CODEC [IMAGE]]: disk.FORMAT, by the writer that tests/foreign has for it
crafted() {
	/usr/bin/python3 -B "$cases_here/../../foreign/$1.py" disk.raw "${3:-disk.$1}" codec="${2:-zlib}"
}

# Each image holds disk.raw, an ext4.
make_foreign() {
	local format

	mkdir -p files folder/deep
	echo "in the image" > files/file
	head -c 300k /dev/zero | openssl enc -aes-128-ctr -nosalt -pass pass:x > files/data 2> /dev/null
	truncate -s 6M disk.raw
	mkfs.ext4 -q -F -d files disk.raw
	for format in vmdk vdi; do
		qemu-img convert -f raw -O $format disk.raw disk.$format
	done
	qemu-img convert -f raw -O vhdx -o block_size=1M disk.raw disk.vhdx
	qemu-img convert -f raw -O vpc -o force_size=on disk.raw disk.vpc
	qemu-img convert -f raw -O qcow2 disk.raw below.qcow2
	io_does -f qcow2 below.qcow2 -- 'write -P 1 5M 128k'
	qemu-img create -q -f qed -b below.qcow2 -F qcow2 disk.qed
	dd if=disk.raw of=part bs=1M skip=5 status=none
	io_does -f qed disk.qed -- 'write -s part 5M 1M'
	crafted cloop
	crafted dmg
	crafted dmg bzip2 bzip2.dmg
	for format in vmdk vdi vhdx vpc qed cloop dmg; do
		alike $format disk.$format
		overlay $format
	done
	mkdir box.hdd
	qemu-img convert -f raw -O parallels disk.raw box.hdd/disk.hds
	alike parallels box.hdd/disk.hds
	/usr/bin/python3 -B "$cases_here/../../foreign/prl.py" 12288 \
		"12288:{5fbaabe3-6958-40ff-92a7-860e329aab41}=Compressed:disk.hds" -- > box.hdd/DiskDescriptor.xml
	qemu-img convert -f raw -O vmdk -o subformat=streamOptimized disk.raw stream.vmdk
	alike vmdk stream.vmdk
	echo '<Envelope/>' > box.ovf
	tar -cf disk.ova box.ovf stream.vmdk
	qemu-img create -q -f vmdk -b disk.vmdk -F vmdk child.vmdk
	io_does -f vmdk child.vmdk -- 'write -P 2 3M 64k'
	qemu-img convert -f vmdk -O raw child.vmdk child.raw
	tar -cf both.ova box.ovf disk.vmdk child.vmdk
	cp files/data folder/deep/
	echo "in the folder" > folder/small
	qemu-img create -q -f qcow2 -b disk.vmdk -F vmdk overlay.qcow2
	rm -r part stream.vmdk child.vmdk box.ovf
	remember disk.* below.qcow2 box.hdd/* folder/small folder/deep/data
}

# read_only: nobody writes the device.
read_only() {
	is 1 "$(cat "/sys/block/${dev#/dev/}/ro")"
	exits 1 "Operation not permitted" dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct \
		status=none
}

# holds_files FOLDER: a mounted filesystem has those of disk.raw.
holds_files() {
	is "in the image" "$(< "$1/file")"
	same_content files/data "$1/data"
}

# written_and_streamed: the overlay, whose filesystem is mounted, is written and streamed.
written_and_streamed() {
	attach overlay.qcow2
	same_content disk.raw "$dev"
	refuses "has a backing file of a format that is only read; use qcowctl stream" qcowctl commit "$dev"
	mount -t ext4 "$dev" "$HERE/mnt"
	holds_files "$HERE/mnt"
	echo "written before" > "$HERE/mnt/before"
	qcowctl stream "$dev" &
	cp files/data "$HERE/mnt/meanwhile"
	wait $! || fail "stream"
	is 1 "$(cat "/sys/block/${dev#/dev/}/qcow/depth")"
	echo "written after" > "$HERE/mnt/after"
	umount "$HERE/mnt"
	dd if="$dev" of=content.raw bs=1M iflag=direct status=none
	detach
}

case_foreign() {
	local format image vmdk

	mkdir "$HERE/mnt"
	cp "$QCOW_TOP/userspace/mount.qcow2" /sbin/
	for format in vmdk vdi vhdx vpc qed cloop dmg ova; do
		attach -r disk.$format
		same_content disk.raw "$dev"
		detach
	done
	for format in vmdk vdi vhdx vpc qed cloop dmg; do
		attach -r over-$format.qcow2
		same_content over.raw "$dev"
		detach
	done
	attach --untrusted bzip2.dmg
	same_content disk.raw "$dev"
	detach
	attach -r both.ova:child.vmdk
	is 2 "$(cat "/sys/block/${dev#/dev/}/qcow/depth")"
	same_content child.raw "$dev"
	detach
	attach disk.vmdk 2> note
	has "attached read-only, as vmdk images are not written" note
	read_only
	mount -t ext4 -o ro "$dev" "$HERE/mnt"
	holds_files "$HERE/mnt"
	umount "$HERE/mnt"
	detach
	attach -r -f vvfat folder
	read_only
	mount -t vfat -o ro "${dev}p1" "$HERE/mnt"
	is "in the folder" "$(< "$HERE/mnt/small")"
	same_content files/data "$HERE/mnt/deep/data"
	umount "$HERE/mnt"
	detach
	attach -r -f vvfat --fat-type 32 --fat-label LARGE folder
	is FAT32 "$(blkid -p -o value -s VERSION "${dev}p1")"
	is LARGE "$(blkid -p -o value -s LABEL "${dev}p1")"
	mount -t vfat -o ro "${dev}p1" "$HERE/mnt"
	is "in the folder" "$(< "$HERE/mnt/small")"
	same_content files/data "$HERE/mnt/deep/data"
	umount "$HERE/mnt"
	detach
	mkdir "$HERE/other"
	for image in mnt other; do
		mount -t qcow2 -o ro,format=vmdk disk.vmdk "$HERE/$image"
	done
	is "$(findmnt -no SOURCE "$HERE/mnt")" "$(findmnt -no SOURCE "$HERE/other")"
	umount "$HERE/mnt" "$HERE/other"
	for image in disk.vmdk box.hdd; do
		mount -t qcow2 -o ro $image "$HERE/mnt"
		holds_files "$HERE/mnt"
		mount -t qcow2 -o remount,ro,noatime $image "$HERE/mnt"
		umount "$HERE/mnt"
	done
	attach -r box.hdd
	same_content disk.raw "$dev"
	qcowctl detach box.hdd
	! stays || fail "it is attached still"
	attach --temporary=. disk.vmdk
	operate "$dev" 'write 1m 64k 9' 'read 1m 64k 9' 'flush'
	same_content <(head -c 1M disk.raw) <(head -c 1M "$dev")
	same_content <(tail -c +1114113 disk.raw) <(tail -c +1114113 "$dev")
	detach
	attach disk.vmdk 2> /dev/null
	vmdk=$dev
	written_and_streamed
	dev=$vmdk
	same_content disk.raw "$dev"
	detach
}

# shown FILE: a file of the filesystem that the device had at last
shown() {
	debugfs -R "cat $1" content.raw 2> /dev/null
}

after_foreign() {
	unchanged
	check overlay.qcow2
	is null "$(qemu-img info -f qcow2 --output=json overlay.qcow2 | jq -r '."backing-filename"')"
	qemu-img compare -q -f qcow2 -F raw overlay.qcow2 content.raw
	e2fsck -fn content.raw || fail "the filesystem is damaged"
	is "written before" "$(shown before)"
	is "written after" "$(shown after)"
	same_content files/data <(shown meanwhile)
}
