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
