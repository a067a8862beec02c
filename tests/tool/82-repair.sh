# SPDX-License-Identifier: GPL-2.0
# qcowctl check --repair: the clusters that it must not free, the faults that it mends, and
# the memory that a check takes.
# shellcheck shell=bash

# gives_up NAME PATTERN IMAGE: neither repair changes the image or ends in another
# exit code than 1, and both say why.
gives_up()
{
	local name=$1 mode

	for mode in leaks all; do
		cp "$3" given-up.qcow2
		run qcowctl check --repair=$mode given-up.qcow2
		expect "$name: $mode: exit code" is 1 $code
		expect "$name: $mode: says why" has "$2" err
		expect "$name: $mode: nothing was changed" same_content "$3" given-up.qcow2
	done
}

# flips_link [SOURCE]: links the objects of the folder into check.so.
flips_link()
{
	# shellcheck disable=SC2046
	${CC:-cc} -shared -fPIC -o check.so "$@" ./*.o $(pkg-config --libs json-c mount)
}

# flips_stubs: writes stubs.c, with a function that ends the process for each one that
# check.so lacks. Python binds all functions when it loads the library.
flips_stubs()
{
	echo '#include <stdlib.h>'
	nm -D --undefined-only check.so |
		awk '$1 == "U" && $2 !~ /@/ { print "void " $2 "(void) { abort(); }" }'
} >stubs.c

# Each bit of a header, and of the tables that name clusters.
flips()
{
	mkdir -p flips
	# Functions for images of other formats, which these are not
	cat >flips/formats.c <<-'END'
		_Bool check_is_foreign(void) { return 0; }
		char *chain_archive(void) { return 0; }
		void *foreign_image_probe(void) { return 0; }
		void *foreign_image_probe_backing(void) { return 0; }
		void image_print_formats(void) { }
		_Bool folder_image_wanted(void) { return 0; }
		int option_format(void) { return -1; }
	END
	# shellcheck disable=SC2046
	(cd flips && ${CC:-cc} -c -fPIC -O1 -std=gnu11 -D_FILE_OFFSET_BITS=64 -DQCOW_VERSION='"0"' \
		-I"$top/userspace/src" -I"$top/include/uapi" -I"$top/drivers/block" \
		-I"$top/drivers/block/qcow" $(pkg-config --cflags json-c mount) formats.c \
		"$top"/userspace/src/check/*.c "$top"/userspace/src/cmd/{check,options,run}.c \
		"$top"/userspace/src/device/{attached,device,node,which}.c \
		"$top"/userspace/src/image/{extensions,lock,seems}.c \
		"$top"/userspace/src/lib/{clock,fd,file,folder,json,memory,name,proc,progress,report,sysfs,text}.c \
		"$top"/drivers/block/qcow/ondisk/{header,header_v1,entry,bitdir}.c &&
		flips_link && flips_stubs && flips_link stubs.c) 2>flips.log ||
		failure "flips: build" "$(cat flips.log)"
	(cd flips && python3 "$here/flip.py" check.so) >flips.log 2>&1 ||
		failure "flip.py" "$(tail -20 flips.log)"
	while read -r line; do
		case $line in
		ok*)	pass "a bit flipped" ;;
		FAILED*) failure "a bit flipped: ${line#FAILED: }" ;;
		esac
	done <flips.log
	expect "a bit flipped: images and tables" is 38 "$(grep -c '^ok' flips.log)"
	rm -rf flips
}

top=$(realpath "$here/../..")
flips

# Parts of an image that may own clusters, but are not known.
image owner.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 1 0 64k' owner.qcow2
leaking owner.qcow2
cp owner.qcow2 ext.qcow2
at=$(peek ext.qcow2 100 4)
while [ "$(peek ext.qcow2 "$at" 4)" -ne 0 ]; do
	at=$((at + 8 + ($(peek ext.qcow2 $((at + 4)) 4) + 7) / 8 * 8))
done
poke ext.qcow2 "$at" 4 0x12345678
expect "an unknown extension" exits 3 "leaked" qcowctl check ext.qcow2
gives_up "an unknown extension" "header extension 0x12345678, which is not known" ext.qcow2
cp owner.qcow2 auto.qcow2
poke auto.qcow2 88 8 0x8000
gives_up "an unknown autoclear feature" "autoclear features 0x8000, which are not known" auto.qcow2
cp owner.qcow2 nowhere.qcow2
poke nowhere.qcow2 88 8 1
gives_up "bitmaps without an extension" "has bitmaps, but not where" nowhere.qcow2
qemu-img bitmap --add owner.qcow2 b0
cp owner.qcow2 old-bitmaps.qcow2
poke old-bitmaps.qcow2 88 8 0
gives_up "bitmaps without their feature bit" "may belong to its bitmaps, which its header does not mark as valid" old-bitmaps.qcow2

# LUKS without the header that has the places of the key slots, and without these.
echo secret >key
luks_image slots.qcow2 key
cp slots.qcow2 no-extension.qcow2
at=$(peek slots.qcow2 100 4)
while [ "$(peek slots.qcow2 "$at" 4)" -ne $((0x0537be77)) ]; do
	at=$((at + 8 + ($(peek slots.qcow2 $((at + 4)) 4) + 7) / 8 * 8))
done
poke no-extension.qcow2 "$at" 4 0x0537be76
gives_up "LUKS without its extension" "cannot be checked: .*; restore it from a copy" no-extension.qcow2
poke slots.qcow2 "$(peek slots.qcow2 $((at + 8)) 8)" 1 0
gives_up "LUKS without its header" "there is no LUKS header where it leads to; restore it" slots.qcow2

# An L1 entry that leads to an empty cluster.
image lost.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 1 0 64k' -c 'write -q -P 2 32M 64k' lost.qcow2
size=$(stat -c %s lost.qcow2)
truncate -s $((size + 65536)) lost.qcow2
poke lost.qcow2 "$(peek lost.qcow2 40 8)" 8 $(((1 << 63) + (size + 8191) / 4096 * 4096))
cp lost.qcow2 given-up.qcow2
run qcowctl check --repair=all given-up.qcow2
expect "a lost table: exit code" is 1 $code
expect "a lost table: says why" has "a table is empty and not allocated" err
expect "a lost table: nothing was changed" same_content lost.qcow2 given-up.qcow2

# A table that is also used for something else: the clusters that it lost are kept.
image shared.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 1 0 64k' -c 'write -q -P 2 32M 64k' shared.qcow2
l1=$(peek shared.qcow2 40 8)
poke shared.qcow2 "$l1" 8 "$(peek shared.qcow2 $((l1 + 128)) 8)"
cp shared.qcow2 copy.qcow2
run qcowctl check --repair=all copy.qcow2
expect "an L2 table at two places: leaks are left" is 3 $code
expect "an L2 table at two places: says why" has "not freed, as a table shares its cluster" err
cp shared.qcow2 copy.qcow2
l2=$(($(peek shared.qcow2 "$l1" 8) & 0xfffffffffffe00))
poke copy.qcow2 $((l2 + 8)) 8 $(((1 << 63) + l2))
poke copy.qcow2 "$l1" 8 0
for _ in 1 2; do
	run qcowctl check --repair=all copy.qcow2
	expect "a shared table: leaks are left" is 3 $code
	expect "a shared table: says why" has "not freed, as a table shares its cluster" err
done

# New refcounts beside damage: the old ones are lost, and so each cluster may be in use.
image unknown.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 0 0 2M' -c 'write -q -P 2 32M 64k' unknown.qcow2
l1=$(peek unknown.qcow2 40 8)
entry=$(peek unknown.qcow2 "$l1" 8)
poke unknown.qcow2 "$l1" 8 $((entry + 2048))
poke unknown.qcow2 "$(peek unknown.qcow2 48 8)" 8 0
run qcowctl check --repair=all unknown.qcow2
expect "unknown refcounts and damage: exit code" is 2 $code
poke unknown.qcow2 "$l1" 8 "$entry"
qemu-img check unknown.qcow2 >out 2>&1
expect "unknown refcounts and damage: nothing was freed" is "" "$(grep 'refcount=0' out)"

# Refcounts of one bit do not show that a table is two things: here, the refcount table is an L2
# table of the disk, and its entries would get a COPIED flag.
image one-bit-refcounts.qcow2 -o cluster_size=4096,refcount_bits=1
qemu-io -f qcow2 -c 'write -q -P 1 0 64k' -c 'write -q -P 2 32M 64k' one-bit-refcounts.qcow2
poke one-bit-refcounts.qcow2 "$(peek one-bit-refcounts.qcow2 40 8)" 8 \
	$(((1 << 63) + $(peek one-bit-refcounts.qcow2 48 8)))
cp one-bit-refcounts.qcow2 copy.qcow2
expect "a table of two uses, refcounts of one bit" exits 1 "cannot be repaired: .*more references than" \
	qcowctl check --repair=all copy.qcow2
expect "a table of two uses, refcounts of one bit: kept" same_content one-bit-refcounts.qcow2 copy.qcow2

# mended NAME IMAGE: by --repair=all, for QEMU too, and nothing reads differently.
mended()
{
	cp "$2" mended.qcow2
	[ -e before.raw ] || qemu-img convert -U -f qcow2 -O raw "$2" before.raw
	run qcowctl check --repair=all mended.qcow2
	expect "$1: exit code" is 0 $code
	expect "$1: QEMU agrees" qemu-img check mended.qcow2
	qemu-img convert -U -f qcow2 -O raw mended.qcow2 after.raw
	expect "$1: the disk reads as before" same_content before.raw after.raw
	rm before.raw
}

# A snapshot whose L1 table is too small for its disk: the clusters that it lost are kept.
for compat in 0.10 1.1; do
	image few.qcow2 -o cluster_size=4096,compat=$compat
	qemu-io -f qcow2 -c 'write -q -P 1 0 64k' -c 'write -q -P 2 62M 64k' few.qcow2
	qemu-img snapshot -c one few.qcow2
	qemu-io -f qcow2 -c 'write -q -P 3 0 64k' -c 'write -q -P 4 62M 64k' few.qcow2
	at=$(($(peek few.qcow2 64 8) + 8))
	entries=$(peek few.qcow2 $at 4)
	for wrong in 0 $((entries ^ 1 << 5)); do
		poke few.qcow2 $at 4 "$wrong"
		expect "a snapshot's short L1 table: check" exits 2 "entry 0: its L1 table is too small" \
			qcowctl check few.qcow2
		for mode in leaks all; do
			cp few.qcow2 copy.qcow2
			run qcowctl check --repair=$mode copy.qcow2
			poke copy.qcow2 $at 4 "$entries"
			expect "a snapshot's short L1 table: $mode: nothing was freed" qemu-img check copy.qcow2
		done
	done
	poke few.qcow2 $at 4 "$entries"
	expect "a snapshot's L1 table: long enough" accepts qcowctl check few.qcow2
	poke few.qcow2 $((at + 32)) 8 1
	expect "a snapshot's short L1 table: VM state" exits 2 "entry 0: its L1 table is too small" \
		qcowctl check few.qcow2
done

# Snapshots of other sizes than the disk, as QEMU makes them, are no damage.
for size in 512 4096; do
	qemu-img create -q -f qcow2 -o cluster_size=$size sizes.qcow2 0
	qemu-img snapshot -c empty sizes.qcow2
	for to in 1M 300M 2M 40M; do
		qemu-img resize -q --shrink sizes.qcow2 $to
		qemu-io -f qcow2 -c 'write -q -P 1 1M 64k' sizes.qcow2 >out 2>&1
		qemu-img snapshot -c $to sizes.qcow2
	done
	qemu-img snapshot -a 1M sizes.qcow2
	qemu-img snapshot -c again sizes.qcow2
	expect "snapshots of other sizes" accepts qcowctl check sizes.qcow2
done

# Snapshots without extra data, of which there are leaks as well.
image short.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 1 0 64k' short.qcow2
qemu-img snapshot -c one short.qcow2
qemu-io -f qcow2 -c 'write -q -P 2 0 32k' short.qcow2
qemu-img snapshot -c two short.qcow2
qemu-io -f qcow2 -c 'write -q -P 3 0 16k' short.qcow2
python3 - <<'END'
import struct
with open("short.qcow2", "r+b") as f:
    data = f.read()
    start = at = struct.unpack(">Q", data[64:72])[0]
    table = b""
    for extra in 0, 8:
        old, ids, names = struct.unpack(">IHH", data[at + 36:at + 40] + data[at + 12:at + 16])
        rest = data[at + 40 + old:at + 40 + old + ids + names]
        entry = data[at:at + 36] + struct.pack(">I", extra) + data[at + 40:at + 40 + extra] + rest
        table += entry.ljust(len(entry) + 7 & ~7, b"\0")
        at = at + 40 + old + ids + names + 7 & ~7
    f.seek(start)
    f.write(table.ljust(at - start, b"\0"))
END
qemu-img snapshot -l short.qcow2 >listed
for i in one two; do
	qemu-img convert -U -l $i -f qcow2 -O raw short.qcow2 $i.raw
done
leaking short.qcow2
expect "snapshots without extra data" exits 2 "snapshot table entry 1: not complete" \
	qcowctl check short.qcow2
mended "snapshots without extra data" short.qcow2
qemu-img snapshot -l mended.qcow2 >out
expect "snapshots without extra data: the list" is "$(cat listed)" "$(cat out)"
expect "snapshots without extra data: the size of their disk" is $((64 << 20)) \
	"$("$Q" snapshot list -J mended.qcow2 | jq '.snapshots[0]["disk-size"]')"
for i in one two; do
	qemu-img convert -U -l $i -f qcow2 -O raw mended.qcow2 after.raw
	expect "snapshots without extra data: snapshot $i" same_content $i.raw after.raw
done
# Interrupted before each of its writes, it leaves the table that it was or the new one.
${CC:-cc} -shared -fPIC -O1 -o stop.so "$here/stop.c" -ldl
for ((i = 0; i < 40; i++)); do
	cp short.qcow2 cut.qcow2
	code=0
	STOP_AT=$i LD_PRELOAD=./stop.so "$Q" check --repair=all cut.qcow2 >/dev/null 2>&1 || code=$?
	[ $code -eq 99 ] || break
	codes=$code
	rm -f after.raw
	qemu-img convert -q -U -l two -f qcow2 -O raw cut.qcow2 after.raw
	expect "snapshots without extra data: interrupted at write $i" same_content two.raw after.raw
	run qcowctl check --repair=all cut.qcow2
	expect "snapshots without extra data: interrupted, then mended" is 0 $code
done
expect "snapshots without extra data: interrupted several times" is 99 "$codes"

# The byte is named.
cp short.qcow2 one-bit.qcow2
poke one-bit.qcow2 99 1 5
run qcowctl check --repair=all one-bit.qcow2
expect "a wrong bit: says which" has "byte 99 of its header is 0x05, and 0x04 would fit" err

# No refcount table.
image none.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 1 0 64k' none.qcow2
qemu-img convert -f qcow2 -O raw none.qcow2 before.raw
poke none.qcow2 56 4 0
for command in info map; do
	expect "no refcount table: $command" refuses \
		"no refcount table; repair it with qcowctl check --repair=all" qcowctl $command none.qcow2
done
expect "no refcount table" exits 2 "refcount 0, but 1 references" qcowctl check none.qcow2
mended "no refcount table" none.qcow2

# A compressed cluster that begins in the header's.
image touched.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 1 0 64k' touched.qcow2
l2=$(($(peek touched.qcow2 "$(peek touched.qcow2 40 8)" 8) & 0xfffffffffffe00))
poke touched.qcow2 $((l2 + 8 * 40)) 8 $(((1 << 62) + 512))
poke touched.qcow2 $(($(peek touched.qcow2 "$(peek touched.qcow2 48 8)" 8) + 2)) 2 0
expect "the header is touched" exits 2 "cluster 0: refcount 1, but 2 references" \
	qcowctl check touched.qcow2
run qcowctl check --repair=all touched.qcow2
expect "the header is touched: exit code" is 0 $code
expect "the header is touched: QEMU agrees" qemu-img check touched.qcow2

# An L2 table that holds its own place.
image self.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 1 0 64k' self.qcow2
l2=$(($(peek self.qcow2 "$(peek self.qcow2 40 8)" 8) & 0xfffffffffffe00))
poke self.qcow2 $((l2 + 8 * 40)) 8 $(((1 << 63) + l2))
expect "a table of itself" exits 2 "refcount 1, but 2 references" qcowctl check self.qcow2
run qcowctl check --repair=all self.qcow2
expect "a table of itself: exit code" is 0 $code
expect "a table of itself: QEMU agrees" qemu-img check self.qcow2

# Memory on a large sparse file with few references, far from each other.
python3 - <<'END'
import struct
C, apparent = 512, 160 << 30
nr = apparent // (4096 * C)
l1c = nr * 8 // C + 1
with open("sparse.qcow2", "wb") as f:
    f.write(struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 9, nr * 64 * C, 0, nr,
                        3 * C, C, 1, 0, 0, 0, 0, 0, 4, 104))
    f.seek(C)
    f.write(struct.pack(">Q", 2 * C))
    f.seek(3 * C)
    f.write(b"".join(struct.pack(">Q", (1 + i) * 4096 * C) for i in range(nr - 1)))
    f.truncate(apparent)
END
# In a shell with a limit of its own. QEMU takes 664 MB.
run limited sh -c 'ulimit -v 131072 && exec "$@"' - "$Q" check sparse.qcow2
expect "memory: a sparse file" is "2 0" "$code $(grep -c 'out of memory' err)"
rm -f sparse.qcow2 ./*.raw
