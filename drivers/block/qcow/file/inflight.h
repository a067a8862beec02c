/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_INFLIGHT_H
#define _QCOW_INFLIGHT_H

#include <linux/cache.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "file/request.h"

/**
 * struct qcow_inflight_counts - counts of I/O, of one CPU
 * @begun: I/O of each group that began there
 * @ended: I/O of each group that ended there, wherever it began
 *
 * They only grow, and may overflow. The I/O under way is the difference of their sums over
 * all CPUs.
 */
struct qcow_inflight_counts {
	unsigned long begun[2];
	unsigned long ended[2];
};

/**
 * struct qcow_inflight_part - locks on the guest clusters of one part
 * @lock: protects @ranges
 * @ranges: those that are locked or waited for, in the order in which they came
 * @unlocked: where tasks wait for ranges
 */
struct qcow_inflight_part {
	/* Protects ranges. */
	spinlock_t lock;
	struct list_head ranges;
	wait_queue_head_t unlocked;
} ____cacheline_aligned_in_smp;

/**
 * struct qcow_inflight - I/O under way on an image that is written
 * @counts: counts of I/O, per CPU: all I/O changes them
 * @parts: QCOW_RANGE_PARTS of them
 * @epoch: the group that counts new I/O; the other one can run out
 * @drain_lock: one task at a time waits for a group
 * @drained: where a task waits for a group
 */
struct qcow_inflight {
	struct qcow_inflight_counts __percpu *counts;
	struct qcow_inflight_part *parts;
	u8 epoch;
	/* Held while a group is waited for. */
	struct mutex drain_lock;
	wait_queue_head_t drained;
};

int __must_check qcow_inflight_init(struct qcow_inflight *f);
void qcow_inflight_exit(struct qcow_inflight *f);

u8 qcow_inflight_begin(struct qcow_inflight *f);
void qcow_inflight_end(struct qcow_inflight *f, u8 epoch);
void qcow_inflight_drain(struct qcow_inflight *f);

void qcow_inflight_lock(struct qcow_inflight *f, struct qcow_range *r);
void qcow_inflight_unlock(struct qcow_inflight *f, struct qcow_range *r);

#endif /* _QCOW_INFLIGHT_H */
