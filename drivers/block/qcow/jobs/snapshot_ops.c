// SPDX-License-Identifier: GPL-2.0
/*
 * Making, deleting and applying internal snapshots, also while the disk is in use.
 * dev/job.c calls it.
 *
 * Own, write, publish, release: references are added and flushed before the header
 * names a table that has them, and dropped when it is durable that the header names it
 * no more. A power cut leaves too many references, never too few.
 *
 * A snapshot is the tree below the L1 table at one moment, for which I/O is held up.
 * From then on no L2 table is the disk's own: a write copies it first, and before that
 * all clusters that it refers to get their second reference. The others get it while
 * I/O goes on.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "jobs/snapshot_ops.h"
#include "meta/flush.h"
#include "meta/l1.h"
#include "meta/reclaim.h"
#include "meta/refcount.h"
#include "meta/release.h"
#include "meta/snapshot_table.h"
#include "meta/snapshot.h"
#include "meta/state.h"
#include "meta/tree.h"
#include "meta/writeback.h"

/* --- Common steps --- */

/* Set the message where the errno alone does not tell a person enough. */
static int snapshot_fail(const struct qcow_alloc *a, struct qcow_msg *msg, int err)
{
	switch (err) {
	case -ENOENT:
		return qcow_fail_as(msg, QCOW_MSG_NO_SNAPSHOT, err, "has no snapshot with that id or name");
	case -EEXIST:
		return qcow_fail(msg, err, "has a snapshot with that id or name already");
	case -EOVERFLOW:
		return qcow_fail(msg, err, "has refcounts of %u bits, which leave no room for another snapshot",
				 qcow_refcount_bits(a));
	case -EMLINK:
		return qcow_fail(msg, err, "has as many snapshots as there can be");
	case -EFBIG:
		return qcow_fail(msg, err, "has clusters too small for another table of that size");
	case -ENOBUFS:
		return qcow_fail(msg, -EFBIG, "the snapshot has more tables than this machine has the memory to write");
	case -E2BIG:
		return qcow_advise(msg, -EFBIG, "has snapshots whose L1 tables take 1 GiB together, which leaves no room for another one; delete some");
	case -EUCLEAN:
		return qcow_advise(msg, -EIO, "is damaged; see qcowctl check");
	case -EINTR:
		return qcow_advise(msg, err, "was interrupted; the disk is as it was");
	case -ESTALE:
		return qcow_advise(msg, -EIO, "says other things of its snapshots than before: somebody else has written to the file; detach it and see qcowctl check");
	}
	return err;
}

static int snapshot_supported(const struct qcow_image *img, struct qcow_msg *msg)
{
	if (img->layout.version < 2)
		return qcow_fail_as(msg, QCOW_MSG_UNSUPPORTED, -EOPNOTSUPP, "has no snapshots: it is not a qcow2 image");
	if (img->layout.data_file)
		return qcow_fail_as(msg, QCOW_MSG_UNSUPPORTED, -EOPNOTSUPP, "has an external data file, and so no snapshots");
	if (!img->alloc)
		return qcow_fail_as(msg, QCOW_MSG_READ_ONLY, -EROFS, "is attached read-only");
	if (qcow_image_stopped(img))
		return qcow_advise(msg, -EIO, "is marked corrupt; detach it and see qcowctl check");
	if (img->alloc->failed)
		return qcow_advise(msg, -EIO, "cannot be written any more; see the kernel log");
	return 0;
}

/* Hold I/O up. New requests wait from @since on. */
static int pause_stop(struct qcow_snapshot_request *req, u64 *since)
{
	u64 called = ktime_get_ns();
	int err = req->pause->stop(req->pause);

	*since = max(called, req->pause->since);
	return err;
}

static void pause_go(struct qcow_snapshot_request *req, u64 since)
{
	req->stopped_ns = ktime_get_ns() - since;
	req->pause->go(req->pause);
}

/**
 * struct snapshot_op - an operation on snapshots under way
 * @a: of the image
 * @t: the snapshot table, loaded
 * @req: argument and result
 * @msg: says why it failed
 */
struct snapshot_op {
	struct qcow_alloc *a;
	struct qcow_snapshot_table t;
	struct qcow_snapshot_request *req;
	struct qcow_msg *msg;
};

/* Load the snapshot table and run one operation on it. */
static int snapshot_run(struct qcow_image *img, struct qcow_snapshot_request *req,
			struct qcow_msg *msg, int (*run)(struct snapshot_op *op))
{
	struct snapshot_op op = { .a = img->alloc, .req = req, .msg = msg };
	int err;

	err = snapshot_supported(img, msg);
	if (err)
		return err;
	err = qcow_snapshot_table_load(op.a, &op.t) ?: run(&op);
	qcow_snapshot_table_free(&op.t);
	return err ? snapshot_fail(op.a, msg, err) : 0;
}

/* Find the snapshot that the request names, and return its id in the request. */
static int snapshot_find(struct snapshot_op *op, struct qcow_snapshot_entry *e)
{
	struct qcow_snapshot_request *req = op->req;
	int err = qcow_snapshot_table_find(op->a, &op->t, req->name, e);
	u32 len;

	if (err)
		return err;
	len = min_t(u32, e->s.id_len, sizeof(req->id) - 1);
	memcpy(req->id, op->t.buf + e->in_table + e->s.id_in_entry, len);
	req->id[len] = 0;
	return 0;
}

/*
 * Read the L1 table of a snapshot, in the CPU's byte order, with memory for @room
 * entries at least. It has to lie in clusters that are registered as one, since its
 * entries decide which clusters are released.
 */
static int read_l1(struct qcow_alloc *a, const struct qcow_snapshot *s, u32 room,
		   u64 **table)
{
	u32 size = max(s->l1_size, room), i;
	u64 *l1;
	int err;

	if (!qcow_register_holds(&a->reg, QCOW_META_INACTIVE_L1, s->l1_table_offset,
				 s->l1_size * sizeof(*l1)))
		return -ESTALE;
	l1 = kvcalloc(size, sizeof(*l1), GFP_NOIO);
	if (!l1)
		return -ENOMEM;
	err = qcow_file_pread(&a->img->file, s->l1_table_offset, l1,
			      s->l1_size * sizeof(*l1));
	if (err) {
		kvfree(l1);
		return err;
	}
	for (i = 0; i < s->l1_size; i++)
		l1[i] = be64_to_cpu(((__force __be64 *)l1)[i]);
	*table = l1;
	return 0;
}

/* After references were dropped: set missing COPIED flags, and flush. */
static void settle(struct qcow_alloc *a)
{
	int err;

	/* Refcounts include dropped references until they are reclaimed. */
	err = qcow_reclaim_settle(a) ?: qcow_tree_own(a);
	if (!err)
		err = qcow_flush(a);
	if (!err)
		return;
	pr_warn("%s: snapshots: refcounts or COPIED flags are left behind: error %d; see qcowctl check\n",
		a->img->label, err);
	qcow_writeback_soon(a);
}

/* --- Create --- */

/**
 * struct share - giving all clusters of the disk a second reference
 * @base: the hook that writes call first
 * @a: of the image
 * @l1: copy of the L1 table at the moment of the snapshot, offsets only
 * @size: entries in it
 * @done: a bit for each entry: its L2 table, and all clusters that this refers to, have
 *	the second reference
 * @err: the first error
 *
 * From that moment on no L2 table is the disk's own, so none of @l1 changes. a->l1.lock
 * protects the members below @l1.
 */
struct share {
	struct qcow_share base;
	struct qcow_alloc *a;
	u64 *l1;
	u32 size;
	unsigned long *done;
	int err;
};

/* Called before a write copies a table, and by share_all() for all of them. */
static void share_table(struct qcow_share *base, u32 i)
{
	struct share *sh = container_of(base, struct share, base);
	u64 l2_host_offset;
	int err;

	lockdep_assert_held(&sh->a->l1.lock);
	if (sh->err || i >= sh->size || test_bit(i, sh->done))
		return;
	err = qcow_entry_l1(&sh->a->img->layout, sh->l1[i], &l2_host_offset);
	if (err)
		err = -EUCLEAN;
	else if (l2_host_offset)
		err = qcow_tree_raise_table(sh->a, l2_host_offset);
	sh->err = err;
	if (!err)
		__set_bit(i, sh->done);
}

/* The moment of the snapshot. Writes that were in place have to map again. */
static int share_begin(struct share *sh, struct qcow_snapshot_request *req)
{
	struct qcow_alloc *a = sh->a;
	u64 *l1 = a->img->l1, since;
	int err;
	u32 i;

	err = pause_stop(req, &since);
	if (err)
		return err;
	mutex_lock(&a->l1.lock);
	mutex_lock(&a->lock);
	for (i = 0; i < sh->size; i++) {
		sh->l1[i] = l1[i] & QCOW_DISK_L1E_OFFSET_MASK;
		if (!(l1[i] & QCOW_DISK_E_COPIED))
			continue;
		WRITE_ONCE(l1[i], l1[i] & ~QCOW_DISK_E_COPIED);
		qcow_dirty_range_add(&a->l1.dirty, i);
	}
	a->l1.share = &sh->base;
	mutex_unlock(&a->lock);
	mutex_unlock(&a->l1.lock);
	pause_go(req, since);
	return 0;
}

/* Give all tables their second reference, while I/O goes on. */
static int share_all(struct share *sh)
{
	struct qcow_alloc *a = sh->a;
	int err = 0;
	u32 i;

	for (i = 0; !err && i < sh->size; i++) {
		qcow_tree_advance(a);
		if (!sh->l1[i])
			continue;
		mutex_lock(&a->l1.lock);
		share_table(&sh->base, i);
		err = sh->err;
		mutex_unlock(&a->l1.lock);
		qcow_tree_breathe(a);
		if (!err)
			err = qcow_image_interrupted(a->img);
	}
	mutex_lock(&a->l1.lock);
	a->l1.share = NULL;
	mutex_unlock(&a->l1.lock);
	return err;
}

static void share_undo(struct share *sh)
{
	u32 i;

	for (i = 0; i < sh->size; i++)
		if (!test_bit(i, sh->done))
			sh->l1[i] = 0;
	qcow_tree_lower(sh->a, sh->l1, sh->size);
	settle(sh->a);
}

static int share_init(struct share *sh, struct qcow_alloc *a)
{
	sh->base.table = share_table;
	sh->a = a;
	sh->size = a->img->l1_size;
	sh->l1 = kvcalloc(sh->size + 1, sizeof(*sh->l1), GFP_NOIO);
	sh->done = kvcalloc(BITS_TO_LONGS(sh->size + 1), sizeof(*sh->done),
			    GFP_NOIO);
	return sh->l1 && sh->done ? 0 : -ENOMEM;
}

static void share_free(struct share *sh)
{
	kvfree(sh->l1);
	kvfree(sh->done);
}

/* Publish the shared tree as a snapshot. */
static int create_publish(struct share *sh, struct qcow_snapshot_table *t,
			  struct qcow_snapshot *s,
			  const struct qcow_snapshot_request *req)
{
	struct qcow_alloc *a = sh->a;
	int err = 0;

	if (sh->size)
		err = qcow_l1_write(a, QCOW_META_INACTIVE_L1, sh->l1,
				    sh->size, &s->l1_table_offset);
	if (err)
		return err;
	err = qcow_snapshot_table_add(t, s, req->id, req->name);
	if (!err)
		err = qcow_snapshot_table_publish(a, t);
	if (!err)
		a->snapshots.l1_bytes += sh->size * sizeof(u64);
	if (err && !a->failed)
		qcow_release(a, s->l1_table_offset >> qcow_alloc_cluster_bits(a),
			     qcow_l1_clusters(a, sh->size));
	return err;
}

static int create_shared(struct qcow_alloc *a, struct qcow_snapshot_table *t,
			 struct qcow_snapshot_request *req)
{
	struct timespec64 now;
	struct qcow_snapshot s = {
		.id_len = strlen(req->id),
		.name_len = strlen(req->name),
		.l1_size = a->img->l1_size,
		.disk_size = a->img->size,
	};
	struct share sh = { };
	int err;

	qcow_image_expect(a->img, qcow_tree_bytes(a, s.l1_size));
	err = share_init(&sh, a);
	if (!err)
		err = qcow_reclaim_wait(a);
	if (!err)
		err = share_begin(&sh, req);
	if (err)
		goto free;
	ktime_get_real_ts64(&now);
	s.date_sec = now.tv_sec;
	s.date_nsec = now.tv_nsec;
	err = share_all(&sh);
	if (!err)
		err = create_publish(&sh, t, &s, req);
	/* If the header may name the snapshot, its references stay. */
	if (err && !a->failed)
		share_undo(&sh);
free:
	share_free(&sh);
	return err;
}

static int create_run(struct snapshot_op *op)
{
	struct qcow_snapshot_request *req = op->req;
	struct qcow_alloc *a = op->a;
	struct qcow_snapshot_entry e;
	int err;

	err = qcow_snapshot_table_find(a, &op->t, req->name, &e);
	if (err != -ENOENT)
		return err ?: -EEXIST;
	if (op->t.nr == QCOW_DISK_MAX_SNAPSHOTS)
		return -EMLINK;
	/* An attach would refuse the image. */
	if (a->snapshots.l1_bytes + a->img->l1_size * sizeof(u64) >
	    QCOW_SNAPSHOT_MAX_L1_BYTES)
		return -E2BIG;
	err = qcow_snapshot_table_new_id(a, &op->t, req->id, sizeof(req->id));
	return err ?: create_shared(a, &op->t, req);
}

/**
 * qcow_snapshot_create() - make a snapshot of the disk as it is
 * @img: the image; its I/O may go on
 * @req: argument and result
 * @msg: says why it failed
 *
 * Context: one operation on snapshots at a time; not from an I/O. May sleep.
 *
 * Return: 0: it is durable; or a negative errno.
 */
int qcow_snapshot_create(struct qcow_image *img, struct qcow_snapshot_request *req,
			 struct qcow_msg *msg)
{
	return snapshot_run(img, req, msg, create_run);
}

/* --- Delete --- */

static int delete_allowed(struct snapshot_op *op, const struct qcow_snapshot *s)
{
	struct qcow_snapshot_users *users = op->req->users;

	return users ? users->refuse(users, s->l1_table_offset, op->msg) : 0;
}

static int delete_run(struct snapshot_op *op)
{
	struct qcow_alloc *a = op->a;
	struct qcow_snapshot_entry e;
	u64 *l1;
	int err;

	err = snapshot_find(op, &e);
	if (!err)
		err = delete_allowed(op, &e.s);
	if (!err)
		err = read_l1(a, &e.s, 1, &l1);
	if (err)
		return err;
	qcow_image_expect(a->img, qcow_tree_bytes(a, e.s.l1_size) +
				  qcow_tree_bytes(a, a->img->l1_size));
	qcow_snapshot_table_remove(&op->t, &e);
	err = qcow_snapshot_table_publish(a, &op->t);
	if (!err) {
		a->snapshots.l1_bytes -= min_t(u64, a->snapshots.l1_bytes,
					       e.s.l1_size * sizeof(u64));
		qcow_tree_lower(a, l1, e.s.l1_size);
		qcow_release_now(a, e.s.l1_table_offset >> qcow_alloc_cluster_bits(a),
				 qcow_l1_clusters(a, e.s.l1_size));
		settle(a);
	}
	kvfree(l1);
	return err;
}

/* Warn of leaked space. A detach gives the same warning. */
static int delete_say_leaked(const struct qcow_image *img, bool before,
			     struct qcow_msg *msg)
{
	if (before || !test_bit(QCOW_IMAGE_LEAKED, &img->flags))
		return 0;
	return qcow_advise(msg, 0, "the snapshot is deleted, but space that only it had is leaked; have it back with qcowctl check --repair=leaks IMAGE, after a detach");
}

/**
 * qcow_snapshot_delete() - delete a snapshot
 * @img: the image; its I/O may go on
 * @req: argument and result
 * @msg: says why it failed
 *
 * Context: as qcow_snapshot_create().
 *
 * Return: 0: the snapshot is durably gone; -EBUSY: it is in use; or another error.
 */
int qcow_snapshot_delete(struct qcow_image *img, struct qcow_snapshot_request *req,
			 struct qcow_msg *msg)
{
	bool before = test_bit(QCOW_IMAGE_LEAKED, &img->flags);

	return snapshot_run(img, req, msg, delete_run) ?:
	       delete_say_leaked(img, before, msg);
}

/* --- Apply --- */

/*
 * Register the L2 tables that become active, so that guest data does not overwrite
 * them.
 */
static int apply_add_meta(struct qcow_alloc *a, const u64 *l1, u32 size)
{
	u64 l2_host_offset;
	int err = 0;
	u32 i;

	for (i = 0; !err && i < size; i++) {
		if (!(i % 1024))
			cond_resched();
		err = qcow_entry_l1(&a->img->layout, l1[i], &l2_host_offset);
		if (!err && !qcow_register_fits(&a->reg))
			err = -ENOBUFS;
		if (!err && l2_host_offset)
			err = qcow_register_add(&a->reg, QCOW_META_L2, l2_host_offset,
						1ULL << qcow_alloc_cluster_bits(a));
	}
	return err;
}

/*
 * The moment of the change, when the disk is not in use. @n is written and has its
 * references; afterwards it holds the old table.
 */
static int apply_publish(struct qcow_alloc *a, struct qcow_l1_new *n, u64 disk_size,
			 struct qcow_snapshot_request *req)
{
	u64 since;
	int err;

	err = pause_stop(req, &since);
	if (err)
		return err;
	err = qcow_l1_publish(a, n, disk_size);
	req->applied = !err;
	pause_go(req, since);
	return err;
}

/*
 * Switch to @l1, which has its references. The old tree loses its own while the disk is
 * used again.
 */
static int apply_switch(struct qcow_alloc *a, u64 *l1, u32 size, u64 disk_size,
			struct qcow_snapshot_request *req)
{
	u32 old_size = a->img->l1_size, i;
	struct qcow_l1_new n;
	int err;

	for (i = 0; i < size; i++)
		l1[i] &= QCOW_DISK_L1E_OFFSET_MASK;
	err = apply_add_meta(a, l1, size);
	if (!err)
		err = qcow_l1_prepare(a, l1, size, &n);
	if (err)
		return err;
	err = apply_publish(a, &n, disk_size, req);
	if (err) {
		qcow_l1_abandon(a, &n);
		return err;
	}
	qcow_tree_lower(a, n.table, old_size);
	settle(a);
	kvfree(n.table);
	return 0;
}

static int apply_found(struct qcow_alloc *a, const struct qcow_snapshot *s,
		       struct qcow_snapshot_request *req, struct qcow_msg *msg)
{
	u64 disk_size = s->disk_size ?: a->img->size;
	u64 *l1;
	int err;

	if (disk_size > S64_MAX ||
	    qcow_layout_l1_entries(&a->img->layout, disk_size) > s->l1_size)
		return qcow_advise(msg, -EIO, "the snapshot's L1 table is too small for its disk; see qcowctl check");
	if (disk_size < req->min_size)
		return qcow_fail(msg, -EINVAL, "the snapshot's disk ends before the piece that the device shows");
	err = read_l1(a, s, 1, &l1);
	if (err)
		return err;
	/* References are added, those of the old tree dropped, COPIED flags set. */
	qcow_image_expect(a->img, qcow_tree_bytes(a, a->img->l1_size) +
				  2 * qcow_tree_bytes(a, s->l1_size));
	err = qcow_tree_raise(a, l1, s->l1_size);
	if (!err) {
		err = apply_switch(a, l1, max(s->l1_size, 1U), disk_size, req);
		if (err && !a->failed)
			qcow_tree_lower(a, l1, s->l1_size);
	}
	/* The active tables may share some with it. */
	if (err && !a->failed)
		settle(a);
	kvfree(l1);
	return err;
}

static int apply_run(struct snapshot_op *op)
{
	struct qcow_snapshot_entry e;

	return snapshot_find(op, &e) ?: apply_found(op->a, &e.s, op->req, op->msg);
}

/**
 * qcow_snapshot_apply() - make the disk what it was when a snapshot was made
 * @img: the image; its I/O may go on until @req->pause->stop()
 * @req: argument and result
 * @msg: says why it failed
 *
 * The disk may have another size then. It is held up only for the write of the header;
 * references are added before, and dropped after that.
 *
 * Context: as qcow_snapshot_create().
 *
 * Return: 0: it is durable; or a negative errno.
 */
int qcow_snapshot_apply(struct qcow_image *img, struct qcow_snapshot_request *req,
			struct qcow_msg *msg)
{
	return snapshot_run(img, req, msg, apply_run);
}
