#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In the guest: 256 MB of memory are left; swap on the driver, more memory in use
# than there is, and a filesystem on the driver that is written all the time.
#
# Swap needs an image that was written once, as it needs such a file: below any
# other the filesystem has to take memory to give it blocks.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

memory_mib() {
	awk -v what="$1:" '$1 == what { print int($2 / 1024) }' /proc/meminfo
}

# Files come and go; most data is still in memory when it is written again.
write_files() {
	local i end=$((SECONDS + QCOW_MEMORY_SECONDS))

	for ((i = 0; SECONDS < end; i++)); do
		dd if=/dev/urandom of="/tmp/mnt/$((i % 20))" bs=64k count=$((i % 7 * 24 + 8)) \
			status=none
		[ $((i % 5)) -ne 0 ] || sync -f /tmp/mnt
	done
	echo "$i files"
}

check_files() {
	(cd /tmp/mnt && find . -maxdepth 1 -type f -name '[0-9]*' -exec sha256sum {} + > sums)
	sync -f /tmp/mnt
	echo 3 > /proc/sys/vm/drop_caches
	(cd /tmp/mnt && sha256sum --quiet -c sums)
}

clean_up() {
	jobs -p | xargs -r kill || true
	swapoff -a || true
	umount /tmp/mnt || true
	qcowctl detach --force --all || true
} 2> /dev/null

trap clean_up EXIT
echo 30 > /proc/sys/kernel/hung_task_timeout_secs
cd $TREE/memory
attach files.qcow2
files=$dev
mkfs.ext4 -q "$files"
mkdir -p /tmp/mnt
mount "$files" /tmp/mnt
# On the newest kernel it is encrypted.
swap_options=preallocation=full
swap_key=()
if [[ $(uname -r) == 7.* ]]; then
	swap_options+=,encrypt.format=aes,encrypt.key-secret=s
	swap_key=(--key-file key)
fi
printf secret > key
qemu-img create -q -f qcow2 --object secret,id=s,file=key -o $swap_options swap.qcow2 256M
sync
attach "${swap_key[@]}" swap.qcow2
swap=$dev
mkswap "$swap" > /dev/null
swapon "$swap"
qcowwrite hog $(($(memory_mib MemTotal) - 256)) > /tmp/hog &
hog=$!
until grep -qs there /tmp/hog; do
	runs $hog || fail "no memory can be taken away"
	pause 0.2
done
echo "memory: $(memory_mib MemAvailable) MiB are left"
write_files &
writer=$!
qcowwrite thrash 72 "$QCOW_MEMORY_SECONDS" || fail "memory is lost"
wait $writer || fail "files cannot be written"
kill $hog
grep -E '^(pswpin|pswpout) ' /proc/vmstat
check_files || fail "files are lost"
swapoff "$swap" || fail swapoff
umount /tmp/mnt
e2fsck -fn "$files" > /tmp/fsck || fail "$(cat /tmp/fsck)"
dev=$swap detach
dev=$files detach
cd /
echo "ok memory" >> /out/memory.results
