/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_REFCOUNT_H
#define _QCOW_REFCOUNT_H

#include "alloc.h"

int __must_check __qcow_refcount_get(struct qcow_alloc *a, u64 cluster,
				     u64 *value);
int __must_check __qcow_refcount_set(struct qcow_alloc *a, u64 cluster,
				     u64 value);
int __must_check qcow_refcount_raise(struct qcow_alloc *a, u64 first, u32 nr);
int __must_check __qcow_refcount_cover(struct qcow_alloc *a, u64 cluster,
				       bool *covered);
int __must_check __qcow_refcount_find(struct qcow_alloc *a, u64 *cluster,
				      u32 want, u32 *got);
int __must_check __qcow_refcount_find_used(struct qcow_alloc *a, u64 *end,
					   bool *found);
int __must_check qcow_refcount_grow(struct qcow_alloc *a, u64 cluster);
int __must_check qcow_refcount_get(struct qcow_alloc *a, u64 cluster,
				   u64 *value);
int __must_check qcow_refcount_load(struct qcow_alloc *a,
				    const struct qcow_header *h);
int __must_check qcow_refcount_check_meta(struct qcow_alloc *a);

#endif /* _QCOW_REFCOUNT_H */
