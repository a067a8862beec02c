/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CACHE_SLICE_H
#define _QCOW_CACHE_SLICE_H

#include <linux/list_lru.h>
#include <linux/refcount.h>
#include <linux/seqlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "file/file.h"

struct qcow_capture;

/* log2 of the largest slice: a page's worth of entries. */
#define QCOW_CACHE_MAX_SLICE_BITS	12

/**
 * struct qcow_slice - a piece of a metadata table in memory
 * @cache: the slice's cache
 * @index: host offset, in slices
 * @ref: one for being in the cache, one for each holder
 * @flags: QCOW_SLICE_*
 * @error: the error of loading it, or 0
 * @lru: in the cache's list of slices that may be evicted
 * @dirty: in the cache's list of slices to be written
 * @rcu: frees it after readers without a reference
 * @data: the entries as on disk
 */
struct qcow_slice {
	struct qcow_cache *cache;
	unsigned long index;
	refcount_t ref;
	unsigned long flags;
	int error;
	struct list_head lru;
	struct list_head dirty;
	struct rcu_head rcu;
	__be64 *data;
};

/* Bits of qcow_slice.flags. */
#define QCOW_SLICE_LOADING	0 /* @data is not there yet */
#define QCOW_SLICE_REFERENCED	1 /* used since the last scan for eviction */
#define QCOW_SLICE_DIRTY	2 /* newer than in the file; under cache->lock */
#define QCOW_SLICE_VETTED	3 /* its clusters have refcounts above 0, or are strays */
#define QCOW_SLICE_CAPTURED	4 /* a flush has a copy of it; under cache->lock */

/**
 * struct qcow_cache - metadata of one image file
 * @file: the file of the slices
 * @slice_bits: log2 of the bytes of a slice
 * @limit: slices to keep at most
 * @slices: by index; its lock also orders removal
 * @lru: slices that may be evicted
 * @count: slices in memory
 * @found: references that were given to slices in memory
 * @loaded: slices that were read from the file, or made
 * @lock: protects changes of slices' data, and the members below
 * @seq: for readers of entries of more than a word without the lock
 * @dirty: slices to be written, each with a reference
 * @nr_dirty: entries in @dirty
 * @nr_captured: slices that were dirty and that a flush is writing
 * @reserve: for a copy when there is no other memory; or NULL: a flush has it
 * @writeback: writes dirty slices when memory is short; or NULL
 * @wq: the queue of @writeback
 * @caches: in the list of all caches, for the shrinker
 */
struct qcow_cache {
	struct qcow_file *file;
	u32 slice_bits;
	unsigned long limit;
	struct xarray slices;
	struct list_lru lru;
	atomic_long_t count;
	atomic_long_t found;
	atomic_long_t loaded;
	/* Protects changes of slices' data, and the dirty list. */
	spinlock_t lock;
	seqcount_spinlock_t seq;
	struct list_head dirty;
	u32 nr_dirty;
	u32 nr_captured;
	struct qcow_capture *reserve;
	struct delayed_work *writeback;
	struct workqueue_struct *wq;
	struct list_head caches;
};

struct qcow_slice *qcow_cache_slice_alloc(struct qcow_cache *cache, unsigned long index);
void qcow_cache_slice_free(struct qcow_slice *slice);
void qcow_cache_slice_free_later(struct qcow_slice *slice);
struct qcow_slice *qcow_cache_slice_lookup(struct qcow_cache *cache, unsigned long index);
void qcow_cache_put(struct qcow_slice *slice);

/**
 * qcow_cache_peek() - look a slice up without a lock or a reference
 * @cache: the cache
 * @host_offset: any byte of the slice, in bytes into the file
 *
 * Context: under rcu_read_lock(), as long as the caller uses the entries. Does not
 * sleep.
 *
 * Return: the slice's entries as on disk, or NULL if they are not in memory.
 */
static inline const __be64 *qcow_cache_peek(struct qcow_cache *cache, u64 host_offset)
{
	struct qcow_slice *slice;

	slice = xa_load(&cache->slices, host_offset >> cache->slice_bits);
	/* Pairs with the release in slice_loaded(). */
	if (!slice || test_bit_acquire(QCOW_SLICE_LOADING, &slice->flags) ||
	    slice->error)
		return NULL;
	if (!test_bit(QCOW_SLICE_REFERENCED, &slice->flags))
		set_bit(QCOW_SLICE_REFERENCED, &slice->flags);
	return slice->data;
}

#endif /* _QCOW_CACHE_SLICE_H */
