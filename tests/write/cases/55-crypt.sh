# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Encrypted images of more kinds, and changes of such images as a whole.

. "$cases_here/15-crypt.sh"

crypt_fill=('write -P 17 0 300k' 'write -P 34 1M 64k' 'write -P 51 3584k 512k')

# In place, new clusters, and over the end of both; at odd sectors; zeros.
crypt_read_and_write() {
	reads 0 307200 '\021'
	operate "$dev" 'read 1m 64k 34' 'read 2m 64k 0' 'read 3584k 512k 51' \
		'write 18944 33280 68' 'write 2164224 1536 69'
	put F 7001 512
	operate "$dev" 'zero 1028k 8k' 'discard 5m 1m' flush \
		'read 18944 33280 68' 'read 2164224 1536 69' 'read 1028k 8k 0'
}

crypt_result=('read -P 17 0 18944' 'read -P 68 18944 33280' 'read -P 17 52224 254976'
	'read -P 34 1M 4k' 'read -P 0 1028k 8k' 'read -P 34 1036k 52k'
	'read -P 0 2M 67072' 'read -P 69 2164224 1536' 'read -P 0 2165760 1k'
	'read -P 70 3584512 256k' 'read -P 51 3846656 347648' 'read -P 0 5M 1M')

crypt_kinds=(
	aes:encrypt.format=aes v1.qcow:encrypt.format=aes
	aes-essiv:$luks,encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256
	serpent:$luks,encrypt.cipher-alg=serpent-256,extended_l2=on
	twofish:$luks,encrypt.cipher-alg=twofish-256,encrypt.cipher-mode=cbc,encrypt.hash-alg=sha512,cluster_size=4k
)

make_crypt_ciphers() {
	local kind name

	for kind in "${crypt_kinds[@]}"; do
		name=${kind%%:*}
		encrypted "$name" 8M "${kind#*:}"
		[ -e "$name" ] || name=$name.qcow2
		crypt_io "$name" "${crypt_fill[@]}"
	done
}

case_crypt_ciphers() {
	local image

	for image in *.qcow2 *.qcow; do
		echo "$image"
		attach --key-file "$(key_of "$image")" "$image"
		crypt_read_and_write
		detach
		[[ $image == *.qcow ]] || qcowctl check "$image" || fail "qcowctl check: $image"
	done
}

after_crypt_ciphers() {
	local image

	for image in *.qcow2 *.qcow; do
		crypt_io "$image" "${crypt_result[@]}"
		[[ $image == *.qcow ]] || crypt_check "$image"
	done
}

# --- Snapshots, another size, bitmaps ---

make_crypt_change() {
	encrypted image 4000k $luks
	crypt_io image.qcow2 'write -P 17 0 4000k'
}

case_crypt_change() {
	attach --key-file image.key image.qcow2
	qcowctl snapshot create "$dev" first || fail "snapshot"
	operate "$dev" 'write 3584 50k 68'
	detach
	attach -r --snapshot first --key-file image.key image.qcow2
	reads 0 4096000 '\021'
	detach
	attach --key-file image.key image.qcow2
	qcowctl snapshot apply "$dev" first || fail "apply"
	reads 0 4096000 '\021'
	operate "$dev" 'write 3584 50k 69'
	qcowctl snapshot delete "$dev" first || fail "delete"
	# The last cluster is not all of the disk's.
	qcowctl resize "$dev" 8M || fail "resize"
	reads 4096000 1048576 '\0'
	qcowctl bitmap add "$dev" b || fail "bitmap"
	operate "$dev" 'write 4500k 4k 70'
	detach
}

after_crypt_change() {
	crypt_io image.qcow2 'read -P 17 0 3584' 'read -P 69 3584 50k' 'read -P 17 54784 4041216' \
		'read -P 0 4096000 512000' 'read -P 70 4608000 4k' 'read -P 0 4612096 3M'
	crypt_check image.qcow2
}

# --- Into the backing file, which has a key of its own ---

make_crypt_commit() {
	encrypted base 4M $luks
	crypt_io base.qcow2 'write -P 17 0 4M'
	encrypted over 4M encrypt.format=aes -u -b base.qcow2 -F qcow2
}

case_crypt_commit() {
	attach --key-file over.key --key-file base.key over.qcow2
	operate "$dev" 'write 18944 33280 68' 'write 2164224 1536 69'
	qcowctl commit "$dev" || fail "commit"
	operate "$dev" 'write 20k 4k 70'
	qcowctl commit "$dev" || fail "commit again"
	operate "$dev" 'read 18944 1536 68' 'read 20k 4k 70' 'read 2164224 1536 69'
	detach
}

after_crypt_commit() {
	crypt_io base.qcow2 'read -P 17 0 18944' 'read -P 68 18944 1536' 'read -P 70 20k 4k' \
		'read -P 68 24k 27648' 'read -P 17 52224 2112000' 'read -P 69 2164224 1536'
	crypt_check base.qcow2
}
