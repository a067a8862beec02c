# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Functions of all cases. A case is up to three functions: make_NAME and after_NAME run
# on the host before and after, case_NAME in the guest; in the same folder.

cases_here=${BASH_SOURCE[0]%/*}
. "$cases_here/../../lib/assert.sh"
. "$cases_here/../../lib/bytes.sh"

# interrupted SIGNAL COMMAND...: gets the signal when it has begun. Its exit code,
# its log in "log". It runs when nobody else wants to: it must not have ended by then.
interrupted() {
	local signal=$1 pid code=0 line=

	shift
	: > log
	chrt --idle 0 "$@" --progress=json 2>> log &
	pid=$!
	until [[ $line == *'"done"'* ]] || ! runs $pid; do
		pause 0.01
		read -r line < log || continue
	done
	kill "-$signal" $pid
	wait $pid || code=$?
	echo $code
}

# null_disk NAME ATTRIBUTE=VALUE...: /dev/NAME, a disk in memory, without a scheduler;
# see the kernel's documentation of null_blk. Until null_disk_end NAME.
null_disk() {
	local folder=/sys/kernel/config/nullb/$1 set

	modprobe null_blk nr_devices=0
	mount -t configfs configfs /sys/kernel/config 2> /dev/null || [ -d "${folder%/*}" ]
	mkdir "$folder"
	for set in memory_backed=1 submit_queues=1 irqmode=2 blocksize=512 "${@:2}" power=1; do
		echo "${set#*=}" > "$folder/${set%=*}"
	done
	echo none > "/sys/block/$1/queue/scheduler"
}

null_disk_end() {
	rmdir "/sys/kernel/config/nullb/$1"
}

# drop_caches N: as the kernel's file of this name. Dirty tables of all devices are written
# then, so that cases which want them dirty hold it up, with caches_kept.
drop_caches() {
	flock /tmp/caches.lock tee /proc/sys/vm/drop_caches <<< "$1" > /dev/null
}

# caches_kept COMMAND...: while it runs nobody drops caches.
caches_kept() {
	local code=0

	exec 8> /tmp/caches.lock
	flock 8
	"$@" 8>&- || code=$?
	exec 8>&-
	return $code
}

# mapped NAME TABLE: gives the mapped disk this table. Makes the disk, /dev/mapper/NAME, if
# there is none.
mapped() {
	if dmsetup info "$1" > /dev/null 2>&1; then
		table "$1" "$2"
	else
		dmsetup create "$1" --noudevsync --table "$2"
		dmsetup mknodes "$1"
	fi
}

# table NAME TABLE: gives a mapped disk another table
table() {
	dmsetup suspend --noflush --nolockfs "$1"
	dmsetup load "$1" --table "$2"
	dmsetup resume --noudevsync "$1"
}

# note_blocks: in the guest: notes how many blocks the images use. The copy that the host
# gets of them has no holes.
note_blocks() {
	sync
	stat -c '%n %b' ./*.qcow2 > blocks
}

# --- On the host ---

# used IMAGE: bytes of its blocks, by the guest's note_blocks
used() {
	awk -v name="./$1" '$1 == name { print $2 * 512 }' blocks
}

# create NAME SIZE [ARGUMENTS...]: NAME.qcow2
create() {
	local name=$1 size=$2

	shift 2
	qemu-img create -q -f qcow2 "$@" "$name.qcow2" "$size"
}

# io_does ARGUMENTS... -- COMMAND...: qemu-io does it, with no failure.
io_does() {
	local arguments=()

	while [ "$1" != -- ]; do
		arguments+=("$1")
		shift
	done
	shift
	qemu-io "${arguments[@]}" "${@/#/-c}" > qemu-io.log 2>&1 || fail "$(cat qemu-io.log)"
	! grep -E 'failed|error|[Cc]ould not|Pattern' qemu-io.log || fail "$*"
}

# fill IMAGE COMMAND...: as qemu-io does.
fill() {
	local image=$1

	shift
	io_does -f qcow2 "$image" -- "$@"
}

# holds FORMAT FILE COMMAND...: qemu-io's commands, which read, find the patterns there.
holds() {
	local format=$1 file=$2 command

	shift 2
	for command; do
		qemu-io -r -f "$format" -c "$command" "$file" > qemu-io.log 2>&1 || true
		if grep -E 'failed|error|not' qemu-io.log; then
			fail "$file: $command"
		fi
	done
}

# scattered_image NAME MIB: clusters of 4 KiB, the first MIB of them written in an order
# that has nothing to do with the disk's; 32 MiB behind are empty.
scattered_image() {
	create "$1" $(($2 + 32))M -o cluster_size=4k
	fill "$1.qcow2" "write -q -P 5 0 $2M"
	craft "$1.qcow2" "import random
e = [l2e[i] for i in range($2 * 256)]
random.Random(1).shuffle(e)
for i in range($2 * 256):
    l2e[i] = e[i]"
}

check() {
	local image

	for image; do
		qemu-img check -f qcow2 "$image" || fail "qemu-img check: $image"
	done
}

# As check, but clusters may have leaked.
check_leaks() {
	local image code

	for image; do
		code=0
		qemu-img check -f qcow2 "$image" || code=$?
		[ $code -eq 0 ] || [ $code -eq 3 ] || fail "qemu-img check: $image"
	done
}

# craft IMAGE STATEMENT...: see craft.py.
craft() {
	/usr/bin/python3 -B "$cases_here/../craft.py" "$@"
}

# remember FILE...: notes content and times of the files, for unchanged
remember() {
	sha256sum -- "$@" > remembered
	stat -c '%n %Y %s' -- "$@" > remembered.stat
}

# Not even the times
unchanged() {
	local name mtime size

	sha256sum --quiet -c remembered || fail "it was written"
	while read -r name mtime size; do
		is "$name $mtime $size" "$(stat -c '%n %Y %s' "$name")"
	done < remembered.stat
}
