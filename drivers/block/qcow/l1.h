/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_L1_H
#define _QCOW_L1_H

#include "alloc.h"

int __must_check qcow_l1_write(struct qcow_alloc *a, enum qcow_meta kind,
			       const u64 *table, u32 size, u64 *offset);
int __must_check qcow_l1_switch(struct qcow_alloc *a, const u64 *table,
				u32 size, u64 disk_size);

/* Clusters of the file that an L1 table takes. */
static inline u32 qcow_l1_clusters(const struct qcow_alloc *a, u32 size)
{
	u64 cluster = 1ULL << qcow_alloc_cluster_bits(a);

	return (size * sizeof(u64) + cluster - 1) >> qcow_alloc_cluster_bits(a);
}

#endif /* _QCOW_L1_H */
