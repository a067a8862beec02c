// SPDX-License-Identifier: GPL-2.0
/*
 * Where a device and its partitions are mounted: in the mount namespace of the caller, in
 * those of other processes, and in those that no process is in, as they are kept by a bind
 * mount or an open file.
 * in_use.c calls this.
 */
#define _GNU_SOURCE
#include <libmount.h>
#include <stdlib.h>

#include "device/mounts.h"
#include "device/namespaces.h"
#include "lib/report.h"
#include "lib/text.h"

static const char own_mounts[] = "/proc/self/mountinfo";

/* A path in /dev, which is looked up without asking a server. */
static const struct sysfs_node *node_by_dev_path(const struct target *t, const char *path)
{
	return path && !strncmp(path, "/dev/", 5) ? target_node_by_path(t, path) : NULL;
}

/* XFS may have its log and its realtime data on other devices. */
static const struct sysfs_node *node_by_option(const struct target *t,
					       struct libmnt_fs *fs, const char *option)
{
	const char *options = mnt_fs_get_fs_options(fs);
	const struct sysfs_node *node;
	char *value, *path;
	size_t len;

	if (!options || mnt_optstr_get_option(options, option, &value, &len) || !value)
		return NULL;
	path = xstrndup(value, len);
	node = node_by_dev_path(t, path);
	free(path);
	return node;
}

/* By number, or by source: filesystems such as btrfs have numbers of their own. */
static const struct sysfs_node *node_by_mount(const struct target *t,
					      struct libmnt_fs *fs)
{
	const struct sysfs_node *node = target_node_by_dev(t, mnt_fs_get_devno(fs));

	if (!node)
		node = node_by_dev_path(t, mnt_fs_get_srcpath(fs));
	if (!node)
		node = node_by_option(t, fs, "logdev");
	return node ? node : node_by_option(t, fs, "rtdev");
}

static void for_each_mount(const struct target *t, const char *mountinfo,
			   mount_found *found, void *arg)
{
	struct libmnt_table *table = mnt_new_table_from_file(mountinfo);
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	const struct sysfs_node *node;
	struct libmnt_fs *fs;

	while (table && iter && !mnt_table_next_fs(table, iter, &fs)) {
		node = node_by_mount(t, fs);
		if (node)
			found(arg, node, mnt_fs_get_target(fs));
	}
	mnt_free_iter(iter);
	mnt_unref_table(table);
}

/**
 * mounts_find_own() - where a device is mounted for this process
 * @t: the device
 * @found: called for each mount
 * @arg: for @found
 */
void mounts_find_own(const struct target *t, mount_found *found, void *arg)
{
	for_each_mount(t, own_mounts, found, arg);
}

static void add_mount(void *arg, const struct sysfs_node *node,
		      const char *mountpoint)
{
	char *shown = text_escape(mountpoint);

	target_add(arg, true, xasprintf("/dev/%s mounted on %s", node->name, shown));
	free(shown);
}

/* A mount in another namespace. */
struct foreign_mount {
	const struct target *t;
	const struct namespace *ns;
};

static void add_foreign_mount(void *arg, const struct sysfs_node *node,
			      const char *mountpoint)
{
	const struct foreign_mount *m = arg;
	char *shown = text_escape(mountpoint), *path;

	if (!m->ns->path) {
		target_add(m->t, true,
			   xasprintf("/dev/%s mounted on %s for %s (pid %d)", node->name,
				     shown, m->ns->comm, (int)m->ns->pid));
	} else {
		path = text_escape(m->ns->path);
		target_add(m->t, true,
			   xasprintf("/dev/%s mounted on %s in the mount namespace of %s",
				     node->name, shown, path));
		free(path);
	}
	free(shown);
}

static void look_at_namespace(void *arg, const struct namespace *ns)
{
	struct foreign_mount m = { .t = arg, .ns = ns };
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)ns->pid);
	for_each_mount(m.t, path, add_foreign_mount, &m);
}

/**
 * mounts_find() - find where a device is mounted
 * @t: the device, which gets the mounts as users
 *
 * Other namespaces mostly show the mounts of ours: they are asked only if ours shows none.
 */
void mounts_find(const struct target *t)
{
	for_each_mount(t, own_mounts, add_mount, (void *)t);
	if (!t->users->nr)
		namespaces_find(false, look_at_namespace, (void *)t);
}

/**
 * mounts_find_kept_open() - find where a device is mounted though mounts_find() did not
 * @t: the device, which gets the mounts as users
 */
void mounts_find_kept_open(const struct target *t)
{
	namespaces_find(true, look_at_namespace, (void *)t);
}
