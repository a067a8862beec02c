# SPDX-License-Identifier: GPL-2.0
# Which device a detach is for, by its diskseq, and how long it is patient.
# shellcheck shell=bash

fake_root
image top.qcow2
cp -r root/sys/block/qcow0 root/sys/block/qcow5
echo 2005 >root/sys/block/qcow5/diskseq
echo 240:80 >root/sys/block/qcow5/dev

# detaches NAME EXPECTED ARGUMENTS...: the devices that it asks for, with their diskseqs
detaches()
{
	local name=$1 expected=$2

	shift 2
	rm -f root/diskseqs
	run with_driver qcowctl detach "$@"
	expect "detach: diskseq: $name" is "0 $expected" "$code $(sort -u root/diskseqs | paste -sd ' ')"
}

detaches "--all" "detach 1000 detach 2005" --all
MOCK_BUSY=2 detaches "--all of devices in use" "detach 1000 detach 2005" --all --force
rm root/sys/block/qcow5/diskseq
detaches "--all, an older kernel" "detach 0 detach 1000" --all
rm -r root/sys/block/qcow5
detaches "a device" "detach 1000" qcow0
detaches "an image" "detach 1000" top.qcow2

# An attach that cannot be finished gives back the device that it made, and no other.
rm -f root/diskseqs
MOCK_ROOT=$T/root LD_PRELOAD=$T/mock.so "$Q" attach top.qcow2 >/dev/full 2>err
expect "detach: diskseq: of an attach that is undone" is "1 detach 1000" "$? $(cat root/diskseqs)"

# A device that is busy for the moment is tried again for two seconds, however many tries
# these are: a try may take long.
begin=$SECONDS
MOCK_BUSY=1000 MOCK_BUSY_MS=1500 MOCK_OPENERS=1 run with_driver qcowctl detach qcow0
expect "detach: busy for ever: result" is 1 "$code"
tries=$(grep -c ^detach root/log)
expect "detach: busy for ever: $tries tries" test "$tries" -ge 2 -a "$tries" -le 3
expect "detach: busy for ever: $((SECONDS - begin)) s" test $((SECONDS - begin)) -lt 20
fake_root
