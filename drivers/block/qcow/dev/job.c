// SPDX-License-Identifier: GPL-2.0
/*
 * Jobs: changes of an attached image that are not I/O, such as another size, streaming,
 * snapshots. The ioctls (ctl*.c) start them; jobs/ does their work on images.
 *
 * A device has one job at a time, and is not taken apart meanwhile. Steps that requests
 * must not see half done happen while its queue is frozen. A worker does the job, since
 * signals and limits of the caller would make its I/O fail half way.
 */
#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/completion.h>
#include <linux/sched.h>
#include <linux/workqueue.h>
#include <uapi/linux/qcow.h>

#include "compat/compat_blk.h"
#include "dev/job.h"
#include "dev/child.h"
#include "dev/device.h"
#include "dev/device_limits.h"
#include "jobs/resize.h"
#include "jobs/snapshot_ops.h"
#include "jobs/stream.h"
#include "meta/bitmap.h"

static struct workqueue_struct *job_wq;

/* --- Beginning and ending a job --- */

/* Check that a device is the one that is meant, and stays. */
static int job_is_there(struct qcow_device *dev, u64 diskseq, struct qcow_msg *msg)
{
	lockdep_assert_held(&dev->job_mutex);
	/* A detach changes the state first, and then takes the mutex. */
	if (READ_ONCE(dev->state) != QCOW_DEVICE_LIVE)
		return -ENODEV;
	if (diskseq && diskseq != dev->disk->diskseq)
		return qcow_advise(msg, -ESTALE, "has become another disk meanwhile; nothing was changed, see qcowctl list");
	return 0;
}

static int job_allowed(struct qcow_device *dev, u64 diskseq, struct qcow_msg *msg)
{
	int err = job_is_there(dev, diskseq, msg);

	if (err)
		return err;
	if (dev->options.flags & QCOW_ATTACH_RO)
		return qcow_advise(msg, -EROFS, "is attached read-only; attach it writable, without -r");
	return qcow_image_stopped(dev->target.image) ? -EIO : 0;
}

/* Begin a job. Return: 0, with dev->job_mutex held; or a negative errno. */
static int job_begin(struct qcow_device *dev, u64 diskseq, bool change,
		     struct qcow_msg *msg)
{
	int err;

	if (mutex_lock_killable(&dev->job_mutex))
		return -EINTR;
	err = change ? job_allowed(dev, diskseq, msg) : job_is_there(dev, diskseq, msg);
	if (err)
		mutex_unlock(&dev->job_mutex);
	return err;
}

static struct qcow_device *job_hold(const struct qcow_which *which, bool change,
				    struct qcow_msg *msg)
{
	struct qcow_device *dev = qcow_device_get(which->index, which->by);
	int err;

	if (!dev)
		return ERR_PTR(-ENODEV);
	err = job_begin(dev, which->diskseq, change, msg);
	if (err) {
		qcow_device_put(dev);
		return ERR_PTR(err);
	}
	qcow_device_begin_job(dev, which->by);
	return dev;
}

/**
 * qcow_job_hold() - find the device for a job
 * @which: the device
 * @msg: says why it failed
 *
 * Until qcow_job_unhold() the device is not detached, and has no other job.
 *
 * Context: may sleep.
 *
 * Return: the device; or an ERR_PTR: -ESTALE: it has another diskseq; -EROFS: it is
 * read-only; -EIO: its image is stopped.
 */
struct qcow_device *qcow_job_hold(const struct qcow_which *which, struct qcow_msg *msg)
{
	return job_hold(which, true, msg);
}

/**
 * qcow_job_hold_to_read() - as qcow_job_hold(), to look at the images only
 * @which: the device
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: the device; or an ERR_PTR: -ESTALE: it has another diskseq.
 */
struct qcow_device *qcow_job_hold_to_read(const struct qcow_which *which,
					  struct qcow_msg *msg)
{
	return job_hold(which, false, msg);
}

void qcow_job_unhold(struct qcow_device *dev)
{
	mutex_unlock(&dev->job_mutex);
	qcow_device_put(dev);
}

/**
 * qcow_job_freeze() - wait until no request is under way, and let none begin
 * @dev: from qcow_job_hold()
 *
 * Other requests go on while one waits for space or memory, as it may for half a minute:
 * the freeze begins later.
 *
 * Until qcow_job_unfreeze() the caller must not wait for anything that may need a
 * request of this device. Its memory allocations do not.
 *
 * Context: may sleep.
 *
 * Return: flags for qcow_job_unfreeze().
 */
unsigned int qcow_job_freeze(struct qcow_device *dev)
{
	/* A job that cannot end here freezes the queue at once after a signal. */
	(void)qcow_cmd_settle(&dev->target);
	return qcow_compat_freeze(dev->disk->queue);
}

void qcow_job_unfreeze(struct qcow_device *dev, unsigned int flags)
{
	qcow_compat_unfreeze(dev->disk->queue, flags);
}

/**
 * qcow_job_try_freeze() - as qcow_job_freeze(), for a job that can end before it
 * @dev: from qcow_job_hold()
 * @flags: the result, for qcow_job_unfreeze()
 *
 * Context: may sleep.
 *
 * Return: 0; or the error of qcow_image_interrupted(), and the queue is not frozen.
 */
int qcow_job_try_freeze(struct qcow_device *dev, unsigned int *flags)
{
	int err = qcow_cmd_settle(&dev->target);

	if (err)
		return err;
	*flags = qcow_compat_freeze(dev->disk->queue);
	return 0;
}

static int pause_stop(struct qcow_pause *base)
{
	struct qcow_job_pause *p = container_of(base, struct qcow_job_pause, base);
	int err;

	err = qcow_cmd_settle(&p->dev->target);
	if (err && p->may_end)
		return err;
	base->since = ktime_get_ns();
	p->memflags = qcow_compat_freeze(p->dev->disk->queue);
	return 0;
}

static void pause_go(struct qcow_pause *base)
{
	struct qcow_job_pause *p = container_of(base, struct qcow_job_pause, base);

	qcow_job_unfreeze(p->dev, p->memflags);
}

/**
 * qcow_job_pause_init() - let lower floors freeze a device's queue
 * @p: the result; @p->base.stop() and @p->base.go() freeze and unfreeze
 * @dev: from qcow_job_hold()
 */
void qcow_job_pause_init(struct qcow_job_pause *p, struct qcow_device *dev)
{
	*p = (struct qcow_job_pause){
		.base = { .stop = pause_stop, .go = pause_go },
		.dev = dev,
	};
}

/* --- In a worker --- */

struct job_work {
	struct work_struct work;
	struct completion done;
	struct qcow_device *dev;
	struct qcow_job *job;
	int err;
};

static void job_work(struct work_struct *work)
{
	struct job_work *w = container_of(work, struct job_work, work);
	unsigned int flags = qcow_worker_begin();

	w->err = w->job->run(w->dev, w->job);
	qcow_worker_end(flags);
	complete(&w->done);
}

/**
 * qcow_job_run() - have a worker do a job
 * @dev: from qcow_job_hold()
 * @job: the job; it must not wait for memory that writes to the device would free
 *
 * After a signal, a fatal one unless @job->any_signal, qcow_image_interrupted()
 * tells the job to end early; the caller waits for that.
 *
 * Context: may sleep.
 *
 * Return: the result of @job->run().
 */
int qcow_job_run(struct qcow_device *dev, struct qcow_job *job)
{
	struct job_work w = { .dev = dev, .job = job };
	int err;

	lockdep_assert_held(&dev->job_mutex);
	clear_bit(QCOW_ENDING_INTERRUPTED, &dev->ending);
	qcow_progress_reset(&dev->progress);
	init_completion(&w.done);
	INIT_WORK_ONSTACK(&w.work, job_work);
	queue_work(job_wq, &w.work);
	if (job->any_signal)
		err = wait_for_completion_interruptible(&w.done);
	else
		err = wait_for_completion_killable(&w.done);
	if (err)
		set_bit(QCOW_ENDING_INTERRUPTED, &dev->ending);
	flush_work(&w.work);
	destroy_work_on_stack(&w.work);
	return w.err;
}

/* Do a job that a commit into the backing file excludes. */
static int job_alone(const struct qcow_which *which, struct qcow_job *job,
		     struct qcow_msg *msg)
{
	struct qcow_device *dev = qcow_job_hold(which, msg);
	int err;

	if (IS_ERR(dev))
		return PTR_ERR(dev);
	if (dev->commit)
		err = qcow_advise(msg, -EALREADY, "is being committed to its backing file; have qcowctl commit end that first");
	else
		err = qcow_job_run(dev, job);
	qcow_job_unhold(dev);
	return err;
}

/* --- Another size --- */

/**
 * struct job_resize - a resize
 * @base: for qcow_job_run()
 * @ops: how jobs/resize.c shows the new size
 * @pause: the device's queue
 * @dev: the device
 * @bytes: the wanted size
 * @flags: QCOW_RESIZE_*
 * @msg: says why it failed, or warns after a success
 */
struct job_resize {
	struct qcow_job base;
	struct qcow_resize_ops ops;
	struct qcow_job_pause pause;
	struct qcow_device *dev;
	u64 bytes;
	u32 flags;
	struct qcow_msg *msg;
};

/*
 * Let no request end behind the new size. The block layer may have let some through,
 * which wait for the thaw.
 */
static void size_cut(struct qcow_device *dev, sector_t sectors)
{
	unsigned int flags = qcow_job_freeze(dev);

	WRITE_ONCE(dev->target.sectors, sectors);
	qcow_job_unfreeze(dev, flags);
}

/* Show a smaller size if the disk is not open, and keep openers away until then. */
static int size_show_unused(struct qcow_device *dev, sector_t sectors)
{
	int err = -EBUSY;

	mutex_lock(&dev->disk->open_mutex);
	if (!disk_openers(dev->disk)) {
		size_cut(dev, sectors);
		set_capacity_and_notify(dev->disk, sectors);
		err = 0;
	}
	mutex_unlock(&dev->disk->open_mutex);
	return err;
}

/*
 * Show a smaller size of a disk that may be in use. The freeze waits for requests,
 * perhaps for long, so it holds no mutex that openers need.
 */
static void size_show_used(struct qcow_device *dev, sector_t sectors)
{
	size_cut(dev, sectors);
	mutex_lock(&dev->disk->open_mutex);
	set_capacity_and_notify(dev->disk, sectors);
	mutex_unlock(&dev->disk->open_mutex);
}

static int size_show(struct qcow_resize_ops *ops, u64 bytes)
{
	struct job_resize *c = container_of(ops, struct job_resize, ops);
	struct qcow_device *dev = c->dev;
	sector_t sectors = qcow_device_sectors(dev, bytes);

	if (sectors >= dev->target.sectors) {
		WRITE_ONCE(dev->target.sectors, sectors);
		set_capacity_and_notify(dev->disk, sectors);
		return 0;
	}
	if (!(c->flags & QCOW_RESIZE_FORCE))
		return size_show_unused(dev, sectors);
	size_show_used(dev, sectors);
	return 0;
}

/* Return: whether a partition ends behind the end of the disk. */
static bool partitions_behind(struct gendisk *disk)
{
	struct block_device *part;
	bool behind = false;
	unsigned long i;

	lockdep_assert_held(&disk->open_mutex);
	rcu_read_lock();
	xa_for_each_start(&disk->part_tbl, i, part, 1)
		behind |= part->bd_start_sect + bdev_nr_sectors(part) >
			  get_capacity(disk);
	rcu_read_unlock();
	return behind;
}

/* Remove partitions behind the end of a smaller disk, or warn of them. */
static void size_partitions(struct job_resize *c)
{
	struct gendisk *disk = c->dev->disk;
	bool behind;
	int err = 0;

	mutex_lock(&disk->open_mutex);
	behind = partitions_behind(disk);
	if (behind && !disk_openers(disk)) {
		err = bdev_disk_changed(disk, false);
		behind = err || partitions_behind(disk);
	}
	mutex_unlock(&disk->open_mutex);
	if (!behind)
		return;
	pr_warn("%s: has partitions that end behind its end\n",
		c->dev->target.image->label);
	qcow_fail(c->msg, 0, "is smaller now, but has partitions that end behind its end: change its partition table, or have it read again by blockdev --rereadpt");
}

/* A file's size is no multiple of the sector: the device shows whole sectors of it. */
static int resize_check_size(const struct qcow_device *dev, u64 bytes, bool max,
			     struct qcow_msg *msg)
{
	u32 unit = max ? SECTOR_SIZE : dev->options.sector_size;

	if (bytes < dev->options.sector_size)
		return qcow_fail(msg, -EINVAL, "a disk has at least one sector, here of %u bytes",
				 dev->options.sector_size);
	if (bytes & (unit - 1) || bytes > S64_MAX - SECTOR_SIZE)
		return qcow_fail(msg, -EINVAL, "a size is a multiple of %u bytes",
				 unit);
	return 0;
}

static int resize_check(const struct qcow_device *dev, u64 bytes, bool max,
			struct qcow_msg *msg)
{
	if (dev->target.guest_offset || dev->options.size_limit)
		return qcow_advise(msg, -EINVAL, "shows a part of its image's disk; attach all of it to resize it");
	if (qcow_bitmap_present(dev->target.image))
		return qcow_advise(msg, -EOPNOTSUPP, "has bitmaps, which fit its size; remove them first");
	return resize_check_size(dev, bytes, max, msg);
}

static int resize_run(struct qcow_device *dev, struct qcow_job *base)
{
	struct job_resize *c = container_of(base, struct job_resize, base);
	u64 before = dev->target.image->size;
	int err = 0;

	c->dev = dev;
	qcow_job_pause_init(&c->pause, dev);
	c->ops.pause = &c->pause.base;
	if (c->flags & QCOW_RESIZE_MAX)
		err = qcow_resize_max(dev->target.image, &c->bytes, c->msg);
	if (!err)
		err = resize_check(dev, c->bytes, c->flags & QCOW_RESIZE_MAX,
				   c->msg);
	if (!err)
		err = qcow_resize(dev->target.image, c->bytes, &c->ops, c->msg);
	if (dev->target.image->size < before)
		size_partitions(c);
	if (dev->target.image->size != before)
		pr_info("%s: resized, %llu sectors\n", dev->target.image->label,
			(u64)get_capacity(dev->disk));
	return err;
}

/**
 * qcow_job_size() - give a device and its image another size
 * @which: the device
 * @bytes: the size; with QCOW_RESIZE_MAX, 0
 * @flags: QCOW_RESIZE_*
 * @msg: says why it failed, or warns after a success
 *
 * The device may be used meanwhile.
 *
 * Context: may sleep.
 *
 * Return: 0; -ENODEV: there is no such device; -EBUSY: it is open and would become
 * smaller, and QCOW_RESIZE_FORCE is not set; -EINTR: a signal ended it, and @msg gives
 * the disk's size; or another error.
 */
int qcow_job_size(const struct qcow_which *which, u64 bytes, u32 flags,
		  struct qcow_msg *msg)
{
	struct job_resize c = {
		.base = { .run = resize_run, .any_signal = true },
		.ops = { .show = size_show },
		.bytes = bytes,
		.flags = flags,
		.msg = msg,
	};

	return job_alone(which, &c.base, msg);
}

/* --- Streaming --- */

/* The image is complete: drop its backing files. */
static int stream_drop_backing(struct qcow_device *dev)
{
	struct qcow_image *img = dev->target.image, *backing;
	unsigned int flags;
	int err;

	err = qcow_stream_cut_loose(img);
	if (err)
		return err;
	flags = qcow_job_freeze(dev);
	spin_lock(&dev->chain_lock);
	backing = img->backing;
	img->backing = NULL;
	img->wants_backing = false;
	dev->depth = 1;
	spin_unlock(&dev->chain_lock);
	qcow_job_unfreeze(dev, flags);
	pr_info("%s: needs no backing file any more\n", img->label);
	return qcow_image_close_chain(backing);
}

struct job_stream {
	struct qcow_job base;
	u64 bytes;
	u64 *done;
	u64 *total;
	struct qcow_msg *msg;
};

/**
 * qcow_job_refuse_temporary() - refuse a job that makes data of a device last
 * @dev: the device
 * @msg: says that it is temporary
 *
 * Context: any.
 *
 * Return: 0, or -EOPNOTSUPP.
 */
int qcow_job_refuse_temporary(const struct qcow_device *dev, struct qcow_msg *msg)
{
	if (!qcow_device_is_temporary(dev))
		return 0;
	return qcow_advise(msg, -EOPNOTSUPP, "is temporary: its writes go when it is detached; copy its disk if you want to keep it");
}

static int stream_run(struct qcow_device *dev, struct qcow_job *base)
{
	struct job_stream *c = container_of(base, struct job_stream, base);
	struct qcow_image *img = dev->target.image;
	int err = qcow_job_refuse_temporary(dev, c->msg);

	if (!err)
		err = qcow_stream_check(img, c->msg);
	if (err)
		return err;
	err = qcow_stream_some(img, c->bytes);
	if (!err && img->filled >= img->size)
		err = stream_drop_backing(dev);
	*c->done = img->filled;
	*c->total = img->size;
	return err;
}

/**
 * qcow_job_stream() - copy the data of backing files into the image
 * @which: the device
 * @bytes: most bytes of the disk to look at
 * @done: out: bytes of the disk that come from no backing file any more
 * @total: out: bytes of the disk; when @done is the same, the backing files are no
 *	longer part of the chain
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno; -EINTR: a signal is pending, @done and @total are set.
 */
int qcow_job_stream(const struct qcow_which *which, u64 bytes, u64 *done, u64 *total,
		    struct qcow_msg *msg)
{
	struct job_stream c = {
		.base = { .run = stream_run, .any_signal = true },
		.bytes = bytes,
		.done = done,
		.total = total,
		.msg = msg,
	};

	return job_alone(which, &c.base, msg);
}

/* --- Snapshots --- */

/**
 * struct job_snapshot - a snapshot operation
 * @base: for qcow_job_run()
 * @apply: keeps openers away and freezes the queue while a snapshot is applied
 * @queue: freezes the queue only
 * @users: the devices that show a snapshot
 * @dev: the device
 * @op: &enum qcow_snapshot_op
 * @req: argument and result
 * @msg: says why it failed
 */
struct job_snapshot {
	struct qcow_job base;
	struct qcow_pause apply;
	struct qcow_job_pause queue;
	struct qcow_snapshot_users users;
	struct qcow_device *dev;
	u32 op;
	struct qcow_snapshot_request *req;
	struct qcow_msg *msg;
};

/*
 * Have the kernel find the new partitions before the old ones can be opened. Some
 * kernels do not look for partitions when the disk is opened.
 */
static void apply_partitions(struct job_snapshot *c)
{
	struct gendisk *disk = c->dev->disk;
	int err;

	if (c->dev->options.flags & QCOW_ATTACH_NO_PARTSCAN)
		return;
	err = bdev_disk_changed(disk, false);
	if (err)
		qcow_advise(c->msg, 0, "its partitions may be those of before (error %d); run blockdev --rereadpt /dev/%s",
			    err, c->dev->name);
}

/*
 * Tell the block layer and udev of another disk, perhaps with another size and
 * partitions.
 */
static void apply_tell(struct job_snapshot *c)
{
	struct qcow_device *dev = c->dev;
	struct gendisk *disk = dev->disk;

	lockdep_assert_held(&disk->open_mutex);
	dev->target.image->filled = 0;
	if (dev->target.sectors != get_capacity(disk))
		set_capacity_and_notify(disk, dev->target.sectors);
	if (dev->options.flags & QCOW_ATTACH_HIDDEN)
		return;
	/* This gives the disk a new diskseq. */
	qcow_compat_media_changed(disk);
	apply_partitions(c);
	disk_uevent(disk, KOBJ_CHANGE);
}

/* Make sure that the disk is not open, and keep openers away until apply_go(). */
static int apply_stop(struct qcow_pause *p)
{
	struct job_snapshot *c = container_of(p, struct job_snapshot, apply);
	struct gendisk *disk = c->dev->disk;
	int err;

	mutex_lock(&disk->open_mutex);
	err = disk_openers(disk) ? -EBUSY : pause_stop(&c->queue.base);
	p->since = c->queue.base.since;
	if (err)
		mutex_unlock(&disk->open_mutex);
	return err;
}

static void apply_go(struct qcow_pause *p)
{
	struct job_snapshot *c = container_of(p, struct job_snapshot, apply);
	struct qcow_device *dev = c->dev;

	WRITE_ONCE(dev->target.sectors, qcow_device_sectors(dev, dev->target.image->size));
	pause_go(&c->queue.base);
	if (c->req->applied)
		apply_tell(c);
	mutex_unlock(&dev->disk->open_mutex);
}

static int snapshot_apply(struct job_snapshot *c)
{
	struct qcow_device *dev = c->dev;

	/* This spares useless work; apply_stop() checks again under the lock. */
	if (disk_openers(dev->disk))
		return -EBUSY;
	if (dev->target.guest_offset || dev->options.sector_size > SECTOR_SIZE)
		c->req->min_size = dev->target.guest_offset + dev->options.sector_size;
	/* All of the disk may change, and its size. */
	if (qcow_bitmap_present(dev->target.image))
		return qcow_advise(c->msg, -EOPNOTSUPP, "has bitmaps, which cannot track the changes of a snapshot; remove them first");
	c->req->pause = &c->apply;
	return qcow_snapshot_apply(dev->target.image, c->req, c->msg);
}

static int snapshot_refuse(struct qcow_snapshot_users *users, u64 l1_host_offset,
			   struct qcow_msg *msg)
{
	struct job_snapshot *c = container_of(users, struct job_snapshot, users);

	return qcow_child_refuse_change(c->dev, l1_host_offset, msg);
}

static int snapshot_run(struct qcow_device *dev, struct qcow_job *base)
{
	struct job_snapshot *c = container_of(base, struct job_snapshot, base);

	c->dev = dev;
	qcow_job_pause_init(&c->queue, dev);
	c->queue.may_end = true;
	c->req->pause = &c->queue.base;
	c->req->users = &c->users;
	switch (c->op) {
	case QCOW_SNAPSHOT_CREATE:
		return qcow_snapshot_create(dev->target.image, c->req, c->msg);
	case QCOW_SNAPSHOT_DELETE:
		return qcow_snapshot_delete(dev->target.image, c->req, c->msg);
	case QCOW_SNAPSHOT_APPLY:
		return snapshot_apply(c);
	}
	return -EINVAL;
}

/**
 * qcow_job_snapshot() - make, delete or apply a snapshot
 * @which: the device
 * @op: &enum qcow_snapshot_op
 * @req: argument, except @req->pause and @req->users, and result
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: 0; -ENODEV: there is no such device; -EBUSY: apply, and the device is open; or
 * delete, and a device shows the snapshot, which @msg names; -EINTR: apply, a signal ended
 * it, and the disk is unchanged; or another error.
 */
int qcow_job_snapshot(const struct qcow_which *which, u32 op,
		      struct qcow_snapshot_request *req, struct qcow_msg *msg)
{
	struct job_snapshot c = {
		.base = { .run = snapshot_run, .any_signal = op == QCOW_SNAPSHOT_APPLY },
		.apply = { .stop = apply_stop, .go = apply_go },
		.users = { .refuse = snapshot_refuse },
		.op = op,
		.req = req,
		.msg = msg,
	};

	return job_alone(which, &c.base, msg);
}

int qcow_job_init(void)
{
	job_wq = alloc_workqueue("qcow_job", WQ_UNBOUND, 0);
	return job_wq ? 0 : -ENOMEM;
}

void qcow_job_exit(void)
{
	destroy_workqueue(job_wq);
}
