# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# The script that a package runs before the tools are removed: on the host it detaches
# devices, in a chroot or a container it leaves the host's alone. The programs that it
# calls are scripts.

mkdir fakes
for program in qcowctl systemctl; do
	printf '#!/bin/sh\necho "%s $*" >>"%s/log"\n' $program "$T" >fakes/$program
done

# removes NAME CHROOT CONTAINER CALLS: with the exit status of ischroot, and the container
# that systemd-detect-virt finds, the script makes these calls.
removes()
{
	printf '#!/bin/sh\nexit %s\n' "$2" >fakes/ischroot
	printf '#!/bin/sh\ncase $* in *--chroot) exit 1;; esac\nexit %s\n' "$3" >fakes/systemd-detect-virt
	chmod +x fakes/*
	rm -f log
	run env PATH="$PWD/fakes:$PATH" sh "$here/../../userspace/removal/before-removal"
	expect "removal: $1" is "0 $4" "$code $(cat out err log 2>/dev/null | grep -v ^systemctl)"
}

removes "on the host" 1 1 "qcowctl detach --all --lazy"
removes "in a chroot" 0 1 ""
removes "in a container" 1 0 ""
printf '#!/bin/sh\necho vda\n' >fakes/lsblk
removes "a root filesystem elsewhere" 1 1 "qcowctl detach --all --lazy"
printf '#!/bin/sh\necho guest-root; echo qcow0p2; echo qcow0\n' >fakes/lsblk
run env PATH="$PWD/fakes:$PATH" sh "$here/../../userspace/removal/before-removal"
expect "removal: the root filesystem in an image" \
	is "1 qcow: the root filesystem is in a disk image" "$code $(cut -d, -f1 err)"
rm fakes/lsblk
printf '#!/bin/sh\nexit 1\n' >fakes/qcowctl
removes "a device that cannot be detached" 1 1 ""
rm -r fakes
