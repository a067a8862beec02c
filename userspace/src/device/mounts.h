/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_MOUNTS_H
#define _QCOWCTL_MOUNTS_H

#include "device/target.h"

typedef void mount_found(void *arg, const struct sysfs_node *node,
			 const char *mountpoint);

void mounts_find_own(const struct target *t, mount_found *found, void *arg);
void mounts_find(const struct target *t);
void mounts_find_kept_open(const struct target *t);

#endif /* _QCOWCTL_MOUNTS_H */
