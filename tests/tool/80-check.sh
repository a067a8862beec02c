# SPDX-License-Identifier: GPL-2.0
# qcowctl check, compared with qemu-img check. shellcheck shell=bash

# compared SEED COUNT: images by the hundred.
compared()
{
	mkdir -p checks
	${CC:-cc} -shared -fPIC -O1 -o checks/stop.so "$here/stop.c" -ldl
	(cd checks && python3 "$here/check.py" "$Q" "$@") >checks.log 2>&1 ||
		fail "check.py" "$(tail -20 checks.log)"
	while read -r line; do
		case $line in
		ok*)	pass "compared" ;;
		FAILED*) fail "${line#FAILED: }" ;;
		esac
	done <checks.log
	rm -rf checks
}

compared "${CHECK_SEED:-1}" "${CHECK_COUNT:-48}"

# Text.
image clean.qcow2
accepts "clean" check clean.qcow2
has "clean: says so" "^No errors were found" out
qemu-io -f qcow2 -c 'write -P 1 0 1M' clean.qcow2 >/dev/null
cp clean.qcow2 leak.qcow2
truncate -s 3M leak.qcow2
poke leak.qcow2 $(($(peek leak.qcow2 "$(peek leak.qcow2 48 8)" 8) + 2 * 30)) 2 1
exits "leak" 3 "cluster 30: leaked: refcount 1, but 0 references" leak.qcow2
has "leak: says so" "^1 leaked cluster was found" out
cp clean.qcow2 bad.qcow2
poke bad.qcow2 "$(peek bad.qcow2 40 8)" 8 0x123456
exits "corruption" 2 "L1 entry 0x123456: the L2 table is not aligned" bad.qcow2
has "corruption: says so" "corruptions were found" out

# Repair.
cp leak.qcow2 copy.qcow2
exits "repair leaks" 0 "leaked" --repair=leaks copy.qcow2
has "repair leaks: says so" "^1 leaked cluster was freed" out
qemu-img check -q copy.qcow2 >out 2>&1
same "repair leaks: QEMU agrees" 0 $?
cp bad.qcow2 copy.qcow2
# No standard files: what is opened first must not be taken for them.
cp leak.qcow2 closed.qcow2
"$Q" check closed.qcow2 <&- >&- 2>&-
same "closed: the exit code" 3 $?
cmp -s leak.qcow2 closed.qcow2
same "closed: nothing was written" 0 $?
"$Q" check --repair=leaks closed.qcow2 >&- 2>&-
same "closed: repaired" 0 $?
qemu-img check -q closed.qcow2
same "closed: QEMU agrees" 0 $?

exits "repair leaks, but corrupt" 2 "leaked clusters are not freed while there are corruptions" --repair=leaks copy.qcow2
cmp -s copy.qcow2 bad.qcow2
same "repair leaks, but corrupt: nothing was changed" 0 $?
exits "repair all, but damaged" 2 "not repaired: L1 entry 0x123456" -r all copy.qcow2
cp clean.qcow2 bad.qcow2
l2=$(($(peek bad.qcow2 "$(peek bad.qcow2 40 8)" 8) & 0xfffffffffffe00))
poke bad.qcow2 $((l2 + 16)) 8 $(($(peek bad.qcow2 $((l2 + 16)) 8) + 512))
poke bad.qcow2 "$(peek bad.qcow2 48 8)" 8 0
exits "rebuild, but damaged" 2 "not repaired: L2 entry 0x8[0-9a-f]*: the cluster is not aligned" -r all bad.qcow2
has "rebuild, but damaged: the refcounts are well" "^[0-9]* corruptions were repaired" out

# After a crash with lazy refcounts.
image lazy.qcow2 -o lazy_refcounts=on
(qemu-io -f qcow2 -c 'write -P 1 0 4M' -c flush -c 'sigraise 9' lazy.qcow2; :) >/dev/null 2>&1
exits "dirty" 2 "refcount 0, but 1 references" lazy.qcow2
exits "dirty: repair leaks" 2 "use --repair=all" --repair=leaks lazy.qcow2
same "dirty: still" 1 "$(peek lazy.qcow2 72 8)"
exits "dirty: repair all" 0 "refcount 0, but 1 references" --repair=all lazy.qcow2
same "dirty: no more" 0 "$(peek lazy.qcow2 72 8)"
qemu-io -f qcow2 -c 'read -P 1 0 4M' lazy.qcow2 >out
has "dirty: its data" "^read 4194304/4194304" out

# Marked corrupt, but is not; a feature that nobody knows.
image marked.qcow2
poke marked.qcow2 72 8 2
poke marked.qcow2 88 8 0x8000
accepts "marked corrupt" check marked.qcow2
same "marked corrupt: still" 2 "$(peek marked.qcow2 72 8)"
accepts "marked corrupt: repair" check --repair=leaks marked.qcow2
same "marked corrupt: no more" 0 "$(peek marked.qcow2 72 8)"
refuses "repair nothing" "takes leaks or all" check --repair=none marked.qcow2
refuses "repair what" "incomplete option" check --repair

# All data would be freed.
cp clean.qcow2 claims.qcow2
poke claims.qcow2 72 8 4
exits "data file that is not named" 3 "leaked" claims.qcow2
exits "data file that is not named: repair" 1 "but none is named" --repair=all claims.qcow2

# Not checked.
head -c 1M /dev/urandom >noise
exits "raw" 63 "noise: is no qcow2 image" noise
: >empty
exits "empty" 63 "is no qcow2 image" empty
qemu-img create -q -f qcow old.qcow 1M
exits "qcow version 1" 63 "is no qcow2 image" old.qcow
poke clean.qcow2 4 4 4
exits "version 4" 1 "version 4 is not supported" clean.qcow2
exits "no file" 1 "No such file" missing.qcow2
refuses "no image" "takes one image" check
refuses "two images" "takes one image" check leak.qcow2 leak.qcow2
refuses "unknown option" "unknown or incomplete option --frob" check --frob leak.qcow2

# In use: as of QEMU, an image that is written cannot be checked.
hold -f qcow2 leak.qcow2
exits "written by QEMU" 1 "in use: another program writes to it" leak.qcow2
release
hold -r -f qcow2 leak.qcow2
exits "read by QEMU" 3 "leaked" leak.qcow2
release

hold -r -f qcow2 leak.qcow2
exits "read by QEMU: repair" 1 "in use: another program reads it" --repair=all leak.qcow2
release
if [ "$(id -u)" -ne 0 ]; then
	chmod a-w leak.qcow2
	exits "not writable: repair" 1 "cannot be written" --repair=all leak.qcow2
fi

# Backing and data files are not needed.
image ext.qcow2 -o data_file=ext.raw
qemu-io -f qcow2 -c 'write -P 1 0 1M' ext.qcow2 >/dev/null
rm ext.raw
accepts "data file missing" check ext.qcow2
image base.qcow2
image top.qcow2 -b base.qcow2 -F qcow2
rm base.qcow2
accepts "backing file missing" check top.qcow2

printf secret >key
luks_image luks.qcow2 key
accepts "LUKS" check luks.qcow2

# Progress.
code=0
"$Q" check --progress=json ext.qcow2 >out 2>err || code=$?
same "progress" '0 {"what":"Checking"' "$code $(head -n 1 err | cut -d, -f1)"
# ends NAME: is the last line of progress that all of it was done?
ends()
{
	same "$1" "" "$(grep -a '^{' err | tail -n 1 | jq -c 'select(.done != .total or .total == 0)')"
}
ends "progress: to the end"
image leaky.qcow2
qemu-io -f qcow2 -c 'write -q 0 8M' leaky.qcow2
head -c 4M /dev/zero >>leaky.qcow2
poke leaky.qcow2 $(($(peek leaky.qcow2 $(($(peek leaky.qcow2 48 8))) 8) + 200)) 2 0
run "$Q" check --repair=all --progress=json leaky.qcow2
ends "progress: a repair, to the end"
same "progress: a repair, each of its parts" "" \
	"$(grep -a '^{' err | jq -s -c 'group_by(.what)[] | last | select(.done != .total)')"
refuses "progress of another kind" "is json" check --progress=xml ext.qcow2

# A device is checked by its image, which nobody may write meanwhile.
fake_root
image base.qcow2
image top.qcow2 -b base.qcow2 -F qcow2
for name in qcow0 /dev/qcow0; do
	with_driver_refuses "check: $name: repair" \
		"$name: is a device, which cannot be repaired; detach it, and check its image, $T/top.qcow2" check --repair=all $name
	MOCK_FLAGS=0 with_driver_refuses "check: $name, writable" \
		"$name: is a device that is written; detach it, and check its image, $T/top.qcow2" check $name
	with_driver "$Q" check --json $name
	same "check: $name, read-only" "0 $T/top.qcow2" "$code $(jq -r .filename out)"
done
with_driver_refuses "check: a partition" "is a partition; name its disk /dev/qcow0" check /dev/qcow0p1
MOCK_FILE_ERRNO=25 with_driver_refuses "check: an old driver" "too old to hand out the files" check qcow0
rm root/sys/block/qcow0/qcow/image
with_driver_refuses "check: a device that goes away" "no such device" check qcow0
rm -r root/sys/block/qcow0
image qcow0
with_driver "$Q" check qcow0
same "check: an image that has the name of a device" "0 " "$code $(cat err)"
rm qcow0
