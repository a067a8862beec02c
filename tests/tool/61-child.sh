# SPDX-License-Identifier: GPL-2.0
# Children that look up a name on a filesystem that does not answer: they may outlive
# qcowctl, which does not wait for them. shellcheck shell=bash

# Processes that hang, for sixty seconds unless the test ends them
end_hanging()
{
	local pid

	while read -r pid _; do
		kill -9 "$pid" 2>/dev/null
	done <root/hanging
	rm -f root/hanging
}

# substituted NAME SECONDS PATTERN ARGUMENTS...: $(qcowctl ...) ends, and says so; children
# hang that have nothing open but a pipe.
substituted()
{
	local name=$1 limit=$2 pattern=$3 begin=$SECONDS

	shift 3
	# Descriptor 8 stands for an image that is open, with its locks.
	(
		exec 8<top.qcow2
		said=$(MOCK_ROOT=$T/root LD_PRELOAD=$T/mock.so MOCK_HANG=1 "$Q" "$@" 2>&1)
		echo "$said" >out
	)
	expect "$name: $((SECONDS - begin)) s" test $((SECONDS - begin)) -lt "$limit"
	expect "$name" has "$pattern" out
	expect "$name: children hang" test -s root/hanging
	expect "$name: they have nothing else open" is "" \
		"$(cut -d' ' -f2- root/hanging | tr ' ' '\n' | grep -v '^[0-9]*$\|^pipe:' | sort -u)"
}

image top.qcow2

fake_root
echo "$T/top.stuck" >root/sys/block/qcow0/qcow/image
substituted "child: list" 20 "^qcow0 +unknown" list -n -O name,image-state
end_hanging

# Ten namespaces that are kept by mounts, whose paths do not answer
fake_root
for ((i = 0; i < 10; i++)); do
	echo "1$i 0 0:4 mnt:[402699999$i] $T/$i.stuck rw - nsfs nsfs rw"
done >>root/proc/self/mountinfo
export MOCK_BUSY=1000 MOCK_OPENERS=1
substituted "child: detach, namespaces" 25 "/dev/qcow0 is in use" detach qcow0
nr=$(wc -l <root/hanging)
# Each of two searches waits for three seconds, and for each child one second.
expect "child: detach, namespaces: $nr children" test "$nr" -le 8
end_hanging

# Files on filesystems that may be part of a Btrfs with the device
fake_root
mkdir -p root/sys/fs/btrfs/01234567-89ab-cdef-0123-456789abcdef/devices/qcow0
sleep 60 </proc/version &
reader=$!
substituted "child: detach, btrfs" 25 "/dev/qcow0 is in use" detach qcow0
kill $reader 2>/dev/null
end_hanging
unset MOCK_BUSY MOCK_OPENERS
fake_root
