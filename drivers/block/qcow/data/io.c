// SPDX-License-Identifier: GPL-2.0
/*
 * The life of an I/O and of its sub-requests, from the start to the end.
 *
 * read.c, write.c and zero.c start an I/O here and give it a step: a function that maps
 * the next bytes of the I/O and serves them. Most steps start a sub-request, which is one
 * transfer or one compressed cluster.
 *
 *   begin	io_begin() counts the I/O as under way and marks bitmaps.
 *   step	io_steps() calls the step until the I/O is served: in the submitter's
 *		context as long as nothing would sleep, then in a worker (io_work()).
 *   wait	A sub-request that would sleep is started once more by a worker of its
 *		own (subreq_work()), while the steps go on. When no sub-request is left, or
 *		a step would sleep, a worker goes on with the steps.
 *   fail	io_fail() keeps the first error, of a step or of a sub-request.
 *   end	io_put() lets go of a sub-request, or of the steps; the last one calls
 *		io->end_io().
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/mempool.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "data/io.h"
#include "file/comp.h"
#include "file/crypt.h"
#include "meta/bitmap.h"
#include "meta/flush.h"
#include "meta/release.h"
#include "meta/state.h"
#include "meta/writeback.h"

/* Steps of one I/O in the submitter's context. */
#define IO_NOWAIT_STEPS	64

/* Microseconds that a worker leaves to others when no sub-request is left. */
#define IO_RETRY_DELAY	1000

static struct kmem_cache *subreq_cache;

/* --- The end of an I/O --- */

/* The steps, or one sub-request, have ended. Context: any. */
static void io_put(struct qcow_io *io)
{
	if (!atomic_dec_and_test(&io->pending))
		return;
	if (io->image->alloc)
		qcow_inflight_end(&io->image->alloc->inflight, io->epoch);
	io->end_io(io);
}

/* The I/O keeps its first error. Context: any. */
static void io_fail(struct qcow_io *io, int err)
{
	cmpxchg(&io->error, 0, err);
}

/* --- Sub-requests --- */

/* Return: a sub-request, or NULL if all are taken. */
static struct qcow_subreq *subreq_get(struct qcow_io *io)
{
	struct qcow_subreq *subreq = &io->subreq;

	if (likely(!io->subreq_used)) {
		io->subreq_used = true;
	} else {
		subreq = mempool_alloc(io->image->ctx->subreqs, GFP_NOWAIT);
		if (!subreq)
			return NULL;
	}
	subreq->io = io;
	atomic_inc(&io->pending);
	return subreq;
}

/* Report the error of a file. A map's further files have numbers, as for QCOW_IOC_FILE. */
static void subreq_report_file(const struct qcow_subreq *subreq, int err)
{
	u32 number = qcow_image_file_number(subreq->image, subreq->req.file);
	const char *what = subreq->req.write ? "write" : "read";
	u64 host_offset = subreq->csize ? subreq->host_offset : subreq->req.host_offset;

	if (number)
		qcow_img_err_ratelimited(subreq->image, "%s of %u bytes at offset %#llx of its file number %u failed: error %d\n",
					 what, subreq->req.len, host_offset, number, err);
	else
		qcow_img_err_ratelimited(subreq->image, "%s of %u bytes at offset %#llx of the file failed: error %d\n",
					 what, subreq->req.len, host_offset, err);
}

static void subreq_report(const struct qcow_subreq *subreq, int err)
{
	if (err == -EIO && qcow_file_shrunk(subreq->req.file))
		qcow_image_damaged(subreq->image, subreq->io->guest_offset,
				   qcow_image_file_number(subreq->image, subreq->req.file) ?
				   "one of its other files became shorter" :
				   "the image file became shorter");
	else if (err == -EBADMSG && subreq->csize)
		qcow_image_unreadable(subreq->image, subreq->io->guest_offset,
				      "compressed cluster cannot be decompressed");
	else
		subreq_report_file(subreq, err);
}

/* End a sub-request: report an error, and give it back. Any context. */
static void subreq_done(struct qcow_subreq *subreq, int err)
{
	struct qcow_io *io = subreq->io;

	if (unlikely(err)) {
		if (!qcow_io_is_retried(io->image, err))
			subreq_report(subreq, err);
		io_fail(io, err == -EBADMSG ? -EIO : err);
	}
	if (subreq->req.write && io->image->alloc)
		qcow_alloc_set_unsynced(io->image->alloc);
	if (subreq != &io->subreq)
		mempool_free(subreq, io->image->ctx->subreqs);
	io_put(io);
}

static void subreq_work(struct work_struct *work);

/* Have a worker go on with a transfer that would have slept. Any context. */
static void subreq_defer(struct qcow_subreq *subreq)
{
	const struct qcow_io_ctx *ctx = subreq->io->image->ctx;

	subreq->io->slow = true;
	subreq->req.nowait = false;
	INIT_WORK(&subreq->work, subreq_work);
	queue_work(subreq->req.write ? ctx->in_place_wq : ctx->wq, &subreq->work);
}

/* Start a sub-request, or go on with it. Context: may sleep, unless req.nowait. */
static inline void subreq_start(struct qcow_subreq *subreq)
{
	int err;

	if (subreq->csize)
		err = qcow_comp_read(subreq->image->comp, subreq);
	else
		err = qcow_file_io(&subreq->req);
	if (unlikely(err))
		subreq->req.end_io(&subreq->req, err);
}

static void subreq_work(struct work_struct *work)
{
	struct qcow_subreq *subreq = container_of(work, struct qcow_subreq, work);
	struct qcow_worker w;

	qcow_worker_begin_for(&w, subreq->io->bio);
	subreq_start(subreq);
	qcow_worker_end_for(&w);
}

static void subreq_decrypt_work(struct work_struct *work)
{
	struct qcow_subreq *subreq = container_of(work, struct qcow_subreq, work);
	struct qcow_worker w;
	int err;

	qcow_worker_begin_for(&w, subreq->io->bio);
	err = qcow_crypt_decrypt(subreq->image->crypt, &subreq->req, subreq->sector);
	subreq_done(subreq, err);
	qcow_worker_end_for(&w);
}

/*
 * Have a worker decrypt the data that was read: it takes a while, and this may be an
 * interrupt.
 */
static void subreq_decrypt(struct qcow_subreq *subreq)
{
	INIT_WORK(&subreq->work, subreq_decrypt_work);
	queue_work(subreq->image->crypt_wq, &subreq->work);
}

static bool subreq_is_encrypted(const struct qcow_subreq *subreq)
{
	return subreq->image->crypt && !subreq->csize && !subreq->req.write;
}

static void subreq_end_io(struct qcow_file_req *req, int err)
{
	struct qcow_subreq *subreq = container_of(req, struct qcow_subreq, req);

	if (unlikely(err == -EAGAIN))
		subreq_defer(subreq);
	else if (subreq_is_encrypted(subreq) && !err)
		subreq_decrypt(subreq);
	else
		subreq_done(subreq, err);
}

/* Have a sub-request serve the next bytes of its I/O, which lie in @ext. */
static void subreq_prepare(struct qcow_subreq *subreq, const struct qcow_io *io,
			   const struct qcow_extent *ext)
{
	struct qcow_file_req *req = &subreq->req;

	req->bvec = io->bvec;
	req->nr_bvec = io->nr_bvec;
	req->skip = io->skip + io->next;
	req->len = ext->len;
	req->end_io = subreq_end_io;
	req->write = io->op == QCOW_OP_WRITE;
	req->nowait = io->flags & QCOW_IO_NOWAIT;
	req->sync = false;
	subreq->image = ext->image;
	req->file = ext->file;
	if (ext->type == QCOW_EXTENT_COMPRESSED) {
		subreq->codec = ext->codec;
		subreq->host_offset = ext->host_offset;
		subreq->csize = ext->csize;
		subreq->cluster_bytes = ext->cluster_bytes;
		subreq->in_cluster = ext->in_cluster;
		return;
	}
	subreq->csize = 0;
	req->host_offset = ext->host_offset;
	req->bytes_done = 0;
	req->buffered = false;
	if (ext->image->crypt)
		subreq->sector = qcow_crypt_sector(ext->image->crypt,
						   io->guest_offset + io->next,
						   ext->host_offset);
}

/**
 * qcow_io_transfer() - start a sub-request for the next bytes of an I/O
 * @io: the I/O
 * @ext: the extent of these bytes: data or compressed
 *
 * Context: in a step of @io.
 *
 * Return: 0, and @io->next is past them; -EAGAIN: all sub-requests are taken.
 */
int qcow_io_transfer(struct qcow_io *io, const struct qcow_extent *ext)
{
	struct qcow_subreq *subreq = subreq_get(io);

	if (!subreq)
		return -EAGAIN;
	subreq_prepare(subreq, io, ext);
	subreq_start(subreq);
	io->next += ext->len;
	return 0;
}

/**
 * qcow_io_write_file() - write guest data, encrypted if need be, and wait for it
 * @img: the image, which may be encrypted
 * @req: the transfer, as for qcow_file_io_sync()
 * @guest_offset: bytes into the disk
 *
 * Context: a worker. May sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_io_write_file(struct qcow_image *img, struct qcow_file_req *req,
		       u64 guest_offset)
{
	int err;

	if (img->crypt)
		err = qcow_crypt_write(img->crypt, req,
				       qcow_crypt_sector(img->crypt, guest_offset,
							 req->host_offset));
	else
		err = qcow_file_io_sync(req);
	if (img->alloc)
		qcow_alloc_set_unsynced(img->alloc);
	return err;
}

/* --- Steps --- */

static bool io_changes_disk(const struct qcow_io *io)
{
	return io->op != QCOW_OP_READ;
}

/* Inline, as io_steps() is: a request that hits the caches is little more than these. */
static inline void io_begin(struct qcow_io *io, int (*step)(struct qcow_io *io),
			    unsigned int flags)
{
	struct qcow_image *img = io->image;

	io->step = step;
	io->flags = flags;
	io->next = 0;
	io->error = 0;
	io->stage = QCOW_IO_STEPS;
	io->slow = false;
	io->subreq_used = false;
	atomic_set(&io->pending, 1);
	if (img->alloc)
		io->epoch = qcow_inflight_begin(&img->alloc->inflight);
	if (io_changes_disk(io))
		qcow_bitmap_mark(img, io->guest_offset, io->len);
}

/* Return: 0; -EAGAIN: a worker has to go on, or has to try again; or an error. */
static inline int io_steps(struct qcow_io *io)
{
	bool nowait = io->flags & QCOW_IO_NOWAIT;
	u32 n = 0;
	int err;

	while (io->next < io->len) {
		if (nowait && n++ == IO_NOWAIT_STEPS)
			return -EAGAIN;
		err = io->step(io);
		if (unlikely(err))
			return err;
		if (!nowait)
			cond_resched();
	}
	return 0;
}

static void io_steps_end(struct qcow_io *io, int err)
{
	if (unlikely(err))
		io_fail(io, err);
	io_put(io);
}

static void io_queue(struct qcow_io *io)
{
	const struct qcow_io_ctx *ctx = io->image->ctx;

	qcow_io_set_stage(io, QCOW_IO_QUEUED);
	queue_work(io_changes_disk(io) ? ctx->write_wq : ctx->wq, &io->work);
}

static void io_work(struct work_struct *work)
{
	struct qcow_io *io = container_of(work, struct qcow_io, work);
	struct qcow_alloc *a = io_changes_disk(io) ? io->image->alloc : NULL;
	struct qcow_worker w;
	int err;

	qcow_worker_begin_for(&w, io->bio);
	qcow_io_set_stage(io, QCOW_IO_THROTTLED);
	if (a)
		qcow_flush_throttle(a);
	qcow_io_set_stage(io, QCOW_IO_STEPS);
	err = io_steps(io);
	qcow_worker_end_for(&w);
	if (err == -EAGAIN) {
		/*
		 * All sub-requests are taken, perhaps by I/O that waits for this
		 * queue. So this work does not sleep for one, but queues itself again.
		 */
		usleep_range(IO_RETRY_DELAY, 2 * IO_RETRY_DELAY);
		io_queue(io);
		return;
	}
	if (a)
		qcow_writeback_soon(a);
	io_steps_end(io, err);
}

static void io_defer(struct qcow_io *io)
{
	io->flags = 0;
	io->slow = true;
	INIT_WORK(&io->work, io_work);
	io_queue(io);
}

/* --- Starting an I/O --- */

/**
 * qcow_io_start() - carry an I/O out without sleeping
 * @io: the I/O: image, op, guest_offset, len, bio, memory and end_io are set
 * @step: serves the next bytes of the I/O: it starts a sub-request for them, or does
 *	all by itself and advances @io->next. It may sleep unless @io->flags has
 *	QCOW_IO_NOWAIT. Return: 0; -EAGAIN: nothing was done, it would sleep, or all
 *	sub-requests are taken; or another negative errno
 *
 * A worker goes on if a step would sleep. @io->end_io() is called once, in any context,
 * also before this returns.
 *
 * Context: a task that holds nothing that others may wait for. Does not sleep.
 */
void qcow_io_start(struct qcow_io *io, int (*step)(struct qcow_io *io))
{
	int err;

	io_begin(io, step, QCOW_IO_NOWAIT);
	err = io_steps(io);
	if (unlikely(err == -EAGAIN))
		io_defer(io);
	else
		io_steps_end(io, err);
}

/**
 * qcow_io_start_in_worker() - as qcow_io_start(), but all steps are for a worker
 * @io: as for qcow_io_start()
 * @step: as for qcow_io_start()
 *
 * Context: any.
 */
void qcow_io_start_in_worker(struct qcow_io *io, int (*step)(struct qcow_io *io))
{
	io_begin(io, step, 0);
	io_defer(io);
}

/**
 * qcow_io_start_here() - as qcow_io_start(), but all steps are done at once
 * @io: as for qcow_io_start()
 * @step: as for qcow_io_start()
 *
 * Context: a worker of the device, or a job. May sleep.
 */
void qcow_io_start_here(struct qcow_io *io, int (*step)(struct qcow_io *io))
{
	int err;

	io_begin(io, step, 0);
	for (;;) {
		err = io_steps(io);
		if (err != -EAGAIN)
			break;
		usleep_range(IO_RETRY_DELAY, 2 * IO_RETRY_DELAY);
	}
	io_steps_end(io, err);
}

static void io_wake(struct qcow_io *io)
{
	complete(io->waiter);
}

/**
 * qcow_io_sync() - carry an I/O out and wait for its end
 * @io: as for qcow_io_start(), but end_io and waiter are set here
 * @start: function that starts @io
 *
 * Context: may sleep. The I/O must not need the caller's workqueue.
 *
 * Return: 0 or a negative errno.
 */
int qcow_io_sync(struct qcow_io *io, void (*start)(struct qcow_io *io))
{
	DECLARE_COMPLETION_ONSTACK(waiter);

	io->waiter = &waiter;
	io->end_io = io_wake;
	start(io);
	wait_for_completion(&waiter);
	return io->error;
}

/* --- Set-up --- */

/**
 * qcow_io_create_pool() - make a pool of sub-requests
 *
 * Context: may sleep.
 *
 * Return: a pool for qcow_io_ctx.subreqs, or NULL.
 */
mempool_t *qcow_io_create_pool(void)
{
	return mempool_create_slab_pool(QCOW_SUBREQ_RESERVED, subreq_cache);
}

int qcow_io_init(void)
{
	subreq_cache = KMEM_CACHE(qcow_subreq, 0);
	return subreq_cache ? 0 : -ENOMEM;
}

void qcow_io_exit(void)
{
	kmem_cache_destroy(subreq_cache);
}
