# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Errors from below.

# reads_bad DEVICE REFERENCE: reads it in steps of 64 KiB; prints how many were
# right and how many failed with EIO.
reads_bad() {
	qcowtest steps "$1" "$2"
}

# A part of the disk below an image fails.
case_error_below_block_device() {
	dd if="$IMAGES/extra/plain.qcow2" of=/dev/vdc bs=1M conv=fsync status=none
	# 1 MiB in the middle of the file
	dmsetup create faulty <<-EOF2
		0 4096 linear /dev/vdc 0
		4096 2048 error
		6144 100000 linear /dev/vdc 6144
	EOF2
	attach /dev/mapper/faulty
	reads_bad "$dev" "$IMAGES/extra/plain.raw" > counts
	cat counts
	read -r good bad < counts
	[ "$good" -gt 90 ] && [ "$bad" -ge 15 ] && [ "$bad" -le 40 ] || fail "counts"
	[ "$(qcowtest status "$index" errors)" -ge "$bad" ] || fail "errors are not counted"
	detach
	dmsetup remove faulty
}

# The same, with a filesystem between: its own blocks stay readable.
case_error_below_filesystem() {
	mkfs.ext4 -q -F /dev/vdc
	mkdir fs
	mount /dev/vdc fs
	cp "$IMAGES/extra/par-plain.qcow2" fs/
	sync
	start=$(filefrag -v -b512 fs/par-plain.qcow2 | awk '$1 == "0:" { print $4 + 0 }')
	umount fs
	size=$(blockdev --getsz /dev/vdc)
	# Behind the table of entries for two megabytes, which lies in between
	bad=$((start + 16384 + 1024))
	dmsetup create faulty <<-EOF2
		0 $bad linear /dev/vdc 0
		$bad 128 error
		$((bad + 128)) $((size - bad - 128)) linear /dev/vdc $((bad + 128))
	EOF2
	mount -o ro /dev/mapper/faulty fs
	# Through the page cache a whole large folio fails, of 2 MiB at most.
	for mode in on:3 off:33; do
		most=${mode#*:}
		mode=${mode%:*}
		attach --direct-io $mode fs/par-plain.qcow2
		reads_bad "$dev" "$IMAGES/extra/par.raw" > counts
		cat counts
		read -r good bad < counts
		[ "$bad" -ge 1 ] && [ "$bad" -le "$most" ] && [ $((good + bad)) -eq 256 ] ||
			fail "counts"
		detach
	done
	umount fs
	dmsetup remove faulty
}

# Metadata fails, and then works again: errors are not kept.
case_error_goes_away() {
	dd if="$IMAGES/extra/par-chain0.qcow2" of=/dev/vdc bs=1M conv=fsync status=none
	dd if="$IMAGES/extra/plain.qcow2" of=/dev/vdc bs=1M conv=fsync status=none
	dmsetup create faulty --table "0 100000 linear /dev/vdc 0"
	attach /dev/mapper/faulty
	dmsetup suspend faulty
	dmsetup reload faulty --table "0 100000 error"
	dmsetup resume faulty
	is EIO "$(qcowtest read "$dev" 0 65536 direct || true)"
	dmsetup suspend faulty
	dmsetup reload faulty --table "0 100000 linear /dev/vdc 0"
	dmsetup resume faulty
	same_content "$IMAGES/extra/plain.raw" "$dev"
	is 0 "$(cat "/sys/block/qcow$index/qcow/corrupt")"
	detach
	dmsetup remove faulty
}

# Attaching while everything fails
case_error_at_attach() {
	dmsetup create faulty --table "0 100000 error"
	refuses '/dev/mapper/faulty: ' qcowctl attach -r /dev/mapper/faulty
	refuses '/dev/mapper/faulty: ' qcowctl attach -r -f qcow2 /dev/mapper/faulty
	dmsetup remove faulty
}
