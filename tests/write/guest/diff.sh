#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# In the guest: writes to the images of /out/diff.manifest. Half of them lie on
# other filesystems than the tree, by their numbers.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$QCOW_TOP/tests/lib/nfs.sh"

filesystems=(ext4 xfs ext4 btrfs ext4 tmpfs ext4 nfs)
elsewhere=/tmp/elsewhere

# filesystem_of NAME ARGUMENTS: of an image that is attached so
filesystem_of() {
	local name=$1 fs=${filesystems[10#${1##*-} % ${#filesystems[@]}]}

	# Before Linux 6.6 it has no direct I/O.
	[ "$fs" != tmpfs ] || [[ $2 != *--direct-io\ on* ]] || fs=ext4
	echo "$fs"
}

# Those on the network come last, when it grants locks.
manifest() {
	local name image model args rest

	while IFS=$'\t' read -r name image model args rest; do
		printf '%s\t%s\n' "$(filesystem_of "$name" "$args")" \
			"$name	$image	$model	$args	$rest"
	done < /out/diff.manifest | sort -s -k1,1 | awk -F'\t' '$1 == "nfs" { nfs[++n] = $0; next }
		{ print } END { for (i = 1; i <= n; i++) print nfs[i] }'
}

# files_of FILESYSTEM: the folder with the files that it holds. A server's own are
# there at once.
files_of() {
	[ "$1" = nfs ] && echo $TREE/served || echo "$elsewhere/$1"
}

# mount_one FILESYSTEM DIR
mount_one() {
	mkdir -p "$2"
	case $1 in
	tmpfs)
		mount -t tmpfs tmpfs "$2" ;;
	nfs)
		mkdir $TREE/served
		nfs_serve $TREE/served
		nfs_mount "$2" ;;
	*)
		truncate -s 1500M "$TREE/disk.$1"
		"mkfs.$1" -q "$TREE/disk.$1" > /dev/null
		mount -t "$1" -o loop "$TREE/disk.$1" "$2" ;;
	esac
}

# move_there FILESYSTEM NAME: seen under the name it had, as some have it in them
move_there() {
	cp -a --sparse=always "$TREE/diff/$2" "$(files_of "$1")"
	mount --bind "$elsewhere/$1/$2" "$TREE/diff/$2"
}

move_back() {
	umount "$TREE/diff/$2"
	cp -a --sparse=always "$(files_of "$1")/$2" "$TREE/diff"
}

[ -s /out/diff.manifest ] || exit 0
manifest > /tmp/manifest
grep -v ^ext4 /tmp/manifest | cut -f 1-2 > /tmp/moved || true
for fs in $(cut -f 1 /tmp/moved | sort -u); do
	mount_one "$fs" "$elsewhere/$fs"
done
while read -r fs name; do
	move_there "$fs" "$name"
done < /tmp/moved
echo "on filesystems:$(cut -f 1 /tmp/manifest | sort | uniq -c | tr -s '\n ' ' ')"
code=0
cut -f 2- /tmp/manifest > /tmp/manifest.diff
within 900 qcowwrite diff $TREE/diff /tmp/manifest.diff > /tmp/results || code=1
for dir in "$elsewhere"/*/; do
	[ ! -d "$dir" ] || sync -f "$dir"
done
while read -r fs name; do
	move_back "$fs" "$name"
done < /tmp/moved
for dir in "$elsewhere"/*/; do
	[ ! -d "$dir" ] || umount "$dir"
done
[ ! -d $TREE/served ] || nfs_end
rm -rf $TREE/served $TREE/disk.*
[ $code -eq 0 ] || fail "qcowwrite"
cp /tmp/results /out/diff.results
