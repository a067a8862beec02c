// SPDX-License-Identifier: GPL-2.0
/*
 * The parts of an I/O: each is one transfer, or one compressed cluster.
 */
#include <linux/mempool.h>
#include <linux/slab.h>

#include "data/subreq.h"
#include "file/comp.h"
#include "file/crypt.h"
#include "meta/release.h"
#include "meta/state.h"

static struct kmem_cache *subreq_cache;

/**
 * qcow_subreq_io_put() - a part, or starting the parts, is done
 * @io: the I/O
 *
 * Context: any.
 */
void qcow_subreq_io_put(struct qcow_io *io)
{
	if (!atomic_dec_and_test(&io->pending))
		return;
	if (io->image->alloc)
		qcow_inflight_end(&io->image->alloc->inflight, io->epoch);
	io->end_io(io);
}

/**
 * qcow_subreq_io_fail() - note an error; the first one counts
 * @io: the I/O
 * @err: negative errno
 */
void qcow_subreq_io_fail(struct qcow_io *io, int err)
{
	cmpxchg(&io->error, 0, err);
}

/* --- Parts --- */

/**
 * qcow_subreq_get() - take a part for an I/O
 * @io: the I/O
 *
 * Return: a part, or NULL if all are taken.
 */
struct qcow_subreq *qcow_subreq_get(struct qcow_io *io)
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

static void subreq_report(const struct qcow_subreq *subreq, int err)
{
	const struct qcow_file *file = subreq->csize ? &subreq->image->file :
						       subreq->req.file;

	if (err == -EIO && qcow_file_shrunk(file))
		qcow_image_damaged(subreq->image, subreq->io->guest_offset,
				   "the image file became shorter");
	else if (err == -EBADMSG && subreq->csize)
		qcow_image_unreadable(subreq->image, subreq->io->guest_offset,
				      "compressed cluster cannot be decompressed");
	else
		qcow_img_err_ratelimited(
			subreq->image,
			"%s of %u bytes at offset %#llx of the file failed: error %d\n",
			subreq->req.write ? "write" : "read", subreq->req.len,
			subreq->csize ? subreq->host_offset : subreq->req.host_offset,
			err);
}

/* A part is at its end, and given back. An error is reported. Any context. */
static void subreq_done(struct qcow_subreq *subreq, int err)
{
	struct qcow_io *io = subreq->io;

	if (unlikely(err)) {
		if (!qcow_release_helps(io->image->alloc, err))
			subreq_report(subreq, err);
		qcow_subreq_io_fail(io, err == -EBADMSG ? -EIO : err);
	}
	if (subreq->req.write && io->image->alloc)
		WRITE_ONCE(io->image->alloc->unsynced, true);
	if (subreq != &io->subreq)
		mempool_free(subreq, io->image->ctx->subreqs);
	qcow_subreq_io_put(io);
}

static void subreq_work(struct work_struct *work);

/* A transfer would have slept: a worker goes on with it. Any context. */
static void subreq_defer(struct qcow_subreq *subreq)
{
	subreq->io->slow = true;
	INIT_WORK(&subreq->work, subreq_work);
	queue_work(subreq->io->image->ctx->wq, &subreq->work);
}

/**
 * qcow_subreq_start() - start a part, or go on with it
 * @subreq: prepared
 * @nowait: the caller must not be made to sleep; a worker goes on then
 */
void qcow_subreq_start(struct qcow_subreq *subreq, bool nowait)
{
	int err;

	if (subreq->csize)
		err = qcow_comp_read(subreq->image->comp, subreq, nowait);
	else
		err = qcow_file_io(&subreq->req, nowait);
	if (unlikely(err))
		subreq->req.end_io(&subreq->req, err);
}

static void subreq_work(struct work_struct *work)
{
	struct qcow_subreq *subreq = container_of(work, struct qcow_subreq, work);
	struct qcow_worker w;

	qcow_worker_begin_for(&w, subreq->io->bio);
	qcow_subreq_start(subreq, false);
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
 * What was read is there, as it is in the file. It takes a while to decrypt it
 * and this may be an interrupt.
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

/**
 * qcow_subreq_prepare() - say what a part is to do
 * @subreq: from qcow_subreq_get()
 * @io: whose next bytes it serves
 * @ext: where they lie: data or compressed
 */
void qcow_subreq_prepare(struct qcow_subreq *subreq, const struct qcow_io *io,
			 const struct qcow_extent *ext)
{
	struct qcow_file_req *req = &subreq->req;

	req->bvec = io->bvec;
	req->nr_bvec = io->nr_bvec;
	req->skip = io->skip + io->next;
	req->len = ext->len;
	req->end_io = subreq_end_io;
	req->write = io->op == QCOW_OP_WRITE;
	req->sync = false;
	subreq->image = ext->image;
	if (ext->type == QCOW_EXTENT_COMPRESSED) {
		u64 guest_offset = io->guest_offset + io->next;

		subreq->host_offset = ext->host_offset;
		subreq->csize = ext->csize;
		subreq->in_cluster = guest_offset &
				     ((1ULL << ext->image->layout.cluster_bits) - 1);
		return;
	}
	subreq->csize = 0;
	req->file = ext->file;
	req->host_offset = ext->host_offset;
	req->bytes_done = 0;
	req->buffered = false;
	if (ext->image->crypt)
		subreq->sector = qcow_crypt_sector(ext->image->crypt,
						   io->guest_offset + io->next,
						   ext->host_offset);
}

/**
 * qcow_subreq_write_sync() - write guest data where it belongs, and wait for it
 * @img: the image, which may be encrypted
 * @req: the transfer, as for qcow_file_io_sync()
 * @guest_offset: bytes into the disk
 *
 * Context: a worker; may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_subreq_write_sync(struct qcow_image *img, struct qcow_file_req *req,
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
		WRITE_ONCE(img->alloc->unsynced, true);
	return err;
}

/**
 * qcow_subreq_io_begin() - get an I/O ready for its parts
 * @io: the I/O
 */
void qcow_subreq_io_begin(struct qcow_io *io)
{
	io->next = 0;
	io->error = 0;
	io->slow = false;
	io->subreq_used = false;
	atomic_set(&io->pending, 1);
	if (io->image->alloc)
		io->epoch = qcow_inflight_begin(&io->image->alloc->inflight);
}

/**
 * qcow_subreq_create_pool() - make the pool that an I/O's parts come from
 *
 * Context: may sleep.
 *
 * Return: a pool for qcow_io_ctx.subreqs, or NULL.
 */
mempool_t *qcow_subreq_create_pool(void)
{
	return mempool_create_slab_pool(QCOW_SUBREQ_RESERVED, subreq_cache);
}

int qcow_subreq_init(void)
{
	subreq_cache = KMEM_CACHE(qcow_subreq, 0);
	return subreq_cache ? 0 : -ENOMEM;
}

void qcow_subreq_exit(void)
{
	kmem_cache_destroy(subreq_cache);
}
