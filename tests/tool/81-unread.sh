# SPDX-License-Identifier: GPL-2.0
# qcowctl check --repair of an image on a disk with a bad sector: each cluster of the image
# in turn cannot be read. shellcheck shell=bash

# bad_at HOST_OFFSET COMMAND...: the command cannot read there.
bad_at()
{
	local bad=$1

	shift
	limited env BAD_AT="$bad" LD_PRELOAD=./stop.so "$@"
}

${CC:-cc} -shared -fPIC -O1 -o stop.so "$here/stop.c" -ldl

# Tables of all kinds, and leaks. Trials of other headers read the guest's data as well.
image unread.qcow2 -o cluster_size=4096
qemu-io -f qcow2 -c 'write -q -P 1 0 16k' -c 'write -q -P 2 32M 16k' unread.qcow2
qemu-img snapshot -c one unread.qcow2
qemu-img bitmap --add unread.qcow2 b0
qemu-io -f qcow2 -c 'write -q -P 3 0 4k' unread.qcow2
truncate -s %4096 unread.qcow2
leaking unread.qcow2
qemu-img convert -f qcow2 -O raw unread.qcow2 unread.raw
clusters=$(($(stat -c %s unread.qcow2) / 4096))
refused=0
for ((i = 0; i < clusters; i++)); do
	cp unread.qcow2 copy.qcow2
	run bad_at $((i * 4096)) "$Q" check --repair=all copy.qcow2
	# A cluster that neither a table nor a trial leads to does not matter.
	[ $code -ne 0 ] || continue
	refused=$((refused + 1))
	expect "cluster $i cannot be read: exit code" is 1 $code
	expect "cluster $i cannot be read: the place, once" is "1 $(printf %#x $((i * 4096)))" \
		"$(grep -c 'Input/output error' err) $(grep -o 'read at 0[x0-9a-f]*' err | sed 's/.* 0$/0/; s/.* //')"
	expect "cluster $i cannot be read: nothing was changed" same_content unread.qcow2 copy.qcow2
done
expect "clusters that cannot be read: most of them" is 1 $((refused > clusters / 2))
bad_at $((1 << 60)) "$Q" check --repair=all copy.qcow2 >out 2>&1
expect "all clusters can be read: repaired" qemu-img check -q copy.qcow2

# The advice is followed: a copy whose clusters can all be read.
cp unread.qcow2 copy.qcow2
run bad_at $((4096 * (clusters - 1))) "$Q" check --repair=leaks copy.qcow2
expect "a trial cannot read: the advice" has "cannot be repaired: .*; copy it to another disk with ddrescue, and repair the copy" err
expect "a trial cannot read: a copy" exits 0 "leaked" qcowctl check --repair=leaks copy.qcow2

# A disk takes seconds to say that it cannot read: each block of refcounts is asked for once.
table=$(peek unread.qcow2 48 8)
block=$(peek unread.qcow2 "$table" 8)
run bad_at "$block" "$Q" check -J unread.qcow2
expect "refcounts that cannot be read: exit code" is 1 $code
expect "refcounts that cannot be read: one message" is 1 "$(wc -l <err)"
expect "refcounts that cannot be read: are counted" is "$clusters" "$(jq '."check-errors"' out)"
for mode in leaks all; do
	cp unread.qcow2 copy.qcow2
	run bad_at "$block" "$Q" check --repair=$mode copy.qcow2
	expect "refcounts that cannot be read: --repair=$mode: exit code" is 1 $code
	expect "refcounts that cannot be read: --repair=$mode: the advice" has "copy it to another disk with ddrescue" err
done
