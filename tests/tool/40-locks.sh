# SPDX-License-Identifier: GPL-2.0
# Images that QEMU has open, and QEMU for images that we have. shellcheck shell=bash

# qemu_opens NAME ARGUMENTS..., qemu_refuses NAME ARGUMENTS...: of qemu-io
qemu_opens()
{
	local name=$1

	shift
	if qemu-io -c length "$@" >out 2>&1; then
		pass "$name"
	else
		fail "$name: QEMU does not open it" "$(cat out)"
	fi
}

qemu_refuses()
{
	local name=$1

	shift
	if qemu-io -c length "$@" >out 2>&1; then
		fail "$name: QEMU opens it"
	else
		has "$name" "Failed to get (shared )?\"[a-z ]*\" lock|Is another process" out
	fi
}

# locks probe FILE: the bytes that others have locked. locks hold FILE BYTE: lock
# one until stdin ends.
locks()
{
	python3 -c 'import fcntl, os, struct, sys
def flock(command, kind, byte):
    l = struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0)
    return struct.unpack("hhqqi4x", fcntl.fcntl(f, command, l))[0]
f = open(sys.argv[2], "r+b")
if sys.argv[1] == "probe":
    print(*[b for b in range(300)
            if flock(fcntl.F_OFD_GETLK, fcntl.F_WRLCK, b) != fcntl.F_UNLCK])
else:
    flock(fcntl.F_OFD_SETLK, fcntl.F_RDLCK, int(sys.argv[3]))
    print("locked", flush=True)
    sys.stdin.read()' "$@"
}

# hold_byte FILE BYTE, until release
hold_byte()
{
	rm -f hold.in hold.out
	mkfifo hold.in
	: >hold.out
	locks hold "$@" <hold.in >hold.out 2>&1 &
	holder=$!
	exec 9>hold.in
	for _ in $(seq 200); do
		grep -q locked hold.out && return
		sleep 0.05
	done
}

fake_root
image base.qcow2
image top.qcow2 -b base.qcow2 -F qcow2

hold -f qcow2 base.qcow2
refuses "written by QEMU" "base.qcow2: in use: another program writes to it.*may be held by qemu-io pid $holder.*shut it down" \
	attach base.qcow2
refuses "written by QEMU, -r" "base.qcow2: in use: another program writes to it" attach -r base.qcow2
refuses "written by QEMU, as raw" "base.qcow2: in use" attach -f raw base.qcow2
refuses "backing file written by QEMU" "base.qcow2: in use" attach top.qcow2
refuses "backing file written by QEMU, -r" "base.qcow2: in use" attach -r top.qcow2
accepts "written by QEMU: info" info --chain top.qcow2
release

hold -r -f qcow2 base.qcow2
refuses "read by QEMU" "base.qcow2: in use: another program reads it and forbids writing.*may be held by qemu-io pid $holder\);" \
	attach base.qcow2
attaches "read by QEMU, -r" -r base.qcow2
attaches "read by QEMU, --untrusted" --untrusted base.qcow2
attaches "backing file read by QEMU" top.qcow2
MOCK_UNWRITABLE=/base.qcow2 with_driver "$Q" attach base.qcow2
same "read by QEMU, not writable" "0 /dev/qcow0" "$code $(cat out)"
release

hold -f qcow2 top.qcow2
refuses "overlay written by QEMU" "top.qcow2: in use" attach top.qcow2
refuses "overlay written by QEMU: its backing file" \
	"base.qcow2: in use: another program reads it" attach base.qcow2
attaches "overlay written by QEMU: its backing file, -r" -r base.qcow2
release

hold -U -r -f qcow2 base.qcow2
attaches "read by QEMU with force-share" base.qcow2
release

image ext.qcow2 -o data_file=ext.raw
hold -f qcow2 ext.qcow2
refuses "data file: image written" "ext.qcow2: in use" attach ext.qcow2
refuses "data file written" "ext.raw: in use" attach -f raw ext.raw
release
hold -f raw ext.raw
refuses "data file written as raw" "ext.raw: in use: another program writes to it" attach ext.qcow2
refuses "data file written as raw, -r" "ext.raw: in use: another program writes to it" attach -r ext.qcow2
release
hold -r -f qcow2 ext.qcow2
refuses "data file read" "ext.qcow2: in use: another program reads it" attach ext.qcow2
refuses "data file read, as raw" "ext.raw: in use: another program reads it" attach -f raw ext.raw
attaches "data file read, -r" -r ext.qcow2
release
attaches "nobody holds it" ext.qcow2

# The other way round.
holds "held" top.qcow2
same "held: locks" "100 101 103 201 203" "$(locks probe top.qcow2)"
same "held: locks of the backing file" "100 201 203" "$(locks probe base.qcow2)"
qemu_refuses "held: to write" -f qcow2 top.qcow2
qemu_refuses "held: to read" -r -f qcow2 top.qcow2
qemu_opens "held: to read with force-share" -U -r -f qcow2 top.qcow2
qemu_refuses "held: backing file, to write" -f qcow2 base.qcow2
qemu_opens "held: backing file, to read" -r -f qcow2 base.qcow2
with_driver_refuses "held: once more" \
	"top.qcow2: in use: another program writes to it .*may be held by /dev/qcow0\);" attach top.qcow2
with_driver_refuses "held: once more, -r" \
	"top.qcow2: in use: another program writes to it .*may be held by /dev/qcow0\);" attach -r top.qcow2
ln -f top.qcow2 hard.qcow2
with_driver_refuses "held: once more, by a hard link" "hard.qcow2: in use: .*/dev/qcow0\);" attach hard.qcow2
with_driver_refuses "held: its backing file" \
	"base.qcow2: in use: another program reads it .*held by /dev/qcow0 as a backing or data file\);" attach base.qcow2
attaches "held: its backing file, -r" -r base.qcow2
image other.qcow2 -b base.qcow2 -F qcow2
attaches "held: another overlay" other.qcow2
for n in 1 2 3 4; do
	mkdir -p root/sys/block/qcow$n/qcow
	echo qcow2 >root/sys/block/qcow$n/qcow/format
	echo "$T/none$n.qcow2" >root/sys/block/qcow$n/qcow/image
	echo "1 3 image $T/base.qcow2" >root/sys/block/qcow$n/files
done
rm root/sys/block/qcow1/files
with_driver_refuses "held: three suspects" "held by /dev/qcow0 as[^,]*, /dev/qcow2 as[^,]*, /dev/qcow3 as a backing or data file\);" \
	attach base.qcow2
same "held: no device that has not got it" "" "$(grep -a qcow1 err)"
# A driver that does not tell, as it is old or asked by a user: none is named by a guess.
for errno in 25 1; do
	MOCK_FILE_ERRNO=$errno with_driver_refuses "held: unknown, error $errno" \
		"\(QEMU's lock; may be a backing or data file of a device, as qcowctl info --chain tells root\);" \
		attach base.qcow2
	same "held: unknown, error $errno: no device is named" "" "$(grep -a /dev/qcow err)"
	MOCK_FILE_ERRNO=$errno with_driver_refuses "held: unknown, error $errno: the image" \
		"may be held by /dev/qcow0\);" attach top.qcow2
	MOCK_LOCKS_ERRNO=95 MOCK_FILE_ERRNO=$errno attaches "held: unknown, error $errno, no locks: not in the way" \
		other.qcow2
done
rm -r root/sys/block/qcow[1-4]
rm root/sys/block/qcow0/files
with_driver_refuses "held: no suspect" "reads it and forbids writing \(QEMU's lock\);" attach base.qcow2
fake_root
let_go
same "let go: locks" "" "$(locks probe top.qcow2)"
qemu_opens "let go" -f qcow2 top.qcow2

holds "held, -r" -r top.qcow2
same "held, -r: locks" "100 201 203" "$(locks probe top.qcow2)"
qemu_refuses "held, -r: to write" -f qcow2 top.qcow2
qemu_opens "held, -r: to read" -r -f qcow2 top.qcow2
attaches "held, -r: once more, -r" -r top.qcow2
with_driver_refuses "held, -r: once more" \
	"top.qcow2: in use: another program reads it .*may be held by /dev/qcow0\);" attach top.qcow2
let_go

holds "data file held" ext.qcow2
same "data file held: locks of the image" "100 101 103 201 203" "$(locks probe ext.qcow2)"
same "data file held: locks" "100 101 103 201 203" "$(locks probe ext.raw)"
qemu_refuses "data file held: to write" -f raw ext.raw
qemu_refuses "data file held: the image, to read" -r -f qcow2 ext.qcow2
let_go
MOCK_UNWRITABLE=/ext.raw MOCK_HOLD=$T/held with_driver "$Q" attach ext.qcow2
same "data file not writable" "0 /dev/qcow0" "$code $(cat out)"
same "data file not writable: locks of the image" "100 201 203" "$(locks probe ext.qcow2)"
same "data file not writable: its locks" "100 201 203" "$(locks probe ext.raw)"
qemu_opens "data file not writable: to read" -r -f qcow2 ext.qcow2
let_go
MOCK_HOLD=$T/held MOCK_ERRNO=5 with_driver_refuses "refused by the driver" "error" attach ext.qcow2
same "refused by the driver: locks" "" "$(locks probe ext.qcow2)"

# A command at work on an image that is not attached: its device is nobody else's to
# see, and the ones that can be seen have nothing to do with it.
fake_root
echo "$T/ext.qcow2" >root/sys/block/qcow0/qcow/image
echo "0 3 data $T/ext.raw" >root/sys/block/qcow0/files
: >busy
MOCK_ROOT=$T/root LD_PRELOAD=$T/mock.so MOCK_HOLD=$T/held MOCK_WAIT=$T/busy \
	"$Q" snapshot create top.qcow2 x &
worker=$!
for _ in $(seq 200); do
	grep -qs ^snapshot root/log && break
	sleep 0.05
done
with_driver_refuses "held by a command" \
	"top.qcow2: in use: .*may be held by qcowctl pid $worker\);" attach top.qcow2
with_driver_refuses "held by a command: backing file" \
	"base.qcow2: in use: .*may be held by qcowctl pid $worker\);" attach base.qcow2
rm busy
wait $worker
let_go
fake_root

# Byte by byte: which locks of others stand in the way.
while read -r byte write read; do
	hold_byte base.qcow2 "$byte"
	for how in write read; do
		flags=
		[ $how = write ] || flags=-r
		# shellcheck disable=SC2086
		if [ "${!how}" = no ]; then
			refuses "byte $byte: to $how" "base.qcow2: in use" attach $flags base.qcow2
		else
			attaches "byte $byte: to $how" $flags base.qcow2
		fi
	done
	release
done <<'END'
100 yes yes
101 no no
102 yes yes
103 no no
200 no no
201 no yes
202 yes yes
203 no yes
END
