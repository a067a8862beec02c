# SPDX-License-Identifier: GPL-2.0
# map beside qemu-img map. shellcheck shell=bash

mkdir maps
# shellcheck disable=SC2154
(cd maps && "$here/map.py" "$Q") >compared 2>map.err
same "map: compared" "0 " "$? $(cat map.err)"
while IFS=$'\t' read -r name wrong; do
	same "map: $name" "" "$wrong"
done <compared
rm -r maps

# table NAME EXPECTED: what was printed, without repeated blanks.
table()
{
	same "map: $1" "0 START LENGTH DEPTH TYPE OFFSET FILE
$2" "$code $(cat err; sed 's/  */ /g; s/^ //; s/ $//' out)"
}

rm -f base.qcow2 top.qcow2
qemu-img create -q -f qcow2 base.qcow2 1M
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2 2M
qemu-io -f qcow2 -c 'write -q 0 128k' base.qcow2
qemu-io -f qcow2 -c 'write -q 64k 64k' -c 'write -q -c 192k 64k' -c 'write -q -z 1M 64k' top.qcow2
run "$Q" map top.qcow2
table "a table" "0 65536 1 data 327680 base.qcow2
65536 65536 0 data 327680 top.qcow2
131072 65536 1 none
196608 65536 0 compressed
262144 786432 1 none
1048576 65536 0 zero
1114112 983040 0 none"
run "$Q" map base.qcow2 --json
same "map: --json" '0 [{ "start": 0, "length": 131072, "depth": 0, "present": true, "zero": false, "data": true, "offset": 327680},
{ "start": 131072, "length": 917504, "depth": 0, "present": false, "zero": true, "data": false}]' "$code $(cat err out)"
truncate -s 64k map.raw
run "$Q" map map.raw
table "a raw image" "0 65536 0 zero 0 map.raw"
qemu-img create -q -f qcow2 -o preallocation=metadata pre.qcow2 64k
run "$Q" map pre.qcow2
has "map: preallocated" " unwritten .* pre.qcow2$" out
# As info does, it reads images that others write.
qemu-io -f qcow2 -c length -c 'sleep 3000' base.qcow2 >held.out 2>&1 &
for _ in $(seq 100); do
	grep -q MiB held.out && break
	sleep 0.02
done
accepts "map: an image that QEMU writes" map top.qcow2
kill $! 2>/dev/null
wait $! 2>/dev/null

# An attached device.
fake_root
holds "map: a device: attach" top.qcow2
with_driver "$Q" map qcow0
same "map: a device: synced" "fsync /dev/qcow0" "$(cat root/log)"
has "map: a device: its image" " 0 +compressed" out
has "map: a device: its backing file" "327680 +$T/base.qcow2" out
MOCK_FSYNC_ERRNO=5 with_driver_refuses "map: a device that fails" "/dev/qcow0: cannot sync: Input/output error" map qcow0
with_driver_refuses "map: no such device" "/dev/qcow7: no such device" map /dev/qcow7
with_driver_refuses "map: a partition" "is a partition; name its disk /dev/qcow0" map /dev/qcow0p1

let_go

# Attached by way of a symlink, beside which its backing file is another one: the files
# are those that the driver has, not those that the image names.
mkdir owner named
(cd owner && image base.qcow2 && image img.qcow2 -b base.qcow2 -F qcow2 && cp base.qcow2 ../named)
ln -s ../owner/img.qcow2 named
echo "$T/owner/img.qcow2" >root/sys/block/qcow0/qcow/image
echo "1 3 image $T/named/base.qcow2" >root/sys/block/qcow0/files
qemu-io -f qcow2 -c 'write -q 0 64k' named/base.qcow2
with_driver "$Q" map qcow0
has "map: by a symlink" "[0-9] $T/named/base.qcow2$" out
rm root/sys/block/qcow0/files
with_driver "$Q" map --json qcow0
same "map: a shorter chain than the image's" "0 0" "$code $(jq 'map(.depth) | max' out)"
MOCK_FILE_ERRNO=25 with_driver_refuses "map: an old driver" "/dev/qcow0: the driver is too old to hand out" map qcow0
fake_root

# What there is no map of.
cp top.qcow2 bad.qcow2
poke bad.qcow2 "$(peek bad.qcow2 40 8)" 8 0x40200
refuses "map: damage" "^qcowctl: bad.qcow2: damaged entry for byte 0 of the disk: offset of its table is not aligned; " map -J bad.qcow2
poke top.qcow2 32 4 1
accepts "map: AES" map top.qcow2
poke top.qcow2 32 4 0
mv base.qcow2 gone.qcow2
refuses "map: no backing file" "base.qcow2: No such file" map top.qcow2
mv gone.qcow2 base.qcow2
image ext.qcow2 -o data_file=ext.raw
rm ext.raw
refuses "map: no data file" "ext.raw: No such file" map ext.qcow2
# All L1 entries for the same table: what an image says must not take for ever.
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
run "$Q" map -J loop.qcow2
same "map: one table used for everything: exit code" 1 $code
has "map: one table used for everything" "loop.qcow2: damaged .*more tables than" err
refuses "map: nothing named" "takes one image or device" map
refuses "map: two images" "takes one image or device" map base.qcow2 top.qcow2
refuses "map: -f vmdk" "give qcow2, qcow or raw" map -f vmdk base.qcow2
refuses "map: no such file" "nothing.qcow2: No such file" map nothing.qcow2
if [ -e /dev/full ]; then
	"$Q" map base.qcow2 >/dev/full 2>err
	same "map: a full disk behind stdout" 1 $?
fi

# qcow version 1, of which QEMU can tell the same.
head -c 300000 /dev/urandom >v1.raw
truncate -s 4M v1.raw
qemu-img convert -f raw -O qcow v1.raw v1.qcow
qemu-io -f qcow -c 'write -q -c 1M 4k' -c 'write -q -c 1028k 4k' v1.qcow
qemu-img create -q -f qcow -b v1.qcow -F qcow above.qcow
qemu-io -f qcow -c 'write -q 100k 7k' -c 'write -q 2M 512' above.qcow
for image in v1.qcow above.qcow; do
	run "$Q" map --json $image
	same "map: $image" "0 $(qemu-img map --output=json $image | jq -c '.[]|[.start,.length,.depth,.present,.zero,.data,.offset]')" \
		"$code $(jq -c '.[]|[.start,.length,.depth,.present,.zero,.data,.offset]' out)"
done
run "$Q" check v1.qcow
same "check: qcow version 1" "63" "$code"
