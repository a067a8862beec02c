# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2154
#
# Two hosts that have the same image: on NFS, where QEMU's locks keep the second one off, and
# on a shared disk, where nothing does but a reservation of the disk.
. "$cases_here/../../lib/nfs.sh"

# Two clients of a server in this guest
make_two_hosts() {
	create base 4M
	fill base.qcow2 'write -P 1 0 1M'
	create disk 4M -b base.qcow2 -F qcow2
	qemu-img snapshot -c s disk.qcow2
}

case_two_hosts() {
	local a=$HERE/mnt/a b=$HERE/mnt/b

	mkdir -p served $a $b
	mv base.qcow2 disk.qcow2 served
	nfs_serve "$PWD/served"
	nfs_mount $a
	nfs_mount_as second $b 127.0.0.2
	attach $a/disk.qcow2
	operate "$dev" 'write 0 64k 5' 'flush'
	# Its writer, its readers, and commands on the file; the files below, too
	refuses "$b/disk.qcow2: in use: .*QEMU's lock" qcowctl attach $b/disk.qcow2
	refuses "$b/disk.qcow2: in use: .*QEMU's lock" qcowctl attach -r $b/disk.qcow2
	refuses "$b/base.qcow2: in use: .*QEMU's lock" qcowctl resize $b/base.qcow2 5M
	refuses "$b/disk.qcow2: in use: .*QEMU's lock" qcowctl snapshot create $b/disk.qcow2 t
	refuses "$b/disk.qcow2: in use: .*QEMU's lock" qcowctl check --repair=all $b/disk.qcow2
	# To the server these are two.
	is 2 "$(find /proc/fs/nfsd/clients -mindepth 1 -maxdepth 1 | wc -l)"
	detach
	# It lets go, and the other one has all that was written.
	attach $b/disk.qcow2
	operate "$dev" 'read 0 64k 5' 'write 64k 64k 6'
	refuses "$a/disk.qcow2: in use: .*QEMU's lock" qcowctl attach $a/disk.qcow2
	detach
	# Two that read
	attach -r $a/disk.qcow2
	first=$dev
	attach -r $b/disk.qcow2
	operate "$dev" 'read 64k 64k 6'
	qcowctl detach "$first" "$dev"
	umount $a $b
	nfs_end
	mv served/* .
}

after_two_hosts() {
	check base.qcow2 disk.qcow2
	holds qcow2 disk.qcow2 'read -P 5 0 64k' 'read -P 6 64k 64k' 'read -P 1 128k 896k'
}

# scsi_target NAME FILE: two SCSI disks of this guest with the content of a file, as two hosts
# see a disk of a storage network. Sets disks. Until scsi_target_end NAME FILE.
scsi_target() {
	local target=/sys/kernel/config/target store=/sys/kernel/config/target/core/fileio_$$/$1 side path

	modprobe -a target_core_mod target_core_file tcm_loop sd_mod
	mount -t configfs configfs /sys/kernel/config 2> /dev/null || [ -d $target/core ]
	mkdir -p "$store"
	echo "fd_dev_name=$2,fd_dev_size=$(stat -c %s "$2")" > "$store/control"
	echo 1 > "$store/enable"
	disks=()
	for side in 1 2; do
		path=$target/loopback/naa.500140500000000$side/tpgt_1
		mkdir -p $path
		echo naa.600140500000000$side > $path/nexus
		mkdir $path/lun/lun_0
		ln -s "$store" $path/lun/lun_0/disk
		disks+=("$(scsi_disk $path)")
	done
}

# scsi_disk FOLDER: prints the node of the disk of a target.
scsi_disk() {
	local address node

	read -r address < "$1/address"
	until node=$(ls /sys/bus/scsi/devices/"$address":*/block) && [ -b "/dev/$node" ]; do
		pause 0.05
	done 2> /dev/null
	echo "/dev/$node"
}

scsi_target_end() {
	local target=/sys/kernel/config/target side path

	for side in 1 2; do
		path=$target/loopback/naa.500140500000000$side/tpgt_1
		rm $path/lun/lun_0/disk
		rmdir $path/lun/lun_0 $path ${path%/*}
	done
	rmdir $target/core/fileio_$$/"$1" $target/core/fileio_$$
}

# reserve DISK: for this host alone; for all hosts again with "reserve DISK end"
reserve() {
	python3 - "$@" <<'END'
import fcntl, struct, sys
PR_EXCLUSIVE_ACCESS = 2
with open(sys.argv[1], "rb+", buffering=0) as f:
    def pr(number, form, *values):
        data = struct.pack(form, *values)
        fcntl.ioctl(f, 1 << 30 | len(data) << 16 | ord("p") << 8 | number, data)
    if len(sys.argv) == 2:
        pr(200, "QQII", 0, 1, 0, 0)
        pr(201, "QII", 1, PR_EXCLUSIVE_ACCESS, 0)
    else:
        pr(202, "QII", 1, PR_EXCLUSIVE_ACCESS, 0)
        pr(200, "QQII", 1, 0, 0, 0)
END
}

make_shared_disk() {
	create shared 8M
	truncate -s 16M shared.qcow2
}

case_shared_disk() {
	local disks first

	scsi_target disk "$PWD/shared.qcow2"
	# Nothing else keeps a second host off.
	attach -f qcow2 "${disks[0]}"
	first=$dev
	attach -f qcow2 "${disks[1]}"
	qcowctl detach "$first" "$dev"
	reserve "${disks[0]}"
	refuses "${disks[1]}: cannot read at 0: " qcowctl attach -f qcow2 "${disks[1]}"
	refuses "${disks[1]}: cannot read at 0: " qcowctl attach -f qcow2 -r "${disks[1]}"
	attach -f qcow2 "${disks[0]}"
	operate "$dev" 'write 0 64k 5' 'flush' 'read 0 64k 5'
	detach
	reserve "${disks[0]}" end
	attach -f qcow2 "${disks[1]}"
	operate "$dev" 'read 0 64k 5'
	detach
	scsi_target_end disk
}

after_shared_disk() {
	truncate -s 8M shared.qcow2
	check shared.qcow2
	holds qcow2 shared.qcow2 'read -P 5 0 64k'
}
