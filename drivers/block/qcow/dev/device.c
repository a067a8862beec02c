// SPDX-License-Identifier: GPL-2.0
/*
 * Attached devices: their gendisk, their life from attach to the last close. The ioctls
 * (ctl*.c) call this.
 *
 * The images are closed as soon as the disk is gone, even if the dead device is still open;
 * the structure itself lives until the last close.
 */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <uapi/linux/qcow.h>

#include "compat/compat_blk.h"
#include "dev/child.h"
#include "dev/debugfs.h"
#include "dev/device.h"
#include "dev/device_end.h"
#include "dev/device_limits.h"
#include "dev/device_list.h"
#include "dev/device_status.h"
#include "dev/device_target.h"
#include "dev/queues.h"
#include "dev/sysfs.h"
#include "dev/uevent.h"

/* Time that a detach waits for the files below. */
#define DEVICE_DETACH_JIFFIES	(10 * HZ)

/*
 * Detaches devices. A detach does I/O, which signals and limits of its caller would
 * make fail; and it may destroy the device's queues.
 */
static struct workqueue_struct *remove_wq;

/* --- The end of a device --- */

/*
 * Begin a detach: no task can open the device any more. Return: false: another task has
 * begun it.
 */
static bool device_leave(struct qcow_device *dev)
{
	if (cmpxchg(&dev->state, QCOW_DEVICE_LIVE, QCOW_DEVICE_GOING) !=
	    QCOW_DEVICE_LIVE)
		return false;
	set_bit(QCOW_ENDING_LEAVING, &dev->ending);
	return true;
}

/* Detach a device with QCOW_DETACH_LAZY that nobody uses any more. */
static void device_end_lazy(struct qcow_device *dev)
{
	lockdep_assert_held(&dev->disk->open_mutex);
	if (dev->lazy && !disk_openers(dev->disk) && !qcow_child_refuse(dev, NULL) &&
	    device_leave(dev))
		queue_work(remove_wq, &dev->remove_work);
}

/* Have a device detach itself from now on, unless it is kept by somebody else. */
static void device_be_lazy(struct qcow_device *dev)
{
	WRITE_ONCE(dev->lazy, true);
	WRITE_ONCE(dev->holder, NULL);
	device_end_lazy(dev);
}

static void device_let_go_work(struct work_struct *work)
{
	struct qcow_device *dev = container_of(work, struct qcow_device, let_go_work);

	mutex_lock(&dev->disk->open_mutex);
	device_be_lazy(dev);
	mutex_unlock(&dev->disk->open_mutex);
	qcow_device_put(dev);
}

/* Drop the reference of a child that is gone. @parent: or NULL */
static void device_let_go(struct qcow_device *parent)
{
	if (!parent)
		return;
	mutex_lock(&parent->disk->open_mutex);
	device_end_lazy(parent);
	mutex_unlock(&parent->disk->open_mutex);
	qcow_device_put(parent);
}

/* A running job ends, and none begins any more. */
static void device_end_jobs(struct qcow_device *dev)
{
	mutex_lock(&dev->job_mutex);
	qcow_device_begin_job(dev, NULL);
	mutex_unlock(&dev->job_mutex);
}

/* Take a device apart. */
static void device_remove(struct work_struct *work)
{
	struct qcow_device *dev = container_of(work, struct qcow_device,
					       remove_work);
	struct qcow_device *parent;
	int err, ret;

	device_end_jobs(dev);
	if (qcow_child_refuse(dev, NULL))
		set_bit(QCOW_IMAGE_SHARED, &dev->target.image->flags);
	dev->leaked = test_bit(QCOW_IMAGE_LEAKED, &dev->target.image->flags);
	err = qcow_device_finish(dev);
	qcow_events_close(&dev->events);
	qcow_debugfs_remove(dev);
	qcow_device_list_publish(dev, NULL);
	del_gendisk(dev->disk);
	blk_mq_free_tag_set(&dev->tag_set);
	ret = qcow_device_free_target(dev);
	err = err ?: ret;
	qcow_child_abandon(dev);
	qcow_device_list_remove(dev);
	if (err)
		pr_err("%s: writes since the last flush are lost: error %d\n",
		       dev->name, err);
	pr_info("%s: detached\n", dev->name);
	dev->remove_err = err ? -EIO : 0;
	/* The module waits for this function to end. */
	module_put(THIS_MODULE);
	parent = qcow_child_leave(dev);
	complete_all(&dev->removed);
	device_let_go(parent);
	qcow_device_put(dev);
}

/* --- Block device operations --- */

static int qcow_compat_open(device_open, bdev, mode)
{
	struct qcow_device *dev = qcow_compat_disk(bdev)->private_data;

	lockdep_assert_held(&qcow_compat_disk(bdev)->open_mutex);
	if (READ_ONCE(dev->state) == QCOW_DEVICE_GOING)
		return -ENXIO;
	kref_get(&dev->ref);
	return 0;
}

static void qcow_compat_release(device_close, disk)
{
	struct qcow_device *dev = disk->private_data;

	device_end_lazy(dev);
	qcow_device_put(dev);
}

static const struct block_device_operations device_fops = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_close,
};

/* --- Attach --- */

/**
 * qcow_device_params() - parameters for opening images of a device
 * @dev: the device
 *
 * Return: the parameters for its first image.
 */
struct qcow_params qcow_device_params(struct qcow_device *dev)
{
	struct qcow_params params = {
		.device = dev->name,
		.ctx = &dev->target.queues->ctx,
		.comp_wq = dev->target.queues->comp_wq,
		.flush_wq = dev->target.flush_wq,
		.stats = dev->target.stats,
		.cache_bytes = dev->options.cache_size,
		.untrusted = dev->options.flags & QCOW_ATTACH_UNTRUSTED,
		.salvage = dev->options.flags & QCOW_ATTACH_SALVAGE,
		.snapshot = dev->snapshot,
		.snapshot_of = qcow_device_image_number(dev),
		.temporary = qcow_device_is_temporary(dev),
		.ending = &dev->ending,
		.events = &dev->events,
		.progress = &dev->progress,
		.writable = !(dev->options.flags & QCOW_ATTACH_RO),
		.direct = QCOW_DIRECT_AUTO,
	};

	if (dev->options.flags & QCOW_ATTACH_DIRECT)
		params.direct = QCOW_DIRECT_ON;
	else if (dev->options.flags & QCOW_ATTACH_BUFFERED)
		params.direct = QCOW_DIRECT_OFF;
	return params;
}

static int device_open_chain(struct qcow_device *dev,
			     const struct qcow_attach *a, struct qcow_msg *msg,
			     u32 *failed)
{
	const struct qcow_ioc_attach *options = a->options;
	struct qcow_params params = qcow_device_params(dev);
	struct qcow_image *img;

	img = qcow_image_open_chain(a->sources, options->nr_images, &params, msg,
				    failed);
	if (IS_ERR(img))
		return PTR_ERR(img);
	dev->target.image = img;
	dev->snapshot_l1 = img->snapshot_l1;
	return qcow_device_set_window(dev, msg);
}

static void device_set_up_disk(struct qcow_device *dev, struct gendisk *disk)
{
	disk->fops = &device_fops;
	disk->private_data = dev;
	strscpy(disk->disk_name, dev->name, sizeof(disk->disk_name));
	/* udev gets events of the disk without polling. */
	disk->events = DISK_EVENT_MEDIA_CHANGE;
	disk->event_flags = DISK_EVENT_FLAG_UEVENT;
	if (dev->options.flags & QCOW_ATTACH_NO_PARTSCAN)
		disk->flags |= GENHD_FL_NO_PART;
	if (dev->options.flags & QCOW_ATTACH_HIDDEN)
		disk->flags |= GENHD_FL_HIDDEN | GENHD_FL_NO_PART;
	dev->target.sectors = qcow_device_sectors(dev, dev->target.image->size);
	set_capacity(disk, dev->target.sectors);
	set_disk_ro(disk, dev->options.flags & QCOW_ATTACH_RO);
}

static int device_alloc_disk(struct qcow_device *dev)
{
	struct queue_limits lim = { };
	struct gendisk *disk;
	int err;

	err = qcow_device_alloc_tags(dev, qcow_device_list_count());
	if (err)
		return err;
	qcow_device_set_limits(dev, &lim);
	disk = qcow_compat_alloc_disk(&dev->tag_set, &lim, &dev->target,
				      !dev->target.readonly,
				      qcow_device_stable_writes(dev));
	if (IS_ERR(disk)) {
		blk_mq_free_tag_set(&dev->tag_set);
		return PTR_ERR(disk);
	}
	dev->disk = disk;
	device_set_up_disk(dev, disk);
	return 0;
}

/* Make the disk, its partitions and its attributes appear. */
static int device_go_live(struct qcow_device *dev, struct qcow_msg *msg)
{
	struct gendisk *disk;
	int err;

	err = qcow_image_start(dev->target.image, msg);
	if (!err)
		err = device_add_disk(NULL, dev->disk, qcow_sysfs_groups);
	if (err) {
		/* A disk that was never added drops its queue only now. */
		put_disk(dev->disk);
		dev->disk = NULL;
		blk_mq_free_tag_set(&dev->tag_set);
		return err;
	}
	pr_info("%s: attached, %llu sectors\n", dev->target.image->label,
		(u64)get_capacity(dev->disk));
	__module_get(THIS_MODULE);
	qcow_debugfs_add(dev);
	qcow_uevent_open(dev);
	qcow_device_list_publish(dev, dev);
	/*
	 * Any task may detach a live device, so this function does not touch it after
	 * that.
	 */
	disk = dev->disk;
	get_device(disk_to_dev(disk));
	mutex_lock(&disk->open_mutex);
	WRITE_ONCE(dev->state, QCOW_DEVICE_LIVE);
	mutex_unlock(&disk->open_mutex);
	put_device(disk_to_dev(disk));
	return 0;
}

static struct qcow_device *device_alloc(const struct qcow_attach *a)
{
	struct qcow_device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);

	if (!dev)
		return NULL;
	INIT_LIST_HEAD(&dev->node);
	/* kstrdup() of NULL is NULL. */
	dev->snapshot = kstrdup(a->snapshot, GFP_KERNEL);
	dev->alias = kstrdup(a->alias, GFP_KERNEL);
	if (!dev->snapshot != !a->snapshot || !dev->alias != !a->alias) {
		kfree(dev->alias);
		kfree(dev->snapshot);
		kfree(dev);
		return NULL;
	}
	kref_init(&dev->ref);
	dev->options = *a->options;
	dev->target.readonly = a->options->flags & QCOW_ATTACH_RO;
	dev->format = a->sources[qcow_device_image_number(dev)].format;
	dev->depth = a->options->nr_images;
	dev->owner = a->owner;
	dev->holder = a->holder;
	INIT_WORK(&dev->remove_work, device_remove);
	INIT_WORK(&dev->let_go_work, device_let_go_work);
	qcow_uevent_init_device(dev);
	init_completion(&dev->removed);
	mutex_init(&dev->job_mutex);
	spin_lock_init(&dev->chain_lock);
	INIT_LIST_HEAD(&dev->children);
	INIT_LIST_HEAD(&dev->sibling);
	return dev;
}

/**
 * qcow_device_attach() - make a block device of an image
 * @attach: validated arguments
 * @msg: says why it failed, or warns after a success
 * @failed: the source that @msg is about
 * @diskseq: out: the diskseq of its disk
 *
 * Context: may sleep.
 *
 * Return: the device's number or a negative errno.
 */
int qcow_device_attach(const struct qcow_attach *attach, struct qcow_msg *msg,
		       u32 *failed, u64 *diskseq)
{
	struct qcow_device *dev = device_alloc(attach);
	int err, index;
	u32 tail;

	if (!dev)
		return -ENOMEM;
	err = qcow_device_list_add(dev, attach->options->index, msg);
	if (err)
		goto put;
	err = qcow_device_alloc_target(dev, attach->sources);
	if (!err)
		err = device_open_chain(dev, attach, msg, failed);
	if (!err && attach->parent)
		err = qcow_child_join(dev, attach->parent);
	if (!err)
		err = device_alloc_disk(dev);
	if (err)
		goto free;
	/* Once the device is live another task may detach it. */
	index = dev->index;
	tail = qcow_device_tail(dev);
	*diskseq = dev->disk->diskseq;
	*failed = 0;
	err = device_go_live(dev, msg);
	if (!err && tail)
		qcow_fail(msg, 0, "its disk ends inside a sector of %u bytes: the last %u bytes are not shown",
			  dev->options.sector_size, tail);
	if (!err)
		return index;
free:
	qcow_device_free_target(dev);
	qcow_device_list_remove(dev);
	device_let_go(qcow_child_leave(dev));
put:
	qcow_device_put(dev);
	return err;
}

/* --- Detach --- */

/* Decide on a detach. Return: 0: remove the device now; 1: at its last close. */
static int device_may_go(struct qcow_device *dev, u32 flags, struct qcow_msg *msg)
{
	int err = qcow_child_refuse(dev, msg);

	lockdep_assert_held(&dev->disk->open_mutex);
	if (err || disk_openers(dev->disk)) {
		if (!(flags & QCOW_DETACH_LAZY))
			return -EBUSY;
		msg->text[0] = 0;
		WRITE_ONCE(dev->lazy, true);
		return 1;
	}
	return device_leave(dev) ? 0 : -ENODEV;
}

/*
 * The block layer holds disk->open_mutex while it writes dirty pages at the last close, or
 * reads a partition table, which may take long. Return: 0, -EBUSY after the time @until, or
 * -EINTR.
 */
static int device_lock_open(struct qcow_device *dev, unsigned long until, bool killable)
{
	while (!mutex_trylock(&dev->disk->open_mutex)) {
		if (killable && fatal_signal_pending(current))
			return -EINTR;
		if (time_after(jiffies, until))
			return -EBUSY;
		usleep_range(1000, 2000);
	}
	return 0;
}

/*
 * Return: 0: the detach has begun, and completes dev->removed; 1: it will begin at the
 * last close; -ENODEV: another task detaches the device, or it is not live yet; or as
 * qcow_device_detach().
 */
static int device_begin_detach(struct qcow_device *dev, u32 flags, unsigned long until,
			       struct qcow_msg *msg)
{
	int err;

	if (flags & QCOW_DETACH_FORCE) {
		if (!device_leave(dev))
			return -ENODEV;
		dev->forced = true;
		WRITE_ONCE(dev->target.dead, true);
	} else {
		err = device_lock_open(dev, until, true);
		if (err)
			return err;
		err = device_may_go(dev, flags, msg);
		mutex_unlock(&dev->disk->open_mutex);
		if (err)
			return err;
	}
	queue_work(remove_wq, &dev->remove_work);
	return 0;
}

/* Return: the result of the detach. */
static int device_say_removed(const struct qcow_device *dev, struct qcow_msg *msg)
{
	if (!dev->leaked || dev->remove_err)
		return dev->remove_err;
	return qcow_advise(msg, 0, "is detached, but the space that it was giving back is leaked; have it back with qcowctl check --repair=leaks IMAGE");
}

/*
 * Wait until @until for the end of a detach. @patient: and then as long again whenever it
 * has come further. Return: the result of the detach; or -EINPROGRESS or -EINTR.
 */
static int device_wait_removed(struct qcow_device *dev, unsigned long until, bool patient,
			       struct qcow_msg *msg)
{
	s64 seen, done = 0;
	long left;

	do {
		seen = done;
		left = max_t(long, until - jiffies, 1);
		left = wait_for_completion_killable_timeout(&dev->removed, left);
		if (left < 0)
			return -EINTR;
		if (left)
			return device_say_removed(dev, msg);
		done = atomic64_read(&dev->progress.done);
		until = jiffies + DEVICE_DETACH_JIFFIES;
	} while (patient && done != seen);
	return qcow_device_list_say_going(dev, msg);
}

/**
 * qcow_device_detach() - remove a device
 * @index: its number
 * @by: as for qcow_device_get()
 * @flags: QCOW_DETACH_*
 * @diskseq: the diskseq of its disk; 0: any
 * @msg: says why it failed, or warns after a success
 *
 * Also waits for a device that another task is detaching.
 *
 * Context: may sleep.
 *
 * Return: 0; -ENODEV: there is no such device; -ESTALE: another device has its number;
 * -EBUSY: it is open and @flags are 0; -EIO: it is removed, but writes since the last
 * flush are lost; -EINPROGRESS: it is being removed, and has not come further for ten
 * seconds, or @flags are QCOW_DETACH_FORCE and it takes longer than that; -EINTR: it is
 * being removed, and the caller, which is being killed, does not wait for that.
 */
int qcow_device_detach(int index, const struct file *by, u32 flags, u64 diskseq,
		       struct qcow_msg *msg)
{
	unsigned long until = jiffies + DEVICE_DETACH_JIFFIES;
	struct qcow_device *dev = qcow_device_get(index, by) ?:
				  qcow_device_list_get_leaving(index, by);
	int err = 0;

	if (!dev)
		return -ENODEV;
	if (diskseq && diskseq != dev->disk->diskseq)
		err = qcow_fail(msg, -ESTALE, "is another device by now");
	else if (READ_ONCE(dev->state) != QCOW_DEVICE_GOING)
		err = device_begin_detach(dev, flags, until, msg);
	if (err == -ENODEV && READ_ONCE(dev->state) == QCOW_DEVICE_GOING)
		err = 0;
	if (!err)
		err = device_wait_removed(dev, until, !(flags & QCOW_DETACH_FORCE), msg);
	qcow_device_put(dev);
	return min(err, 0);
}

/*
 * Have a device detach itself that its open file kept. If a file below does not answer, a
 * worker goes on, and the task that closes the control node does not wait. Return: whether
 * the detach has begun.
 */
static bool device_let_go_held(struct qcow_device *dev)
{
	/* The task may be killed already, so a signal does not end the wait. */
	if (!device_lock_open(dev, jiffies + DEVICE_DETACH_JIFFIES, false)) {
		device_be_lazy(dev);
		mutex_unlock(&dev->disk->open_mutex);
		return READ_ONCE(dev->state) == QCOW_DEVICE_GOING;
	}
	/* Another open file may get the address of this one. */
	WRITE_ONCE(dev->holder, ERR_PTR(-EBUSY));
	kref_get(&dev->ref);
	queue_work(remove_wq, &dev->let_go_work);
	return false;
}

/**
 * qcow_device_detach_owned() - remove the hidden devices of an open file
 * @owner: an open file of the control node, through which no device can be attached any
 *	more
 *
 * They cannot be open. A device that another task is detaching is left to that task; a
 * device whose files do not answer goes by itself. The kernel log reports lost writes.
 *
 * Context: may sleep, up to ten seconds for each device.
 */
void qcow_device_detach_owned(const struct file *owner)
{
	struct qcow_msg msg = { };
	struct qcow_device *dev;
	int index = 0, err;

	while ((dev = qcow_device_list_next_of(owner, &index))) {
		err = device_begin_detach(dev, 0, jiffies + DEVICE_DETACH_JIFFIES, &msg);
		WARN_ON_ONCE(err == -EBUSY);
		if (!err)
			wait_for_completion_timeout(&dev->removed,
						    DEVICE_DETACH_JIFFIES);
		qcow_device_put(dev);
		index++;
	}
}

/**
 * qcow_device_let_go_held() - let the devices that an open file keeps detach themselves
 * @holder: an open file of the control node, through which no device can be attached any
 *	more
 *
 * Those that are not open are detached, and waited for.
 *
 * Context: may sleep, up to twenty seconds for each device.
 */
void qcow_device_let_go_held(const struct file *holder)
{
	struct qcow_device *dev;
	int index = 0;

	while ((dev = qcow_device_list_next_of(holder, &index))) {
		if (dev->holder && device_let_go_held(dev))
			wait_for_completion_timeout(&dev->removed, DEVICE_DETACH_JIFFIES);
		qcow_device_put(dev);
		index++;
	}
}

int qcow_device_init(void)
{
	remove_wq = alloc_workqueue("qcow_remove", WQ_UNBOUND, 0);
	return remove_wq ? 0 : -ENOMEM;
}

void qcow_device_exit(void)
{
	/* Waits for a detach that has dropped its module reference. */
	destroy_workqueue(remove_wq);
	qcow_device_list_exit();
}
