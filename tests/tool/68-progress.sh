# SPDX-License-Identifier: GPL-2.0
# Progress of commands that may take long: one line of JSON for each look, on standard
# error, the last of which says that all is done.
# shellcheck shell=bash

fake_root
image top.qcow2
image other.qcow2

# told: the lines of progress of the last command
told()
{
	grep -a '^{' err
}

# ends NAME WHAT TOTAL
ends()
{
	expect "progress: $1: to the end" is "{\"what\":\"$2\",\"done\":$3,\"total\":$3}" "$(told | tail -n 1)"
}

# shows NAME WHAT COMMAND...: the mock driver is half way through 1,000,000 bytes until a line
# says so, and then does the rest.
shows()
{
	local name=$1 what=$2 worker half

	shift 2
	half="{\"what\":\"$what\",\"done\":500000,\"total\":1000000}"
	: >busy
	: >err
	MOCK_JOB=1000000 MOCK_WAIT=$T/busy MOCK_ROOT=$T/root LD_PRELOAD=$T/mock.so \
		limited "$Q" "$@" --progress=json >out 2>err &
	worker=$!
	for _ in $(seq 600); do
		grep -qF "$half" err && break
		sleep 0.05
	done
	expect "progress: $name: meanwhile" is "$half" "$(head -n 1 err)"
	rm busy
	code=0
	wait $worker || code=$?
	expect "progress: $name: exit code" is 0 $code
	ends "$name" "$what" 1000000
	expect "progress: $name: nothing else" is "" "$(grep -v '^{' err)"
}

shows "resize, larger" Resizing resize qcow0 2G
shows "resize, smaller" Resizing resize --force qcow0 512M
shows "resize, not attached" Resizing resize other.qcow2 2G
shows "snapshot create" Creating snapshot create qcow0 one
shows "snapshot delete" Deleting snapshot delete qcow0 one
MOCK_OPENERS=0 shows "snapshot apply" Applying snapshot apply qcow0 one
shows "detach" Detaching detach qcow0
shows "detach, all" Detaching detach --all

# Another program's operation, which this one waits for
MOCK_JOB=1000 MOCK_JOB_OWNER=2 run with_driver qcowctl resize --progress=json qcow0 2G
expect "progress: of another program" is "0 " "$code $(cat out err)"
MOCK_JOB=1000 MOCK_JOB_OWNER=1 run with_driver qcowctl resize --progress=json qcow0 2G
expect "progress: of this one" is '{"what":"Resizing","done":1000,"total":1000}' "$(tail -n 1 err)"

# An older driver does not say how far it is, and a failure is not the end.
run with_driver qcowctl resize --progress=json qcow0 2G
expect "progress: an older driver" is "0 " "$code $(cat out err)"
MOCK_JOB=1000 MOCK_RESIZE_FAILS=1 MOCK_RESIZE_SAYS="was interrupted" \
	run with_driver qcowctl resize --progress=json qcow0 2G
expect "progress: a failure" is "1 qcowctl: qcow0: was interrupted" "$code $(cat err)"
MOCK_JOB=1000 run with_driver qcowctl resize qcow0 2G
expect "progress: not asked for" is "0 " "$code $(cat out err)"

# A detach that nobody had the time to look at, and one that is tried again
MOCK_JOB=1000 run with_driver qcowctl detach --progress=json qcow0
expect "progress: a short detach" is "0 " "$code $(cat out err)"
MOCK_JOB=1000 MOCK_BUSY=1 run with_driver qcowctl detach --progress=json qcow0
expect "progress: a detach of a busy device" is "0 " "$code $(cat out err)"

# On a terminal nobody has to ask for it.
MOCK_JOB=1000 MOCK_LOOKS=2 typed '' "$Q" detach qcow0 >screen
expect "progress: detach on a terminal" has "Detaching:  50%" screen
mkdir dir
MOCK_JOB=1000 MOCK_LOOKS=2 MOCK_EUID=0 typed '' "${Q%/*}/mount.qcow2" top.qcow2 dir >screen
expect "progress: a mount that is given up, on a terminal" has "Detaching:  50%" screen

# The rest asks no driver.
qemu-io -f qcow2 -c 'write -q 0 1M' -c 'write -q 8M 1M' top.qcow2
run qcowctl map --progress=json top.qcow2
ends "map" Mapping 67108864
cp out table
expect "progress: map: the table is the same" accepts qcowctl map top.qcow2
expect "progress: map: the table is the same" same_content table out
run qcowctl map --plot --progress=json top.qcow2
ends "map --plot" Mapping 67108864
qemu-img bitmap --add top.qcow2 one
qemu-img bitmap --add top.qcow2 two
run qcowctl bitmap list --progress=json top.qcow2
ends "bitmap list" "Reading bitmaps" 2
for how in metadata falloc full; do
	rm -f new.qcow2
	run qcowctl create -o preallocation=$how --progress=json new.qcow2 4M
	expect "progress: create, $how: each to the end" is "" \
		"$(told | jq -s -c 'group_by(.what)[] | last | select(.done != .total)')"
	[ $how = metadata ] || expect "progress: create, $how: data" has '"what":"create","done":' err
	ends "create, $how" "Making tables" 1
done
run qcowctl create --progress=json new2.qcow2 4M
expect "progress: create, nothing to do" is "0 " "$code $(cat out err)"
# An image of another program whose chunks are decompressed before the command goes on, and one
# that ends before its last chunk
truncate -s 1M plain.raw
python3 -B "$here/../foreign/dmg.py" plain.raw packed.dmg codec=bzip2
run with_driver qcowctl attach -r --progress=json packed.dmg
expect "progress: attach" is "0 /dev/qcow0" "$code $(cat out)"
ends "attach" Decompressing 1048576
MOCK_EUID=0 typed '' "${Q%/*}/mount.qcow2" packed.dmg dir -o ro >screen
expect "progress: mount of a dmg on a terminal" has "Decompressing: 100%" screen
run qcowctl map --progress=json packed.dmg
expect "progress: map of a dmg" is "Decompressing Mapping" "$(told | jq -r 'select(.done == .total).what' | paste -sd ' ')"
qemu-img convert -q -O vmdk -o subformat=streamOptimized top.qcow2 stream.vmdk
run qcowctl check --progress=json stream.vmdk
expect "progress: check of a stream: exit code" is 0 "$code"
ends "check of a stream" Decompressing 67108864
# An image without refcounts, whose tables are read to see whether its end was lost
qemu-img convert -q -O qcow top.qcow2 v1.qcow
run with_driver qcowctl attach -r --progress=json v1.qcow
ends "attach of version 1" Checking 67108864
rm plain.raw packed.dmg stream.vmdk v1.qcow
for command in attach detach info "bitmap list" check stream commit create resize "snapshot create" map; do
	# shellcheck disable=SC2086
	expect "progress: $command: of another kind" refuses "is json" qcowctl $command --progress=xml top.qcow2
done
