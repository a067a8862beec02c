/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_RELEASE_H
#define _QCOW_RELEASE_H

#include "alloc.h"

void __qcow_release(struct qcow_alloc *a, u64 first, u32 nr);
void qcow_release(struct qcow_alloc *a, u64 first, u32 nr);
void qcow_release_now(struct qcow_alloc *a, u64 first, u32 nr);
void qcow_release_take(struct qcow_alloc *a, struct list_head *list);
void qcow_release_finish(struct qcow_alloc *a, struct list_head *list,
			 bool durable);
void qcow_release_forget(struct qcow_alloc *a);

#endif /* _QCOW_RELEASE_H */
