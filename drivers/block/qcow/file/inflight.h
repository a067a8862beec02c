/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_INFLIGHT_H
#define _QCOW_INFLIGHT_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "file/request.h"

/**
 * struct qcow_inflight - I/O under way on an image that is written
 * @epoch: the group that counts new I/O; the other one can run out
 * @count: I/O under way in each group
 * @drain_lock: one task at a time waits for a group
 * @drained: where a task waits for a group
 * @lock: protects @ranges
 * @ranges: guest clusters that are locked or waited for, in the order of the calls
 * @unlocked: where tasks wait for ranges
 */
struct qcow_inflight {
	u8 epoch;
	atomic_t count[2];
	/* Held while a group is waited for. */
	struct mutex drain_lock;
	wait_queue_head_t drained;
	/* Protects ranges. */
	spinlock_t lock;
	struct list_head ranges;
	wait_queue_head_t unlocked;
};

void qcow_inflight_init(struct qcow_inflight *f);

u8 qcow_inflight_begin(struct qcow_inflight *f);
void qcow_inflight_end(struct qcow_inflight *f, u8 epoch);
void qcow_inflight_drain(struct qcow_inflight *f);

void qcow_inflight_lock(struct qcow_inflight *f, struct qcow_range *r);
void qcow_inflight_unlock(struct qcow_inflight *f, struct qcow_range *r);

#endif /* _QCOW_INFLIGHT_H */
