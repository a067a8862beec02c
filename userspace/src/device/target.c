// SPDX-License-Identifier: GPL-2.0
/*
 * A device whose users are looked for, with the filesystems that span it and others.
 * in_use.c sets it up; it, mounts.c, stacked.c and unmounted.c compare what they find with it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "device/target.h"
#include "lib/report.h"

/**
 * target_add() - add a user
 * @t: the target
 * @lasting: it does not go away by itself
 * @line: of text, which is taken over
 */
void target_add(const struct target *t, bool lasting, char *line)
{
	struct in_use *u = t->users;

	u->lines = xrealloc(u->lines, (u->nr + 1) * sizeof(*u->lines));
	u->lines[u->nr++] = line;
	u->lasting |= lasting;
}

/**
 * target_node_by_dev() - the node that a device number leads to
 * @t: the target
 * @dev: the number of a node, or of another device of its filesystem
 *
 * Return: the node, or NULL.
 */
const struct sysfs_node *target_node_by_dev(const struct target *t, dev_t dev)
{
	size_t i;

	for (i = 0; i < t->nr; i++)
		if (t->nodes[i].dev == dev)
			return &t->nodes[i];
	for (i = 0; i < t->nr_members; i++)
		if (t->members[i].dev == dev)
			return t->members[i].node;
	return NULL;
}

/**
 * target_node_by_path() - the node that a block device's path leads to
 * @t: the target
 * @path: the path, or NULL
 *
 * Return: as target_node_by_dev().
 */
const struct sysfs_node *target_node_by_path(const struct target *t, const char *path)
{
	struct stat st;

	if (!path || path[0] != '/' || stat(path, &st) || !S_ISBLK(st.st_mode))
		return NULL;
	return target_node_by_dev(t, st.st_rdev);
}

static const struct sysfs_node *node_by_name(const struct target *t, const char *name)
{
	size_t i;

	for (i = 0; i < t->nr; i++)
		if (!strcmp(t->nodes[i].name, name))
			return &t->nodes[i];
	return NULL;
}

static void add_btrfs(struct target *t, const char *uuid, const struct sysfs_node *node)
{
	t->btrfs = xrealloc(t->btrfs, (t->nr_btrfs + 1) * sizeof(*t->btrfs));
	snprintf(t->btrfs[t->nr_btrfs].uuid, sizeof(t->btrfs->uuid), "%s", uuid);
	t->btrfs[t->nr_btrfs++].node = node;
}

static void add_member(struct target *t, const char *name, const struct sysfs_node *node)
{
	char *text = sysfs_read("/sys/class/block/%s/dev", name);
	unsigned int major, minor;

	if (text && sscanf(text, "%u:%u", &major, &minor) == 2) {
		t->members = xrealloc(t->members, (t->nr_members + 1) * sizeof(*t->members));
		t->members[t->nr_members++] = (struct target_member) {
			.dev = makedev(major, minor), .node = node,
		};
	}
	free(text);
}

/* A btrfs, which the kernel shows only while it is mounted. */
static void look_at_btrfs(struct target *t, const char *uuid)
{
	char *path = xasprintf("/sys/fs/btrfs/%s/devices", uuid);
	DIR *dir = opendir(path);
	const struct sysfs_node *node = NULL;
	struct dirent *d;

	free(path);
	if (!dir)
		return;
	while (!node && (d = readdir(dir)))
		node = node_by_name(t, d->d_name);
	if (node)
		add_btrfs(t, uuid, node);
	rewinddir(dir);
	while (node && (d = readdir(dir)))
		if (d->d_name[0] != '.' && !node_by_name(t, d->d_name))
			add_member(t, d->d_name, node);
	closedir(dir);
}

/**
 * target_find_members() - find the filesystems that have a target and other devices
 * @t: the target, its nodes known; to target_free()
 */
void target_find_members(struct target *t)
{
	DIR *dir = opendir("/sys/fs/btrfs");
	struct dirent *d;

	if (!dir)
		return;
	while ((d = readdir(dir)))
		if (strlen(d->d_name) == sizeof(t->btrfs->uuid) - 1)
			look_at_btrfs(t, d->d_name);
	closedir(dir);
}

/**
 * target_free() - free a target
 * @t: the target; its users stay
 */
void target_free(struct target *t)
{
	free(t->members);
	free(t->btrfs);
	free(t);
}
