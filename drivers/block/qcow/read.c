// SPDX-License-Identifier: GPL-2.0
/*
 * Reading a disk: map, one switch over the extent, start a part for it.
 *
 * qcow_read() runs in the submitter's context and must not sleep. What would
 * sleep goes to a worker: the rest of the I/O if a table is not in memory, a
 * single part if its file cannot be read right now.
 */
#include <linux/delay.h>
#include <linux/mempool.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat.h"
#include "comp.h"
#include "image.h"
#include "read.h"

/* Extents that one I/O is given in the submitter's context. */
#define READ_NOWAIT_EXTENTS	64

/* Microseconds that a worker leaves to others when parts have run out. */
#define READ_PART_DELAY		1000

static struct kmem_cache *part_cache;

static void io_put(struct qcow_io *io)
{
	if (atomic_dec_and_test(&io->pending))
		io->done(io);
}

static void io_fail(struct qcow_io *io, int err)
{
	cmpxchg(&io->error, 0, err);
}

/* --- Parts --- */

static struct qcow_part *part_get(struct qcow_io *io)
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
		qcow_image_damaged(part->image, part->io->pos,
				   "compressed cluster cannot be decompressed");
	else
		qcow_img_err_ratelimited(part->image, "read of %u bytes at offset %#llx of the file failed: error %d\n",
					 part->fio.len, part->csize ?
					 part->host : part->fio.pos, err);
}

static void part_done(struct qcow_part *part, int err)
{
	struct qcow_io *io = part->io;

	if (unlikely(err)) {
		part_report(part, err);
		io_fail(io, err == -EBADMSG ? -EIO : err);
	}
	if (part != &io->part)
		mempool_free(part, io->parts);
	io_put(io);
}

static void part_end(struct qcow_fio *fio, int err);
static void part_work(struct work_struct *work);

static void part_defer(struct qcow_part *part)
{
	part->io->slow = true;
	INIT_WORK(&part->work, part_work);
	queue_work(part->io->wq, &part->work);
}

/* Start the part, or go on with it; it ends in part_done() in any case. */
static void part_start(struct qcow_part *part, bool nowait)
{
	int err;

	if (part->csize)
		err = qcow_comp_read(part->image->comp, part, nowait);
	else
		err = qcow_file_read(&part->fio, nowait);
	if (unlikely(err))
		part_end(&part->fio, err);
}

static void part_work(struct work_struct *work)
{
	struct qcow_part *part = container_of(work, struct qcow_part, work);
	unsigned int noio = memalloc_noio_save();

	part_start(part, false);
	memalloc_noio_restore(noio);
}

static void part_end(struct qcow_fio *fio, int err)
{
	struct qcow_part *part = container_of(fio, struct qcow_part, fio);

	if (unlikely(err == -EAGAIN))
		part_defer(part);
	else
		part_done(part, err);
}

static void part_prepare(struct qcow_part *part, const struct qcow_io *io,
			 const struct qcow_extent *ext)
{
	struct qcow_fio *fio = &part->fio;

	fio->bvec = io->bvec;
	fio->nr_bvec = io->nr_bvec;
	fio->skip = io->skip + io->next;
	fio->len = ext->len;
	fio->end = part_end;
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
}

/* --- The I/O --- */

/* Map as much as one transfer can serve: neighbours in a file are joined. */
static int io_map(struct qcow_io *io, bool nowait, struct qcow_extent *ext)
{
	u64 pos = io->pos + io->next;
	u64 len = io->len - io->next;
	struct qcow_extent next;
	int err;

	err = qcow_image_map(io->image, pos, len, nowait, ext);
	if (unlikely(err) || ext->type != QCOW_EXTENT_DATA)
		return err;
	/* What cannot be mapped further on is met again in its turn. */
	while (ext->len < len) {
		err = qcow_image_map(io->image, pos + ext->len, len - ext->len,
				     nowait, &next);
		if (err || next.type != QCOW_EXTENT_DATA ||
		    next.file != ext->file || next.host != ext->host + ext->len)
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
	struct qcow_part *part;
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
		part = part_get(io);
		if (!part)
			return -EAGAIN;
		part_prepare(part, io, &ext);
		part_start(part, nowait);
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
	unsigned int noio = memalloc_noio_save();
	int err;

	err = io_extents(io, false);
	memalloc_noio_restore(noio);
	if (err == -EAGAIN) {
		/*
		 * All parts are taken. Whoever has them may wait for this
		 * queue, so sleeping for one would be wrong: get in line again.
		 */
		usleep_range(READ_PART_DELAY, 2 * READ_PART_DELAY);
		queue_work(io->wq, work);
		return;
	}
	if (err)
		io_fail(io, err);
	io_put(io);
}

static void io_defer(struct qcow_io *io)
{
	io->slow = true;
	INIT_WORK(&io->work, io_work);
	queue_work(io->wq, &io->work);
}

static void io_begin(struct qcow_io *io)
{
	io->next = 0;
	io->error = 0;
	io->slow = false;
	io->part_used = false;
	atomic_set(&io->pending, 1);
}

/**
 * qcow_read() - read from a disk without sleeping
 * @io: the I/O: image, wq, parts, pos, len, bvec, nr_bvec, skip and done are
 *	set
 *
 * Does not sleep; io->done() is called once, in any context, also before this
 * returns.
 */
void qcow_read(struct qcow_io *io)
{
	int err;

	io_begin(io);
	err = io_extents(io, true);
	if (unlikely(err == -EAGAIN)) {
		io_defer(io);
		return;
	}
	if (unlikely(err))
		io_fail(io, err);
	io_put(io);
}

/**
 * qcow_read_in_worker() - as qcow_read(), but all of it in a worker
 * @io: the I/O
 *
 * Any context.
 */
void qcow_read_in_worker(struct qcow_io *io)
{
	io_begin(io);
	io_defer(io);
}

/**
 * qcow_read_create_pool() - make the pool that an I/O's parts come from
 *
 * May sleep. Return: a pool for qcow_io.parts, or NULL.
 */
mempool_t *qcow_read_create_pool(void)
{
	return mempool_create_slab_pool(QCOW_READ_RESERVED_PARTS, part_cache);
}

int qcow_read_init(void)
{
	part_cache = KMEM_CACHE(qcow_part, 0);
	return part_cache ? 0 : -ENOMEM;
}

void qcow_read_exit(void)
{
	kmem_cache_destroy(part_cache);
}
