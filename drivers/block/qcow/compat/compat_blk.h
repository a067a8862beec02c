/* SPDX-License-Identifier: GPL-2.0 */
/* compat.h for the block layer: dev/ includes it, for it includes blk-mq.h. */
#ifndef _QCOW_COMPAT_BLK_H
#define _QCOW_COMPAT_BLK_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>

#include "compat/compat.h"

/* Since 6.5 the mode of opening a block device has a type of its own. */
#ifdef QCOW_HAVE_BLK_MODE_T
#define qcow_compat_open(name, disk, mode) \
	name(struct gendisk *disk, blk_mode_t mode)
#define qcow_compat_release(name, disk) \
	name(struct gendisk *disk)
#define qcow_compat_disk(disk)	(disk)
#else
#define qcow_compat_open(name, disk, mode) \
	name(struct block_device *disk, fmode_t mode)
#define qcow_compat_release(name, disk) \
	name(struct gendisk *disk, fmode_t mode)
#define qcow_compat_disk(disk)	((disk)->bd_disk)
#endif

/* Until 6.13 merging was opt-in; until 6.18 devices on devices had a flag. */
#ifdef QCOW_HAVE_SHOULD_MERGE
#define QCOW_COMPAT_MQ_MERGE	BLK_MQ_F_SHOULD_MERGE
#else
#define QCOW_COMPAT_MQ_MERGE	0
#endif
#ifdef QCOW_HAVE_STACKING
#define QCOW_COMPAT_MQ_STACKING	BLK_MQ_F_STACKING
#else
#define QCOW_COMPAT_MQ_STACKING	0
#endif

/* Sectors of a request that discards or makes zeros, with and without unmapping. */
static inline void qcow_compat_limit_zero(struct queue_limits *lim, u32 sectors)
{
#ifdef QCOW_HAVE_WZEROES_UNMAP
	lim->max_hw_wzeroes_unmap_sectors = sectors;
#endif
	lim->max_hw_discard_sectors = sectors;
	lim->max_write_zeroes_sectors = sectors;
}

/* Since 6.9 allocating the disk takes the limits. */
static inline struct gendisk *
qcow_compat_alloc_disk(struct blk_mq_tag_set *set, struct queue_limits *lim,
		       void *data, bool write_cache, bool stable_writes)
{
#ifdef QCOW_HAVE_ALLOC_DISK_LIMITS
	if (write_cache)
		lim->features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_FUA;
	if (stable_writes)
		lim->features |= BLK_FEAT_STABLE_WRITES;
	return blk_mq_alloc_disk(set, lim, data);
#else
	struct gendisk *disk = blk_mq_alloc_disk(set, data);

	if (!IS_ERR(disk)) {
		struct request_queue *q = disk->queue;

		blk_queue_logical_block_size(q, lim->logical_block_size);
		blk_queue_physical_block_size(q, lim->physical_block_size);
		blk_queue_io_min(q, lim->io_min);
		blk_queue_io_opt(q, lim->io_opt);
		blk_queue_dma_alignment(q, lim->dma_alignment);
		blk_queue_max_hw_sectors(q, lim->max_hw_sectors);
		blk_queue_max_segments(q, lim->max_segments);
		blk_queue_max_segment_size(q, lim->max_segment_size);
		blk_queue_max_discard_sectors(q, lim->max_hw_discard_sectors);
		blk_queue_max_write_zeroes_sectors(q,
						   lim->max_write_zeroes_sectors);
		q->limits.discard_granularity = lim->discard_granularity;
		q->limits.discard_alignment = lim->discard_alignment;
		blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
		blk_queue_write_cache(q, write_cache, write_cache);
		if (stable_writes)
			blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, q);
	}
	return disk;
#endif
}

/*
 * Wait for the requests that are under way, and let none begin. Since 6.14 the freeze
 * returns flags for allocating memory meanwhile.
 */
static inline unsigned int qcow_compat_freeze(struct request_queue *q)
{
#ifdef QCOW_HAVE_FREEZE_MEMFLAGS
	return blk_mq_freeze_queue(q);
#else
	blk_mq_freeze_queue(q);
	return memalloc_noio_save();
#endif
}

static inline void qcow_compat_unfreeze(struct request_queue *q,
					unsigned int memflags)
{
#ifdef QCOW_HAVE_FREEZE_MEMFLAGS
	blk_mq_unfreeze_queue(q, memflags);
#else
	memalloc_noio_restore(memflags);
	blk_mq_unfreeze_queue(q);
#endif
}

/* Since 6.13 a plug's requests, and its unused ones, are in lists with a tail. */
#ifdef QCOW_HAVE_PLUG_CACHED_RQ
#define qcow_compat_queue_rqs(name, list)	name(struct request **list)
#else
#define qcow_compat_queue_rqs(name, list)	name(struct rq_list *list)
#endif

static inline struct request *qcow_compat_plug_cached(struct blk_plug *plug)
{
#ifdef QCOW_HAVE_PLUG_CACHED_RQ
	return plug->cached_rq;
#else
	return rq_list_peek(&plug->cached_rqs);
#endif
}

/*
 * Return: true if a plug holds only requests of @q. Unless multiple_queues is set,
 * which is reset only when a plug begins, all have the queue of the first. Unused
 * requests are allocated once for each plug, and so have one queue.
 */
static inline bool qcow_compat_plug_is_for(struct blk_plug *plug,
					   const struct request_queue *q)
{
	const struct request *first = rq_list_peek(&plug->mq_list);
	const struct request *cached = qcow_compat_plug_cached(plug);

	return !plug->multiple_queues && list_empty(&plug->cb_list) &&
	       (!first || first->q == q) && (!cached || cached->q == q);
}

/*
 * Return: true if the task that dispatches @rq holds nothing that I/O below could wait
 * for: requests or bios of other disks, the only thread of a workqueue (a rescuer),
 * locks of memory reclaim, or a request that device-mapper sends on. See
 * Documentation/locking.rst, "Entering a filesystem". Does not sleep.
 */
static inline bool qcow_compat_may_enter(const struct request *rq)
{
	const struct bio_list *bios = current->bio_list;
	struct blk_plug *plug = current->plug;

	if (plug && unlikely(!qcow_compat_plug_is_for(plug, rq->q)))
		return false;
	if (bios && unlikely(!bio_list_empty(&bios[0]) ||
			     !bio_list_empty(&bios[1])))
		return false;
	return likely(!(current->flags & (PF_WQ_WORKER | PF_MEMALLOC)) &&
		      !rq->end_io);
}

/*
 * Wait until each queue_rq() that has begun has returned. Since 6.2 it takes a tag set.
 */
static inline void qcow_compat_wait_dispatched(struct request_queue *q)
{
#ifdef QCOW_HAVE_QUIESCE_DONE_SET
	blk_mq_wait_quiesce_done(q->tag_set);
#else
	blk_mq_wait_quiesce_done(q);
#endif
}

/* Until 6.9 it took the event. */
static inline void qcow_compat_media_changed(struct gendisk *disk)
{
#ifdef QCOW_HAVE_MEDIA_CHANGE_ALONE
	disk_force_media_change(disk);
#else
	disk_force_media_change(disk, DISK_EVENT_MEDIA_CHANGE);
#endif
}

#endif /* _QCOW_COMPAT_BLK_H */
