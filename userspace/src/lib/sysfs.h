/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_SYSFS_H
#define _QCOWCTL_SYSFS_H

#include <sys/types.h>

#include "qcow/ondisk/pure.h"

/* The most nodes of a device, the disk and its partitions, that are looked at. */
#define SYSFS_MAX_NODES		(1 + 256)

/**
 * struct sysfs_node - a disk or a partition
 * @name: kernel name: qcow0, qcow0p1
 * @dev: device number
 */
struct sysfs_node {
	char name[32];
	dev_t dev;
};

char *sysfs_read(const char *fmt, ...) __printf(1, 2);
bool sysfs_read_u64(u64 *value, const char *fmt, ...) __printf(2, 3);
char *sysfs_attr(int index, const char *attr);
char *sysfs_parent(int index);
bool sysfs_temporary(int index);
bool sysfs_is_there(void);
bool sysfs_missing(void);
int sysfs_devices(int **list);
size_t sysfs_nodes(int index, struct sysfs_node *nodes);
size_t sysfs_overlapping(dev_t dev, struct sysfs_node *nodes);
bool sysfs_exists(int index);
bool sysfs_is_disk(int index, u64 diskseq);
int sysfs_index_of(dev_t dev, bool *partition);

#endif /* _QCOWCTL_SYSFS_H */
