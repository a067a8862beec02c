/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_TARGET_H
#define _QCOWCTL_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/sysfs.h"

/**
 * struct in_use - the users of a device
 * @lines: a line of text for each user
 * @nr: how many
 * @lasting: some of them will not go away by themselves, as udev's probing does
 */
struct in_use {
	char **lines;
	size_t nr;
	bool lasting;
};

/**
 * struct target_member - another device of a filesystem that has a node of the target
 * @dev: its number
 * @node: the node
 */
struct target_member {
	dev_t dev;
	const struct sysfs_node *node;
};

/**
 * struct target_btrfs - a mounted btrfs that has a node of the target
 * @uuid: of the filesystem
 * @node: the node
 */
struct target_btrfs {
	char uuid[37];
	const struct sysfs_node *node;
};

/**
 * struct target - the device whose users are looked for
 * @nodes: the disk and its partitions
 * @nr: how many
 * @members: the other devices of filesystems that have several
 * @nr_members: how many
 * @btrfs: filesystems
 * @nr_btrfs: how many
 * @users: the result
 */
struct target {
	struct sysfs_node nodes[SYSFS_MAX_NODES];
	size_t nr;
	struct target_member *members;
	size_t nr_members;
	struct target_btrfs *btrfs;
	size_t nr_btrfs;
	struct in_use *users;
};

void target_find_members(struct target *t);
void target_free(struct target *t);
void target_add(const struct target *t, bool lasting, char *line);
const struct sysfs_node *target_node_by_dev(const struct target *t, dev_t dev);
const struct sysfs_node *target_node_by_path(const struct target *t, const char *path);

#endif /* _QCOWCTL_TARGET_H */
