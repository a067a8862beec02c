# SPDX-License-Identifier: GPL-2.0
# Helpers of run.sh. shellcheck shell=bash
. "$here/../lib/bytes.sh"

# limited COMMAND...: ends a command that hangs.
limited()
{
	timeout 60 ${WRAP:-} "$@"
}

# qcowctl ARGUMENTS...: the program under test
qcowctl()
{
	limited "$Q" "$@"
}

# image NAME [qemu-img create arguments...]
image()
{
	local name=$1

	shift
	rm -f "$name"
	qemu-img create -q -f qcow2 "$@" "$name" 64M
}

# luks_image NAME SECRETFILE OPTIONS...: QEMU measures how fast it can hash, and
# fails if it was given no tick meanwhile.
luks_image()
{
	local name=$1 secret=$2 i

	shift 2
	for ((i = 0; i < 100; i++)); do
		rm -f "$name"
		qemu-img create -q -f qcow2 --object secret,id=k,file="$secret" \
			-o encrypt.format=luks,encrypt.key-secret=k,encrypt.iter-time=10 \
			"$@" "$name" 1M 2>luks.err && break
	done
}

# leaking NAME: one leaked cluster, in an image of 4 KiB clusters.
leaking()
{
	local size

	size=$(stat -c %s "$1")
	truncate -s $((size + 4096)) "$1"
	poke "$1" $(($(peek "$1" "$(peek "$1" 48 8)" 8) + 2 * (size / 4096))) 2 1
}

# backing FILE NAME [FORMAT]: write a backing file's name without looking.
backing()
{
	if [ -n "$3" ]; then
		qemu-img rebase -u -b "$2" -F "$3" "$1" 2>/dev/null
	else
		qemu-img rebase -u -b "$2" "$1" 2>/dev/null
	fi
	# qemu-img looks at some names; then write the bytes.
	grep -aqF -- "$2" "$1" && return
	python3 -c 'import sys
name = sys.argv[2].encode("utf-8", "surrogateescape")
with open(sys.argv[1], "r+b") as f:
    f.seek(8)
    f.write((0x400).to_bytes(8, "big") + len(name).to_bytes(4, "big"))
    f.seek(0x400)
    f.write(name)' "$1" "$2"
}

# with_driver COMMAND...: the command finds the mock driver, whose log is root/log.
with_driver()
{
	rm -f root/log
	MOCK_ROOT=$T/root LD_PRELOAD=$T/mock.so "$@"
}

# attaches ARGUMENTS...: an assertion: the mock driver attaches the image.
attaches()
{
	accepts with_driver qcowctl attach "$@" || return
	is /dev/qcow0 "$(cat out)"
}

# The images that the mock driver got last, their names without this folder's.
attached()
{
	grep -a '^image ' root/log | sed "s|$T/||g"
}

# holds ARGUMENTS...: an assertion: as attaches, but the mock driver keeps the files
# until let_go.
holds()
{
	MOCK_HOLD=$T/held attaches "$@"
}

let_go()
{
	local pid

	[ -s "$T/held" ] || { rm -f "$T/held"; return; }
	pid=$(cat "$T/held")
	kill "$pid" 2>/dev/null
	# Its locks go when its files are closed, before it is a zombie.
	while grep -qs '^State:.[^ZX]' "/proc/$pid/status"; do
		sleep 0.02
	done
	rm -f "$T/held"
}

# Start qemu-io on an image and wait until it has its locks.
hold()
{
	rm -f hold.in hold.out
	mkfifo hold.in
	qemu-io "$@" <hold.in >hold.out 2>&1 &
	holder=$!
	exec 9>hold.in
	echo 'length' >&9
	for _ in $(seq 200); do
		grep -q MiB hold.out && return
		sleep 0.05
	done
}

release()
{
	exec 9>&-
	wait "$holder"
}

# dev_is TYPE: the filesystem that the fake /dev lies on
dev_is()
{
	local dev

	dev=$(stat -c %d root/dev)
	echo "1 0 $((dev >> 8 & 0xfff)):$(((dev & 0xff) | (dev >> 12 & 0xfff00))) / /dev rw - $1 none rw" \
		>root/proc/self/mountinfo
}

# A fake root/ with /dev/qcow0 and a partition.
fake_root()
{
	local s=root/sys/block/qcow0

	rm -rf root
	mkdir -p root/dev root/run root/proc/self $s/qcow $s/qcow0p1 root/sys/dev/block
	dev_is devtmpfs
	: >root/dev/qcow-control
	echo 240:0 | tee root/dev/qcow0 >$s/dev
	echo 240:1 | tee root/dev/qcow0p1 >$s/qcow0p1/dev
	ln -s ../../devices/virtual/block/qcow0 root/sys/dev/block/240:0
	ln -s ../../devices/virtual/block/qcow0/qcow0p1 root/sys/dev/block/240:1
	echo 41943040 >$s/size
	echo 0 >$s/ro
	echo 1000 >$s/diskseq
	echo qcow2 >$s/qcow/format
	echo 2 >$s/qcow/depth
	echo 1 >$s/qcow/openers
	echo 1 >$s/qcow/direct_io
	echo 0 >$s/qcow/autoclear
	echo 0 >$s/qcow/corrupt
	echo 0 >$s/qcow/offset
	echo "$T/top.qcow2" >$s/qcow/image
	echo "1 3 image $T/base.qcow2" >$s/files
}

# nodes: those in the fake /dev, with their numbers
nodes()
{
	(cd root/dev && grep -aH . qcow[0-9]*)
}

# quickly NAME SECONDS COMMAND...: expects the command to take less time.
quickly()
{
	local name=$1 limit=$2 begin=$SECONDS

	shift 2
	"$@"
	expect "$name: at once" test $((SECONDS - begin)) -lt "$limit"
}

# The shells of the completion find the program under test, and it the mock driver's devices.
mkdir "$T/bin"
cat >"$T/bin/qcowctl" <<END
#!/bin/sh
MOCK_ROOT=$T/root LD_PRELOAD=$T/mock.so exec $Q "\$@"
END
chmod +x "$T/bin/qcowctl"

# offered WORD...: prints the words that a TAB after "qcowctl WORD..." offers, a line each
offered()
{
	PATH=$T/bin:$PATH bash -c '
		. "$1"; shift
		COMP_WORDS=(qcowctl "$@") COMP_CWORD=$#
		_qcowctl
		[ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\n" "${COMPREPLY[@]}"
	' bash "$here/../../userspace/completion/qcowctl" "$@" 2>/dev/null
}

# typed TEXT PROGRAM ARGUMENTS...: as if TEXT was typed where a passphrase is asked for;
# prints the terminal's content, unless it takes a minute.
typed()
{
	rm -f root/log
	MOCK_ROOT=$T/root LD_PRELOAD=$T/mock.so /usr/bin/python3 -c '
import os, pty, signal, sys, termios, time
signal.alarm(60)
pid, tty = pty.fork()
if not pid:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(sys.argv[2], sys.argv[2:])
shown = b""
try:
    for answer in filter(None, sys.argv[1].split(",")):
        asked = shown.count(b"Passphrase for ")
        while shown.count(b"Passphrase for ") == asked:
            shown += os.read(tty, 1000)
        while termios.tcgetattr(tty)[3] & termios.ECHO:
            time.sleep(0.01)
        os.write(tty, answer.encode().decode("unicode_escape").encode())
    while True:
        more = os.read(tty, 1000)
        if not more:
            break
        shown += more
except OSError:
    pass
status = os.waitpid(pid, 0)[1]
print(shown.decode().replace("\r\n", "|"), status)' "$@"
}
