# SPDX-License-Identifier: GPL-2.0
# qcowctl check, compared with qemu-img check. shellcheck shell=bash

# compared SEED COUNT: images by the hundred.
compared()
{
	mkdir -p checks
	${CC:-cc} -shared -fPIC -O1 -o checks/stop.so "$here/stop.c" -ldl
	(cd checks && python3 "$here/check.py" "$Q" "$@") >checks.log 2>&1 ||
		failure "check.py" "$(tail -20 checks.log)"
	while read -r line; do
		case $line in
		ok*)	pass "compared" ;;
		FAILED*) failure "${line#FAILED: }" ;;
		esac
	done <checks.log
	rm -rf checks
}

compared "${CHECK_SEED:-1}" "${CHECK_COUNT:-48}"

# Text.
image clean.qcow2
expect "clean" accepts qcowctl check clean.qcow2
expect "clean: says so" has "^No errors were found" out
qemu-io -f qcow2 -c 'write -P 1 0 1M' clean.qcow2 >/dev/null
cp clean.qcow2 leak.qcow2
truncate -s 3M leak.qcow2
poke leak.qcow2 $(($(peek leak.qcow2 "$(peek leak.qcow2 48 8)" 8) + 2 * 30)) 2 1
expect "leak" exits 3 "cluster 30: leaked: refcount 1, but 0 references" qcowctl check leak.qcow2
expect "leak: says so" has "^1 leaked cluster was found" out
cp clean.qcow2 bad.qcow2
poke bad.qcow2 "$(peek bad.qcow2 40 8)" 8 0x123456
expect "corruption" exits 2 "L1 entry 0x123456: the L2 table is not aligned" qcowctl check bad.qcow2
expect "corruption: says so" has "corruptions were found" out

# Repair.
cp leak.qcow2 copy.qcow2
expect "repair leaks" exits 0 "leaked" qcowctl check --repair=leaks copy.qcow2
expect "repair leaks: says so" has "^1 leaked cluster was freed" out
expect "repair leaks: QEMU agrees" qemu-img check -q copy.qcow2
cp bad.qcow2 copy.qcow2
# No standard files: the file that is opened first must not be taken for one.
cp leak.qcow2 closed.qcow2
"$Q" check closed.qcow2 <&- >&- 2>&-
expect "closed: the exit code" is 3 $?
expect "closed: nothing was written" same_content leak.qcow2 closed.qcow2
"$Q" check --repair=leaks closed.qcow2 >&- 2>&-
expect "closed: repaired" is 0 $?
expect "closed: QEMU agrees" qemu-img check -q closed.qcow2

expect "repair leaks, but corrupt" exits 2 "leaked clusters are not freed while there are corruptions" \
	qcowctl check --repair=leaks copy.qcow2
expect "repair leaks, but corrupt: nothing was changed" same_content copy.qcow2 bad.qcow2
expect "repair all, but damaged" exits 2 "not repaired: L1 entry 0x123456" \
	qcowctl check -r all copy.qcow2
cp clean.qcow2 bad.qcow2
l2=$(($(peek bad.qcow2 "$(peek bad.qcow2 40 8)" 8) & 0xfffffffffffe00))
poke bad.qcow2 $((l2 + 16)) 8 $(($(peek bad.qcow2 $((l2 + 16)) 8) + 512))
poke bad.qcow2 "$(peek bad.qcow2 48 8)" 8 0
expect "rebuild, but damaged" exits 2 "not repaired: L2 entry 0x8[0-9a-f]*: the cluster is not aligned" \
	qcowctl check -r all bad.qcow2
expect "rebuild, but damaged: the refcounts are well" has "^[0-9]* corruptions were repaired" out

# After a crash with lazy refcounts.
image lazy.qcow2 -o lazy_refcounts=on
(qemu-io -f qcow2 -c 'write -P 1 0 4M' -c flush -c 'sigraise 9' lazy.qcow2; :) >/dev/null 2>&1
expect "dirty" exits 2 "refcount 0, but 1 references" qcowctl check lazy.qcow2
expect "dirty: repair leaks" exits 2 "use --repair=all" qcowctl check --repair=leaks lazy.qcow2
expect "dirty: still" is 1 "$(peek lazy.qcow2 72 8)"
expect "dirty: repair all" exits 0 "refcount 0, but 1 references" qcowctl check --repair=all lazy.qcow2
expect "dirty: no more" is 0 "$(peek lazy.qcow2 72 8)"
qemu-io -f qcow2 -c 'read -P 1 0 4M' lazy.qcow2 >out
expect "dirty: its data" has "^read 4194304/4194304" out

# Marked corrupt, but is not; a feature that nobody knows.
image marked.qcow2
poke marked.qcow2 72 8 2
poke marked.qcow2 88 8 0x8000
expect "marked corrupt" accepts qcowctl check marked.qcow2
expect "marked corrupt: still" is 2 "$(peek marked.qcow2 72 8)"
expect "marked corrupt: repair" accepts qcowctl check --repair=leaks marked.qcow2
expect "marked corrupt: no more" is 0 "$(peek marked.qcow2 72 8)"
expect "repair nothing" refuses "takes leaks or all" qcowctl check --repair=none marked.qcow2
expect "repair what" refuses "incomplete option" qcowctl check --repair

# All data would be freed.
cp clean.qcow2 claims.qcow2
poke claims.qcow2 72 8 4
expect "data file that is not named" exits 3 "leaked" qcowctl check claims.qcow2
expect "data file that is not named: repair" exits 1 "but none is named" \
	qcowctl check --repair=all claims.qcow2

# Not checked.
head -c 1M /dev/urandom >noise
expect "raw" exits 63 "noise: is no qcow2 image" qcowctl check noise
: >empty
expect "empty" exits 63 "is no qcow2 image" qcowctl check empty
qemu-img create -q -f qcow old.qcow 1M
expect "qcow version 1" exits 63 "is no qcow2 image" qcowctl check old.qcow
poke clean.qcow2 4 4 4
expect "version 4" exits 1 "version 4 is not supported" qcowctl check clean.qcow2
expect "no file" exits 1 "No such file" qcowctl check missing.qcow2
expect "no image" refuses "takes one image" qcowctl check
expect "two images" refuses "takes one image" qcowctl check leak.qcow2 leak.qcow2
expect "unknown option" refuses "unknown or incomplete option --frob" qcowctl check --frob leak.qcow2

# In use: as of QEMU, an image that is written cannot be checked.
hold -f qcow2 leak.qcow2
expect "written by QEMU" exits 1 "in use: another program writes to it" qcowctl check leak.qcow2
release
hold -r -f qcow2 leak.qcow2
expect "read by QEMU" exits 3 "leaked" qcowctl check leak.qcow2
release

hold -r -f qcow2 leak.qcow2
expect "read by QEMU: repair" exits 1 "in use: another program reads it" \
	qcowctl check --repair=all leak.qcow2
release
if [ "$(id -u)" -ne 0 ]; then
	chmod a-w leak.qcow2
	expect "not writable: repair" exits 1 "cannot be written" qcowctl check --repair=all leak.qcow2
fi

# Backing and data files are not needed.
image ext.qcow2 -o data_file=ext.raw
qemu-io -f qcow2 -c 'write -P 1 0 1M' ext.qcow2 >/dev/null
rm ext.raw
expect "data file missing" accepts qcowctl check ext.qcow2
image base.qcow2
image top.qcow2 -b base.qcow2 -F qcow2
rm base.qcow2
expect "backing file missing" accepts qcowctl check top.qcow2

printf secret >key
luks_image luks.qcow2 key
expect "LUKS" accepts qcowctl check luks.qcow2

# Progress.
code=0
"$Q" check --progress=json ext.qcow2 >out 2>err || code=$?
expect "progress" is '0 {"what":"Checking"' "$code $(head -n 1 err | cut -d, -f1)"
# ends NAME: is the last line of progress that all of it was done?
ends()
{
	expect "$1" is "" "$(grep -a '^{' err | tail -n 1 | jq -c 'select(.done != .total or .total == 0)')"
}
ends "progress: to the end"
image leaky.qcow2
qemu-io -f qcow2 -c 'write -q 0 8M' leaky.qcow2
head -c 4M /dev/zero >>leaky.qcow2
poke leaky.qcow2 $(($(peek leaky.qcow2 $(($(peek leaky.qcow2 48 8))) 8) + 200)) 2 0
run qcowctl check --repair=all --progress=json leaky.qcow2
ends "progress: a repair, to the end"
expect "progress: a repair, each of its parts" is "" \
	"$(grep -a '^{' err | jq -s -c 'group_by(.what)[] | last | select(.done != .total)')"
expect "progress of another kind" refuses "is json" qcowctl check --progress=xml ext.qcow2

# A device is checked by its image, which nobody may write meanwhile.
fake_root
image base.qcow2
image top.qcow2 -b base.qcow2 -F qcow2
for name in qcow0 /dev/qcow0; do
	expect "check: $name: repair" refuses \
		"$name: is a device, which cannot be repaired; detach it, and check its image, $T/top.qcow2" \
		with_driver qcowctl check --repair=all $name
	MOCK_FLAGS=0 expect "check: $name, writable" refuses \
		"$name: is a device that is written; detach it, and check its image, $T/top.qcow2" \
		with_driver qcowctl check $name
	run with_driver qcowctl check --json $name
	expect "check: $name, read-only" is "0 $T/top.qcow2" "$code $(jq -r .filename out)"
done
expect "check: a partition" refuses "is a partition; name its disk /dev/qcow0" \
	with_driver qcowctl check /dev/qcow0p1
MOCK_FILE_ERRNO=25 expect "check: an old driver" refuses "too old to hand out the files" \
	with_driver qcowctl check qcow0
rm root/sys/block/qcow0/qcow/image
expect "check: a device that goes away" refuses "no such device" with_driver qcowctl check qcow0
rm -r root/sys/block/qcow0
image qcow0
run with_driver qcowctl check qcow0
expect "check: an image that has the name of a device" is "0 " "$code $(cat err)"
rm qcow0
