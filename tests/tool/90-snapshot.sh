# SPDX-License-Identifier: GPL-2.0
# The snapshot command: lists beside QEMU's, arguments, what the driver is asked for.
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
	run "$Q" snapshot list -J "$2"
	same "snapshot: list: $1" "" "$(python3 - <<'END' 2>&1
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
accepts "snapshot: list: table" snapshot list snap.qcow2
has "snapshot: list: columns" '^ID +TAG +VM SIZE +DATE +VM CLOCK +ICOUNT' out
same "snapshot: list: lines" 5 "$(wc -l <out)"
same "snapshot: list: control characters" "" "$(LC_ALL=C grep -nP '[\x00-\x08\x0b-\x1f]' out)"
same "snapshot: list: dates" \
	"$(qemu-img snapshot -l snap.qcow2 | grep -oE '[0-9]{4}-[0-9-]+ [0-9:]{8}')" \
	"$(grep -oE '[0-9]{4}-[0-9-]+ [0-9:]{8}' out)"

image fake.qcow2
qemu-img snapshot -c "$(printf 'a\nb \u202ec\u061cd')" fake.qcow2
run "$Q" snapshot list fake.qcow2
same "snapshot: list: a name that fakes" '1 a\x0ab \xe2\x80\xaec\xd8\x9cd 0 ' "$(tail -n +2 out | tr -s ' ' | grep -oP '^.*? 0 ')"

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
accepts "snapshot: list: large" snapshot list snap.qcow2
has "snapshot: list: clock" '01:02:03.004' out
has "snapshot: list: size" ' 20G ' out

# A lock that somebody else holds keeps nobody from looking.
if command -v qemu-io >/dev/null; then
	mkfifo held
	qemu-io snap.qcow2 <held >/dev/null 2>&1 &
	exec 8>held
	sleep 0.5
	accepts "snapshot: list: locked" snapshot list snap.qcow2
	exec 8>&-
	wait $!
fi

# Damage: too large, past the limits, cut off
table=$(peek snap.qcow2 64 8)
cp snap.qcow2 bad.qcow2
poke bad.qcow2 $((table + 36)) 4 2000
refuses "snapshot: extra data" "snapshot table is damaged" snapshot list bad.qcow2
cp snap.qcow2 bad.qcow2
poke bad.qcow2 "$table" 8 0x123
refuses "snapshot: L1 table" "snapshot table is damaged" snapshot list bad.qcow2
cp snap.qcow2 bad.qcow2
poke bad.qcow2 60 4 70000
refuses "snapshot: too many" "snapshots" snapshot list bad.qcow2

# Arguments
refuses "snapshot: nothing" "takes list and an image" snapshot
refuses "snapshot: no image" "takes list and an image" snapshot list
refuses "snapshot: no name" "takes list and an image" snapshot create snap.qcow2
refuses "snapshot: two names" "takes list and an image" snapshot create snap.qcow2 a b
refuses "snapshot: a name to list" "takes list and an image" snapshot list snap.qcow2 a
refuses "snapshot: other word" 'cannot "revert"' snapshot revert snap.qcow2 a
refuses "snapshot: option" "unknown or incomplete option -x" snapshot -x list snap.qcow2
refuses "snapshot: empty name" "has 1 to 255 bytes" snapshot create snap.qcow2 ""
refuses "snapshot: long name" "has 1 to 255 bytes" snapshot create snap.qcow2 "$(printf '%0256d' 1)"
refuses "snapshot: long id" "has 1 to 1023 bytes" snapshot delete snap.qcow2 "$(printf '%01024d' 1)"
refuses "snapshot: missing image" "missing.qcow2: " snapshot list missing.qcow2
refuses "snapshot: raw" "disk.raw: " snapshot list disk.raw
accepts "snapshot: help" snapshot --help

# What the driver is asked for
asks()
{
	local name=$1 expected=$2

	shift 2
	with_driver "$Q" snapshot "$@"
	same "snapshot: $name" "0 $expected" "$code $(grep -v '^image' root/log |
		sed 's/size=[0-9]* //; s/ offset=.*//')"
}

asks "create" "attach flags=0x28 index=-1
snapshot op=1 index=0 flags=0 name=new one
detach flags=0 index=0" create snap.qcow2 "new one"
same "snapshot: the image is written" "fd=rw:$T/snap.qcow2" "$(grep -o 'fd=[^ ]*' root/log)"
asks "delete of a device" "snapshot op=2 index=0 flags=0 name=a" delete /dev/qcow0 a
asks "apply to a device" "snapshot op=3 index=0 flags=0 name=a" apply qcow0 a
asks "-v" "snapshot op=1 index=0 flags=0 name=a" -v create qcow0 a
has "snapshot: -v" '^created: id 7, .*1\.234 ms' out
asks "--json" "snapshot op=1 index=0 flags=0 name=a" --json create qcow0 a
same "snapshot: --json" 1234567 "$(python3 -c 'import json; print(json.load(open("out"))["stopped-nsec"])')"
MOCK_SNAPSHOT_ERRNO=2 MOCK_MSG="has no such thing" \
	with_driver_refuses "snapshot: failure" "snap.qcow2: has no such thing" snapshot delete snap.qcow2 a
has "snapshot: detached all the same" '^detach' root/log
MOCK_SNAPSHOT_ERRNO=19 with_driver_refuses "snapshot: no device" "no such device" snapshot delete qcow0 a
MOCK_SNAPSHOT_ERRNO=25 with_driver_refuses "snapshot: an old driver" "too old" snapshot delete qcow0 a
MOCK_SNAPSHOT_ERRNO=16 with_driver "$Q" snapshot apply qcow0 a
same "snapshot: in use" 1 "$code"
has "snapshot: in use" 'is in use' err

# Names that the shell would do something with, offered by the completion of bash
qemu-img create -q -f qcow2 hostile.qcow2 1M
# shellcheck disable=SC2016
for name in 'plain' 'two words' '$(touch pwned)' '`touch pwned`' '$IFS' '~' "it's"; do
	qemu-img snapshot -c "$name" hostile.qcow2
done
# shellcheck disable=SC2016
mkdir -p 'dir$(touch pwned)'

# offered WORD...: what a TAB after "qcowctl WORD..." offers, a line each
offered()
{
	PATH=$(dirname "$Q"):$PATH bash -c '
		. <(sed "s|/sys/block|root&|" "$1"); shift
		COMP_WORDS=(qcowctl "$@") COMP_CWORD=$#
		_qcowctl
		[ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\n" "${COMPREPLY[@]}"
	' bash "$here/../../userspace/completion/qcowctl" "$@" 2>/dev/null
}

same "completion: snapshots" 'plain two\ words \$\(touch\ pwned\) \`touch\ pwned\` \$IFS \~ it'"\'s" \
	"$(offered snapshot apply hostile.qcow2 "" | paste -sd ' ')"
same "completion: the one" 'plain' "$(offered snapshot delete hostile.qcow2 p)"
# shellcheck disable=SC2016
same "completion: folders" 'dir$(touch pwned)' "$(offered attach --backing 'dir$')"
same "completion: formats" 'qcow2 qcow' "$(offered attach -f qc | paste -sd ' ')"
same "completion: commands" 'detach' "$(offered det)"
# In --option=value the = is a word of its own.
same "completion: = and nothing yet" 'on off auto' "$(offered attach --direct-io = | paste -sd ' ')"
same "completion: = and a letter" 'all' "$(offered check --repair = a | paste -sd ' ')"
same "completion: --progress=" 'json' "$(offered check --progress =)"
same "completion: snapshots behind =" 'plain' "$(offered snapshot delete --key-file = disk.raw hostile.qcow2 p)"
same "completion: snapshots behind a value" 'plain' "$(offered snapshot delete --key-file disk.raw hostile.qcow2 p)"
same "completion: devices" '/dev/qcow0 qcow0' "$(offered detach "" | paste -sd ' ')"
same "completion: a short name" 'qcow0' "$(offered detach q)"
same "completion: a device with a snapshot" '/dev/qcow0' "$(offered snapshot create /dev/)"
same "completion: nothing of it is run" "" "$(ls pwned 2>/dev/null)"
