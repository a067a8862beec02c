// SPDX-License-Identifier: GPL-2.0
/*
 * Metadata slices in memory: look-up without a lock, loading that several tasks share,
 * eviction by second chance when a limit is reached or memory is short. The files of
 * meta/ that know L2 tables and refcount blocks use it; it does not know their entries.
 *
 * A slice in the xarray has a reference for being there. The task that takes it out
 * drops that reference; the memory goes after a grace period, for qcow_cache_peek().
 */
#include <linux/bvec.h>
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "compat/compat.h"
#include "file/cache.h"
#include "file/request.h"

/* Slices that an insertion beyond the limit scans to make room. */
#define CACHE_EVICT_SCAN	16

/* Dirty slices are many if they are more than the limit divided by this. */
#define CACHE_CROWDED		4

/* All caches, for the shrinker. */
static LIST_HEAD(all_caches);
static DEFINE_MUTEX(all_caches_lock);
static struct shrinker *cache_shrinker;

/* --- A slice --- */

static void slice_free(struct qcow_slice *slice)
{
	kfree(slice->data);
	kfree(slice);
}

static void slice_free_rcu(struct rcu_head *rcu)
{
	slice_free(container_of(rcu, struct qcow_slice, rcu));
}

static struct qcow_slice *slice_alloc(struct qcow_cache *cache,
				      unsigned long index)
{
	struct qcow_slice *slice = kzalloc(sizeof(*slice), GFP_NOIO);

	if (!slice)
		return NULL;
	slice->data = kmalloc(1UL << cache->slice_bits, GFP_NOIO);
	if (!slice->data) {
		kfree(slice);
		return NULL;
	}
	slice->cache = cache;
	slice->index = index;
	INIT_LIST_HEAD(&slice->lru);
	INIT_LIST_HEAD(&slice->dirty);
	/* One for the cache, one for the caller. */
	refcount_set(&slice->ref, 2);
	__set_bit(QCOW_SLICE_LOADING, &slice->flags);
	return slice;
}

/**
 * qcow_cache_put() - drop a reference to a slice
 * @slice: from qcow_cache_get()
 *
 * Context: any.
 */
void qcow_cache_put(struct qcow_slice *slice)
{
	if (refcount_dec_and_test(&slice->ref))
		call_rcu(&slice->rcu, slice_free_rcu);
}

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
	call_rcu(&slice->rcu, slice_free_rcu);
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

static struct qcow_slice *cache_lookup(struct qcow_cache *cache,
				       unsigned long index)
{
	struct qcow_slice *slice;

	rcu_read_lock();
	slice = xa_load(&cache->slices, index);
	if (slice && !refcount_inc_not_zero(&slice->ref))
		slice = NULL;
	rcu_read_unlock();
	return slice;
}

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
	struct qcow_slice *slice = slice_alloc(cache, index);
	int err;

	if (!slice)
		return ERR_PTR(-ENOMEM);
	err = xa_insert(&cache->slices, index, slice, GFP_NOIO);
	if (err) {
		slice_free(slice);
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
		slice = cache_lookup(cache, index);
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

/* --- Writing back --- */

/**
 * struct writes - slices that are written in parallel
 * @left: file requests under way, and one more while some are started
 * @done: completed when all have ended
 */
struct writes {
	atomic_t left;
	struct completion done;
};

/**
 * struct qcow_capture - a slice's data as it was at one moment
 * @list: in the list of the other slices of that moment
 * @slice: referenced
 * @data: the copy that is written
 * @writes: the writes that this one belongs to
 * @req: writes it
 * @bvec: of @data
 * @err: result of the write; -EAGAIN: it has to be written by itself
 */
struct qcow_capture {
	struct list_head list;
	struct qcow_slice *slice;
	void *data;
	struct writes *writes;
	struct qcow_file_req req;
	struct bio_vec bvec;
	int err;
};

/**
 * __qcow_cache_dirty() - mark a slice that changes as dirty
 * @slice: held by the caller
 *
 * Context: under cache->lock, which the caller also holds for the change itself.
 */
void __qcow_cache_dirty(struct qcow_slice *slice)
{
	struct qcow_cache *cache = slice->cache;

	lockdep_assert_held(&cache->lock);
	if (test_and_set_bit(QCOW_SLICE_DIRTY, &slice->flags))
		return;
	refcount_inc(&slice->ref);
	list_add_tail(&slice->dirty, &cache->dirty);
	cache->nr_dirty++;
}

/**
 * qcow_cache_clean() - mark a slice as not dirty, without writing it
 * @cache: the cache
 * @host_offset: any byte of the slice, in bytes into the file
 *
 * For a slice of qcow_cache_get_new() whose table could not be made.
 *
 * Context: no task uses the slice, and none is captured. Does not sleep.
 */
void qcow_cache_clean(struct qcow_cache *cache, u64 host_offset)
{
	struct qcow_slice *slice = cache_lookup(cache, host_offset >> cache->slice_bits);
	bool dirty;

	if (!slice)
		return;
	spin_lock(&cache->lock);
	dirty = test_and_clear_bit(QCOW_SLICE_DIRTY, &slice->flags);
	if (dirty) {
		list_del_init(&slice->dirty);
		cache->nr_dirty--;
	}
	spin_unlock(&cache->lock);
	if (dirty)
		qcow_cache_put(slice);
	qcow_cache_put(slice);
}

static struct qcow_capture *capture_alloc(struct qcow_cache *cache)
{
	struct qcow_capture *c = kmalloc(sizeof(*c), GFP_NOIO);

	if (!c)
		return NULL;
	c->data = kmalloc(1UL << cache->slice_bits, GFP_NOIO);
	if (!c->data) {
		kfree(c);
		return NULL;
	}
	return c;
}

static void capture_free(struct qcow_capture *c)
{
	if (!c)
		return;
	kfree(c->data);
	kfree(c);
}

/* Memory for a copy; the reserve, if @captured is empty; or NULL. */
static struct qcow_capture *capture_get(struct qcow_cache *cache,
					const struct list_head *captured)
{
	struct qcow_capture *c = capture_alloc(cache);

	if (unlikely(!c) && list_empty(captured))
		swap(c, cache->reserve);
	return c;
}

static void capture_put(struct qcow_cache *cache, struct qcow_capture *c)
{
	if (unlikely(!cache->reserve))
		swap(c, cache->reserve);
	capture_free(c);
}

/* Copy the first dirty slice and take it off the list; false: there is none. */
static bool capture_next(struct qcow_cache *cache, struct qcow_capture *c)
{
	struct qcow_slice *slice;

	spin_lock(&cache->lock);
	slice = list_first_entry_or_null(&cache->dirty, struct qcow_slice,
					 dirty);
	if (slice) {
		memcpy(c->data, slice->data, 1UL << cache->slice_bits);
		list_del_init(&slice->dirty);
		clear_bit(QCOW_SLICE_DIRTY, &slice->flags);
		cache->nr_dirty--;
		cache->nr_captured++;
	}
	spin_unlock(&cache->lock);
	c->slice = slice;
	return slice;
}

/**
 * qcow_cache_nr_dirty() - number of slices that are dirty now
 * @cache: the cache
 *
 * Context: any.
 *
 * Return: the number.
 */
u32 qcow_cache_nr_dirty(const struct qcow_cache *cache)
{
	return READ_ONCE(cache->nr_dirty);
}

/**
 * qcow_cache_capture() - take copies of dirty slices, those first that became dirty first
 * @cache: the cache
 * @captured: an empty list that takes them; pass it to qcow_cache_forget()
 * @left: in: copies to take, from qcow_cache_nr_dirty(); out: copies that there was no
 *	memory for. At least one is taken, since there is memory for one in reserve
 *
 * Slices may be changed again at once; a later capture has those changes.
 *
 * Context: may sleep. One task at a time has captured slices of a cache.
 */
void qcow_cache_capture(struct qcow_cache *cache, struct list_head *captured, u32 *left)
{
	struct qcow_capture *c;

	for (; *left; --*left) {
		c = capture_get(cache, captured);
		if (unlikely(!c))
			return;
		if (!capture_next(cache, c)) {
			capture_put(cache, c);
			*left = 0;
			return;
		}
		list_add_tail(&c->list, captured);
	}
}

static void writes_put(struct writes *w)
{
	if (atomic_dec_and_test(&w->left))
		complete(&w->done);
}

/* Any context. */
static void capture_written(struct qcow_file_req *req, int err)
{
	struct qcow_capture *c = container_of(req, struct qcow_capture, req);

	c->err = err;
	writes_put(c->writes);
}

static u64 capture_host_offset(const struct qcow_cache *cache, const struct qcow_capture *c)
{
	return (u64)c->slice->index << cache->slice_bits;
}

/* Begin to write a slice, if direct I/O can do it. */
static void capture_start(struct qcow_cache *cache, struct qcow_capture *c,
			  struct writes *w)
{
	u32 len = 1U << cache->slice_bits;

	c->err = -EAGAIN;
	if (!qcow_file_is_direct(cache->file, capture_host_offset(cache, c), c->data, len))
		return;
	bvec_set_page(&c->bvec, virt_to_page(c->data), len,
		      offset_in_page(c->data));
	c->writes = w;
	c->req = (struct qcow_file_req){
		.file = cache->file,
		.write = true,
		.host_offset = capture_host_offset(cache, c),
		.bvec = &c->bvec,
		.nr_bvec = 1,
		.len = len,
		.end_io = capture_written,
	};
	atomic_inc(&w->left);
	if (qcow_file_io(&c->req))
		writes_put(w);
}

/*
 * Write in parallel: a flush has many slices, and a disk does several writes at a time.
 */
static void write_captured(struct qcow_cache *cache, struct list_head *captured)
{
	unsigned int noio = memalloc_noio_save();
	struct writes w = { .left = ATOMIC_INIT(1) };
	struct qcow_capture *c;

	init_completion(&w.done);
	list_for_each_entry(c, captured, list)
		capture_start(cache, c, &w);
	writes_put(&w);
	wait_for_completion(&w.done);
	memalloc_noio_restore(noio);
}

/**
 * qcow_cache_write() - write captured slices to the image file
 * @cache: the cache
 * @captured: from qcow_cache_capture()
 *
 * Nothing is synced.
 *
 * Context: may sleep.
 *
 * Return: 0 or the first error.
 */
int qcow_cache_write(struct qcow_cache *cache, struct list_head *captured)
{
	struct qcow_capture *c;

	atomic_inc(&cache->file->busy);
	write_captured(cache, captured);
	atomic_dec(&cache->file->busy);
	list_for_each_entry(c, captured, list) {
		if (c->err == -EAGAIN)
			c->err = qcow_file_pwrite(cache->file,
						  capture_host_offset(cache, c), c->data,
						  1UL << cache->slice_bits);
		if (c->err)
			return c->err;
	}
	return 0;
}

/**
 * qcow_cache_forget() - drop captured slices
 * @cache: the cache
 * @captured: from qcow_cache_capture()
 * @written: they were written, and synced if need be; else they become dirty again
 */
void qcow_cache_forget(struct qcow_cache *cache, struct list_head *captured,
		       bool written)
{
	struct qcow_capture *c, *next;

	list_for_each_entry_safe(c, next, captured, list) {
		spin_lock(&cache->lock);
		cache->nr_captured--;
		if (!written)
			__qcow_cache_dirty(c->slice);
		spin_unlock(&cache->lock);
		qcow_cache_put(c->slice);
		capture_put(cache, c);
	}
	INIT_LIST_HEAD(captured);
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
	cache->reserve = capture_alloc(cache);
	err = cache->reserve ? list_lru_init(&cache->lru) : -ENOMEM;
	if (err) {
		capture_free(cache->reserve);
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
	capture_free(cache->reserve);
	kfree(cache);
}

int qcow_cache_init(void)
{
	cache_shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE, "qcow-cache");
	if (!cache_shrinker)
		return -ENOMEM;
	cache_shrinker->count_objects = shrinker_count;
	cache_shrinker->scan_objects = shrinker_scan;
	shrinker_register(cache_shrinker);
	return 0;
}

void qcow_cache_exit(void)
{
	shrinker_free(cache_shrinker);
	/* slice_free_rcu() may still be pending for some slices. */
	rcu_barrier();
}
