# Images that are made to mislead a parser, or to take long, all of them crafted. shellcheck shell=bash

# hostile_make KIND: an image of vmdk.py, in a folder of that name
hostile_make()
{
	"$here/vmdk.py" make "$1" "$1"
}

# VMDK: an extent with nothing but a descriptor
hostile_make container
cp container/disk.vmdk inner.vmdk
printf '%s\n' "# Disk DescriptorFile" version=1 'RW 8 SPARSE "inner.vmdk"' > outer.vmdk
expect "hostile: vmdk: a descriptor as an extent" foreign_refuses vmdk outer.vmdk \
	"extent inner.vmdk, which only has a descriptor"

# A stream of 2^33 grains, with one for sector 2^32 + 5
hostile_make far
expect "hostile: vmdk: 2^33 grains" foreign_refuses vmdk far/disk.vmdk "8589934592 grains.*; convert"

# A marker that tells two grains of 8 KiB after it was indexed
hostile_make markers
export RACE=$((11 * 512)):8:16384
expect "hostile: vmdk: a marker that changes" foreign_refuses vmdk markers/disk.vmdk \
	"marker at host offset 5632 that is not valid"
RACE=$((11 * 512)):8:16373
expect "hostile: vmdk: a marker that is too long" foreign_refuses vmdk markers/disk.vmdk \
	"marker at host offset 5632 that is not valid"
unset RACE

# All blocks in one place, with a bitmap of sectors
qemu-img create -q -f vpc -o force_size=on base.vhd 6M
truncate -s 6M base.raw
"$here/vhd.py" child base.vhd child.vhd base.raw seed=1 block=65536 name=base.vhd
expect "hostile: vpc: blocks" foreign_says vpc child.vhd "^parent.1"
"$here/repeat.py" child.vhd 1536 4 96 min
expect "hostile: vpc: blocks in one place" foreign_refuses vpc child.vhd \
	"more blocks than the file has room for"

truncate -s 32M large.raw
cp large.raw raw
"$here/vhdx.py" make base.vhdx large.raw
"$here/vhdx.py" child base.vhdx child.vhdx raw seed=1 states=2227 relative_path=base.vhdx
expect "hostile: vhdx: blocks" foreign_says vhdx child.vhdx "^parent.1"
"$here/repeat.py" child.vhdx 0x300000 8 32 max
expect "hostile: vhdx: blocks in one place" foreign_refuses vhdx child.vhdx \
	"more blocks than the file has room for"
rm -f ./*.vhdx ./*raw

truncate -s 8257536 some.raw
for at in 0 100000 3000000; do
	"$here/put.py" some.raw $at 8 1
done
rm -f some.bochs
bximage -q -func=convert -imgmode=growing some.raw some.bochs > bximage.log 2>&1
expect "hostile: bochs: units" foreign_says bochs some.bochs "^size"
"$here/repeat.py" some.bochs 512 4 "$(od -An -tu4 -j72 -N4 some.bochs | tr -d ' ')" min
expect "hostile: bochs: units in one place" foreign_refuses bochs some.bochs \
	"more extents than the file has room for"

# A map of nothing but holes of the file names block 0.
qemu-img create -q -f vdi some.vdi 1G
dd if=/dev/zero of=some.vdi bs=512 seek=1 count=8 conv=notrunc status=none
truncate -s +1M some.vdi
expect "hostile: vdi: blocks in one place" foreign_refuses vdi some.vdi \
	"more blocks than the file has room for"

# A guest's text before the first cluster is no descriptor.
qemu-img create -q -f parallels some.hds 4M
qemu-io -f parallels -c 'write -q -P 1 0 64k' some.hds
printf '<Parallels_disk_image' | dd of=some.hds bs=1 seek=4096 conv=notrunc status=none
expect "hostile: parallels: text in a file of clusters" same_disk parallels some.hds
printf 'text <Parallels_disk_image' > text.hds
truncate -s 64k text.hds
expect "hostile: parallels: text in another file" foreign_refuses parallels text.hds "no magic of Parallels"
"$here/prl.py" 8192 "8192:{5fbaabe3-6958-40ff-92a7-860e329aab41}=Compressed:some.hds" -- > plain.xml
{
	printf '\xef\xbb\xbf\n'
	sed 1d plain.xml
} > mark.xml
expect "hostile: parallels: a descriptor after a byte order mark" foreign_says probe mark.xml "^format.parallels$"
