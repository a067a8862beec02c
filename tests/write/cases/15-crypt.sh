# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Encrypted images: the driver reads QEMU's data, and QEMU reads the driver's.

# encrypted NAME SIZE OPTIONS [ARGUMENTS...]: NAME.qcow2, or NAME if it ends in
# .qcow, its passphrase in NAME.key. QEMU measures how fast it can hash, and fails
# if it was given no tick meanwhile.
encrypted() {
	local name=$1 size=$2 options=$3 i file=$1.qcow2 format=qcow2

	shift 3
	[[ $name != *.qcow ]] || { file=$name; format=qcow; }
	[ -e "$name.key" ] || printf '%s' "pass of $name" > "$name.key"
	[[ $options != *luks* ]] || set -- "$@" -o encrypt.iter-time=1
	for ((i = 0; i < 100; i++)); do
		qemu-img create -q -f $format --object "secret,id=s,file=$name.key" \
			-o "$options,encrypt.key-secret=s" "$@" "$file" "$size" 2> create.log && return
	done
	fail "create $name: $(cat create.log)"
}

key_of() {
	echo "${1%.qcow2}.key"
}

# crypt_opts IMAGE: how QEMU opens it with the secret s
crypt_opts() {
	local driver=qcow2

	[[ $1 != *.qcow ]] || driver=qcow
	echo "driver=$driver,file.filename=$1,encrypt.key-secret=s"
}

# crypt_io IMAGE COMMAND...: as qemu-io does, with the image's passphrase.
crypt_io() {
	local image=$1

	shift
	io_does --object "secret,id=s,file=$(key_of "$image")" --image-opts \
		"$(crypt_opts "$image")" -- "$@"
}

# crypt_check IMAGE: that QEMU finds neither faults nor leaks
crypt_check() {
	qemu-img check --object "secret,id=s,file=$(key_of "$1")" --image-opts \
		"$(crypt_opts "$1")" || fail "qemu-img check: $1"
}

# bytes CHARACTER LENGTH
bytes() {
	head -c "$2" /dev/zero | tr '\0' "$1"
}

# reads OFFSET LENGTH CHARACTER: the device does.
reads() {
	cmp -i "$1:0" -n "$2" "$dev" <(bytes "$3" "$2") || fail "at $1"
}

# put CHARACTER SECTOR SECTORS [ARGUMENTS...]: into the device
put() {
	bytes "$1" $((512 * $3)) | dd of="$dev" bs=512 seek="$2" conv=notrunc status=none \
		iflag=fullblock "${@:4}"
}

luks=encrypt.format=luks

# --- Chains: each image has a key of its own, or none; stream ---

make_crypt_chain() {
	encrypted base 8M $luks
	crypt_io base.qcow2 'write -P 17 0 2M'
	create middle 8M -b base.qcow2 -F qcow2
	encrypted top 8M encrypt.format=aes -b middle.qcow2 -F qcow2
	encrypted v1.qcow 8M encrypt.format=aes -b base.qcow2 -F qcow2
	encrypted all 8M $luks -b middle.qcow2 -F qcow2
	remember base.qcow2 middle.qcow2
}

case_crypt_chain() {
	local image

	refuses 'wrong passphrase' qcowctl attach --key-file top.key top.qcow2
	for image in top.qcow2 v1.qcow all.qcow2; do
		attach --key-file "$(key_of $image)" --key-file base.key $image
		operate "$dev" 'write 1536 512 68' 'read 0 1536 17' 'read 1536 512 68' \
			'read 2k 2046k 17' 'read 2m 1m 0' || fail $image
		if [ $image = all.qcow2 ]; then
			qcowctl stream "$dev" || fail "stream"
			# Not by direct I/O
			reads 2048 2095104 '\021'
		fi
		detach
	done
}

after_crypt_chain() {
	local image below base=driver=qcow2,file.filename=base.qcow2,encrypt.key-secret=b
	local content=('read -P 17 0 1536' 'read -P 68 1536 512' 'read -P 17 2k 2046k')

	for image in top.qcow2 v1.qcow; do
		below=,backing.${base//,/,backing.}
		[ $image = v1.qcow ] ||
			below=,backing.driver=qcow2,backing.file.filename=middle.qcow2${below//backing/backing.backing}
		io_does --object "secret,id=s,file=$(key_of $image)" \
			--object secret,id=b,file=base.key --image-opts \
			"$(crypt_opts $image)$below" -- "${content[@]}"
	done
	crypt_io all.qcow2 "${content[@]}"
	! grep -q 'backing file' <(qemu-img info -U all.qcow2) || fail "it has a backing file"
	crypt_check all.qcow2
	unchanged
}

# --- Refusals; no secret is left anywhere ---

make_crypt_refused() {
	encrypted image 8M $luks
	cp image.qcow2 short.qcow2
	truncate -s 300k short.qcow2
	cp image.qcow2 aside.qcow2
	poke aside.qcow2 120 8 0x10200
	create plain 8M
	printf 'sesame, please' > wrong.key
	remember image.qcow2 plain.qcow2 short.qcow2 aside.qcow2
}

case_crypt_refused() {
	local key=image.key keys i

	refuses '^qcowctl: image.qcow2: wrong passphrase$' qcowctl attach --key-file wrong.key image.qcow2
	refuses 'no terminal to ask' setsid -w qcowctl attach image.qcow2 < /dev/null
	refuses 'is not encrypted' qcowctl attach --key-file $key plain.qcow2
	refuses 'truncated' qcowctl attach --key-file $key short.qcow2
	refuses 'LUKS header offset .*not cluster-aligned' qcowctl attach --key-file $key aside.qcow2
	is "" "$(grep -lsF "$PWD/" /sys/block/qcow*/qcow/image || true)"
	attach -r --key-file - image.qcow2 < $key
	! grep -r 'pass of image' "/sys/block/${dev#/dev/}/qcow" || fail "sysfs has the passphrase"
	! dmesg | grep 'pass of image' || fail "the log has the passphrase"
	# Those of now, for a case beside this one may have others later.
	keys=$(sed -n 's/^\([0-9a-f]*\) .* qcow:.*/^\1 /p' /proc/keys)
	for ((i = 0; i < 50; i++)); do
		grep -q "${keys:-^$}" /proc/keys || break
		pause 0.1
	done
	! grep "${keys:-^$}" /proc/keys || fail "the key is in a keyring"
	qcowctl info --json "$dev" | jq -e '.. | .encrypted? // empty' > /dev/null || fail "info"
	qcowctl list | grep "${dev#/dev/}" || fail "list"
	detach
	qcowctl info image.qcow2 | grep 'aes-xts-plain64' || fail "info of the image"
	qcowctl check image.qcow2 || fail "check"
}

after_crypt_refused() {
	unchanged
}
