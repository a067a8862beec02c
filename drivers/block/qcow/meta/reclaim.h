/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_RECLAIM_H
#define _QCOW_RECLAIM_H

#include "meta/state.h"

/*
 * Return: number of rounds that have ended; there may be more space after each. Any
 * context.
 */
static inline u64 qcow_reclaim_ended(const struct qcow_alloc *a)
{
	return READ_ONCE(a->reclaim.ended);
}

void qcow_reclaim_setup(struct qcow_alloc *a);
void qcow_reclaim_soon(struct qcow_alloc *a);
void qcow_reclaim_hurry(struct qcow_alloc *a);
void qcow_reclaim_finish(struct qcow_alloc *a);
int __must_check qcow_reclaim_wait(struct qcow_alloc *a);
int __must_check qcow_reclaim_settle(struct qcow_alloc *a);
int __must_check qcow_reclaim_any(struct qcow_alloc *a);
void qcow_reclaim_stop(struct qcow_alloc *a);
void qcow_reclaim_set_above(struct qcow_alloc *a, struct qcow_inflight *above);

#endif /* _QCOW_RECLAIM_H */
