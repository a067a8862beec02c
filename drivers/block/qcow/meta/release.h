/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_RELEASE_H
#define _QCOW_RELEASE_H

#include "meta/state.h"

void qcow_release_init(struct qcow_alloc *a);
void __qcow_release(struct qcow_alloc *a, u64 first, u32 nr);
void qcow_release(struct qcow_alloc *a, u64 first, u32 nr);
void qcow_release_now(struct qcow_alloc *a, u64 first, u32 nr);
void qcow_release_take(struct qcow_alloc *a);
void qcow_release_finish(struct qcow_alloc *a, bool durable);
bool qcow_release_step(struct qcow_alloc *a);
u64 qcow_release_goal(struct qcow_alloc *a);
u64 qcow_release_left(struct qcow_alloc *a);
void qcow_release_forget(struct qcow_alloc *a);

/*
 * Return: true if there are clusters to reclaim, without those that wait for a flush.
 * Any context.
 */
static inline bool qcow_release_pending(const struct qcow_alloc *a)
{
	const struct qcow_reclaim *r = &a->reclaim;

	return !list_empty(&r->batches) ||
	       READ_ONCE(r->begun) != READ_ONCE(r->ended);
}

/* True if a write that failed may succeed later, as more space comes. Any context. */
static inline bool qcow_release_helps(const struct qcow_alloc *a, int err)
{
	return err == -ENOSPC && a && qcow_release_pending(a);
}

#endif /* _QCOW_RELEASE_H */
