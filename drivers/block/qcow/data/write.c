// SPDX-License-Identifier: GPL-2.0
/*
 * Writing a disk: in place where a cluster is the image's own, else to new clusters
 * (cow.c).
 *
 * In place is as reading: without sleeping if that is possible. Allocating writes go to
 * a worker, and so do writes that are encrypted.
 */
#include <linux/indirect_call_wrapper.h>

#include "data/cow.h"
#include "data/io.h"
#include "data/write.h"
#include "meta/flush.h"
#include "meta/fmt.h"
#include "meta/map.h"

/* Encrypt and write in place. */
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

	err = qcow_io_write_file(ext->image, &req, io->guest_offset + io->next);
	if (!err)
		io->next += ext->len;
	else if (!qcow_io_is_retried(ext->image, err))
		qcow_img_err_ratelimited(ext->image, "write of %u bytes at offset %#llx of the file failed: error %d\n",
					 req.len, req.host_offset, err);
	return err;
}

static int write_in_place(struct qcow_io *io, const struct qcow_extent *ext)
{
	struct qcow_image *img = io->image;
	int err;

	err = qcow_cow_check(img, io->guest_offset + io->next, ext);
	if (unlikely(err))
		return err;
	if (!img->crypt)
		return qcow_io_transfer(io, ext);
	return io->flags & QCOW_IO_NOWAIT ? -EAGAIN : write_encrypted(io, ext);
}

/* One step: serve one extent. */
static int write_step(struct qcow_io *io)
{
	struct qcow_image *img = io->image;
	u64 guest_offset = io->guest_offset + io->next;
	u32 len = io->len - io->next;
	struct qcow_extent ext;
	ssize_t n;
	int err;

	ext.image = img;
	err = INDIRECT_CALL_1(img->ops->map, qcow_map, img, guest_offset, len, io->flags,
			      &ext);
	if (unlikely(err))
		return err;
	if (qcow_cow_is_in_place(&ext))
		return write_in_place(io, &ext);
	if (io->flags & QCOW_IO_NOWAIT)
		return -EAGAIN;
	n = qcow_cow_write(io, guest_offset, len);
	if (n < 0)
		return n;
	io->next += n;
	return 0;
}

/**
 * qcow_write() - write to a disk without sleeping
 * @io: as for qcow_read(), with op set
 *
 * @io->end_io() is called once, in any context, also before this returns.
 *
 * Context: as qcow_io_start().
 */
void qcow_write(struct qcow_io *io)
{
	qcow_io_start(io, write_step);
}

/**
 * qcow_write_in_worker() - as qcow_write(), but all of it in a worker
 * @io: the I/O
 *
 * Context: any.
 */
void qcow_write_in_worker(struct qcow_io *io)
{
	qcow_io_start_in_worker(io, write_step);
}

static void write_here(struct qcow_io *io)
{
	qcow_io_start_here(io, write_step);
}

/**
 * qcow_write_sync() - write to a disk and wait for it
 * @io: as for qcow_write(), but end_io and waiter are set here
 *
 * Context: as qcow_cow_write(). May sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_write_sync(struct qcow_io *io)
{
	return qcow_io_sync(io, write_here);
}

/**
 * qcow_write_flush() - make all completed writes durable
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

/**
 * qcow_write_flush_range() - make completed writes of a piece of a disk durable
 * @img: the top of the chain
 * @guest_offset: bytes into the disk
 * @len: bytes, at least 1
 *
 * Context: may sleep.
 *
 * Return: as qcow_write_flush().
 */
int qcow_write_flush_range(struct qcow_image *img, u64 guest_offset, u64 len)
{
	if (img->alloc)
		return qcow_flush_range(img->alloc, guest_offset, len);
	return qcow_raw_sync(img);
}
