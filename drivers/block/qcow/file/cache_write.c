// SPDX-License-Identifier: GPL-2.0
/*
 * Writing slices back: which slices are dirty, copies of them as they were at one moment,
 * and writing these copies. meta/flush.c decides when, and in which order with flushes.
 */
#include <linux/bvec.h>
#include <linux/completion.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "file/cache_write.h"
#include "file/request.h"

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
	struct qcow_slice *slice =
		qcow_cache_slice_lookup(cache, host_offset >> cache->slice_bits);
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

/**
 * qcow_cache_write_init() - have memory for one copy in reserve
 * @cache: the cache, which is being made
 *
 * Context: may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int qcow_cache_write_init(struct qcow_cache *cache)
{
	cache->reserve = capture_alloc(cache);
	return cache->reserve ? 0 : -ENOMEM;
}

/**
 * qcow_cache_write_exit() - free that memory
 * @cache: the cache, of which nothing is captured
 */
void qcow_cache_write_exit(struct qcow_cache *cache)
{
	capture_free(cache->reserve);
}
