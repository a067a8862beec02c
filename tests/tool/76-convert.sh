# qcowctl convert, but for the copying, which tests/write does. shellcheck shell=bash

fake_root
qemu-img create -q -f qcow2 convert-base.qcow2 3M
qemu-img create -q -f vmdk convert.vmdk 2M
qemu-img create -q -f raw convert.raw 1M

# converted NAME SOURCE FORMAT BYTES [OPTION...]: the new image names its source, and is
# attached to be streamed, which the mock cannot do. So it is one that was interrupted.
converted()
{
	local name=$1 source=$2 format=$3 bytes=$4 time

	shift 4
	for time in '' --resume; do
		expect "convert: $name: $time" refuses "$name.new: Inappropriate ioctl" \
			with_driver qcowctl convert $time "$@" "$source" "$name.new"
		expect "convert: $name: $time: attached" has "fd=rw:$T/$name.new" root/log
		expect "convert: $name: $time: over its source" has "fd=ro:$T/$source" root/log
	done
	expect "convert: $name: an overlay" is "$T/$source $format $bytes" \
		"$(qemu-img info -U --output=json "$name.new" |
			jq -r '"\(."backing-filename") \(."backing-filename-format") \(."virtual-size")"')"
}

converted qcow2 convert-base.qcow2 qcow2 3145728
converted vmdk convert.vmdk vmdk 2097152
converted raw convert.raw raw 1048576 -f raw

expect "convert: an image that is there" refuses "qcow2.new: is there; choose another name, or go on with --resume" \
	with_driver qcowctl convert convert-base.qcow2 qcow2.new
expect "convert: another source" refuses "qcow2.new: is no conversion of this source" \
	with_driver qcowctl convert --resume convert.vmdk qcow2.new
expect "convert: another image" refuses "is no conversion of this source" \
	with_driver qcowctl convert --resume convert.vmdk convert-base.qcow2
expect "convert: itself" refuses "is there; choose another name" \
	with_driver qcowctl convert convert-base.qcow2 convert-base.qcow2
cp convert-base.qcow2 convert-guess.img
expect "convert: a format that a guest may have chosen" refuses "give its format with -f" \
	with_driver qcowctl convert convert-guess.img convert-none.qcow2
mkdir convert.folder
expect "convert: a folder" refuses "has no name that an image can name" \
	with_driver qcowctl convert -f vvfat convert.folder convert-none.qcow2
expect "convert: a raw source that is not said to be raw" refuses "not a qcow2 image" \
	with_driver qcowctl convert convert.raw convert-none.qcow2
expect "convert: nothing was made" is "" "$(ls convert-none.qcow2 2>/dev/null)"
expect "convert: one name" refuses "takes an image, and the name of a new one" qcowctl convert convert.vmdk
echo '<Envelope/>' >convert.ovf
tar -cf convert.ova convert.ovf convert.vmdk
expect "convert: a member" refuses "is a disk of an archive, which an image cannot name" \
	with_driver qcowctl convert convert.ova:convert.vmdk member.qcow2
rm -rf convert* ./*.new
