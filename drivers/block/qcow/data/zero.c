// SPDX-License-Identifier: GPL-2.0
/*
 * Zeros and discards, for dev/cmd.c and jobs/: by entries for whole clusters or
 * subclusters, and for pieces of those whose rest reads as zeros already. Other zeros
 * are written.
 *
 * A discarded range reads as zeros, never as data of a backing file. Where an entry
 * cannot express that (version 2 over a backing file) nothing is discarded, and zeros
 * are written.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "data/io.h"
#include "data/write.h"
#include "data/zero.h"
#include "file/space.h"
#include "meta/flush.h"
#include "meta/image.h"
#include "meta/l2.h"
#include "meta/map.h"

/* Most clusters whose entries are changed under one lock. */
#define ZERO_STEP_CLUSTERS	1024

/* Write zeros. Return: bytes written or a negative errno. */
static s64 zero_by_writing(const struct qcow_io *zeros, u64 guest_offset, u64 len)
{
	struct qcow_io *io = kzalloc(sizeof(*io), GFP_NOIO);
	int err;

	if (!io)
		return -ENOMEM;
	io->image = zeros->image;
	io->bio = zeros->bio;
	io->op = QCOW_OP_WRITE;
	io->guest_offset = guest_offset;
	io->len = min_t(u64, len, QCOW_ZEROS_BYTES);
	io->bvec = qcow_zeros;
	io->nr_bvec = QCOW_ZEROS_BVECS;
	len = io->len;
	err = qcow_write_sync(io);
	kfree(io);
	return err ? err : (s64)len;
}

/* --- qcow2 --- */

/* Treatment of an extent. */
enum zero_how {
	ZERO_SKIP,	/* nothing */
	ZERO_ENTRY,	/* change the entry */
	ZERO_WRITE,	/* write zeros */
};

/* Return: true if an entry says that the extent is zeros, whatever the chain has. */
static bool extent_reads_zero(const struct qcow_image *img, const struct qcow_extent *ext)
{
	return ext->type == QCOW_EXTENT_ZERO ||
	       (ext->type == QCOW_EXTENT_HOLE && !img->backing);
}

static bool extent_is_empty(const struct qcow_image *img, const struct qcow_extent *ext)
{
	return extent_reads_zero(img, ext) && !ext->mapped;
}

static enum zero_how zero_decide(const struct qcow_io *io,
				 const struct qcow_extent *ext)
{
	const struct qcow_image *img = io->image;

	if (extent_is_empty(img, ext) ||
	    (extent_reads_zero(img, ext) && io->op == QCOW_OP_ZERO))
		return ZERO_SKIP;
	/*
	 * In version 2 an empty entry means zeros only without a backing file; version
	 * 1 has no zero entries.
	 */
	if (img->layout.version >= 3 ||
	    (img->layout.version == 2 && !img->backing))
		return ZERO_ENTRY;
	return io->op == QCOW_OP_DISCARD ? ZERO_SKIP : ZERO_WRITE;
}

/*
 * Zero a range of the data file, which is as long as the disk, and with the raw bit has
 * to read like it. This comes before the change of the entry: the writer may see zeros
 * early.
 */
static int zero_data_file(const struct qcow_io *io, u64 guest_offset, u64 len)
{
	struct qcow_image *img = io->image;
	int err;

	if (!img->layout.data_file)
		return 0;
	if (io->op == QCOW_OP_ZERO)
		err = img->data_raw ? qcow_space_zero(img->data, guest_offset, len) : 0;
	else
		err = qcow_space_punch(img->data, guest_offset, len);
	qcow_alloc_set_unsynced(img->alloc);
	return img->data_raw ? err : 0;
}

static int zero_entries(const struct qcow_io *io, u64 guest_offset, u64 len)
{
	struct qcow_alloc *a = io->image->alloc;
	int err;

	if (zero_data_file(io, guest_offset, len))
		return -EAGAIN;
	err = qcow_l2_prepare(a, guest_offset, len);
	err = err ?: qcow_l2_set_zero(a, guest_offset, len, io->op != QCOW_OP_ZERO);
	if (!err && io->op != QCOW_OP_ZERO)
		qcow_l2_note_empty(a, guest_offset, len);
	return err;
}

/* Bytes of whole units of @ext from @guest_offset on; one unit at least. */
static u64 zero_span(const struct qcow_image *img, const struct qcow_extent *ext,
		     u64 guest_offset, u64 unit)
{
	u64 span = ext->len;

	if (guest_offset + span == img->size)
		span = (span + unit - 1) & ~(unit - 1);
	return max(span & ~(unit - 1), unit);
}

/*
 * Do one extent, but at least one unit: @guest_offset and @len are aligned to it. The
 * caller does ZERO_WRITE in @how, without the lock. Return: bytes done or a negative
 * errno.
 */
static s64 __zero_units(const struct qcow_io *io, u64 guest_offset, u64 len, u64 unit,
			enum zero_how *how)
{
	struct qcow_image *img = io->image;
	struct qcow_extent ext;
	s64 bytes_done;
	int err;

	err = qcow_map(img, guest_offset, min(len, img->size - guest_offset), 0, &ext);
	if (err)
		return err;
	*how = zero_decide(io, &ext);
	/* The extent covers only a part of the unit. */
	if (ext.len < unit && guest_offset + ext.len < img->size && *how == ZERO_SKIP &&
	    img->layout.version >= 3)
		*how = ZERO_ENTRY;
	bytes_done = min(len, zero_span(img, &ext, guest_offset, unit));
	if (*how == ZERO_SKIP && extent_is_empty(img, &ext))
		qcow_l2_note_empty(img->alloc, guest_offset, ext.len);
	if (*how != ZERO_ENTRY)
		return bytes_done;
	err = zero_entries(io, guest_offset, bytes_done);
	if (err == -EAGAIN)
		*how = ZERO_WRITE;
	else if (err)
		return err;
	return bytes_done;
}

static void zero_lock(struct qcow_io *io, struct qcow_range *range, u64 guest_offset,
		      u64 len)
{
	struct qcow_image *img = io->image;

	range->first = guest_offset >> img->layout.cluster_bits;
	range->last = (guest_offset + len - 1) >> img->layout.cluster_bits;
	qcow_io_set_stage(io, QCOW_IO_LOCKING);
	qcow_inflight_lock(&img->alloc->inflight, range);
	qcow_io_set_stage(io, QCOW_IO_STEPS);
}

static s64 zero_units(struct qcow_io *io, u64 guest_offset, u64 len, u64 unit)
{
	struct qcow_image *img = io->image;
	enum zero_how how = ZERO_SKIP;
	struct qcow_range range;
	s64 bytes_done;

	zero_lock(io, &range, guest_offset, len);
	bytes_done = __zero_units(io, guest_offset, len, unit, &how);
	qcow_inflight_unlock(&img->alloc->inflight, &range);
	if (bytes_done > 0 && how == ZERO_WRITE)
		return zero_by_writing(io, guest_offset,
				       min_t(u64, bytes_done, img->size - guest_offset));
	return bytes_done;
}

/*
 * Return: true if the image has no data in a piece of its disk, whatever its chain has.
 */
static bool zero_is_empty(struct qcow_image *img, u64 guest_offset, u64 guest_end)
{
	struct qcow_extent ext;

	for (; guest_offset < guest_end; guest_offset += ext.len)
		if (qcow_map(img, guest_offset, guest_end - guest_offset, 0, &ext) ||
		    (ext.type != QCOW_EXTENT_HOLE && ext.type != QCOW_EXTENT_ZERO))
			return false;
	return true;
}

/*
 * Return: true if the whole unit at @guest_start may become zeros: the image has no data
 * in it, and the chain reads as zeros around the piece at @guest_offset.
 */
static bool zero_completes(struct qcow_image *img, u64 guest_start, u64 unit,
			   u64 guest_offset, u64 len)
{
	u64 guest_end = min(guest_start + unit, img->size);

	return zero_is_empty(img, guest_start, guest_end) &&
	       qcow_image_reads_zero(img, guest_start, guest_offset - guest_start) &&
	       qcow_image_reads_zero(img, guest_offset + len, guest_end - guest_offset - len);
}

/*
 * Do a piece of one unit. The whole unit becomes zeros if the rest of it reads as zeros
 * already, which costs no space. Return: @len, less if less was done, or a negative
 * errno.
 */
static s64 zero_piece(struct qcow_io *io, u64 guest_offset, u64 len, u64 unit)
{
	struct qcow_image *img = io->image;
	u64 guest_start = guest_offset & ~(unit - 1);
	enum zero_how how = ZERO_WRITE;
	struct qcow_range range;
	s64 bytes_done = 0;

	zero_lock(io, &range, guest_offset, len);
	if (zero_completes(img, guest_start, unit, guest_offset, len))
		bytes_done = __zero_units(io, guest_start, unit, unit, &how);
	qcow_inflight_unlock(&img->alloc->inflight, &range);
	if (bytes_done < 0)
		return bytes_done;
	if (how == ZERO_WRITE && io->op != QCOW_OP_DISCARD)
		return zero_by_writing(io, guest_offset, len);
	return len;
}

/*
 * Do a part of [@guest_offset, @guest_offset + @len). Return: bytes done or a negative
 * errno.
 */
static s64 zero_some(struct qcow_io *io, u64 guest_offset, u64 len)
{
	const struct qcow_image *img = io->image;
	const struct qcow_layout *lay = &img->layout;
	u64 unit = 1ULL << (io->op == QCOW_OP_DISCARD ? lay->cluster_bits :
							lay->grain_bits);
	u64 guest_start = (guest_offset + unit - 1) & ~(unit - 1);
	u64 guest_end = guest_offset + len;

	/* Round up at the end of the disk, as nothing behind it is visible. */
	if (guest_end == img->size)
		guest_end = (guest_end + unit - 1) & ~(unit - 1);
	guest_end &= ~(unit - 1);
	if (guest_start == guest_offset && guest_start < guest_end)
		return zero_units(io, guest_offset,
				  min(guest_end - guest_start,
				      (u64)ZERO_STEP_CLUSTERS << lay->cluster_bits),
				  unit);
	if (guest_start > guest_offset)
		len = min(len, guest_start - guest_offset);
	return zero_piece(io, guest_offset, len, unit);
}

/* --- raw --- */

static s64 zero_raw(const struct qcow_io *io, u64 guest_offset, u64 len)
{
	struct qcow_file *f = &io->image->file;
	int err;

	if (io->op == QCOW_OP_ZERO)
		err = qcow_space_zero(f, guest_offset, len);
	else
		err = qcow_space_punch(f, guest_offset, len);
	/* Ignore a discard that is too small for the device below. */
	if (!err || (err == -EINVAL && io->op == QCOW_OP_DISCARD))
		return len;
	return io->op == QCOW_OP_DISCARD ? err : zero_by_writing(io, guest_offset, len);
}

/* --- The I/O --- */

static s64 zero_tables(struct qcow_io *io, u64 guest_offset, u64 len)
{
	struct qcow_image *img = io->image;
	u64 empty;

	len = min(len, img->size - guest_offset);
	empty = qcow_l2_empty(img, guest_offset, len);
	if (empty)
		return empty;
	if (io->flags & QCOW_IO_NOWAIT)
		return -EAGAIN;
	/* io_work() has throttled before the first step. */
	if (io->next)
		qcow_flush_throttle(img->alloc);
	return zero_some(io, guest_offset, len);
}

/* One step. A disk of an odd size ends inside its last sector. */
static int zero_step(struct qcow_io *io)
{
	u64 guest_offset = io->guest_offset + io->next;
	u64 len = io->len - io->next;
	s64 n;

	if (io->image->alloc)
		n = zero_tables(io, guest_offset, len);
	else if (io->flags & QCOW_IO_NOWAIT)
		n = -EAGAIN;
	else
		n = zero_raw(io, guest_offset, len);
	if (n < 0)
		return n;
	io->next += min_t(u64, n, len);
	return 0;
}

/**
 * qcow_zero() - make a piece of a disk zeros, or discard it
 * @io: the I/O: image, bio, op, guest_offset, len and end_io are set
 *
 * A worker does it, unless all of the piece is known to be discarded already. @io->end_io()
 * is called once, in any context, also before this returns.
 *
 * Context: any. Does not sleep.
 */
void qcow_zero(struct qcow_io *io)
{
	qcow_io_start(io, zero_step);
}

/**
 * qcow_zero_in_worker() - as qcow_zero(), but all of it in a worker
 * @io: as for qcow_zero()
 *
 * Context: any.
 */
void qcow_zero_in_worker(struct qcow_io *io)
{
	qcow_io_start_in_worker(io, zero_step);
}

/**
 * qcow_zero_sync() - as qcow_zero(), and wait for it
 * @io: as for qcow_zero(), but end_io and waiter are set here
 *
 * Context: may sleep. Not in a worker of the device's write_wq.
 *
 * Return: 0 or a negative errno.
 */
int qcow_zero_sync(struct qcow_io *io)
{
	return qcow_io_sync(io, qcow_zero);
}
