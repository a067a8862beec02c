# SPDX-License-Identifier: GPL-2.0
# The snapshot command: lists beside QEMU's, arguments, requests to the driver.
# shellcheck shell=bash

fake_root
image snap.qcow2
image none.qcow2
image v2.qcow2 -o compat=0.10
for i in 1 2 3; do
	qemu-img snapshot -c "state $i" snap.qcow2
done
qemu-img snapshot -c old v2.qcow2
printf 'tab\there' >name
qemu-img snapshot -c "$(cat name)" snap.qcow2
truncate -s 1M disk.raw

# same_list NAME IMAGE: the keys of qemu-img info
same_list()
{
	qemu-img info -U --output=json "$2" >theirs
	run qcowctl snapshot list -J "$2"
	expect "snapshot: list: $1" is "" "$(python3 - <<'END' 2>&1
import json
theirs = json.load(open("theirs")).get("snapshots", [])
ours = json.load(open("out"))["snapshots"]
if len(ours) != len(theirs):
    print(len(ours), "not", len(theirs))
for a, b in zip(theirs, ours):
    for key in a:
        if a[key] != b.get(key):
            print(key, "is", b.get(key), "not", a[key])
END
)"
}

same_list "several" snap.qcow2
same_list "none" none.qcow2
same_list "version 2" v2.qcow2
expect "snapshot: list: table" accepts qcowctl snapshot list snap.qcow2
expect "snapshot: list: columns" has '^ID +TAG +VM SIZE +DATE +VM CLOCK +ICOUNT' out
expect "snapshot: list: lines" is 5 "$(wc -l <out)"
expect "snapshot: list: control characters" is "" "$(LC_ALL=C grep -nP '[\x00-\x08\x0b-\x1f]' out)"
expect "snapshot: list: dates" is \
	"$(qemu-img snapshot -l snap.qcow2 | grep -oE '[0-9]{4}-[0-9-]+ [0-9:]{8}')" \
	"$(grep -oE '[0-9]{4}-[0-9-]+ [0-9:]{8}' out)"

image fake.qcow2
qemu-img snapshot -c "$(printf 'a\nb \u202ec\u061cd')" fake.qcow2
run qcowctl snapshot list fake.qcow2
expect "snapshot: list: a name that fakes" is '1 a\x0ab \xe2\x80\xaec\xd8\x9cd 0 ' "$(tail -n +2 out | tr -s ' ' | grep -oP '^.*? 0 ')"

# A large state, an instruction count, more extra data than is known
python3 - <<'END'
import struct
with open("snap.qcow2", "r+b") as f:
    f.seek(64)
    table = struct.unpack(">Q", f.read(8))[0]
    f.seek(table + 24)
    f.write(struct.pack(">Q", 3723004000000))
    f.seek(table + 36)
    extra = struct.unpack(">I", f.read(4))[0]
    f.write(struct.pack(">Q", 5 << 32))
    if extra >= 24:
        f.seek(table + 56)
        f.write(struct.pack(">Q", 77))
END
same_list "state of a machine" snap.qcow2
expect "snapshot: list: large" accepts qcowctl snapshot list snap.qcow2
expect "snapshot: list: clock" has '01:02:03.004' out
expect "snapshot: list: size" has ' 20G ' out

# A lock that somebody else holds keeps nobody from looking.
if command -v qemu-io >/dev/null; then
	mkfifo held
	qemu-io snap.qcow2 <held >/dev/null 2>&1 &
	exec 8>held
	sleep 0.5
	expect "snapshot: list: locked" accepts qcowctl snapshot list snap.qcow2
	exec 8>&-
	wait $!
fi

# Damage: too large, past the limits, cut off
table=$(peek snap.qcow2 64 8)
cp snap.qcow2 bad.qcow2
poke bad.qcow2 $((table + 36)) 4 2000
expect "snapshot: extra data" refuses "snapshot table is damaged" qcowctl snapshot list bad.qcow2
cp snap.qcow2 bad.qcow2
poke bad.qcow2 "$table" 8 0x123
expect "snapshot: L1 table" refuses "snapshot table is damaged" qcowctl snapshot list bad.qcow2
cp snap.qcow2 bad.qcow2
poke bad.qcow2 60 4 70000
expect "snapshot: too many" refuses "snapshots" qcowctl snapshot list bad.qcow2

# Arguments
expect "snapshot: nothing" refuses "takes list and an image" qcowctl snapshot
expect "snapshot: no image" refuses "takes list and an image" qcowctl snapshot list
expect "snapshot: no name" refuses "takes list and an image" qcowctl snapshot create snap.qcow2
expect "snapshot: two names" refuses "takes list and an image" qcowctl snapshot create snap.qcow2 a b
expect "snapshot: a name to list" refuses "takes list and an image" qcowctl snapshot list snap.qcow2 a
expect "snapshot: other word" refuses 'cannot "revert"' qcowctl snapshot revert snap.qcow2 a
expect "snapshot: option" refuses "unknown or incomplete option -x" qcowctl snapshot -x list snap.qcow2
expect "snapshot: empty name" refuses "has 1 to 255 bytes" qcowctl snapshot create snap.qcow2 ""
expect "snapshot: long name" refuses "has 1 to 255 bytes" \
	qcowctl snapshot create snap.qcow2 "$(printf '%0256d' 1)"
expect "snapshot: long id" refuses "has 1 to 1023 bytes" \
	qcowctl snapshot delete snap.qcow2 "$(printf '%01024d' 1)"
expect "snapshot: missing image" refuses "missing.qcow2: " qcowctl snapshot list missing.qcow2
expect "snapshot: raw" refuses "disk.raw: " qcowctl snapshot list disk.raw
expect "snapshot: help" accepts qcowctl snapshot --help

# Requests to the driver
asks()
{
	local name=$1 expected=$2

	shift 2
	run with_driver qcowctl snapshot "$@"
	expect "snapshot: $name" is "0 $expected" "$code $(grep -v '^image' root/log |
		sed 's/size=[0-9]* //; s/ offset=.*//')"
}

asks "create" "attach flags=0x28 index=-1
snapshot op=1 index=0 flags=0 name=new one
detach flags=0 index=0" create snap.qcow2 "new one"
expect "snapshot: the image is written" is "fd=rw:$T/snap.qcow2" "$(grep -o 'fd=[^ ]*' root/log)"
asks "delete of a device" "snapshot op=2 index=0 flags=0 name=a" delete /dev/qcow0 a
asks "apply to a device" "snapshot op=3 index=0 flags=0 name=a" apply qcow0 a
asks "-v" "snapshot op=1 index=0 flags=0 name=a" -v create qcow0 a
expect "snapshot: -v" has '^created: id 7, .*1\.234 ms' out
asks "--json" "snapshot op=1 index=0 flags=0 name=a" --json create qcow0 a
expect "snapshot: --json" is 1234567 "$(python3 -c 'import json; print(json.load(open("out"))["stopped-nsec"])')"
MOCK_SNAPSHOT_ERRNO=2 MOCK_MSG="has no such thing" \
	expect "snapshot: failure" refuses "snap.qcow2: has no such thing" \
		with_driver qcowctl snapshot delete snap.qcow2 a
expect "snapshot: detached all the same" has '^detach' root/log
MOCK_SNAPSHOT_ERRNO=19 expect "snapshot: no device" refuses "no such device" \
	with_driver qcowctl snapshot delete qcow0 a
MOCK_SNAPSHOT_ERRNO=25 expect "snapshot: an old driver" refuses "too old" \
	with_driver qcowctl snapshot delete qcow0 a
MOCK_SNAPSHOT_ERRNO=16 run with_driver qcowctl snapshot apply qcow0 a
expect "snapshot: in use" is 1 "$code"
expect "snapshot: in use" has 'is in use' err

# Names that the shell would do something with, offered by the completion of bash
qemu-img create -q -f qcow2 hostile.qcow2 1M
# shellcheck disable=SC2016
for name in 'plain' 'two words' '$(touch pwned)' '`touch pwned`' '$IFS' '~' "it's"; do
	qemu-img snapshot -c "$name" hostile.qcow2
done
# shellcheck disable=SC2016
mkdir -p 'dir$(touch pwned)'

expect "completion: snapshots" is 'plain two\ words \$\(touch\ pwned\) \`touch\ pwned\` \$IFS \~ it'"\'s" \
	"$(offered snapshot apply hostile.qcow2 "" | paste -sd ' ')"
expect "completion: the one" is 'plain' "$(offered snapshot delete hostile.qcow2 p)"
# shellcheck disable=SC2016
expect "completion: folders" is 'dir$(touch pwned)' "$(offered attach --backing 'dir$')"
expect "completion: formats" is 'qcow2 qcow' "$(offered attach -f qc | paste -sd ' ')"
expect "completion: commands" is 'detach' "$(offered det)"
# In --option=value the = is a word of its own.
expect "completion: = and nothing yet" is 'on off auto' "$(offered attach --direct-io = | paste -sd ' ')"
expect "completion: = and a letter" is 'all' "$(offered check --repair = a | paste -sd ' ')"
expect "completion: --progress=" is 'json' "$(offered check --progress =)"
expect "completion: snapshots behind =" is 'plain' "$(offered snapshot delete --key-file = disk.raw hostile.qcow2 p)"
expect "completion: snapshots behind a value" is 'plain' "$(offered snapshot delete --key-file disk.raw hostile.qcow2 p)"
expect "completion: devices" is '/dev/qcow0 qcow0' "$(offered detach "" | paste -sd ' ')"
expect "completion: a short name" is 'qcow0' "$(offered detach q)"
expect "completion: a device with a snapshot" is '/dev/qcow0' "$(offered snapshot create /dev/)"
expect "completion: nothing of it is run" is "" "$(ls pwned 2>/dev/null)"
