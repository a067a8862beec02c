/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_ALLOC_H
#define _QCOW_ALLOC_H

#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "qcow.h"

/**
 * struct qcow_dirty_range - entries of a table in memory that are to be written
 * @lo: the first
 * @hi: behind the last; not above @lo: there are none
 */
struct qcow_dirty_range {
	u32 lo;
	u32 hi;
};

/**
 * struct qcow_alloc - the clusters of an image that is written
 * @img: the image
 * @order: log2 of the bits of a refcount
 * @block_bits: log2 of the clusters that one refcount block covers
 * @refs: slices of refcount blocks
 * @lock: protects refcounts and what follows until @releases. May be held while
 *	a refcount slice is read; taken before refs->lock
 * @table: the refcount table in the CPU's byte order
 * @table_size: entries in @table
 * @table_offset: bytes into the file
 * @table_dirty: entries of @table to be written
 * @hint: no cluster below is free, but for those given back
 * @fresh: from this cluster on, none was ever handed out, and the file ends
 *	before: they read as zeros
 * @pool_next: the next cluster of those reserved
 * @pool_end: behind the last of them
 * @releases: struct alloc_release, references that are gone in memory
 * @l1_lock: one L2 table is made at a time
 * @l1_offset: bytes into the file of the active L1 table
 * @l1_dirty: entries of img->l1 to be written; under @lock
 * @meta: clusters that hold metadata, by number
 * @ranges_lock: protects @ranges
 * @ranges: clusters of the disk that are being given a place
 * @ranges_wait: waited for by those who want the same ones
 * @epoch: counts I/O under way in two groups, so that one can run out
 * @inflight: of each group
 * @drained: waited for by who waits for a group
 * @commit_lock: one commit at a time
 * @unsynced: data was written since the last sync
 * @failed: metadata could not be written: sticky
 * @work: commits in the background
 */
struct qcow_alloc {
	struct qcow_image *img;
	u32 order;
	u32 block_bits;
	struct qcow_cache *refs;

	struct mutex lock;
	u64 *table;
	u32 table_size;
	u64 table_offset;
	struct qcow_dirty_range table_dirty;
	u64 hint;
	u64 fresh;
	u64 pool_next;
	u64 pool_end;
	struct list_head releases;

	/* Held while an L2 table is made; taken before lock. */
	struct mutex l1_lock;
	u64 l1_offset;
	struct qcow_dirty_range l1_dirty;
	struct xarray meta;

	spinlock_t ranges_lock;
	struct list_head ranges;
	wait_queue_head_t ranges_wait;

	u8 epoch;
	atomic_t inflight[2];
	wait_queue_head_t drained;

	struct mutex commit_lock;
	bool unsynced;
	int failed;
	struct delayed_work work;
};

/**
 * struct qcow_range - clusters of the disk that one write gives a place
 * @list: in qcow_alloc.ranges
 * @first: number of the first
 * @last: number of the last
 */
struct qcow_range {
	struct list_head list;
	u64 first;
	u64 last;
};

static inline void qcow_dirty_range_add(struct qcow_dirty_range *r, u32 i)
{
	if (r->lo >= r->hi) {
		r->lo = i;
		r->hi = i + 1;
	} else {
		r->lo = min(r->lo, i);
		r->hi = max(r->hi, i + 1);
	}
}

struct qcow_alloc *qcow_alloc_create(struct qcow_image *img,
				     const struct qcow_header *h,
				     u64 cache_bytes);
void qcow_alloc_destroy(struct qcow_alloc *a);

int __must_check qcow_alloc_clusters(struct qcow_alloc *a, u32 want, u64 *first,
				     u32 *got, bool *fresh);
void qcow_alloc_release(struct qcow_alloc *a, u64 first, u32 nr);
void qcow_alloc_return_pool(struct qcow_alloc *a);

void qcow_alloc_lock_range(struct qcow_alloc *a, struct qcow_range *r);
void qcow_alloc_unlock_range(struct qcow_alloc *a, struct qcow_range *r);

void qcow_alloc_io_begin(struct qcow_alloc *a, struct qcow_io *io);
void qcow_alloc_io_end(struct qcow_alloc *a, struct qcow_io *io);

int __must_check qcow_alloc_get_refcount(struct qcow_alloc *a, u64 cluster,
					 u64 *value);
void qcow_alloc_take_releases(struct qcow_alloc *a, struct list_head *list);
void qcow_alloc_do_releases(struct qcow_alloc *a, struct list_head *list,
			    bool durable);

/* Whether a cluster of the file holds metadata, which guest data must not hit. */
static inline bool qcow_alloc_is_meta(struct qcow_alloc *a, u64 cluster)
{
	return xa_load(&a->meta, cluster);
}

int __must_check qcow_alloc_add_meta(struct qcow_alloc *a, u64 offset,
				     u64 bytes);

#endif /* _QCOW_ALLOC_H */
