// SPDX-License-Identifier: GPL-2.0
/*
 * Allocating writes and COW: writing data to new clusters, or to clusters that the
 * entry names without using them. write.c and jobs/stream.c call it, in workers.
 *
 * Own, write, publish: clusters are allocated; the data is written in one transfer,
 * with the old data around it in its grains; then L2 entries in memory lead to it. A
 * failure on the way leaves the old data in use. Other changes of the same guest
 * clusters wait. No metadata is written here: flush.c does that.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "data/cow.h"
#include "data/io.h"
#include "data/read.h"
#include "meta/alloc.h"
#include "meta/l2.h"
#include "meta/map.h"
#include "meta/trace.h"

/**
 * struct cow - a piece of an allocating write
 * @io: the write
 * @guest_offset: bytes into the disk
 * @len: bytes of @io
 * @cow_start: bytes before @guest_offset that are written, too
 * @cow_end: bytes behind the piece that are written, too
 * @beyond: bytes of @cow_end that are not written, as a data file ends with the disk
 * @host_offset: host offset at which @cow_start begins
 * @range: the guest clusters
 * @taken: host clusters were allocated for it
 * @buf: has the old data for @cow_start and @cow_end, one after the other; or NULL
 * @copy: memory of @io for data that is copied up, or NULL
 */
struct cow {
	struct qcow_io *io;
	u64 guest_offset;
	u32 len;
	u32 cow_start;
	u32 cow_end;
	u32 beyond;
	u64 host_offset;
	struct qcow_range range;
	bool taken;
	struct qcow_cow_buf *buf;
	void *copy;
};

/* Bytes that are written, with the old data around the piece. */
static u64 cow_bytes(const struct cow *p)
{
	return (u64)p->cow_start + p->len + p->cow_end;
}

/* --- One transfer of old and guest data --- */

static u32 bvec_add_io(struct bio_vec *bv, const struct qcow_io *io, u32 skip, u32 len)
{
	const struct bio_vec *from = io->bvec;
	u32 nr = 0, n;

	for (skip += io->skip; skip >= from->bv_len; from++)
		skip -= from->bv_len;
	for (; len; len -= n, from++, skip = 0) {
		n = min(len, from->bv_len - skip);
		bv[nr].bv_page = from->bv_page;
		bv[nr].bv_offset = from->bv_offset + skip;
		bv[nr].bv_len = n;
		nr++;
	}
	return nr;
}

/* The segments of old data before, the guest's data, and old data behind. */
static u32 cow_bvecs(const struct cow *p, struct bio_vec *bv)
{
	u32 nr;

	nr = qcow_file_bvecs(bv, p->buf->data, p->cow_start);
	nr += bvec_add_io(bv + nr, p->io, p->guest_offset - p->io->guest_offset, p->len);
	return nr + qcow_file_bvecs(bv + nr, p->buf->data + p->cow_start,
				    p->cow_end - p->beyond);
}

/*
 * Write all in one transfer. Its segments are more than the buffer has room for only in a
 * request that was merged from bios, or in a bio whose table the submitter made.
 */
static int cow_write_whole(struct cow *p, struct qcow_file_req *req)
{
	u32 room = (p->cow_start + p->cow_end) / PAGE_SIZE + QCOW_COW_SEAMS +
		   p->io->nr_bvec;
	struct bio_vec *more = NULL;
	int err;

	if (room > p->buf->nr_bvec) {
		more = kvmalloc_array(room, sizeof(*more), GFP_NOIO);
		if (!more)
			return -ENOMEM;
	}
	req->bvec = more ?: p->buf->bvec;
	req->nr_bvec = cow_bvecs(p, more ?: p->buf->bvec);
	req->host_offset = p->host_offset;
	req->skip = 0;
	req->len = cow_bytes(p) - p->beyond;
	err = qcow_io_write_file(p->io->image, req, p->guest_offset - p->cow_start);
	kvfree(more);
	return err;
}

static int cow_write(struct cow *p)
{
	struct qcow_image *img = p->io->image;
	struct qcow_file_req req = {
		.file = img->data,
		.write = true,
	};

	if (p->buf)
		return cow_write_whole(p, &req);
	req.host_offset = p->host_offset + p->cow_start;
	req.bvec = p->io->bvec;
	req.nr_bvec = p->io->nr_bvec;
	req.skip = p->io->skip + (p->guest_offset - p->io->guest_offset);
	req.len = p->len;
	return qcow_io_write_file(img, &req, p->guest_offset);
}

/* --- Old data --- */

/* Read @len bytes of the disk to @mem, which is memory of the buffer. */
static int cow_read_piece(struct cow *p, u64 guest_offset, void *mem, u32 len)
{
	struct qcow_io *io = &p->buf->io;

	*io = (struct qcow_io){
		.image = p->io->image,
		.bio = p->io->bio,
		.guest_offset = guest_offset,
		.len = len,
		.bvec = p->buf->bvec,
		.nr_bvec = qcow_file_bvecs(p->buf->bvec, mem, len),
	};
	return len ? qcow_io_sync(io, qcow_read) : 0;
}

static int cow_read(struct cow *p)
{
	int err;

	err = cow_read_piece(p, p->guest_offset - p->cow_start, p->buf->data,
			     p->cow_start);
	return err ?: cow_read_piece(p, p->guest_offset + p->len,
				     p->buf->data + p->cow_start, p->cow_end);
}

static void cow_count(const struct cow *p)
{
	struct qcow_stats __percpu *stats = p->io->image->stats;

	trace_qcow_cow(p->io->image->label, p->guest_offset, p->len, p->cow_start,
		       p->cow_end);
	qcow_count(stats, &stats->cow, 1);
	qcow_count(stats, &stats->cow_bytes, p->cow_start + p->cow_end);
}

static int cow_store(struct cow *p, const struct qcow_extent *ext, bool fresh)
{
	struct qcow_alloc *a = p->io->image->alloc;
	int err;

	/* Leave out zeros around the data where the clusters read as zeros. */
	if (!(p->cow_start | p->cow_end) ||
	    (fresh && qcow_cow_is_empty(p->io->image, ext)))
		return cow_write(p);
	qcow_io_set_stage(p->io, QCOW_IO_COW);
	p->buf = qcow_cow_mem_get(a->cow_mem);
	err = cow_read(p);
	if (!err)
		err = cow_write(p);
	qcow_cow_mem_put(a->cow_mem, p->buf);
	qcow_io_set_stage(p->io, QCOW_IO_STEPS);
	if (!err)
		cow_count(p);
	return err;
}

/* --- Allocating and writing --- */

/**
 * qcow_cow_check() - check that guest data may be written to the clusters of an extent
 * @img: the image
 * @guest_offset: guest offset, for the message
 * @ext: an extent with a host offset
 *
 * Guest data must not overwrite metadata, even if a damaged table leads there.
 *
 * Context: any.
 *
 * Return: 0; or -EIO: it would overwrite metadata, which is reported and stops the
 * image.
 */
int qcow_cow_check(struct qcow_image *img, u64 guest_offset,
		   const struct qcow_extent *ext)
{
	u32 bits = img->layout.align_bits;
	u64 unit = ext->host_offset >> bits;
	u64 last = (ext->host_offset + ext->len - 1) >> bits;

	if (!img->alloc || ext->file != &img->file)
		return 0;
	if (unlikely(qcow_alloc_is_behind(img->alloc, ext->host_offset + ext->len))) {
		qcow_image_damaged(img, guest_offset,
				   "guest data would be written behind the end of the file");
		return -EIO;
	}
	if (likely(!qcow_register_has_any(&img->alloc->reg, unit, last - unit + 1)))
		return 0;
	qcow_image_damaged(img, guest_offset, "guest data would be written over metadata");
	return -EIO;
}

/* Unit of the write: a grain; or a cluster, if data of it moves. */
static u32 cow_unit(const struct qcow_image *img, const struct qcow_extent *ext,
		    bool reuse)
{
	bool moves = ext->type == QCOW_EXTENT_COMPRESSED || ext->mapped;

	return 1U << (moves && !reuse ? img->layout.cluster_bits :
					img->layout.grain_bits);
}

static void cow_round(struct cow *p, u32 unit)
{
	p->cow_start = p->guest_offset & (unit - 1);
	p->cow_end = -(p->guest_offset + p->len) & (unit - 1);
}

/* Allocate clusters in a row, and shorten the piece if there are fewer. */
static int cow_take(struct cow *p, u32 unit, bool *fresh)
{
	struct qcow_image *img = p->io->image;
	u32 bits = img->layout.cluster_bits;
	u32 want = p->range.last - p->range.first + 1, got;
	u64 first;
	int err;

	err = qcow_alloc_clusters(img->alloc, want, &first, &got, fresh);
	if (err)
		return err;
	if (got < want)
		p->len = ((p->range.first + got) << bits) - p->guest_offset;
	cow_round(p, unit);
	p->host_offset = (first << bits) +
			 ((p->guest_offset - p->cow_start) & ((1ULL << bits) - 1));
	p->taken = true;
	return 0;
}

/*
 * Choose the host offset. In a data file it is the guest offset. A cluster that the
 * entry names, for zeros or for subclusters without data, is used if it is the image's
 * own.
 */
static int cow_find(struct cow *p, const struct qcow_extent *ext, bool *fresh)
{
	struct qcow_image *img = p->io->image;
	bool own = img->layout.data_file || (ext->mapped && ext->copied);
	u32 unit = cow_unit(img, ext, own);

	if (!own)
		return cow_take(p, unit, fresh);
	cow_round(p, unit);
	*fresh = false;
	if (img->layout.data_file) {
		p->host_offset = p->guest_offset - p->cow_start;
		if (p->host_offset + cow_bytes(p) > img->size)
			p->beyond = p->host_offset + cow_bytes(p) - img->size;
		return 0;
	}
	p->host_offset = ext->host_offset - p->cow_start;
	return qcow_cow_check(img, p->guest_offset, ext);
}

static void cow_drop(struct cow *p)
{
	u32 bits = p->io->image->layout.cluster_bits;
	u64 first = p->host_offset >> bits;
	u64 last = (p->host_offset + cow_bytes(p) - 1) >> bits;

	if (p->taken)
		qcow_alloc_undo(p->io->image->alloc, first, last - first + 1);
}

/*
 * Preparing the L2 table may have set its COPIED flag: from then on other writes go in
 * place to an extent that seemed to be shared here. So map again.
 */
static int cow_remap(struct cow *p, struct qcow_extent *ext)
{
	struct qcow_image *img = p->io->image;
	int err;

	if (!ext->mapped || ext->copied)
		return 0;
	err = qcow_map(img, p->guest_offset, p->len, 0, ext);
	if (err)
		return err;
	p->len = min_t(u64, p->len, ext->len);
	p->range.last = (p->guest_offset + p->len - 1) >> img->layout.cluster_bits;
	return 0;
}

/* Return: bytes done; 0: the write is in place; or a negative errno. */
static ssize_t cow_fill(struct cow *p, struct qcow_extent *ext)
{
	struct qcow_alloc *a = p->io->image->alloc;
	bool fresh;
	int err;

	err = qcow_l2_prepare(a, p->guest_offset, p->len);
	if (!err)
		err = cow_remap(p, ext);
	if (!err && qcow_cow_is_in_place(ext))
		return 0;
	if (!err)
		err = cow_find(p, ext, &fresh);
	if (err)
		return err;
	err = cow_store(p, ext, fresh);
	if (err) {
		cow_drop(p);
		return err;
	}
	if (p->taken)
		qcow_event_over(a->img->events, QCOW_EVENT_FULL);
	err = qcow_l2_set_data(a, p->guest_offset - p->cow_start, cow_bytes(p),
			       p->host_offset, p->taken);
	return err ?: (ssize_t)p->len;
}

/*
 * Lock the guest clusters of a piece, map it, and call @step for one extent of it.
 * Return: as @step, or a negative errno.
 */
static ssize_t cow_run(struct cow *p,
		       ssize_t (*step)(struct cow *p, struct qcow_extent *ext))
{
	struct qcow_image *img = p->io->image;
	u32 bits = img->layout.cluster_bits;
	struct qcow_extent ext;
	ssize_t n;

	p->range.first = p->guest_offset >> bits;
	p->range.last = (p->guest_offset + p->len - 1) >> bits;
	qcow_io_set_stage(p->io, QCOW_IO_LOCKING);
	qcow_inflight_lock(&img->alloc->inflight, &p->range);
	qcow_io_set_stage(p->io, QCOW_IO_STEPS);
	n = qcow_map(img, p->guest_offset, p->len, 0, &ext);
	if (!n) {
		p->len = min_t(u64, p->len, ext.len);
		p->range.last = (p->guest_offset + p->len - 1) >> bits;
		n = step(p, &ext);
	}
	qcow_inflight_unlock(&img->alloc->inflight, &p->range);
	return n;
}

static ssize_t cow_data(struct cow *p, struct qcow_extent *ext)
{
	return qcow_cow_is_in_place(ext) ? 0 : cow_fill(p, ext);
}

/**
 * qcow_cow_write() - write to a piece of the disk that is not in place
 * @io: the write
 * @guest_offset: guest offset of the piece, inside @io
 * @len: bytes, at least 1
 *
 * Context: a worker of the device's write_wq, or another that its wq does not wait for. May
 * sleep.
 *
 * Return: bytes written; 0: another write has allocated it, map again; or a negative
 * errno.
 */
ssize_t qcow_cow_write(struct qcow_io *io, u64 guest_offset, u32 len)
{
	struct qcow_image *img = io->image;
	struct cow p = { .io = io, .guest_offset = guest_offset, .len = len };
	ssize_t n;

	n = cow_run(&p, cow_data);
	if (unlikely(n < 0) && !qcow_io_is_retried(img, n))
		qcow_img_err_ratelimited(img, "write of %u bytes at %#llx of the disk failed: error %zd\n",
					 len, guest_offset, n);
	return n;
}

/* Bytes of a copy after the first @skip, to the end of a cluster. */
static u32 cow_copy_piece(const struct cow *p, u32 skip)
{
	u64 cluster = 1ULL << p->io->image->layout.cluster_bits;

	return min_t(u64, p->len - skip, cluster - ((p->guest_offset + skip) & (cluster - 1)));
}

static bool cow_copy_is_zero(const struct cow *p, u32 skip)
{
	return !memchr_inv((char *)p->copy + skip, 0, cow_copy_piece(p, skip));
}

/* Cut a copy off where clusters of zeros begin or end. Return: whether it is zeros. */
static bool cow_copy_cut(struct cow *p)
{
	bool zero = cow_copy_is_zero(p, 0);
	u32 n = cow_copy_piece(p, 0);

	while (n < p->len && cow_copy_is_zero(p, n) == zero)
		n += cow_copy_piece(p, n);
	p->len = n;
	p->range.last = (p->guest_offset + n - 1) >> p->io->image->layout.cluster_bits;
	return zero;
}

/*
 * Copy up one extent, if it is a hole. One that reads as zeros stays a hole: it reads the
 * same without a backing file.
 */
static ssize_t cow_copy_up(struct cow *p, struct qcow_extent *ext)
{
	int err;

	if (ext->type != QCOW_EXTENT_HOLE)
		return p->len;
	err = qcow_read_sync(p->io->image, p->io->bio, p->guest_offset, p->copy, p->len);
	if (err)
		return err;
	return cow_copy_cut(p) ? p->len : cow_fill(p, ext);
}

/**
 * qcow_cow_copy_up() - copy data of the backing file into the image
 * @io: its guest_offset is @guest_offset, bvec describes @buf; image is set
 * @guest_offset: bytes into the disk
 * @len: bytes, at least 1
 * @buf: memory for the data
 *
 * Extents that are no holes stay unchanged, and so do holes over zeros.
 *
 * Context: as qcow_cow_write().
 *
 * Return: bytes copied or passed over; 0: map again; or a negative errno.
 */
ssize_t qcow_cow_copy_up(struct qcow_io *io, u64 guest_offset, u32 len, void *buf)
{
	struct cow p = { .io = io, .guest_offset = guest_offset, .len = len, .copy = buf };

	return cow_run(&p, cow_copy_up);
}
