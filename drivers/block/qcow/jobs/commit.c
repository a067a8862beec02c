// SPDX-License-Identifier: GPL-2.0
/*
 * Commit: copying an image's data into its backing file, and then emptying the image.
 * dev/job_commit.c calls it.
 *
 * The disk is in use meanwhile. The image hides the copies below it, so the disk reads
 * the same all the time. Writes mark pieces, which are copied once more; the last of
 * them while no request is under way. When all data is in the backing file, durably,
 * one write of the image's header empties the image. A power cut at any moment leaves a
 * disk that reads the same.
 */
#include <linux/bitops.h>
#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "data/read.h"
#include "data/write.h"
#include "data/zero.h"
#include "file/space.h"
#include "jobs/commit.h"
#include "jobs/resize.h"
#include "meta/bitmap.h"
#include "meta/flush.h"
#include "meta/fmt.h"
#include "meta/image.h"
#include "meta/l1.h"
#include "meta/map.h"
#include "meta/reclaim.h"
#include "meta/snapshot.h"
#include "meta/tree.h"
#include "meta/writeback.h"

/* Most bytes that are read and written at once. */
#define COMMIT_CHUNK	SZ_1M

/* Most bytes that are made zeros at once. */
#define COMMIT_ZERO_CHUNK SZ_1G

/* Most bytes of a run of pieces, whose writers are waited for together. */
#define COMMIT_RUN SZ_16M

/* When no more bytes are left, the last step begins. */
#define COMMIT_LAST SZ_4M

/* Most bytes that the last step copies while requests wait. */
#define COMMIT_REST SZ_32M

/*
 * After so many flushes ahead of a last step that found too much to copy, the step no
 * longer waits for another flush.
 */
#define COMMIT_SETTLES 3

/* Least and most bytes that are copied at a time to slow writers down. */
#define COMMIT_PRESS SZ_8M
#define COMMIT_PRESS_MAX SZ_256M

/* Most bytes of a data file that are punched out under one lock; whole clusters. */
#define COMMIT_PUNCH SZ_64M

/* Most bits of the bitmap. */
#define COMMIT_MAX_NR BIT_ULL(24)

/* --- The bitmap of pieces to copy --- */

static void todo_free(struct qcow_bitmap *todo)
{
	if (!todo)
		return;
	kvfree(todo->bits);
	kfree(todo);
}

/* Make the bitmap, with all of the disk marked. */
static struct qcow_bitmap *todo_alloc(u64 size, u32 shift)
{
	struct qcow_bitmap *todo = kzalloc(sizeof(*todo), GFP_KERNEL);

	if (!todo)
		return NULL;
	while (size >> shift >= COMMIT_MAX_NR)
		shift++;
	todo->e.granularity_bits = shift;
	todo->nr_bits = (size + (1ULL << shift) - 1) >> shift;
	todo->bits = kvcalloc(BITS_TO_LONGS(todo->nr_bits + 1),
			      sizeof(long), GFP_KERNEL);
	if (!todo->bits) {
		todo_free(todo);
		return NULL;
	}
	if (size)
		__qcow_bitmap_mark(todo, 0, size);
	return todo;
}

/**
 * qcow_commit_left() - count bytes of the disk that are still to be copied
 * @commit: the commit
 *
 * Return: bytes.
 */
u64 qcow_commit_left(const struct qcow_commit *commit)
{
	return commit->done ? 0 : __qcow_bitmap_dirty_bytes(commit->img, commit->todo);
}

/* --- Life --- */

/**
 * qcow_commit_check() - check that an image may be committed
 * @img: the image, which is written
 * @msg: says why not
 *
 * Context: any.
 *
 * Return: 0 or a negative errno.
 */
int qcow_commit_check(const struct qcow_image *img, struct qcow_msg *msg)
{
	if (!img->backing)
		return qcow_fail_as(msg, QCOW_MSG_NO_BACKING, -EINVAL, "has no backing file");
	if (img->backing->ops == &qcow_fmt_map)
		return qcow_advise(msg, -EOPNOTSUPP, "has a backing file of a format that is only read; use qcowctl stream, which leaves it out");
	if (qcow_snapshot_nr(img))
		return qcow_advise(msg, -EOPNOTSUPP, "has snapshots, which need the backing file as it is; delete them first");
	if (img->layout.version == 1)
		return qcow_advise(msg, -EOPNOTSUPP, "is qcow version 1, which cannot be emptied; use qemu-img commit while it is not attached");
	return 0;
}

/**
 * qcow_commit_create() - set up a commit
 * @img: the image, which is written
 * @shift: log2 of the bytes of a piece; larger for a large disk
 *
 * Context: may sleep.
 *
 * Return: the commit, or NULL.
 */
struct qcow_commit *qcow_commit_create(struct qcow_image *img, u32 shift)
{
	struct qcow_commit *commit = kzalloc(sizeof(*commit), GFP_KERNEL);

	if (!commit)
		return NULL;
	commit->img = img;
	commit->todo = todo_alloc(img->size, shift);
	if (!commit->todo) {
		kfree(commit);
		return NULL;
	}
	commit->before = img->size;
	return commit;
}

/**
 * qcow_commit_begin() - have writes mark pieces from now on
 * @commit: the commit
 *
 * The backing file is open for writing. From now on its released clusters wait for I/O
 * of the image, too.
 *
 * Context: no I/O is under way. May sleep.
 */
void qcow_commit_begin(struct qcow_commit *commit)
{
	struct qcow_alloc *below = commit->img->backing->alloc;

	qcow_bitmap_set_todo(commit->img, commit->todo);
	if (below)
		qcow_reclaim_set_above(below, &commit->img->alloc->inflight);
}

/**
 * qcow_commit_end() - undo qcow_commit_begin()
 * @commit: the commit
 *
 * The backing file is not closed yet.
 *
 * Context: no I/O is under way. May sleep.
 */
void qcow_commit_end(struct qcow_commit *commit)
{
	struct qcow_alloc *below = commit->img->backing->alloc;

	qcow_bitmap_set_todo(commit->img, NULL);
	if (below)
		qcow_reclaim_set_above(below, NULL);
}

void qcow_commit_free(struct qcow_commit *commit)
{
	if (!commit)
		return;
	todo_free(commit->todo);
	kvfree(commit->old);
	kfree(commit);
}

/**
 * struct below_growth - growth of the backing file's disk
 * @ops: for qcow_resize()
 * @below: the backing file
 */
struct below_growth {
	struct qcow_resize_ops ops;
	struct qcow_image *below;
};

/* Let the image above read the new part of the backing file. */
static int below_show(struct qcow_resize_ops *ops, u64 bytes)
{
	struct below_growth *g = container_of(ops, struct below_growth, ops);
	int err = ops->pause->stop(ops->pause);

	if (err)
		return err;
	WRITE_ONCE(g->below->seen, bytes);
	ops->pause->go(ops->pause);
	return 0;
}

/**
 * qcow_commit_begin_copy() - make a smaller backing file as large as the image
 * @commit: the commit
 * @pause: holds up the image's I/O
 * @msg: says why it failed, of the backing file
 *
 * These are the first changes of the backing file. I/O of the image may go on.
 *
 * Context: may sleep.
 *
 * Return: 0; as qcow_image_interrupted(), and the backing file has its old size; or
 * another error.
 */
int qcow_commit_begin_copy(struct qcow_commit *commit, struct qcow_pause *pause,
			   struct qcow_msg *msg)
{
	u64 size = (commit->img->size + SECTOR_SIZE - 1) & ~(u64)(SECTOR_SIZE - 1);
	struct qcow_image *below = commit->img->backing;
	struct below_growth g = {
		.ops = { .pause = pause, .show = below_show },
		.below = below,
	};
	bool grow = below->size < size;
	int err;

	if (grow && qcow_bitmap_present(below))
		return qcow_advise(msg, -EOPNOTSUPP, "is smaller than the disk, and has bitmaps, which fit its size; remove them first");
	err = qcow_image_start(below, msg);
	if (err || !grow)
		return err;
	return qcow_resize(below, size, &g.ops, msg);
}

/* --- Copying --- */

/**
 * struct copy - the copying of a stretch of the disk
 * @img: the image
 * @io: writes the backing file
 * @buf: COMMIT_CHUNK bytes
 * @msg: says what failed, about the backing file
 */
struct copy {
	struct qcow_image *img;
	struct qcow_io io;
	struct qcow_buf buf;
	struct qcow_msg *msg;
};

static void copy_free(struct copy *c)
{
	if (!c)
		return;
	qcow_buf_free(&c->buf);
	kfree(c);
}

static struct copy *copy_alloc(struct qcow_image *img, struct qcow_msg *msg)
{
	struct copy *c = kzalloc(sizeof(*c), GFP_NOIO);

	if (!c)
		return NULL;
	c->msg = msg;
	c->img = img;
	if (qcow_buf_alloc(&c->buf, COMMIT_CHUNK)) {
		copy_free(c);
		return NULL;
	}
	return c;
}

static int copy_failed(const struct copy *c, int err)
{
	if (err == -ENOSPC)
		return qcow_advise(c->msg, err, "there is no space for the data to be written to it; make some, and go on");
	return qcow_fail(c->msg, err, "could not be written (error %d)", -err);
}

static void copy_io_init(struct copy *c, enum qcow_op op, u64 guest_offset, u64 len)
{
	memset(&c->io, 0, sizeof(c->io));
	c->io.image = c->img->backing;
	c->io.op = op;
	c->io.guest_offset = guest_offset;
	c->io.len = len;
}

static s64 copy_data(struct copy *c, u64 guest_offset, u64 len)
{
	int err;

	len = min_t(u64, len, COMMIT_CHUNK);
	err = qcow_read_sync(c->img, NULL, guest_offset, c->buf.mem, len);
	if (err)
		return err;
	copy_io_init(c, QCOW_OP_WRITE, guest_offset, len);
	c->io.bvec = c->buf.bvec;
	c->io.nr_bvec = c->buf.nr_bvec;
	err = qcow_write_sync(&c->io);
	return err ? copy_failed(c, err) : (s64)len;
}

static s64 copy_zeros(struct copy *c, u64 guest_offset, u64 len)
{
	int err;

	len = min_t(u64, len, COMMIT_ZERO_CHUNK);
	copy_io_init(c, QCOW_OP_UNMAP, guest_offset, len);
	err = qcow_zero_sync(&c->io);
	return err ? copy_failed(c, err) : (s64)len;
}

/*
 * Copy one extent. It stays allocated in the image, since nothing makes a hole over a
 * backing file. Return: bytes done, or a negative errno.
 */
static s64 copy_extent(struct copy *c, u64 guest_offset, u64 len)
{
	struct qcow_image *img = c->img;
	struct qcow_inflight *f = &img->alloc->inflight;
	struct qcow_extent ext;
	u8 epoch;
	int err;

	epoch = qcow_inflight_begin(f);
	err = qcow_map(img, guest_offset, len, 0, &ext);
	qcow_inflight_end(f, epoch);
	if (err)
		return err;
	len = min(len, ext.len);
	switch (ext.type) {
	case QCOW_EXTENT_HOLE:
		break;
	case QCOW_EXTENT_ZERO:
		return copy_zeros(c, guest_offset, len);
	case QCOW_EXTENT_DATA:
	case QCOW_EXTENT_COMPRESSED:
		return copy_data(c, guest_offset, len);
	}
	return len;
}

static int copy_range(struct copy *c, u64 guest_offset, u64 guest_end)
{
	struct qcow_image *below = c->img->backing;
	s64 n;

	for (; guest_offset < guest_end; guest_offset += n) {
		if (below->alloc)
			qcow_flush_throttle(below->alloc);
		n = copy_extent(c, guest_offset, guest_end - guest_offset);
		if (n == -ENOSPC) {
			if (c->msg)
				c->msg->text[0] = 0;
			n = qcow_reclaim_any(below->alloc) ?:
				    copy_extent(c, guest_offset, guest_end - guest_offset);
		}
		if (n < 0)
			return n;
		cond_resched();
	}
	return 0;
}

/* Return: the end of the run of set bits that begins with @first. */
static u64 run_end(const struct qcow_bitmap *todo, u64 first, u64 bytes)
{
	u64 most = min_t(u64, bytes, COMMIT_RUN) >> todo->e.granularity_bits;
	u64 end = first + 1;

	while (end < todo->nr_bits && end - first < most &&
	       test_bit_le(end, todo->bits))
		end++;
	return end;
}

/*
 * Copy one run of pieces. Their bits are cleared first. Writes that found them set have
 * ended before the copy begins, and later writes set them again. Return: bytes looked
 * at, 0: no piece is left; or a negative errno.
 */
static s64 copy_run(struct qcow_commit *commit, struct copy *c, u64 bytes)
{
	struct qcow_bitmap *todo = commit->todo;
	u32 shift = todo->e.granularity_bits;
	u64 first, end, i;
	int err;

	first = find_next_bit_le(todo->bits, todo->nr_bits, commit->next);
	if (first >= todo->nr_bits)
		return 0;
	end = run_end(todo, first, bytes);
	for (i = first; i < end; i++)
		clear_bit_le(i, todo->bits);
	/* Pairs with the barrier in qcow_inflight_begin(). */
	smp_mb();
	qcow_inflight_drain(&commit->img->alloc->inflight);
	err = copy_range(c, first << shift, min(end << shift, commit->img->size));
	if (err) {
		for (i = first; i < end; i++)
			set_bit_le(i, todo->bits);
		return err;
	}
	commit->next = end;
	return (end - first) << shift;
}

/* Return: true if no piece is left. */
static bool todo_empty(const struct qcow_commit *commit)
{
	const struct qcow_bitmap *todo = commit->todo;

	return find_next_bit_le(todo->bits, todo->nr_bits, commit->next) >=
		       todo->nr_bits &&
	       find_next_bit_le(todo->bits, todo->nr_bits, 0) >= todo->nr_bits;
}

/*
 * A pass has reached the end of the disk: decide whether the rest is small enough. If
 * the disk is written too fast, requests wait for one step at a time, and the steps get
 * larger.
 */
static void pass_done(struct qcow_commit *commit)
{
	u64 left = qcow_commit_left(commit);

	commit->passes++;
	commit->next = 0;
	commit->last = left <= COMMIT_LAST;
	if (qcow_commit_hurry(commit) || (commit->passes >= 2 && left > commit->before / 2))
		commit->press = clamp_t(u64, 2 * commit->press, COMMIT_PRESS,
					COMMIT_PRESS_MAX);
	commit->before = left;
}

/**
 * qcow_commit_some() - go on copying to the backing file
 * @commit: the commit, started; sets @commit->last when it is time for
 *	qcow_commit_finish()
 * @bytes: most bytes of the disk to look at
 * @msg: says what failed, about the backing file
 *
 * Other I/O may go on. If @commit->press is set, the caller holds it up and copies that
 * many bytes.
 *
 * Context: may sleep.
 *
 * Return: 0; as qcow_image_interrupted(), with some progress; or an error, after which
 * the caller may try again.
 */
int qcow_commit_some(struct qcow_commit *commit, u64 bytes, struct qcow_msg *msg)
{
	struct copy *c = copy_alloc(commit->img, msg);
	s64 n = 0;

	if (!c)
		return -ENOMEM;
	while (bytes && !commit->last) {
		n = copy_run(commit, c, bytes);
		if (n < 0)
			break;
		if (!n || todo_empty(commit))
			pass_done(commit);
		bytes -= min_t(u64, n, bytes);
		n = qcow_image_interrupted(commit->img);
		if (n)
			break;
	}
	copy_free(c);
	if (commit->img->backing->alloc)
		qcow_writeback_soon(commit->img->backing->alloc);
	return n < 0 ? n : 0;
}

/* --- The end --- */

/*
 * Flush the backing file. Unlike for the disk's users, a failed flush is not final
 * here: all data is written to the backing file again after it, and then one flush is
 * enough.
 */
static int flush_below(struct qcow_image *below)
{
	return below->alloc ? qcow_write_flush(below) : qcow_raw_sync_anew(below);
}

/*
 * Flush the data that was copied. After a failure nobody can tell which data the flush
 * lost, and a later one does not report it: all of the disk is to be copied again.
 */
static int flush_copied(struct qcow_commit *commit, struct qcow_msg *msg)
{
	int err = flush_below(commit->img->backing);

	if (!err)
		return 0;
	__qcow_bitmap_mark(commit->todo, 0, commit->img->size);
	commit->last = false;
	commit->press = 0;
	commit->passes = 0;
	commit->settled = 0;
	return qcow_fail(msg, err, "could not be flushed (error %d)", -err);
}

/**
 * qcow_commit_settle() - flush both images before requests wait for the last step
 * @commit: the commit, with @last set
 * @msg: says what failed, about the backing file
 *
 * The flushes of qcow_commit_finish() then write only what came meanwhile. Other I/O
 * may go on.
 *
 * Context: may sleep.
 *
 * Return: 0; as qcow_image_interrupted(); or an error, after which the caller may try
 * again. If the flush of the backing file failed, @commit->last is not set any more.
 */
int qcow_commit_settle(struct qcow_commit *commit, struct qcow_msg *msg)
{
	int err;

	err = qcow_image_interrupted(commit->img) ?: flush_copied(commit, msg);
	err = err ?: qcow_image_interrupted(commit->img) ?: qcow_flush(commit->img->alloc);
	if (!err)
		commit->settled++;
	return err ?: qcow_image_interrupted(commit->img);
}

/**
 * qcow_commit_hurry() - tell whether writes outrun flushes of the backing file
 * @commit: the commit
 *
 * Then the last step has to follow the copying while requests still wait, and they wait
 * for its flush, too.
 *
 * Return: whether it is.
 */
bool qcow_commit_hurry(const struct qcow_commit *commit)
{
	return commit->settled >= COMMIT_SETTLES;
}

static int copy_rest(struct qcow_commit *commit, struct qcow_msg *msg)
{
	struct copy *c = copy_alloc(commit->img, msg);
	s64 n;

	if (!c)
		return -ENOMEM;
	commit->next = 0;
	do {
		n = qcow_image_interrupted(commit->img) ?: copy_run(commit, c, COMMIT_RUN);
	} while (n > 0);
	copy_free(c);
	return n < 0 ? n : flush_copied(commit, msg);
}

/* Empty the image, as all its data is in the backing file. */
static int empty_image(struct qcow_commit *commit)
{
	struct qcow_image *img = commit->img;
	u32 size = max(img->l1_size, 1U);
	u64 *empty, *old;
	int err = -ENOMEM;

	old = kvcalloc(size, sizeof(*old), GFP_NOIO);
	empty = kvcalloc(size, sizeof(*empty), GFP_NOIO);
	if (!old || !empty)
		goto free;
	err = qcow_flush(img->alloc);
	if (err)
		goto free;
	memcpy(old, img->l1, (size_t)img->l1_size * sizeof(*old));
	err = qcow_l1_switch(img->alloc, empty, size, img->size);
	if (err)
		goto free;
	commit->old_size = size;
	swap(commit->old, old);
	img->filled = 0;
free:
	kvfree(empty);
	kvfree(old);
	return err;
}

/**
 * qcow_commit_finish() - copy the rest, and empty the image
 * @commit: the commit, with @last set
 * @msg: says what failed, about the backing file
 *
 * Context: no I/O is under way. May sleep.
 *
 * Return: 0: @commit->done is set; or much was written since, and @commit->last is not
 * set any more; or an error, also as qcow_image_interrupted(): the image is unchanged,
 * and the caller may try again.
 */
int qcow_commit_finish(struct qcow_commit *commit, struct qcow_msg *msg)
{
	struct qcow_image *img = commit->img;
	int err;

	if (qcow_commit_left(commit) > COMMIT_REST) {
		commit->last = false;
		return 0;
	}
	err = copy_rest(commit, msg);
	if (!err)
		err = empty_image(commit);
	if (err)
		return err;
	qcow_bitmap_set_todo(img, NULL);
	commit->done = true;
	return 0;
}

/*
 * Punch out the pieces of the data file that the disk does not use, in a range whose
 * guest clusters are locked. A host offset in a data file is the guest offset. Return:
 * 0 or a negative errno.
 */
static int __punch_holes(struct qcow_image *img, u64 guest_offset, u64 guest_end)
{
	struct qcow_extent ext;
	int err = 0;

	for (; !err && guest_offset < guest_end; guest_offset += ext.len) {
		err = qcow_map(img, guest_offset, guest_end - guest_offset, 0, &ext);
		if (err)
			break;
		if (ext.type == QCOW_EXTENT_HOLE && !ext.mapped)
			err = qcow_space_punch(img->data, guest_offset,
					       min(ext.len, guest_end - guest_offset));
	}
	return err;
}

static int punch_step(struct qcow_image *img, u64 guest_offset, u64 guest_end)
{
	struct qcow_inflight *f = &img->alloc->inflight;
	struct qcow_range range = {
		.first = guest_offset >> img->layout.cluster_bits,
		.last = (guest_end - 1) >> img->layout.cluster_bits,
	};
	u8 epoch;
	int err;

	epoch = qcow_inflight_begin(f);
	qcow_inflight_lock(f, &range);
	err = __punch_holes(img, guest_offset, guest_end);
	qcow_inflight_unlock(f, &range);
	qcow_inflight_end(f, epoch);
	qcow_alloc_set_unsynced(img->alloc);
	cond_resched();
	return err;
}

/*
 * Give back the space of the data file of an emptied image, while writes may use it
 * again. An end before all is done only keeps the space.
 */
static void punch_data_file(struct qcow_image *img)
{
	u64 guest_offset, guest_end;

	if (!img->layout.data_file || img->data_raw)
		return;
	for (guest_offset = 0; guest_offset < img->size; guest_offset = guest_end) {
		guest_end = min(guest_offset + COMMIT_PUNCH, img->size);
		if (qcow_image_interrupted(img) || punch_step(img, guest_offset, guest_end))
			return;
	}
}

/**
 * qcow_commit_release() - release the clusters of an emptied image
 * @commit: the commit, after qcow_commit_finish()
 *
 * Other I/O may go on. After a failure clusters are leaked, which is logged. The space
 * of a data file is given back, too, until qcow_image_interrupted().
 *
 * Context: may sleep.
 */
void qcow_commit_release(struct qcow_commit *commit)
{
	struct qcow_alloc *a = commit->img->alloc;
	int err;

	punch_data_file(commit->img);
	qcow_tree_lower(a, commit->old, commit->old_size);
	err = qcow_flush(a);
	if (err)
		pr_warn("%s: is empty, but not all that it had is free: error %d; see qcowctl check\n",
			commit->img->label, err);
}

/**
 * qcow_commit_flush() - flush the backing file before it is opened anew
 * @commit: the commit
 * @started: qcow_commit_begin_copy() worked; if not, it may still have changed tables
 * @msg: says what failed, about the backing file
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_commit_flush(struct qcow_commit *commit, bool started, struct qcow_msg *msg)
{
	struct qcow_image *below = commit->img->backing;
	int err;

	if (!started && !below->alloc)
		return 0;
	err = flush_below(below);
	/* It has no data of the disk, and nothing will be written to it any more. */
	if (!started && (below->alloc->failed || qcow_image_stopped(below)))
		return 0;
	return err ? qcow_fail(msg, err, "could not be flushed (error %d)", -err) : 0;
}
