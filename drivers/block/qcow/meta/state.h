/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state of an image that is written, in parts.
 *
 * The files that own a part are named with it. They and life.c, which sets all up, use
 * its members; others call functions of these files. "make check" looks for others.
 */
#ifndef _QCOW_STATE_H
#define _QCOW_STATE_H

#include <linux/mutex.h>
#include <linux/siphash.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "file/inflight.h"
#include "meta/around.h"
#include "meta/notes.h"
#include "meta/qcow.h"
#include "meta/register.h"

/**
 * struct qcow_dirty_range - entries of a table in memory that are to be written
 * @lo: the first
 * @hi: behind the last; not above @lo: there are none
 */
struct qcow_dirty_range {
	u32 lo;
	u32 hi;
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
 * struct qcow_counts - refcounts: refcount, growth, writeback, commit
 * @order: log2 of the bits of a refcount
 * @block_bits: log2 of the clusters that one refcount block covers
 * @cache: slices of refcount blocks
 * @table: the refcount table in the CPU's byte order
 * @table_size: entries in @table
 * @table_offset: bytes into the file
 * @table_dirty: entries of @table to be written
 *
 * Protected by qcow_alloc.lock.
 */
struct qcow_counts {
	u32 order;
	u32 block_bits;
	struct qcow_cache *cache;
	u64 *table;
	u32 table_size;
	u64 table_offset;
	struct qcow_dirty_range table_dirty;
};

/**
 * struct qcow_search - free-space search: search, alloc, growth
 * @hint: no cluster below is free that a refcount block covers; without
 *	refcounts: all from here on are free. Read without the lock, too
 * @fresh: from this cluster on, none was ever handed out, and the file ended
 *	before: they read as zeros
 * @limit: clusters that a block device held when some were last taken; else that
 *	entries can lead to
 *
 * Protected by qcow_alloc.lock.
 */
struct qcow_search {
	u64 hint;
	u64 fresh;
	u64 limit;
};

/**
 * struct qcow_reserve - clusters that were taken ahead: alloc
 * @run: which
 * @zeroed: they read as zeros
 * @no_renew: space cannot be taken ahead, or is not worth it
 * @file_end: bytes of a regular file as far as it was grown; else U64_MAX
 *
 * Protected by qcow_alloc.lock.
 */
struct qcow_reserve {
	struct qcow_run run;
	bool zeroed;
	bool no_renew;
	u64 file_end;
};

/**
 * struct qcow_strays - clusters that are in use and free by their refcounts: stray
 * @clusters: their numbers
 * @nr: how many; read without a lock, too
 *
 * Protected by qcow_alloc.lock.
 */
struct qcow_strays {
	struct xarray clusters;
	u32 nr;
};

/**
 * struct qcow_release - references that are gone in memory: release, writeback, commit
 * @lost: those that the next commit makes durable
 * @committing: those that a commit is making durable
 * @count: how many notes there are, and may be: what is more is leaked
 * @no_punch: the file cannot be given back space
 *
 * Protected by qcow_alloc.lock.
 */
struct qcow_release {
	struct qcow_notes lost;
	struct list_head committing;
	struct qcow_notes_count count;
	bool no_punch;
};

/**
 * struct qcow_reclaim - clusters whose references are durably gone: release, reclaim
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
 * struct qcow_share - L2 tables that are about to have a second reference
 * @table: called before the table of an L1 entry is taken for the disk's own,
 *	or copied. Under qcow_l1_state.lock
 */
struct qcow_share {
	void (*table)(struct qcow_share *share, u32 l1_index);
};

/**
 * struct qcow_l1_state - the active L1 table: l1, link, tree, snap_ops, commit
 * @dirty: entries of img->l1 to be written. Protected by qcow_alloc.lock, as img->l1 is
 * @lock: one L2 table is made at a time; taken before qcow_alloc.store_lock and
 *	qcow_alloc.lock
 * @share: a snapshot is being made, and wants to know which L2 tables are about
 *	to be copied; or NULL. Protected by @lock
 * @offset: bytes into the file of the table
 */
struct qcow_l1_state {
	struct qcow_dirty_range dirty;
	/* Held while an L2 table is made; taken before qcow_alloc.lock. */
	struct mutex lock;
	struct qcow_share *share;
	u64 offset;
};

/**
 * struct qcow_snapshots - the snapshots of an image: snapshot, snap_table, snap_ops
 * @nr: how many
 * @offset: bytes into the file of their table
 * @bytes: of that table
 * @l1_bytes: of their L1 tables
 * @sum: of that table as it is known, by qcow_snapshot_sum()
 * @key: for the sum; nobody else knows it
 */
struct qcow_snapshots {
	u32 nr;
	u64 offset;
	u64 bytes;
	u64 l1_bytes;
	u64 sum;
	siphash_key_t key;
};

/**
 * struct qcow_commits - commits: commit, writeback, reclaim, release, image
 * @lock: one commit at a time; I/O never takes it
 * @begun: commits that were begun; changed under @lock
 * @result: of the last one
 * @stored: waited for by those who make much metadata
 * @wq: where commits are done in the background
 * @work: does them
 * @corrupt_work: marks the image corrupt
 */
struct qcow_commits {
	/* One commit at a time. */
	struct mutex lock;
	atomic64_t begun;
	int result;
	wait_queue_head_t stored;
	struct workqueue_struct *wq;
	struct delayed_work work;
	struct work_struct corrupt_work;
};

/**
 * struct qcow_alloc - an image that is written
 * @img: the image
 * @inflight: I/O under way
 * @reg: where its metadata lies
 * @l1: its active L1 table
 * @snapshots: its snapshots
 * @around: memory for copy-on-write
 * @lock: protects @counts, @search, @reserve, @strays, @release and changes of
 *	img->l1. May be held while a refcount slice is read, the file made longer,
 *	or a larger refcount table written; taken before counts.cache->lock
 * @counts: its refcounts
 * @search: where to look for free clusters
 * @reserve: clusters that were taken ahead
 * @strays: clusters that are in use and free by their refcounts
 * @release: references that are gone in memory
 * @reclaim: references that are durably gone
 * @commit: commits
 * @store_lock: held by a task that writes metadata, from taking copies on; taken
 *	before @lock; I/O may wait for it
 * @unsynced: data was written since the last sync
 * @failed: a sync failed, or a larger refcount table may or may not have been
 *	published: nothing is committed any more
 */
struct qcow_alloc {
	struct qcow_image *img;
	struct qcow_inflight inflight;
	struct qcow_register reg;
	struct qcow_l1_state l1;
	struct qcow_snapshots snapshots;
	struct qcow_around around;

	/* Protects refcounts and the clusters that follow from them. */
	struct mutex lock;
	struct qcow_counts counts;
	struct qcow_search search;
	struct qcow_reserve reserve;
	struct qcow_strays strays;
	struct qcow_release release;

	struct qcow_reclaim reclaim;
	struct qcow_commits commit;
	/* Held while metadata is written. */
	struct mutex store_lock;
	bool unsynced;
	int failed;
};

static inline u32 qcow_alloc_cluster_bits(const struct qcow_alloc *a)
{
	return a->img->layout.cluster_bits;
}

/* Whether the image counts references: not version 1. */
static inline bool qcow_alloc_has_refcounts(const struct qcow_alloc *a)
{
	return qcow_layout_has_refcounts(&a->img->layout);
}

#endif /* _QCOW_STATE_H */
