# SPDX-License-Identifier: GPL-2.0
# Which device a name means, by the driver and without it; filesystems without locks.
# shellcheck shell=bash

fake_root
image base.qcow2
image top.qcow2 -b base.qcow2 -F qcow2
image other.qcow2
image ext.qcow2 -o data_file=ext.raw
ln -f top.qcow2 hard.qcow2

# seqs NAME EXPECTED ARGUMENTS...: the diskseq that the changes are for
seqs()
{
	local name=$1 expected=$2

	shift 2
	rm -f root/diskseqs
	MOCK_OPENERS=0 run with_driver qcowctl "$@"
	expect "identity: diskseq: $name" is "$code $(grep -v ^detach root/diskseqs | sort -u)" "0 $expected"
}

for name in qcow0 /dev/qcow0 top.qcow2 hard.qcow2; do
	seqs "resize $name" "resize 1000" resize $name 2G
	seqs "snapshot $name" "snapshot 1000" snapshot create $name x
	seqs "commit $name" "commit 1000" commit $name
done
seqs "of an image that is not attached" "resize 1000" resize other.qcow2 2G
expect "identity: diskseq: of an image that is not attached: detach" is "detach 1000" \
	"$(grep ^detach root/diskseqs)"
seqs "apply to an image that is not attached" "snapshot 1000" snapshot apply other.qcow2 x
expect "identity: diskseq: of a disk that a snapshot was applied to: detach" is "detach 1001" \
	"$(grep ^detach root/diskseqs)"
MOCK_OLD_DETACH=1 seqs "older driver" "resize 1000" resize other.qcow2 2G
expect "identity: diskseq: older driver: detach" is "detach 0" "$(grep ^detach root/diskseqs)"
MOCK_OLD_ATTACH=1 seqs "driver without diskseqs" "resize 0" resize other.qcow2 2G
# sysfs shows the device, which is being detached; its number may be another one's soon.
for command in "resize --force qcow0 2G" "snapshot apply qcow0 x" "detach qcow0" "detach --force qcow0" \
	"stream qcow0" "commit qcow0" "bitmap add qcow0 x"; do
	# shellcheck disable=SC2086
	MOCK_STATUS_ERRNO=19 expect "identity: going: $command" refuses \
		"/dev/qcow0: no such device; see qcowctl list" with_driver qcowctl $command
	expect "identity: going: $command: nothing is asked" is "" "$(cat root/log 2>/dev/null)"
done
MOCK_REPLACED=1 expect "identity: replaced meanwhile" refuses \
	"qcow0: /dev/qcow0 is another device meanwhile" with_driver qcowctl resize qcow0 +1G

# A driver that cannot tell: nothing is done by a name that may be another file's.
export MOCK_FILE_ERRNO=25
for command in "detach top.qcow2" "resize hard.qcow2 2G" "snapshot create top.qcow2 x" \
	"snapshot apply top.qcow2 x" "bitmap add top.qcow2 x" "stream top.qcow2" "commit hard.qcow2"; do
	# shellcheck disable=SC2086
	expect "identity: old driver: $command" refuses \
		"may be attached as /dev/qcow0, but the driver is too old to tell; name the device" \
		with_driver qcowctl $command
	expect "identity: old driver: $command: nothing is asked" is "" "$(cat root/log 2>/dev/null)"
done
run with_driver qcowctl list -n -O name,image-state
expect "identity: old driver: list" is "qcow0 unknown" "$(tr -s ' ' <out | sed 's/ $//')"
run with_driver qcowctl detach qcow0
expect "identity: old driver: detach by device" is "0 detach flags=0 index=0" "$code $(cat root/log)"
run with_driver qcowctl resize other.qcow2 2G
expect "identity: old driver: another image" is 0 "$code"
unset MOCK_FILE_ERRNO

# Nobody can be asked: a look is by the name, and changes fail for want of rights.
rm root/dev/qcow-control
run with_driver qcowctl list -n -O name,image-state top.qcow2
expect "identity: no right to ask: list" is "qcow0 unknown" "$(tr -s ' ' <out | sed 's/ $//')"
fake_root

# The state of the image's name in list
state()
{
	run with_driver qcowctl list -n -O image-state,image
	expect "identity: list: $1" is "$2" "$(tr -s ' ' <out | sed 's/^ //; s/ $//')"
}

state "named" "named $T/top.qcow2"
echo "$T/gone.qcow2 (deleted)" >root/sys/block/qcow0/qcow/image
state "deleted" "deleted $T/gone.qcow2 (deleted)"
echo "$T/gone.qcow2" >root/sys/block/qcow0/qcow/image
state "not there" "unreachable $T/gone.qcow2 (not found by that name)"
fake_root

# A repair asks the driver even if nobody has a lock that it sees.
expect "identity: repair" refuses "hard.qcow2: in use: it is attached as /dev/qcow0;" \
	with_driver qcowctl check --repair=all hard.qcow2
run with_driver qcowctl check hard.qcow2
expect "identity: no repair" is 0 "$code"

# Without locks the driver still knows which files are attached, and how.
for errno in 22 37 95; do
	export MOCK_LOCKS_ERRNO=$errno
	in_use="in use: it is attached as /dev/qcow0"
	expect "identity: no locks, $errno: repair" refuses "hard.qcow2: $in_use;" \
		with_driver qcowctl check --repair=all hard.qcow2
	expect "identity: no locks, $errno: repair of the backing file" refuses \
		"base.qcow2: $in_use, as a backing or data file;" \
		with_driver qcowctl check --repair=leaks base.qcow2
	expect "identity: no locks, $errno: attach" refuses "hard.qcow2: $in_use;" \
		with_driver qcowctl attach hard.qcow2
	expect "identity: no locks, $errno: the backing file" refuses "base.qcow2: $in_use, as" \
		with_driver qcowctl attach base.qcow2
	expect "identity: no locks, $errno: read-only both" attaches -r hard.qcow2
	expect "identity: no locks, $errno: the backing file, -r" attaches -r base.qcow2
	run with_driver qcowctl check top.qcow2
	expect "identity: no locks, $errno: check of an image that is not written" is 0 "$code"
	export MOCK_FLAGS=0
	expect "identity: no locks, $errno: check of an image that is written" refuses "top.qcow2: $in_use;" \
		with_driver qcowctl check top.qcow2
	expect "identity: no locks, $errno: -r of an image that is written" refuses "top.qcow2: $in_use;" \
		with_driver qcowctl attach -r top.qcow2
	expect "identity: no locks, $errno: its backing file, -r" attaches -r base.qcow2
	unset MOCK_FLAGS
	run with_driver qcowctl check --repair=all other.qcow2
	expect "identity: no locks, $errno: repair of another" is 0 "$code"
	expect "identity: no locks, $errno: another" attaches other.qcow2
	MOCK_FILE_ERRNO=25 expect "identity: no locks, $errno, an old driver" refuses "top.qcow2: $in_use" \
		with_driver qcowctl check --repair=all top.qcow2
done
echo "$T/ext.qcow2" >root/sys/block/qcow0/qcow/image
echo "0 3 data $T/ext.raw" >root/sys/block/qcow0/files
expect "identity: no locks: data file" refuses "ext.raw: $in_use, as a backing or data file;" \
	with_driver qcowctl attach -f raw ext.raw
unset MOCK_LOCKS_ERRNO
fake_root

# A commit opens the attached file, not the one that the image names.
image named.qcow2
image allowed.qcow2
image over.qcow2 -b named.qcow2 -F qcow2
echo "$T/over.qcow2" >root/sys/block/qcow0/qcow/image
echo "1 3 image $T/allowed.qcow2" >root/sys/block/qcow0/files
run with_driver qcowctl commit qcow0
expect "identity: commit: the attached backing file" is "0 ro:$T/allowed.qcow2
rw:$T/allowed.qcow2
ro:$T/allowed.qcow2" "$code $(grep -E 'op=[14]' root/log | sed 's/.*fd=//; s/ data=.*//')"
rm root/sys/block/qcow0/files
expect "identity: commit: none is attached" refuses "has no backing file" \
	with_driver qcowctl commit qcow0
expect "identity: commit: none is opened" is "" "$(grep -E 'op=[124]' root/log)"
fake_root
