// SPDX-License-Identifier: GPL-2.0
/*
 * The job of committing an image into its backing file, in steps of ctl_merge.c. The
 * backing file's object for reading is replaced by one for writing, and the other way
 * round at the end; jobs/merge.c copies the data.
 */
#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/workqueue.h>
#include <uapi/linux/qcow.h>

#include "dev/change.h"
#include "dev/change_merge.h"
#include "dev/device.h"
#include "jobs/merge.h"

/* All functions here run in qcow_change_run(). */

static struct qcow_image *open_below(struct qcow_device *dev,
				     struct qcow_merge_request *req,
				     bool writable, struct qcow_msg *msg)
{
	struct qcow_params params = qcow_device_params(dev);
	struct qcow_image *old = dev->target.image->backing;

	params.writable = writable;
	params.snapshot = NULL;
	req->src->format = qcow_image_format(old);
	return qcow_image_open_again(old, req->src, &params, msg);
}

/*
 * Replace the backing image while no request is under way. Return: the old one, which
 * no I/O uses any more.
 */
static struct qcow_image *swap_below(struct qcow_device *dev,
				     struct qcow_image *with,
				     struct qcow_merge *merge)
{
	unsigned int flags = qcow_change_freeze(dev);
	struct qcow_image *old;

	if (dev->merge)
		qcow_merge_end(dev->merge);
	spin_lock(&dev->chain_lock);
	old = qcow_image_swap_backing(dev->target.image, with);
	spin_unlock(&dev->chain_lock);
	if (merge)
		qcow_merge_begin(merge);
	swap(dev->merge, merge);
	qcow_change_unfreeze(dev, flags);
	dev->merging = false;
	qcow_merge_free(merge);
	/* The last work items may still be returning from their function. */
	flush_workqueue(dev->target.write_wq);
	flush_workqueue(dev->target.wq);
	flush_workqueue(dev->target.comp_wq);
	return old;
}

/*
 * A commit that was opened and not started, since its caller was killed, may have
 * tables of the backing file in memory: they have to be in the file before it is opened
 * once more.
 */
static int finish_unstarted(struct qcow_device *dev, struct qcow_msg *msg)
{
	int err;

	if (!dev->merge)
		return 0;
	err = qcow_image_finish_chain(dev->target.image->backing);
	return err ? qcow_fail(msg, err, "could not be written (error %d); see the kernel log and qcowctl check",
			       -err) : 0;
}

/**
 * qcow_change_merge_open() - open the backing file for writing
 * @dev: the device, in qcow_change_run()
 * @req: @req->src: the backing file
 * @msg: says why it failed
 *
 * Writes nothing to it yet.
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_change_merge_open(struct qcow_device *dev,
			   struct qcow_merge_request *req, struct qcow_msg *msg)
{
	struct qcow_image *img = dev->target.image, *below;
	struct qcow_merge *merge;
	int err;

	if (dev->merging)
		return -EALREADY;
	err = qcow_merge_check(img, msg);
	if (err)
		return err;
	req->below = true;
	err = finish_unstarted(dev, msg);
	if (err)
		return err;
	below = open_below(dev, req, true, msg);
	if (IS_ERR(below))
		return PTR_ERR(below);
	merge = qcow_merge_create(img, QCOW_MERGE_SHIFT);
	if (!merge) {
		err = qcow_image_close_chain(below);
		return err ?: -ENOMEM;
	}
	return qcow_image_close_chain(swap_below(dev, below, merge));
}

/**
 * qcow_change_merge_start() - begin to write the backing file
 * @dev: the device, in qcow_change_run()
 * @req: only its results are used
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: 0; -ENOTCONN: qcow_change_merge_open() has to come first; -EINTR: a signal
 * ended the step, which may be tried again; or another error.
 */
int qcow_change_merge_start(struct qcow_device *dev,
			    struct qcow_merge_request *req, struct qcow_msg *msg)
{
	struct qcow_io like = qcow_change_io(dev);
	struct qcow_change_pause pause;
	int err;

	if (!dev->merge ||
	    test_bit(QCOW_IMAGE_FINISHED, &like.image->backing->flags))
		return -ENOTCONN;
	if (dev->merging)
		return -EALREADY;
	req->below = true;
	qcow_change_pause_init(&pause, dev);
	err = qcow_merge_start(dev->merge, &like, &pause.base, msg);
	dev->merging = !err;
	return err;
}

/* Copy the rest while no request is under way, and empty the image. */
static int merge_finish(struct qcow_merge *m, const struct qcow_io *like,
			struct qcow_msg *msg)
{
	int err;

	if (!m->last || m->done)
		return 0;
	err = qcow_merge_finish(m, like, msg);
	if (!err && m->done)
		pr_info("%s: its data is in its backing file\n",
			like->image->label);
	return err;
}

/* Copy while requests wait: a piece, if they have to be slowed down, or the rest. */
static int merge_frozen(struct qcow_device *dev, const struct qcow_io *like,
			struct qcow_msg *msg)
{
	unsigned int flags = qcow_change_freeze(dev);
	struct qcow_merge *m = dev->merge;
	int err = 0;

	if (!m->last)
		err = qcow_merge_some(m, like, m->press, msg);
	err = err ?: merge_finish(m, like, msg);
	qcow_change_unfreeze(dev, flags);
	return err;
}

static int merge_step(struct qcow_device *dev, const struct qcow_io *like,
		      u64 bytes, struct qcow_msg *msg)
{
	struct qcow_merge *m = dev->merge;
	int err = 0;

	if (m->done)
		return 0;
	if (!m->last && !m->press)
		err = qcow_merge_some(m, like, bytes, msg);
	if (!err && (m->last || m->press))
		err = merge_frozen(dev, like, msg);
	if (!err && m->done)
		qcow_merge_release(m);
	return err;
}

/**
 * qcow_change_merge_run() - write some of the image's data to the backing file
 * @dev: the device, in qcow_change_run()
 * @req: the bytes to copy, and the progress
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno; -ENOTCONN: the commit was not started; -EINTR: a
 * signal is pending.
 */
int qcow_change_merge_run(struct qcow_device *dev,
			  struct qcow_merge_request *req, struct qcow_msg *msg)
{
	struct qcow_merge *m = dev->merge;
	struct qcow_io like = qcow_change_io(dev);
	int err;

	if (!dev->merging)
		return -ENOTCONN;
	err = merge_step(dev, &like, req->bytes, msg);
	req->below = msg->text[0];
	req->total = like.image->size;
	req->done = req->total - qcow_merge_left(m);
	return err;
}

/**
 * qcow_change_merge_close() - open the backing file for reading only
 * @dev: the device, in qcow_change_run()
 * @req: @req->src: the backing file
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_change_merge_close(struct qcow_device *dev,
			    struct qcow_merge_request *req, struct qcow_msg *msg)
{
	struct qcow_image *below;
	int err;

	if (!dev->merge)
		return -ENOTCONN;
	req->below = true;
	/* An image that is opened for reading reads its tables from the file. */
	err = qcow_merge_flush(dev->merge, dev->merging, msg);
	if (err)
		return err;
	below = open_below(dev, req, false, msg);
	if (IS_ERR(below))
		return PTR_ERR(below);
	err = qcow_image_close_replaced(swap_below(dev, below, NULL), below);
	return err ? qcow_fail(msg, err, "could not be closed (error %d); see the kernel log and qcowctl check",
			       -err) : 0;
}
