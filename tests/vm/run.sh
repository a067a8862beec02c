#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# run.sh: boots one of Debian's stock kernels in QEMU and runs a script in it.
set -euo pipefail
here=$(realpath "$(dirname "$0")")
. "$here/../lib/common.sh"
. "$here/../lib/klog.sh"
. "$here/../lib/qemu.sh"

usage() {
	cat >&2 <<-EOF
	usage: run.sh -k KERNEL [options] SCRIPT [ARGUMENTS]
	  -k KERNEL    6.1, 6.12 or 7
	  -m MEMORY    2G unless given
	  -c CPUS      2 unless given
	  -d IMAGE     a raw disk image, as /dev/vda; again for vdb, ...
	  -t SECONDS   before the guest is ended, 300 unless given
	  -b ARGS      more arguments for the kernel
	  -a REGEX     lines that the kernel log may have, bad as they look
	  -o DIR       host folder that is /out in the guest; the kernel log is
	               left there too. Without it, a folder that is kept only if
	               the run fails.
	  --icount -i INITRAMFS
	               one CPU, virtual time that counts instructions, a system that
	               is wholly in INITRAMFS, and no SCRIPT. Its output to
	               ttyS1 is printed; it tells its exit status there in a last
	               line, "exit N".
	  -p PLUGIN    with --icount: a plugin of QEMU's translator, with arguments

	The guest's root is the host's, under an overlay that is forgotten; programs
	that are used often come from a copy, see tools.sh. /tmp is empty. SCRIPT
	runs as root in the current folder; run.sh prints its output, and returns its
	exit status. A guest that does not boot, does not finish, or whose kernel
	complains of something fails.
	Environment: QCOW_ACCEL=kvm or tcg overrides the probe for KVM; variables
	QCOW_* are there in the guest too; QCOW_KERNEL is KERNEL.
	EOF
	exit 2
}

kernel='' memory=2G cpus=2 limit=300 append='' allowed='^$' out='' icount='' initramfs='' plugin=''
disks=()

parse_options() {
	local opts

	opts=$(getopt -n run.sh -o +k:m:c:d:t:b:a:o:i:p: -l icount -- "$@") || usage
	eval set -- "$opts"
	while [ "$1" != -- ]; do
		case $1 in
		-k)	kernel=$2 ;;
		-m)	memory=$2 ;;
		-c)	cpus=$2 ;;
		-d)	disks+=("$(realpath "$2")") ;;
		-t)	limit=$2 ;;
		-b)	append=$2 ;;
		-a)	allowed=$2 ;;
		-o)	out=$2 ;;
		-i)	initramfs=$2 ;;
		-p)	plugin=$2 ;;
		--icount) icount=1; shift; continue ;;
		esac
		shift 2
	done
	shift
	command=("$@")
	[ -n "$kernel" ] || usage
	[ -n "$icount$*" ] || usage
}

# Prints those of our places that lie where the guest has a tmpfs, and in no
# other one of them.
hidden_places() {
	printf '%s\n' "$QCOW_TOP" "$QCOW_CACHE" "$PWD" "$(realpath -m "${command[0]}")" |
		awk '/^\/(tmp|run)\// { place[$0] }
		     END { for (p in place) if (!inside(p)) print p }
		     function inside(p, q) {
			for (q in place)
				if (index(p, q "/") == 1)
					return 1
			return 0
		     }'
}

# Files that the guest's init and then its shell read
write_job() {
	local name

	cat > "$out/.env" <<-EOF
		MODULES='$MODULES'
		KEEP='$(hidden_places)'
	EOF
	export QCOW_KERNEL=$kernel
	{
		echo "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
		# With another locale, each small program reads as much again when it starts.
		echo "export HOME=$(printf %q "$HOME") LANG=C TERM=dumb"
		for name in ${!QCOW_*}; do
			# arrays and the like are not for others
			[[ ${!name@a} == *x* ]] && echo "export $name=$(printf %q "${!name}")"
		done
		echo "cd $(printf %q "$PWD") 2> /dev/null || cd /"
		echo "exec$(printf ' %q' "${command[@]}")"
	} > "$out/.job"
}

# Shares, disks, and a port for the script's output. Where there never can be a second
# processor, QEMU leaves memory barriers out of the code that it translates, although
# its devices are threads of their own: now and then the interrupt of a disk is lost.
share_args() {
	local i=0 disk aio

	aio=$(disk_aio "$tools")
	printf '%s\n' -smp "$cpus,maxcpus=$((cpus > 1 ? cpus : 2))" -device virtio-serial \
		-chardev file,id=stdout,path=/dev/stdout,append=on \
		-device virtserialport,chardev=stdout \
		-fsdev local,id=root,path=/,security_model=none,readonly=on,multidevs=remap \
		-device virtio-9p-pci,fsdev=root,mount_tag=root \
		-fsdev "local,id=out,path=$out,security_model=none" \
		-device virtio-9p-pci,fsdev=out,mount_tag=out
	for disk in "${disks[@]}"; do
		printf '%s\n' -drive \
			"file=$disk,if=none,id=disk$i,format=raw,cache=unsafe,discard=unmap,aio=$aio" \
			-device "virtio-blk-pci,drive=disk$i"
		i=$((i + 1))
	done
	printf '%s\n' -drive "file=$tools,if=none,id=tools,format=raw,readonly=on" \
		-device virtio-blk-pci,drive=tools,serial=tools
}

# Nothing here may depend on the host's clock, load or randomness.
icount_args() {
	printf '%s\n' -accel tcg,thread=single -cpu max -smp 1 \
		-icount shift=0,sleep=off -seed 1 \
		-rtc base=2024-01-01T00:00:00,clock=vm
}

boot() {
	local status=0

	timeout --foreground -k 5 "$limit" qemu-system-x86_64 \
		-M q35 -m "$memory" -display none -nodefaults -no-user-config \
		-no-reboot -kernel "$VMLINUX" -initrd "$initramfs" \
		-serial "file:$out/kernel.log" \
		-append "console=ttyS0 panic=-1 $append" "$@" < /dev/null || status=$?
	case $status in
	0)	;;
	124)	say "not finished after $limit s" ;;
	*)	say "QEMU ended with status $status" ;;
	esac
	return $status
}

booted() {
	grep -aqs BOOTED "$out/kernel.log"
}

# Ends a guest that takes twenty times as long to boot as others do.
watch_boot() {
	local second

	for ((second = 0; second < 120; second++)); do
		sleep 1
		! booted || return 0
	done
	say "not booted after $second s"
	pkill -F "$out/.pid"
}

# boot_watched ARGUMENTS...: fails if it did not boot.
boot_watched() {
	local watcher

	rm -f "$out/.pid"
	watch_boot &
	watcher=$!
	boot -pidfile "$out/.pid" "$@" | cat
	kill $watcher 2> /dev/null || true
	wait $watcher || true
	booted
}

# boot_stock ARGUMENTS...: boots a stock kernel. Before anything of ours is loaded, it may
# die or hang because of emulation: one processor runs into code that another is just
# patching. Then boot_stock boots it again, twice.
boot_stock() {
	local try

	for try in 1 2; do
		! boot_watched "$@" || return 0
		say "the guest did not boot; again"
		cp "$out/kernel.log" "$out/kernel-no-boot-$try.log"
	done
	boot_watched "$@" || true
}

run_shared() {
	local args status tools

	tools=$("$here/tools.sh")
	mapfile -t args < <(accel_args "$kernel"; share_args)
	write_job
	# QEMU opens its standard output anew, which a pipe always bears.
	append="$quicker lsm= $append"
	boot_stock "${args[@]}"
	if ! booted; then
		say "the guest did not boot; its log ends:"
		tail -n 20 "$out/kernel.log" >&2
		return 1
	fi
	status=$(cat "$out/.status" 2> /dev/null) || {
		say "the guest died; its log ends:"
		tail -n 20 "$out/kernel.log" >&2
		! grep -aq 'Oops: int3' "$out/kernel.log" ||
			say "one emulated processor ran into code that another patched"
		return 1
	}
	return "$status"
}

run_icount() {
	local args status

	mapfile -t args < <(icount_args)
	[ -z "$plugin" ] || args+=(-plugin "$plugin")
	boot "${args[@]}" -serial "file:$out/stdout" || true
	tr -d '\r' < "$out/stdout" | sed '$ { /^exit [0-9]*$/ d }'
	status=$(tail -n1 "$out/stdout" | tr -d '\r' | sed -n 's/^exit //p')
	[ -n "$status" ] && return "$status"
	say "the guest died; its log ends:"
	tail -n 20 "$out/kernel.log" >&2
	return 1
}

# prints the kernel's complaints
check_log() {
	local problems

	problems=$(klog_problems "$out/kernel.log" | grep -vaE -- "$allowed") || return 0
	say "in the kernel log:"
	echo "$problems" >&2
	return 1
}

prepare_out() {
	if [ -n "$out" ]; then
		mkdir -p "$out"
	else
		mkdir -p "$QCOW_CACHE/runs"
		out=$(mktemp -d "$QCOW_CACHE/runs/$kernel-$(basename "${command[0]:-icount}")-XXXXXX")
		temporary=1
	fi
	out=$(realpath "$out")
	rm -f "$out"/{kernel.log,.status,stdout}
}

temporary=
status=0
parse_options "$@"
kernel_info "$kernel"
prepare_out
: "${initramfs:=$("$here/initramfs.sh" "$kernel")}"
if [ -n "$icount" ]; then
	run_icount || status=$?
else
	run_shared || status=$?
fi
check_log || [ $status -ne 0 ] || status=1
if [ $status -eq 0 ] && [ -n "$temporary" ]; then
	rm -rf "$out"
elif [ $status -ne 0 ]; then
	say "failed with status $status; the kernel log is $out/kernel.log"
fi
exit $status
