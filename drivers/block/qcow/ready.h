/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_READY_H
#define _QCOW_READY_H

#include "alloc.h"

void qcow_ready_setup(struct qcow_alloc *a);
void qcow_ready_stop(struct qcow_alloc *a);
bool __must_check qcow_ready_take(struct qcow_alloc *a, u64 *cluster);
void qcow_ready_fill(struct qcow_alloc *a);

/**
 * qcow_ready_wanted() - is a piece of a cluster written to one that is ready?
 * @a: of the image
 * @len: bytes that are written of the cluster
 *
 * Who writes most of a cluster does not need the rest to be zeroed before. Any
 * context.
 */
static inline bool qcow_ready_wanted(const struct qcow_alloc *a, u32 len)
{
	return a->ready.clusters && len <= 1U << (qcow_alloc_cluster_bits(a) - 1);
}

#endif /* _QCOW_READY_H */
