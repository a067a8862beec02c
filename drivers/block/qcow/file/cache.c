// SPDX-License-Identifier: GPL-2.0
/*
 * Metadata slices in memory: look-up without a lock, loading that several tasks share,
 * eviction by second chance when a limit is reached or memory is short. The files of
 * meta/ that know L2 tables and refcount blocks use it; it does not know their entries.
 */
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "compat/compat.h"
#include "file/cache.h"

/* Slices that an insertion beyond the limit scans to make room. */
#define CACHE_EVICT_SCAN	16

/* Dirty slices are many if they are more than the limit divided by this. */
#define CACHE_CROWDED		4

/* All caches, for the shrinker. */
static LIST_HEAD(all_caches);
static DEFINE_MUTEX(all_caches_lock);
static struct shrinker *cache_shrinker;

/* --- Eviction --- */

/* Take a slice that only the cache refers to out of the xarray. */
static enum lru_status __cache_isolate(struct list_head *item, struct list_lru_one *list)
{
	struct qcow_slice *slice = container_of(item, struct qcow_slice, lru);
	struct qcow_cache *cache = slice->cache;

	/* With the cache's reference gone, nobody can take a new one. */
	if (!refcount_dec_if_one(&slice->ref))
		return LRU_ROTATE;
	list_lru_isolate(list, item);
	xa_erase(&cache->slices, slice->index);
	atomic_long_dec(&cache->count);
	qcow_cache_slice_free_later(slice);
	return LRU_REMOVED;
}

/*
 * As __cache_isolate(), a slice that was not used since the last scan; if @arg is not
 * NULL, only while the cache is beyond its limit.
 */
static enum lru_status
qcow_compat_lru_isolate(cache_isolate, item, list, arg)
{
	struct qcow_slice *slice = container_of(item, struct qcow_slice, lru);
	struct qcow_cache *cache = slice->cache;

	if (arg && atomic_long_read(&cache->count) <= cache->limit)
		return LRU_SKIP;
	if (test_and_clear_bit(QCOW_SLICE_REFERENCED, &slice->flags))
		return LRU_ROTATE;
	return __cache_isolate(item, list);
}

/* As cache_isolate(), and also one that was used since the last scan. */
static enum lru_status
qcow_compat_lru_isolate(cache_isolate_any, item, list, arg)
{
	return __cache_isolate(item, list);
}

static void cache_make_room(struct qcow_cache *cache)
{
	if (atomic_long_read(&cache->count) > cache->limit)
		list_lru_walk(&cache->lru, cache_isolate, cache,
			      CACHE_EVICT_SCAN);
}

/*
 * There is no memory for a slice: evict some, recently used ones as well, for the next
 * try. Their memory is free after a grace period.
 */
static void cache_shed(struct qcow_cache *cache)
{
	if (list_lru_walk(&cache->lru, cache_isolate_any, NULL, CACHE_EVICT_SCAN))
		return;
	/* Dirty slices can be evicted when they are written. */
	if (!mutex_trylock(&all_caches_lock))
		return;
	if (cache->writeback)
		mod_delayed_work(cache->wq, cache->writeback, 0);
	mutex_unlock(&all_caches_lock);
}

static unsigned long shrinker_count(struct shrinker *s,
				    struct shrink_control *sc)
{
	struct qcow_cache *cache;
	unsigned long n = 0;

	if (!mutex_trylock(&all_caches_lock))
		return 0;
	list_for_each_entry(cache, &all_caches, caches)
		n += list_lru_shrink_count(&cache->lru, sc);
	mutex_unlock(&all_caches_lock);
	return n ?: SHRINK_EMPTY;
}

static unsigned long shrinker_scan(struct shrinker *s,
				   struct shrink_control *sc)
{
	struct qcow_cache *cache;
	unsigned long freed = 0;

	if (!mutex_trylock(&all_caches_lock))
		return SHRINK_STOP;
	list_for_each_entry(cache, &all_caches, caches) {
		if (!sc->nr_to_scan)
			break;
		freed += list_lru_shrink_walk(&cache->lru, sc, cache_isolate,
					      NULL);
		/* Dirty slices can be evicted when they are written. */
		if (cache->writeback && READ_ONCE(cache->nr_dirty))
			mod_delayed_work(cache->wq, cache->writeback, 0);
	}
	mutex_unlock(&all_caches_lock);
	return freed;
}

/* --- Loading --- */

static void slice_loaded(struct qcow_slice *slice)
{
	/* Pairs with qcow_cache_peek() and the wait in qcow_cache_get(). */
	clear_bit_unlock(QCOW_SLICE_LOADING, &slice->flags);
	/* wake_up_bit() looks for waiters after the bit is clear. */
	smp_mb__after_atomic();
	wake_up_bit(&slice->flags, QCOW_SLICE_LOADING);
}

/* A slice that could not be loaded leaves the cache before its waiters wake up. */
static void slice_failed(struct qcow_slice *slice, int err)
{
	struct qcow_cache *cache = slice->cache;

	slice->error = err;
	xa_erase(&cache->slices, slice->index);
	atomic_long_dec(&cache->count);
	slice_loaded(slice);
	/* The cache's reference. */
	qcow_cache_put(slice);
}

static int slice_load(struct qcow_slice *slice, bool fresh)
{
	struct qcow_cache *cache = slice->cache;
	u64 host_offset = (u64)slice->index << cache->slice_bits;
	size_t bytes = 1UL << cache->slice_bits;
	int err = 0;

	if (fresh)
		memset(slice->data, 0, bytes);
	else
		err = qcow_file_pread_table(cache->file, host_offset, slice->data, bytes,
					    2 * sizeof(u64));
	if (err) {
		slice_failed(slice, err);
		return err;
	}
	atomic_long_inc(&cache->loaded);
	slice_loaded(slice);
	list_lru_add_obj(&cache->lru, &slice->lru);
	cache_make_room(cache);
	return 0;
}

/* Put a new slice into the cache. Return: the slice or an error. */
static struct qcow_slice *slice_insert(struct qcow_cache *cache, unsigned long index)
{
	struct qcow_slice *slice = qcow_cache_slice_alloc(cache, index);
	int err;

	if (!slice)
		return ERR_PTR(-ENOMEM);
	err = xa_insert(&cache->slices, index, slice, GFP_NOIO);
	if (err) {
		qcow_cache_slice_free(slice);
		return ERR_PTR(err);
	}
	atomic_long_inc(&cache->count);
	return slice;
}

/*
 * Put a new slice into the cache and load it. Return: a referenced slice; NULL: another
 * task has put one there, look again; or an error.
 */
static struct qcow_slice *cache_insert(struct qcow_cache *cache,
				       unsigned long index, bool fresh)
{
	struct qcow_slice *slice = slice_insert(cache, index);
	int err;

	if (unlikely(slice == ERR_PTR(-ENOMEM)))
		cache_shed(cache);
	if (IS_ERR(slice))
		return slice == ERR_PTR(-EBUSY) ? NULL : slice;
	err = slice_load(slice, fresh);
	if (!err)
		return slice;
	qcow_cache_put(slice);
	return ERR_PTR(err);
}

static struct qcow_slice *cache_get(struct qcow_cache *cache, u64 host_offset, bool fresh)
{
	unsigned long index = host_offset >> cache->slice_bits;
	struct qcow_slice *slice;
	int err;

	do {
		slice = qcow_cache_slice_lookup(cache, index);
		if (slice)
			atomic_long_inc(&cache->found);
		else
			slice = cache_insert(cache, index, fresh);
	} while (!slice);
	if (IS_ERR(slice))
		return slice;

	wait_on_bit(&slice->flags, QCOW_SLICE_LOADING, TASK_UNINTERRUPTIBLE);
	set_bit(QCOW_SLICE_REFERENCED, &slice->flags);
	err = slice->error;
	if (!err)
		return slice;
	qcow_cache_put(slice);
	return ERR_PTR(err);
}

/**
 * qcow_cache_get() - get a slice, from the image file if need be
 * @cache: the cache
 * @host_offset: any byte of the slice, in bytes into the file
 *
 * Callers that want the same slice wait for one read of it.
 *
 * Context: may sleep, does not enter the block layer's reclaim.
 *
 * Return: a slice to give to qcow_cache_put(), or the error of the read, or
 * -ENOMEM.
 */
struct qcow_slice *qcow_cache_get(struct qcow_cache *cache, u64 host_offset)
{
	return cache_get(cache, host_offset, false);
}

/**
 * qcow_cache_get_new() - get a slice of a table that is being made
 * @cache: the cache
 * @host_offset: any byte of the slice, in bytes into the file
 *
 * The slice is dirty, and holds zeros in place of old data of the file or the cache. No
 * task may be reading the old data any more.
 *
 * Context: may sleep.
 *
 * Return: a slice to give to qcow_cache_put(), or -ENOMEM.
 */
struct qcow_slice *qcow_cache_get_new(struct qcow_cache *cache, u64 host_offset)
{
	struct qcow_slice *slice = cache_get(cache, host_offset, true);

	if (IS_ERR(slice))
		return slice;
	spin_lock(&cache->lock);
	clear_bit(QCOW_SLICE_VETTED, &slice->flags);
	memset(slice->data, 0, 1UL << cache->slice_bits);
	__qcow_cache_dirty(slice);
	spin_unlock(&cache->lock);
	return slice;
}

/* --- The cache --- */

/**
 * qcow_cache_crowded() - tell whether many slices cannot be evicted
 * @cache: the cache
 *
 * Context: any.
 *
 * Return: whether there are many.
 */
bool qcow_cache_crowded(const struct qcow_cache *cache)
{
	return READ_ONCE(cache->nr_dirty) > cache->limit / CACHE_CROWDED;
}

/**
 * qcow_cache_full() - tell whether tasks that make dirty slices should wait a little
 * @cache: the cache
 *
 * Context: any.
 *
 * Return: whether they should.
 */
bool qcow_cache_full(const struct qcow_cache *cache)
{
	return READ_ONCE(cache->nr_dirty) > cache->limit;
}

/**
 * qcow_cache_overfull() - tell whether slices that are not in the file exceed the limit
 * @cache: the cache
 *
 * As qcow_cache_full(), but counts the slices that a flush is writing. If the flush
 * fails they are dirty again.
 *
 * Context: any.
 *
 * Return: whether they are.
 */
bool qcow_cache_overfull(const struct qcow_cache *cache)
{
	return READ_ONCE(cache->nr_dirty) + READ_ONCE(cache->nr_captured) > cache->limit;
}

/**
 * qcow_cache_set_writeback() - set the work that writes dirty slices
 * @cache: the cache
 * @wq: the queue of @work
 * @work: started when memory is short; NULL: none from now on
 *
 * Context: may sleep.
 */
void qcow_cache_set_writeback(struct qcow_cache *cache,
			      struct workqueue_struct *wq,
			      struct delayed_work *work)
{
	mutex_lock(&all_caches_lock);
	cache->wq = wq;
	cache->writeback = work;
	mutex_unlock(&all_caches_lock);
}

/**
 * qcow_cache_used() - memory that a cache holds
 * @cache: the cache
 *
 * Return: bytes of metadata.
 */
u64 qcow_cache_used(const struct qcow_cache *cache)
{
	return (u64)atomic_long_read(&cache->count) << cache->slice_bits;
}

/**
 * qcow_cache_create() - make an empty cache
 * @file: the file of the slices; stays open as long as the cache exists
 * @slice_bits: log2 of the bytes of a slice, up to QCOW_CACHE_MAX_SLICE_BITS
 * @bytes: most bytes of metadata to keep
 *
 * Context: may sleep.
 *
 * Return: the cache or an ERR_PTR.
 */
struct qcow_cache *qcow_cache_create(struct qcow_file *file, u32 slice_bits,
				     u64 bytes)
{
	struct qcow_cache *cache = kzalloc(sizeof(*cache), GFP_KERNEL);
	int err;

	if (!cache)
		return ERR_PTR(-ENOMEM);
	cache->file = file;
	cache->slice_bits = slice_bits;
	cache->limit = max_t(u64, bytes >> slice_bits, 1);
	xa_init(&cache->slices);
	spin_lock_init(&cache->lock);
	seqcount_spinlock_init(&cache->seq, &cache->lock);
	INIT_LIST_HEAD(&cache->dirty);
	err = qcow_cache_write_init(cache) ?: list_lru_init(&cache->lru);
	if (err) {
		qcow_cache_write_exit(cache);
		kfree(cache);
		return ERR_PTR(err);
	}
	mutex_lock(&all_caches_lock);
	list_add_tail(&cache->caches, &all_caches);
	mutex_unlock(&all_caches_lock);
	return cache;
}

/**
 * qcow_cache_destroy() - free a cache that no task uses any more
 * @cache: the cache, or NULL
 *
 * Context: may sleep.
 */
void qcow_cache_destroy(struct qcow_cache *cache)
{
	struct qcow_slice *slice;
	unsigned long index;

	if (!cache)
		return;
	mutex_lock(&all_caches_lock);
	list_del(&cache->caches);
	mutex_unlock(&all_caches_lock);
	xa_for_each(&cache->slices, index, slice) {
		/* Dirty slices are lost: the failure to write them was reported. */
		if (test_bit(QCOW_SLICE_DIRTY, &slice->flags))
			qcow_cache_put(slice);
		list_lru_del_obj(&cache->lru, &slice->lru);
		xa_erase(&cache->slices, index);
		WARN_ON_ONCE(refcount_read(&slice->ref) != 1);
		qcow_cache_put(slice);
	}
	list_lru_destroy(&cache->lru);
	xa_destroy(&cache->slices);
	qcow_cache_write_exit(cache);
	kfree(cache);
}

int qcow_cache_init(void)
{
	cache_shrinker = qcow_compat_shrinker(SHRINKER_NUMA_AWARE, "qcow-cache",
					      shrinker_count, shrinker_scan);
	return cache_shrinker ? 0 : -ENOMEM;
}

void qcow_cache_exit(void)
{
	shrinker_free(cache_shrinker);
	/* qcow_cache_put() may still have slices to free after a grace period. */
	rcu_barrier();
}
