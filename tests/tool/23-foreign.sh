# SPDX-License-Identifier: GPL-2.0
# Images of formats that a parser reads: attach, info, map and create. tests/foreign looks at
# the parsers themselves. shellcheck shell=bash

# Files of other parts would be in the way.
find . -maxdepth 1 -type f ! -name mock.so -delete
rm -rf other moved
fake_root

# vdi_image NAME: a disk of 4 MiB with two blocks of data.
vdi_image()
{
	rm -f "$1"
	qemu-img create -q -f vdi "$1" 4M &&
		qemu-io -f vdi -c 'write -q -P 1 0 64k' -c 'write -q -P 2 3M 512' "$1"
}

vdi_image some.vdi
read_only="attached read-only, as vdi images are not written; --temporary, or an overlay"
run with_driver qcowctl attach some.vdi
expect "foreign: attached" is "/dev/qcow0 0" "$(cat out) $code"
expect "foreign: says that it is read-only" has "some.vdi: $read_only" err
expect "foreign: the table, and no other file" \
	is "image format=4 fd=ro:some.vdi data=-1 table=vdi,4194304,3,0" "$(attached)"
expect "foreign: the device is read-only" has "flags=0x1 " root/log
expect "foreign: with -r" attaches -r some.vdi
expect "foreign: with -r: no note" is "" "$(cat err)"
expect "foreign: with -f" attaches -r -f vdi some.vdi
expect "foreign: others may read it" holds -r some.vdi
expect "foreign: others may read it, too" attaches -r some.vdi
let_go
expect "foreign: as raw" attaches -f raw some.vdi
expect "foreign: as raw: no table" is "image format=1 fd=rw:some.vdi data=-1" "$(attached)"
expect "foreign: --temporary" attaches --temporary=. some.vdi
expect "foreign: --temporary: the chain" has "^image format=4 fd=ro:some.vdi .*table=vdi," <(attached)
expect "foreign: --untrusted" attaches --untrusted some.vdi
expect "foreign: resize" refuses "some.vdi: is a vdi image, which is only read; make a qcow2 image" \
	with_driver qcowctl resize some.vdi 8M
cp some.vdi guest.img
expect "foreign: a raw disk whose guest wrote a header" attaches -r guest.img

# A folder as a disk: one file is large enough to be in the table.
mkdir folder && head -c 3000 /dev/urandom >folder/data && echo small >folder/small
expect "foreign: a folder" attaches -r -f vvfat folder
expect "foreign: a folder: the table, and one more file" \
	has "^image format=4 .* data=-1 file=ro:folder/data table=vvfat,536870912,[0-9]*,0\$" <(attached)
expect "foreign: a folder: --temporary" attaches --temporary=. -f vvfat folder
expect "foreign: a folder: FAT32" attaches -r -f vvfat --fat-type 32 --fat-label MY_DISK folder
expect "foreign: a folder: a bad type" refuses '--fat-type: bad value "12"; give 16 or 32' \
	with_driver qcowctl attach -r -f vvfat --fat-type 12 folder
expect "foreign: a folder: a long label" refuses "the label has more than 11 characters" \
	with_driver qcowctl attach -r -f vvfat --fat-label twelveletters folder
expect "foreign: no folder" refuses "are for a folder that is shown as a disk; use -f vvfat" \
	with_driver qcowctl attach -r --fat-label A some.vdi
expect "foreign: a folder: check" accepts with_driver qcowctl check -f vvfat folder
expect "foreign: a folder: check: no errors" has "^No errors were found" out
expect "foreign: a folder below an overlay" refuses "is no folder, and vvfat shows a folder" \
	qcowctl create -b some.vdi -F vvfat new.qcow2

# Below an overlay
rm -f top.qcow2
expect "foreign: an overlay" accepts qcowctl create -b some.vdi -F vdi top.qcow2
expect "foreign: an overlay is attached" attaches top.qcow2
expect "foreign: an overlay: the chain" has "^image format=4 fd=ro:some.vdi .*table=vdi," <(attached)
expect "foreign: an overlay without the format" refuses "it seems to be vdi: use -F vdi" \
	qcowctl create -b some.vdi new.qcow2
qemu-img convert -O raw top.qcow2 judge.raw
backing top.qcow2 some.vdi
expect "foreign: backing file of no format" attaches top.qcow2
expect "foreign: bad format" refuses '"vmx"; give qcow2, qcow, raw.* or ' \
	qcowctl attach -f vmx some.vdi
expect "foreign: create" refuses "vdi images are not made; use qcow2 or raw" \
	qcowctl create -f vdi new.vdi 1M

# Described and mapped as QEMU does it
expect "foreign: info" accepts qcowctl info some.vdi
expect "foreign: info: format" has '^file format: vdi$' out
expect "foreign: info: size" has '^virtual size: 4 MiB .4194304 bytes.$' out
qcowctl map --json some.vdi | sed 's/, "filename": "some.vdi"//' >ours
qemu-img map --output=json some.vdi >judge
expect "foreign: map" same_content judge ours
qcowctl map --json top.qcow2 | sed 's/, "filename": "some.vdi"//' >ours
qemu-img map --output=json top.qcow2 >judge
expect "foreign: map of an overlay" same_content judge ours

# Parents
qemu-img create -q -f vmdk base.vmdk 4M
qemu-io -f vmdk -c 'write -q -P 7 1M 64k' base.vmdk
qemu-img create -q -f vmdk -b base.vmdk -F vmdk child.vmdk
expect "foreign: parent" attaches -r child.vmdk
expect "foreign: parent: two tables, the first with holes" \
	is "1 0" "$(attached | sed 's/.*,//' | paste -sd ' ')"
# A table does not tell a part without a place from one of zeros.
qemu-img map --output=json child.vmdk | sed 's/"present": [a-z]*, //' >judge
qcowctl map --json child.vmdk | sed 's/, "filename": "[^"]*"//; s/"present": [a-z]*, //' >ours
expect "foreign: parent: map" same_content judge ours
mkdir moved
mv base.vmdk child.vmdk moved
expect "foreign: both were moved" attaches -r moved/child.vmdk
expect "foreign: --backing DIR" attaches -r --backing moved moved/child.vmdk
mkdir other
expect "foreign: --backing another DIR" refuses 'its backing file "base.vmdk" is not there, or is not allowed' \
	with_driver qcowctl attach -r --backing other moved/child.vmdk
expect "foreign: --backing none" refuses 'its backing file "base.vmdk" is not allowed by --backing none' \
	with_driver qcowctl attach -r --backing none moved/child.vmdk
expect "foreign: parent of an untrusted image" refuses 'its backing file "base.vmdk" is not opened for an untrusted' \
	with_driver qcowctl attach --untrusted moved/child.vmdk
qemu-img create -q -f vmdk moved/base.vmdk 4M
expect "foreign: another parent" refuses "backing file moved/base.vmdk has the id .*, but it was made over .*--allow-parent-mismatch" \
	with_driver qcowctl attach -r moved/child.vmdk
run with_driver qcowctl attach -r --allow-parent-mismatch moved/child.vmdk
expect "foreign: another parent is allowed" is "/dev/qcow0 0" "$(cat out) $code"
expect "foreign: another parent is allowed: a note" has "its content there may be wrong" err
rm moved/base.vmdk
expect "foreign: no parent" refuses "moved/child.vmdk: its backing file .base.vmdk. is not there.*; put it beside" \
	with_driver qcowctl attach -r moved/child.vmdk

# Parents that an identifier tells: twins have the same, and other changes.
mkdir ids
qemu-img create -q -f vdi ids/one.vdi 1M
cp ids/one.vdi ids/child.vdi
put="$here/../foreign/put.py"
"$put" ids/child.vdi 76 4 4 392 8 0x1122334455667788 408 8 0x99 \
	--copy ids/one.vdi 392 424 16 --copy ids/one.vdi 408 440 16
expect "foreign: by id" attaches -r ids/child.vdi
cp ids/one.vdi ids/a-twin.vdi
"$put" ids/a-twin.vdi 408 8 0x1234
ln ids/one.vdi ids/same.vdi
expect "foreign: by id: a twin that was changed" attaches -r ids/child.vdi
expect "foreign: by id: a twin that was changed: the other" \
	has "^image format=4 fd=ro:ids/one.vdi " <(attached)
rm ids/same.vdi
cp ids/one.vdi ids/two.vdi
expect "foreign: by id: two that are right" \
	refuses "ids/child.vdi: .*, and so have .*/one.vdi and .*/two.vdi; move all but" \
	with_driver qcowctl attach -r ids/child.vdi
expect "foreign: by id: two that are right: --allow-parent-mismatch" refuses "and so have" \
	with_driver qcowctl attach -r --allow-parent-mismatch ids/child.vdi
rm ids/one.vdi ids/two.vdi
expect "foreign: by id: one that was changed" \
	refuses "ids/child.vdi: .*a-twin.vdi was changed .*: the last change is .*--allow-parent-mismatch" \
	with_driver qcowctl attach -r ids/child.vdi
run with_driver qcowctl attach -r --allow-parent-mismatch ids/child.vdi
expect "foreign: by id: one that was changed: --allow-parent-mismatch" is "/dev/qcow0 0" "$(cat out) $code"
rm ids/a-twin.vdi
expect "foreign: by id: none" refuses "id .* is not among the files \"\*.vdi\"" \
	with_driver qcowctl attach -r ids/child.vdi
truncate -s 1M 'ids/*'
qemu-img create -q -f qed -u -b '*' -F raw ids/star.qed 1M
expect "foreign: a parent with the name *" attaches -r ids/star.qed
expect "foreign: a parent with the name *: it" has '^image format=1 fd=ro:ids/\* ' <(attached)

# sparse_bochs NAME...: an empty sparse image, which may have a parent
sparse_bochs()
{
	python3 -c 'import struct, sys
for name in sys.argv[1:]:
    with open(name, "wb") as f:
        f.write(struct.pack("<4IQ", 0x02468ace, 2, 65536, 16, 1 << 20).ljust(256, b"\0"))
        f.write((b"\xff" * 64).ljust(65536 - 256, b"\0"))' "$@"
}

mkdir ids/other
sparse_bochs ids/d0 ids/d1 ids/alone1 ids/x:0 ids/x:1 ids/y:1 ids/gone1
ln -s nothing ids/gone0
expect "foreign: optional parent" attaches -r -f bochs ids/d1
expect "foreign: optional parent: two images" is 2 "$(attached | wc -l)"
expect "foreign: optional parent: outside of --backing DIR" \
	refuses 'ids/d1: its backing file "d0" is not there, or is not allowed' \
	with_driver qcowctl attach -r -f bochs --backing ids/other ids/d1
expect "foreign: optional parent: with the name of a URL" \
	refuses 'ids/x:1: its backing file "x:0" is not there, or is not allowed' \
	with_driver qcowctl attach -r -f bochs ids/x:1
expect "foreign: optional parent: a broken link" \
	refuses 'ids/gone1: its backing file "gone0" is not there' \
	with_driver qcowctl attach -r -f bochs ids/gone1
for name in alone1 y:1; do
	expect "foreign: optional parent: none: $name" attaches -r -f bochs ids/$name
	expect "foreign: optional parent: none: $name: with --backing DIR" \
		attaches -r -f bochs --backing ids/other ids/$name
done
rm -r ids

# Cycles of parents
# QEMU writes a number without zeros before it, and the new ones must not be longer.
until [ "$(grep -acE '^(parent)?CID=[0-9a-f]{8}$' two.vmdk 2>/dev/null)" = 2 ]; do
	qemu-img create -q -f vmdk one.vmdk 1M
	qemu-img create -q -f vmdk -u -b one.vmdk -F vmdk two.vmdk 1M
done
expect "foreign: a cycle: without it" attaches -r two.vmdk
for id in parentCID CID; do
	sed -i "s/^$id=[0-9a-f]*/$id=12345678/" two.vmdk
done
cp two.vmdk one.vmdk
expect "foreign: a parent that names itself" \
	refuses "one.vmdk: is a backing file of itself .as .*one.vmdk.; restore the chain" \
	with_driver qcowctl attach -r two.vmdk
expect "foreign: an image that names itself" \
	refuses "one.vmdk: is a backing file of itself .as .*one.vmdk.; restore the chain" \
	with_driver qcowctl attach -r one.vmdk
sed -i 's/^parentFileNameHint="one/parentFileNameHint="two/' one.vmdk
for name in one two; do
	expect "foreign: two that name each other: $name" \
		refuses "$name.vmdk: is a backing file of itself .as .*$name.vmdk.; restore the chain" \
		with_driver qcowctl attach -r $name.vmdk
	expect "foreign: two that name each other: info: $name" \
		refuses "$name.vmdk: is a backing file of itself" qcowctl info --chain $name.vmdk
	expect "foreign: two that name each other: --allow-parent-mismatch: $name" \
		refuses "$name.vmdk: is a backing file of itself" \
		with_driver qcowctl attach -r --allow-parent-mismatch $name.vmdk
done
rm one.vmdk two.vmdk

# Folders of Parallels
mkdir box.hdd
qemu-img create -q -f parallels box.hdd/disk.hds 4M
qemu-io -f parallels -c 'write -q -P 5 1M 1M' box.hdd/disk.hds
top={5fbaabe3-6958-40ff-92a7-860e329aab41}
"$here/../foreign/prl.py" 8192 "8192:$top=Compressed:disk.hds" -- >box.hdd/DiskDescriptor.xml
has_disk="file=ro:box.hdd/disk.hds table=parallels,4194304,"
for name in box.hdd box.hdd/ box.hdd/DiskDescriptor.xml; do
	expect "foreign: Parallels: $name" attaches -r $name
	expect "foreign: Parallels: $name: the chain" \
		has "^image format=4 fd=ro:box.hdd/DiskDescriptor.xml data=-1 $has_disk" <(attached)
done
expect "foreign: Parallels: -f" attaches -r -f parallels box.hdd
run with_driver qcowctl attach box.hdd
expect "foreign: Parallels: it is attached read-only" \
	has "as parallels images are not written" err
expect "foreign: Parallels: --temporary" attaches --temporary=. box.hdd
expect "foreign: Parallels: --untrusted" refuses "extent .disk.hds. is not opened for an untrusted image" \
	with_driver qcowctl attach --untrusted box.hdd
expect "foreign: Parallels: --backing DIR" attaches -r --backing box.hdd box.hdd
expect "foreign: Parallels: another format" \
	refuses "box.hdd: is a directory, and seems to be a disk of Parallels; its format is parallels" \
	with_driver qcowctl attach -r -f raw box.hdd
expect "foreign: Parallels: map" same_content <(qemu-img map --output=json box.hdd/disk.hds |
	jq -c '.[] | [.start, .length, .zero]') \
	<(qcowctl map --json box.hdd | jq -c '.[] | [.start, .length, .zero]')
expect "foreign: Parallels: info" accepts qcowctl info box.hdd
expect "foreign: Parallels: info: format" has '^file format: parallels$' out
expect "foreign: Parallels: check" accepts qcowctl check box.hdd
expect "foreign: Parallels: check: no errors" has "^No errors were found" out
expect "foreign: Parallels: an overlay" accepts qcowctl create -b box.hdd -F parallels over.qcow2
expect "foreign: Parallels: an overlay is attached" attaches over.qcow2
expect "foreign: Parallels: an overlay: the chain" has "fd=ro:box.hdd/DiskDescriptor.xml .*$has_disk" <(attached)
expect "foreign: Parallels: an overlay without the format" refuses "it seems to be parallels: use -F parallels" \
	qcowctl create -b box.hdd new.qcow2
mkdir links
ln -s ../over.qcow2 links/over.qcow2
expect "foreign: Parallels: an overlay by a symbolic link" attaches -r links/over.qcow2
head -c 64k /dev/zero >box.hdd/DiskDescriptor.xml
expect "foreign: Parallels: another file of that name" refuses "DiskDescriptor.xml: .*no magic of Parallels" \
	with_driver qcowctl attach box.hdd
rm box.hdd/DiskDescriptor.xml
expect "foreign: Parallels: no descriptor" refuses "box.hdd: is a directory; an image is" \
	with_driver qcowctl attach box.hdd
rm -rf box.hdd over.qcow2 links

# Parents of several names: a wrong one never hides the right one.
mkdir kin
qemu-img create -q -f vmdk kin/base.vmdk 4M
qemu-img create -q -f vmdk -b kin/base.vmdk -F vmdk child.vmdk
cp kin/base.vmdk base.vmdk
qemu-img create -q -f vmdk other.vmdk 4M

# takes NAME PARENT ARGUMENTS...: attach takes the parent, and prints no note.
takes()
{
	local name=$1 parent=$2

	shift 2
	expect "foreign: parents: $name" attaches -r "$@"
	expect "foreign: parents: $name: it is the right one" \
		is "fd=ro:$parent" "$(attached | sed -n '2s/.* \(fd=[^ ]*\) .*/\1/p')"
	expect "foreign: parents: $name: no note" is "" "$(cat err)"
}

cp other.vmdk kin/base.vmdk
takes "the first one is another" base.vmdk child.vmdk
takes "the first one is another, which is allowed" base.vmdk --allow-parent-mismatch child.vmdk
expect "foreign: parents: the first one is another: info" accepts qcowctl info --chain child.vmdk
expect "foreign: parents: the first one is another: info takes the right one" \
	has '^image: base.vmdk$' out
expect "foreign: parents: the first one is another: info: the path" \
	has '^backing file: kin/base.vmdk .actual path: base.vmdk.$' out
expect "foreign: parents: the first one is another: info: no note" is "" "$(cat err)"
head -c 64k /dev/urandom >kin/base.vmdk
takes "the first one is damaged" base.vmdk child.vmdk
takes "the first one is damaged, and another is allowed" base.vmdk --allow-parent-mismatch child.vmdk
rm kin/base.vmdk && mkdir kin/base.vmdk
takes "the first one is a folder" base.vmdk child.vmdk
rmdir kin/base.vmdk && ln -s ../child.vmdk kin/base.vmdk
takes "the first one is the image itself" base.vmdk child.vmdk
rm kin/base.vmdk
head -c 64k /dev/urandom >kin/base.vmdk
cp other.vmdk base.vmdk
expect "foreign: parents: one damaged, one of another id" \
	refuses "child.vmdk: its backing file base.vmdk has the id .*--allow-parent-mismatch" \
	with_driver qcowctl attach -r child.vmdk
mv kin/base.vmdk bad.vmdk && mv base.vmdk kin/base.vmdk && mv bad.vmdk base.vmdk
expect "foreign: parents: one of another id, one damaged" \
	refuses "child.vmdk: its backing file kin/base.vmdk has the id .*--allow-parent-mismatch" \
	with_driver qcowctl attach -r child.vmdk
run with_driver qcowctl attach -r --allow-parent-mismatch child.vmdk
expect "foreign: parents: one of another id is allowed" is "/dev/qcow0 0" "$(cat out) $code"
expect "foreign: parents: one of another id is allowed: a note" \
	has "backing file kin/base.vmdk has the id .*its content there may be wrong" err
cp base.vmdk kin/base.vmdk
expect "foreign: parents: both are damaged" refuses "kin/base.vmdk: " \
	with_driver qcowctl attach -r child.vmdk
expect "foreign: parents: both are damaged: one line" is 1 "$(wc -l <err)"
rm -r kin base.vmdk child.vmdk other.vmdk

# undoable_bochs NAME...: an empty redo log of a disk of 1 MiB
undoable_bochs()
{
	python3 -c 'import struct, sys
for name in sys.argv[1:]:
    with open(name, "wb") as f:
        f.write(struct.pack("<32s16s16s6IQ", b"Bochs Virtual HD Image", b"Redolog", b"Undoable",
                            0x20000, 512, 16, 16, 65536, 0, 1 << 20).ljust(512, b"\0"))
        f.write(b"\xff" * 64)' "$@"
}

# shows_formats FORMAT...: the last attach had images of these formats: 1 is raw, 4 a map.
shows_formats()
{
	is "$*" "$(attached | grep -o 'format=[0-9]*' | cut -d= -f2 | paste -sd ' ')"
}

# The base of a redo log of Bochs, whose format nothing tells: Bochs knows its own images.
sparse_bochs base && undoable_bochs base.redolog
expect "foreign: bochs: undoable over a sparse base" attaches -r base.redolog
expect "foreign: bochs: undoable over a sparse base: both are parsed" shows_formats 4 4
expect "foreign: bochs: undoable over a sparse base: info" accepts qcowctl info --chain base.redolog
expect "foreign: bochs: undoable over a sparse base: sparse" has "^ *subformat: sparse" out
sparse_bochs base0 base1 && undoable_bochs base1.redolog
expect "foreign: bochs: undoable over a sparse base with a parent" \
	refuses "base1: its backing file \"base0\" is not opened, as the image above does not say this one's format" \
	with_driver qcowctl attach -r base1.redolog
mv base.redolog under.redolog && undoable_bochs under.redolog.redolog
expect "foreign: bochs: undoable over a redo log" \
	refuses "under.redolog: its backing file \"under\" is not opened, as" \
	with_driver qcowctl attach -r under.redolog.redolog
truncate -s 1M under
expect "foreign: bochs: undoable over a raw disk" attaches -r under.redolog
expect "foreign: bochs: undoable over a raw disk: it is raw" shows_formats 4 1
# Of another program's image the guest of a raw disk may have written the start.
qemu-img create -q -f qcow2 over.qcow2 1M
backing over.qcow2 base
expect "foreign: bochs: qcow2 over such bytes" attaches over.qcow2
expect "foreign: bochs: qcow2 over such bytes: they are raw" is "format=1 " "$(attached | tail -n1 | grep -o 'format=1 ')"
rm -f base base[01] base*.redolog under under.* over.qcow2

# Members of archives
echo '<Envelope/>' >box.ovf
echo old >disk.img && truncate -s 1M disk.img
for format in "" "-f raw" "-f vdi"; do
	# shellcheck disable=SC2086
	expect "foreign: member: a file with a colon that is gone: $format" \
		refuses "disk.img:old: No such file" with_driver qcowctl attach $format disk.img:old
done
expect "foreign: member: a file with a colon that is gone: resize" \
	refuses "disk.img:old: No such file" with_driver qcowctl resize -f raw disk.img:old 2M
qemu-img create -q -f vmdk base.vmdk 4M
qemu-img create -q -f vmdk -b base.vmdk -F vmdk child.vmdk
tar -cf box.ova box.ovf child.vmdk some.vdi
expect "foreign: member: a file that is none" refuses "has no member x" \
	with_driver qcowctl attach -r box.ova:x
expect "foreign: member: one of two" attaches -r box.ova:some.vdi
expect "foreign: member: one of two: -f" attaches -r -f ova box.ova:some.vdi
for name in box.ova:child.vmdk one.ova; do
	tar -cf one.ova box.ovf child.vmdk
	expect "foreign: member: with a parent: $name" attaches -r $name
	expect "foreign: member: with a parent: $name: the chain" \
		is "fd=ro:${name%:*} fd=ro:base.vmdk" \
		"$(attached | sed 's/.* \(fd=[^ ]*\) .*/\1/' | paste -sd ' ')"
done

# A parent that is a member, too, goes before a file beside the archive.
mkdir disks && mv base.vmdk child.vmdk disks/
qemu-img create -q -f vmdk base.vmdk 8M
tar -cf both.ova box.ovf disks/base.vmdk disks/child.vmdk
expect "foreign: member: its parent is one" attaches -r both.ova:disks/child.vmdk
expect "foreign: member: its parent is one: the chain" is "fd=ro:both.ova fd=ro:both.ova" \
	"$(attached | sed 's/.* \(fd=[^ ]*\) .*/\1/' | paste -sd ' ')"
expect "foreign: member: its parent is one: info" accepts qcowctl info --chain both.ova:disks/child.vmdk
expect "foreign: member: its parent is one: info: names" \
	is "disks/base.vmdk both.ova:disks/base.vmdk disks/child.vmdk disks/base.vmdk" "$(sed -n '
		s/^backing file: \(.*\) (actual path: \(.*\))$/\1 \2/p; s/^ *member: //p' out | paste -sd ' ')"
expect "foreign: member: its parent is one: JSON" accepts qcowctl info --json both.ova:disks/child.vmdk
expect "foreign: member: its parent is one: JSON: path" \
	is both.ova:disks/base.vmdk "$(jq -r '."full-backing-filename"' out)"
expect "foreign: member: its parent is one: check" accepts qcowctl check both.ova:disks/child.vmdk
mkdir elsewhere
expect "foreign: member: its parent is one, whatever the folder" \
	attaches -r --backing elsewhere both.ova:disks/child.vmdk
expect "foreign: member: its parent is one: --backing none" refuses "not allowed by --backing none" \
	with_driver qcowctl attach -r --backing none both.ova:disks/child.vmdk
cp base.vmdk disks/base.vmdk
tar -cf both.ova box.ovf disks/base.vmdk disks/child.vmdk
mv base.vmdk other.vmdk
expect "foreign: member: its parent is another one" \
	refuses "backing file both.ova:disks/base.vmdk has the id .*--allow-parent-mismatch" \
	with_driver qcowctl attach -r both.ova:disks/child.vmdk
run with_driver qcowctl attach -r --allow-parent-mismatch both.ova:disks/child.vmdk
expect "foreign: member: its parent is another one, which is allowed" is "/dev/qcow0 0" "$(cat out) $code"
(cd disks && qemu-img create -q -f vmdk -b child.vmdk -F vmdk new.vmdk && mv new.vmdk base.vmdk)
tar -cf both.ova box.ovf disks/base.vmdk disks/child.vmdk
run with_driver qcowctl attach -r --allow-parent-mismatch both.ova:disks/child.vmdk
expect "foreign: member: a cycle" has "both.ova: is a backing file of itself" err
expect "foreign: member: a cycle: refused" is 1 "$code"
rm -r disks elsewhere both.ova

# The same by an identifier: the member may have any place in the archive.
mkdir -p ids/Snapshots
vdi_image ids/base.vdi && qemu-img create -q -f vdi ids/Snapshots/child.vdi 4M
"$put" ids/Snapshots/child.vdi 76 4 4 392 8 0x1122334455667788 408 8 0x99 \
	--copy ids/base.vdi 392 424 16 --copy ids/base.vdi 408 440 16
cp ids/base.vdi ids/a-twin.vdi && "$put" ids/a-twin.vdi 408 8 0x1234
printf '%s\n' ids/Snapshots/child.vdi ids/a-twin.vdi ids/base.vdi ids/a-twin.vdi >members
tar --hard-dereference -cf both.ova box.ovf -T members
mv ids/base.vdi ids/Snapshots/child.vdi .
child=both.ova:ids/Snapshots/child.vdi
expect "foreign: member: by id" attaches -r --backing ids $child
expect "foreign: member: by id: the chain" is "fd=ro:both.ova fd=ro:both.ova" \
	"$(attached | sed 's/.* \(fd=[^ ]*\) .*/\1/' | paste -sd ' ')"
expect "foreign: member: by id: info" accepts qcowctl info --chain $child
expect "foreign: member: by id: info: names" \
	is "ids/base.vdi both.ova:ids/base.vdi ids/Snapshots/child.vdi ids/base.vdi" "$(sed -n '
		s/^backing file: \(.*\) (actual path: \(.*\))$/\1 \2/p; s/^ *member: //p' out | paste -sd ' ')"
expect "foreign: member: by id: map" accepts qcowctl map --json $child
expect "foreign: member: by id: map: of the parent" is "1" "$(jq -r '[.[] | select(.data).depth] | unique[]' out)"
expect "foreign: member: by id: check" accepts qcowctl check $child
expect "foreign: member: by id: --backing none" refuses "not allowed by --backing none" \
	with_driver qcowctl attach -r --backing none $child
mkdir more && cp base.vdi more/
tar -rf both.ova more/base.vdi
expect "foreign: member: by id: two that are right" \
	refuses "both.ova: .*, and so have its members ids/base.vdi and more/base.vdi; unpack it with tar" \
	with_driver qcowctl attach -r $child
tar -cf both.ova box.ovf child.vdi ids/a-twin.vdi
expect "foreign: member: by id: the right one is beside the archive" attaches -r both.ova:child.vdi
expect "foreign: member: by id: the right one is beside the archive: it" is "fd=ro:both.ova fd=ro:base.vdi" \
	"$(attached | sed 's/.* \(fd=[^ ]*\) .*/\1/' | paste -sd ' ')"
for chain in --chain ""; do
	# shellcheck disable=SC2086
	expect "foreign: member: by id: the right one is beside the archive: info $chain" \
		accepts qcowctl info $chain both.ova:child.vdi
	expect "foreign: member: by id: the right one is beside the archive: info $chain: not the other" \
		is "" "$(grep a-twin out)"
done
rm base.vdi
expect "foreign: member: by id: one that was changed" \
	refuses "both.ova:ids/a-twin.vdi was changed .*: the last change is .*--allow-parent-mismatch" \
	with_driver qcowctl attach -r both.ova:child.vdi
run with_driver qcowctl attach -r --allow-parent-mismatch both.ova:child.vdi
expect "foreign: member: by id: one that was changed, which is allowed" is "/dev/qcow0 0" "$(cat out) $code"
tar -cf both.ova box.ovf child.vdi some.vdi
expect "foreign: member: by id: none" refuses "id .* is not among the files \"\*.vdi\"" \
	with_driver qcowctl attach -r both.ova:child.vdi
rm -r ids more both.ova child.vdi members
qemu-img create -q -f vmdk base.vmdk 4M
qemu-img create -q -f vmdk -b base.vmdk -F vmdk child.vmdk
tar -cf one.ova box.ovf child.vmdk

# ova_device FORMAT FILE PARENT BYTES: the device is the disk of an archive.
ova_device()
{
	echo "$1" >root/sys/block/qcow0/qcow/format
	echo $(($4 / 512)) >root/sys/block/qcow0/size
	echo "$T/$2" >root/sys/block/qcow0/qcow/image
	: >root/sys/block/qcow0/files
	[ -z "$3" ] || echo "1 4 image $T/$3" >root/sys/block/qcow0/files
}

ova_device ova one.ova base.vmdk 4194304
expect "foreign: member: the only one, of a device" \
	accepts with_driver env MOCK_FORMAT=4 "$Q" info --chain /dev/qcow0
for command in info map check; do
	ova_device ova box.ova "" 4194304
	expect "foreign: member: one of two, of a device: $command" \
		exits 1 "name one, such as box.ova:" with_driver env MOCK_FORMAT=4 "$Q" $command /dev/qcow0
	ova_device ova one.ova base.vmdk 1048576
	expect "foreign: member: another one, of a device: $command" \
		exits 1 "another size than the device; .*name one, such as .*/one.ova:MEMBER" \
		with_driver env MOCK_FORMAT=4 "$Q" $command /dev/qcow0
done
fake_root
rm -f box.ov[fa] one.ova child.vmdk base.vmdk disk.img

# Extents
qemu-img create -q -f vmdk -o subformat=monolithicFlat flat.vmdk 1M
expect "foreign: extent" attaches -r flat.vmdk
expect "foreign: extent: its file" has "file=ro:flat-flat.vmdk table=vmdk" <(attached)
expect "foreign: extent: --backing none" refuses 'its extent "flat-flat.vmdk" is not allowed by --backing none' \
	with_driver qcowctl attach -r --backing none flat.vmdk
expect "foreign: extent: outside of --backing DIR" refuses "flat-flat.vmdk: is not beneath the folder that --backing allows .extent of flat.vmdk" \
	with_driver qcowctl attach -r --backing other flat.vmdk
expect "foreign: extent: untrusted" refuses 'its extent "flat-flat.vmdk" is not opened for an untrusted image' \
	with_driver qcowctl attach --untrusted flat.vmdk
cp flat.vmdk guest.img
expect "foreign: extent: a raw disk whose guest wrote a descriptor" \
	refuses "guest.img: its extent .* is not opened, as the image's format was only guessed.*-f vmdk if it is a vmdk image" \
	with_driver qcowctl attach -r guest.img
rm flat-flat.vmdk
expect "foreign: extent: missing" refuses "flat-flat.vmdk: No such file or directory .extent of flat.vmdk.; put it back" \
	with_driver qcowctl attach -r flat.vmdk
mkfifo flat-flat.vmdk
expect "foreign: extent: a FIFO" refuses "flat-flat.vmdk: is a FIFO .extent of flat.vmdk" \
	with_driver qcowctl attach -r flat.vmdk
rm -rf moved other flat* guest.img

# Check
expect "foreign: check" accepts qcowctl check some.vdi
expect "foreign: check: no errors" has "^No errors were found" out
expect "foreign: check: repair" exits 63 "some.vdi: images of this format are not repaired" \
	qcowctl check --repair=all some.vdi

# Damage
truncate -s 1M some.vdi
expect "foreign: truncated" refuses "some.vdi: .*so it is truncated; restore it from a copy" \
	with_driver qcowctl attach some.vdi
expect "foreign: truncated: info" accepts qcowctl info some.vdi
rm -f some.vdi top.qcow2 guest.img judge* ours
