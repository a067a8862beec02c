/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_ALLOC_H
#define _QCOW_ALLOC_H

#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/siphash.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "inflight.h"
#include "notes.h"
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
 * struct qcow_share - L2 tables that are about to have a second reference
 * @table: called before the table of an L1 entry is taken for the disk's own,
 *	or copied. Under qcow_alloc.l1_lock
 */
struct qcow_share {
	void (*table)(struct qcow_share *share, u32 l1_index);
};

/**
 * struct qcow_run - clusters in a row that are taken and not handed out
 * @next: the next one
 * @end: behind the last
 */
struct qcow_run {
	u64 next;
	u64 end;
};

/**
 * struct qcow_reclaim - clusters whose references are durably gone: release.c
 * @batches: of commits, the oldest first; I/O may still go by those references
 * @now: notes of the round under way
 * @until: the last batch of the round that is about to begin; or NULL
 * @begun: rounds that were begun; read without a lock, too
 * @ended: rounds that have ended; as @begun
 * @lock: one task at a time goes on with a round; I/O is waited for under it
 * @above: I/O under way on an image that has this one as its backing file, and so
 *	may read from its clusters; or NULL
 * @hurry: a task waits for space
 * @stopped: nothing is done in the background any more
 * @work: goes on with rounds in the background
 */
struct qcow_reclaim {
	/* Protected by qcow_alloc.lock; changed under lock only, but for batches. */
	struct list_head batches;
	struct qcow_notes now;
	struct list_head *until;
	u64 begun;
	u64 ended;
	/* Held while a round goes on. */
	struct mutex lock;
	struct qcow_inflight *above;
	bool hurry;
	bool stopped;
	struct delayed_work work;
};

/**
 * struct qcow_alloc - the clusters of an image that is written
 * @img: the image
 * @order: log2 of the bits of a refcount
 * @block_bits: log2 of the clusters that one refcount block covers
 * @refs: slices of refcount blocks
 * @lock: protects refcounts, what follows until @l1_dirty, and changes of
 *	img->l1. May be held while a refcount slice is read, the file made longer,
 *	or a larger refcount table written; taken before refs->lock
 * @table: the refcount table in the CPU's byte order
 * @table_size: entries in @table
 * @table_offset: bytes into the file
 * @table_dirty: entries of @table to be written
 * @hint: no cluster below is free that a refcount block covers; without
 *	refcounts: all from here on are free. Read without @lock, too
 * @fresh: from this cluster on, none was ever handed out, and the file ended
 *	before: they read as zeros
 * @pool: clusters that are reserved
 * @pool_zeroed: those read as zeros
 * @no_renew: space cannot be taken ahead, or is not worth it
 * @file_end: bytes of a regular file as far as it was grown; else U64_MAX
 * @limit: clusters that a block device held when some were last taken; else that
 *	entries can lead to
 * @releases: references that are gone in memory: release.c
 * @committing: those that a commit makes durable
 * @notes: how many notes there are, and may be: what is more is leaked
 * @l1_dirty: entries of img->l1 to be written
 * @l1_lock: one L2 table is made at a time; taken before @store_lock and @lock
 * @share: a snapshot is being made, and wants to know which L2 tables are about
 *	to be copied; or NULL. Under @l1_lock
 * @l1_offset: bytes into the file of the active L1 table
 * @snapshots: snapshots that it has
 * @snapshots_offset: bytes into the file of their table
 * @snapshots_bytes: of that table
 * @snapshots_l1_bytes: of their L1 tables
 * @snapshots_sum: of that table as it is known, by qcow_snapshot_sum()
 * @snapshots_key: for the sum; nobody else knows it
 * @meta: what clusters of metadata hold (enum qcow_meta), by number; in version 1
 *	sectors, as that is what tables are aligned to
 * @meta_nodes: memory that @meta takes, in nodes, about
 * @meta_last: the number that was noted last
 * @meta_max: nodes that it may take
 * @strays: clusters that are in use and free by their refcounts: stray.c. Under @lock
 * @nr_strays: how many; read without @lock, too
 * @inflight: I/O under way
 * @reclaim: references that are durably gone
 * @around: memory for what surrounds a write in its clusters
 * @spare: a piece of that memory beyond the reserve of @around, or NULL
 * @no_punch: the file cannot be given back space
 * @commit_lock: one commit at a time; I/O never takes it
 * @store_lock: who writes metadata, from taking copies on; taken before @lock;
 *	I/O may wait for it
 * @begun: commits that were begun; changed under @commit_lock
 * @result: of the last one
 * @stored: waited for by those who make much metadata
 * @unsynced: data was written since the last sync
 * @failed: a sync failed, or a larger refcount table may or may not have been
 *	published: nothing is committed any more
 * @wq: where commits are done in the background
 * @work: does them
 * @corrupt_work: marks the image corrupt
 */
struct qcow_alloc {
	struct qcow_image *img;
	u32 order;
	u32 block_bits;
	struct qcow_cache *refs;

	/* Protects refcounts and what follows until l1_dirty. */
	struct mutex lock;
	u64 *table;
	u32 table_size;
	u64 table_offset;
	struct qcow_dirty_range table_dirty;
	u64 hint;
	u64 fresh;
	struct qcow_run pool;
	bool pool_zeroed;
	bool no_renew;
	u64 file_end;
	u64 limit;
	struct qcow_notes releases;
	struct list_head committing;
	struct qcow_notes_count notes;
	struct qcow_dirty_range l1_dirty;

	/* Held while an L2 table is made; taken before lock. */
	struct mutex l1_lock;
	struct qcow_share *share;
	u64 l1_offset;
	u32 snapshots;
	u64 snapshots_offset;
	u64 snapshots_bytes;
	u64 snapshots_l1_bytes;
	u64 snapshots_sum;
	siphash_key_t snapshots_key;
	struct xarray meta;
	u64 meta_nodes;
	u64 meta_last;
	u64 meta_max;
	struct xarray strays;
	u32 nr_strays;
	struct qcow_inflight inflight;
	struct qcow_reclaim reclaim;
	mempool_t *around;
	void *spare;
	bool no_punch;

	/* One commit at a time. */
	struct mutex commit_lock;
	/* Held while metadata is written. */
	struct mutex store_lock;
	atomic64_t begun;
	int result;
	wait_queue_head_t stored;
	bool unsynced;
	int failed;
	struct workqueue_struct *wq;
	struct delayed_work work;
	struct work_struct corrupt_work;
};

/* What a cluster of metadata holds; none holds two kinds. */
enum qcow_meta {
	QCOW_META_HEADER = 1,
	QCOW_META_L1,
	QCOW_META_L2,
	QCOW_META_REFTABLE,
	QCOW_META_REFBLOCK,
	QCOW_META_SNAPSHOTS,
	QCOW_META_INACTIVE_L1,
	QCOW_META_BITMAP,
	QCOW_META_LUKS,
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

static inline u32 qcow_alloc_cluster_bits(const struct qcow_alloc *a)
{
	return a->img->layout.cluster_bits;
}

struct qcow_alloc *qcow_alloc_create(struct qcow_image *img,
				     const struct qcow_header *h,
				     const struct qcow_params *params);
void qcow_alloc_destroy(struct qcow_alloc *a);

int __must_check qcow_alloc_refused(const struct qcow_alloc *a);
int __must_check qcow_alloc_clusters(struct qcow_alloc *a, u32 want, u64 *first,
				     u32 *got, bool *fresh);
int __must_check qcow_alloc_run(struct qcow_alloc *a, enum qcow_meta kind,
				u32 nr, u64 *first);
void qcow_alloc_return_pool(struct qcow_alloc *a);
void __qcow_alloc_unreserve(struct qcow_alloc *a, u64 cluster);
int __must_check qcow_alloc_secure(struct qcow_alloc *a, u64 first, u32 nr);
void qcow_alloc_trim(struct qcow_alloc *a);

/*
 * Whether a cluster of the file, or a sector in version 1, holds metadata, which
 * guest data must not hit.
 */
static inline bool qcow_alloc_is_meta(struct qcow_alloc *a, u64 unit)
{
	return xa_load(&a->meta, unit);
}

/* Version 1: whether what lies up to @end is free, so that no entry may lead there. */
static inline bool qcow_alloc_is_behind(const struct qcow_alloc *a, u64 end)
{
	u64 taken = READ_ONCE(a->hint) << qcow_alloc_cluster_bits(a);

	return !qcow_layout_has_refcounts(&a->img->layout) &&
	       end > max(taken, a->img->file.size);
}

int __must_check qcow_alloc_add_meta(struct qcow_alloc *a, enum qcow_meta kind,
				     u64 offset, u64 bytes);

int __must_check qcow_alloc_new_meta(struct qcow_alloc *a, enum qcow_meta kind,
				     u64 offset, u64 bytes);
void qcow_alloc_forget_meta(struct qcow_alloc *a, u64 offset, u64 bytes);
bool qcow_alloc_holds(struct qcow_alloc *a, enum qcow_meta kind, u64 offset,
		      u64 bytes);
void qcow_alloc_init_meta(struct qcow_alloc *a);
bool qcow_alloc_meta_fits(const struct qcow_alloc *a);
void qcow_alloc_recount_meta(struct qcow_alloc *a);

int __must_check qcow_alloc_claim_meta(struct qcow_alloc *a,
				       enum qcow_meta kind, u64 offset,
				       u64 bytes);

#endif /* _QCOW_ALLOC_H */
