/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DEVICE_LIMITS_H
#define _QCOW_DEVICE_LIMITS_H

#include "dev/device_state.h"

struct queue_limits;

int __must_check qcow_device_set_window(struct qcow_device *dev, struct qcow_msg *msg);
void qcow_device_set_limits(const struct qcow_device *dev, struct queue_limits *lim);
bool qcow_device_stable_writes(const struct qcow_device *dev);
int __must_check qcow_device_alloc_tags(struct qcow_device *dev);
sector_t qcow_device_sectors(const struct qcow_device *dev, u64 bytes);
u32 qcow_device_tail(const struct qcow_device *dev);

#endif /* _QCOW_DEVICE_LIMITS_H */
