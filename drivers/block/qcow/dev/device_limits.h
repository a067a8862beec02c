/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DEVICE_LIMITS_H
#define _QCOW_DEVICE_LIMITS_H

#include "dev/device_state.h"

struct blk_mq_tag_set;
struct queue_limits;

int __must_check qcow_device_set_window(struct qcow_device *dev, struct qcow_msg *msg);
void qcow_device_set_limits(const struct qcow_device *dev, struct queue_limits *lim);
bool qcow_device_stable_writes(const struct qcow_device *dev);
void qcow_device_limit_tags(struct blk_mq_tag_set *set, u32 nr, u32 cpus);
int __must_check qcow_device_alloc_tags(struct qcow_device *dev, u32 nr);
sector_t qcow_device_sectors(const struct qcow_device *dev, u64 bytes);
u32 qcow_device_tail(const struct qcow_device *dev);

#endif /* _QCOW_DEVICE_LIMITS_H */
