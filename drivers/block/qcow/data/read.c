// SPDX-License-Identifier: GPL-2.0
/*
 * Reading a disk: map, one switch over the extent, start a part for it.
 *
 * qcow_read() runs in the submitter's context and must not sleep. What would
 * sleep goes to a worker: the rest of the I/O if a table is not in memory, a
 * single part if its file cannot be read right now.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/mempool.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat/compat.h"
#include "data/subreq.h"
#include "data/read.h"
#include "meta/image.h"

/* Extents that one I/O is given in the submitter's context. */
#define READ_NOWAIT_EXTENTS	64

/* Microseconds that a worker leaves to others when parts have run out. */
#define READ_PART_DELAY		1000

/* --- The I/O --- */

/* Map as much as one transfer can serve: neighbours in a file are joined. */
static int io_map(struct qcow_io *io, bool nowait, struct qcow_extent *ext)
{
	u64 guest_offset = io->guest_offset + io->next;
	u64 len = io->len - io->next;
	struct qcow_extent next;
	int err;

	err = qcow_image_map(io->image, guest_offset, len, nowait, ext);
	if (unlikely(err) || ext->type != QCOW_EXTENT_DATA)
		return err;
	/* What cannot be mapped further on is met again in its turn. */
	while (ext->len < len) {
		err = qcow_image_map(io->image, guest_offset + ext->len, len - ext->len,
				     nowait, &next);
		if (err || next.type != QCOW_EXTENT_DATA || next.file != ext->file ||
		    next.host_offset != ext->host_offset + ext->len)
			break;
		ext->len += next.len;
	}
	return 0;
}

static int io_zero(struct qcow_io *io, size_t len)
{
	struct iov_iter iter;

	qcow_iter_init(&iter, ITER_DEST, io->bvec, io->nr_bvec,
		       io->skip + io->next, len);
	return iov_iter_zero(len, &iter) == len ? 0 : -EIO;
}

/* Serve what one extent covers. -EAGAIN: nothing was done, it would sleep. */
static int io_extent(struct qcow_io *io, bool nowait)
{
	struct qcow_extent ext;
	struct qcow_subreq *subreq;
	int err;

	err = io_map(io, nowait, &ext);
	if (unlikely(err))
		return err;
	switch (ext.type) {
	case QCOW_EXTENT_HOLE:
	case QCOW_EXTENT_ZERO:
		err = io_zero(io, ext.len);
		break;
	case QCOW_EXTENT_DATA:
	case QCOW_EXTENT_COMPRESSED:
		subreq = qcow_subreq_get(io);
		if (!subreq)
			return -EAGAIN;
		qcow_subreq_prepare(subreq, io, &ext);
		qcow_subreq_start(subreq, nowait);
		break;
	}
	io->next += ext.len;
	return err;
}

static int io_extents(struct qcow_io *io, bool nowait)
{
	u32 n = 0;
	int err;

	while (io->next < io->len) {
		if (nowait && n++ == READ_NOWAIT_EXTENTS)
			return -EAGAIN;
		err = io_extent(io, nowait);
		if (err)
			return err;
		if (!nowait)
			cond_resched();
	}
	return 0;
}

static void io_work(struct work_struct *work)
{
	struct qcow_io *io = container_of(work, struct qcow_io, work);
	struct qcow_worker w;
	int err;

	qcow_worker_begin_for(&w, io->bio);
	err = io_extents(io, false);
	qcow_worker_end_for(&w);
	if (err == -EAGAIN) {
		/*
		 * All parts are taken. Whoever has them may wait for this
		 * queue, so sleeping for one would be wrong: get in line again.
		 */
		usleep_range(READ_PART_DELAY, 2 * READ_PART_DELAY);
		queue_work(io->image->ctx->wq, work);
		return;
	}
	if (err)
		qcow_subreq_io_fail(io, err);
	qcow_subreq_io_put(io);
}

static void io_defer(struct qcow_io *io)
{
	io->slow = true;
	INIT_WORK(&io->work, io_work);
	queue_work(io->image->ctx->wq, &io->work);
}

/**
 * qcow_read() - read from a disk without sleeping
 * @io: the I/O: image, pos, len, bvec, nr_bvec, skip, bio and done are set
 *
 * Does not sleep; io->end_io() is called once, in any context, also before this
 * returns.
 */
void qcow_read(struct qcow_io *io)
{
	int err;

	qcow_subreq_io_begin(io);
	err = io_extents(io, true);
	if (unlikely(err == -EAGAIN)) {
		io_defer(io);
		return;
	}
	if (unlikely(err))
		qcow_subreq_io_fail(io, err);
	qcow_subreq_io_put(io);
}

/**
 * qcow_read_in_worker() - as qcow_read(), but all of it in a worker
 * @io: the I/O
 *
 * Context: any.
 */
void qcow_read_in_worker(struct qcow_io *io)
{
	qcow_subreq_io_begin(io);
	io_defer(io);
}

/**
 * struct sync_read - a read that is waited for
 * @io: it
 * @done: its end
 */
struct sync_read {
	struct qcow_io io;
	struct completion done;
};

static void sync_read_done(struct qcow_io *io)
{
	complete(&container_of(io, struct sync_read, io)->done);
}

/**
 * qcow_read_sync() - read from a disk and wait for it
 * @img: the top of the chain
 * @bio: the read is on the account of its submitter; NULL: on nobody's
 * @guest_offset: bytes into the disk
 * @buf: kmalloc or vmalloc memory
 * @len: bytes
 *
 * Not in a worker of the device's wq, which it waits for.
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_read_sync(struct qcow_image *img, struct bio *bio, u64 guest_offset, void *buf,
		   size_t len)
{
	struct sync_read *r = kzalloc(sizeof(*r), GFP_NOIO);
	struct bio_vec *bv;
	int err = -ENOMEM;

	bv = kvmalloc_array(len / PAGE_SIZE + 2, sizeof(*bv), GFP_NOIO);
	if (r && bv) {
		init_completion(&r->done);
		r->io.image = img;
		r->io.bio = bio;
		r->io.guest_offset = guest_offset;
		r->io.len = len;
		r->io.bvec = bv;
		r->io.nr_bvec = qcow_file_bvecs(bv, buf, len);
		r->io.end_io = sync_read_done;
		qcow_read(&r->io);
		wait_for_completion(&r->done);
		err = r->io.error;
	}
	kvfree(bv);
	kfree(r);
	return err;
}
