// SPDX-License-Identifier: GPL-2.0
/*
 * The nodes in /dev of a device and its partitions.
 *
 * A devtmpfs has them before an attach returns, and loses them when the device goes:
 * the kernel sees to that. A /dev of another kind, such as a container's tmpfs, does
 * not. There qcowctl makes the nodes, and removes those whose device has gone.
 *
 * Commands that attach, detach or change the size of a device call this, and so do device.c,
 * for the control node, and ready.c.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <libmount.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device/node.h"
#include "lib/clock.h"
#include "lib/report.h"

/* How often the lock is tried, with a pause after each time. */
#define LOCK_TRIES	200

static void node_path(char *path, size_t size, const struct sysfs_node *node)
{
	snprintf(path, size, "/dev/%.31s", node->name);
}

static bool is_node(const struct stat *st, mode_t type, dev_t dev)
{
	return (st->st_mode & S_IFMT) == type && st->st_rdev == dev;
}

/**
 * node_is_there() - look for a node in /dev
 * @node: of a disk or a partition
 *
 * Return: whether it is there.
 */
bool node_is_there(const struct sysfs_node *node)
{
	char path[64];
	struct stat st;

	node_path(path, sizeof(path), node);
	return !stat(path, &st) && is_node(&st, S_IFBLK, node->dev);
}

/* --- A /dev without the kernel's nodes --- */

/*
 * Whether the kernel keeps the nodes in /dev. Magic numbers do not tell a devtmpfs from a
 * tmpfs, names of filesystems do. If that is unknown, missing nodes are made.
 */
static bool dev_is_devtmpfs(void)
{
	struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	const char *type;
	bool is = false;
	struct libmnt_fs *fs;
	struct stat st;

	while (table && iter && !is && !stat("/dev", &st) &&
	       !mnt_table_next_fs(table, iter, &fs)) {
		type = mnt_fs_get_fstype(fs);
		is = mnt_fs_get_devno(fs) == st.st_dev && type &&
		     !strcmp(type, "devtmpfs");
	}
	mnt_free_iter(iter);
	mnt_unref_table(table);
	return is;
}

/*
 * One qcowctl at a time compares /dev with sysfs and changes it. A process that may read /dev
 * can hold this lock for ever: after a while it is done without.
 */
static int lock_dev(void)
{
	int fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int tries;

	for (tries = 0; fd >= 0 && tries < LOCK_TRIES; tries++) {
		if (!flock(fd, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK)
			break;
		clock_pause();
	}
	return fd;
}

static void unlock_dev(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Owner and mode as udev's rules have them for disks; else it stays root's alone. */
static void give_to_disk_group(const char *path)
{
	const struct group *disk = getgrnam("disk");

	if (disk && !lchown(path, 0, disk->gr_gid))
		chmod(path, 0660);
}

/*
 * Have a name be the node of a device. A node of another device is one of a device that
 * has gone. Return: 0 or a negative errno; -EEXIST: it is the name of something else.
 */
static int make_node(const char *path, mode_t type, dev_t dev)
{
	struct stat st;

	if (!stat(path, &st) && is_node(&st, type, dev))
		return 0;
	if (!lstat(path, &st)) {
		if ((st.st_mode & S_IFMT) != type)
			return -EEXIST;
		if (unlink(path))
			return -errno;
	}
	if (mknod(path, type | 0600, dev))
		return -errno;
	if (type == S_IFBLK)
		give_to_disk_group(path);
	return 0;
}

/* The N of a name qcowN or qcowNpM; or -1. */
static int index_of_node(const char *name)
{
	const char *digits = name + 4;
	char *end;
	long n;

	if (strncmp(name, "qcow", 4) || !isdigit((unsigned char)*digits))
		return -1;
	n = strtol(digits, &end, 10);
	if (*end == 'p' && isdigit((unsigned char)end[1]))
		end += 1 + strspn(end + 1, "0123456789");
	return *end || n > INT_MAX ? -1 : (int)n;
}

static bool is_in_sysfs(const char *name, int index, dev_t dev)
{
	struct sysfs_node nodes[SYSFS_MAX_NODES];
	size_t nr = sysfs_nodes(index, nodes);
	size_t i;

	for (i = 0; i < nr; i++)
		if (!strcmp(nodes[i].name, name))
			return nodes[i].dev == dev;
	return false;
}

/* Remove a file in /dev if it is a node of a device of ours that has gone. */
static void remove_if_stale(const char *name)
{
	int index = index_of_node(name);
	char path[64];
	struct stat st;

	if (index < 0)
		return;
	snprintf(path, sizeof(path), "/dev/%.57s", name);
	if (!lstat(path, &st) && S_ISBLK(st.st_mode) &&
	    !is_in_sysfs(name, index, st.st_rdev))
		unlink(path);
}

/* Under the lock. Where sysfs is not mounted, any node may be one of a device. */
static void remove_stale(void)
{
	DIR *dir = sysfs_is_there() ? opendir("/dev") : NULL;
	struct dirent *d;

	if (!dir)
		return;
	while ((d = readdir(dir)))
		remove_if_stale(d->d_name);
	closedir(dir);
}

/**
 * node_tidy() - remove nodes of devices that have gone, where the kernel does not
 *
 * The device may have been detached here, by another process, or by itself.
 */
void node_tidy(void)
{
	int lock;

	if (dev_is_devtmpfs())
		return;
	lock = lock_dev();
	remove_stale();
	unlock_dev(lock);
}

/*
 * The nodes of a certain disk. They are read before the diskseq is, so that they are not
 * those of a later disk. Return: how many.
 */
static size_t nodes_of_disk(int index, u64 diskseq, struct sysfs_node *nodes)
{
	size_t nr = sysfs_nodes(index, nodes);

	return sysfs_is_disk(index, diskseq) ? nr : 0;
}

/* A caller reports missing nodes later. @diskseq: 0: any disk with the number */
static void make_nodes(int index, u64 diskseq)
{
	struct sysfs_node nodes[SYSFS_MAX_NODES];
	int lock = lock_dev();
	char path[64];
	size_t nr, i;

	remove_stale();
	nr = nodes_of_disk(index, diskseq, nodes);
	for (i = 0; i < nr; i++) {
		node_path(path, sizeof(path), &nodes[i]);
		if (make_node(path, S_IFBLK, nodes[i].dev))
			break;
	}
	unlock_dev(lock);
}

/**
 * node_make() - make the nodes of a device and its partitions, where the kernel does not
 * @index: the N of /dev/qcowN
 * @diskseq: of its disk; 0: not known
 *
 * Return: whether that is so; some may be missing all the same.
 */
bool node_make(int index, u64 diskseq)
{
	if (dev_is_devtmpfs())
		return false;
	make_nodes(index, diskseq);
	return true;
}

/**
 * node_refresh() - partitions of a device may have come or gone
 * @index: the N of /dev/qcowN
 *
 * Where the kernel does not keep the nodes, and the disk has one.
 */
void node_refresh(int index)
{
	struct sysfs_node disk[SYSFS_MAX_NODES];

	if (sysfs_nodes(index, disk) && node_is_there(&disk[0]) &&
	    !dev_is_devtmpfs())
		make_nodes(index, 0);
}

/* Return: whether the driver is loaded, and the number of its control node. */
static bool find_control(dev_t *dev)
{
	unsigned int major, minor;
	char *text = sysfs_read("/sys/class/misc/" QCOW_CONTROL_NAME "/dev");
	bool known = text && sscanf(text, "%u:%u", &major, &minor) == 2;

	if (known)
		*dev = makedev(major, minor);
	free(text);
	return known;
}

/**
 * node_control_stale() - whether a control node may be another driver's by now
 * @path: of the node, which is not opened: that alone may have an effect
 *
 * Its number is chosen when the module is loaded. It is free for other drivers when the
 * module is not loaded.
 *
 * Return: whether it may; not if sysfs is not mounted.
 */
bool node_control_stale(const char *path)
{
	struct stat st;
	dev_t dev;

	if (stat(path, &st) || !S_ISCHR(st.st_mode))
		return false;
	if (find_control(&dev))
		return st.st_rdev != dev;
	return !access("/sys/class/misc", F_OK);
}

/**
 * node_make_control() - make the driver's control node, where the kernel does not
 * @path: of it
 *
 * Return: 0; -ENOENT: the driver is not loaded, or the kernel keeps the nodes; or
 * another negative errno.
 */
int node_make_control(const char *path)
{
	int lock, err;
	dev_t dev;

	if (!find_control(&dev) || dev_is_devtmpfs())
		return -ENOENT;
	lock = lock_dev();
	err = make_node(path, S_IFCHR, dev);
	unlock_dev(lock);
	return err;
}

/**
 * node_report_missing() - say that a device is attached, but has not all of its nodes
 * @index: the N of /dev/qcowN
 * @diskseq: of its disk; 0: not known. Nothing is said of another disk
 */
void node_report_missing(int index, u64 diskseq)
{
	struct sysfs_node nodes[SYSFS_MAX_NODES];
	size_t nr = nodes_of_disk(index, diskseq, nodes);
	const char *others = "";
	bool ours = !dev_is_devtmpfs();
	int err = 0;
	char path[64];
	size_t i;

	if (!sysfs_is_there()) {
		snprintf(path, sizeof(path), "/dev/qcow%d", index);
		report(path, "attached, but it has no node here, and its number is not known; mount sysfs on /sys, detach the image and attach it again");
		return;
	}
	for (i = 0; i < nr && !err; i++) {
		node_path(path, sizeof(path), &nodes[i]);
		if (ours)
			err = make_node(path, S_IFBLK, nodes[i].dev);
		else if (!node_is_there(&nodes[i]))
			err = -ENOENT;
	}
	if (!err)
		return;
	if (i-- < nr)
		others = ", and likewise for its partitions by /sys/block/qcow*/qcow*p*/dev";
	if (err == -EEXIST)
		report(path, "is no device, so the node of the device attached cannot be made; remove it, then run mknod -m 660 %s b %u %u%s",
		       path, major(nodes[i].dev), minor(nodes[i].dev), others);
	else
		report(path, "attached, but it has no node here (%s); where that is allowed, run mknod -m 660 %s b %u %u%s",
		       strerror(-err), path, major(nodes[i].dev),
		       minor(nodes[i].dev), others);
}
