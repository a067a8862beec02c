# SPDX-License-Identifier: GPL-2.0
# Encrypted images: where passphrases come from, and the keys that go to the driver.
# shellcheck shell=bash

fake_root
printf secret >key
printf 'secret\n' >newline
printf wrong >wrong
: >empty
luks_image luks.qcow2 key
luks_image over.qcow2 wrong -b luks.qcow2 -F qcow2 -u
qemu-img create -q -f qcow2 --object secret,id=k,file=key \
	-o encrypt.format=aes,encrypt.key-secret=k aes.qcow2 1M 2>/dev/null
image plain.qcow2
image top.qcow2 -b aes.qcow2 -F qcow2 -u

# asks NAME CIPHERS ARGUMENTS...: the images' lines of the log end in CIPHERS.
asks()
{
	local name=$1 expected=$2

	shift 2
	run with_driver qcowctl attach "$@" </dev/null
	expect "key: $name: result" is "0 /dev/qcow0" "$code $(cat out err)"
	expect "key: $name" is "$expected" "$(sed -n 's/^image.* data=-1//p' root/log |
		sed 's/^ cipher=//' | tr '\n' ',')"
}

asks "LUKS" "aes-xts-plain64 key=there," --key-file key luks.qcow2
asks "AES" "aes-cbc-plain64 key=there," --key-file key aes.qcow2
asks "AES takes anything" "aes-cbc-plain64 key=there," --key-file wrong aes.qcow2
asks "AES, no passphrase at all" "aes-cbc-plain64 key=there," --key-file empty aes.qcow2
asks "below a plain image" ",aes-cbc-plain64 key=there," --key-file key top.qcow2
asks "one for each" "aes-xts-plain64 key=there,aes-xts-plain64 key=there," \
	--key-file wrong --key-file key over.qcow2
asks "none for plain ones" "," plain.qcow2
run with_driver limited sh -c '"$1" attach --key-file - luks.qcow2 <key' - "$Q"
expect "key: standard input" is "0 /dev/qcow0" "$code $(cat out err)"
# The kernel collects them a moment later.
for _ in 1 2 3 4 5 6 7 8 9 10; do
	grep -qa ' qcow:' /proc/keys || break
	sleep 0.2
done
expect "key: nothing is left in keyrings" is "" "$(grep -a ' qcow:' /proc/keys)"

r() { expect "key: $1" refuses "$2" qcowctl attach "${@:3}" </dev/null; }
r "wrong" "luks.qcow2: wrong passphrase$" --key-file wrong luks.qcow2
r "empty" "luks.qcow2: wrong passphrase$" --key-file empty luks.qcow2
r "newline" "wrong passphrase; the key file ends in a newline" --key-file newline luks.qcow2
r "the wrong one of two" "luks.qcow2: wrong passphrase$" --key-file wrong over.qcow2
r "swapped" "over.qcow2: wrong passphrase" --key-file key --key-file wrong over.qcow2
r "too many" "over.qcow2: 3 key files .* only 2 images" \
	--key-file key --key-file wrong --key-file key over.qcow2
r "plain image" "plain.qcow2: is not encrypted; leave out --key-file" \
	--key-file key plain.qcow2
r "no such file" "^qcowctl: missing: cannot open the key file: No such file or directory; check --key-file" \
	--key-file missing luks.qcow2
r "a folder" "^qcowctl: \.: cannot read the key file: Is a directory; check --key-file" --key-file . luks.qcow2
r "endless" "/dev/zero: is too long for a key file" --key-file /dev/zero luks.qcow2
r "standard input twice" "^qcowctl: --key-file: standard input can be read only once" \
	--key-file - --key-file - over.qcow2
run limited setsid -w "$Q" attach luks.qcow2 </dev/null
expect "key: no terminal" refused "luks.qcow2: is encrypted, and there is no terminal .*--key-file"

# Commands that attach an image to change it
for command in "snapshot create" "stream" "resize" "bitmap add"; do
	words=(luks.qcow2 x)
	[ "$command" != stream ] || words=(luks.qcow2)
	[ "$command" != resize ] || words=(luks.qcow2 2M)
	# shellcheck disable=SC2086 # two words
	run with_driver limited setsid -w "$Q" $command "${words[@]}" </dev/null
	expect "key: $command: no terminal" refused "luks.qcow2: is encrypted, and there is no terminal"
	# shellcheck disable=SC2086
	expect "key: $command: wrong" refuses "luks.qcow2: wrong passphrase" \
		with_driver qcowctl $command --key-file wrong "${words[@]}"
	# shellcheck disable=SC2086
	run with_driver qcowctl $command --key-file key "${words[@]}" </dev/null
	expect "key: $command: the driver gets it" is "aes-xts-plain64 key=there" \
		"$(sed -n 's/^image.* cipher=//p' root/log)"
done

# --- Damage ---

# damaged NAME OFFSET BYTES VALUE PATTERN
damaged()
{
	cp luks.qcow2 damaged.qcow2
	poke damaged.qcow2 "$2" "$3" "$4"
	r "$1" "damaged.qcow2: $5" --key-file key damaged.qcow2
	run qcowctl info damaged.qcow2
	[ $code -le 1 ] || failure "key: $1: info: $code"
}

# The extension is the first behind a header of 112 bytes.
expect "key: LUKS extension" is $((0x0537be77)) "$(peek luks.qcow2 112 4)"
at=$(peek luks.qcow2 120 8)
damaged "no extension" 112 4 1 "damaged header: .*does not lead to a LUKS header"
damaged "extension of other length" 116 4 8 "damaged header: extension 0 of [0-9]* bytes is too large"
damaged "misaligned" 120 8 $((at + 512)) "damaged header: LUKS header offset .* not cluster-aligned"
damaged "at 0" 120 8 0 "damaged header: LUKS header is missing"
damaged "length 0" 128 8 0 "damaged header: LUKS header is missing"
damaged "too long" 128 8 $((1 << 40)) "damaged header: LUKS header is too large"
damaged "behind the end" 120 8 $((1 << 40)) "file is truncated: its LUKS header at .* lies past its end"
damaged "out of range" 120 8 0xffffffffffff0000 "damaged header: LUKS header offset .* out of range"
damaged "magic" "$at" 4 0 "its LUKS header is damaged"
damaged "version" $((at + 6)) 2 2 "its LUKS header is damaged"
damaged "short" 128 8 600 "its LUKS header is damaged"
damaged "hash" $((at + 72)) 8 0 "its LUKS header is damaged"
damaged "key length" $((at + 108)) 4 0xfffff "its LUKS header "
damaged "key length 0" $((at + 108)) 4 0 "its LUKS header "
damaged "cipher" $((at + 8)) 4 0x78787878 "its LUKS header "
damaged "no key slot" $((at + 208)) 4 0x0000dead "none of the key slots of its LUKS header is in use"
damaged "key slot behind the end" $((at + 248)) 4 0x7fffffff "its LUKS header "
damaged "key material" $((at + 4096)) 8 0 "wrong passphrase"
damaged "not LUKS" 32 4 0 "damaged header: it leads to a LUKS header, but the image is not encrypted"
damaged "AES with a LUKS header" 32 4 1 "damaged header: it leads to a LUKS header"
cp luks.qcow2 damaged.qcow2
truncate -s $((at + 4096)) damaged.qcow2
r "cut off" "damaged.qcow2: .*truncated" --key-file key damaged.qcow2

# --- info ---

expect "key: info" accepts qcowctl info luks.qcow2
expect "key: info: encrypted" has "^encrypted: yes$" out
expect "key: info: format" has "encrypt format: luks$" out
expect "key: info: cipher" has "encrypt cipher: aes-xts-plain64$" out
run qcowctl info damaged.qcow2
expect "key: info of AES" accepts qcowctl info aes.qcow2
expect "key: info: AES" has "encrypt format: aes$" out
expect "key: info as JSON" accepts qcowctl info --json luks.qcow2
expect "key: info: JSON" has '"cipher": "aes-xts-plain64"' out

# --- The terminal ---

expect "key: typed" is "Passphrase for luks.qcow2: |/dev/qcow0| 0" "$(typed 'secret\n' "$Q" attach luks.qcow2)"
expect "key: typed without a controlling terminal" is "Passphrase for luks.qcow2: |/dev/qcow0| 0" \
	"$(typed 'secret\n' /usr/bin/setsid -w "$Q" attach luks.qcow2)"
again="Passphrase for luks.qcow2: |qcowctl: luks.qcow2: wrong passphrase|"
expect "key: typed, wrong once" is "${again}Passphrase for luks.qcow2: |/dev/qcow0| 0" \
	"$(typed 'wrong\n,secret\n' "$Q" attach luks.qcow2)"
expect "key: typed, wrong" is "$again$again$again 256" \
	"$(typed 'wrong\n,Secret\n,\n' "$Q" attach luks.qcow2)"
expect "key: typed for two" is \
	"Passphrase for over.qcow2: |Passphrase for luks.qcow2: |/dev/qcow0| 0" \
	"$(typed 'wrong\n,secret\n' "$Q" attach over.qcow2)"
expect "key: interrupted" is "Passphrase for luks.qcow2: | 2" \
	"$(typed 'sec\x03' "$Q" attach luks.qcow2 | sed 's/\^C//')"
expect "key: stopped, and asked again" is "Passphrase for luks.qcow2: |Passphrase for luks.qcow2: |/dev/qcow0| 0" \
	"$(typed 'sec\x1a,secret\n' "$Q" attach luks.qcow2 | sed 's/\^Z//')"
# Before it waits for the first byte
expect "key: interrupted early" is "Passphrase for luks.qcow2: | 2" \
	"$(MOCK_INTERRUPT=1 typed '' "$Q" attach luks.qcow2)"
luks_image same.qcow2 key -b luks.qcow2 -F qcow2 -u
expect "key: typed once for two" is "Passphrase for same.qcow2: |/dev/qcow0| 0" \
	"$(typed 'secret\n' "$Q" attach same.qcow2)"
