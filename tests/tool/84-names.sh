# SPDX-License-Identifier: GPL-2.0
# Names that others chose, in lists and in JSON; what QEMU refuses; advice that works.
# shellcheck shell=bash

# Point 8: headers that QEMU refuses.
image raw-only.qcow2
poke raw-only.qcow2 88 8 2
exits "data file raw without a data file" 1 "damaged header: .*data file.*; restore" raw-only.qcow2
refuses "data file raw without a data file: info" "damaged header" info raw-only.qcow2
image end.qcow2 -o compat=0.10,cluster_size=512
poke end.qcow2 72 8 512
exits "an end of extensions that is too large" 1 "extension 0 of 512 bytes is too large" end.qcow2

# Point 8: what check has no fault to find with is not to be repaired.
image moved.qcow2 -o data_file=moved.raw,cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 1 0 64k' moved.qcow2
l2=$(($(peek moved.qcow2 "$(peek moved.qcow2 40 8)" 8) & 0xfffffffffffe00))
poke moved.qcow2 $((l2 + 8)) 8 $(((1 << 63) + 0x5000))
accepts "an offset in a data file: check" check moved.qcow2
run "$Q" map moved.qcow2
has "an offset in a data file: map" "differs from the disk's; restore it from a copy$" err
image zeros.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -z 0 64k' -c 'write -q -P 1 64k 4k' zeros.qcow2
l2=$(($(peek zeros.qcow2 "$(peek zeros.qcow2 40 8)" 8) & 0xfffffffffffe00))
poke zeros.qcow2 $((l2 + 8)) 8 513
run "$Q" map zeros.qcow2
has "zeros with an offset: map" "repair the image with qcowctl check --repair=all$" err
run "$Q" check --repair=all zeros.qcow2
accepts "zeros with an offset: map, repaired" map zeros.qcow2

# Point 8: bitmaps of which QEMU refuses the name cannot be removed by it.
image unnamed.qcow2 -o cluster_size=4096
qemu-img bitmap --add unnamed.qcow2 b0
at=112
while [ "$(peek unnamed.qcow2 $at 4)" -ne $((0x23852875)) ]; do
	at=$((at + 8 + ($(peek unnamed.qcow2 $((at + 4)) 4) + 7) / 8 * 8))
done
poke unnamed.qcow2 $(($(peek unnamed.qcow2 $((at + 24)) 8) + 18)) 2 0
refuses "damaged bitmaps" "its bitmaps are damaged; restore it from a copy, or give them up: attach" \
	check unnamed.qcow2
image longer.qcow2 -o cluster_size=4096
qemu-img bitmap --add -g 512 longer.qcow2 b0
poke longer.qcow2 24 8 0x100000
qemu-img check longer.qcow2 >out 2>&1
same "a bitmap that is longer than the disk: QEMU" 1 $?
refuses "a bitmap that is longer than the disk" "its bitmaps are damaged" check longer.qcow2
image some.qcow2
run sh -c 'ulimit -n 4; exec "$@"' - "$Q" info some.qcow2
has "too many open files" "raise the limit of open files" err

# Point 9: a repair that may not make the file longer, or whose reader has gone.
image tight.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 1 0 64k' tight.qcow2
poke tight.qcow2 56 4 0
cp tight.qcow2 piped.qcow2
run sh -c "ulimit -f $(($(stat -c %s tight.qcow2) / 512)); exec \"\$@\"" - "$Q" check --repair=all tight.qcow2
same "a limit of the file's size: exit code" 1 $code
has "a limit of the file's size: says so" "File too large; raise the limit .*, then repair again" err
# No space left: before each write of a repair, of which the next one does the rest.
${CC:-cc} -shared -fPIC -O1 -o stop.so "$here/stop.c" -ldl
full=0
for ((i = 0; i < 20; i++)); do
	cp piped.qcow2 full.qcow2
	run env STOP_AT=$i STOP_ERRNO=28 LD_PRELOAD=./stop.so "$Q" check --repair=all full.qcow2
	[ $code -ne 0 ] || break
	full=$((full + 1))
	same "no space left: write $i: exit code" 1 $code
	has "no space left: write $i: says so" "No space left on device; make room .*, then repair again" err
	run "$Q" check --repair=all full.qcow2
	qemu-img check full.qcow2 >out 2>&1
	same "no space left: write $i: repaired later" "0 0" "$code $?"
done
same "no space left: several writes" 1 $((full > 2))
run sh -c '{ "$@"; echo $? >&3; } 2>&1 3>status | :' - "$Q" check --repair=all piped.qcow2
qemu-img check -q piped.qcow2
same "nobody reads what a repair says: it is done" 0 $?

# Point 9: JSON is fit for a terminal, and says the same as before.
name=$(printf 'a\177b\302\233c\342\200\256d\342\201\246e')
image named.qcow2
qemu-img snapshot -c "$name" named.qcow2
qemu-img bitmap --add named.qcow2 "$name"
cp named.qcow2 "$name.qcow2"
for words in "snapshot list -J named.qcow2" "bitmap list -J named.qcow2" "info -J named.qcow2" \
	"info -J $name.qcow2" "check -J $name.qcow2"; do
	# shellcheck disable=SC2086
	run "$Q" $words
	same "controls in JSON: ${words%% -J*}: none" "" "$(LC_ALL=C grep -nP '[\x7f-\xff]' out)"
	same "controls in JSON: ${words%% -J*}: the same name" 1 \
		"$(jq --arg name "$name" '[.. | strings | select(startswith($name))] | length | sign' out 2>/dev/null ||
		jq --arg name "$name" '[.. | strings | select(startswith($name))] | length | if . > 0 then 1 else 0 end' out)"
done
qemu-img info --output=json named.qcow2 | jq -S .snapshots >theirs
"$Q" info -J named.qcow2 | jq -S '.snapshots | del(.[]."disk-size")' >out
same "info: the snapshots" "$(cat theirs)" "$(cat out)"
"$Q" info -J some.qcow2 | jq '.snapshots' >out
same "info: no snapshots" null "$(cat out)"

# Point 9: a table of long names of escapes does not take their square.
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
run bash -c 'TIMEFORMAT="%U"; time "$@" >out2 2>err2' - "$Q" snapshot list long.qcow2
same "long names: all of them" 41 "$(wc -l <out2)"
same "long names: in less than half a second of processor time" 1 \
	"$(tail -n 1 err | python3 -c 'print(int(float(input()) < 0.5))')"
rm -f long.qcow2 out2 err2
