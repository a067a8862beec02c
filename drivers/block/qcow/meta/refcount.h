/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_REFCOUNT_H
#define _QCOW_REFCOUNT_H

#include "file/cache.h"
#include "meta/state.h"

/* log2 of the clusters that one refcount block covers. Any context. */
static inline u32 qcow_refcount_block_bits(const struct qcow_alloc *a)
{
	return a->counts.block_bits;
}

/* Return: the first cluster behind the last one that the block of @cluster covers. */
static inline u64 qcow_refcount_next_block(const struct qcow_alloc *a, u64 cluster)
{
	return ((cluster >> a->counts.block_bits) + 1) << a->counts.block_bits;
}

/* Bits of a refcount. Any context. */
static inline u32 qcow_refcount_bits(const struct qcow_alloc *a)
{
	return 1U << a->counts.order;
}

/* Return: true if refcounts are dirty. Any context. */
static inline bool qcow_refcount_dirty(const struct qcow_alloc *a)
{
	return READ_ONCE(a->counts.cache->nr_dirty);
}

/* Return: bytes of memory that refcounts and their table take. Any context. */
static inline u64 qcow_refcount_memory(const struct qcow_alloc *a)
{
	u64 table = (u64)READ_ONCE(a->counts.table_room) * sizeof(u64);

	return a->counts.cache ? qcow_cache_used(a->counts.cache) + table : table;
}

/* The cache of refcount blocks; it stays as long as the image. */
static inline struct qcow_cache *qcow_refcount_cache(const struct qcow_alloc *a)
{
	return a->counts.cache;
}

int __must_check __qcow_refcount_get(struct qcow_alloc *a, u64 cluster,
				     u64 *value);
int __must_check __qcow_refcount_run(struct qcow_alloc *a, u64 first, u32 nr,
				     u64 *value);
int __must_check __qcow_refcount_set(struct qcow_alloc *a, u64 cluster,
				     u64 value);
int __must_check __qcow_refcount_lower(struct qcow_alloc *a, u64 first, u32 nr,
				       u32 times);
int __must_check qcow_refcount_raise(struct qcow_alloc *a, u64 first, u32 nr);
int __must_check __qcow_refcount_cover(struct qcow_alloc *a, u64 cluster,
				       bool *covered);
int __must_check __qcow_refcount_find(struct qcow_alloc *a, u64 *cluster,
				      u32 want, u32 *got);
int __must_check __qcow_refcount_find_used(struct qcow_alloc *a, u64 *end,
					   bool *found);
int __must_check __qcow_refcount_zero_block(struct qcow_alloc *a, u64 host_offset);
void __qcow_refcount_drop_block(struct qcow_alloc *a, u64 host_offset);
int __must_check qcow_refcount_get(struct qcow_alloc *a, u64 cluster,
				   u64 *value);
int __must_check qcow_refcount_load(struct qcow_alloc *a,
				    const struct qcow_header *h);
int __must_check qcow_refcount_check_meta(struct qcow_alloc *a);

#endif /* _QCOW_REFCOUNT_H */
