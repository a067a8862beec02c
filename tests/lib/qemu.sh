# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Arguments of QEMU that all guests share. Source it after common.sh.

# The answer holds for a machine and its kernel.
machine_id() {
	{ uname -r; cat /etc/machine-id; grep -m1 'model name' /proc/cpuinfo; } 2> /dev/null |
		sha256sum | cut -c1-12
}

# find_accel KERNEL: prints kvm or tcg. That /dev/kvm opens proves nothing: some machines
# have one with which QEMU aborts or hangs. Only a boot tells, which is of KERNEL.
find_accel() {
	local answer

	answer=$QCOW_CACHE/vm/accel-$(machine_id)
	if [ ! -s "$answer" ]; then
		only_one accel
		[ -s "$answer" ] || probe_accel "$1" > "$answer"
	fi
	cat "$answer"
}

# probe_accel KERNEL
probe_accel() {
	if [ -w /dev/kvm ] && QCOW_ACCEL=kvm "$QCOW_TOP/tests/vm/run.sh" -k "$1" -t 20 \
		-o "$QCOW_CACHE/vm/probe" true > /dev/null 2>&1; then
		echo kvm
	else
		echo tcg
	fi
}

# Processor features that emulation does one byte at a time, or piece by piece; without
# them programs take other ways
slower='avx=off,avx2=off,erms=off,fsrm'

# Kernel arguments that make an emulated guest faster and hide nothing. With addresses that
# stay, code that was translated once is met again. With other ones the translations of each
# page of code grow in number, and when its memory is used anew, each write looks at all.
quicker='norandmaps init_on_alloc=0 randomize_kstack_offset=off'

# accel_args KERNEL: prints the arguments, one a line.
# A thread that emulates a processor does a device's work at once, rather than wake
# another one, which costs more than the work.
accel_args() {
	case ${QCOW_ACCEL:-$(find_accel "$1")} in
	kvm)	printf '%s\n' -accel kvm -cpu host ;;
	*)	printf '%s\n' -accel tcg,thread=multi -cpu "max,$slower=off" \
			-global virtio-pci.ioeventfd=off ;;
	esac
}

# disk_aio FILE: prints how QEMU reads and writes the disks' files: without a thread for
# each of its requests, if the host can do it with FILE.
disk_aio() {
	if qemu-io -r -f raw -i io_uring -c 'read 0 512' "$1" > /dev/null 2>&1; then
		echo io_uring
	else
		echo threads
	fi
}
