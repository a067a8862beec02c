# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Encrypted images: keys that must not be seen, and keys that must not work. That
# the right ones do is tried by the manifest "crypt".

C=/images/crypt

# volume_key IMAGE: in hexadecimal
volume_key() {
	local at

	at=$(od -An -tu8 --endian=big -j120 -N8 "$1")
	dd if="$1" of=luks.header bs=512 skip=$((at / 512)) count=8192 status=none
	truncate -s 4M luks.header
	cryptsetup luksDump --batch-mode --dump-volume-key --key-file $C/key luks.header |
		sed -n '/^MK dump:/,$s/.*\t//p' | tr -d ' \n'
}

# nobody_knows TEXT: neither the log, nor keyrings, nor attributes
nobody_knows() {
	dmesg > log
	! grep -qF "$1" log || fail "it is in the log"
	! grep -qF "$1" /proc/keys || fail "it is in /proc/keys"
	! grep -rqsF "$1" "/sys/block/${dev#/dev/}/" || fail "it is in sysfs"
	! grep -rqsF "$1" /sys/module/qcow /sys/kernel/debug/block/ || fail "it is in debugfs"
}

case_keys_hidden() {
	local key i

	cp $C/aes-256-xts-plain64 luks
	key=$(volume_key luks)
	is 128 ${#key}
	attach --key-file $C/key luks
	for i in 1 2 3 4 5 6 7 8 9 10; do
		grep -q qcow: /proc/keys || break
		sleep 0.2
	done
	! grep -q qcow: /proc/keys || fail "it is still in a keyring"
	nobody_knows "$key"
	nobody_knows "$(cat $C/key)"
	same_content $C/aes-256-xts-plain64.ref "$dev"
	nobody_knows "$key"
	detach
}

# refuses_key PATTERN COMMAND...: as refuses, and no device is left.
refuses_key() {
	refuses "$@"
	is "" "$(left_over)"
}

case_keys_refused() {
	cp $C/luks-extl2 luks
	cp $C/aes aes
	refuses_key "luks: wrong passphrase" qcowctl attach --key-file $C/other luks
	refuses_key "luks: wrong passphrase" qcowctl attach --key-file /dev/null luks
	refuses_key "luks: is encrypted, and there is no terminal" qcowctl attach luks
	refuses_key "aes: is encrypted, and there is no terminal" qcowctl attach aes
	qemu-img create -q -f qcow2 plain 1M
	refuses_key "plain: is not encrypted" qcowctl attach --key-file $C/key plain
	# the header leads to garbage
	printf '\0\0\0\0' | dd of=luks bs=1 seek=32 conv=notrunc status=none
	refuses_key "luks: damaged header: it leads to a LUKS header" \
		qcowctl attach --key-file $C/key luks
}

# A damaged table leads to the LUKS header: guest data must not go there.
case_keys_header_is_no_data() {
	local header

	cp $C/luks-2 luks
	header=$(python3 - <<-'EOF'
		import struct
		with open("luks", "r+b") as f:
		    data = f.read(65536)
		    ext = data.index(b"\x05\x37\xbe\x77")
		    header, = struct.unpack(">Q", data[ext + 8:ext + 16])
		    l1, = struct.unpack(">Q", data[40:48])
		    f.seek(l1)
		    l2 = struct.unpack(">Q", f.read(8))[0] & ~(1 << 63)
		    f.seek(l2)
		    f.write(struct.pack(">Q", header | 1 << 63))
		print(header)
	EOF
	)
	cp luks before
	dev=$(qcowctl attach --key-file $C/key luks)
	dd if=/dev/zero of="$dev" bs=4k count=1 oflag=direct status=none && fail "it was written"
	refuses "detached, but the writes since the last flush" qcowctl detach "$dev"
	cmp -i "$header" -n 2097152 before luks || fail "the LUKS header was written"
	dmesg > log
	grep -q "guest data would be written over metadata" log || fail "nothing is said"
}

case_keys_written() {
	cp $C/luks-512 luks
	dev=$(qcowctl attach --key-file $C/key luks)
	fio --name=x --filename="$dev" --rw=randwrite --bs=2560 --size=640k \
		--ioengine=libaio --iodepth=16 --direct=1 --verify=crc32c \
		--output=fio.log || fail "$(tail -n 5 fio.log)"
	dd if="$dev" of=ours bs=1M status=none
	detach
	qemu-img check -q --object secret,id=s,file=$C/key --image-opts \
		driver=qcow2,file.filename=luks,encrypt.key-secret=s || fail "qemu-img check"
	qemu-img convert -q --object secret,id=s,file=$C/key -O raw --image-opts \
		driver=qcow2,file.filename=luks,encrypt.key-secret=s theirs
	same_content theirs ours
}
