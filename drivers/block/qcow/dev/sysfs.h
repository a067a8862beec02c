/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_SYSFS_H
#define _QCOW_SYSFS_H

struct attribute_group;

/* For device_add_disk(): /sys/block/qcowN/qcow/. */
extern const struct attribute_group *qcow_sysfs_groups[];

#endif /* _QCOW_SYSFS_H */
