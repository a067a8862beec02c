# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A virtual machine with a whole Debian 12, for the parts. run.sh explains how to use it.

# Bounds on steps that may hang, in seconds. An emulated machine takes a tenth of these.
BOOT_LIMIT=600
STOP_LIMIT=300
GUEST_LIMIT=900

vm_disks=()
vm_boots=0
vm_pid='' vm_reader=''
vm_command=0

# vm_new bare|qcow: the machine gets a new system disk, and no other one.
vm_new() {
	vm_image=$("$QCOW_TOP/tests/host/image.sh" "$1") || die "no image"
	vm_disks=()
	rm -f system.qcow2
	qemu-img create -q -f qcow2 -F raw -b "$vm_image/root.img" system.qcow2
}

# vm_disk FILE...: raw disks for the next boots, /dev/vdb and on
vm_disk() {
	vm_disks+=("$@")
}

# vm_args: prints QEMU's arguments, one a line.
vm_args() {
	local i=0 disk aio

	aio=$(disk_aio "$vm_image/root.img")
	accel_args 6.1
	printf '%s\n' -M q35 -m 1G -smp "${vm_cpus:-2},maxcpus=2" -display none -nodefaults -no-user-config -nic none \
		-device virtio-rng-pci -device virtio-serial -chardev pipe,id=agent,path=agent \
		-device virtserialport,chardev=agent,name=host \
		-chardev pipe,id=console,path=console -serial chardev:console \
		-kernel "${vm_kernel:-$vm_image/vmlinuz}" -initrd "${vm_initrd:-$vm_image/initrd.img}" \
		-append "console=ttyS0 root=/dev/vda panic=-1 $quicker ${vm_append-}" -no-reboot \
		-drive "file=system.qcow2,if=none,id=system,format=qcow2,cache=unsafe,discard=unmap,aio=$aio" \
		-device virtio-blk-pci,drive=system
	for disk in "${vm_disks[@]}"; do
		printf '%s\n' -drive \
			"file=$disk,if=none,id=disk$i,format=raw,cache=unsafe,discard=unmap,aio=$aio" \
			-device "virtio-blk-pci,drive=disk$i,serial=disk$i"
		i=$((i + 1))
	done
}

vm_runs() {
	[ -n "$vm_pid" ] && kill -0 "$vm_pid" 2> /dev/null
}

# vm_start: starts QEMU, with a console log of its own.
vm_start() {
	local args

	vm_boots=$((vm_boots + 1))
	vm_console=console-$vm_boots.log
	: > "$vm_console"
	rm -f agent.in agent.out console.in console.out
	mkfifo agent.in agent.out console.in console.out
	exec {vm_to}<> agent.in {vm_from}<> agent.out
	mapfile -t args < <(vm_args)
	# It ends when QEMU closes the other end.
	cat console.out > "$vm_console" &
	vm_reader=$!
	qemu-system-x86_64 "${args[@]}" < /dev/null > qemu.log 2>&1 &
	vm_pid=$!
}

# Frees what vm_start has taken, once QEMU has ended.
vm_ended() {
	wait "$vm_pid" 2> /dev/null || echo "QEMU ended with status $?: $(cat qemu.log)"
	vm_pid=''
	# QEMU may have ended before it opened the console.
	: <> console.out
	wait "$vm_reader" 2> /dev/null || true
	exec {vm_to}>&- {vm_from}>&-
}

# vm_type PATTERN TIMES TEXT: types a line at the machine's next console once it has shown the
# pattern so often. For the background, while vm_boot runs.
vm_type() {
	local console=console-$((vm_boots + 1)).log end=$((SECONDS + BOOT_LIMIT))

	until [ "$(grep -aEc "$1" "$console" 2> /dev/null)" -ge "$2" ]; do
		[ $SECONDS -lt $end ] || return
		sleep 1
	done
	echo "$3" > console.in
}

# vm_kill: a power failure
vm_kill() {
	! vm_runs || kill -KILL "$vm_pid"
	[ -z "$vm_pid" ] || vm_ended > /dev/null
}

# vm_line SECONDS: reads a line from the agent into $line; fails if none comes.
vm_line() {
	local end=$((SECONDS + $1)) part=''

	line=''
	while :; do
		if IFS= read -r -t 1 -u "$vm_from" part; then
			line+=$part
			return 0
		fi
		line+=$part
		[ $SECONDS -lt $end ] && vm_runs || return 1
	done
}

# vm_boot: boots the machine until multi-user.target is reached. Before there is a process,
# a stock kernel may die because of emulation; then it is booted once more.
vm_boot() {
	local line begin=$SECONDS try

	for try in 1 2; do
		vm_start
		while vm_line $((BOOT_LIMIT - SECONDS + begin)); do
			[[ $line != ready* ]] || {
				echo "booted in $((SECONDS - begin)) s" >> times.log
				return 0
			}
		done
		vm_kill
		! grep -aq 'systemd\[1\]' "$vm_console" || break
		mv "$vm_console" "no-boot-$try.log"
	done
	echo "not booted after $((SECONDS - begin)) s; the console ends:"
	tail -n 20 "$vm_console"
	return 1
}

# shellcheck disable=SC2120 # the parts give it arguments
# guest [COMMAND...]: runs the command, or the script on stdin, as root in the machine.
# Prints its output, and returns its exit status.
guest() {
	local script last='' line

	vm_runs || { echo "the machine is off"; return 1; }
	if [ $# -gt 0 ]; then
		printf -v script '%q ' "$@"
	else
		script=$(cat)
	fi
	guest_send <<< "$script"
	while vm_line $GUEST_LIMIT; do
		[[ $line != "end-$vm_command "* ]] || break
		[ -z "$last" ] || printf '%s' "${last#+}"
		last="+$line"$'\n'
	done
	# The agent begins a line of its own.
	last=${last#+}
	[ -z "${last%$'\n'}" ] || printf '%s' "$last"
	[[ $line == "end-$vm_command "* ]] && return "${line#* }"
	echo "no answer from the machine; its console ends:"
	tail -n 20 "$vm_console"
	vm_kill
	return 1
}

# guest_send [PATH]: sends stdin, as the next command or as a file.
guest_send() {
	local LC_ALL=C

	vm_command=$((vm_command + 1))
	cat > agent.data
	{ echo "$vm_command $(stat -c %s agent.data) ${1-}"; cat agent.data; } >&"$vm_to"
}

# put FILE PATH: copies a file into the machine; for large ones a disk is better.
put() {
	local line

	vm_runs || return 1
	guest_send "$2" < "$1"
	while vm_line $GUEST_LIMIT; do
		[[ $line != "end-$vm_command "* ]] || return "${line#* }"
	done
	return 1
}

# step NAME: runs the script on stdin in the machine, with the assertions of
# tests/lib/assert.sh, in an empty folder, until a command fails. Counts it.
step() {
	local output code=0

	# shellcheck disable=SC2016,SC2119 # the machine's shell expands it
	output=$({ echo 'set -e; . /usr/local/share/assert.sh; cd "$(mktemp -d)"'; cat; } |
		guest) || code=$?
	if [ "$code" -eq 0 ]; then
		pass "$1"
	else
		failure "$1" "exit code $code"$'\n'"$output"
	fi
}

# vm_stop reboot|poweroff|...: has systemd end the machine, and waits until it is off.
vm_stop() {
	local begin=$SECONDS

	vm_runs || { echo "the machine is off"; return 1; }
	# The agent may be gone before it could answer.
	guest_send <<< "systemctl --no-block $1"
	while vm_runs; do
		sleep 0.2
		[ $((SECONDS - begin)) -lt $STOP_LIMIT ] || {
			echo "not off after $STOP_LIMIT s; the console ends:"
			tail -n 20 "$vm_console"
			vm_kill
			return 1
		}
	done
	vm_ended
	echo "$1 in $((SECONDS - begin)) s" >> times.log
}

vm_poweroff() {
	vm_stop poweroff
}

# vm_reboot: the kernel is QEMU's again, the disks are as the machine left them.
vm_reboot() {
	vm_stop reboot && vm_boot
}

# data_disk FILE SIZE FOLDER: makes a raw disk with an ext4 that has the folder's content.
data_disk() {
	rm -f "$1"
	truncate -s "$2" "$1"
	mke2fs -q -t ext4 -E root_owner=0:0 -d "$3" "$1"
}

# take DISK PATH FILE: copies a file out of a raw disk's ext4 while no machine runs.
take() {
	debugfs -R "dump $2 $3" "$1" 2> /dev/null
	[ -s "$3" ]
}

# clean_ext4 DISK: no journal to replay, no errors
clean_ext4() {
	dumpe2fs -h "$1" 2> /dev/null > why.ext4
	if grep -q needs_recovery why.ext4; then
		echo "$1: the journal needs recovery"
		return 1
	fi
	e2fsck -fn "$1" > why.ext4 2>&1 || { cat why.ext4; return 1; }
}

# clean_image DISK PATH [BACKING]: takes an image out of a raw disk's ext4 into the current
# folder; it has no errors and no leaks. Its backing file is there, or is BACKING.
clean_image() {
	local file=${2##*/}

	rm -f "$file"
	take "$1" "$2" "$file" || { echo "no $2 in $1"; return 1; }
	[ -z "${3-}" ] || qemu-img rebase -u -F qcow2 -b "$3" "$file"
	qemu-img check -q "$file" > why.image 2>&1 || { cat why.image; return 1; }
}

# image_of_files NAME FOLDER [OPTIONS...]: a qcow2 image with a partition of 48 MiB that has the
# folder's content
image_of_files() {
	data_disk part.raw 48M "$2"
	truncate -s 50M disk.raw
	echo 'start=2048, size=98304, type=linux' | sfdisk -q --no-reread --no-tell-kernel disk.raw
	dd if=part.raw of=disk.raw bs=1M seek=1 conv=notrunc,sparse status=none
	qemu-img convert -f raw -O qcow2 "${@:3}" disk.raw "$1"
	rm part.raw disk.raw
}

# clean_disk NAME [BACKING]: an image of image_of_files, on images.raw, and the ext4 in its
# partition are clean.
clean_disk() {
	clean_image images.raw "/$1.qcow2" "${2-}" && clean_partition "$1.qcow2" 48
}

# inner_file PATH CONTENT: in the partition that clean_disk has looked at
inner_file() {
	rm -f inner.file
	take part "$1" inner.file
	is "$2" "$(cat inner.file)"
}

# clean_partition FILE MIB: the ext4 in the image's first partition, which begins at 1 MiB,
# is clean; the file part is a copy of it.
clean_partition() {
	rm -f disk.raw part
	qemu-img convert -O raw "$1" disk.raw
	dd if=disk.raw of=part bs=1M skip=1 count="$2" status=none
	rm disk.raw
	clean_ext4 part
}

# quiet_stop CONSOLE: systemd found nothing busy, and had nothing left at the end.
quiet_stop() {
	! grep -aE 'Failed unmounting|Failed to (un|re)mount|target is busy|Could not|qcow-shutdown' "$1"
}

# clean_kernel: no console of this part has a complaint of the kernel.
clean_kernel() {
	local console bad=0

	for console in console-*.log; do
		! klog_problems "$console" || bad=1
	done
	return $bad
}
