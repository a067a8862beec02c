/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_RELEASE_H
#define _QCOW_RELEASE_H

#include "alloc.h"

void qcow_release_init(struct qcow_alloc *a);
void __qcow_release(struct qcow_alloc *a, u64 first, u32 nr);
void qcow_release(struct qcow_alloc *a, u64 first, u32 nr);
void qcow_release_now(struct qcow_alloc *a, u64 first, u32 nr);
void qcow_release_take(struct qcow_alloc *a, struct list_head *list);
void qcow_release_finish(struct qcow_alloc *a, struct list_head *list,
			 bool durable);
void qcow_release_forget(struct qcow_alloc *a);

/* Whether so many notes wait for a commit that one is due; or that it is late. */
static inline bool qcow_release_crowded(const struct qcow_alloc *a)
{
	return READ_ONCE(a->nr_releases) > a->max_releases / 4;
}

static inline bool qcow_release_full(const struct qcow_alloc *a)
{
	return READ_ONCE(a->nr_releases) > a->max_releases / 2;
}

#endif /* _QCOW_RELEASE_H */
