# SPDX-License-Identifier: GPL-2.0
# map beside qemu-img map. shellcheck shell=bash

mkdir maps
# shellcheck disable=SC2154
(cd maps && "$here/map.py" "$Q") >compared 2>map.err
expect "map: compared" is "0 " "$? $(cat map.err)"
while IFS=$'\t' read -r name wrong; do
	expect "map: $name" is "" "$wrong"
done <compared
rm -r maps

# table NAME EXPECTED: the output, without repeated blanks.
table()
{
	expect "map: $1" is "0 START LENGTH DEPTH TYPE OFFSET FILE
$2" "$code $(cat err; sed 's/  */ /g; s/^ //; s/ $//' out)"
}

rm -f base.qcow2 top.qcow2
qemu-img create -q -f qcow2 base.qcow2 1M
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2 2M
qemu-io -f qcow2 -c 'write -q 0 128k' base.qcow2
qemu-io -f qcow2 -c 'write -q 64k 64k' -c 'write -q -c 192k 64k' -c 'write -q -z 1M 64k' top.qcow2
run qcowctl map top.qcow2
table "a table" "0 65536 1 data 327680 base.qcow2
65536 65536 0 data 327680 top.qcow2
131072 65536 1 none
196608 65536 0 compressed
262144 786432 1 none
1048576 65536 0 zero
1114112 983040 0 none"
run qcowctl map base.qcow2 --json
expect "map: --json" is '0 [{ "start": 0, "length": 131072, "depth": 0, "present": true, "zero": false, "data": true, "offset": 327680},
{ "start": 131072, "length": 917504, "depth": 0, "present": false, "zero": true, "data": false}]' "$code $(cat err out)"
truncate -s 64k map.raw
run qcowctl map map.raw
table "a raw image" "0 65536 0 zero 0 map.raw"
qemu-img create -q -f qcow2 -o preallocation=metadata pre.qcow2 64k
run qcowctl map pre.qcow2
expect "map: preallocated" has " unwritten .* pre.qcow2$" out
# As info does, it reads images that others write.
qemu-io -f qcow2 -c length -c 'sleep 3000' base.qcow2 >held.out 2>&1 &
for _ in $(seq 100); do
	grep -q MiB held.out && break
	sleep 0.02
done
expect "map: an image that QEMU writes" accepts qcowctl map top.qcow2
kill $! 2>/dev/null
wait $! 2>/dev/null

# An attached device.
fake_root
expect "map: a device: attach" holds top.qcow2
run with_driver qcowctl map qcow0
expect "map: a device: synced" is "fsync /dev/qcow0" "$(cat root/log)"
expect "map: a device: its image" has " 0 +compressed" out
expect "map: a device: its backing file" has "327680 +$T/base.qcow2" out
MOCK_FSYNC_ERRNO=5 expect "map: a device that fails" refuses "/dev/qcow0: cannot sync: Input/output error" \
	with_driver qcowctl map qcow0
expect "map: no such device" refuses "/dev/qcow7: no such device" with_driver qcowctl map /dev/qcow7
expect "map: a partition" refuses "is a partition; name its disk /dev/qcow0" \
	with_driver qcowctl map /dev/qcow0p1

let_go

# Attached by way of a symlink, beside which its backing file is another one: the files
# are those that the driver has, not those that the image names.
mkdir owner named
(cd owner && image base.qcow2 && image img.qcow2 -b base.qcow2 -F qcow2 && cp base.qcow2 ../named)
ln -s ../owner/img.qcow2 named
echo "$T/owner/img.qcow2" >root/sys/block/qcow0/qcow/image
echo "1 3 image $T/named/base.qcow2" >root/sys/block/qcow0/files
qemu-io -f qcow2 -c 'write -q 0 64k' named/base.qcow2
run with_driver qcowctl map qcow0
expect "map: by a symlink" has "[0-9] $T/named/base.qcow2$" out
rm root/sys/block/qcow0/files
run with_driver qcowctl map --json qcow0
expect "map: a shorter chain than the image's" is "0 0" "$code $(jq 'map(.depth) | max' out)"
MOCK_FILE_ERRNO=25 expect "map: an old driver" refuses "/dev/qcow0: the driver is too old to hand out" \
	with_driver qcowctl map qcow0
fake_root

# Files without a map.
cp top.qcow2 bad.qcow2
poke bad.qcow2 "$(peek bad.qcow2 40 8)" 8 0x40200
expect "map: damage" refuses "^qcowctl: bad.qcow2: damaged entry for byte 0 of the disk: offset of its table is not aligned; " \
	qcowctl map -J bad.qcow2
poke top.qcow2 32 4 1
expect "map: AES" accepts qcowctl map top.qcow2
poke top.qcow2 32 4 0
mv base.qcow2 gone.qcow2
expect "map: no backing file" refuses "base.qcow2: No such file" qcowctl map top.qcow2
mv gone.qcow2 base.qcow2
image ext.qcow2 -o data_file=ext.raw
rm ext.raw
expect "map: no data file" refuses "ext.raw: No such file" qcowctl map ext.qcow2
# All L1 entries for the same table: no image may make a map endless.
qemu-img create -q -f qcow2 -o cluster_size=512 loop.qcow2 1G
qemu-io -f qcow2 -c 'write -q 0 512' loop.qcow2
truncate -s 300k loop.qcow2
python3 - <<'END'
with open("loop.qcow2", "r+b") as f:
    f.seek(40)
    at = int.from_bytes(f.read(8), "big")
    f.seek(at)
    entry = f.read(8)
    f.seek(at)
    f.write(entry * 32768)
END
run qcowctl map -J loop.qcow2
expect "map: one table used for everything: exit code" is 1 $code
expect "map: one table used for everything" has "loop.qcow2: damaged .*more tables than" err
expect "map: nothing named" refuses "takes one image or device" qcowctl map
expect "map: two images" refuses "takes one image or device" qcowctl map base.qcow2 top.qcow2
expect "map: -f vmx" refuses "give qcow2, qcow, raw" qcowctl map -f vmx base.qcow2
expect "map: no such file" refuses "nothing.qcow2: No such file" qcowctl map nothing.qcow2
if [ -e /dev/full ]; then
	"$Q" map base.qcow2 >/dev/full 2>err
	expect "map: a full disk behind stdout" is 1 $?
fi

# qcow version 1, of which QEMU can tell the same.
head -c 300000 /dev/urandom >v1.raw
truncate -s 4M v1.raw
qemu-img convert -f raw -O qcow v1.raw v1.qcow
qemu-io -f qcow -c 'write -q -c 1M 4k' -c 'write -q -c 1028k 4k' v1.qcow
qemu-img create -q -f qcow -b v1.qcow -F qcow above.qcow
qemu-io -f qcow -c 'write -q 100k 7k' -c 'write -q 2M 512' above.qcow
for image in v1.qcow above.qcow; do
	run qcowctl map --json $image
	expect "map: $image" is "0 $(qemu-img map --output=json $image | jq -c '.[]|[.start,.length,.depth,.present,.zero,.data,.offset]')" \
		"$code $(jq -c '.[]|[.start,.length,.depth,.present,.zero,.data,.offset]' out)"
done
run qcowctl check v1.qcow
expect "check: qcow version 1" is "63" "$code"
