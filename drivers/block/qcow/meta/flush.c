// SPDX-License-Identifier: GPL-2.0
/*
 * Metadata flushes: making an image durable, in an order that survives a power cut.
 * Flush requests, jobs and a detach call qcow_flush(); writeback.c begins it in the
 * background.
 *
 * A flush takes copies, each table before the clusters that it refers to, so that the
 * cluster of a copied L2 entry is in the copied refcounts. It writes them the other way
 * round:
 *
 *	refcounts and guest data, sync		owned and written
 *	refcount table (new blocks), sync
 *	L2 tables, sync				published
 *	L1 table (new L2 tables), sync
 *	references that are gone are handed over	to reclaim.c
 *
 * A power cut between two steps leaks clusters, no more. A step without work is left
 * out with its sync.
 *
 * Where there is no memory for all copies of a kind, its step and those above it are
 * repeated, each time with as many copies as there is memory for. One of each kind is in
 * reserve, so that a flush goes on without any.
 */
#include <linux/blkdev.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "file/cache.h"
#include "meta/alloc.h"
#include "meta/flush.h"
#include "meta/header_write.h"
#include "meta/l2.h"
#include "meta/reclaim.h"
#include "meta/release.h"
#include "meta/trace.h"
#include "meta/writeback.h"

/**
 * struct captured_entries - copies of entries of a table
 * @range: the entries
 * @memory: allocated for copies, or NULL
 * @few: for QCOW_FLUSH_FEW copies if there is no memory
 * @data: the copies, in the form on disk: @memory or @few
 */
struct captured_entries {
	struct qcow_dirty_range range;
	__be64 *memory;
	__be64 *few;
	__be64 *data;
};

/**
 * struct flush - the copies of one flush
 * @a: of the image
 * @l1: captured entries of the L1 table
 * @l2: captured L2 slices
 * @table: captured entries of the refcount table
 * @refs: captured refcount slices
 * @data: guest data was written before @l2 was captured, and is not synced
 */
struct flush {
	struct qcow_alloc *a;
	struct captured_entries l1;
	struct list_head l2;
	struct captured_entries table;
	struct list_head refs;
	bool data;
};

static bool range_empty(const struct qcow_dirty_range *r)
{
	return r->lo >= r->hi;
}

/* --- Copies --- */

/* Round a range to sectors, up to the end of the table. */
static struct qcow_dirty_range round_range(struct qcow_dirty_range r, u32 size)
{
	if (range_empty(&r))
		return r;
	r.lo = round_down(r.lo, SECTOR_SIZE / sizeof(u64));
	r.hi = min_t(u32, round_up(r.hi, SECTOR_SIZE / sizeof(u64)), size);
	return r;
}

/* Allocate memory for @room copies, or fall back on @few. Return: copies it has room for. */
static u32 entries_room(struct captured_entries *c, u32 room)
{
	kvfree(c->memory);
	c->memory = kvmalloc_array(room, sizeof(*c->data), GFP_NOIO);
	c->data = c->memory ?: c->few;
	return c->memory ? room : QCOW_FLUSH_FEW;
}

/* Copy the entries of @c, and shorten @dirty by them. Context: under a->lock. */
static void __copy_entries(const u64 *table, struct qcow_dirty_range *dirty,
			   struct captured_entries *c)
{
	u32 i;

	for (i = c->range.lo; i < c->range.hi; i++)
		c->data[i - c->range.lo] = cpu_to_be64(table[i]);
	dirty->lo = c->range.hi;
	if (range_empty(dirty))
		*dirty = (struct qcow_dirty_range) { };
}

/*
 * Copy the entries of a table that are dirty. The memory is taken without the
 * lock, so the range may grow in between. Return: whether all were copied; if not, some
 * were.
 */
static bool capture_entries(struct qcow_alloc *a, u64 *const *table,
			    const u32 *size, struct qcow_dirty_range *dirty,
			    struct captured_entries *c)
{
	u32 room = 0;
	bool all;

	for (;;) {
		mutex_lock(&a->lock);
		c->range = round_range(*dirty, *size);
		if (range_empty(dirty) || c->range.hi - c->range.lo <= room ||
		    (room && !c->memory))
			break;
		room = c->range.hi - c->range.lo;
		mutex_unlock(&a->lock);
		room = entries_room(c, room);
	}
	all = range_empty(dirty) || c->range.hi - c->range.lo <= room;
	if (!all)
		c->range.hi = c->range.lo + room;
	if (!range_empty(dirty))
		__copy_entries(*table, dirty, c);
	mutex_unlock(&a->lock);
	return all;
}

/* Drop copied entries; if they were not written, they are dirty again. */
static void forget_entries(struct qcow_alloc *a, struct qcow_dirty_range *dirty,
			   struct captured_entries *c, bool written)
{
	mutex_lock(&a->lock);
	if (!written && !range_empty(&c->range)) {
		qcow_dirty_range_add(dirty, c->range.lo);
		qcow_dirty_range_add(dirty, c->range.hi - 1);
	}
	mutex_unlock(&a->lock);
	c->range = (struct qcow_dirty_range) { };
}

/* --- Steps --- */

static int write_entries(struct qcow_alloc *a, u64 host_offset,
			 const struct captured_entries *c)
{
	return qcow_file_pwrite(&a->img->file, host_offset + c->range.lo * sizeof(u64),
				c->data, (c->range.hi - c->range.lo) * sizeof(u64));
}

static int flush_sync(struct flush *c)
{
	return __qcow_writeback_flush(c->a, &c->a->img->file);
}

/*
 * Write the refcount slices that are dirty now. Slices count as written before the sync,
 * here and in flush_l2(): if that fails, nothing is written any more.
 */
static int flush_refs(struct flush *c, bool *any)
{
	struct qcow_cache *cache = c->a->counts.cache;
	u32 left = qcow_cache_nr_dirty(cache);
	int err = 0;

	while (left && !err) {
		qcow_cache_capture(cache, &c->refs, &left);
		*any |= !list_empty(&c->refs);
		err = qcow_cache_write(cache, &c->refs);
		qcow_cache_forget(cache, &c->refs, !err);
	}
	return err;
}

static int flush_owned(struct flush *c)
{
	bool any = false;
	int err;

	err = flush_refs(c, &any);
	if (!err && c->data && c->a->img->layout.data_file) {
		err = __qcow_writeback_flush(c->a, c->a->img->data);
		c->data = false;
	}
	if (err || !(any || c->data))
		return err;
	c->data = false;
	return flush_sync(c);
}

static int flush_table(struct flush *c)
{
	struct qcow_alloc *a = c->a;
	int err;

	if (range_empty(&c->table.range))
		return 0;
	err = write_entries(a, a->counts.table_host_offset, &c->table);
	return err ?: flush_sync(c);
}

/* Make durable all that the captured L2 slices refer to: guest data, and refcounts. */
static int flush_counts(struct flush *c)
{
	struct qcow_alloc *a = c->a;
	bool all;
	int err;

	do {
		all = capture_entries(a, &a->counts.table, &a->counts.table_room,
				      &a->counts.table_dirty, &c->table);
		err = flush_owned(c);
		if (!err)
			err = flush_table(c);
		forget_entries(a, &a->counts.table_dirty, &c->table, !err);
	} while (!err && !all);
	return err;
}

/* Make the L2 slices durable that are dirty now, after all that they refer to. */
static int flush_l2(struct flush *c)
{
	struct qcow_cache *cache = c->a->img->cache;
	u32 left = qcow_cache_nr_dirty(cache);
	bool any = left;
	int err;

	do {
		qcow_cache_capture(cache, &c->l2, &left);
		c->data |= xchg(&c->a->unsynced, false);
		err = flush_counts(c);
		if (!err)
			err = qcow_cache_write(cache, &c->l2);
		qcow_cache_forget(cache, &c->l2, !err);
	} while (!err && left);
	return err ?: any ? flush_sync(c) : 0;
}

/* Make the L1 entries durable that are dirty now, after all that they refer to. */
static int flush_l1(struct flush *c)
{
	struct qcow_alloc *a = c->a;
	bool all;
	int err;

	do {
		all = capture_entries(a, &a->img->l1, &a->img->l1_size, &a->l1.dirty,
				      &c->l1);
		err = flush_l2(c);
		if (!err && !range_empty(&c->l1.range))
			err = write_entries(a, a->l1.host_offset, &c->l1) ?: flush_sync(c);
		forget_entries(a, &a->l1.dirty, &c->l1, !err);
	} while (!err && !all);
	return err;
}

static int __flush(struct qcow_alloc *a)
{
	struct flush c = {
		.a = a,
		.l1.few = a->flush.few[0],
		.l2 = LIST_HEAD_INIT(c.l2),
		.table.few = a->flush.few[1],
		.refs = LIST_HEAD_INIT(c.refs),
	};
	int err;

	mutex_lock(&a->store_lock);
	err = __qcow_writeback_over(a);
	if (!err) {
		qcow_release_take(a);
		err = flush_l1(&c);
	}
	kvfree(c.l1.memory);
	kvfree(c.table.memory);
	if (err)
		WRITE_ONCE(a->unsynced, true);
	mutex_unlock(&a->store_lock);
	wake_up_all(&a->flush.stored);
	qcow_release_finish(a, !err);
	qcow_reclaim_soon(a);
	return err;
}

/**
 * qcow_flush() - make all data and metadata durable
 * @a: of the image
 *
 * Not for an I/O of this image, which a flush may wait for.
 *
 * Context: may sleep.
 *
 * Return: 0, or an error. After a failed write the changes stay in memory for the next
 * attempt. A failed sync is final, since nobody can tell which data it lost, and so is
 * damage of the image.
 */
int qcow_flush(struct qcow_alloc *a)
{
	u64 enough = atomic64_read(&a->flush.begun) + 1;
	u64 begun;
	int err;

	mutex_lock(&a->flush.lock);
	/* A flush that began meanwhile has done it. */
	if (atomic64_read(&a->flush.begun) < enough || a->flush.result) {
		atomic64_inc(&a->flush.begun);
		begun = ktime_get_ns();
		WRITE_ONCE(a->flush.result, __flush(a));
		trace_qcow_flush(a->img->label, ktime_get_ns() - begun, a->flush.result);
		WRITE_ONCE(a->flush.failures,
			   a->flush.result ? a->flush.failures + 1 : 0);
		qcow_image_flushed(a->img, a->flush.result);
	}
	err = a->flush.result;
	mutex_unlock(&a->flush.lock);
	return err;
}

/* Make guest data durable. Under a->store_lock. */
static int flush_data(struct qcow_alloc *a)
{
	int err;

	if (!xchg(&a->unsynced, false))
		return 0;
	err = __qcow_writeback_flush(a, a->img->data);
	if (err)
		WRITE_ONCE(a->unsynced, true);
	return err;
}

/* Return: true if a piece of the disk is durable now, without any metadata being written. */
static bool flush_in_place(struct qcow_alloc *a, u64 guest_offset, u64 len)
{
	bool durable;

	mutex_lock(&a->flush.lock);
	mutex_lock(&a->store_lock);
	/* A flush that failed may have left slices that count as written, and are not synced. */
	durable = !a->flush.result && !__qcow_writeback_over(a) &&
		  qcow_l2_durable(a, guest_offset, len) && !flush_data(a);
	mutex_unlock(&a->store_lock);
	mutex_unlock(&a->flush.lock);
	return durable;
}

/**
 * qcow_flush_range() - make completed writes of a piece of the disk durable
 * @a: of the image
 * @guest_offset: bytes into the disk
 * @len: bytes, at least 1
 *
 * Where all entries of the piece are durable, only data is synced. Else all is flushed.
 *
 * Context: as qcow_flush().
 *
 * Return: as qcow_flush().
 */
int qcow_flush_range(struct qcow_alloc *a, u64 guest_offset, u64 len)
{
	return flush_in_place(a, guest_offset, len) ? 0 : qcow_flush(a);
}

/* --- In the background --- */

static void flush_in_worker(struct work_struct *work)
{
	struct qcow_alloc *a =
		container_of(to_delayed_work(work), struct qcow_alloc, flush.work);
	unsigned int flags = qcow_worker_begin();

	int err;

	/* The changes stay in memory; the next flush reports the failure. */
	err = qcow_flush(a);
	if (err && !__qcow_writeback_over(a)) {
		pr_err_ratelimited("%s: metadata could not be written: error %d; trying again\n",
				   a->img->label, err);
		qcow_writeback_later(a);
	}
	qcow_worker_end(flags);
}

/* Version 2 has no bit for it. */
static void flush_corrupt_work(struct work_struct *work)
{
	struct qcow_alloc *a = container_of(work, struct qcow_alloc, flush.corrupt_work);
	int err;

	err = qcow_header_set_features(a, QCOW_FEATURES_INCOMPATIBLE,
				       QCOW_DISK_INCOMPAT_CORRUPT, 0);
	if (err)
		pr_err("%s: could not be marked corrupt: error %d\n",
		       a->img->label, err);
}

/**
 * qcow_flush_mark_corrupt() - mark an image corrupt in its header
 * @img: the image, which is written
 *
 * A worker sets the bit.
 *
 * Context: any.
 */
void qcow_flush_mark_corrupt(struct qcow_image *img)
{
	qcow_writeback_queue(img->alloc, &img->alloc->flush.corrupt_work);
}

void qcow_flush_init(struct qcow_alloc *a)
{
	INIT_DELAYED_WORK(&a->flush.work, flush_in_worker);
	INIT_WORK(&a->flush.corrupt_work, flush_corrupt_work);
	qcow_reclaim_setup(a);
	qcow_cache_set_writeback(a->img->cache, a->flush.wq, &a->flush.work);
	qcow_cache_set_writeback(a->counts.cache, a->flush.wq, &a->flush.work);
}

/**
 * qcow_flush_throttle() - have a task that changes metadata wait for flushes
 * @a: of the image
 *
 * Not longer than QCOW_FLUSH_THROTTLE: a flush may wait for the caller's I/O.
 *
 * Context: may sleep.
 */
void qcow_flush_throttle(struct qcow_alloc *a)
{
	if (likely(!qcow_writeback_full(a)) || READ_ONCE(a->failed))
		return;
	qcow_writeback_soon(a);
	if (qcow_notes_full(&a->release.count))
		qcow_reclaim_hurry(a);
	wait_event_timeout(a->flush.stored, !qcow_writeback_full(a),
			   msecs_to_jiffies(QCOW_FLUSH_THROTTLE));
}

/**
 * qcow_flush_stop() - end flushes in the background
 * @a: of the image; no I/O is under way
 *
 * Context: may sleep.
 */
void qcow_flush_stop(struct qcow_alloc *a)
{
	qcow_cache_set_writeback(a->img->cache, NULL, NULL);
	qcow_cache_set_writeback(a->counts.cache, NULL, NULL);
	qcow_reclaim_stop(a);
	cancel_delayed_work_sync(&a->flush.work);
	flush_work(&a->flush.corrupt_work);
}

/**
 * qcow_flush_close() - flush for the last time, and give reserved clusters back
 * @a: of the image; no I/O is under way
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_flush_close(struct qcow_alloc *a)
{
	int err;

	qcow_flush_stop(a);
	qcow_alloc_return_pool(a);
	err = qcow_flush(a);
	/* Refcounts of clusters that the flush released have to be written, too. */
	if (!err) {
		qcow_reclaim_finish(a);
		err = qcow_flush(a);
	}
	if (!err)
		qcow_alloc_trim(a);
	return err;
}
