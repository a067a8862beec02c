// SPDX-License-Identifier: GPL-2.0
/*
 * Writing a disk: in place where a cluster is the image's own, else to clusters
 * that are taken for it.
 *
 * In place is as reading. A write that needs clusters does, in a worker: take
 * them; write the data, with what surrounds it in its clusters, in one transfer;
 * link it in memory. A failed one leaves the old data in place. Others that want
 * the same clusters wait for it. No metadata is written here: commit.c does.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "commit.h"
#include "image.h"
#include "link.h"
#include "map.h"
#include "part.h"
#include "read.h"
#include "write.h"

/* Extents that one I/O is given in the submitter's context. */
#define WRITE_NOWAIT_EXTENTS	64

/* Microseconds that a worker leaves to others when parts have run out. */
#define WRITE_PART_DELAY	1000

/**
 * struct placement - a piece of a write that is given clusters
 * @io: the write
 * @pos: bytes into the disk
 * @len: bytes of @io
 * @head: bytes of the first cluster before @pos that are written, too
 * @tail: bytes of the last cluster behind that are written, too
 * @range: the clusters of the disk
 * @host: number of the first cluster of the file
 * @around: what is written in @head and @tail, one after the other
 */
struct placement {
	struct qcow_io *io;
	u64 pos;
	u32 len;
	u32 head;
	u32 tail;
	struct qcow_range range;
	u64 host;
	void *around;
};

/* --- One transfer of surroundings and guest data --- */

/**
 * struct wait_fio - a transfer that is waited for
 * @fio: it
 * @done: its end
 * @err: how it ended
 */
struct wait_fio {
	struct qcow_fio fio;
	struct completion done;
	int err;
};

static void wait_fio_end(struct qcow_fio *fio, int err)
{
	struct wait_fio *w = container_of(fio, struct wait_fio, fio);

	w->err = err;
	complete(&w->done);
}

static int write_wait(struct wait_fio *w)
{
	int err;

	w->fio.end = wait_fio_end;
	do {
		init_completion(&w->done);
		err = qcow_file_io(&w->fio, false);
		if (err)
			return err;
		wait_for_completion(&w->done);
	} while (w->err == -EAGAIN);
	return w->err;
}

static u32 bvec_add_buffer(struct bio_vec *bv, void *buf, u32 len)
{
	u32 nr = 0, n;

	for (; len; len -= n, buf += n) {
		n = min_t(u32, len, PAGE_SIZE - offset_in_page(buf));
		bv[nr].bv_page = is_vmalloc_addr(buf) ? vmalloc_to_page(buf) :
							virt_to_page(buf);
		bv[nr].bv_offset = offset_in_page(buf);
		bv[nr].bv_len = n;
		nr++;
	}
	return nr;
}

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

/* The whole clusters: what is before, the guest's data, what is behind. */
static int placement_write_around(struct placement *p, struct wait_fio *w)
{
	u32 room = (p->head + p->tail) / PAGE_SIZE + 4 + p->io->nr_bvec;
	struct bio_vec *bv;
	u32 nr;
	int err;

	bv = kvmalloc_array(room, sizeof(*bv), GFP_NOIO);
	if (!bv)
		return -ENOMEM;
	nr = bvec_add_buffer(bv, p->around, p->head);
	nr += bvec_add_io(bv + nr, p->io, p->pos - p->io->pos, p->len);
	nr += bvec_add_buffer(bv + nr, p->around + p->head, p->tail);
	w->fio.bvec = bv;
	w->fio.nr_bvec = nr;
	w->fio.skip = 0;
	w->fio.len = p->head + p->len + p->tail;
	err = write_wait(w);
	kvfree(bv);
	return err;
}

static int placement_write(struct placement *p, bool around)
{
	struct qcow_image *img = p->io->image;
	u32 bits = img->layout.cluster_bits;
	struct wait_fio w = {
		.fio.file = img->data,
		.fio.pos = p->host << bits,
		.fio.write = true,
	};
	int err;

	if (around) {
		err = placement_write_around(p, &w);
	} else {
		w.fio.pos += p->pos & ((1ULL << bits) - 1);
		w.fio.bvec = p->io->bvec;
		w.fio.nr_bvec = p->io->nr_bvec;
		w.fio.skip = p->io->skip + (p->pos - p->io->pos);
		w.fio.len = p->len;
		err = write_wait(&w);
	}
	WRITE_ONCE(img->alloc->unsynced, true);
	return err;
}

/* --- What surrounds it --- */

static int placement_read_around(struct placement *p)
{
	u64 end = p->pos + p->len;
	int err = 0;

	p->around = kvmalloc(p->head + p->tail, GFP_NOIO);
	if (!p->around)
		return -ENOMEM;
	if (p->head)
		err = qcow_read_sync(p->io, p->pos - p->head, p->around,
				     p->head);
	if (!err && p->tail)
		err = qcow_read_sync(p->io, end, p->around + p->head, p->tail);
	return err;
}

/* Whether the surroundings read as zeros without looking further. */
static bool around_is_zero(const struct qcow_image *img,
			   const struct qcow_extent *ext)
{
	return ext->type == QCOW_EXTENT_ZERO ||
	       (ext->type == QCOW_EXTENT_HOLE && !img->backing);
}

/* --- Placing --- */

/* Take clusters for as much as there are in a row. */
static int placement_take(struct placement *p, bool *fresh)
{
	struct qcow_image *img = p->io->image;
	u32 bits = img->layout.cluster_bits;
	u64 mask = (1ULL << bits) - 1;
	u32 want = p->range.last - p->range.first + 1, got;
	int err;

	err = qcow_alloc_clusters(img->alloc, want, &p->host, &got, fresh);
	if (err)
		return err;
	if (got < want)
		p->len = ((p->range.first + got) << bits) - p->pos;
	p->head = p->pos & mask;
	p->tail = -(p->pos + p->len) & mask;
	return 0;
}

static u32 placement_clusters(const struct placement *p)
{
	return (p->head + p->len + p->tail) >>
	       p->io->image->layout.cluster_bits;
}

static int placement_fill(struct placement *p, const struct qcow_extent *ext)
{
	struct qcow_alloc *a = p->io->image->alloc;
	bool fresh, around;
	int err;

	err = qcow_link_prepare(a, p->range.first,
				p->range.last - p->range.first + 1);
	if (!err)
		err = placement_take(p, &fresh);
	if (err)
		return err;
	around = (p->head || p->tail) &&
		 !(fresh && around_is_zero(p->io->image, ext));
	if (around)
		err = placement_read_around(p);
	if (!err)
		err = placement_write(p, around);
	kvfree(p->around);
	if (!err)
		return qcow_link(a, p->range.first, placement_clusters(p),
				 p->host << p->io->image->layout.cluster_bits);
	qcow_alloc_release(a, p->host, placement_clusters(p));
	return err;
}

static bool extent_in_place(const struct qcow_extent *ext)
{
	return ext->type == QCOW_EXTENT_DATA && ext->copied;
}

/*
 * Give the clusters of [@pos, @pos + @len) a place, unless somebody else did it
 * while this one waited. Return: bytes written, 0: look again, or an error.
 */
static ssize_t write_place(struct qcow_io *io, u64 pos, u32 len)
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
	int err;

	qcow_alloc_lock_range(img->alloc, &p.range);
	err = qcow_map(img, pos, len, false, &ext);
	p.len = min_t(u64, len, ext.len);
	if (!err && !extent_in_place(&ext)) {
		/* Only narrower: who waits for the rest may go on. */
		p.range.last = (pos + p.len - 1) >> bits;
		err = placement_fill(&p, &ext);
	} else {
		p.len = 0;
	}
	qcow_alloc_unlock_range(img->alloc, &p.range);
	return err ? err : (ssize_t)p.len;
}

/* --- In place --- */

/* Guest data must not hit metadata, whatever a damaged table says. */
static int check_overlap(struct qcow_image *img, u64 pos,
			 const struct qcow_extent *ext)
{
	u32 bits = img->layout.cluster_bits;
	u64 cluster = ext->host >> bits;
	u64 last = (ext->host + ext->len - 1) >> bits;

	if (!img->alloc || ext->file != &img->file)
		return 0;
	for (; cluster <= last; cluster++) {
		if (likely(!qcow_alloc_is_meta(img->alloc, cluster)))
			continue;
		qcow_image_damaged(img, pos, "guest data would be written over metadata");
		return -EIO;
	}
	return 0;
}

/* Serve what one extent covers. -EAGAIN: nothing was done, it would sleep. */
static int write_extent(struct qcow_io *io, bool nowait)
{
	u64 pos = io->pos + io->next;
	u32 len = io->len - io->next;
	struct qcow_image *img = io->image;
	struct qcow_extent ext;
	struct qcow_part *part;
	ssize_t n;
	int err;

	ext.image = img;
	err = img->ops->map(img, pos, len, nowait, &ext);
	if (unlikely(err))
		return err;
	if (extent_in_place(&ext)) {
		err = check_overlap(img, pos, &ext);
		if (unlikely(err))
			return err;
		part = qcow_part_get(io);
		if (!part)
			return -EAGAIN;
		qcow_part_prepare(part, io, &ext);
		qcow_part_start(part, nowait);
		io->next += ext.len;
		return 0;
	}
	if (nowait)
		return -EAGAIN;
	n = write_place(io, pos, len);
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
	unsigned int flags = memalloc_noio_save();
	int err;

	current->flags |= PF_LOCAL_THROTTLE;
	err = write_extents(io, false);
	current->flags &= ~PF_LOCAL_THROTTLE;
	memalloc_noio_restore(flags);
	if (err == -EAGAIN) {
		usleep_range(WRITE_PART_DELAY, 2 * WRITE_PART_DELAY);
		queue_work(io->write_wq, work);
		return;
	}
	if (io->image->alloc)
		qcow_commit_soon(io->image->alloc, io->write_wq);
	if (err)
		qcow_part_io_fail(io, err);
	qcow_part_io_put(io);
}

static void write_defer(struct qcow_io *io)
{
	io->slow = true;
	INIT_WORK(&io->work, write_work);
	queue_work(io->write_wq, &io->work);
}

/**
 * qcow_write() - write to a disk without sleeping
 * @io: as for qcow_read(), with write and write_wq set
 *
 * Does not sleep; io->done() is called once, in any context, also before this
 * returns.
 */
void qcow_write(struct qcow_io *io)
{
	int err;

	qcow_part_io_begin(io);
	err = write_extents(io, true);
	if (unlikely(err == -EAGAIN)) {
		write_defer(io);
		return;
	}
	if (unlikely(err))
		qcow_part_io_fail(io, err);
	qcow_part_io_put(io);
}

/**
 * qcow_write_in_worker() - as qcow_write(), but all of it in a worker
 * @io: the I/O
 *
 * Any context.
 */
void qcow_write_in_worker(struct qcow_io *io)
{
	qcow_part_io_begin(io);
	write_defer(io);
}

/**
 * qcow_write_flush() - make everything written so far durable
 * @img: the top of the chain
 *
 * May sleep. Return: 0 or a negative errno.
 */
int qcow_write_flush(struct qcow_image *img)
{
	if (img->alloc)
		return qcow_commit(img->alloc);
	return qcow_file_sync(&img->file);
}
