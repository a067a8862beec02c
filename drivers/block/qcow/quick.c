// SPDX-License-Identifier: GPL-2.0
/*
 * Giving small writes a place without sleeping: in clusters that are ready.
 *
 * As place.c does it: own, write, publish. The cluster is owned and zeros already,
 * the L2 entry is in memory and stays there, so nothing is left that sleeps but
 * the write itself, which a worker does if it would.
 */
#include <linux/irqflags.h>
#include <linux/preempt.h>

#include "cache.h"
#include "commit.h"
#include "link.h"
#include "map.h"
#include "part.h"
#include "place.h"
#include "quick.h"
#include "ready.h"
#include "release.h"

/* The bytes of the disk that are linked: whole grains. */
static u64 quick_grains(const struct qcow_io *io, u64 *pos)
{
	u64 mask = (1ULL << io->image->layout.grain_bits) - 1;

	*pos = io->pos & ~mask;
	return ((io->pos + io->len + mask) & ~mask) - *pos;
}

/* Bytes into the file of a byte of the cluster. */
static u64 quick_host(const struct qcow_io *io, u64 pos)
{
	u32 bits = io->image->layout.cluster_bits;

	return (io->quick.cluster << bits) + (pos & ((1ULL << bits) - 1));
}

/* --- At the end of the write --- */

static void quick_unlock(struct qcow_io *io)
{
	struct qcow_alloc *a = io->image->alloc;

	qcow_cache_put(io->quick.slice);
	qcow_inflight_unlock(&a->inflight, &io->quick.range);
}

static void quick_publish(struct qcow_part *part)
{
	struct qcow_io *io = part->io;
	struct qcow_alloc *a = io->image->alloc;
	u64 pos, len = quick_grains(io, &pos);

	/* Before what a commit finds linked. */
	WRITE_ONCE(a->unsynced, true);
	qcow_link_pinned(a, io->quick.slice, pos, len, quick_host(io, pos));
	quick_unlock(io);
	qcow_commit_soon(a);
	qcow_part_done(part, 0);
}

static void quick_work(struct work_struct *work)
{
	struct qcow_part *part = container_of(work, struct qcow_part, work);
	struct qcow_io *io = part->io;
	unsigned int flags;

	if (!part->fio.result) {
		quick_publish(part);
		return;
	}
	flags = qcow_worker_begin();
	quick_unlock(io);
	qcow_release(io->image->alloc, io->quick.cluster, 1);
	qcow_worker_end(flags);
	qcow_part_done(part, part->fio.result);
}

static void quick_end(struct qcow_fio *fio, int err)
{
	struct qcow_part *part = container_of(fio, struct qcow_part, fio);

	if (unlikely(err == -EAGAIN)) {
		qcow_part_defer(part);
		return;
	}
	if (likely(!err) && in_task() && !irqs_disabled()) {
		quick_publish(part);
		return;
	}
	fio->result = err;
	INIT_WORK(&part->work, quick_work);
	/* Not where writes may all wait for this one's cluster. */
	queue_work(part->io->wq, &part->work);
}

/* --- At its begin --- */

/* One piece of one cluster */
static bool quick_fits(const struct qcow_io *io, const struct qcow_extent *ext)
{
	const struct qcow_image *img = io->image;
	u32 bits = img->layout.cluster_bits;

	return img->alloc && !io->next && ext->len == io->len &&
	       qcow_ready_wanted(img->alloc, io->len) &&
	       io->pos >> bits == (io->pos + io->len - 1) >> bits &&
	       qcow_place_is_empty(img, ext);
}

/* With its cluster locked: what has to be there. */
static bool quick_get(struct qcow_io *io)
{
	struct qcow_image *img = io->image;
	struct qcow_alloc *a = img->alloc;
	struct qcow_extent ext;

	if (qcow_map(img, io->pos, io->len, true, &ext) || !quick_fits(io, &ext))
		return false;
	io->quick.slice = qcow_link_pin(a, io->pos);
	if (!io->quick.slice)
		return false;
	if (qcow_ready_take(a, &io->quick.cluster))
		return true;
	qcow_cache_put(io->quick.slice);
	return false;
}

/**
 * qcow_quick_write() - give a small write a place, and start it
 * @io: of which nothing was done
 * @ext: where its first bytes lie
 *
 * Context: in a task. Does not sleep.
 * Return: 0: it is under way, all of it; -EAGAIN: nothing was done, and
 * qcow_place_write() has to.
 */
int qcow_quick_write(struct qcow_io *io, const struct qcow_extent *ext)
{
	struct qcow_image *img = io->image;
	struct qcow_extent to = {
		.type = QCOW_EXTENT_DATA,
		.image = img,
		.file = img->data,
		.len = io->len,
	};
	struct qcow_range *range = &io->quick.range;
	struct qcow_part *part;

	if (!quick_fits(io, ext) || qcow_commit_full(img->alloc))
		return -EAGAIN;
	range->first = io->pos >> img->layout.cluster_bits;
	range->last = range->first;
	if (!qcow_inflight_trylock(&img->alloc->inflight, range))
		return -EAGAIN;
	if (!quick_get(io)) {
		qcow_inflight_unlock(&img->alloc->inflight, range);
		return -EAGAIN;
	}
	/* The first one, which is always there. */
	part = qcow_part_get(io);
	to.host = quick_host(io, io->pos);
	qcow_part_prepare(part, io, &to);
	part->fio.end = quick_end;
	io->next = io->len;
	qcow_part_start(part, true);
	return 0;
}
