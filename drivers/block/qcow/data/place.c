// SPDX-License-Identifier: GPL-2.0
/*
 * Giving written data a place: clusters that are taken for it, or those that its
 * piece of the disk has without using them.
 *
 * Own, write, publish: clusters are taken; the data is written with what
 * surrounds it in its grains, in one transfer; then it is linked in memory. What
 * fails on the way leaves the old data where it was. Others that want the same
 * clusters of the disk wait. No metadata is written here: commit.c does.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "data/part.h"
#include "data/place.h"
#include "data/read.h"
#include "meta/alloc.h"
#include "meta/link.h"
#include "meta/map.h"
#include "meta/release.h"

/**
 * struct placement - a piece of a write that is given a place
 * @io: the write
 * @pos: bytes into the disk
 * @len: bytes of @io
 * @head: bytes before @pos that are written, too
 * @tail: bytes behind that are written, too
 * @beyond: bytes of @tail that are not: a data file ends where the disk does
 * @host: bytes into the file of where @head begins
 * @range: the clusters of the disk
 * @taken: clusters of the file were taken for it
 * @around: what is written in @head and @tail, one after the other
 */
struct placement {
	struct qcow_io *io;
	u64 pos;
	u32 len;
	u32 head;
	u32 tail;
	u32 beyond;
	u64 host;
	struct qcow_range range;
	bool taken;
	void *around;
};

/* Bytes that are given their place at once, surroundings and all. */
static u64 placement_bytes(const struct placement *p)
{
	return (u64)p->head + p->len + p->tail;
}

/* --- One transfer of surroundings and guest data --- */

static u32 bvec_add_io(struct bio_vec *bv, const struct qcow_io *io, u32 skip,
		       u32 len)
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

/* All of it: what is before, the guest's data, what is behind. */
static int placement_write_around(struct placement *p, struct qcow_fio *fio)
{
	u32 room = (p->head + p->tail) / PAGE_SIZE + 4 + p->io->nr_bvec;
	struct bio_vec *bv;
	u32 nr;
	int err;

	bv = kvmalloc_array(room, sizeof(*bv), GFP_NOIO);
	if (!bv)
		return -ENOMEM;
	nr = qcow_file_bvecs(bv, p->around, p->head);
	nr += bvec_add_io(bv + nr, p->io, p->pos - p->io->pos, p->len);
	nr += qcow_file_bvecs(bv + nr, p->around + p->head,
			      p->tail - p->beyond);
	fio->pos = p->host;
	fio->bvec = bv;
	fio->nr_bvec = nr;
	fio->skip = 0;
	fio->len = placement_bytes(p) - p->beyond;
	err = qcow_part_write_sync(p->io->image, fio, p->pos - p->head);
	kvfree(bv);
	return err;
}

static int placement_write(struct placement *p)
{
	struct qcow_image *img = p->io->image;
	struct qcow_fio fio = {
		.file = img->data,
		.write = true,
	};

	if (p->around)
		return placement_write_around(p, &fio);
	fio.pos = p->host + p->head;
	fio.bvec = p->io->bvec;
	fio.nr_bvec = p->io->nr_bvec;
	fio.skip = p->io->skip + (p->pos - p->io->pos);
	fio.len = p->len;
	return qcow_part_write_sync(img, &fio, p->pos);
}

/* --- What surrounds it --- */

static int around_read(struct placement *p)
{
	int err = 0;

	if (p->head)
		err = qcow_read_sync(p->io, p->pos - p->head, p->around,
				     p->head);
	if (!err && p->tail)
		err = qcow_read_sync(p->io, p->pos + p->len,
				     p->around + p->head, p->tail);
	return err;
}

static int placement_store(struct placement *p, const struct qcow_extent *ext,
			   bool fresh)
{
	struct qcow_alloc *a = p->io->image->alloc;
	int err;

	/* Zeros around it, in a place that is zeros. */
	if (!(p->head | p->tail) ||
	    (fresh && qcow_place_is_empty(p->io->image, ext)))
		return placement_write(p);
	p->around = qcow_around_get(&a->around);
	err = around_read(p);
	if (!err)
		err = placement_write(p);
	qcow_around_put(&a->around, p->around);
	return err;
}

/* --- Placing --- */

/**
 * qcow_place_check() - may guest data be written where an extent lies?
 * @img: the image
 * @pos: bytes into its disk, for the message
 * @ext: mapped
 *
 * Guest data must not hit metadata, whatever a damaged table says.
 *
 * Context: any.
 *
 * Return: 0, or -EIO: it would; that is reported, and the image stopped.
 */
int qcow_place_check(struct qcow_image *img, u64 pos,
		     const struct qcow_extent *ext)
{
	u32 bits = img->layout.align_bits;
	u64 unit = ext->host >> bits;
	u64 last = (ext->host + ext->len - 1) >> bits;

	if (!img->alloc || ext->file != &img->file)
		return 0;
	if (unlikely(qcow_alloc_is_behind(img->alloc, ext->host + ext->len))) {
		qcow_image_damaged(img, pos, "guest data would be written behind the end of the file");
		return -EIO;
	}
	for (; unit <= last; unit++) {
		if (likely(!qcow_register_has(&img->alloc->reg, unit)))
			continue;
		qcow_image_damaged(img, pos, "guest data would be written over metadata");
		return -EIO;
	}
	return 0;
}

/*
 * What is given its place at once: a grain; all of the cluster if its data moves
 * with it.
 */
static u32 placement_unit(const struct qcow_image *img,
			  const struct qcow_extent *ext, bool reuse)
{
	bool moves = ext->type == QCOW_EXTENT_COMPRESSED || ext->mapped;

	return 1U << (moves && !reuse ? img->layout.cluster_bits :
					img->layout.grain_bits);
}

static void placement_round(struct placement *p, u32 unit)
{
	p->head = p->pos & (unit - 1);
	p->tail = -(p->pos + p->len) & (unit - 1);
}

/* Take clusters for as much as there are in a row. */
static int placement_take(struct placement *p, u32 unit, bool *fresh)
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
		p->len = ((p->range.first + got) << bits) - p->pos;
	placement_round(p, unit);
	p->host = (first << bits) +
		  ((p->pos - p->head) & ((1ULL << bits) - 1));
	p->taken = true;
	return 0;
}

/*
 * A data file has a place for everything. A cluster that is there already, for
 * zeros or for subclusters without data, is used if it is nobody else's.
 */
static int placement_find(struct placement *p, const struct qcow_extent *ext,
			  bool *fresh)
{
	struct qcow_image *img = p->io->image;
	bool own = img->layout.data_file || (ext->mapped && ext->copied);
	u32 unit = placement_unit(img, ext, own);

	if (!own)
		return placement_take(p, unit, fresh);
	placement_round(p, unit);
	*fresh = false;
	if (img->layout.data_file) {
		p->host = p->pos - p->head;
		if (p->host + placement_bytes(p) > img->size)
			p->beyond = p->host + placement_bytes(p) - img->size;
		return 0;
	}
	p->host = ext->host - p->head;
	return qcow_place_check(img, p->pos, ext);
}

static void placement_drop(struct placement *p)
{
	u32 bits = p->io->image->layout.cluster_bits;
	u64 first = p->host >> bits;
	u64 last = (p->host + placement_bytes(p) - 1) >> bits;

	if (p->taken)
		qcow_release(p->io->image->alloc, first, last - first + 1);
}

/*
 * A table that turned out to be the image's own got its COPIED flag: from then on
 * others write in place what was found here to be shared.
 */
static int placement_remap(struct placement *p, struct qcow_extent *ext)
{
	struct qcow_image *img = p->io->image;
	int err;

	if (!ext->mapped || ext->copied)
		return 0;
	err = qcow_map(img, p->pos, p->len, false, ext);
	if (err)
		return err;
	p->len = min_t(u64, p->len, ext->len);
	p->range.last = (p->pos + p->len - 1) >> img->layout.cluster_bits;
	return 0;
}

/* Return: bytes done; 0: it is to be written in place; or a negative errno. */
static ssize_t placement_fill(struct placement *p, struct qcow_extent *ext)
{
	struct qcow_alloc *a = p->io->image->alloc;
	bool fresh;
	int err;

	err = qcow_link_prepare(a, p->pos, p->len);
	if (!err)
		err = placement_remap(p, ext);
	if (!err && qcow_place_is_in_place(ext))
		return 0;
	if (!err)
		err = placement_find(p, ext, &fresh);
	if (err)
		return err;
	err = placement_store(p, ext, fresh);
	if (err) {
		placement_drop(p);
		return err;
	}
	err = qcow_link_data(a, p->pos - p->head, placement_bytes(p), p->host,
			     p->taken);
	return err ?: (ssize_t)p->len;
}

/**
 * qcow_place_write() - write to a piece of the disk that is not written in place
 * @io: the write
 * @pos: bytes into the disk, inside @io
 * @len: bytes, at least 1
 *
 * Context: a worker of io->write_wq, or another that io->wq does not wait for.
 * May sleep.
 *
 * Return: bytes written; 0: somebody else gave it a place, look again; or a
 * negative errno.
 */
ssize_t qcow_place_write(struct qcow_io *io, u64 pos, u32 len)
{
	struct qcow_image *img = io->image;
	u32 bits = img->layout.cluster_bits;
	struct placement p = {
		.io = io,
		.pos = pos,
		.range.first = pos >> bits,
		.range.last = (pos + len - 1) >> bits,
	};
	struct qcow_extent ext;
	ssize_t n;

	qcow_inflight_lock(&img->alloc->inflight, &p.range);
	n = qcow_map(img, pos, len, false, &ext);
	if (!n && !qcow_place_is_in_place(&ext)) {
		p.len = min_t(u64, len, ext.len);
		p.range.last = (pos + p.len - 1) >> bits;
		n = placement_fill(&p, &ext);
	}
	qcow_inflight_unlock(&img->alloc->inflight, &p.range);
	if (unlikely(n < 0) && !qcow_release_helps(img->alloc, n))
		qcow_img_err_ratelimited(img, "write of %u bytes at %#llx of the disk failed: error %zd\n",
					 len, pos, n);
	return n;
}

/**
 * qcow_place_copy_up() - give a piece of the disk its own copy of what is below
 * @io: pos is @pos, bvec describes @buf; image, wq and parts are set
 * @pos: bytes into the disk
 * @len: bytes, at least 1
 * @buf: memory for them
 *
 * What the image has there already stays as it is.
 *
 * Context: as qcow_place_write().
 *
 * Return: bytes done or to be passed over; 0: look again; or a negative errno.
 */
ssize_t qcow_place_copy_up(struct qcow_io *io, u64 pos, u32 len, void *buf)
{
	struct qcow_image *img = io->image;
	u32 bits = img->layout.cluster_bits;
	struct placement p = {
		.io = io,
		.pos = pos,
		.range.first = pos >> bits,
		.range.last = (pos + len - 1) >> bits,
	};
	struct qcow_extent ext;
	ssize_t n;

	qcow_inflight_lock(&img->alloc->inflight, &p.range);
	n = qcow_map(img, pos, len, false, &ext);
	if (!n)
		p.len = min_t(u64, len, ext.len);
	if (!n && ext.type == QCOW_EXTENT_HOLE) {
		p.range.last = (pos + p.len - 1) >> bits;
		n = qcow_read_sync(io, pos, buf, p.len);
		n = n ?: placement_fill(&p, &ext);
	} else if (!n) {
		n = p.len;
	}
	qcow_inflight_unlock(&img->alloc->inflight, &p.range);
	return n;
}
