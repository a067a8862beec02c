# SPDX-License-Identifier: GPL-2.0
# mount.qcow2: its command line, its refusals, and what it asks of the driver. Real mounts
# are in tests/vm/guest/35-mount.sh. shellcheck shell=bash

M=${Q%/*}/mount.qcow2
mount_man=$here/../../userspace/man/mount.qcow2.8

fake_root
image top.qcow2
mkdir -p dir

# mounts ARGUMENTS...: mount.qcow2 as root, with the mock driver
mounts()
{
	MOCK_EUID=${MOCK_EUID-0} with_driver limited "$M" "$@"
}

# m NAME CODE PATTERN ARGUMENTS...: expects one line on stderr, unless PATTERN is empty.
m()
{
	local name=$1 status=$2 pattern=$3

	shift 3
	expect "mount: $name" exits "$status" "${pattern:+^mount.qcow2: $pattern}" mounts "$@" \
		</dev/null
	expect "mount: $name: lines" is "${pattern:+1}" "$(grep -c . err | sed 's/^0$//')"
}

# --- The words: the manual and the usage have the options of the table. ---

"$M" --completion | sed 's/=$//' | sort >words
# The manual of qcowctl describes the options of attach, which tests/tool/12-options.sh looks at.
sed -n '/^\.Sh OPTIONS/,/^\.Sh UNMOUNT/s/^\.It Cm \([a-z-]*\).*/\1/p' "$mount_man" | sort >described
"$Q" attach -h | sed -n 's/^ .*--\([a-z-]*\).*/\1/p' | sort >attach.words
expect "mount: the manual has the options" is "" \
	"$(comm -23 words <(sort -u described attach.words); comm -13 words described)"
expect "mount: the usage has the options" is "$(cat words)" \
	"$("$M" -h | sed -n 's/^  \([a-z][a-z-]*\)[= [].*/\1/p' | sort)"
rm -f words described attach.words
expect "mount: version" is "mount.qcow2 $("$Q" --version | cut -d' ' -f2)" "$("$M" -V)"

# --- The command line ---

m "no arguments" 1 "mount.qcow2: takes an image and a directory"
m "no directory" 1 "mount.qcow2: takes an image and a directory" top.qcow2
m "three" 1 "mount.qcow2: takes an image and a directory" top.qcow2 dir dir
m "unknown letter" 1 "mount.qcow2: unknown option" top.qcow2 dir -x
m "no value" 1 "mount.qcow2: unknown option, or one without its value" top.qcow2 dir -o
m "other type" 1 "ext4: is no type of this program" top.qcow2 dir -t ext4
m "half a type" 1 "qcow2.: is no type of this program" top.qcow2 dir -t qcow2.
for option in partition image-offset snapshot key-file; do
	m "$option without a value" 1 "$option: needs a value" top.qcow2 dir -o "ro,$option"
	m "$option with an empty one" 1 "$option: needs a value" top.qcow2 dir -o "$option=,ro"
done
m "salvage with a value" 1 "salvage: takes no value" top.qcow2 dir -o salvage=1
m "a bad value" 1 "-o image-offset=: bad value \"7\"; give bytes" top.qcow2 dir -o image-offset=7
m "a bad format" 1 ".*bad value \"vmx\"" top.qcow2 dir -o format=vmx
for option in loop offset=1 sizelimit=1 bind rbind move encryption=aes; do
	m "$option" 1 "${option%=*}: is no option for an image; [a-z]" top.qcow2 dir -o "$option"
done
MOCK_EUID=1000 m "no root" 1 "mount.qcow2: only root may mount images" top.qcow2 dir -o user

# --- Before anything is attached ---

m "no such directory" 32 "none: cannot be mounted on: No such file.*mkdir" top.qcow2 none
m "a file" 32 "top.qcow2: is no directory" top.qcow2 top.qcow2
m "no such image" 32 "none.qcow2: No such file" none.qcow2 dir
m "nofail" 0 "" none.qcow2 dir -o nofail
m "nofail, verbose" 0 "none.qcow2: does not exist, which is no error with nofail" -v \
	none.qcow2 dir -o rw,nofail
expect "mount: nothing is asked of the driver" is "" "$(cat root/log 2>/dev/null)"
m "fake" 0 "" -f top.qcow2 dir
m "fake, no such image" 32 "none.qcow2: No such file" -f none.qcow2 dir
echo nonsense >nonsense
m "fake, no image" 32 "nonsense: .*-o format=raw" -f nonsense dir
m "options for others" 0 "" top.qcow2 dir -sfnv -t qcow2.ext4 \
	-o defaults,rw,nofail,_netdev,user,users,owner,group,auto,noauto,uhelper=x,helper=y \
	-o x-systemd.automount,X-foo,comment=a,noatime,subvol=b -o 'partition="a,b"'
expect "mount: a fake one asks nothing of the driver" is "" "$(cat root/log 2>/dev/null)"
m "remount of an image that is not mounted" 32 "top.qcow2: is not mounted there" top.qcow2 dir -o remount,ro

# --- A line of fstab is named, if the mount is of one ---

mkdir -p other
ln -sfn "$T/dir" link
cat >fstab <<END
# The images

$T/none.qcow2 $T/dir qcow2 ro 0 0
$T/none.qcow2 $T/other qcow2.ext4 noatime,image-offset=7,comment=x,nofail,x-systemd.automount 0 0
$T/none.qcow2 $T/link qcow2 partition=my\\040home,key-file=a,key-file=b 0 0
$T/top.qcow2 $T/dir ext4 loop 0 0
END
# of_line NAME LINE CODE PATTERN ARGUMENTS...: LINE is empty if the mount is of none.
of_line()
{
	LIBMOUNT_FSTAB=$T/fstab m "fstab: $1" "$3" "${2:+$T/fstab:$2: }$4" "${@:5}"
}
missing="$T/none.qcow2: No such file"
of_line "no options" 3 32 "$missing" "$T/none.qcow2" "$T/dir" -o ro
of_line "a bad value" 4 1 '-o image-offset=: bad value "7"' "$T/none.qcow2" "$T/other" \
	-o rw,noatime,image-offset=7
of_line "options that mount(8) adds" 5 32 "$missing" "$T/none.qcow2" "$T/dir" \
	-o 'rw,nosuid,nodev,noexec,partition=my home,key-file=b'
of_line "another value" "" 1 '-o image-offset=: bad value "9"' "$T/none.qcow2" "$T/other" -o image-offset=9
of_line "another option" "" 1 '-o size-limit=: bad value "x"' "$T/none.qcow2" "$T/other" -o size-limit=x
of_line "fewer options of its own" "" 32 "$missing" "$T/none.qcow2" "$T/other" -o rw,noatime
of_line "fewer options" "" 32 "$missing" "$T/none.qcow2" "$T/dir" -o rw
of_line "no option at all" "" 32 "$missing" "$T/none.qcow2" "$T/dir"
of_line "another type" "" 32 "top.qcow2: holds no filesystem" top.qcow2 "$T/dir"
of_line "another directory" "" 32 "none: cannot be mounted on" "$T/none.qcow2" none
rm -f fstab link

# --- Requests to the driver ---

# The nodes of the mock hold no filesystem, so the device is always detached again.
# mount_asks NAME EXPECTED ARGUMENTS...
mount_asks()
{
	local name=$1 expected=$2

	shift 2
	m "$name" 32 "top.qcow2: holds no filesystem; .*mkfs" top.qcow2 dir "$@"
	expect "mount: $name: request" is "$expected" "$(sed -n 's/^attach size=[0-9]* //p' root/log)"
	expect "mount: $name: detaches itself, and is detached" is \
		"${MOCK_OLD_ATTACH:+detach flags=0x1 index=0,}detach flags=0 index=0" \
		"$(grep ^detach root/log | paste -sd,)"
}

none="offset=0 limit=0 cache=0"
mount_asks "plain" "flags=0x200 index=-1 $none"
mount_asks "as mount(8) calls it" "flags=0x201 index=-1 $none" -n -v -o ro,nodev
mount_asks "the last of two" "flags=0x200 index=-1 $none" -o ro -o rw
mount_asks "window" "flags=0x200 index=-1 offset=1048576 limit=4096 cache=0" \
	-o image-offset=1M,size-limit=4K
mount_asks "cache, direct I/O" "flags=0x204 index=-1 offset=0 limit=0 cache=65536" \
	-o cache-size=64K,direct-io=off
for options in snapshot=1,rw rw,snapshot=1; do
	mount_asks "$options is read-only" "flags=0x201 index=-1 $none snapshot=1" -o $options
done
mount_asks "temporary" "flags=0x280 index=-1 $none" -o temporary
mount_asks "temporary snapshot" "flags=0x280 index=-1 $none snapshot=1" -o temporary=dir,snapshot=1
m "temporary and read-only" 32 "top.qcow2: -o temporary is for writing; .*ro of a mount" top.qcow2 dir \
	-o ro,temporary
mount_asks "salvage" "flags=0x241 index=-1 $none" -o rw,salvage,rw
MOCK_OLD_ATTACH=1 mount_asks "an older driver" "flags=0x200 index=-1 $none
flags=0 index=-1 $none"
MOCK_ERRNO=5 MOCK_MSG="cannot be read" MOCK_CODE=2 m "the driver refuses" 32 \
	"top.qcow2: cannot be read; see the kernel log" top.qcow2 dir
expect "mount: nothing is detached then" is "" "$(grep ^detach root/log)"
# Another mount of it: nothing is attached, and nothing detached.
echo 1 >root/sys/block/qcow0/qcow/autoclear
echo >root/sys/block/qcow0/qcow/snapshot
mkdir -p root/sys/block/qcow0/queue
echo 512 >root/sys/block/qcow0/queue/logical_block_size
m "shared" 32 "top.qcow2: holds no filesystem" top.qcow2 dir -o ro
expect "mount: shared: nothing is attached or detached" is "" "$(grep -E "^(at|de)tach " root/log 2>/dev/null)"
fake_root

# A device that shows a snapshot keeps the image.
mkdir -p root/sys/block/qcow1/qcow
echo qcow0 >root/sys/block/qcow1/qcow/parent
echo monday >root/sys/block/qcow1/qcow/snapshot
MOCK_BUSY=1000 run mounts top.qcow2 dir
expect "mount: a snapshot is shown" is "32 mount.qcow2: top.qcow2: holds no filesystem; attach it with qcowctl attach, and make one with mkfs
mount.qcow2: /dev/qcow0 is in use:
  /dev/qcow1 shows its snapshot monday
Its image is closed when the device with the snapshot is detached." "$code $(cat err)"
fake_root

# --- Keys ---

echo -n secret >key
echo -n wrong >wrong
luks_image luks.qcow2 key
m "wrong key" 32 "luks.qcow2: wrong passphrase$" luks.qcow2 dir -o key-file=wrong
m "no key file" 32 "missing: cannot open the key file: .*; check -o key-file=" \
	luks.qcow2 dir -o key-file=missing
m "not encrypted" 32 "top.qcow2: is not encrypted; leave out -o key-file=" top.qcow2 dir -o key-file=key
run mounts luks.qcow2 dir -o key-file=key </dev/null
expect "mount: the driver gets the key" is "aes-xts-plain64 key=there" \
	"$(sed -n 's/^image.* cipher=//p' root/log)"
MOCK_EUID=0 run with_driver limited setsid -w "$M" luks.qcow2 dir </dev/null
expect "mount: no terminal" is \
	"32 mount.qcow2: luks.qcow2: is encrypted, and there is no terminal to ask for its passphrase; give it with -o key-file=FILE" \
	"$code $(cat err)"

asked="Passphrase for luks.qcow2: |"
expect "mount: typed" is \
	"${asked}mount.qcow2: luks.qcow2: holds no filesystem; attach it with qcowctl attach, and make one with mkfs| $((32 << 8))" \
	"$(MOCK_EUID=0 typed 'secret\n' "$M" luks.qcow2 dir)"
expect "mount: interrupted where it is typed" is "$asked $((8 << 8))" \
	"$(MOCK_EUID=0 typed 'sec\x03' "$M" luks.qcow2 dir | sed 's/\^C//')"
expect "mount: interrupted: nothing is asked of the driver" is "" "$(cat root/log 2>/dev/null)"

# --- umount.qcow2 ---

ln -sf "$M" umount.qcow2
# u NAME CODE PATTERN ARGUMENTS...
u()
{
	local name=$1 status=$2 pattern=$3

	shift 3
	MOCK_EUID=${MOCK_EUID-0} expect "umount: $name" exits "$status" \
		"^umount.qcow2: $pattern" with_driver limited ./umount.qcow2 "$@"
}
u "no arguments" 1 "umount.qcow2: takes one directory or image"
u "unknown letter" 1 "umount.qcow2: unknown option" -x dir
MOCK_EUID=1000 u "no root" 1 "umount.qcow2: only root may unmount" dir
u "an image that is attached" 32 "top.qcow2: is attached as /dev/qcow0, but not mounted here" -n top.qcow2
u "an image that is not" 32 "luks.qcow2: is not mounted" luks.qcow2
