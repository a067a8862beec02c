/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_STRAY_H
#define _QCOW_STRAY_H

#include "alloc.h"

struct qcow_slice;

int __must_check qcow_stray_vet(struct qcow_alloc *a, struct qcow_slice *slice,
				u64 guest);
u32 __qcow_stray_skip(struct qcow_alloc *a, u64 *cluster, u32 nr);

/* Context: under a->lock. */
static inline bool __qcow_stray_is(struct qcow_alloc *a, u64 cluster)
{
	return unlikely(a->nr_strays) && xa_load(&a->strays, cluster);
}

#endif /* _QCOW_STRAY_H */
