/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_ALLOC_H
#define _QCOW_ALLOC_H

#include "meta/state.h"

int __must_check qcow_alloc_clusters(struct qcow_alloc *a, u32 want, u64 *first,
				     u32 *got, bool *fresh);
int __must_check qcow_alloc_run(struct qcow_alloc *a, enum qcow_meta kind,
				u32 nr, u64 *first);
void qcow_alloc_undo(struct qcow_alloc *a, u64 first, u32 nr);
void qcow_alloc_return_pool(struct qcow_alloc *a);
void __qcow_alloc_unreserve(struct qcow_alloc *a, u64 first, u32 nr);
void qcow_alloc_trim(struct qcow_alloc *a);

/*
 * Return: true if the image is of version 1 and the space before @host_end is free, so
 * that no entry may lead there.
 */
static inline bool qcow_alloc_is_behind(const struct qcow_alloc *a, u64 host_end)
{
	u64 taken = READ_ONCE(a->search.hint) << qcow_alloc_cluster_bits(a);

	return !qcow_alloc_has_refcounts(a) &&
	       host_end > max(taken, a->img->file.size);
}

#endif /* _QCOW_ALLOC_H */
