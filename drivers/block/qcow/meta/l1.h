/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_L1_H
#define _QCOW_L1_H

#include "meta/state.h"

struct qcow_pause;

/**
 * struct qcow_l1_new - a new L1 table, before it becomes the active one
 * @table: its entries in the CPU's byte order
 * @size: entries in @table
 * @host_offset: host offset of the table on disk
 */
struct qcow_l1_new {
	u64 *table;
	u32 size;
	u64 host_offset;
};

int __must_check qcow_l1_write(struct qcow_alloc *a, enum qcow_meta kind,
			       const u64 *table, u32 size, u64 *host_offset);
int __must_check qcow_l1_prepare(struct qcow_alloc *a, const u64 *table,
				 u32 size, struct qcow_l1_new *n);
int __must_check qcow_l1_publish(struct qcow_alloc *a, struct qcow_l1_new *n,
				 u64 disk_size);
void qcow_l1_abandon(struct qcow_alloc *a, struct qcow_l1_new *n);
int __must_check qcow_l1_grow(struct qcow_alloc *a, u32 size,
			      struct qcow_pause *pause);
int __must_check qcow_l1_switch(struct qcow_alloc *a, const u64 *table,
				u32 size, u64 disk_size);

/* Host clusters of an L1 table. */
static inline u32 qcow_l1_clusters(const struct qcow_alloc *a, u32 size)
{
	u64 cluster = 1ULL << qcow_alloc_cluster_bits(a);

	return (size * sizeof(u64) + cluster - 1) >> qcow_alloc_cluster_bits(a);
}

#endif /* _QCOW_L1_H */
