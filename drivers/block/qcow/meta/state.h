/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state of an image that is written, in parts.
 *
 * Each part names the files that own it. Only these files, and life.c, which sets all
 * parts up, use its members; other files call their functions. "make check" finds other
 * uses.
 */
#ifndef _QCOW_STATE_H
#define _QCOW_STATE_H

#include <linux/mutex.h>
#include <linux/siphash.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "file/inflight.h"
#include "meta/cow_mem.h"
#include "meta/notes.h"
#include "meta/qcow.h"
#include "meta/register.h"

/**
 * struct qcow_dirty_range - dirty entries of a table in memory
 * @lo: the first dirty entry
 * @hi: behind the last dirty entry; not above @lo: there is none
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
 * struct qcow_run - reserved clusters in a row
 * @next: the next one to hand out
 * @end: behind the last
 */
struct qcow_run {
	u64 next;
	u64 end;
};

/**
 * struct qcow_counts - refcounts: refcount, growth, writeback, flush
 * @order: log2 of the bits of a refcount
 * @block_bits: log2 of the clusters that one refcount block covers
 * @cache: slices of refcount blocks
 * @table: the refcount table in the CPU's byte order, as far as it is in memory
 * @table_room: entries in @table: all, or whole sectors; those behind are zero
 * @table_size: entries in the table
 * @table_host_offset: host offset of the table
 * @table_dirty: dirty entries of @table
 *
 * Protected by qcow_alloc.lock.
 */
struct qcow_counts {
	u32 order;
	u32 block_bits;
	struct qcow_cache *cache;
	u64 *table;
	u32 table_room;
	u32 table_size;
	u64 table_host_offset;
	struct qcow_dirty_range table_dirty;
};

/**
 * struct qcow_search - free-space search: search, alloc, growth
 * @hint: no covered cluster below is free; without refcounts: all from here on are
 *	free. Read without the lock, too
 * @fresh: clusters from here on were never handed out and lie behind the end that the
 *	file had: they read as zeros
 * @limit: clusters of a block device when some were last taken; of a file, clusters
 *	that entries can lead to
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
 * @run: the clusters
 * @zeroed: they are preallocated and read as zeros
 * @no_renew: preallocation is not possible, or not worth it
 * @file_end: host offset up to which a regular file was grown; else U64_MAX
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
 * @nr: number of strays; read without a lock, too
 *
 * Protected by qcow_alloc.lock.
 */
struct qcow_strays {
	struct xarray clusters;
	u32 nr;
};

/**
 * struct qcow_release - references that are gone in memory: release, writeback, flush
 * @lost: notes for the next flush
 * @flushing: batches of a flush that is running
 * @count: number of notes, and their limit: clusters beyond it are leaked
 * @no_punch: the file does not support punching
 *
 * Protected by qcow_alloc.lock.
 */
struct qcow_release {
	struct qcow_notes lost;
	struct list_head flushing;
	struct qcow_notes_count count;
	bool no_punch;
};

/**
 * struct qcow_reclaim - clusters whose references are durably gone: release, reclaim
 * @batches: notes of flushes, the oldest first; I/O may still go by those references
 * @now: notes of the round under way
 * @until: the last batch of the round that is about to begin; or NULL
 * @begun: number of rounds that began; read without a lock, too
 * @ended: number of rounds that ended; as @begun
 * @lock: one task at a time goes on with a round; I/O is waited for under it
 * @above: I/O under way on the image above, which may read from clusters of this one;
 *	or NULL
 * @hurry: a task waits for space
 * @stopped: no round goes on in the background any more
 * @work: goes on with rounds in the background
 */
struct qcow_reclaim {
	/* Protected by qcow_alloc.lock; changed under @lock only, except batches. */
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
 * struct qcow_share - a hook for L2 tables that a new snapshot will share
 * @table: called before the table of an L1 entry becomes the disk's own, or is copied.
 *	Under qcow_l1_state.lock
 */
struct qcow_share {
	void (*table)(struct qcow_share *share, u32 l1_index);
};

/**
 * struct qcow_l1_state - the active L1 table: l1, l2, tree, snapshot_ops, flush
 * @dirty: dirty entries of img->l1. Protected by qcow_alloc.lock, as img->l1 is
 * @lock: one L2 table is made at a time; taken before qcow_alloc.store_lock and
 *	qcow_alloc.lock
 * @share: hook of a snapshot that is being made; or NULL. Protected by @lock
 * @host_offset: host offset of the table
 * @empty: a bit for each slice of an L2 table: all of it reads as zeros and has no
 *	clusters; NULL: no such slice is known. A bit is set under qcow_cache.lock, or
 *	under qcow_inflight_lock() of all that the slice maps; it is cleared under both
 */
struct qcow_l1_state {
	struct qcow_dirty_range dirty;
	/* Held while an L2 table is made; taken before qcow_alloc.lock. */
	struct mutex lock;
	struct qcow_share *share;
	u64 host_offset;
	unsigned long *empty;
};

/**
 * struct qcow_snapshots - the snapshots of an image: snapshot, snapshot_table, snapshot_ops
 * @nr: number of snapshots
 * @host_offset: host offset of the snapshot table
 * @bytes: bytes of the snapshot table
 * @l1_bytes: bytes of all their L1 tables
 * @sum: qcow_snapshot_sum() of the table as this driver knows it
 * @key: secret key of the sum
 */
struct qcow_snapshots {
	u32 nr;
	u64 host_offset;
	u64 bytes;
	u64 l1_bytes;
	u64 sum;
	siphash_key_t key;
};

/* Entries that a flush copies at a time without memory: a sector of them. */
#define QCOW_FLUSH_FEW	(SECTOR_SIZE / sizeof(u64))

/**
 * struct qcow_flush_state - flushes: flush, writeback, reclaim, release
 * @lock: one flush at a time; I/O never takes it
 * @begun: number of flushes that began; changed under @lock
 * @result: result of the last flush
 * @failures: number of flushes that failed, since one that did not
 * @stored: where tasks that make much metadata wait for flushes
 * @wq: queue of flushes in the background
 * @work: does a flush
 * @corrupt_work: marks the image corrupt
 * @few: copies of entries of the L1 table and of the refcount table, for a flush that has
 *	no memory
 */
struct qcow_flush_state {
	/* One flush at a time. */
	struct mutex lock;
	atomic64_t begun;
	int result;
	u32 failures;
	wait_queue_head_t stored;
	struct workqueue_struct *wq;
	struct delayed_work work;
	struct work_struct corrupt_work;
	__be64 few[2][QCOW_FLUSH_FEW];
};

/**
 * struct qcow_alloc - an image that is written
 * @img: the image
 * @inflight: I/O under way
 * @reg: register of its metadata
 * @l1: its active L1 table
 * @snapshots: its snapshots
 * @cow_mem: memory for COW; other images may have the same
 * @lock: protects @counts, @search, @reserve, @strays, @release and changes of
 *	img->l1. May be held while a refcount slice is read, the file made longer,
 *	or a larger refcount table written; taken before counts.cache->lock
 * @counts: its refcounts
 * @search: search for free clusters
 * @reserve: reserved clusters
 * @strays: clusters in use with a refcount of 0
 * @release: references that are gone in memory
 * @reclaim: references that are durably gone
 * @flush: flushes
 * @store_lock: held by a task that writes metadata, from taking copies on; taken before
 *	@lock; I/O may wait for it
 * @unsynced: data was written since the last sync
 * @failed: a sync failed, or publishing a larger refcount table failed: nothing is
 *	flushed any more
 */
struct qcow_alloc {
	struct qcow_image *img;
	struct qcow_inflight inflight;
	struct qcow_register reg;
	struct qcow_l1_state l1;
	struct qcow_snapshots snapshots;
	struct qcow_cow_mem *cow_mem;

	/* Protects the five parts below. */
	struct mutex lock;
	struct qcow_counts counts;
	struct qcow_search search;
	struct qcow_reserve reserve;
	struct qcow_strays strays;
	struct qcow_release release;

	struct qcow_reclaim reclaim;
	struct qcow_flush_state flush;
	/* Held while metadata is written. */
	struct mutex store_lock;
	/* All writes look at these. */
	bool unsynced ____cacheline_aligned_in_smp;
	int failed;
};

static inline u32 qcow_alloc_cluster_bits(const struct qcow_alloc *a)
{
	return a->img->layout.cluster_bits;
}

/*
 * Have the next flush sync data, after a write has completed. Only the first write since a
 * sync changes the member: all would take its cache line from each other.
 */
static inline void qcow_alloc_set_unsynced(struct qcow_alloc *a)
{
	/* A sync that begins after this look sees the write. Pairs with xchg() in flush.c. */
	smp_mb();
	if (!READ_ONCE(a->unsynced))
		WRITE_ONCE(a->unsynced, true);
}

/* Return: true if the image counts references: not version 1. */
static inline bool qcow_alloc_has_refcounts(const struct qcow_alloc *a)
{
	return qcow_layout_has_refcounts(&a->img->layout);
}

#endif /* _QCOW_STATE_H */
