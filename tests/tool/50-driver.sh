# SPDX-License-Identifier: GPL-2.0
# Requests to the driver, and the results of its answers. shellcheck shell=bash

fake_root
image base.qcow2
image top.qcow2 -b base.qcow2 -F qcow2
image ext.qcow2 -o data_file=ext.raw
truncate -s 1M disk.raw

# attach_asks NAME EXPECTED ARGUMENTS...: the request's first line without size.
attach_asks()
{
	local name=$1 expected=$2

	shift 2
	run with_driver qcowctl attach "$@"
	expect "attach: $name: result" is "0 /dev/qcow0" "$code $(cat out err)"
	expect "attach: $name: request" is "$expected" \
		"$(sed -n '1s/^attach size=[0-9]* //p' root/log)"
}

none="offset=0 limit=0 cache=0"
attach_asks "plain" "flags=0 index=-1 $none" top.qcow2
expect "attach: chain" is "image format=3 fd=rw:$T/top.qcow2 data=-1
image format=3 fd=ro:$T/base.qcow2 data=-1" "$(tail -n +2 root/log)"
attach_asks "-r" "flags=0x1 index=-1 $none" -r top.qcow2
attach_asks "--read-only" "flags=0x1 index=-1 $none" --read-only top.qcow2
attach_asks "--direct-io on" "flags=0x2 index=-1 $none" --direct-io on top.qcow2
attach_asks "--direct-io off" "flags=0x4 index=-1 $none" --direct-io off top.qcow2
attach_asks "--direct-io auto" "flags=0 index=-1 $none" --direct-io auto top.qcow2
attach_asks "--direct-io, the last one" "flags=0x4 index=-1 $none" \
	--direct-io on --direct-io off top.qcow2
attach_asks "--untrusted" "flags=0x19 index=-1 $none" --untrusted base.qcow2
attach_asks "--offset" "flags=0 index=-1 offset=1048576 limit=0 cache=0" --offset 1M top.qcow2
attach_asks "--size-limit" "flags=0 index=-1 offset=512 limit=1024 cache=0" \
	--offset=512 --size-limit 1K top.qcow2
for size in 512 1024 2K 4096; do
	attach_asks "--sector-size $size" "flags=0 index=-1 $none sector=$(numfmt --from=iec $size)" \
		--sector-size $size top.qcow2
done
for size in 0 256 513 1536 8192 4096.5 x; do
	expect "--sector-size $size" refuses "bad value .*512, 1024, 2048 or 4096" \
		qcowctl attach --sector-size $size top.qcow2
done
attach_asks "--cache-size" "flags=0 index=-1 offset=0 limit=0 cache=33554432" --cache-size 32M top.qcow2
attach_asks "an abbreviated option" "flags=0 index=-1 offset=0 limit=0 cache=65536" --cache 64KiB top.qcow2
attach_asks "--backing auto" "flags=0 index=-1 $none" --backing auto top.qcow2
attach_asks "--backing DIR" "flags=0 index=-1 $none" --backing "$T" top.qcow2
attach_asks "--backing DIR, root" "flags=0 index=-1 $none" --backing / top.qcow2
attach_asks "--backing none, nothing named" "flags=0 index=-1 $none" --backing none base.qcow2
attach_asks "-f raw" "flags=0 index=-1 $none" -f raw disk.raw
expect "attach: raw" is "image format=1 fd=rw:$T/disk.raw data=-1" "$(tail -n +2 root/log)"
attach_asks "-f raw of a qcow2 image" "flags=0 index=-1 $none" -f raw top.qcow2
expect "attach: raw it is" is "image format=1 fd=rw:$T/top.qcow2 data=-1" "$(tail -n +2 root/log)"
attach_asks "data file" "flags=0 index=-1 $none" ext.qcow2
expect "attach: data file" is "image format=3 fd=rw:$T/ext.qcow2 data=rw:$T/ext.raw" "$(tail -n +2 root/log)"
attach_asks "an option behind the image" "flags=0x2 index=-1 $none" top.qcow2 --direct-io on

# Sizes.
while read -r text bytes; do
	attach_asks "size $text" "flags=0 index=-1 offset=0 limit=0 cache=$bytes" --cache-size "$text" top.qcow2
done <<'END'
65536 65536
0x20000 131072
64K 65536
64k 65536
64KiB 65536
128KB 128000
2M 2097152
2MB 2000000
1G 1073741824
1GiB 1073741824
1T 1099511627776
1.5M 1572864
1.500MB 1500000
0.0625GiB 67108864
010M 10485760
65536.0K 67108864
END
for text in 1K 0 -1 x 1X 1Ki 1KiBx 64KK 16777216E 99999999999999999999 "" " 65536" \
	1.M .5M 65536. 65536.0 1.1M 1.5.5M 0x1.8M 0x 1,5M 1.0000000000000000M; do
	expect "size '$text'" refuses "bad value .*64K or more" \
		qcowctl attach --cache-size "$text" top.qcow2
done
for text in 511 1 1000 1KB; do
	expect "offset $text" refuses "multiple of 512" qcowctl attach --offset $text top.qcow2
done
expect "--direct-io maybe" refuses "bad value .*on, off or auto" \
	qcowctl attach --direct-io maybe top.qcow2
expect "-f vmx" refuses "bad value .*qcow2, qcow, raw" qcowctl attach -f vmx top.qcow2
expect "-f file" refuses "bad value" qcowctl attach -f file top.qcow2
attach_asks "--snapshot" "flags=0x1 index=-1 $none snapshot=before update" \
	--snapshot "before update" base.qcow2
expect "attach: --snapshot: read-only" is "image format=3 fd=ro:$T/base.qcow2 data=-1" "$(tail -n +2 root/log)"
expect "--snapshot without a name" refuses "bad value .*id or name" \
	qcowctl attach --snapshot "" top.qcow2
expect "--snapshot of an endless name" refuses "bad value .*id or name" \
	qcowctl attach --snapshot "$(printf '%1024d' 1)" top.qcow2
expect "attach without an image" refuses "takes one image" qcowctl attach
expect "attach of two images" refuses "takes one image" qcowctl attach top.qcow2 base.qcow2
expect "attach --nonsense" refuses "--nonsense; see qcowctl attach --help" qcowctl attach --nonsense
expect "attach -z" refuses "option -z;" qcowctl attach -z
expect "attach -z in a cluster" refuses "option -z;" qcowctl attach --read-only -zr top.qcow2
expect "attach -z at its end" refuses "option -z;" qcowctl attach --direct-io=on -rz top.qcow2
expect "attach -z behind a value" refuses "option -z;" qcowctl attach --direct-io=on -zr top.qcow2
expect "attach -f at the end of a cluster" refuses "option -f;" qcowctl attach -rf
expect "attach --format without a value" refuses "option --format;" qcowctl attach top.qcow2 --format
expect "attach, a value for an option that has none" refuses "option --read-only=5;" \
	qcowctl attach --read-only=5 -r top.qcow2
expect "attach, a value of none of ours" refuses "option --untrusted=5;" \
	qcowctl attach --untrusted=5 -r top.qcow2
expect "attach --di, ambiguous" refuses "option --s;" qcowctl attach --s top.qcow2

# The driver's own refusals.
driver_says()
{
	local name=$1 expected=$2

	shift 2
	run with_driver limited env "$@" "$Q" attach top.qcow2
	expect "driver: $name" is "1 $expected" "$code $(cat out err)"
}
driver_says "a message" "qcowctl: top.qcow2: went wrong; do so" \
	MOCK_ERRNO=5 "MOCK_MSG=went wrong; do so"
driver_says "a message about the backing file" "qcowctl: base.qcow2: bad; do so" \
	MOCK_ERRNO=22 "MOCK_MSG=bad; do so" MOCK_MSG_IMAGE=1
driver_says "a message about an image that is not there" "qcowctl: top.qcow2: bad; do so" \
	MOCK_ERRNO=22 "MOCK_MSG=bad; do so" MOCK_MSG_IMAGE=7
while read -r errno text; do
	driver_says "no message, error $errno" "qcowctl: top.qcow2: $text" MOCK_ERRNO="$errno"
done <<'END'
5 Input/output error; see the kernel log
12 Cannot allocate memory; free some memory, then do it again
19 No such device; see qcowctl list
22 Invalid argument; see the kernel log
28 No space left on device; make room on the filesystem of the image, then do it again
95 Operation not supported; see the kernel log
END
while read -r errno code text; do
	driver_says "advice by code $code: $text" "qcowctl: top.qcow2: $text" \
		MOCK_ERRNO="$errno" MOCK_CODE="$code" MOCK_MSG="${text%; *}"
done <<'END'
22 3 tells of a cause; use -f raw if it is a raw image
22 4 tells of a cause; restore it from a copy
22 5 tells of a cause; restore it from a copy, or attach the rest with -r --salvage
22 6 tells of a cause; restore it from a copy
22 7 tells of a cause; restore it from a copy, or attach the rest with -r --salvage
95 8 tells of a cause; convert it with qemu-img convert -O qcow2
95 8 names "a;b", an image's own word; convert it with qemu-img convert -O qcow2
2 9 tells of a cause; see qcowctl snapshot list
22 10 tells of a cause; see qcowctl info
30 11 tells of a cause; detach it, and attach it without -r
28 2 cannot grow; make room on the filesystem of the image, then do it again
28 0 cannot grow; make room on the filesystem of the image, then do it again
22 2 is odd
22 99 is odd
2 4 has no snapshot with that id or name; restore it from a copy
END
driver_says "advice of a complete text" "qcowctl: top.qcow2: is odd; do so" \
	MOCK_ERRNO=28 MOCK_CODE=1 "MOCK_MSG=is odd; do so"
driver_says "advice of a driver without codes" "qcowctl: top.qcow2: is odd; do so" \
	MOCK_ERRNO=28 "MOCK_MSG=is odd; do so"
zeros=$(printf '%0239d' 0)
driver_says "advice: a text that leaves no room for a code" "qcowctl: top.qcow2: $zeros; see the kernel log" \
	MOCK_ERRNO=5 MOCK_CODE=4 "MOCK_MSG=$zeros"
driver_says "no right to" \
	"qcowctl: top.qcow2: only root may attach images (it takes CAP_SYS_ADMIN); use sudo" MOCK_ERRNO=1
driver_says "a message with escape codes" 'qcowctl: top.qcow2: a\x1b[2J; b' \
	MOCK_ERRNO=22 "MOCK_MSG=$(printf 'a\033[2J; b')"

# An attach that fails leaves no device.
if [ -e /dev/full ]; then
	rm -f root/log
	MOCK_ROOT=$T/root LD_PRELOAD=$T/mock.so "$Q" attach top.qcow2 >/dev/full 2>err
	expect "attach: a full disk behind stdout" is "1 detach flags=0 index=0
qcowctl: /dev/qcow0: its name cannot be printed, so it was detached again; No space left on device" \
		"$? $(grep ^detach root/log; cat err)"
fi
rm -f root/log
(sleep 0.3; MOCK_ROOT=$T/root LD_PRELOAD=$T/mock.so exec "$Q" attach top.qcow2 2>err) | true
expect "attach: nobody reads its name" is "1 detach flags=0 index=0" "${PIPESTATUS[0]} $(grep ^detach root/log)"
rm root/dev/qcow0p1
run with_driver qcowctl attach top.qcow2
expect "attach: no node: stays attached" is "0 /dev/qcow0 " "$code $(cat out) $(grep ^detach root/log)"
expect "attach: no node: what to do" has "^qcowctl: /dev/qcow0p1: attached, but .*mknod -m 660 /dev/qcow0p1 b 240 1$" err
fake_root

# detach
detach_asks()
{
	local name=$1 expected=$2

	shift 2
	run with_driver qcowctl detach "$@"
	expect "detach: $name" is "0  $expected" "$code $(cat out err) $(cat root/log)"
}
detach_asks "/dev/qcow0" "detach flags=0 index=0" /dev/qcow0
detach_asks "qcow0" "detach flags=0 index=0" qcow0
detach_asks "an image" "detach flags=0 index=0" top.qcow2
ln -sf top.qcow2 soft.qcow2
detach_asks "an image by a symlink" "detach flags=0 index=0" soft.qcow2
detach_asks "--lazy" "detach flags=0x1 index=0" --lazy qcow0
detach_asks "--force" "detach flags=0x2 index=0" qcow0 --force
detach_asks "--all" "detach flags=0 index=0" --all
detach_asks "-a" "detach flags=0 index=0" -a
expect "detach: busy for a moment" is "0 3" \
	"$(MOCK_BUSY=2 run with_driver qcowctl detach qcow0; echo "$code $(grep -c detach root/log)")"

mkdir root/sys/block/qcow5
export MOCK_BELOW=5
detach_asks "--all, one upon another of a lower number" "detach flags=0 index=5
detach flags=0 index=0
detach flags=0 index=5" --all
detach_asks "--all --force: what is upon another goes first" "detach flags=0 index=5
detach flags=0 index=0
detach flags=0 index=5" --all --force
unset MOCK_BELOW
expect "detach: --all --force of devices in use" is "0 2 2" \
	"$(MOCK_BUSY=2 run with_driver qcowctl detach --all --force; echo "$code $(grep -c flags=0x2 root/log) $(grep -c flags=0\  root/log)")"
rm -r root/sys/block/qcow5

detach_refused()
{
	local name=$1 expected=$2

	shift 2
	run with_driver qcowctl detach "$@"
	expect "detach: $name" is "1 $expected" "$code $(cat out err)"
}
MOCK_DETACH_ERRNO=115 MOCK_MSG="waits for 2 requests under way, to base.qcow2" detach_refused \
	"a file that does not answer" "qcowctl: /dev/qcow0: waits for 2 requests under way, to base.qcow2" --force qcow0
MOCK_DETACH_ERRNO=116 MOCK_MSG="is another device by now" detach_refused \
	"another device" "qcowctl: /dev/qcow0: is another device by now" qcow0
MOCK_OLD_DETACH=1 detach_asks "an older driver" "detach flags=0x1 index=0" --lazy qcow0
detach_refused "not attached" "qcowctl: /dev/qcow7: no such device; see qcowctl list" /dev/qcow7
detach_refused "not attached, short" "qcowctl: /dev/qcow7: no such device; see qcowctl list" qcow7
detach_refused "an image not attached" "qcowctl: base.qcow2: not attached; see qcowctl list" base.qcow2
detach_refused "neither image nor device" "qcowctl: nope: no such image or device; see qcowctl list" nope
detach_refused "a partition" "qcowctl: /dev/qcow0p1: is a partition; name its disk /dev/qcow0" /dev/qcow0p1
detach_refused "nothing named" "qcowctl: detach: takes devices, images or --all; see qcowctl detach --help"
detach_refused "--all and a name" "qcowctl: detach: takes devices, images or --all; see qcowctl detach --help" -a qcow0
detach_refused "--lazy and --force" "qcowctl: detach: --lazy and --force exclude each other; choose one" --lazy --force qcow0
detach_refused "neither, in /dev" "qcowctl: /dev/nope: no such image or device; see qcowctl list" /dev/nope
detach_refused "goes on after one that fails" "qcowctl: /dev/qcow7: no such device; see qcowctl list" qcow7 qcow0
expect "detach: goes on after one that fails: request" is "detach flags=0 index=0" "$(cat root/log)"

# An image among the devices; one that has the name of a device
if shm=$(mktemp /dev/shm/qcowctl.XXXXXX 2>/dev/null); then
	detach_refused "an image in /dev, not attached" "qcowctl: $shm: not attached; see qcowctl list" "$shm"
	echo "$shm" >root/sys/block/qcow0/qcow/image
	detach_asks "an image in /dev" "detach flags=0 index=0" "$shm"
	rm "$shm"
fi
: >qcow7
echo "$T/qcow7" >root/sys/block/qcow0/qcow/image
detach_asks "an image with a device's name" "detach flags=0 index=0" qcow7
rm qcow7
fake_root

busy="qcowctl: /dev/qcow0 is in use:"
hint="Use --lazy to detach at last close, --force to fail its I/O now."
export MOCK_BUSY=1000
detach_refused "busy, nobody found" "$busy
  3 openers in the kernel, see USERS THAT DO NOT SHOW in qcowctl(8)
$hint" qcow0
cat >root/proc/self/mountinfo <<'END'
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
31 22 240:1 / /mnt ro,relatime - ext4 /dev/qcow0p1 ro
32 22 0:44 /sub /srv/a\040b rw,relatime - btrfs /dev/qcow0 rw
END
detach_refused "mounted" "$busy
  /dev/qcow0p1 mounted on /mnt
  /dev/qcow0 mounted on /srv/a b
$hint" qcow0
mkdir -p root/sys/class/block/qcow0p1/holders/dm-3 root/sys/class/block/dm-3/dm \
	root/sys/block/loop5/loop
echo vg-root >root/sys/class/block/dm-3/dm/name
echo /dev/qcow0 >root/sys/block/loop5/loop/backing_file
: >root/proc/self/mountinfo
detach_refused "held" "$busy
  /dev/qcow0p1 used by /dev/dm-3 (vg-root)
  /dev/qcow0 used by /dev/loop5
$hint" qcow0
unset MOCK_BUSY
fake_root

# list
list_shows()
{
	local name=$1 expected=$2

	shift 2
	run with_driver qcowctl list "$@"
	expect "list: $name" is "0 $expected" "$code $(cat out err | tr -s ' ' | sed 's/^ //; s/ $//')"
}
list_shows "-n" "qcow0 20G qcow2 0 2 1 $T/top.qcow2" -n
list_shows "-O" "NAME SIZE
qcow0 20G" -O name,size
list_shows "-n -b -O" "qcow0 21474836480" -nbO NAME,SIZE
list_shows "more columns" "240:0 0 1 0 0 lazy 64K 0B" -nO MAJ:MIN,OFFSET,DIRECT,AUTOCLEAR,CORRUPT,STATE,CLUSTER,CACHE
run with_driver qcowctl list
expect "list: columns" is "NAME SIZE FORMAT RO DEPTH OPEN IMAGE MOUNTPOINTS" "$(head -1 out | tr -s ' ' | sed 's/ $//')"
run with_driver qcowctl list -O +state
expect "list: +COLUMN" is "NAME SIZE FORMAT RO DEPTH OPEN IMAGE MOUNTPOINTS STATE" "$(head -1 out | tr -s ' ' | sed 's/ $//')"
json()
{
	python3 -c 'import json, sys; print(json.dumps(json.load(open("out")), separators=(",", ":")))'
}
run with_driver qcowctl list -J
expect "list: JSON, not mounted" is '{"qcowdevices":[{"name":"/dev/qcow0","size":21474836480,"format":"qcow2","ro":false,"depth":2,"open":1,"image":"'"$T"'/top.qcow2","mountpoints":[]}]}' "$(json)"
cat >root/proc/self/mountinfo <<'END'
31 22 240:1 / /mnt/web ro,relatime - ext4 /dev/qcow0p1 ro
END
echo 1 >root/sys/block/qcow0/ro
run with_driver qcowctl list --json
expect "list: JSON, mounted" is '{"qcowdevices":[{"name":"/dev/qcow0","size":21474836480,"format":"qcow2","ro":true,"depth":2,"open":1,"image":"'"$T"'/top.qcow2","mountpoints":["/mnt/web"]}]}' "$(json)"
list_shows "mounted" "/mnt/web" -nO mountpoints
echo '32 22 240:0 / /mnt/b ro - ext4 /dev/qcow0 ro' >>root/proc/self/mountinfo
run with_driver qcowctl list -J -O mountpoints
expect "list: JSON, mounted twice" is '{"qcowdevices":[{"mountpoints":["/mnt/web","/mnt/b"]}]}' "$(json)"
# Names that would fake lines or turn them around
name=$(printf 'a\nb \u202ec\u061cd \\x41')
shown='a\x0ab \xe2\x80\xaec\xd8\x9cd \x41'
printf '%s\n' "/$name" >root/sys/block/qcow0/qcow/image
printf '31 22 240:0 / /m/%s ro - ext4 /dev/qcow0 ro\n' 'a\012b\040'$'\u202ec\u061c''d\040\134x41' >root/proc/self/mountinfo
run with_driver qcowctl list -n -O image,mountpoints
expect "list: names that fake" is "/$shown (not found by that name) /m/$shown" "$(tr -s ' ' <out)"
run with_driver qcowctl list -J -O image,mountpoints
expect "list: JSON: such names as they are" is "/$name /m/$name" \
	"$(python3 -c 'import json; o = json.load(open("out"))["qcowdevices"][0]; print(o["image"], o["mountpoints"][0])')"
fake_root
# The small letter of I is another one in Turkish.
mkdir -p locales
localedef -i tr_TR -f UTF-8 locales/tr_TR.UTF-8 || failure "no Turkish locale" "the package locales has it"
run with_driver limited env LOCPATH="$T/locales" LC_ALL=tr_TR.UTF-8 "$Q" list -J -O size,Direct
expect "list: JSON in Turkish" is '{"qcowdevices":[{"size":21474836480,"direct":true}]}' "$(json)"
run with_driver limited env LOCPATH="$T/locales" LC_ALL=tr_TR.UTF-8 "$Q" attach --cache-size 64KIB top.qcow2
expect "attach: a size in Turkish" has "cache=65536" root/log
expect "list: no such column" refuses 'no column "NOPE"' qcowctl list -O NOPE
for n in 1 2; do
	mkdir -p root/sys/block/qcow$n/qcow
	echo "$T/base.qcow2" >root/sys/block/qcow$n/qcow/image
done
list_shows "a device" "qcow0" -nO name qcow0
list_shows "devices" "qcow0
qcow2" -nO name /dev/qcow2 qcow0 qcow0
list_shows "an image" "qcow0" -nO name top.qcow2
list_shows "an image by a symlink" "qcow0" -nO name soft.qcow2
list_shows "an image attached twice" "qcow1
qcow2" -nO name ./base.qcow2
list_shows "the disk of a partition" "qcow0" -nO name /dev/qcow0p1
run with_driver qcowctl list -J -O name base.qcow2
expect "list: JSON of an image" is '{"qcowdevices":[{"name":"/dev/qcow1"},{"name":"/dev/qcow2"}]}' "$(json)"
run with_driver qcowctl list -nO name disk.raw qcow2 qcow7
expect "list: some are not attached" is "1 qcow2
qcowctl: disk.raw: not attached; see qcowctl list
qcowctl: /dev/qcow7: no such device; see qcowctl list" "$code $(cat out err)"
rm -r root/sys/block/qcow[12]
rm -r root/sys/block/qcow0
run with_driver qcowctl list
expect "list: nothing attached" is "0 0" "$code $(cat out err | wc -c)"
run with_driver qcowctl list -J
expect "list: nothing attached, JSON" is '{"qcowdevices":[]}' "$(json)"
run with_driver qcowctl detach --all
expect "detach: --all, nothing attached" is "0 " "$code $(cat out err)"

# info of a device
fake_root
run with_driver qcowctl info --chain qcow0
expect "info: a device: exit code" is 0 $code
expect "info: a device: its image" has "image: $T/top.qcow2" out
expect "info: a device: its backing file" has "base.qcow2" out
expect "info: a device: counters" has "cache hits: 12345" out
run with_driver qcowctl info --json /dev/qcow0
expect "info: a device: JSON" is "12345 True $T/top.qcow2" \
	"$(python3 -c 'import json; o = json.load(open("out")); d = o["device"]; print(d["cache-hits"], d["read-only"], o["filename"])')"
MOCK_FLAGS=0 run with_driver qcowctl info --json /dev/qcow0
expect "info: a writable device: JSON" is "False" \
	"$(python3 -c 'import json; print(json.load(open("out"))["device"]["read-only"])')"
run with_driver qcowctl info /dev/qcow7
expect "info: a device not attached" is "1 " "$code $(cat out)"
run with_driver qcowctl info /dev/qcow0p1
expect "info: a partition" has "is a partition; name its disk /dev/qcow0" err

# Without a driver, and other ways to call it.
if [ ! -e /dev/qcow-control ] && ! modinfo qcow >/dev/null 2>&1; then
	expect "no driver" refuses "/dev/qcow-control: the qcow module is not loaded[;,] .*modprobe qcow" \
		qcowctl attach top.qcow2
fi
rm root/dev/qcow-control
MOCK_EUID=1000 expect "no driver, as a user" refuses "not loaded; run modprobe qcow as root$" \
	with_driver qcowctl attach top.qcow2
fake_root
for word in --help -h help "attach --help" "detach -h" "list --help" "info -h" \
	"map -h" "help attach" "help detach" "help list" "help info" "help map"; do
	# shellcheck disable=SC2086
	expect "usage: $word" accepts qcowctl $word
	expect "usage: $word: text" has "^Usage: qcowctl" out
done
expect "version" accepts qcowctl --version
expect "version: text" has '^qcowctl [0-9]+\.[0-9]+' out
expect "version, short" accepts qcowctl -V
expect "version, after a command" accepts qcowctl list -V
expect "version, after a command: text" has '^qcowctl [0-9]+\.[0-9]+' out
expect "version, after a command that takes names" accepts qcowctl attach --version
run qcowctl frobnicate
expect "unknown command" is "1 0" "$code $(wc -c <out)"
expect "unknown command: usage" has "^Usage: qcowctl" err
run qcowctl
expect "no command" is "1 0" "$code $(wc -c <out)"
if [ -e /dev/full ]; then
	"$Q" info base.qcow2 >/dev/full 2>err
	expect "a full disk behind stdout" is 1 $?
fi
