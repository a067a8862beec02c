# SPDX-License-Identifier: GPL-2.0
# Names that others chose, in lists and in JSON; names that QEMU refuses; advice that works.
# shellcheck shell=bash

# Headers that QEMU refuses.
image raw-only.qcow2
poke raw-only.qcow2 88 8 2
expect "data file raw without a data file" exits 1 "damaged header: .*data file.*; restore" \
	qcowctl check raw-only.qcow2
expect "data file raw without a data file: info" refuses "damaged header" qcowctl info raw-only.qcow2
image end.qcow2 -o compat=0.10,cluster_size=512
poke end.qcow2 72 8 512
expect "an end of extensions that is too large" exits 1 "extension 0 of 512 bytes is too large" \
	qcowctl check end.qcow2

# An image in which check finds no fault is not repaired.
image moved.qcow2 -o data_file=moved.raw,cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 1 0 64k' moved.qcow2
l2=$(($(peek moved.qcow2 "$(peek moved.qcow2 40 8)" 8) & 0xfffffffffffe00))
poke moved.qcow2 $((l2 + 8)) 8 $(((1 << 63) + 0x5000))
expect "an offset in a data file: check" accepts qcowctl check moved.qcow2
run qcowctl map moved.qcow2
expect "an offset in a data file: map" has "differs from the disk's; restore it from a copy$" err
image zeros.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -z 0 64k' -c 'write -q -P 1 64k 4k' zeros.qcow2
l2=$(($(peek zeros.qcow2 "$(peek zeros.qcow2 40 8)" 8) & 0xfffffffffffe00))
poke zeros.qcow2 $((l2 + 8)) 8 513
run qcowctl map zeros.qcow2
expect "zeros with an offset: map" has "repair the image with qcowctl check --repair=all$" err
run qcowctl check --repair=all zeros.qcow2
expect "zeros with an offset: map, repaired" accepts qcowctl map zeros.qcow2

# Bitmaps of which QEMU refuses the name cannot be removed by it.
image unnamed.qcow2 -o cluster_size=4096
qemu-img bitmap --add unnamed.qcow2 b0
at=112
while [ "$(peek unnamed.qcow2 $at 4)" -ne $((0x23852875)) ]; do
	at=$((at + 8 + ($(peek unnamed.qcow2 $((at + 4)) 4) + 7) / 8 * 8))
done
poke unnamed.qcow2 $(($(peek unnamed.qcow2 $((at + 24)) 8) + 18)) 2 0
expect "damaged bitmaps" refuses "its bitmaps are damaged; restore it from a copy, or give them up: attach" \
	qcowctl check unnamed.qcow2
image longer.qcow2 -o cluster_size=4096
qemu-img bitmap --add -g 512 longer.qcow2 b0
poke longer.qcow2 24 8 0x100000
expect "a bitmap that is longer than the disk: QEMU" exits 1 "" qemu-img check longer.qcow2
expect "a bitmap that is longer than the disk" refuses "its bitmaps are damaged" \
	qcowctl check longer.qcow2
image some.qcow2
run limited sh -c 'ulimit -n 4; exec "$@"' - "$Q" info some.qcow2
expect "too many open files" has "raise the limit of open files" err

# A repair that may not make the file longer, or whose reader has gone.
image tight.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 1 0 64k' tight.qcow2
poke tight.qcow2 56 4 0
cp tight.qcow2 piped.qcow2
run limited sh -c "ulimit -f $(($(stat -c %s tight.qcow2) / 512)); exec \"\$@\"" - "$Q" check --repair=all tight.qcow2
expect "a limit of the file's size: exit code" is 1 $code
expect "a limit of the file's size: says so" has "File too large; raise the limit .*, then repair again" err
# No space left: before each write of a repair, of which the next one does the rest.
${CC:-cc} -shared -fPIC -O1 -o stop.so "$here/stop.c" -ldl
full=0
for ((i = 0; i < 20; i++)); do
	cp piped.qcow2 full.qcow2
	run limited env STOP_AT=$i STOP_ERRNO=28 LD_PRELOAD=./stop.so "$Q" check --repair=all full.qcow2
	[ $code -ne 0 ] || break
	full=$((full + 1))
	expect "no space left: write $i: exit code" is 1 $code
	expect "no space left: write $i: says so" has "No space left on device; make room .*, then repair again" err
	run qcowctl check --repair=all full.qcow2
	qemu-img check full.qcow2 >out 2>&1
	expect "no space left: write $i: repaired later" is "0 0" "$code $?"
done
expect "no space left: several writes" is 1 $((full > 2))
run limited sh -c '{ "$@"; echo $? >&3; } 2>&1 3>status | :' - "$Q" check --repair=all piped.qcow2
expect "nobody reads what a repair says: it is done" qemu-img check -q piped.qcow2

# Point 9: JSON is fit for a terminal, and says the same as before.
name=$(printf 'a\177b\302\233c\342\200\256d\342\201\246e')
image named.qcow2
qemu-img snapshot -c "$name" named.qcow2
qemu-img bitmap --add named.qcow2 "$name"
cp named.qcow2 "$name.qcow2"
for words in "snapshot list -J named.qcow2" "bitmap list -J named.qcow2" "info -J named.qcow2" \
	"info -J $name.qcow2" "check -J $name.qcow2"; do
	# shellcheck disable=SC2086
	run qcowctl $words
	expect "controls in JSON: ${words%% -J*}: none" is "" "$(LC_ALL=C grep -nP '[\x7f-\xff]' out)"
	expect "controls in JSON: ${words%% -J*}: the same name" is 1 \
		"$(jq --arg name "$name" '[.. | strings | select(startswith($name))] | length | sign' out 2>/dev/null ||
		jq --arg name "$name" '[.. | strings | select(startswith($name))] | length | if . > 0 then 1 else 0 end' out)"
done

# names_in_json NAME FOUND COMMAND...: of no command does a byte of a name get to a terminal
# as it is, and the name FOUND is there.
names_in_json()
{
	local name=$1 found=$2

	shift 2
	run "$@"
	expect "$name: exit code" test $code -eq 0 -o $code -eq 3
	expect "$name: no controls, valid" is "" \
		"$(LC_ALL=C grep -nP '\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|\xe2\x81[\xa6-\xa9]' out
		iconv -f utf-8 -t utf-8 out 2>&1 >/dev/null)"
	expect "$name: the name" is true \
		"$(jq -s --arg name "$found" '[.. | strings | select(contains($name))] | length > 0' out)"
}

# Each command with -J, of an image and of a device; a name that is not UTF-8, too. As a
# device's image and as a name in an image.
odd=$(printf 'x\377y\355\240\200z\302')
shown=$(printf 'x\357\277\275y\357\277\275\357\277\275\357\277\275z\357\277\275')
for pair in "$name|$name" "$odd|$shown"; do
	file=${pair%%|*} text=${pair#*|}
	fake_root
	printf '%s' "$T/$file.qcow2" >root/sys/block/qcow0/qcow/image
	echo "1 3 image $T/$file.qcow2" >root/sys/block/qcow0/files
	echo "31 22 240:0 / /m/$file ro - ext4 /dev/qcow0 ro" >root/proc/self/mountinfo
	[ -e "$file.qcow2" ] || cp named.qcow2 "$file.qcow2"
	for words in "list -J" "list -J -O mountpoints" "info -J /dev/qcow0"; do
		# shellcheck disable=SC2086
		names_in_json "names in JSON: $words" "$text" with_driver qcowctl $words
	done
	for words in "info -J" "check -J"; do
		# shellcheck disable=SC2086
		names_in_json "names in JSON: $words" "$text" qcowctl $words "$file.qcow2"
	done
	# A backing file, and a data file.
	image above.qcow2
	backing above.qcow2 "$file.qcow2" qcow2
	names_in_json "names in JSON: info -J: backing file" "$text" qcowctl info -J above.qcow2
	names_in_json "names in JSON: info -J --chain" "$text" qcowctl info -J --chain above.qcow2
	# Extents, the only names that map prints
	truncate -s 1M "$file-flat.vmdk"
	cat >parts.vmdk <<-END
		# Disk DescriptorFile
		version=1
		CID=12345678
		parentCID=ffffffff
		createType="monolithicFlat"
		RW 2048 FLAT "$file-flat.vmdk" 0
	END
	names_in_json "names in JSON: map -J: extents" "$text" qcowctl map -J -f vmdk parts.vmdk
	names_in_json "names in JSON: info -J: extents" "$text" qcowctl info -J -f vmdk parts.vmdk
done
mkdir root/sys/block/qcow0/qcow_stat
echo 1 >root/sys/block/qcow0/qcow_stat/reads
run with_driver qcowctl stat -J
expect "names in JSON: stat -J" is '"/dev/qcow0"' "$(jq '.qcowstat[0].name' out)"
qemu-img info --output=json named.qcow2 | jq -S .snapshots >theirs
"$Q" info -J named.qcow2 | jq -S '.snapshots | del(.[]."disk-size")' >out
expect "info: the snapshots" is "$(cat theirs)" "$(cat out)"
"$Q" info -J some.qcow2 | jq '.snapshots' >out
expect "info: no snapshots" is null "$(cat out)"

# A table of long names of escapes does not take their square.
python3 - <<'END'
import struct
C, NR = 65536, 40
entry = lambda i: (struct.pack(">QIHHIIQII", 0, 0, 2, 60000, 0, 0, 0, 0, 16) + bytes(16) +
                   b"%02d" % i + b"\x1b" * 60000).ljust(60064, b"\0")
table = b"".join(entry(i) for i in range(NR))
with open("long.qcow2", "wb") as f:
    f.write(struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 16, 1 << 20, 0, 1, 3 * C,
                        C, 1, NR, 4 * C, 0, 0, 0, 4, 104))
    f.seek(C)
    f.write(struct.pack(">Q", 2 * C))
    f.seek(4 * C)
    f.write(table)
END
: >time
run limited bash -c 'TIMEFORMAT="%U"; time "$@" >out2 2>err2' - "$Q" snapshot list long.qcow2
expect "long names: all of them" is 41 "$(wc -l <out2)"
expect "long names: in less than half a second of processor time" is 1 \
	"$(tail -n 1 err | python3 -c 'print(int(float(input()) < 0.5))')"
rm -f long.qcow2 out2 err2
