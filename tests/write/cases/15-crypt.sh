# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Encrypted images: what QEMU wrote is read, and QEMU reads what was written.

# secret NAME PASSPHRASE: a file without a newline
secret() {
	printf '%s' "$2" > "$1"
}

# encrypted NAME SIZE OPTIONS [ARGUMENTS...]: NAME.qcow2, its passphrase in
# NAME.key. QEMU measures how fast it can hash, and fails where the CPU is busy.
encrypted() {
	local name=$1 size=$2 options=$3 ms

	shift 3
	[ -e "$name.key" ] || secret "$name.key" "pass of $name"
	for ms in 10 20 50 100 200 500 1000; do
		[[ $options != *luks* ]] || set -- "$@" -o "encrypt.iter-time=$ms"
		qemu-img create -q -f qcow2 --object "secret,id=s,file=$name.key" \
			-o "$options,encrypt.key-secret=s" "$@" "$name.qcow2" "$size" 2> create.log && return
	done
	fail "create $name: $(cat create.log)"
}

# crypt_io IMAGE COMMAND...: as qemu-io does, with the image's passphrase.
crypt_io() {
	local name=${1%.qcow2} args=() command method=luks

	shift
	for command; do
		args+=(-c "$command")
	done
	qemu-img info "$name.qcow2" | grep -q 'format: aes' && method=aes
	qemu-io --object "secret,id=s,file=$name.key" --image-opts "${args[@]}" \
		"driver=qcow2,file.filename=$name.qcow2,encrypt.format=$method,encrypt.key-secret=s${crypt_more:-}" \
		> qemu-io.log 2>&1 || fail "$(cat qemu-io.log)"
	! grep -E 'failed|error|[Cc]ould not|Pattern' qemu-io.log || fail "$*"
}

# What QEMU wrote before the driver does, what the driver does, what there is
# then, in the terms of qemu-io and do.c.
crypt_fill=('write -P 17 0 300k' 'write -P 34 1M 64k' 'write -P 51 3584k 512k')

crypt_read_and_write() {
	cmp -n 307200 "$dev" <(head -c 307200 /dev/zero | tr '\0' '\021') || fail "0"
	cmp -i 1048576:0 -n 65536 "$dev" <(head -c 65536 /dev/zero | tr '\0' '"') || fail "1M"
	cmp -i 2097152:0 -n 65536 "$dev" <(head -c 65536 /dev/zero) || fail "2M"
	cmp -i 3670016:0 -n 524288 "$dev" <(head -c 524288 /dev/zero | tr '\0' '3') || fail "3584k"
	# In place, new clusters, and over the end of both; at odd sectors.
	head -c 33280 /dev/zero | tr '\0' D | dd of="$dev" bs=512 seek=37 conv=notrunc oflag=direct status=none
	head -c 1536 /dev/zero | tr '\0' E | dd of="$dev" bs=512 seek=4227 conv=notrunc oflag=direct status=none
	head -c 262144 /dev/zero | tr '\0' F | dd of="$dev" bs=512 seek=7001 conv=notrunc status=none
	sync "$dev"
}

crypt_result=('read -P 17 0 18944' 'read -P 68 18944 33280' 'read -P 17 52224 254976'
	'read -P 34 1M 64k' 'read -P 0 2M 67072' 'read -P 69 2164224 1536'
	'read -P 0 2165760 1k' 'read -P 70 3584512 256k' 'read -P 51 3846656 347648')

# Every cipher that QEMU makes here: name:options
crypt_kinds=(aes:encrypt.format=aes)
# (Of 192 bits, or where a sector is no whole number of blocks, it makes none.)
for crypt_kind in aes-256-xts-plain64-sha256 aes-128-cbc-essiv-sha256 ${QCOW_LONG:+ \
		  aes-128-xts-plain64-sha1 aes-256-cbc-essiv-sha512 aes-128-cbc-plain-sha256 \
		  aes-256-xts-essiv-sha256 aes-128-ecb-plain-sha256 aes-256-ctr-plain64-sha256 \
		  aes-128-xts-plain-sha512 twofish-128-cbc-plain64-sha1} \
		  serpent-256-xts-plain64-sha256 twofish-256-cbc-plain64-sha512; do
	IFS=- read -r crypt_a crypt_bits crypt_mode crypt_iv crypt_hash <<< "$crypt_kind"
	crypt_options=encrypt.format=luks,encrypt.cipher-alg=$crypt_a-$crypt_bits
	crypt_options+=,encrypt.cipher-mode=$crypt_mode,encrypt.ivgen-alg=$crypt_iv
	[ "$crypt_iv" != essiv ] || crypt_options+=,encrypt.ivgen-hash-alg=sha256
	crypt_kinds+=("$crypt_kind:$crypt_options,encrypt.hash-alg=$crypt_hash")
done

make_crypt_ciphers() {
	local kind name

	for kind in "${crypt_kinds[@]}"; do
		name=${kind%%:*}
		encrypted "$name" 8M "${kind#*:}"
		crypt_io "$name.qcow2" "${crypt_fill[@]}"
	done
}

case_crypt_ciphers() {
	local image

	for image in *.qcow2; do
		echo "$image"
		attach --key-file "${image%.qcow2}.key" "$image"
		crypt_read_and_write
		detach
	done
}

after_crypt_ciphers() {
	local image

	for image in *.qcow2; do
		crypt_io "$image" "${crypt_result[@]}"
		check "$image"
	done
}

# --- Chains: each image has a key of its own, or none ---

make_crypt_chain() {
	encrypted base 8M encrypt.format=luks
	crypt_io base.qcow2 'write -P 17 0 2M'
	create middle 8M -b base.qcow2 -F qcow2
	encrypted top 8M encrypt.format=aes -b middle.qcow2 -F qcow2
}

case_crypt_chain() {
	refuses 'has 2 encrypted images' qcowctl attach --key-file top.key top.qcow2
	attach --key-file top.key --key-file base.key top.qcow2
	head -c 512 /dev/zero | tr '\0' D | dd of="$dev" bs=512 seek=3 conv=notrunc oflag=direct status=none
	cmp -n 1536 "$dev" <(head -c 1536 /dev/zero | tr '\0' '\021') || fail "before"
	cmp -i 2048:0 -n 129024 "$dev" <(head -c 129024 /dev/zero | tr '\0' '\021') || fail "behind"
	detach
	attach --key-file top.key --key-file base.key top.qcow2
	cmp -i 1536:0 -n 512 "$dev" <(head -c 512 /dev/zero | tr '\0' D) || fail "written"
	detach
}

after_crypt_chain() {
	local image=driver=qcow2,file.filename=top.qcow2,encrypt.format=aes,encrypt.key-secret=s

	image+=,backing.backing.encrypt.key-secret=b
	qemu-io --object secret,id=s,file=top.key --object secret,id=b,file=base.key \
		--image-opts -c 'read -P 17 0 1536' -c 'read -P 68 1536 512' \
		-c 'read -P 17 2k 126k' "$image" > qemu-io.log 2>&1 || fail "$(cat qemu-io.log)"
	! grep -E 'failed|error|Pattern' qemu-io.log || fail "QEMU reads other data"
	check top.qcow2 base.qcow2
}

# --- What is refused; and nothing secret is left anywhere ---

make_crypt_refused() {
	encrypted image 8M encrypt.format=luks
	cp image.qcow2 short.qcow2
	truncate -s 300k short.qcow2
	create plain 8M
	secret wrong.key 'sesame, please'
	remember image.qcow2 plain.qcow2
}

case_crypt_refused() {
	local key=image.key

	refuses 'image.qcow2: the passphrase is wrong' qcowctl attach --key-file wrong.key image.qcow2
	refuses 'no terminal to ask' setsid -w qcowctl attach image.qcow2 < /dev/null
	refuses 'is not encrypted' qcowctl attach --key-file $key plain.qcow2
	refuses 'LUKS header .*past its end' qcowctl attach --key-file $key short.qcow2
	is "" "$(find /sys/block -name 'qcow*')"
	attach -r --key-file - image.qcow2 < $key
	! grep -r 'pass of image' "/sys/block/${dev#/dev/}/qcow" || fail "sysfs has the passphrase"
	! dmesg | grep 'pass of image' || fail "the log has the passphrase"
	! grep 'qcow:' /proc/keys || fail "the key is in a keyring"
	detach
}

after_crypt_refused() {
	unchanged
}
