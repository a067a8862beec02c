// SPDX-License-Identifier: GPL-2.0
/*
 * Tells whether the files of a mount need the network: one of them lies on a filesystem of
 * another host, or on one that was mounted with _netdev. perform.c calls this.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libmount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/attached.h"
#include "lib/sysfs.h"
#include "mount/network.h"

/* Those that libmount may not know yet; it knows NFS, CIFS and AFS. */
static bool is_network_type(const char *type)
{
	static const char *const types[] = {
		"9p", "ceph", "gfs2", "glusterfs", "lustre", "ocfs2", "orangefs", "sshfs",
	};
	static const char fuse[] = "fuse.";
	size_t i;

	if (!strncmp(type, fuse, strlen(fuse)))
		type += strlen(fuse);
	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(type, types[i]))
			return true;
	return false;
}

static bool is_network(struct libmnt_fs *fs)
{
	const char *type = mnt_fs_get_fstype(fs);

	return mnt_fs_is_netfs(fs) || (type && is_network_type(type)) ||
	       !mnt_fs_get_option(fs, "_netdev", NULL, NULL);
}

/* The mount that a file was opened through, or NULL: it is of another namespace. */
static struct libmnt_fs *mount_of(struct libmnt_table *mounts, int fd)
{
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_BACKWARD);
	struct libmnt_fs *fs, *found = NULL;
	struct statx stx;

	if (iter && !statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) &&
	    stx.stx_mask & STATX_MNT_ID)
		while (!found && !mnt_table_next_fs(mounts, iter, &fs))
			found = (u64)mnt_fs_get_id(fs) == stx.stx_mnt_id ? fs : NULL;
	mnt_free_iter(iter);
	return found;
}

static bool is_local(int fd, void *arg)
{
	struct libmnt_fs *fs = mount_of(arg, fd);

	return !fs || !is_network(fs);
}

static bool image_is_local(const char *image, struct libmnt_table *mounts)
{
	int fd = open(image, O_PATH | O_CLOEXEC);
	bool local = fd < 0 || is_local(fd, mounts);

	if (fd >= 0)
		close(fd);
	return local;
}

/**
 * struct ask - an argument of note()
 * @mounts: the mounts of this namespace
 * @network: a file needs the network
 */
struct ask {
	struct libmnt_table *mounts;
	bool network;
};

static bool note(int fd, void *arg)
{
	struct ask *ask = arg;

	ask->network = !is_local(fd, ask->mounts);
	return !ask->network;
}

/* Whether a backing or data file of the device lies there. No answer is none that does. */
static bool others_are_local(const char *node, struct libmnt_table *mounts)
{
	struct ask ask = { .mounts = mounts };
	struct device d = { };
	bool partition;
	struct stat st;

	d.index = stat(node, &st) ? -1 : sysfs_index_of(st.st_rdev, &partition);
	if (d.index >= 0 &&
	    sysfs_read_u64(&d.diskseq, "/sys/block/qcow%d/diskseq", d.index))
		attached_all(&d, note, &ask);
	return !ask.network;
}

/**
 * network_beneath() - tell whether a mount needs the network
 * @image: the image
 * @node: of its device, or of a partition
 *
 * Return: whether a file of it lies on a network filesystem.
 */
bool network_beneath(const char *image, const char *node)
{
	struct libmnt_table *mounts = mnt_new_table();
	bool network = false;

	/* With what /run/mount/utab tells, such as _netdev. */
	if (mounts && !mnt_table_parse_mtab(mounts, NULL))
		network = !image_is_local(image, mounts) || !others_are_local(node, mounts);
	mnt_unref_table(mounts);
	return network;
}
