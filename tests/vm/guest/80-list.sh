# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# The output of list and info.

case_list_empty() {
	is 0 "$(qcowctl list -J | jq '.qcowdevices | length')"
	is "" "$(qcowctl list -n)"
}

case_list_table() {
	mkdir mnt
	attach "$IMAGES/extra/gpt.qcow2"
	mount -o ro "${dev}p1" mnt
	qcowctl list > out
	cat out
	is "NAME SIZE FORMAT RO DEPTH OPEN IMAGE MOUNTPOINTS" "$(head -n1 out | xargs)"
	is "qcow0 20M qcow2 1 1 1 $IMAGES/extra/gpt.qcow2 $PWD/mnt" "$(tail -n1 out | xargs)"
	is 2 "$(wc -l < out)"
	is "qcow0 20971520" "$(qcowctl list -n -b -O NAME,SIZE | xargs)"
	umount mnt
	detach
}

case_list_json() {
	mkdir mnt
	attach "$IMAGES/extra/over.qcow2"
	attach "$IMAGES/extra/fs.qcow2"
	mount -o ro "$dev" mnt
	qcowctl list -J > list
	cat list
	jq -e --arg over "$IMAGES/extra/over.qcow2" --arg fs "$IMAGES/extra/fs.qcow2" \
		--arg mnt "$PWD/mnt" '.qcowdevices == [
		{name: "/dev/qcow0", size: 9437184, format: "qcow2", ro: true, depth: 2,
		 open: 0, image: $over, mountpoints: []},
		{name: "/dev/qcow1", size: 16777216, format: "qcow2", ro: true, depth: 1,
		 open: 1, image: $fs, mountpoints: [$mnt]}]' list > /dev/null ||
		fail "other fields"
	qcowctl list --json | cmp - list
	umount mnt
	qcowctl detach --all
}

# the_same_info IMAGE: as qemu-img says, for every image of the chain
the_same_info() {
	local filter='[.[] | {"virtual-size", "cluster-size", format, "backing-filename",
		"backing-filename-format", compat: ."format-specific".data.compat}]'

	(cd "$(dirname "$1")" &&
	 qemu-img info -U --output=json --backing-chain "$1" | jq "$filter") > theirs
	qcowctl info --chain --json "$1" | jq "$filter" > ours
	diff theirs ours || fail "$1"
}

case_info_chain() {
	local image

	the_same_info "$IMAGES/extra/par-chain2.qcow2"
	for image in $(cut -f2 /out/subset | head -n 4); do
		the_same_info "$IMAGES/$image"
	done
}

case_info_device() {
	attach "$IMAGES/extra/over.qcow2"
	qcowctl info --json "$dev" > info
	cat info
	is 9437184 "$(jq '."virtual-size"' info)"
	is qcow2 "$(jq -r .format info)"
	is '"/dev/qcow0"' "$(jq '.device.name' info)"
	is 2 "$(jq '.device.depth' info)"
	qcowctl info "$dev" | grep over.qcow2
	detach
}

# Every pattern of options that the manual has prints and ends well.
case_help() {
	qcowctl --help > /dev/null
	qcowctl --version > /dev/null
	for command in attach detach list info map; do
		qcowctl $command --help > out
		grep -q "Usage: qcowctl $command" out
	done
}

case_alias() {
	attach -r --name web.data "$IMAGES/extra/over.qcow2"
	first=$dev
	is web.data "$(cat "/sys/block/qcow$index/qcow/alias")"
	accepts qcowctl list -n -O ALIAS "$first"
	is web.data "$(cat out)"
	refuses "$first has the name web.data already; give another one, or detach that$" \
		qcowctl attach -r --name web.data "$IMAGES/extra/over.qcow2"
	attach -r --name web.data2 "$IMAGES/extra/over.qcow2"
	detach
	accepts qcowctl detach "$first"
	attach -r --name web.data "$IMAGES/extra/over.qcow2"
	detach
}

case_sysfs() {
	attach --offset 1M "$IMAGES/extra/over.qcow2"
	s=/sys/block/qcow$index/qcow
	is "$IMAGES/extra/over.qcow2" "$(cat $s/image)"
	is '' "$(cat $s/alias)"
	is '' "$(cat $s/parent)"
	is qcow2 "$(cat $s/format)"
	is 2 "$(cat $s/depth)"
	is 0 "$(cat $s/openers)"
	is 0 "$(cat $s/corrupt)"
	is 1048576 "$(cat $s/offset)"
	is 0 "$(cat $s/untrusted)"
	detach
}
