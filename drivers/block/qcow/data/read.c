// SPDX-License-Identifier: GPL-2.0
/*
 * Reading a disk. A step of a read maps the next bytes. Depending on the extent it zeroes
 * the memory or starts a sub-request. io.c does the rest.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "compat/compat.h"
#include "data/io.h"
#include "data/read.h"
#include "meta/image.h"

/*
 * Join extents of data that follow @ext in the file. The next step maps again where this
 * stops, and reports its errors.
 */
static noinline void read_join(const struct qcow_io *io, u64 guest_offset, u64 len,
			       struct qcow_extent *ext)
{
	struct qcow_extent next;

	while (ext->len < len) {
		if (qcow_image_map(io->image, guest_offset + ext->len, len - ext->len,
				   io->flags, &next) ||
		    next.type != QCOW_EXTENT_DATA || next.file != ext->file ||
		    next.host_offset != ext->host_offset + ext->len)
			break;
		ext->len += next.len;
	}
}

/* Map as much as one transfer can serve. */
static inline int read_map(struct qcow_io *io, struct qcow_extent *ext)
{
	u64 guest_offset = io->guest_offset + io->next;
	u64 len = io->len - io->next;
	int err;

	err = qcow_image_map(io->image, guest_offset, len, io->flags, ext);
	if (likely(!err) && ext->type == QCOW_EXTENT_DATA && ext->len < len)
		read_join(io, guest_offset, len, ext);
	return err;
}

static int read_zeros(struct qcow_io *io, size_t len)
{
	struct iov_iter iter;

	qcow_iter_init(&iter, ITER_DEST, io->bvec, io->nr_bvec,
		       io->skip + io->next, len);
	io->next += len;
	return iov_iter_zero(len, &iter) == len ? 0 : -EIO;
}

/* One step: serve one extent. */
static int read_step(struct qcow_io *io)
{
	struct qcow_extent ext;
	int err;

	err = read_map(io, &ext);
	if (unlikely(err))
		return err;
	switch (ext.type) {
	case QCOW_EXTENT_HOLE:
	case QCOW_EXTENT_ZERO:
		err = read_zeros(io, ext.len);
		break;
	case QCOW_EXTENT_DATA:
	case QCOW_EXTENT_COMPRESSED:
		err = qcow_io_transfer(io, &ext);
		break;
	}
	return err;
}

/**
 * qcow_read() - read from a disk without sleeping
 * @io: the I/O: image, guest_offset, len, bvec, nr_bvec, skip, bio and end_io are set
 *
 * @io->end_io() is called once, in any context, also before this returns.
 *
 * Context: as qcow_io_start().
 */
void qcow_read(struct qcow_io *io)
{
	qcow_io_start(io, read_step);
}

/**
 * qcow_read_in_worker() - as qcow_read(), but all of it in a worker
 * @io: the I/O
 *
 * Context: any.
 */
void qcow_read_in_worker(struct qcow_io *io)
{
	qcow_io_start_in_worker(io, read_step);
}

/**
 * qcow_read_sync() - read from a disk and wait for it
 * @img: the top of the chain
 * @bio: workers read on the account of its submitter; NULL: on nobody's
 * @guest_offset: guest offset of the data
 * @buf: kmalloc or vmalloc memory
 * @len: bytes
 *
 * Context: may sleep. Not in a worker of the device's wq, which it waits for.
 *
 * Return: 0 or a negative errno.
 */
int qcow_read_sync(struct qcow_image *img, struct bio *bio, u64 guest_offset, void *buf,
		   size_t len)
{
	struct qcow_io *io = kzalloc(sizeof(*io), GFP_NOIO);
	struct bio_vec *bv;
	int err = -ENOMEM;

	bv = kvmalloc_array(len / PAGE_SIZE + 2, sizeof(*bv), GFP_NOIO);
	if (io && bv) {
		io->image = img;
		io->bio = bio;
		io->guest_offset = guest_offset;
		io->len = len;
		io->bvec = bv;
		io->nr_bvec = qcow_file_bvecs(bv, buf, len);
		err = qcow_io_sync(io, qcow_read);
	}
	kvfree(bv);
	kfree(io);
	return err;
}
