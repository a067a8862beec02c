// SPDX-License-Identifier: GPL-2.0
/*
 * The parts of an I/O: each is one transfer, or one compressed cluster.
 */
#include <linux/mempool.h>
#include <linux/slab.h>

#include "data/part.h"
#include "file/comp.h"
#include "file/crypt.h"
#include "meta/release.h"
#include "meta/state.h"

static struct kmem_cache *part_cache;

/**
 * qcow_part_io_put() - a part, or starting the parts, is done
 * @io: the I/O
 *
 * Context: any.
 */
void qcow_part_io_put(struct qcow_io *io)
{
	if (!atomic_dec_and_test(&io->pending))
		return;
	if (io->image->alloc)
		qcow_inflight_end(&io->image->alloc->inflight, io->epoch);
	io->done(io);
}

/**
 * qcow_part_io_fail() - note an error; the first one counts
 * @io: the I/O
 * @err: negative errno
 */
void qcow_part_io_fail(struct qcow_io *io, int err)
{
	cmpxchg(&io->error, 0, err);
}

/* --- Parts --- */

/**
 * qcow_part_get() - take a part for an I/O
 * @io: the I/O
 *
 * Return: a part, or NULL if all are taken.
 */
struct qcow_part *qcow_part_get(struct qcow_io *io)
{
	struct qcow_part *part = &io->part;

	if (likely(!io->part_used)) {
		io->part_used = true;
	} else {
		part = mempool_alloc(io->parts, GFP_NOWAIT);
		if (!part)
			return NULL;
	}
	part->io = io;
	atomic_inc(&io->pending);
	return part;
}

static void part_report(const struct qcow_part *part, int err)
{
	const struct qcow_file *file = part->csize ? &part->image->file :
						     part->fio.file;

	if (err == -EIO && qcow_file_shrunk(file))
		qcow_image_damaged(part->image, part->io->pos,
				   "the image file became shorter");
	else if (err == -EBADMSG && part->csize)
		qcow_image_unreadable(part->image, part->io->pos,
				      "compressed cluster cannot be decompressed");
	else
		qcow_img_err_ratelimited(part->image, "%s of %u bytes at offset %#llx of the file failed: error %d\n",
					 part->fio.write ? "write" : "read",
					 part->fio.len, part->csize ?
					 part->host : part->fio.pos, err);
}

/* A part is at its end, and given back. An error is reported. Any context. */
static void part_done(struct qcow_part *part, int err)
{
	struct qcow_io *io = part->io;

	if (unlikely(err)) {
		if (!qcow_release_helps(io->image->alloc, err))
			part_report(part, err);
		qcow_part_io_fail(io, err == -EBADMSG ? -EIO : err);
	}
	if (part->fio.write && io->image->alloc)
		WRITE_ONCE(io->image->alloc->unsynced, true);
	if (part != &io->part)
		mempool_free(part, io->parts);
	qcow_part_io_put(io);
}

static void part_work(struct work_struct *work);

/* A transfer would have slept: a worker goes on with it. Any context. */
static void part_defer(struct qcow_part *part)
{
	part->io->slow = true;
	INIT_WORK(&part->work, part_work);
	queue_work(part->io->wq, &part->work);
}

/**
 * qcow_part_start() - start a part, or go on with it
 * @part: prepared
 * @nowait: the caller must not be made to sleep; a worker goes on then
 */
void qcow_part_start(struct qcow_part *part, bool nowait)
{
	int err;

	if (part->csize)
		err = qcow_comp_read(part->image->comp, part, nowait);
	else
		err = qcow_file_io(&part->fio, nowait);
	if (unlikely(err))
		part->fio.end(&part->fio, err);
}

static void part_work(struct work_struct *work)
{
	struct qcow_part *part = container_of(work, struct qcow_part, work);
	struct qcow_worker w;

	qcow_worker_begin_for(&w, part->io->bio);
	qcow_part_start(part, false);
	qcow_worker_end_for(&w);
}

static void part_decrypt_work(struct work_struct *work)
{
	struct qcow_part *part = container_of(work, struct qcow_part, work);
	struct qcow_worker w;
	int err;

	qcow_worker_begin_for(&w, part->io->bio);
	err = qcow_crypt_decrypt(part->image->crypt, &part->fio, part->sector);
	part_done(part, err);
	qcow_worker_end_for(&w);
}

/*
 * What was read is there, as it is in the file. It takes a while to decrypt it
 * and this may be an interrupt.
 */
static void part_decrypt(struct qcow_part *part)
{
	INIT_WORK(&part->work, part_decrypt_work);
	queue_work(part->image->crypt_wq, &part->work);
}

static bool part_is_encrypted(const struct qcow_part *part)
{
	return part->image->crypt && !part->csize && !part->fio.write;
}

static void part_end(struct qcow_fio *fio, int err)
{
	struct qcow_part *part = container_of(fio, struct qcow_part, fio);

	if (unlikely(err == -EAGAIN))
		part_defer(part);
	else if (part_is_encrypted(part) && !err)
		part_decrypt(part);
	else
		part_done(part, err);
}

/**
 * qcow_part_prepare() - say what a part is to do
 * @part: from qcow_part_get()
 * @io: whose next bytes it serves
 * @ext: where they lie: data or compressed
 */
void qcow_part_prepare(struct qcow_part *part, const struct qcow_io *io,
		       const struct qcow_extent *ext)
{
	struct qcow_fio *fio = &part->fio;

	fio->bvec = io->bvec;
	fio->nr_bvec = io->nr_bvec;
	fio->skip = io->skip + io->next;
	fio->len = ext->len;
	fio->end = part_end;
	fio->write = io->op == QCOW_OP_WRITE;
	fio->sync = false;
	part->image = ext->image;
	if (ext->type == QCOW_EXTENT_COMPRESSED) {
		u64 pos = io->pos + io->next;

		part->host = ext->host;
		part->csize = ext->csize;
		part->in_cluster = pos & ((1ULL << ext->image->layout.cluster_bits) - 1);
		return;
	}
	part->csize = 0;
	fio->file = ext->file;
	fio->pos = ext->host;
	fio->done = 0;
	fio->buffered = false;
	if (ext->image->crypt)
		part->sector = qcow_crypt_sector(ext->image->crypt,
						 io->pos + io->next, ext->host);
}

/**
 * qcow_part_write_sync() - write guest data where it belongs, and wait for it
 * @img: the image, which may be encrypted
 * @fio: the transfer, as for qcow_file_io_sync()
 * @pos: bytes into the disk
 *
 * Context: a worker; may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_part_write_sync(struct qcow_image *img, struct qcow_fio *fio, u64 pos)
{
	int err;

	if (img->crypt)
		err = qcow_crypt_write(img->crypt, fio,
				       qcow_crypt_sector(img->crypt, pos,
							 fio->pos));
	else
		err = qcow_file_io_sync(fio);
	if (img->alloc)
		WRITE_ONCE(img->alloc->unsynced, true);
	return err;
}

/**
 * qcow_part_io_begin() - get an I/O ready for its parts
 * @io: the I/O
 */
void qcow_part_io_begin(struct qcow_io *io)
{
	io->next = 0;
	io->error = 0;
	io->slow = false;
	io->part_used = false;
	atomic_set(&io->pending, 1);
	if (io->image->alloc)
		io->epoch = qcow_inflight_begin(&io->image->alloc->inflight);
}

/**
 * qcow_part_create_pool() - make the pool that an I/O's parts come from
 *
 * Context: may sleep.
 *
 * Return: a pool for qcow_io.parts, or NULL.
 */
mempool_t *qcow_part_create_pool(void)
{
	return mempool_create_slab_pool(QCOW_PART_RESERVED_PARTS, part_cache);
}

int qcow_part_init(void)
{
	part_cache = KMEM_CACHE(qcow_part, 0);
	return part_cache ? 0 : -ENOMEM;
}

void qcow_part_exit(void)
{
	kmem_cache_destroy(part_cache);
}
