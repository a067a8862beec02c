# SPDX-License-Identifier: GPL-2.0
# Images that QEMU has open, and QEMU for images that we have. shellcheck shell=bash

# qemu_opens NAME ARGUMENTS...: qemu-io can open the image.
qemu_opens()
{
	expect "$1" exits 0 '' qemu-io -c length "${@:2}"
}

# qemu_refuses NAME ARGUMENTS...: qemu-io finds a lock that is in its way.
qemu_refuses()
{
	expect "$1" exits 1 "Failed to get (shared )?\"[a-z ]*\" lock|Is another process" \
		qemu-io -c length "${@:2}"
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
expect "written by QEMU" refuses "base.qcow2: in use: another program writes to it.*may be held by qemu-io pid $holder.*shut it down" \
	qcowctl attach base.qcow2
expect "written by QEMU, -r" refuses "base.qcow2: in use: another program writes to it" \
	qcowctl attach -r base.qcow2
expect "written by QEMU, as raw" refuses "base.qcow2: in use" qcowctl attach -f raw base.qcow2
expect "backing file written by QEMU" refuses "base.qcow2: in use" qcowctl attach top.qcow2
expect "backing file written by QEMU, -r" refuses "base.qcow2: in use" qcowctl attach -r top.qcow2
expect "written by QEMU: info" accepts qcowctl info --chain top.qcow2
release

hold -r -f qcow2 base.qcow2
expect "read by QEMU" refuses "base.qcow2: in use: another program reads it and forbids writing.*may be held by qemu-io pid $holder\);" \
	qcowctl attach base.qcow2
expect "read by QEMU, -r" attaches -r base.qcow2
expect "read by QEMU, --untrusted" attaches --untrusted base.qcow2
expect "backing file read by QEMU" attaches top.qcow2
MOCK_UNWRITABLE=/base.qcow2 run with_driver qcowctl attach base.qcow2
expect "read by QEMU, not writable" is "0 /dev/qcow0" "$code $(cat out)"
release

hold -f qcow2 top.qcow2
expect "overlay written by QEMU" refuses "top.qcow2: in use" qcowctl attach top.qcow2
expect "overlay written by QEMU: its backing file" refuses \
	"base.qcow2: in use: another program reads it" qcowctl attach base.qcow2
expect "overlay written by QEMU: its backing file, -r" attaches -r base.qcow2
release

hold -U -r -f qcow2 base.qcow2
expect "read by QEMU with force-share" attaches base.qcow2
release

image ext.qcow2 -o data_file=ext.raw
hold -f qcow2 ext.qcow2
expect "data file: image written" refuses "ext.qcow2: in use" qcowctl attach ext.qcow2
expect "data file written" refuses "ext.raw: in use" qcowctl attach -f raw ext.raw
release
hold -f raw ext.raw
expect "data file written as raw" refuses "ext.raw: in use: another program writes to it" \
	qcowctl attach ext.qcow2
expect "data file written as raw, -r" refuses "ext.raw: in use: another program writes to it" \
	qcowctl attach -r ext.qcow2
release
hold -r -f qcow2 ext.qcow2
expect "data file read" refuses "ext.qcow2: in use: another program reads it" qcowctl attach ext.qcow2
expect "data file read, as raw" refuses "ext.raw: in use: another program reads it" \
	qcowctl attach -f raw ext.raw
expect "data file read, -r" attaches -r ext.qcow2
release
expect "nobody holds it" attaches ext.qcow2

# The other way round.
expect "held" holds top.qcow2
expect "held: locks" is "100 101 103 201 203" "$(locks probe top.qcow2)"
expect "held: locks of the backing file" is "100 201 203" "$(locks probe base.qcow2)"
qemu_refuses "held: to write" -f qcow2 top.qcow2
qemu_refuses "held: to read" -r -f qcow2 top.qcow2
qemu_opens "held: to read with force-share" -U -r -f qcow2 top.qcow2
qemu_refuses "held: backing file, to write" -f qcow2 base.qcow2
qemu_opens "held: backing file, to read" -r -f qcow2 base.qcow2
expect "held: once more" refuses \
	"top.qcow2: in use: another program writes to it .*may be held by /dev/qcow0\);" \
	with_driver qcowctl attach top.qcow2
expect "held: once more, -r" refuses \
	"top.qcow2: in use: another program writes to it .*may be held by /dev/qcow0\);" \
	with_driver qcowctl attach -r top.qcow2
ln -f top.qcow2 hard.qcow2
expect "held: once more, by a hard link" refuses "hard.qcow2: in use: .*/dev/qcow0\);" \
	with_driver qcowctl attach hard.qcow2
expect "held: its backing file" refuses \
	"base.qcow2: in use: another program reads it .*held by /dev/qcow0 as a backing or data file\);" \
	with_driver qcowctl attach base.qcow2
expect "held: its backing file, -r" attaches -r base.qcow2
image other.qcow2 -b base.qcow2 -F qcow2
expect "held: another overlay" attaches other.qcow2
for n in 1 2 3 4; do
	mkdir -p root/sys/block/qcow$n/qcow
	echo qcow2 >root/sys/block/qcow$n/qcow/format
	echo "$T/none$n.qcow2" >root/sys/block/qcow$n/qcow/image
	echo "1 3 image $T/base.qcow2" >root/sys/block/qcow$n/files
done
rm root/sys/block/qcow1/files
expect "held: three suspects" refuses "held by /dev/qcow0 as[^,]*, /dev/qcow2 as[^,]*, /dev/qcow3 as a backing or data file\);" \
	with_driver qcowctl attach base.qcow2
expect "held: no device that has not got it" is "" "$(grep -a qcow1 err)"
# A driver that does not tell, as it is old or asked by a user: none is named by a guess.
for errno in 25 1; do
	MOCK_FILE_ERRNO=$errno expect "held: unknown, error $errno" refuses \
		"\(QEMU's lock; may be a backing or data file of a device, as qcowctl info --chain tells root\);" \
		with_driver qcowctl attach base.qcow2
	expect "held: unknown, error $errno: no device is named" is "" "$(grep -a /dev/qcow err)"
	MOCK_FILE_ERRNO=$errno expect "held: unknown, error $errno: the image" refuses \
		"may be held by /dev/qcow0\);" with_driver qcowctl attach top.qcow2
	MOCK_LOCKS_ERRNO=95 MOCK_FILE_ERRNO=$errno expect "held: unknown, error $errno, no locks: not in the way" attaches \
		other.qcow2
done
rm -r root/sys/block/qcow[1-4]
rm root/sys/block/qcow0/files
expect "held: no suspect" refuses "reads it and forbids writing \(QEMU's lock\);" \
	with_driver qcowctl attach base.qcow2
fake_root
let_go
expect "let go: locks" is "" "$(locks probe top.qcow2)"
qemu_opens "let go" -f qcow2 top.qcow2

expect "held, -r" holds -r top.qcow2
expect "held, -r: locks" is "100 201 203" "$(locks probe top.qcow2)"
qemu_refuses "held, -r: to write" -f qcow2 top.qcow2
qemu_opens "held, -r: to read" -r -f qcow2 top.qcow2
expect "held, -r: once more, -r" attaches -r top.qcow2
expect "held, -r: once more" refuses \
	"top.qcow2: in use: another program reads it .*may be held by /dev/qcow0\);" \
	with_driver qcowctl attach top.qcow2
let_go

expect "data file held" holds ext.qcow2
expect "data file held: locks of the image" is "100 101 103 201 203" "$(locks probe ext.qcow2)"
expect "data file held: locks" is "100 101 103 201 203" "$(locks probe ext.raw)"
qemu_refuses "data file held: to write" -f raw ext.raw
qemu_refuses "data file held: the image, to read" -r -f qcow2 ext.qcow2
let_go
MOCK_UNWRITABLE=/ext.raw MOCK_HOLD=$T/held run with_driver qcowctl attach ext.qcow2
expect "data file not writable" is "0 /dev/qcow0" "$code $(cat out)"
expect "data file not writable: locks of the image" is "100 201 203" "$(locks probe ext.qcow2)"
expect "data file not writable: its locks" is "100 201 203" "$(locks probe ext.raw)"
qemu_opens "data file not writable: to read" -r -f qcow2 ext.qcow2
let_go
MOCK_HOLD=$T/held MOCK_ERRNO=5 expect "refused by the driver" refuses "error" \
	with_driver qcowctl attach ext.qcow2
expect "refused by the driver: locks" is "" "$(locks probe ext.qcow2)"

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
expect "held by a command" refuses \
	"top.qcow2: in use: .*may be held by qcowctl pid $worker\);" \
	with_driver qcowctl attach top.qcow2
expect "held by a command: backing file" refuses \
	"base.qcow2: in use: .*may be held by qcowctl pid $worker\);" \
	with_driver qcowctl attach base.qcow2
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
			expect "byte $byte: to $how" refuses "base.qcow2: in use" \
				qcowctl attach $flags base.qcow2
		else
			expect "byte $byte: to $how" attaches $flags base.qcow2
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
