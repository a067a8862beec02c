# SPDX-License-Identifier: GPL-2.0
# create: the same files as qemu-img's, and what is left when it fails.
# shellcheck shell=bash

mkdir -p make
cd make || exit 1

# --- The grid ---

# In memory if that can be, as QEMU waits for the disk at each step.
grid=$(mktemp -d -p /dev/shm qcowctl.XXXXXX 2> /dev/null || mktemp -d -p .)
grid=$(realpath "$grid")
(
	cd "$grid" || exit
	qemu-img create -q -f qcow2 base 3M
	truncate -s 1234567 raw.img
	qemu-img create -q -f qcow v1 2M
	mkdir folder
	"$here/create.py" "$Q" "${QCOW_CREATE_SEED:-${QCOW_SEED:-$RANDOM}}" "${QCOW_CREATE_COUNT:-200}"
) > grid 2>&1
rm -rf "$grid"
expect "create: as qemu-img" is "" "$(grep -v '^made' grid)"
expect "create: enough of both" has '^made [12][0-9]{2}, refused [0-9]{2}' grid

# --- LUKS ---

printf secret > key
# fields IMAGE: the fields of a LUKS header that are not random
fields()
{
	python3 - "$1" <<-'END'
	import struct, sys
	data = open(sys.argv[1], "rb").read()
	at, length = struct.unpack(">QQ", data[data.index(b"\x05\x37\xbe\x77") + 8:][:16])
	h = data[at:at + length]
	print(at, length, len(data), h[:112].hex())
	for i in range(8):
	    slot = h[208 + 48 * i:][:48]
	    active, iterations = struct.unpack(">II", slot[:8])
	    print(hex(active), iterations >= 1000, any(slot[8:40]), slot[40:].hex())
	print(any(h[592:4096]), any(h[4096:4096 + 9000]), any(h[8192 + 4000 * 64:]))
	END
}

# Whether QEMU finds the data that it wrote with the same passphrase, and only with that.
opts=driver=qcow2,encrypt.format=luks,encrypt.key-secret=k,file.filename=ours.qcow2
opens()
{
	grep -q 'read 65536/65536' <(qemu-io --object secret,id=k,file=key --image-opts \
		-c 'write -P 7 0 64K' -c 'read -P 7 0 64K' "$opts") &&
		! qemu-io --image-opts --object secret,id=k,data=wrong -c 'read 0 512' \
		"$opts" > /dev/null 2>&1
}

# luks OPTIONS: an image of our own and one of QEMU's. The times that libraries take to
# measure how fast they can hash make these images the most expensive ones.
luks()
{
	luks_image theirs.qcow2 key -o "$1"
	expect "create: LUKS $1" accepts qcowctl create --key-file - \
		-o encrypt.format=luks,encrypt.iter-time=10 -o "$1" ours.qcow2 1M < key
	expect "create: LUKS $1: header" is "$(fields theirs.qcow2)" "$(fields ours.qcow2)"
}

luks encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.hash-alg=sha512
expect "create: LUKS: QEMU opens it" opens
expect "create: LUKS: consistent" accepts qemu-img check -q \
	--object secret,id=k,file=key --image-opts "$opts"
mv ours.qcow2 luks.qcow2
luks cluster_size=512,preallocation=metadata,encrypt.ivgen-hash-alg=sha1,compat=0.10
rm -f ours.qcow2 theirs.qcow2

for o in encrypt.format=aes encryption=on; do
	qemu-img create -q -f qcow2 --object secret,id=k,file=key \
		-o $o,encrypt.key-secret=k theirs.qcow2 1M 2> /dev/null
	expect "create: $o" accepts qcowctl create -o $o ours.qcow2 1M
	expect "create: $o: same" same_content theirs.qcow2 ours.qcow2
	rm -f ours.qcow2
done

# --- Refusals, one line each, which leave nothing ---

# r NAME PATTERN ARGUMENTS...
r()
{
	local before
	before=$(ls -A)
	expect "create: $1" refuses "$2" qcowctl create "${@:3}" < /dev/null
	expect "create: $1: leaves nothing" is "$before" "$(ls -A)"
}

qemu-img create -q -f qcow2 base.qcow2 1M
touch old.qcow2
mkdir dir
mkfifo fifo
r "no operands" "takes the name of the image" -f qcow2
r "empty name" "name of the image is empty" "" 1M
r "too many" "takes the name of the image" a 1M b
r "no size" "^qcowctl: a: needs a size, such as 20G" a
r "a bad size" "bad size \"x\"; give bytes" a x
r "the size twice" "takes the size once" -o size=1M a 1M
r "qcow" "qcow images are not made" -f qcow a 1M
r "vmx" "bad value \"vmx\"" -f vmx a 1M
r "unknown option" "unknown option \"foo=1\"; see qcowctl create -o help" -o foo=1 a 1M
r "a bad value" "bad value in \"cluster_size=x\"; give a size" -o cluster_size=x a 1M
r "a bad option after a good one" "bad value in \"compat=7\"; give 1.1 or 0.10" \
	-o cluster_size=4K -o compat=7 a 1M
r "exists" "^qcowctl: old.qcow2: exists; choose another name, or replace it with --force" old.qcow2 1M
r "a directory" "dir: exists, and is no regular file" dir 1M
r "a directory, by force" "dir: is a directory" --force dir 1M
r "a FIFO, by force" "fifo: is a FIFO" --force fifo 1M
r "no folder" "nix/a: cannot be made: No such file or directory; make the folder first" nix/a 1M
r "data file exists" "old.qcow2: exists" -o data_file=old.qcow2 a 1M
r "data file in no folder" "nix/d: cannot be made" -o data_file=nix/d a 1M
r "its own data file" "would be its own data file" -o data_file=a a 1M
r "data file at a URL" "is a URL, not the name of a file" -o data_file=nbd:x a 1M
r "no format" "a: the format of a backing file has to be given; it seems to be qcow2: use -F qcow2" \
	-b base.qcow2 a
r "unknown format" "backing-format: is qcow2, qcow, raw" -b base.qcow2 -F vmx a
r "missing base" "nix.qcow2: No such file or directory" -b nix.qcow2 -F qcow2 a
r "wrong format" "old.qcow2: " -b old.qcow2 -F qcow2 a
r "base at a URL" "is a URL, not the name of a file" -b nbd://x/y -F raw a 1M
r "empty base" "is empty" -b "" -F raw a 1M
r "its own base" "would be its own backing file" -b a -F raw a 1M
r "its own base by another name" "base.qcow2: is a file of its own backing chain" \
	--force -b ./base.qcow2 -F qcow2 base.qcow2
r "a key for none" "is for an encrypted image" --key-file key a 1M
r "a key for AES" "does not hold its passphrase" -o encryption=on --key-file key a 1M
r "two keys" "a new image has one passphrase" -o encrypt.format=luks --key-file key \
	--key-file key a 1M
r "no key file" "nix: cannot open the key file" -o encrypt.format=luks --key-file nix a 1M
r "a secret" "give the passphrase with --key-file instead" -o encrypt.key-secret=k a 1M
r "an unknown cipher" "LUKS does not know that encrypt.cipher-alg" --key-file key \
	-o encrypt.format=luks,encrypt.cipher-alg=3des a 1M
r "AES with a cipher" "encrypt.cipher-alg needs encrypt.format=luks" \
	-o encrypt.format=aes,encrypt.cipher-alg=aes-128 a 1M
r "raw with a base" "a raw image has no backing file" -f raw -b old.qcow2 -F raw a 1M
r "raw with clusters" "a raw image has no cluster_size" -f raw -o cluster_size=4K a 1M
r "raw with metadata" "preallocation=falloc or full" -f raw -o preallocation=metadata a 1M
run limited setsid -w "$Q" create -o encrypt.format=luks a 1M < /dev/null
expect "create: no terminal" refused "there is no terminal .*--key-file"
expect "create: no terminal: nothing left" is "" "$(ls a 2> /dev/null)"

# --- Backing files ---

expect "create: base in another folder" accepts qcowctl create -b ../base.qcow2 -F qcow2 dir/over.qcow2
expect "create: its size" is 1048576 "$(peek dir/over.qcow2 24 8)"
expect "create: the chain is found" has "base.qcow2" <(qcowctl info --chain dir/over.qcow2)
expect "create: an encrypted base needs no key" accepts qcowctl create -b luks.qcow2 -F qcow2 a
rm -f a
expect "create: -u" accepts qcowctl create -u -b nix.qcow2 -F qcow2 a 1M
rm -f a

# --- Existing files ---

# The mode and the owner stay, a symbolic link leads to the new file.
cp base.qcow2 mine.qcow2
chmod 640 mine.qcow2
ln -s mine.qcow2 link.qcow2
expect "create: --force" accepts qcowctl create --force link.qcow2 5M
expect "create: --force: the link stays" is mine.qcow2 "$(readlink link.qcow2)"
expect "create: --force: a new image" is 5242880 "$(peek mine.qcow2 24 8)"
expect "create: --force: the mode" is 640 "$(stat -c %a mine.qcow2)"
expect "create: mode of a new one" accepts qcowctl create a 1M
expect "create: mode" is "$(printf %o $((0644 & ~$(umask))))" "$(stat -c %a a)"
rm -f a
hold -f qcow2 base.qcow2
r "in use" "base.qcow2: in use: " --force base.qcow2 1M
release
hold -r -f qcow2 base.qcow2
r "read by QEMU" "base.qcow2: in use: " --force base.qcow2 1M
release

# --- Failures while it is written ---

# limited_size KIB COMMAND...: a file cannot be larger.
limited_size()
{
	(ulimit -f "$1"; shift; exec "$@")
}

before=$(ls -A)
expect "create: no room" refuses "a: (cannot be written: File too large|would be too large)" \
	limited_size 100 "$Q" create a 1M
expect "create: no room for data" refuses "a: (cannot be written|would be too large)" \
	limited_size 1000 "$Q" create -o data_file=d,preallocation=full a 8M
expect "create: no room: old file" refuses "mine.qcow2: " limited_size 100 "$Q" create --force mine.qcow2 1M
run timeout -s INT 0.5 "$Q" create -o preallocation=full a 100G
expect "create: SIGINT: says so" has "a: was not made, because of a signal" err
expect "create: failures leave nothing" is "$before" "$(ls -A)"
expect "create: failures: the old one is there" is 5242880 "$(peek mine.qcow2 24 8)"

# A filesystem without O_TMPFILE: the temporary file has a name.
cat > notmp.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
int open64(const char *path, int flags, ...)
{
	int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, "open64");
	va_list args;
	int mode;

	va_start(args, flags);
	mode = va_arg(args, int);
	va_end(args);
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return next(path, flags, mode);
}
END
${CC:-cc} -shared -fPIC -O1 -o notmp.so notmp.c -ldl
notmp()
{
	LD_PRELOAD=$PWD/notmp.so "$@"
}
before=$(ls -A)
expect "create: named" accepts notmp qcowctl create named.qcow2 3M
expect "create: named: mode" is "$(printf %o $((0644 & ~$(umask))))" "$(stat -c %a named.qcow2)"
expect "create: named, by force" accepts notmp qcowctl create --force named.qcow2 4M
expect "create: named, by force: it is new" is 4194304 "$(peek named.qcow2 24 8)"
expect "create: named: exists" refuses "exists" notmp qcowctl create named.qcow2 3M
rm -f named.qcow2
expect "create: named: no room" refuses "a: " limited_size 100 env LD_PRELOAD="$PWD/notmp.so" "$Q" create a 1M
expect "create: named: nothing is left" is "$before" "$(ls -A)"

# --- Raw ---

expect "create: raw" accepts qcowctl create -f raw raw 1000001
expect "create: raw: size" is 1000448 "$(stat -c %s raw)"
expect "create: raw, allocated" accepts qcowctl create -f raw -o preallocation=falloc raw2 1M
expect "create: raw: blocks" is "1048576 yes" \
	"$(stat -c %s raw2) $([ "$(stat -c %b raw2)" -ge 2048 ] && echo yes)"

# --- The list of options is qemu-img's ---

names() { sed -n 's/^  *\([a-z][a-z0-9_.-]*\)=<*.*/\1/p' | sort; }
expect "create: -o help" is "$(qemu-img create -f qcow2 -o help | names | grep -v key-secret)" \
	"$(qcowctl create -o help | names)"
expect "create: -o completion" is "cluster_size=" "$(offered create -o cluster | tr -d ' ')"

cd "$T" || exit 1
rm -rf make
