# SPDX-License-Identifier: GPL-2.0
# Names of backing and data files, and the files they lead to. shellcheck shell=bash

image base.qcow2

# Names that are not those of local files, and names that lead nowhere.
while IFS='|' read -r name said; do
	image top.qcow2
	backing top.qcow2 "$name" qcow2
	for command in attach "info --chain"; do
		# shellcheck disable=SC2086
		expect "backing name $name: $command" refuses "$said" qcowctl $command top.qcow2
	done
	expect "backing name $name: info" accepts qcowctl info top.qcow2
	expect "backing name $name: info --json" accepts qcowctl info --json top.qcow2
done <<'END'
json:{"driver":"qcow2","file":{"driver":"file","filename":"base.qcow2"}}|json: description
json:{}|json: description
nbd://localhost/disk|top.qcow2: .*a URL
nbd:unix:/tmp/socket|a URL
http://localhost/base.qcow2|a URL
https://localhost/base.qcow2|a URL
ssh://root@localhost/base.qcow2|a URL
rbd:pool/image|a URL
fat:/etc|a URL
host_device:/dev/zero|a URL
c:\images\base.qcow2|a URL
blkdebug::base.qcow2|a URL
file:nbd://localhost/disk|No such file
file:|empty name
missing.qcow2|missing.qcow2: No such file.*backing file of top.qcow2.*qemu-img rebase
/nowhere/missing.qcow2|/nowhere/missing.qcow2: No such file
file:missing.qcow2|missing.qcow2: No such file
base.qcow2/x|Not a directory
.|is a directory
/dev/null|/dev/null: is a character device
/dev/tty|character device|No such
top.qcow2|top.qcow2: is a backing file of itself
./top.qcow2|is a backing file of itself
END

image 'top.qcow2'
mkfifo fifo
backing top.qcow2 fifo raw
expect "backing file is a FIFO" refuses "fifo: is a FIFO" qcowctl attach top.qcow2
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
backing top.qcow2 sock raw
expect "backing file is a socket" refuses "sock: is a socket" qcowctl attach top.qcow2
ln -sf loop1 loop2
ln -sf loop2 loop1
backing top.qcow2 loop1 raw
expect "backing file is a symlink to itself" refuses "loop1: Too many levels" qcowctl attach top.qcow2

# The image itself.
expect "image: missing" refuses "nope.qcow2: No such file.*check the name" qcowctl attach nope.qcow2
expect "image: a folder" refuses "is a directory" qcowctl attach .
expect "image: a FIFO" refuses "is a FIFO" qcowctl attach fifo
expect "image: a FIFO, raw" refuses "is a FIFO" qcowctl attach -f raw fifo
expect "image: a character device" refuses "is a character device" qcowctl attach /dev/null
expect "image: a character device, raw" refuses "is a character device" qcowctl attach -f raw /dev/zero
echo "just a line of text, long enough to hold a header if it were one" >text
expect "image: a text file" refuses "text: not a qcow2 image.*-f raw" qcowctl attach text
expect "image: a text file as qcow2" refuses "text: not a qcow2 image" qcowctl attach -f qcow2 text
expect "image: a text file as qcow" refuses "text: not a qcow version 1 image" \
	qcowctl attach -f qcow text
expect "image: qcow2 as qcow" refuses "base.qcow2: not a qcow version 1" \
	qcowctl attach -f qcow base.qcow2
expect "image: an empty name" refuses "No such file" qcowctl attach ""
qemu-img create -q -f qcow old.qcow 64M
expect "image: qcow version 1, as qcow2" refuses "old.qcow: is qcow version 1, not qcow2; use -f qcow" \
	qcowctl attach -f qcow2 old.qcow
cp old.qcow aes.qcow
poke aes.qcow 36 4 1
expect "image: qcow version 1, encrypted" refuses "aes.qcow: is encrypted, and there is no terminal" \
	qcowctl attach aes.qcow
qemu-img create -q -f qcow -b base.qcow2 -F qcow2 above-base.qcow
qemu-img create -q -f qcow -b above-base.qcow -F qcow above.qcow
expect "chain: qcow version 1 does not say that its backing file is one" refuses \
	"above-base.qcow: its backing file .* being qcow version 1" qcowctl attach above.qcow
if [ "$(id -u)" -ne 0 ]; then
	image secret.qcow2
	chmod 0 secret.qcow2
	expect "image: unreadable" refuses "Permission denied" qcowctl attach secret.qcow2
fi
esc=$(printf 'a\033[31m\nb\xff.qcow2')
expect "image: a name of escape codes" refuses 'a\\x1b\[31m\\x0ab\\xff.qcow2: No such' \
	qcowctl attach "$esc"
image top.qcow2
backing top.qcow2 "$esc"
expect "backing: a name of escape codes" refuses 'a\\x1b\[31m\\x0ab\\xff.qcow2: No such' \
	qcowctl attach top.qcow2
expect "backing: a name of escape codes: info" accepts qcowctl info top.qcow2
expect "backing: a name of escape codes: info shows it" has 'a\\x1b\[31m\\x0ab\\xff' out
run qcowctl info --json top.qcow2
expect "backing: a name of escape codes: JSON" is "$(printf 'a\033[31m\nb\xef\xbf\xbd.qcow2')" \
	"$(python3 -c 'import json; print(json.load(open("out"))["backing-filename"])')"

# Formats.
for format in luks amiga QCOW2 qcow3 'qcow2 ' 'raw;x'; do
	image top.qcow2
	backing top.qcow2 base.qcow2 raw
	python3 - "$format" <<'END'
import sys
name = sys.argv[1].encode()
data = bytearray(open("top.qcow2", "rb").read())
at = data.index(bytes.fromhex("e2792aca"))
data[at + 4:at + 16] = len(name).to_bytes(4, "big") + name.ljust(8, b"\0")
open("top.qcow2", "wb").write(data)
END
	expect "backing format $format" refuses "top.qcow2: .*format \"$format\" is not supported" \
		qcowctl info --chain top.qcow2
done
image top.qcow2
backing top.qcow2 text qcow2
expect "backing format qcow2 of a text file" refuses "text: not a qcow2 image" \
	qcowctl info --chain top.qcow2
for format in raw file host_device; do
	image top.qcow2
	qemu-img rebase -u -b base.qcow2 -F raw top.qcow2
	python3 - $format <<'END'
import sys
name = sys.argv[1].encode()
data = bytearray(open("top.qcow2", "rb").read())
at = data.index(bytes.fromhex("e2792aca"))
end = data.index(bytes.fromhex("6803f857"))
rest = bytes(data[end:0x400])
new = data[:at + 4] + len(name).to_bytes(4, "big") + name.ljust(-(-len(name) // 8) * 8, b"\0")
new = (new + rest)[:0x400].ljust(0x400, b"\0")
b = b"base.qcow2"
new[8:20] = (0x400).to_bytes(8, "big") + len(b).to_bytes(4, "big")
data[:0x400] = new
data[0x400:0x400 + len(b)] = b
open("top.qcow2", "wb").write(data)
END
	run qcowctl info --chain --json top.qcow2
	expect "backing format $format is raw" is raw \
		"$(python3 -c 'import json; print(json.load(open("out"))[1]["format"])')"
done

# No format given: probed, but then it may not name other files.
no_format()
{
	image "$1"
	poke "$1" 8 8 0x400
	poke "$1" 16 4 ${#2}
	printf '%s' "$2" | dd of="$1" bs=1 seek=1024 conv=notrunc status=none
	# Let the format's extension, if any, go by.
	poke "$1" "$(peek "$1" 100 4)" 8 0
}
no_format top.qcow2 base.qcow2
run qcowctl info --chain --json top.qcow2
expect "no format: probed as qcow2" is qcow2 \
	"$(python3 -c 'import json; print(json.load(open("out"))[1]["format"])')"
no_format top.qcow2 text
run qcowctl info --chain --json top.qcow2
expect "no format: probed as raw" is raw \
	"$(python3 -c 'import json; print(json.load(open("out"))[1]["format"])')"
image middle.qcow2 -b base.qcow2 -F qcow2
no_format top.qcow2 middle.qcow2
expect "no format: probed, and names a backing file" refuses \
	"middle.qcow2: .*base.qcow2.*does not say.*qemu-img rebase -u" qcowctl info --chain top.qcow2
image middle.qcow2 -o data_file=data.raw
expect "no format: probed, and names a data file" refuses \
	"middle.qcow2: its data file .*does not say" qcowctl info --chain top.qcow2
printf 'LUKS\xba\xbe%0600d' 0 >foreign.img
no_format top.qcow2 foreign.img
expect "no format: a format that QEMU would know" refuses "seems to be a luks image" \
	qcowctl attach top.qcow2
printf 'LUKS\xba\xbe%0600d' 0 >foreign.img
expect "attach: luks" refuses "foreign.img: not a qcow2 image: it seems to be a luks image" \
	qcowctl attach foreign.img
image top.qcow2 -b base.qcow2 -F qcow2
image top2.qcow2 -b top.qcow2 -F qcow2
expect "formats given: three images" accepts qcowctl info --chain top2.qcow2

# Where relative names are looked for.
mkdir -p dir/sub other
image dir/base.qcow2
image dir/sub/top.qcow2 
qemu-img rebase -u -b ../base.qcow2 -F qcow2 dir/sub/top.qcow2
expect "relative to the image's folder" accepts qcowctl info --chain dir/sub/top.qcow2
expect "relative to the image's folder, absolute name" accepts qcowctl info --chain "$T/dir/sub/top.qcow2"
(cd dir/sub && qcowctl info --chain top.qcow2 >/dev/null)
expect "from its own folder" is 0 $?
ln -sf ../dir/sub/top.qcow2 other/link.qcow2
run qcowctl info --chain --json other/link.qcow2
expect "a symlink: relative to its own folder first" has '"filename": "other/../base.qcow2"' out
mkdir -p other/deep
ln -sf ../../dir/sub/top.qcow2 other/deep/link.qcow2
run qcowctl info --chain --json other/deep/link.qcow2
expect "a symlink: then to where it leads" has "\"filename\": \"$T/dir/sub/../base.qcow2\"" out
run qcowctl info --json other/deep/link.qcow2
expect "a symlink: what info says" has "\"full-backing-filename\": \"$T/dir/sub/../base.qcow2\"" out
qemu-img rebase -u -b "file:../base.qcow2" -F qcow2 dir/sub/top.qcow2
expect "file: in front" accepts qcowctl info --chain dir/sub/top.qcow2
image ./a:b.qcow2
image top.qcow2
backing top.qcow2 ./a:b.qcow2 qcow2
expect "a colon behind a slash" accepts qcowctl info --chain top.qcow2
expect "a colon in the image's own name" accepts qcowctl info --chain a:b.qcow2

# Cycles by other names, and long chains.
image a.qcow2
image b.qcow2
backing a.qcow2 b.qcow2 qcow2
backing b.qcow2 a.qcow2 qcow2
expect "a cycle of two" refuses "a.qcow2: is a backing file of itself" qcowctl attach a.qcow2
ln -f a.qcow2 hard.qcow2
backing b.qcow2 hard.qcow2 qcow2
expect "a cycle by a hard link" refuses "hard.qcow2: is a backing file of itself" qcowctl attach a.qcow2
ln -sf a.qcow2 soft.qcow2
backing b.qcow2 soft.qcow2 qcow2
expect "a cycle by a symlink" refuses "soft.qcow2: is a backing file of itself" qcowctl attach a.qcow2
python3 - <<'END'
import subprocess
subprocess.run("qemu-img create -q -f qcow2 -o cluster_size=4k,compat=0.10 c0.qcow2 64M", shell=True, check=True)
data = open("c0.qcow2", "rb").read()
for i in range(1, 300):
    new = bytearray(data)
    name = b"c%d.qcow2" % (i - 1)
    new[8:20] = (0x400).to_bytes(8, "big") + len(name).to_bytes(4, "big")
    new[72:88] = bytes.fromhex("e2792aca00000005") + b"qcow2\0\0\0"
    new[88:96] = bytes(8)
    new[0x400:0x400 + len(name)] = name
    open("c%d.qcow2" % i, "wb").write(new)
END
expect "a chain of 256 images" accepts qcowctl info --chain c255.qcow2
expect "a chain of 257 images" refuses "c256.qcow2: has more than 256 images" \
	qcowctl info --chain c256.qcow2
expect "a chain of 300 images" refuses "c299.qcow2: has more than 256 images" qcowctl attach c299.qcow2

# Which backing files are allowed.
image top.qcow2 -b base.qcow2 -F qcow2
expect "--backing none" refuses "top.qcow2: its backing file \"base.qcow2\" is not allowed by --backing none" \
	qcowctl attach --backing none top.qcow2
expect "--backing DIR: elsewhere" refuses "base.qcow2: is not beneath.*backing file of top.qcow2" \
	qcowctl attach --backing dir top.qcow2
expect "--backing DIR: not a folder" refuses "bad value \"text\"" qcowctl attach --backing text top.qcow2
expect "--backing DIR: missing" refuses "bad value" qcowctl attach --backing nowhere top.qcow2
mkdir -p dirt
image dirt/base.qcow2
backing top.qcow2 dirt/base.qcow2 qcow2
expect "--backing DIR: a name that starts alike" refuses "is not beneath" \
	qcowctl attach --backing dir top.qcow2
ln -sf ../base.qcow2 dir/link.qcow2
backing top.qcow2 dir/link.qcow2 qcow2
expect "--backing DIR: a symlink out of it" refuses "is not beneath" \
	qcowctl attach --backing dir top.qcow2
backing top.qcow2 dir/../base.qcow2 qcow2
expect "--backing DIR: dots out of it" refuses "is not beneath" qcowctl attach --backing dir top.qcow2
backing top.qcow2 base.qcow2 qcow2
expect "--untrusted with a backing file" refuses "is not opened for an untrusted image" \
	qcowctl attach --untrusted top.qcow2

# Data files.
image top.qcow2 -o data_file=data.raw
expect "data file" accepts qcowctl info --chain top.qcow2
expect "--untrusted with a data file" refuses "data file .*untrusted" \
	qcowctl attach --untrusted top.qcow2
expect "--backing none with a data file" refuses "data file .*--backing none" \
	qcowctl attach --backing none top.qcow2
expect "--backing DIR with a data file elsewhere" refuses "data.raw: is not beneath.*data file of" \
	qcowctl attach --backing dir top.qcow2
mv data.raw data.away
expect "data file missing" refuses "data.raw: No such file.*data file of top.qcow2.*put it back" \
	qcowctl attach top.qcow2
expect "data file missing: info" accepts qcowctl info top.qcow2
mkdir data.raw
expect "data file is a folder" refuses "data.raw: is a directory" qcowctl attach top.qcow2
rmdir data.raw
ln -s top.qcow2 data.raw
expect "data file is the image itself" refuses "is a data file of itself" qcowctl attach top.qcow2
rm data.raw
mv data.away data.raw
for name in 'nbd://localhost/x' 'json:{"x":1}'; do
	cp top.qcow2 bad.qcow2
	python3 - "$name" <<'END'
import sys
name = sys.argv[1].encode()
data = bytearray(open("bad.qcow2", "rb").read())
at = data.index(bytes.fromhex("44415441"))
data[at + 4:at + 40] = len(name).to_bytes(4, "big") + name.ljust(24, b"\0") + bytes(8)
open("bad.qcow2", "wb").write(data)
END
	expect "data file $name" refuses "data file .*(URL|json)" qcowctl attach bad.qcow2
done
