/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DEVICE_STATUS_H
#define _QCOW_DEVICE_STATUS_H

#include <linux/blkdev.h>

#include "dev/device_state.h"

struct qcow_ioc_status;

bool qcow_device_damaged(struct qcow_device *dev);
u64 qcow_device_count(const struct qcow_device *dev, size_t field);
u64 qcow_device_fast(const struct qcow_device *dev);
u64 qcow_device_memory(struct qcow_device *dev);
void qcow_device_fill_status(struct qcow_device *dev, const struct file *by,
			     struct qcow_ioc_status *st);

/* Return: the device of a disk that sysfs shows. */
static inline struct qcow_device *to_qcow(struct device *dev)
{
	return dev_to_disk(dev)->private_data;
}

#endif /* _QCOW_DEVICE_STATUS_H */
