# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC2034
#
# The root filesystem in a disk image: functions for scripts in an initramfs, those of
# initramfs-tools and of dracut. The kernel's command line has qcow=DEVICE:PATH[:OPTIONS].

qcow_folder=/run/qcow/host

# qcow_parse ARGUMENT: sets qcow_device, qcow_path and qcow_options. It fails if the argument
# of qcow= has another form.
qcow_parse() {
	case $1 in
	*:/*)	;;
	*)	return 1 ;;
	esac
	qcow_device=${1%%:/*}
	qcow_path=/${1#*:/}
	qcow_options=
	case $qcow_path in
	*:*)	qcow_options=${qcow_path#*:} qcow_path=${qcow_path%%:*} ;;
	esac
}

# qcow_attach DEVICE TYPE [OPTION...]: mounts the filesystem of this type that the device has,
# and attaches the image on it as /dev/qcow/root. The options are more of "qcowctl attach".
qcow_attach() {
	local device=$1 type=$2 options=$qcow_options

	shift 2
	modprobe -q qcow || {
		echo "qcow: the initramfs lacks the kernel's module qcow"
		return 1
	}
	# The last that is unmounted: qcow-shutdown does that, since nothing earlier can.
	mkdir -p $qcow_folder /run/systemd/system/run-qcow-host.mount.d
	printf '[Unit]\nDefaultDependencies=no\nIgnoreOnIsolate=yes\n' \
		> /run/systemd/system/run-qcow-host.mount.d/qcow.conf
	mount -t "$type" -o rw "$device" $qcow_folder || {
		echo "qcow: $device cannot be mounted"
		return 1
	}
	while [ -n "$options" ]; do
		set -- "$@" "--${options%%,*}"
		case $options in
		*,*)	options=${options#*,} ;;
		*)	options= ;;
		esac
	done
	qcowctl attach --name root "$@" -- "$qcow_folder$qcow_path"
}
