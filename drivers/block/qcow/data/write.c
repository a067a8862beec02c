// SPDX-License-Identifier: GPL-2.0
/*
 * Writing a disk: in place where a cluster is the image's own, else to a place
 * that is found for it.
 *
 * In place is as reading: without sleeping if that is possible. What needs a
 * place goes to a worker, and so does what is to be encrypted.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/sched.h>

#include "data/subreq.h"
#include "data/cow.h"
#include "data/write.h"
#include "meta/bitmap.h"
#include "meta/flush.h"
#include "meta/fmt.h"
#include "meta/writeback.h"

/* Extents that one I/O is given in the submitter's context. */
#define WRITE_NOWAIT_EXTENTS	64

/* Microseconds that a worker leaves to others when parts have run out. */
#define WRITE_PART_DELAY	1000

/* --- In place --- */

/* Encrypted, to where it lies. */
static int write_encrypted(struct qcow_io *io, const struct qcow_extent *ext)
{
	struct qcow_file_req req = {
		.file = ext->file,
		.host_offset = ext->host_offset,
		.bvec = io->bvec,
		.nr_bvec = io->nr_bvec,
		.skip = io->skip + io->next,
		.len = ext->len,
		.write = true,
	};
	int err;

	err = qcow_subreq_write_sync(ext->image, &req, io->guest_offset + io->next);
	if (unlikely(err))
		qcow_img_err_ratelimited(
			ext->image,
			"write of %u bytes at offset %#llx of the file failed: error %d\n",
			req.len, req.host_offset, err);
	else
		io->next += ext->len;
	return err;
}

/* Serve what one extent covers. -EAGAIN: nothing was done, it would sleep. */
static int write_extent(struct qcow_io *io, bool nowait)
{
	u64 guest_offset = io->guest_offset + io->next;
	u32 len = io->len - io->next;
	struct qcow_image *img = io->image;
	struct qcow_extent ext;
	struct qcow_subreq *subreq;
	ssize_t n;
	int err;

	ext.image = img;
	err = img->ops->map(img, guest_offset, len, nowait, &ext);
	if (unlikely(err))
		return err;
	if (qcow_cow_is_in_place(&ext)) {
		err = qcow_cow_check(img, guest_offset, &ext);
		if (unlikely(err))
			return err;
		if (img->crypt)
			return nowait ? -EAGAIN : write_encrypted(io, &ext);
		subreq = qcow_subreq_get(io);
		if (!subreq)
			return -EAGAIN;
		qcow_subreq_prepare(subreq, io, &ext);
		qcow_subreq_start(subreq, nowait);
		io->next += ext.len;
		return 0;
	}
	if (nowait)
		return -EAGAIN;
	n = qcow_cow_write(io, guest_offset, len);
	if (n < 0)
		return n;
	io->next += n;
	return 0;
}

static int write_extents(struct qcow_io *io, bool nowait)
{
	u32 n = 0;
	int err;

	while (io->next < io->len) {
		if (nowait && n++ == WRITE_NOWAIT_EXTENTS)
			return -EAGAIN;
		err = write_extent(io, nowait);
		if (err)
			return err;
		if (!nowait)
			cond_resched();
	}
	return 0;
}

static void write_work(struct work_struct *work)
{
	struct qcow_io *io = container_of(work, struct qcow_io, work);
	struct qcow_worker w;
	int err;

	qcow_worker_begin_for(&w, io->bio);
	if (io->image->alloc)
		qcow_flush_throttle(io->image->alloc);
	err = write_extents(io, false);
	qcow_worker_end_for(&w);
	if (err == -EAGAIN) {
		usleep_range(WRITE_PART_DELAY, 2 * WRITE_PART_DELAY);
		queue_work(io->image->ctx->write_wq, work);
		return;
	}
	if (io->image->alloc)
		qcow_writeback_soon(io->image->alloc);
	if (err)
		qcow_subreq_io_fail(io, err);
	qcow_subreq_io_put(io);
}

static void write_defer(struct qcow_io *io)
{
	io->slow = true;
	INIT_WORK(&io->work, write_work);
	queue_work(io->image->ctx->write_wq, &io->work);
}

static void write_begin(struct qcow_io *io)
{
	qcow_subreq_io_begin(io);
	qcow_bitmap_mark(io->image, io->guest_offset, io->len);
}

/**
 * qcow_write() - write to a disk without sleeping
 * @io: as for qcow_read(), with op set
 *
 * Does not sleep; io->end_io() is called once, in any context, also before this
 * returns.
 */
void qcow_write(struct qcow_io *io)
{
	int err;

	write_begin(io);
	err = write_extents(io, true);
	if (unlikely(err == -EAGAIN)) {
		write_defer(io);
		return;
	}
	if (unlikely(err))
		qcow_subreq_io_fail(io, err);
	qcow_subreq_io_put(io);
}

/**
 * qcow_write_in_worker() - as qcow_write(), but all of it in a worker
 * @io: the I/O
 *
 * Context: any.
 */
void qcow_write_in_worker(struct qcow_io *io)
{
	write_begin(io);
	write_defer(io);
}

static void write_sync_done(struct qcow_io *io)
{
	complete(io->waiter);
}

/**
 * qcow_write_sync() - write to a disk and wait for it
 * @io: as for qcow_write(); done and waiter are set here
 *
 * Context: as qcow_cow_write(). May sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_write_sync(struct qcow_io *io)
{
	DECLARE_COMPLETION_ONSTACK(waiter);
	int err;

	io->waiter = &waiter;
	io->end_io = write_sync_done;
	write_begin(io);
	for (;;) {
		err = write_extents(io, false);
		if (err != -EAGAIN)
			break;
		usleep_range(WRITE_PART_DELAY, 2 * WRITE_PART_DELAY);
	}
	if (err)
		qcow_subreq_io_fail(io, err);
	qcow_subreq_io_put(io);
	wait_for_completion(&waiter);
	return io->error;
}

/**
 * qcow_write_flush() - make everything written so far durable
 * @img: the top of the chain
 *
 * A sync of the file that fails is final.
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_write_flush(struct qcow_image *img)
{
	if (img->alloc)
		return qcow_flush(img->alloc);
	return qcow_raw_sync(img);
}
