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
	MOCK_OPENERS=0 with_driver "$Q" "$@"
	same "identity: diskseq: $name" "$code $(grep -v ^detach root/diskseqs | sort -u)" "0 $expected"
}

for name in qcow0 /dev/qcow0 top.qcow2 hard.qcow2; do
	seqs "resize $name" "resize 1000" resize $name 2G
	seqs "snapshot $name" "snapshot 1000" snapshot create $name x
	seqs "commit $name" "commit 1000" commit $name
done
seqs "of an image that is not attached" "resize 1000" resize other.qcow2 2G
same "identity: diskseq: of an image that is not attached: detach" "detach 1000" \
	"$(grep ^detach root/diskseqs)"
seqs "apply to an image that is not attached" "snapshot 1000" snapshot apply other.qcow2 x
same "identity: diskseq: of a disk that a snapshot was applied to: detach" "detach 1001" \
	"$(grep ^detach root/diskseqs)"
MOCK_OLD_DETACH=1 seqs "older driver" "resize 1000" resize other.qcow2 2G
same "identity: diskseq: older driver: detach" "detach 0" "$(grep ^detach root/diskseqs)"
MOCK_OLD_ATTACH=1 seqs "driver without diskseqs" "resize 0" resize other.qcow2 2G
MOCK_REPLACED=1 with_driver_refuses "identity: replaced meanwhile" \
	"qcow0: /dev/qcow0 is another device meanwhile" resize qcow0 +1G

# A driver that cannot tell: nothing is done by a name that may be another file's.
export MOCK_FILE_ERRNO=25
for command in "detach top.qcow2" "resize hard.qcow2 2G" "snapshot create top.qcow2 x" \
	"snapshot apply top.qcow2 x" "bitmap add top.qcow2 x" "stream top.qcow2" "commit hard.qcow2"; do
	# shellcheck disable=SC2086
	with_driver_refuses "identity: old driver: $command" \
		"may be attached as /dev/qcow0, but the driver is too old to tell; name the device" $command
	same "identity: old driver: $command: nothing is asked" "" "$(cat root/log 2>/dev/null)"
done
with_driver "$Q" list -n -O name,image-state
same "identity: old driver: list" "qcow0 unknown" "$(tr -s ' ' <out | sed 's/ $//')"
with_driver "$Q" detach qcow0
same "identity: old driver: detach by device" "0 detach flags=0 index=0" "$code $(cat root/log)"
with_driver "$Q" resize other.qcow2 2G
same "identity: old driver: another image" 0 "$code"
unset MOCK_FILE_ERRNO

# Nobody can be asked: a look is by the name, and changes fail for want of rights.
rm root/dev/qcow-control
with_driver "$Q" list -n -O name,image-state top.qcow2
same "identity: no right to ask: list" "qcow0 unknown" "$(tr -s ' ' <out | sed 's/ $//')"
fake_root

# What list says of the name
state()
{
	with_driver "$Q" list -n -O image-state,image
	same "identity: list: $1" "$2" "$(tr -s ' ' <out | sed 's/^ //; s/ $//')"
}

state "named" "named $T/top.qcow2"
echo "$T/gone.qcow2 (deleted)" >root/sys/block/qcow0/qcow/image
state "deleted" "deleted $T/gone.qcow2 (deleted)"
echo "$T/gone.qcow2" >root/sys/block/qcow0/qcow/image
state "not there" "unreachable $T/gone.qcow2 (not found by that name)"
fake_root

# A repair asks the driver even if nobody has a lock that it sees.
with_driver_refuses "identity: repair" "hard.qcow2: in use: it is attached as /dev/qcow0;" check --repair=all hard.qcow2
with_driver "$Q" check hard.qcow2
same "identity: no repair" 0 "$code"

# Without locks the driver still knows what is attached, and as what.
for errno in 22 37 95; do
	export MOCK_LOCKS_ERRNO=$errno
	in_use="in use: it is attached as /dev/qcow0"
	with_driver_refuses "identity: no locks, $errno: repair" "hard.qcow2: $in_use;" check --repair=all hard.qcow2
	with_driver_refuses "identity: no locks, $errno: repair of the backing file" \
		"base.qcow2: $in_use, as a backing or data file;" check --repair=leaks base.qcow2
	with_driver_refuses "identity: no locks, $errno: attach" "hard.qcow2: $in_use;" attach hard.qcow2
	with_driver_refuses "identity: no locks, $errno: the backing file" "base.qcow2: $in_use, as" attach base.qcow2
	attaches "identity: no locks, $errno: read-only both" -r hard.qcow2
	attaches "identity: no locks, $errno: the backing file, -r" -r base.qcow2
	with_driver "$Q" check top.qcow2
	same "identity: no locks, $errno: check of what is not written" 0 "$code"
	export MOCK_FLAGS=0
	with_driver_refuses "identity: no locks, $errno: check of what is written" "top.qcow2: $in_use;" check top.qcow2
	with_driver_refuses "identity: no locks, $errno: -r of what is written" "top.qcow2: $in_use;" attach -r top.qcow2
	attaches "identity: no locks, $errno: its backing file, -r" -r base.qcow2
	unset MOCK_FLAGS
	with_driver "$Q" check --repair=all other.qcow2
	same "identity: no locks, $errno: repair of another" 0 "$code"
	attaches "identity: no locks, $errno: another" other.qcow2
	MOCK_FILE_ERRNO=25 with_driver_refuses "identity: no locks, $errno, an old driver" "top.qcow2: $in_use" check --repair=all top.qcow2
done
echo "$T/ext.qcow2" >root/sys/block/qcow0/qcow/image
echo "0 3 data $T/ext.raw" >root/sys/block/qcow0/files
with_driver_refuses "identity: no locks: data file" "ext.raw: $in_use, as a backing or data file;" attach -f raw ext.raw
unset MOCK_LOCKS_ERRNO
fake_root

# A commit opens what is attached, not what the image names.
image named.qcow2
image allowed.qcow2
image over.qcow2 -b named.qcow2 -F qcow2
echo "$T/over.qcow2" >root/sys/block/qcow0/qcow/image
echo "1 3 image $T/allowed.qcow2" >root/sys/block/qcow0/files
with_driver "$Q" commit qcow0
same "identity: commit: the attached backing file" "0 ro:$T/allowed.qcow2
rw:$T/allowed.qcow2
ro:$T/allowed.qcow2" "$code $(grep -E 'op=[14]' root/log | sed 's/.*fd=//; s/ data=.*//')"
rm root/sys/block/qcow0/files
with_driver_refuses "identity: commit: none is attached" "has no backing file" commit qcow0
same "identity: commit: none is opened" "" "$(grep -E 'op=[124]' root/log)"
fake_root
