# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Devices that are exported to other hosts by the kernel's NVMe target. This guest is the
# other host as well, over the loopback interface.

nvmet=/sys/kernel/config/nvmet
other_host=nqn.2014-08.org.nvmexpress:uuid:11111111-2222-4333-8444-555555555555

# in_tree: entries of the target, but for the subsystem of another case
in_tree() {
	local entry

	for entry in $nvmet/{subsystems,ports,hosts}/*; do
		[ ! -e "$entry" ] || [ "${entry##*/}" = nqn.test ] || echo "${entry#"$nvmet/"}"
	done
}

# connect ADDRESS PORT NQN [HOST]: as nvme connect does; a lost connection is tried again
# each second.
connect() {
	echo "transport=tcp,traddr=$1,trsvcid=$2,nqn=$3,hostnqn=${4:-$other_host},hostid=${other_host##*:},nr_io_queues=1,reconnect_delay=1,ctrl_loss_tmo=120" \
		> /dev/nvme-fabrics
}

# remote_disk NQN: waits for the disk of a connection; sets remote, its name.
remote_disk() {
	local subsystem disk name

	remote=
	until [ -n "$remote" ]; do
		for subsystem in /sys/class/nvme-subsystem/*; do
			{ read -r name < "$subsystem/subsysnqn"; } 2> /dev/null || continue
			[ "$name" = "$1" ] || continue
			for disk in "$subsystem"/nvme*n[0-9]; do
				[ ! -b "/dev/${disk##*/}" ] || remote=${disk##*/}
			done
		done
		pause 0.05
	done
}

# disconnect NQN
disconnect() {
	local file nqn

	for file in /sys/class/nvme/*/subsysnqn; do
		read -r nqn < "$file"
		[ "$nqn" != "$1" ] || echo 1 > "${file%/*}/delete_controller"
	done
}

# export_to ADDRESS ARGUMENTS...: prints the name of the export.
export_to() {
	local line

	line=$(qcowctl export --allow-host $other_host --tcp "$@") || fail "export $*"
	[[ $line =~ ^'nvme connect -t tcp -a '([^ ]+)' -s '([0-9]+)' -n '(nqn[^ ]+)$ ]] ||
		fail "it prints $line"
	echo "${BASH_REMATCH[3]}"
}

make_export() {
	create disk 64M
	create other 8M
	create small 8M
	truncate -s 8M raw
}

# Nothing is exported, and nothing left in configfs.
export_refused() {
	refuses "is in use on this host: $dev mounted on $HERE/mnt; end that, or add --force" \
		qcowctl export --tcp 127.0.0.1 --allow-host $other_host "$dev"
	umount $HERE/mnt
	refuses '203.0.113.9:4420: is no address of this host' \
		qcowctl export --tcp 203.0.113.9 --allow-host $other_host "$dev"
	busybox nc -l -p 4499 > /dev/null < /dev/null &
	until grep -q :1193 /proc/net/tcp /proc/net/tcp6; do
		pause 0.02
	done
	refuses '127.0.0.1:4499: another program listens there' \
		qcowctl export --tcp 127.0.0.1:4499 --allow-host $other_host "$dev"
	kill %%
	refuses "$small: is read-only, and the kernel exports only" \
		qcowctl export --tcp 127.0.0.1 --allow-host $other_host "$small"
	is "" "$(in_tree)"
	refuses "is not exported" qcowctl unexport "$dev"
	accepts qcowctl unexport --if-exported "$dev" /dev/qcow/nothing
}

# Several exports at one address, one more by IPv6
export_shown() {
	is 7000 "$(ls $nvmet/ports)"
	nqn3=$(export_to '[::1]:4421' --nqn nqn.2026-01.org.example:three "$small")
	is nqn.2026-01.org.example:three "$nqn3"
	is "7000 7001" "$(ls $nvmet/ports | paste -sd ' ')"
	is "[::1]:4421 $other_host true" "$(qcowctl export --list --json "$small" |
		jq -r '.qcowexports[] | "\(.addresses[0]) \(."allowed-hosts"[0]) \(.managed)"')"
	is "$nqn" "$(qcowctl list -nO export "$dev")"
	is "$nqn" "$(qcowctl info --json "$dev" | jq -r '.device.exports[0]')"
	exits 1 "^  $dev exported as $nqn; run qcowctl unexport$" qcowctl detach "$dev"
	refuses "is exported already, as $nqn; run qcowctl unexport $dev first" \
		qcowctl export --tcp 127.0.0.1 --allow-host $other_host "$dev"
	# Its I/O fails, and the export goes with the device.
	connect ::1 4421 "$nqn3"
	remote_disk "$nqn3"
	qcowctl detach --force "$small"
	is 7000 "$(ls $nvmet/ports)"
	[ ! -e $nvmet/subsystems/$nqn3 ] || fail "the export stays"
	disconnect "$nqn3"
}

# The other host has a filesystem mounted while the target goes and comes back.
export_used() {
	! connect 127.0.0.1 4420 "$nqn" nqn.2014-08.org.example:stranger 2> /dev/null ||
		fail "a host that is not allowed connects"
	connect 127.0.0.1 4420 "$nqn"
	remote_disk "$nqn"
	mkfs.ext4 -q -F /dev/$remote
	mount /dev/$remote $HERE/mnt
	fio --name=w --filename=$HERE/mnt/file --size=4M --bs=64k --rw=randwrite --direct=1 \
		--ioengine=libaio --iodepth=4 --verify=crc32c --verify_fatal=1 > fio.log || fail "$(cat fio.log)"
	echo before > $HERE/mnt/before
	# Nobody listens then, as if this host were down.
	qcowctl unexport disk.qcow2 "$nqn2"
	qcowctl detach "$dev"
	until grep -qx connecting /sys/class/nvme/*/state; do
		pause 0.05
	done
	pause 2
	(echo after > $HERE/mnt/after && sync -f $HERE/mnt) &
	writer=$!
	attach disk.qcow2
	is "$nqn" "$(export_to 127.0.0.1:4420 "$dev")"
	wait $writer || fail "the write failed"
	drop_caches 3
	fio --name=r --filename=$HERE/mnt/file --size=4M --bs=64k --rw=randwrite --direct=1 \
		--verify_only --verify=crc32c --verify_fatal=1 > fio.log || fail "$(cat fio.log)"
	is "before after" "$(cat $HERE/mnt/before $HERE/mnt/after | paste -sd ' ')"
}

# The other host sees the new size by itself.
export_grows() {
	qcowctl resize "$dev" +16M
	until [ "$(cat /sys/block/$remote/size)" = $((80 * 2048)) ]; do
		pause 0.05
	done
	resize2fs /dev/$remote > log 2>&1 || fail "$(cat log)"
}

case_export() {
	local nqn nqn2 nqn3 remote writer small other

	mkdir -p $HERE/mnt /run /etc
	[ -s /etc/machine-id ] || echo 0123456789abcdef0123456789abcdef > /etc/machine-id
	ip link set lo up
	modprobe -a nvmet nvme-tcp
	mount -t configfs configfs /sys/kernel/config 2> /dev/null || [ -d $nvmet ]
	attach -r small.qcow2
	small=$dev
	attach other.qcow2
	other=$dev
	attach disk.qcow2
	mkfs.ext4 -q -F "$dev"
	mount "$dev" $HERE/mnt
	export_refused
	qcowctl detach "$small"
	attach small.qcow2
	small=$dev
	attach -f raw raw
	qcowctl export --force --tcp 127.0.0.1 --allow-host $other_host --allow-host nqn.2014-08.org.example:b "$dev" > /dev/null
	qcowctl unexport "$dev"
	is "" "$(in_tree)"
	detach
	dev=/dev/$(qcowctl list -nO name disk.qcow2)
	nqn=$(export_to 127.0.0.1:4420 disk.qcow2)
	nqn2=$(export_to 127.0.0.1 "$other")
	export_shown
	export_used
	export_grows
	umount $HERE/mnt
	disconnect "$nqn"
	qcowctl unexport --all
	is "" "$(in_tree)"
	qcowctl detach "$other" "$dev"
}

after_export() {
	check disk.qcow2 other.qcow2 small.qcow2
	qemu-img convert -f qcow2 -O raw disk.qcow2 disk.raw
	e2fsck -fn disk.raw > log 2>&1 || fail "$(cat log)"
	is after "$(debugfs -R 'cat /after' disk.raw 2> /dev/null)"
}
