# SPDX-License-Identifier: GPL-2.0
# attach --temporary: the files that the driver gets, and refusals before it is asked.
# shellcheck shell=bash

fake_root
printf secret > key
image base.qcow2
image top.qcow2 -b base.qcow2 -F qcow2
qemu-img snapshot -c then top.qcow2
qemu-img resize -q top.qcow2 80M
luks_image luks.qcow2 key
truncate -s 1M plain.raw
mkdir -p overlays

# gets NAME EXPECTED ARGUMENTS...: the driver gets these files, the overlay's name as a word
gets()
{
	local name=$1 expected=$2

	shift 2
	run with_driver qcowctl attach "$@"
	expect "temporary: $name" is "0 /dev/qcow0" "$code $(cat out err)"
	expect "temporary: $name: images" is "$expected" "$(sed -n \
		-e 's/^attach .*flags=\(0x[0-9a-f]*\).*/\1/p' \
		-e "s|^image format=\(.\) fd=\(..\):$T/\(overlays/#[0-9]* (deleted)\).*data=-1|\1 \2 overlay|" \
		-e "s|^image format=\(.\) fd=\(..\):$T/\([^ ]*\) data=-1|\1 \2 \3|" \
		-e 's/ cipher=\([^ ]*\) key=there/ \1/' -e '/^[13] r/p' root/log | tr '\n' ',')"
	expect "temporary: $name: nothing left" is "" "$(ls -A overlays)"
}

gets "a chain" "0x80,3 rw overlay,3 ro top.qcow2,3 ro base.qcow2," --temporary=overlays top.qcow2
gets "raw" "0x80,3 rw overlay,1 ro plain.raw," -f raw --temporary=overlays plain.raw
gets "a snapshot" "0x80,3 rw overlay,3 ro top.qcow2,3 ro base.qcow2," \
	--temporary=overlays --snapshot then top.qcow2
gets "encrypted" "0x80,3 rw overlay aes-xts-plain64,3 ro luks.qcow2 aes-xts-plain64," \
	--temporary=overlays --key-file key luks.qcow2
TMPDIR=$T/overlays gets "in TMPDIR" "0x80,3 rw overlay,3 ro base.qcow2," --temporary base.qcow2

# An image that QEMU reads can be used, one that it writes cannot.
hold -r -f qcow2 base.qcow2
gets "QEMU reads it" "0x80,3 rw overlay,3 ro base.qcow2," --temporary=overlays base.qcow2
release
hold -f qcow2 base.qcow2
expect "temporary: QEMU writes it" refuses "base.qcow2: in use: " \
	with_driver qcowctl attach --temporary=overlays base.qcow2
release

r()
{
	expect "temporary: $1" refuses "$2" with_driver qcowctl attach "${@:3}"
	expect "temporary: $1: the driver was not asked" is "" "$(grep -s ^attach root/log)"
}
r "no folder" "nix: cannot hold a temporary file: No such file or directory; make the folder first" \
	--temporary=nix base.qcow2
r "a file" "key: cannot hold a temporary file: Not a directory" --temporary=key base.qcow2
r "an empty folder's name" "bad value" --temporary= base.qcow2
r "read-only" "leave out -r" --temporary -r base.qcow2
r "untrusted" "exclude each other" --temporary --untrusted base.qcow2
r "salvage" "exclude each other" --temporary --salvage base.qcow2
r "a wrong key" "wrong passphrase" --temporary=overlays --key-file plain.raw luks.qcow2
expect "temporary: an older driver" refuses "older than the tool" \
	env MOCK_ERRNO=22 MOCK_MSG="the driver does not know a flag of the attach; it is older than the tool" \
	MOCK_CODE=1 MOCK_ROOT="$T/root" LD_PRELOAD="$T/mock.so" "$Q" attach --temporary=overlays base.qcow2

# A device that is temporary
fake_root
echo 1 > root/sys/block/qcow0/qcow/temporary
expect "temporary: list says so" has "top.qcow2 \(temporary\)" <(with_driver qcowctl list)
expect "temporary: a column" is 1 "$(with_driver qcowctl list -n -O TEMPORARY | xargs)"
expect "temporary: info says so" has "temporary: true" \
	<(MOCK_FLAGS=0x80 with_driver qcowctl info /dev/qcow0)
expect "temporary: no commit" refuses "is temporary: its writes go" \
	env MOCK_FLAGS=0x80 MOCK_ROOT="$T/root" LD_PRELOAD="$T/mock.so" "$Q" commit /dev/qcow0
rm -rf overlays
