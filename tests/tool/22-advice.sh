# SPDX-License-Identifier: GPL-2.0
# Advice that fits the cause: files that are no images, names in JSON, and arguments that
# are no files. The commands that are named are run. shellcheck shell=bash

insist=", or use -f raw to take it as it is"

# advises NAME PATTERN FILE: attach, info and map refuse it, and check in its own words.
advises()
{
	local name=$1 pattern=$2 file=$3 command

	for command in attach info map; do
		expect "advice: $name: $command" refuses ": not a qcow2 image: it seems to be $pattern$insist$" \
			qcowctl $command "$file"
	done
	expect "advice: $name: check" exits 63 "images of other formats cannot be checked: it seems to be $pattern$" \
		qcowctl check "$file"
	expect "advice: $name: -f raw" attaches -f raw "$file"
}

# run_advice: runs the command that the last message names.
run_advice()
{
	local line

	line=$(sed -E 's/^.*(with|file itself) (xz|gzip|zstd|lz4|bzip2|qemu-img) /\2 /; s/, or use -f raw.*//' err)
	bash -c "${line//NEW/new}" >run.out 2>&1 || failure "advice: $line" "$(cat run.out)"
}

fake_root
image whole.qcow2

# Compressed, with the usual name and another
while read -r program suffix; do
	for name in "disk.qcow2.$suffix" "it's $program"; do
		$program -c whole.qcow2 >"$name"
		advises "$program" "compressed with $program; decompress it with $program -dc? .*" "$name"
		rm -f new disk.qcow2
		run qcowctl info "$name"
		run_advice
		[ -e new ] || mv -f disk.qcow2 new
		expect "advice: $program: followed" accepts qcowctl info -f qcow2 new
	done
done <<'END'
xz xz
gzip gz
zstd zst
bzip2 bz2
lz4 lz4
END

# Other formats
qemu-img create -q -f vpc -o subformat=fixed,force_size=on fixed.vhd 8M
advises "fixed VHD" "a fixed VHD, a raw disk with a footer; use -f vpc" fixed.vhd
run qcowctl info -f vpc fixed.vhd
expect "advice: fixed VHD: followed" has "virtual size: 8 MiB" out
tar -cf box.ova whole.qcow2
advises "OVA" "a tar archive, such as an OVA; use -f ova, or unpack it with tar -xf box.ova" box.ova
python3 -c 'import zipfile; zipfile.ZipFile("box.zip", "w").write("whole.qcow2")'
advises "zip" "a zip archive; unpack it with unzip box.zip" box.zip

# Files that did not arrive
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 123\n' 0 >lfs.qcow2
advises "Git LFS" "a pointer of Git LFS; get the file itself with git lfs pull" lfs.qcow2
printf '/annex/objects/SHA256E-s1--%064d.qcow2\n' 0 >annex.qcow2
advises "git-annex" "a pointer of git-annex; get the file itself with git annex get annex.qcow2" annex.qcow2
for start in '<!DOCTYPE html><html>' ' \n\t<HTML lang="en">' '\xef\xbb\xbf<!doctype HTML>'; do
	printf '%b<title>404 Not Found</title>\n' "$start" >page.qcow2
	advises "HTML" "an HTML page, perhaps the error page of a download; download it again" page.qcow2
done
printf '<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>' >denied.qcow2
advises "XML" "an XML file, .*; download it again" denied.qcow2

# info takes a file that may be meant as a raw disk for one.
: >empty.qcow2
expect "advice: empty" refuses "not a qcow2 image: it seems to be empty, perhaps truncated; copy or download it again$" \
	qcowctl attach empty.qcow2
expect "advice: empty: info" accepts qcowctl info empty.qcow2
echo "Moved to the archive." >note.qcow2
expect "advice: text" refuses "seems to be a text file; read it$insist" \
	qcowctl attach note.qcow2
expect "advice: text: info" accepts qcowctl info note.qcow2
while read -r file offset bytes what; do
	truncate -s 1M "$file"
	printf '%b' "$bytes" | dd of="$file" bs=1 seek="$offset" conv=notrunc status=none
	expect "advice: $what" refuses "not a qcow2 image: it seems to be a raw disk.*$what.*; use -f raw$" \
		qcowctl attach "$file"
	expect "advice: $what: info" accepts qcowctl info "$file"
	expect "advice: $what: check" exits 63 "it seems to be a raw disk.*$what[^;]*$" \
		qcowctl check "$file"
done <<'END'
cd.iso 32769 CD001 ISO 9660
gpt.img 512 EFI\x20PART GPT
gpt4k.img 4096 EFI\x20PART GPT for sectors of 4096
mbr.img 510 \x55\xaa boot sector
ext4.img 1080 \x53\xef ext4
xfs.img 0 XFSB XFS
END

# A backing file whose format is not given is taken as QEMU would.
xz -c whole.qcow2 >packed
image above.qcow2
backing above.qcow2 packed qcow2
expect "advice: backing file, said to be qcow2" refuses \
	"packed: not a qcow2 image, as the image above it says: it seems to be compressed with xz" qcowctl attach above.qcow2
truncate -s 1M nothing
backing above.qcow2 nothing qcow2
expect "advice: backing file of unknown kind" refuses \
	"nothing: not a qcow2 image, as the image above it says; if it is a raw disk, say so there with qemu-img rebase -u -F raw" \
	qcowctl attach above.qcow2

# Folders that are disks
mkdir -p mac.sparsebundle/bands disk.hdd
touch mac.sparsebundle/Info.plist disk.hdd/DiskDescriptor.xml
for command in attach info map check; do
	run qcowctl $command mac.sparsebundle
	expect "advice: sparse bundle: $command" has "is a directory, and seems to be a macOS sparse bundle; .*hdiutil convert" err
done
expect "advice: Parallels" refuses "is a directory, and seems to be a disk of Parallels; .*use -f parallels" \
	qcowctl attach -f qcow2 disk.hdd
expect "advice: a folder" refuses ": is a directory; an image is a regular file" \
	qcowctl attach mac.sparsebundle/bands

# Arguments that are no files
while IFS='|' read -r url next; do
	for command in attach info map check "snapshot list" "bitmap list"; do
		# shellcheck disable=SC2086
		run qcowctl $command "$url"
		expect "advice: $url: $command" has "is no local file; .*$next" err
	done
done <<'END'
https://example.org/disk.qcow2|curl -O
HTTP://example.org/disk.qcow2|curl -O
ftp://example.org/disk.qcow2|curl -O
nbd://localhost/disk|nbd-client
nbd:unix:/tmp/socket|nbd-client
ssh://root@localhost/disk|scp
iscsi://host/target/0|iscsiadm
rbd:pool/image|rbd map
file:///tmp/disk.qcow2|give the path alone
json:{"driver":"qcow2"}|the path of the file in it
gopher://localhost/disk|copy it to a local file
END
expect "advice: a colon alone" refuses "a:b: No such file or directory; check the name" \
	qcowctl attach a:b
cp whole.qcow2 ./a:b
expect "advice: a file with a colon" accepts qcowctl info a:b
: >https:
expect "advice: a file with the name of a URL" refuses "https:: not a qcow2 image" qcowctl attach https:

# Names that lead to other things than files
mkdir -p sub
[ -p fifo ] || mkfifo fifo
: >none.disk
newline=$(printf 'a\nb.xz')
xz -c whole.qcow2 >"$newline"
while IFS='|' read -r name said; do
	[ "$name" != NEWLINE ] || name=$newline
	for command in attach "info -f qcow2" "map -f qcow2" check "snapshot list" "bitmap list -f qcow2"; do
		# shellcheck disable=SC2086
		run with_driver qcowctl $command "$name"
		expect "advice: $name: $command: one line" is "0 1" "$(wc -c <out) $(wc -l <err)"
		expect "advice: $name: $command" has "^qcowctl: $said" err
	done
done <<'END'
sub|sub: is a directory; an image is a regular file or a block device
fifo|fifo: is a FIFO; an image is a regular file or a block device
/dev/null|/dev/null: is a character device; an image is a regular file or a block device
none.disk|none.disk: .*seems to be a block device of 0 bytes; connect it, or load its medium
NEWLINE|a\\x0ab.xz: .*compressed with xz; decompress it with xz -d \$'a\\x0ab.xz'
whole.qcow2/x|whole.qcow2/x: Not a directory; check the name
|"": No such file or directory; check the name
END

# Names in JSON: the command that is named leads to the same file.
image "my base.qcow2"
image "it's.qcow2"
image ./-dash.qcow2
image ./co:lon.qcow2
image sub/below.qcow2
while IFS='|' read -r format top json; do
	json=${json//@/$T}
	rm -f "$top"
	qemu-img create -q -f qcow2 "./$top" 64M
	backing "./$top" "$json" "$format"
	expect "advice: $json" refuses "its backing file \"json:.*is a json: description of a local file; name the file itself with qemu-img rebase -u -b " \
		qcowctl attach "./$top"
	run_advice
	expect "advice: $json: followed" attaches "./$top"
	expect "advice: $json: two files" is 2 "$(attached | wc -l)"
done <<'END'
qcow2|top.qcow2|json:{"driver":"qcow2","file":{"driver":"file","filename":"@/whole.qcow2"}}
|top.qcow2|json:{"driver":"qcow2","file":{"driver":"file","filename":"@/whole.qcow2"}}
|top.qcow2|json:{"driver":"qcow2","file.driver":"file","file.filename":"@/whole.qcow2"}
|top.qcow2|json:{"file.filename":"@/whole.qcow2","driver":"qcow2"}
|top.qcow2|json:{"driver":"qcow2","file":{"driver":"raw","file":{"driver":"file","filename":"@/whole.qcow2"}}}
|top.qcow2|json:{"driver":"qcow2","file.driver":"raw","file.file.driver":"file","file.file.filename":"@/whole.qcow2"}
|top.qcow2|json:{"driver":"raw","file":{"driver":"file","filename":"@/xfs.img"}}
|top.qcow2|json:{"driver":"file","filename":"@/xfs.img","locking":"off"}
|top.qcow2|json:{"driver":"qcow2","file":{"driver":"file","filename":"@/my base.qcow2"}}
|top.qcow2|json:{"driver":"qcow2","file":{"driver":"file","filename":"@/it's.qcow2"}}
|my top's.qcow2|json:{"driver":"qcow2","file":{"driver":"file","filename":"whole.qcow2"}}
|top.qcow2|json:{"driver":"qcow2","file":{"driver":"file","filename":"-dash.qcow2"}}
|top.qcow2|json:{"driver":"qcow2","file":{"driver":"file","filename":"co:lon.qcow2"}}
|sub/top.qcow2|json:{"driver":"qcow2","file":{"driver":"file","filename":"whole.qcow2"}}
|sub/top.qcow2|json:{"driver":"qcow2","file":{"driver":"file","filename":"below.qcow2"}}
END
while read -r json; do
	image top.qcow2
	backing top.qcow2 "$json" qcow2
	expect "advice: not a local file: $json" refuses "is a json: description, not a file's name; copy it to a local file" \
		qcowctl attach top.qcow2
done <<'END'
json:{"driver":"qcow2","file":{"driver":"nbd","host":"localhost"}}
json:{"driver":"qcow2","file":{"driver":"https","url":"https://localhost/x"}}
json:{"driver":"raw","offset":512,"file":{"driver":"file","filename":"xfs.img"}}
json:{"driver":"qcow2","backing":null,"file":{"driver":"file","filename":"whole.qcow2"}}
json:{"driver":"blkdebug","image":{"driver":"file","filename":"whole.qcow2"}}
json:{"driver":"qcow2","file":{"filename":"nbd://localhost/x"}}
json:{"driver":"qcow2","file":"node"}
json:{"driver":"qcow2","file":{"driver":"file","filename":7}}
json:{"driver":"qcow2"
json:[]
json:
END
