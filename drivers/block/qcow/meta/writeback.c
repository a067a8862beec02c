// SPDX-License-Identifier: GPL-2.0
/*
 * Writeback of metadata: how much is dirty, when a flush is due, and when none is
 * possible any more. Changes of metadata call it; flush.c does the flush.
 */
#include <linux/jiffies.h>

#include "file/cache.h"
#include "meta/writeback.h"

/* Flushes that fail in a row before changes of metadata are refused. */
#define WRITEBACK_PATIENCE	3

/**
 * qcow_writeback_caches_full() - tell whether a cache of metadata is at its limit
 * @a: of the image
 *
 * Context: any.
 *
 * Return: whether one is.
 */
bool qcow_writeback_caches_full(const struct qcow_alloc *a)
{
	return qcow_cache_full(a->img->cache) || qcow_cache_full(a->counts.cache);
}

/**
 * qcow_writeback_refused() - check that metadata may still be changed
 * @a: of the image
 *
 * As long as flushes fail, changes stay in memory, after a failed sync until detach.
 * The caches' limits bound that memory as soon as WRITEBACK_PATIENCE flushes have failed
 * in a row; until then changes are only slowed down. A flush that fails for lack of
 * memory sets no bound: without memory no slice becomes dirty.
 *
 * Context: any.
 *
 * Return: 0, or the error of the last flush.
 */
int qcow_writeback_refused(const struct qcow_alloc *a)
{
	int err = READ_ONCE(a->failed);

	if (!err && unlikely(READ_ONCE(a->flush.failures) >= WRITEBACK_PATIENCE))
		err = READ_ONCE(a->flush.result);
	if (likely(!err) || err == -ENOMEM)
		return 0;
	return qcow_cache_overfull(a->img->cache) ||
	       qcow_cache_overfull(a->counts.cache) ? err : 0;
}

/**
 * __qcow_writeback_flush() - flush a file of the image
 * @a: of the image
 * @f: its file or its data file
 *
 * Nobody can tell which writes a failed flush has lost. So after one no metadata is
 * written any more, and all later flushes of the image fail.
 *
 * Context: under a->store_lock, else a running flush would not hear of the
 * failure. May sleep.
 *
 * Return: 0; or -EIO: a->failed is set.
 */
int __qcow_writeback_flush(struct qcow_alloc *a, struct qcow_file *f)
{
	int err;

	lockdep_assert_held(&a->store_lock);
	err = qcow_file_sync(f);
	if (!err)
		return 0;
	if (!a->failed)
		pr_err("%s: could not be synced: error %d; flushes fail from now on\n",
		       a->img->label, err);
	a->failed = -EIO;
	return -EIO;
}

static bool writeback_crowded(const struct qcow_alloc *a)
{
	return qcow_cache_crowded(a->img->cache) ||
	       qcow_cache_crowded(a->counts.cache) ||
	       qcow_notes_crowded(&a->release.lost);
}

/**
 * qcow_writeback_full() - tell whether tasks that change metadata should wait for flushes
 * @a: of the image
 *
 * Context: any.
 *
 * Return: whether they should.
 */
bool qcow_writeback_full(const struct qcow_alloc *a)
{
	return qcow_writeback_caches_full(a) ||
	       qcow_notes_full(&a->release.count);
}

/**
 * qcow_writeback_later() - have a flush begin within QCOW_WRITEBACK_INTERVAL
 * @a: of the image
 *
 * Context: any.
 */
void qcow_writeback_later(struct qcow_alloc *a)
{
	queue_delayed_work(a->flush.wq, &a->flush.work,
			   msecs_to_jiffies(QCOW_WRITEBACK_INTERVAL));
}

/**
 * qcow_writeback_soon() - flush changed metadata in the background
 * @a: of the image
 *
 * Begins at once if much is dirty.
 *
 * Context: any.
 */
void qcow_writeback_soon(struct qcow_alloc *a)
{
	if (unlikely(writeback_crowded(a)) && !READ_ONCE(a->flush.result))
		mod_delayed_work(a->flush.wq, &a->flush.work, 0);
	else if (!delayed_work_pending(&a->flush.work))
		qcow_writeback_later(a);
}
