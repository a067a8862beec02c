# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Images that are attached read-only, and are written all the same: the block layer does
# not stop a device on top that does not know.

make_read_only_below() {
	create holes 4M
	create data 4M
	fill data.qcow2 'write -P 1 0 1M'
	create old 4M
	fill old.qcow2 'write -P 2 0 1M'
	qemu-img snapshot -c then old.qcow2
	fill old.qcow2 'write -P 3 0 64k'
	qemu-img create -q -f qcow v1.qcow 4M
	io_does -f qcow v1.qcow -- 'write -P 4 0 1M'
	truncate -s 4M image.raw
	remember holes.qcow2 data.qcow2 old.qcow2 v1.qcow image.raw
}

# writes_fail ARGUMENTS...: of attach
writes_fail() {
	local name=over-$BASHPID

	attach "$@"
	mapped "$name" "0 $(blockdev --getsz "$dev") linear $dev 0"
	operate "/dev/mapper/$name" 'write 0 4k 9 =EIO' 'write 256k 64k 9 =EIO' \
		'write 2m 4k 9 =EIO' 'fua 8k 4k 9 =EIO' 'fua 3m 4k 9 =EIO' 'zero 0 64k =EIO' \
		'zero 2m 64k =EIO' || fail "$*"
	dmsetup remove --noudevsync --retry "$name"
	detach
}

case_read_only_below() {
	writes_fail -r holes.qcow2
	writes_fail -r data.qcow2
	writes_fail -r --untrusted data.qcow2
	writes_fail -r -f qcow v1.qcow
	writes_fail -r -f raw image.raw
	writes_fail -r --snapshot then old.qcow2
}

after_read_only_below() {
	unchanged
}
