# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# In a guest: a network's filesystem, with no network. Source it.

# nfs_serve DIR: starts a server for DIR in this kernel. There is no mountd: its answers
# are written where the kernel asks for them. For ten seconds the server grants no locks:
# no client has one from before, but there is no daemon to tell it.
nfs_serve() {
	local proc=/proc/fs/nfsd cache=/proc/net/rpc forever=$((EPOCHSECONDS + 86400))
	local flags=$((0x2000 | 0x400 | 0x10)) # the root of version 4, no subtrees, async

	modprobe nfsd
	modprobe nfsv4
	ip link set lo up
	mountpoint -q $proc || mount -t nfsd nfsd $proc
	echo "nfsd 127.0.0.1 $forever all" > $cache/auth.unix.ip/channel
	echo "all $1 $forever $flags 65534 65534 0" > $cache/nfsd.export/channel
	echo "all 1 \\x00000000 $forever $1" > $cache/nfsd.fh/channel
	# Some kernels note there which clients have locks.
	mkdir -p /var/lib/nfs/v4recovery
	echo 10 > $proc/nfsv4gracetime
	echo -3 > $proc/versions
	echo tcp 2049 > $proc/portlist
	echo 2 > $proc/threads
}

# nfs_mount DIR [ADDRESS]: ADDRESS is one that the server has.
nfs_mount() {
	local server=${2:-127.0.0.1}

	mount -i -t nfs4 "$server":/ "$1" -o vers=4.2,addr="$server",clientaddr="$server"
}

# nfs_mount_as HOST DIR ADDRESS: as another host does, which is another client to the server:
# clients are told apart by the name of their host. No other mount may use the address.
nfs_mount_as() {
	# shellcheck disable=SC2016 # expanded by that shell
	unshare --uts bash -c 'echo "$0" > /proc/sys/kernel/hostname; . "$1"; nfs_mount "$2" "$3"' \
		"$1" "${BASH_SOURCE[0]}" "$2" "$3"
}

nfs_end() {
	echo 0 > /proc/fs/nfsd/threads
}
