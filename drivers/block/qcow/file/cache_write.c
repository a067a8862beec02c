// SPDX-License-Identifier: GPL-2.0
/*
 * Writing slices back: which slices are dirty, copies of them as they were at one moment,
 * and writing these copies, sorted and joined. meta/flush.c decides when, and in which
 * order with flushes.
 */
#include <linux/bvec.h>
#include <linux/completion.h>
#include <linux/list_sort.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/semaphore.h>
#include <linux/slab.h>

#include "file/cache_write.h"
#include "file/request.h"

/* Most slices that one file request writes, and most file requests under way. */
#define WRITES_JOINED	64
#define WRITES_DEPTH	64

/**
 * struct writes - slices that are written in parallel
 * @room: counts down from WRITES_DEPTH with file requests under way
 * @left: file requests under way, and one more while some are started
 * @done: completed when all have ended
 * @bvec: segments for the slices that no file request has yet
 */
struct writes {
	struct semaphore room;
	atomic_t left;
	struct completion done;
	struct bio_vec *bvec;
};

/**
 * struct qcow_capture - a slice's data as it was at one moment
 * @list: in the list of the other slices of that moment
 * @slice: referenced
 * @data: the copy that is written
 * @first: the first of the slices that one file request writes, maybe this one; NULL: the
 *	slice has to be written by itself
 * @writes: of the first slice: the writes that the file request belongs to
 * @req: of the first slice: the file request
 * @err: of the first slice: result of the file request; -EAGAIN: each of its slices has
 *	to be written by itself
 */
struct qcow_capture {
	struct list_head list;
	struct qcow_slice *slice;
	void *data;
	struct qcow_capture *first;
	struct writes *writes;
	struct qcow_file_req req;
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
 * For a slice of qcow_cache_get_new() whose table could not be made. A flush that has a copy
 * of it may still write that, or make it dirty again.
 *
 * Context: no task uses the slice. Does not sleep.
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

/*
 * The first dirty slice; NULL: there is none. A slice that is captured already became dirty
 * again since, and so did all behind it: they are left to the next capture. Two copies of a
 * slice would be written in no order.
 */
static struct qcow_slice *__capture_first(struct qcow_cache *cache)
{
	struct qcow_slice *slice;

	slice = list_first_entry_or_null(&cache->dirty, struct qcow_slice, dirty);
	if (slice && unlikely(test_bit(QCOW_SLICE_CAPTURED, &slice->flags)))
		return NULL;
	return slice;
}

/* Copy the first dirty slice and take it off the list; false: there is none. */
static bool capture_next(struct qcow_cache *cache, struct qcow_capture *c)
{
	struct qcow_slice *slice;

	spin_lock(&cache->lock);
	slice = __capture_first(cache);
	if (slice) {
		memcpy(c->data, slice->data, 1UL << cache->slice_bits);
		list_del_init(&slice->dirty);
		clear_bit(QCOW_SLICE_DIRTY, &slice->flags);
		set_bit(QCOW_SLICE_CAPTURED, &slice->flags);
		cache->nr_dirty--;
		cache->nr_captured++;
	}
	spin_unlock(&cache->lock);
	c->slice = slice;
	return slice;
}

/**
 * qcow_cache_is_dirty() - tell whether a slice is dirty
 * @cache: the cache
 * @host_offset: any byte of the slice, in bytes into the file
 *
 * Context: any. Changes beside the call may count or not.
 *
 * Return: whether it is; false: it is not in memory, or captured, or as in the file.
 */
bool qcow_cache_is_dirty(struct qcow_cache *cache, u64 host_offset)
{
	struct qcow_slice *slice =
		qcow_cache_slice_lookup(cache, host_offset >> cache->slice_bits);
	bool dirty;

	if (!slice)
		return false;
	dirty = test_bit(QCOW_SLICE_DIRTY, &slice->flags);
	qcow_cache_put(slice);
	return dirty;
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

static u64 capture_host_offset(const struct qcow_cache *cache, const struct qcow_capture *c)
{
	return (u64)c->slice->index << cache->slice_bits;
}

/* By host offset */
static int capture_compare(void *priv, const struct list_head *left,
			   const struct list_head *right)
{
	const struct qcow_capture *a = list_entry(left, struct qcow_capture, list);
	const struct qcow_capture *b = list_entry(right, struct qcow_capture, list);

	return a->slice->index < b->slice->index ? -1 : 1;
}

/* --- Writing in parallel --- */

static void writes_put(struct writes *w)
{
	if (atomic_dec_and_test(&w->left))
		complete(&w->done);
}

/* Any context. */
static void run_written(struct qcow_file_req *req, int err)
{
	struct qcow_capture *first = container_of(req, struct qcow_capture, req);
	struct writes *w = first->writes;

	first->err = err;
	up(&w->room);
	writes_put(w);
}

static void run_start(struct qcow_capture *first, struct writes *w)
{
	int err;

	down(&w->room);
	atomic_inc(&w->left);
	err = qcow_file_io(&first->req);
	if (err)
		run_written(&first->req, err);
}

/* Return: true if the request of @first, which is not started, can write @c as well. */
static bool run_takes(const struct qcow_cache *cache, const struct qcow_capture *first,
		      const struct qcow_capture *c)
{
	const struct qcow_file_req *req = &first->req;

	return req->nr_bvec < WRITES_JOINED &&
	       req->host_offset + req->len == capture_host_offset(cache, c);
}

/* Make a request without any slice. */
static void run_init(struct qcow_cache *cache, struct qcow_capture *first, struct writes *w)
{
	first->writes = w;
	first->req = (struct qcow_file_req){
		.file = cache->file,
		.write = true,
		.host_offset = capture_host_offset(cache, first),
		.bvec = w->bvec,
		.end_io = run_written,
	};
}

static void run_add(struct qcow_cache *cache, struct qcow_capture *first,
		    struct qcow_capture *c, struct writes *w)
{
	u32 len = 1U << cache->slice_bits;

	bvec_set_page(w->bvec++, virt_to_page(c->data), len, offset_in_page(c->data));
	first->req.nr_bvec++;
	first->req.len += len;
	c->first = first;
}

static bool capture_is_direct(struct qcow_cache *cache, const struct qcow_capture *c)
{
	return qcow_file_is_direct(cache->file, capture_host_offset(cache, c), c->data,
				   1U << cache->slice_bits);
}

/* Start requests for all slices that direct I/O can write. */
static void writes_start(struct qcow_cache *cache, struct list_head *captured,
			 struct writes *w)
{
	struct qcow_capture *c, *first = NULL;

	list_for_each_entry(c, captured, list) {
		if (!capture_is_direct(cache, c))
			continue;
		if (first && !run_takes(cache, first, c)) {
			run_start(first, w);
			first = NULL;
		}
		if (!first) {
			first = c;
			run_init(cache, first, w);
		}
		run_add(cache, first, c, w);
	}
	if (first)
		run_start(first, w);
}

/*
 * Write slices in parallel, neighbours by one request: a flush may have many slices, and a
 * disk does several writes at a time. Without memory for the segments nothing is written.
 */
static void write_parallel(struct qcow_cache *cache, struct list_head *captured, u32 nr)
{
	unsigned int noio = memalloc_noio_save();
	struct bio_vec *bvec = kvmalloc_array(nr, sizeof(*bvec), GFP_NOIO);
	struct writes w = { .left = ATOMIC_INIT(1), .bvec = bvec };

	if (bvec) {
		sema_init(&w.room, WRITES_DEPTH);
		init_completion(&w.done);
		writes_start(cache, captured, &w);
		writes_put(&w);
		wait_for_completion(&w.done);
		kvfree(bvec);
	}
	memalloc_noio_restore(noio);
}

/*
 * Return: the result of writing a slice. If no request has written it, or one that direct
 * I/O did only in part or refused, write it now.
 */
static int capture_result(struct qcow_cache *cache, struct qcow_capture *c)
{
	if (c->first && c->first->err != -EAGAIN)
		return c->first->err;
	return qcow_file_pwrite(cache->file, capture_host_offset(cache, c), c->data,
				1UL << cache->slice_bits);
}

/**
 * qcow_cache_write() - write captured slices to the image file
 * @cache: the cache
 * @captured: from qcow_cache_capture(); it is sorted by host offset
 *
 * Nothing is synced. If a slice is not written, any of the others may be.
 *
 * Context: may sleep.
 *
 * Return: 0 or the first error.
 */
int qcow_cache_write(struct qcow_cache *cache, struct list_head *captured)
{
	struct qcow_capture *c;
	u32 nr = 0;
	int err;

	list_sort(NULL, captured, capture_compare);
	list_for_each_entry(c, captured, list) {
		c->first = NULL;
		nr++;
	}
	atomic_inc(&cache->file->busy);
	if (nr > 1)
		write_parallel(cache, captured, nr);
	atomic_dec(&cache->file->busy);
	list_for_each_entry(c, captured, list) {
		err = capture_result(cache, c);
		if (err)
			return err;
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
		clear_bit(QCOW_SLICE_CAPTURED, &c->slice->flags);
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
