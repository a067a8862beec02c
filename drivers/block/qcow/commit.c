// SPDX-License-Identifier: GPL-2.0
/*
 * Making an image's state durable: the order that survives a power cut.
 *
 * qcow_commit() reads top to bottom as that order. What refers is copied first
 * and what it refers to after that, so that a copied L2 entry's cluster is in
 * the copied refcounts; then they are written the other way round:
 *
 *	refcounts and guest data, sync		owned and written
 *	refcount table (new blocks), sync
 *	L2 tables, sync				published
 *	L1 table (new L2 tables), sync
 *	references that are gone are released	in memory, for the next commit
 *
 * A power cut between any two leaks clusters, no more. Steps that have nothing
 * to do are left out with their sync.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "cache.h"
#include "commit.h"

/**
 * struct captured_entries - entries of a table as they were at one moment
 * @range: which
 * @data: as on disk
 */
struct captured_entries {
	struct qcow_dirty_range range;
	__be64 *data;
};

/**
 * struct commit - what one commit makes durable
 * @a: of the image
 * @l1: captured entries of the L1 table
 * @l2: captured L2 slices
 * @table: captured entries of the refcount table
 * @refs: captured refcount slices
 * @releases: references that are gone with it
 * @data: guest data was written before it began
 */
struct commit {
	struct qcow_alloc *a;
	struct captured_entries l1;
	struct list_head l2;
	struct captured_entries table;
	struct list_head refs;
	struct list_head releases;
	bool data;
};

static bool range_empty(const struct qcow_dirty_range *r)
{
	return r->lo >= r->hi;
}

/* --- What there is to do --- */

/*
 * Copy the entries of a table that are dirty. The memory is taken without the
 * lock, so the range may grow in between.
 */
static int capture_entries(struct qcow_alloc *a, const u64 *table,
			   struct qcow_dirty_range *dirty,
			   struct captured_entries *c)
{
	u32 room = 0, i;

	for (;;) {
		mutex_lock(&a->lock);
		c->range = *dirty;
		if (range_empty(dirty) || dirty->hi - dirty->lo <= room)
			break;
		room = dirty->hi - dirty->lo;
		mutex_unlock(&a->lock);
		kvfree(c->data);
		c->data = kvmalloc_array(room, sizeof(*c->data), GFP_NOIO);
		if (!c->data) {
			c->range = (struct qcow_dirty_range) { };
			return -ENOMEM;
		}
	}
	for (i = 0; i < c->range.hi - c->range.lo; i++)
		c->data[i] = cpu_to_be64(table[c->range.lo + i]);
	*dirty = (struct qcow_dirty_range) { };
	mutex_unlock(&a->lock);
	return 0;
}

/* They were not made durable: they are dirty again. */
static void forget_entries(struct qcow_alloc *a, struct qcow_dirty_range *dirty,
			   struct captured_entries *c, bool written)
{
	mutex_lock(&a->lock);
	if (!written && !range_empty(&c->range)) {
		qcow_dirty_range_add(dirty, c->range.lo);
		qcow_dirty_range_add(dirty, c->range.hi - 1);
	}
	mutex_unlock(&a->lock);
	kvfree(c->data);
}

/* From what refers to what is referred to. */
static int commit_capture(struct commit *c)
{
	struct qcow_alloc *a = c->a;
	int err;

	qcow_alloc_take_releases(a, &c->releases);
	err = capture_entries(a, a->img->l1, &a->l1_dirty, &c->l1);
	if (!err)
		err = qcow_cache_capture(a->img->cache, &c->l2);
	c->data = xchg(&a->unsynced, false);
	if (!err)
		err = capture_entries(a, a->table, &a->table_dirty, &c->table);
	if (!err)
		err = qcow_cache_capture(a->refs, &c->refs);
	return err;
}

/* --- Steps --- */

static int write_entries(struct qcow_alloc *a, u64 offset,
			 const struct captured_entries *c)
{
	return qcow_file_pwrite(&a->img->file,
				offset + c->range.lo * sizeof(u64), c->data,
				(c->range.hi - c->range.lo) * sizeof(u64));
}

static int commit_sync(struct commit *c)
{
	return qcow_file_sync(&c->a->img->file);
}

static int commit_owned(struct commit *c)
{
	int err;

	if (list_empty(&c->refs) && !c->data)
		return 0;
	err = qcow_cache_write(c->a->refs, &c->refs);
	return err ?: commit_sync(c);
}

static int commit_table(struct commit *c)
{
	struct qcow_alloc *a = c->a;
	int err;

	if (range_empty(&c->table.range))
		return 0;
	err = write_entries(a, a->table_offset, &c->table);
	return err ?: commit_sync(c);
}

static int commit_l2(struct commit *c)
{
	int err;

	if (list_empty(&c->l2))
		return 0;
	err = qcow_cache_write(c->a->img->cache, &c->l2);
	return err ?: commit_sync(c);
}

static int commit_l1(struct commit *c)
{
	struct qcow_alloc *a = c->a;
	int err;

	if (range_empty(&c->l1.range))
		return 0;
	err = write_entries(a, a->l1_offset, &c->l1);
	return err ?: commit_sync(c);
}

static int commit_steps(struct commit *c)
{
	int err;

	err = commit_owned(c);
	if (!err)
		err = commit_table(c);
	if (!err)
		err = commit_l2(c);
	if (!err)
		err = commit_l1(c);
	return err;
}

static int __commit(struct qcow_alloc *a)
{
	struct commit c = {
		.a = a,
		.l2 = LIST_HEAD_INIT(c.l2),
		.refs = LIST_HEAD_INIT(c.refs),
		.releases = LIST_HEAD_INIT(c.releases),
	};
	int err;

	err = commit_capture(&c);
	if (!err)
		err = commit_steps(&c);
	qcow_cache_forget(a->img->cache, &c.l2, !err);
	qcow_cache_forget(a->refs, &c.refs, !err);
	forget_entries(a, &a->l1_dirty, &c.l1, !err);
	forget_entries(a, &a->table_dirty, &c.table, !err);
	if (err)
		WRITE_ONCE(a->unsynced, true);
	qcow_alloc_do_releases(a, &c.releases, !err);
	return err;
}

/**
 * qcow_commit() - make all that was written until now durable
 * @a: of the image
 *
 * Not from an I/O of this image that others could wait for. May sleep.
 *
 * Return: 0; -ENOSPC or -ENOMEM: nothing is lost, try again when there is room;
 * or an error that stays: what it lost cannot be told, so nothing is promised
 * any more.
 */
int qcow_commit(struct qcow_alloc *a)
{
	int err;

	mutex_lock(&a->commit_lock);
	err = a->failed ?: __commit(a);
	if (err && err != -ENOSPC && err != -ENOMEM && !a->failed) {
		a->failed = err;
		pr_err("%s: metadata could not be written: error %d; flushes fail from now on\n",
		       a->img->label, err);
	}
	mutex_unlock(&a->commit_lock);
	return err;
}

static void commit_work(struct work_struct *work)
{
	struct qcow_alloc *a = container_of(to_delayed_work(work),
					    struct qcow_alloc, work);

	/* Said already; the next flush fails. */
	if (qcow_commit(a))
		return;
}

void qcow_commit_init(struct qcow_alloc *a)
{
	INIT_DELAYED_WORK(&a->work, commit_work);
}

/**
 * qcow_commit_soon() - metadata was changed: commit it in the background
 * @a: of the image
 * @wq: where
 */
void qcow_commit_soon(struct qcow_alloc *a, struct workqueue_struct *wq)
{
	queue_delayed_work(wq, &a->work, msecs_to_jiffies(QCOW_COMMIT_INTERVAL));
}

/**
 * qcow_commit_close() - commit for the last time, leaving nothing reserved
 * @a: of the image; no I/O is under way
 *
 * May sleep. Return: 0 or a negative errno.
 */
int qcow_commit_close(struct qcow_alloc *a)
{
	int err;

	cancel_delayed_work_sync(&a->work);
	qcow_alloc_return_pool(a);
	err = qcow_commit(a);
	/* What it released has to be written, too. */
	return err ?: qcow_commit(a);
}
