# SPDX-License-Identifier: GPL-2.0
# Names of backing and data files, and what they lead to. shellcheck shell=bash

image base.qcow2

# Names that are not those of local files, and names that lead nowhere.
while IFS='|' read -r name said; do
	image top.qcow2
	backing top.qcow2 "$name" qcow2
	for command in attach "info --chain"; do
		# shellcheck disable=SC2086
		refuses "backing name $name: $command" "$said" $command top.qcow2
	done
	accepts "backing name $name: info" info top.qcow2
	accepts "backing name $name: info --json" info --json top.qcow2
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
refuses "backing file is a FIFO" "fifo: is a FIFO" attach top.qcow2
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
backing top.qcow2 sock raw
refuses "backing file is a socket" "sock: is a socket" attach top.qcow2
ln -sf loop1 loop2
ln -sf loop2 loop1
backing top.qcow2 loop1 raw
refuses "backing file is a symlink to itself" "loop1: Too many levels" attach top.qcow2

# The image itself.
refuses "image: missing" "nope.qcow2: No such file.*check the name" attach nope.qcow2
refuses "image: a folder" "is a directory" attach .
refuses "image: a FIFO" "is a FIFO" attach fifo
refuses "image: a FIFO, raw" "is a FIFO" attach -f raw fifo
refuses "image: a character device" "is a character device" attach /dev/null
refuses "image: a character device, raw" "is a character device" attach -f raw /dev/zero
echo "just a line of text, long enough to hold a header if it were one" >text
refuses "image: a text file" "text: not a qcow2 image.*-f raw" attach text
refuses "image: a text file as qcow2" "text: not a qcow2 image" attach -f qcow2 text
refuses "image: a text file as qcow" "text: not a qcow version 1 image" attach -f qcow text
refuses "image: qcow2 as qcow" "base.qcow2: not a qcow version 1" attach -f qcow base.qcow2
refuses "image: an empty name" "No such file" attach ""
qemu-img create -q -f qcow old.qcow 64M
refuses "image: qcow version 1, as qcow2" "old.qcow: is qcow version 1, not qcow2; use -f qcow" attach -f qcow2 old.qcow
cp old.qcow aes.qcow
printf '\001' | dd of=aes.qcow bs=1 seek=39 conv=notrunc status=none
refuses "image: qcow version 1, encrypted" "aes.qcow: is encrypted, and there is no terminal" attach aes.qcow
qemu-img create -q -f qcow -b base.qcow2 -F qcow2 above-base.qcow
qemu-img create -q -f qcow -b above-base.qcow -F qcow above.qcow
refuses "chain: qcow version 1 does not say that its backing file is one" \
	"above-base.qcow: its backing file .* being qcow version 1" attach above.qcow
if [ "$(id -u)" -ne 0 ]; then
	image secret.qcow2
	chmod 0 secret.qcow2
	refuses "image: unreadable" "Permission denied" attach secret.qcow2
fi
esc=$(printf 'a\033[31m\nb\xff.qcow2')
refuses "image: a name of escape codes" 'a\\x1b\[31m\\x0ab\\xff.qcow2: No such' attach "$esc"
image top.qcow2
backing top.qcow2 "$esc"
refuses "backing: a name of escape codes" 'a\\x1b\[31m\\x0ab\\xff.qcow2: No such' attach top.qcow2
accepts "backing: a name of escape codes: info" info top.qcow2
has "backing: a name of escape codes: info shows it" 'a\\x1b\[31m\\x0ab\\xff' out
run "$Q" info --json top.qcow2
same "backing: a name of escape codes: JSON" "$(printf 'a\033[31m\nb\xef\xbf\xbd.qcow2')" \
	"$(python3 -c 'import json; print(json.load(open("out"))["backing-filename"])')"

# Formats.
for format in vmdk vdi vhdx vpc qed luks bochs QCOW2 qcow3 'qcow2 ' 'raw;x'; do
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
	refuses "backing format $format" "top.qcow2: .*format \"$format\" is not supported" \
		info --chain top.qcow2
done
image top.qcow2
backing top.qcow2 text qcow2
refuses "backing format qcow2 of a text file" "text: not a qcow2 image" info --chain top.qcow2
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
	run "$Q" info --chain --json top.qcow2
	same "backing format $format is raw" raw \
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
run "$Q" info --chain --json top.qcow2
same "no format: probed as qcow2" qcow2 \
	"$(python3 -c 'import json; print(json.load(open("out"))[1]["format"])')"
no_format top.qcow2 text
run "$Q" info --chain --json top.qcow2
same "no format: probed as raw" raw \
	"$(python3 -c 'import json; print(json.load(open("out"))[1]["format"])')"
image middle.qcow2 -b base.qcow2 -F qcow2
no_format top.qcow2 middle.qcow2
refuses "no format: probed, and names a backing file" \
	"middle.qcow2: .*base.qcow2.*does not say.*qemu-img rebase -u" info --chain top.qcow2
image middle.qcow2 -o data_file=data.raw
refuses "no format: probed, and names a data file" \
	"middle.qcow2: its data file .*does not say" info --chain top.qcow2
printf 'KDMV%0600d' 0 >disk.vmdk
no_format top.qcow2 disk.vmdk
refuses "no format: a format that QEMU would know" "seems to be a vmdk image" attach top.qcow2
for format in vmdk vdi vhdx vpc; do
	qemu-img create -q -f $format foreign.img 8M
	refuses "attach: $format" "foreign.img: not a qcow2 image: it seems to be a $format image.*convert it with qemu-img" attach foreign.img
	same "attach: $format: not as raw" "" "$(grep -- '-f raw' err)"
done
printf 'LUKS\xba\xbe%0600d' 0 >foreign.img
refuses "attach: luks" "foreign.img: not a qcow2 image: it seems to be a luks image" attach foreign.img
image top.qcow2 -b base.qcow2 -F qcow2
image top2.qcow2 -b top.qcow2 -F qcow2
accepts "formats given: three images" info --chain top2.qcow2

# Where relative names are looked for.
mkdir -p dir/sub other
image dir/base.qcow2
image dir/sub/top.qcow2 
qemu-img rebase -u -b ../base.qcow2 -F qcow2 dir/sub/top.qcow2
accepts "relative to the image's folder" info --chain dir/sub/top.qcow2
accepts "relative to the image's folder, absolute name" info --chain "$T/dir/sub/top.qcow2"
(cd dir/sub && "$Q" info --chain top.qcow2 >/dev/null) && pass "from its own folder" || fail "from its own folder"
ln -sf ../dir/sub/top.qcow2 other/link.qcow2
run "$Q" info --chain --json other/link.qcow2
has "a symlink: relative to its own folder first" '"filename": "other/../base.qcow2"' out
mkdir -p other/deep
ln -sf ../../dir/sub/top.qcow2 other/deep/link.qcow2
run "$Q" info --chain --json other/deep/link.qcow2
has "a symlink: then to where it leads" "\"filename\": \"$T/dir/sub/../base.qcow2\"" out
run "$Q" info --json other/deep/link.qcow2
has "a symlink: what info says" "\"full-backing-filename\": \"$T/dir/sub/../base.qcow2\"" out
qemu-img rebase -u -b "file:../base.qcow2" -F qcow2 dir/sub/top.qcow2
accepts "file: in front" info --chain dir/sub/top.qcow2
image ./a:b.qcow2
image top.qcow2
backing top.qcow2 ./a:b.qcow2 qcow2
accepts "a colon behind a slash" info --chain top.qcow2
accepts "a colon in the image's own name" info --chain a:b.qcow2

# Cycles by other names, and long chains.
image a.qcow2
image b.qcow2
backing a.qcow2 b.qcow2 qcow2
backing b.qcow2 a.qcow2 qcow2
refuses "a cycle of two" "a.qcow2: is a backing file of itself" attach a.qcow2
ln -f a.qcow2 hard.qcow2
backing b.qcow2 hard.qcow2 qcow2
refuses "a cycle by a hard link" "hard.qcow2: is a backing file of itself" attach a.qcow2
ln -sf a.qcow2 soft.qcow2
backing b.qcow2 soft.qcow2 qcow2
refuses "a cycle by a symlink" "soft.qcow2: is a backing file of itself" attach a.qcow2
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
accepts "a chain of 256 images" info --chain c255.qcow2
refuses "a chain of 257 images" "c256.qcow2: has more than 256 images" info --chain c256.qcow2
refuses "a chain of 300 images" "c299.qcow2: has more than 256 images" attach c299.qcow2

# Which backing files are allowed.
image top.qcow2 -b base.qcow2 -F qcow2
refuses "--backing none" "top.qcow2: its backing file \"base.qcow2\" is not allowed by --backing none" \
	attach --backing none top.qcow2
refuses "--backing DIR: elsewhere" "base.qcow2: is not beneath.*backing file of top.qcow2" \
	attach --backing dir top.qcow2
refuses "--backing DIR: not a folder" "bad value \"text\"" attach --backing text top.qcow2
refuses "--backing DIR: missing" "bad value" attach --backing nowhere top.qcow2
mkdir -p dirt
image dirt/base.qcow2
backing top.qcow2 dirt/base.qcow2 qcow2
refuses "--backing DIR: a name that starts alike" "is not beneath" attach --backing dir top.qcow2
ln -sf ../base.qcow2 dir/link.qcow2
backing top.qcow2 dir/link.qcow2 qcow2
refuses "--backing DIR: a symlink out of it" "is not beneath" attach --backing dir top.qcow2
backing top.qcow2 dir/../base.qcow2 qcow2
refuses "--backing DIR: dots out of it" "is not beneath" attach --backing dir top.qcow2
backing top.qcow2 base.qcow2 qcow2
refuses "--untrusted with a backing file" "is not opened for an untrusted image" attach --untrusted top.qcow2

# Data files.
image top.qcow2 -o data_file=data.raw
accepts "data file" info --chain top.qcow2
refuses "--untrusted with a data file" "data file .*untrusted" attach --untrusted top.qcow2
refuses "--backing none with a data file" "data file .*--backing none" attach --backing none top.qcow2
refuses "--backing DIR with a data file elsewhere" "data.raw: is not beneath.*data file of" attach --backing dir top.qcow2
mv data.raw data.away
refuses "data file missing" "data.raw: No such file.*data file of top.qcow2.*put it back" attach top.qcow2
accepts "data file missing: info" info top.qcow2
mkdir data.raw
refuses "data file is a folder" "data.raw: is a directory" attach top.qcow2
rmdir data.raw
ln -s top.qcow2 data.raw
refuses "data file is the image itself" "is a data file of itself" attach top.qcow2
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
	refuses "data file $name" "data file .*(URL|json)" attach bad.qcow2
done
