# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Space that is given back behind the flush that made it possible.

# --- Discarded, flushed, and wanted at once on a full disk ---

# fill_again: 16 MiB are there, and no more than 4 fit.
fill_again() {
	operate "$dev" 'write 16m 8m 2 =ENOSPC' 'flush' 'discard 0 8m' 'flush' \
		'write 40m 6m 3' 'flush' 'discard 8m 4m' 'flush' 'write 34m 3m 4' 'flush' \
		'read 40m 6m 3' 'read 34m 3m 4' 'read 12m 4m 5' 'read 0 12m 0'
}

make_discard_full() {
	scattered_image image 16
}

case_discard_full() {
	mkdir -p $HERE/small
	mount -t tmpfs -o size=20m tmpfs $HERE/small
	cp --sparse=always image.qcow2 $HERE/small/image
	attach $HERE/small/image
	fill_again
	detach
	cp --sparse=always $HERE/small/image left.qcow2
}

after_discard_full() {
	check left.qcow2
	holds qcow2 left.qcow2 'read -P 3 40M 6M' 'read -P 4 34M 3M' 'read -P 5 12M 4M' \
		'read -P 0 0 12M'
}

# The same where it is the refcounts that say that nothing is free
make_discard_full_device() {
	scattered_image image 16
}

case_discard_full_device() {
	dd if=image.qcow2 of=/dev/vdb bs=1M conv=fsync status=none
	mapped small "0 $((20 << 11)) linear /dev/vdb 0"
	attach /dev/mapper/small
	fill_again
	detach
	dmsetup remove --noudevsync --retry small
	blockdev --flushbufs /dev/vdb
	dd if=/dev/vdb of=left.qcow2 bs=1M count=20 iflag=direct conv=sparse status=none
}

after_discard_full_device() {
	after_discard_full
}
