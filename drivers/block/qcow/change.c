// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of an attached image that are not I/O: its size, its chain, its snapshots.
 *
 * One at a time for each device, and a device is not taken apart meanwhile. What
 * requests must not see half done happens while its queue is frozen. A worker does
 * it: signals and limits of whoever asked for it would make its I/O fail half way.
 */
#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/completion.h>
#include <linux/sched.h>
#include <linux/workqueue.h>
#include <uapi/linux/qcow.h>

#include "bitmap.h"
#include "change.h"
#include "compat_blk.h"
#include "device.h"
#include "resize.h"
#include "snap_ops.h"
#include "stream.h"

static struct workqueue_struct *change_wq;

/* --- Beginning and ending one --- */

static int change_allowed(struct qcow_device *dev, u64 diskseq,
			  struct qcow_msg *msg)
{
	lockdep_assert_held(&dev->change_mutex);
	/* A detach changes it first, and then takes the mutex. */
	if (READ_ONCE(dev->state) != QCOW_DEVICE_LIVE)
		return -ENODEV;
	if (diskseq && diskseq != dev->disk->diskseq)
		return qcow_fail(msg, -ESTALE, "has become another disk meanwhile; nothing was changed, see qcowctl list");
	if (dev->flags & QCOW_ATTACH_RO)
		return qcow_fail(msg, -EROFS, "is attached read-only; attach it writable, without -r");
	return qcow_image_stopped(dev->target.image) ? -EIO : 0;
}

/*
 * Whether the image may be changed now. Return: 0, with dev->change_mutex held;
 * or a negative errno.
 */
static int change_begin(struct qcow_device *dev, u64 diskseq,
			struct qcow_msg *msg)
{
	int err;

	if (mutex_lock_killable(&dev->change_mutex))
		return -EINTR;
	err = change_allowed(dev, diskseq, msg);
	if (err)
		mutex_unlock(&dev->change_mutex);
	return err;
}

/**
 * qcow_change_hold() - find a device whose image is to be changed
 * @which: the device
 * @msg: says why that cannot be
 *
 * It is not detached, and nobody else changes its image meanwhile. May sleep.
 * Return: the device, to be given to qcow_change_unhold(); or an ERR_PTR: -ESTALE:
 * its diskseq is another one.
 */
struct qcow_device *qcow_change_hold(const struct qcow_which *which,
				     struct qcow_msg *msg)
{
	struct qcow_device *dev = qcow_device_get(which->index, which->by);
	int err;

	if (!dev)
		return ERR_PTR(-ENODEV);
	err = change_begin(dev, which->diskseq, msg);
	if (!err)
		return dev;
	qcow_device_put(dev);
	return ERR_PTR(err);
}

void qcow_change_unhold(struct qcow_device *dev)
{
	mutex_unlock(&dev->change_mutex);
	qcow_device_put(dev);
}

/**
 * qcow_change_freeze() - wait until no request is under way, and begin none
 * @dev: from qcow_change_hold()
 *
 * Until qcow_change_unfreeze() the caller must not wait for anything that a request
 * of this device may be needed for; memory is taken care of. May sleep.
 * Return: to be given to qcow_change_unfreeze().
 */
unsigned int qcow_change_freeze(struct qcow_device *dev)
{
	return qcow_compat_freeze(dev->disk->queue);
}

void qcow_change_unfreeze(struct qcow_device *dev, unsigned int flags)
{
	qcow_compat_unfreeze(dev->disk->queue, flags);
}

/**
 * qcow_change_io() - what I/O of one's own needs
 * @dev: the device
 */
struct qcow_io qcow_change_io(const struct qcow_device *dev)
{
	return (struct qcow_io) {
		.image = dev->target.image,
		.wq = dev->target.wq,
		.write_wq = dev->target.write_wq,
		.parts = dev->target.parts,
	};
}

/* --- In a worker --- */

struct change_work {
	struct work_struct work;
	struct completion done;
	struct qcow_device *dev;
	struct qcow_change *change;
	int err;
};

static void change_work(struct work_struct *work)
{
	struct change_work *w = container_of(work, struct change_work, work);
	unsigned int flags = qcow_worker_begin();

	w->err = w->change->run(w->dev, w->change);
	qcow_worker_end(flags);
	complete(&w->done);
}

/**
 * qcow_change_run() - have a worker change a device's image
 * @dev: from qcow_change_hold()
 * @change: what is done, without waiting for memory that the device could free
 *
 * It is told of a signal, of a fatal one unless @change->any_signal, by
 * qcow_image_interrupted(), and waited for all the same. May sleep.
 * Return: what @change->run() does.
 */
int qcow_change_run(struct qcow_device *dev, struct qcow_change *change)
{
	struct change_work w = { .dev = dev, .change = change };
	unsigned long *flags = &dev->target.image->flags;
	int err;

	lockdep_assert_held(&dev->change_mutex);
	clear_bit(QCOW_IMAGE_INTERRUPTED, flags);
	init_completion(&w.done);
	INIT_WORK_ONSTACK(&w.work, change_work);
	queue_work(change_wq, &w.work);
	if (change->any_signal)
		err = wait_for_completion_interruptible(&w.done);
	else
		err = wait_for_completion_killable(&w.done);
	if (err)
		set_bit(QCOW_IMAGE_INTERRUPTED, flags);
	flush_work(&w.work);
	destroy_work_on_stack(&w.work);
	return w.err;
}

/* Does what a merge could not go on after. */
static int change_alone(const struct qcow_which *which,
			struct qcow_change *change, struct qcow_msg *msg)
{
	struct qcow_device *dev = qcow_change_hold(which, msg);
	int err;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	if (dev->merge)
		err = qcow_fail(msg, -EALREADY, "is being committed to its backing file; have qcowctl commit end that first");
	else
		err = qcow_change_run(dev, change);
	qcow_change_unhold(dev);
	return err;
}

/* --- Another size --- */

struct change_size {
	struct qcow_change base;
	u64 bytes;
	u32 flags;
	struct qcow_msg *msg;
};

/* Without requests under way; they wait until it is done. */
static int resize_frozen(struct qcow_device *dev, u64 bytes,
			 struct qcow_msg *msg)
{
	struct qcow_io like = qcow_change_io(dev);
	unsigned int memflags = qcow_compat_freeze(dev->disk->queue);
	int err;

	err = qcow_resize(&like, bytes, msg);
	/* The block layer let through what is beyond and waits for the thaw. */
	dev->target.sectors = qcow_device_sectors(dev);
	qcow_compat_unfreeze(dev->disk->queue, memflags);
	set_capacity_and_notify(dev->disk, dev->target.sectors);
	return err;
}

/* Nobody opens a disk while its end is cut off. */
static int resize_smaller(struct qcow_device *dev, u64 bytes, u32 flags,
			  struct qcow_msg *msg)
{
	int err = -EBUSY;

	mutex_lock(&dev->disk->open_mutex);
	if (!disk_openers(dev->disk) || flags & QCOW_RESIZE_FORCE)
		err = resize_frozen(dev, bytes, msg);
	mutex_unlock(&dev->disk->open_mutex);
	return err;
}

static int resize_check(const struct qcow_device *dev, u64 bytes,
			struct qcow_msg *msg)
{
	if (dev->target.offset || dev->size_limit)
		return qcow_fail(msg, -EINVAL, "shows a part of its image's disk; attach all of it to resize it");
	if (qcow_bitmap_present(dev->target.image))
		return qcow_fail(msg, -EOPNOTSUPP, "has bitmaps, which fit its size; remove them first");
	if (!bytes || bytes % SECTOR_SIZE || bytes > S64_MAX - SECTOR_SIZE)
		return qcow_fail(msg, -EINVAL, "a size is a multiple of %u bytes",
				 SECTOR_SIZE);
	return 0;
}

static int resize_run(struct qcow_device *dev, struct qcow_change *base)
{
	struct change_size *c = container_of(base, struct change_size, base);
	int err = 0;

	if (c->flags & QCOW_RESIZE_MAX)
		err = qcow_resize_max(dev->target.image, &c->bytes, c->msg);
	if (!err)
		err = resize_check(dev, c->bytes, c->msg);
	if (err)
		return err;
	if (c->bytes < dev->target.image->size)
		err = resize_smaller(dev, c->bytes, c->flags, c->msg);
	else
		err = resize_frozen(dev, c->bytes, c->msg);
	if (!err)
		pr_info("%s: resized, %llu sectors\n", dev->target.image->label,
			(u64)get_capacity(dev->disk));
	return err;
}

/**
 * qcow_change_size() - give a device and its image another size
 * @which: the device
 * @bytes: the size; with QCOW_RESIZE_MAX, 0
 * @flags: QCOW_RESIZE_*
 * @msg: says why it failed
 *
 * May sleep. Return: 0; -ENODEV: there is none; -EBUSY: it is open, it would
 * become smaller, and QCOW_RESIZE_FORCE is not set; or another error.
 */
int qcow_change_size(const struct qcow_which *which, u64 bytes, u32 flags,
		     struct qcow_msg *msg)
{
	struct change_size c = {
		.base = { .run = resize_run },
		.bytes = bytes,
		.flags = flags,
		.msg = msg,
	};

	return change_alone(which, &c.base, msg);
}

/* --- Streaming --- */

/* The image is complete: it lets go of its backing files. */
static int stream_drop_backing(struct qcow_device *dev)
{
	struct qcow_image *img = dev->target.image, *backing = NULL;
	unsigned int memflags = qcow_compat_freeze(dev->disk->queue);
	int err;

	err = qcow_stream_cut_loose(img);
	if (!err) {
		spin_lock(&dev->chain_lock);
		backing = img->backing;
		img->backing = NULL;
		img->wants_backing = false;
		dev->depth = 1;
		spin_unlock(&dev->chain_lock);
	}
	qcow_compat_unfreeze(dev->disk->queue, memflags);
	if (err)
		return err;
	/* The last work items may still be returning from their function. */
	flush_workqueue(dev->target.wq);
	flush_workqueue(dev->target.comp_wq);
	pr_info("%s: needs no backing file any more\n", img->label);
	return qcow_image_close_chain(backing);
}

struct change_stream {
	struct qcow_change base;
	u64 bytes;
	u64 *done;
	u64 *total;
	struct qcow_msg *msg;
};

static int stream_run(struct qcow_device *dev, struct qcow_change *base)
{
	struct change_stream *c = container_of(base, struct change_stream, base);
	struct qcow_image *img = dev->target.image;
	struct qcow_io like = qcow_change_io(dev);
	int err;

	err = qcow_stream_check(img, c->msg);
	if (err)
		return err;
	err = qcow_stream_some(&like, c->bytes);
	if (!err && img->filled >= img->size)
		err = stream_drop_backing(dev);
	*c->done = img->filled;
	*c->total = img->size;
	return err;
}

/**
 * qcow_change_stream() - copy what backing files have into the image
 * @which: the device
 * @bytes: of the disk to look at, at most
 * @done: the result: bytes of the disk that come from no backing file any more
 * @total: the result: bytes of the disk; when @done is as much, the backing files
 *	are no longer part of the chain
 * @msg: says why it failed
 *
 * May sleep. Return: 0 or a negative errno; -EINTR: a signal is pending, @done and
 * @total are set.
 */
int qcow_change_stream(const struct qcow_which *which, u64 bytes, u64 *done,
		       u64 *total, struct qcow_msg *msg)
{
	struct change_stream c = {
		.base = { .run = stream_run, .any_signal = true },
		.bytes = bytes,
		.done = done,
		.total = total,
		.msg = msg,
	};

	return change_alone(which, &c.base, msg);
}

/* --- Snapshots --- */

/**
 * struct change_pause - the queue of a device, to be stopped
 * @base: for those who do not know of queues
 * @dev: the device
 * @flags: from freezing it
 */
struct change_pause {
	struct qcow_pause base;
	struct qcow_device *dev;
	unsigned int flags;
};

static void change_stop(struct qcow_pause *base)
{
	struct change_pause *p = container_of(base, struct change_pause, base);

	p->flags = qcow_compat_freeze(p->dev->disk->queue);
}

static void change_go(struct qcow_pause *base)
{
	struct change_pause *p = container_of(base, struct change_pause, base);

	p->dev->target.sectors = qcow_device_sectors(p->dev);
	qcow_compat_unfreeze(p->dev->disk->queue, p->flags);
}

/* Another disk of another size, maybe, with other partitions. */
static void snapshot_revalidate(struct qcow_device *dev)
{
	if (dev->target.sectors != get_capacity(dev->disk))
		set_capacity_and_notify(dev->disk, dev->target.sectors);
	if (dev->flags & QCOW_ATTACH_HIDDEN)
		return;
	if (!(dev->flags & QCOW_ATTACH_NO_PARTSCAN))
		set_bit(GD_NEED_PART_SCAN, &dev->disk->state);
	disk_uevent(dev->disk, KOBJ_CHANGE);
}

/* Nobody can open it meanwhile. */
static int snapshot_apply(struct qcow_device *dev, struct qcow_snap_request *req,
			  struct qcow_msg *msg)
{
	int err;

	lockdep_assert_held(&dev->disk->open_mutex);
	if (disk_openers(dev->disk))
		return -EBUSY;
	req->min_size = dev->target.offset ? dev->target.offset + SECTOR_SIZE : 0;
	/* It may be another disk all over, of another size. */
	if (qcow_bitmap_present(dev->target.image))
		return qcow_fail(msg, -EOPNOTSUPP, "has bitmaps, which cannot tell what a snapshot changes; remove them first");
	err = qcow_snap_apply(dev->target.image, req, msg);
	if (err)
		return err;
	dev->target.image->filled = 0;
	snapshot_revalidate(dev);
	return err;
}

struct change_snapshot {
	struct qcow_change base;
	u32 op;
	struct qcow_snap_request *req;
	struct qcow_msg *msg;
};

static int snapshot_run(struct qcow_device *dev, struct qcow_change *base)
{
	struct change_snapshot *c = container_of(base, struct change_snapshot,
						 base);
	struct change_pause pause = {
		.base = { .stop = change_stop, .go = change_go },
		.dev = dev,
	};
	struct mutex *open = &dev->disk->open_mutex;
	int err = -EINVAL;

	c->req->pause = &pause.base;
	switch (c->op) {
	case QCOW_SNAPSHOT_CREATE:
		return qcow_snap_create(dev->target.image, c->req, c->msg);
	case QCOW_SNAPSHOT_DELETE:
		return qcow_snap_delete(dev->target.image, c->req, c->msg);
	case QCOW_SNAPSHOT_APPLY:
		mutex_lock(open);
		err = snapshot_apply(dev, c->req, c->msg);
		mutex_unlock(open);
	}
	return err;
}

/**
 * qcow_change_snapshot() - make, delete or apply a snapshot
 * @which: the device
 * @op: &enum qcow_snapshot_op
 * @req: what is asked for, but for @req->pause, and what came of it
 * @msg: says why it failed
 *
 * May sleep. Return: 0; -ENODEV: there is no such device; -EBUSY: to apply it,
 * nobody may have the device open; or another error.
 */
int qcow_change_snapshot(const struct qcow_which *which, u32 op,
			 struct qcow_snap_request *req, struct qcow_msg *msg)
{
	struct change_snapshot c = {
		.base = { .run = snapshot_run },
		.op = op,
		.req = req,
		.msg = msg,
	};

	return change_alone(which, &c.base, msg);
}

int qcow_change_init(void)
{
	change_wq = alloc_workqueue("qcow_change", WQ_UNBOUND, 0);
	return change_wq ? 0 : -ENOMEM;
}

void qcow_change_exit(void)
{
	destroy_workqueue(change_wq);
}
