// SPDX-License-Identifier: GPL-2.0
/*
 * The job of committing an image into its backing file, in steps of ctl_commit.c. The
 * backing file's object for reading is replaced by one for writing, and the other way
 * round at the end; jobs/commit.c copies the data.
 */
#include <linux/blkdev.h>
#include <linux/err.h>
#include <uapi/linux/qcow.h>

#include "dev/job.h"
#include "dev/job_commit.h"
#include "dev/device.h"
#include "jobs/commit.h"

/* All functions here run in qcow_job_run(). */

static struct qcow_image *open_below(struct qcow_device *dev,
				     struct qcow_commit_request *req, bool writable,
				     struct qcow_msg *msg)
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
static struct qcow_image *swap_below(struct qcow_device *dev, struct qcow_image *with,
				     struct qcow_commit *commit)
{
	unsigned int flags = qcow_job_freeze(dev);
	struct qcow_image *old;

	if (dev->commit)
		qcow_commit_end(dev->commit);
	spin_lock(&dev->chain_lock);
	old = qcow_image_swap_backing(dev->target.image, with);
	spin_unlock(&dev->chain_lock);
	if (commit)
		qcow_commit_begin(commit);
	swap(dev->commit, commit);
	qcow_job_unfreeze(dev, flags);
	dev->committing = false;
	qcow_commit_free(commit);
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

	if (!dev->commit)
		return 0;
	err = qcow_image_finish_chain(dev->target.image->backing);
	return err ? qcow_advise(msg, err, "could not be written (error %d); see the kernel log and qcowctl check",
				 -err) : 0;
}

/**
 * qcow_job_commit_open() - open the backing file for writing
 * @dev: the device, in qcow_job_run()
 * @req: @req->src: the backing file
 * @msg: says why it failed
 *
 * Writes nothing to it yet.
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_job_commit_open(struct qcow_device *dev, struct qcow_commit_request *req,
			 struct qcow_msg *msg)
{
	struct qcow_image *img = dev->target.image, *below;
	struct qcow_commit *commit;
	int err;

	if (dev->committing)
		return -EALREADY;
	err = qcow_job_refuse_temporary(dev, msg);
	if (!err)
		err = qcow_commit_check(img, msg);
	if (err)
		return err;
	req->below = true;
	err = finish_unstarted(dev, msg);
	if (err)
		return err;
	below = open_below(dev, req, true, msg);
	if (IS_ERR(below))
		return PTR_ERR(below);
	commit = qcow_commit_create(img, QCOW_COMMIT_SHIFT);
	if (!commit) {
		err = qcow_image_close_chain(below);
		return err ?: -ENOMEM;
	}
	return qcow_image_close_chain(swap_below(dev, below, commit));
}

/**
 * qcow_job_commit_start() - begin to write the backing file
 * @dev: the device, in qcow_job_run()
 * @req: only its results are used
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: 0; -ENOTCONN: qcow_job_commit_open() has to come first; -EINTR: a signal
 * ended the step, which may be tried again; or another error.
 */
int qcow_job_commit_start(struct qcow_device *dev, struct qcow_commit_request *req,
			  struct qcow_msg *msg)
{
	struct qcow_job_pause pause;
	int err;

	if (!dev->commit ||
	    test_bit(QCOW_IMAGE_FINISHED, &dev->target.image->backing->flags))
		return -ENOTCONN;
	if (dev->committing)
		return -EALREADY;
	req->below = true;
	qcow_job_pause_init(&pause, dev);
	err = qcow_commit_begin_copy(dev->commit, &pause.base, msg);
	dev->committing = !err;
	return err;
}

/* Copy the rest while no request is under way, and empty the image. */
static int commit_finish(struct qcow_commit *commit, struct qcow_msg *msg)
{
	int err;

	if (!commit->last || commit->done)
		return 0;
	err = qcow_commit_finish(commit, msg);
	if (!err && commit->done)
		pr_info("%s: its data is in its backing file\n", commit->img->label);
	return err;
}

/* Copy a piece while requests wait, as they have to be slowed down. */
static int commit_press(struct qcow_device *dev, struct qcow_msg *msg)
{
	struct qcow_commit *commit = dev->commit;
	unsigned int flags;
	int err;

	err = qcow_job_try_freeze(dev, &flags);
	if (err)
		return err;
	err = qcow_commit_some(commit, commit->press, msg);
	if (!err && qcow_commit_hurry(commit))
		err = commit_finish(commit, msg);
	qcow_job_unfreeze(dev, flags);
	return err;
}

/* Do the last step while requests wait. The data copied before is durable by then. */
static int commit_last(struct qcow_device *dev, struct qcow_msg *msg)
{
	unsigned int flags;
	int err;

	if (!qcow_commit_hurry(dev->commit)) {
		err = qcow_commit_settle(dev->commit, msg);
		if (err)
			return err;
	}
	err = qcow_job_try_freeze(dev, &flags);
	if (err)
		return err;
	err = commit_finish(dev->commit, msg);
	qcow_job_unfreeze(dev, flags);
	return err;
}

static int commit_step(struct qcow_device *dev, u64 bytes, struct qcow_msg *msg)
{
	struct qcow_commit *commit = dev->commit;
	int err = 0;

	if (commit->done)
		return 0;
	if (!commit->last)
		err = commit->press ? commit_press(dev, msg) :
				      qcow_commit_some(commit, bytes, msg);
	if (!err && commit->last && !commit->done)
		err = commit_last(dev, msg);
	if (!err && commit->done)
		qcow_commit_release(commit);
	return err;
}

/**
 * qcow_job_commit_run() - write some of the image's data to the backing file
 * @dev: the device, in qcow_job_run()
 * @req: the bytes to copy, and the progress
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno; -ENOTCONN: the commit was not started; -EINTR: a
 * signal is pending.
 */
int qcow_job_commit_run(struct qcow_device *dev, struct qcow_commit_request *req,
			struct qcow_msg *msg)
{
	struct qcow_commit *commit = dev->commit;
	int err;

	if (!dev->committing)
		return -ENOTCONN;
	err = commit_step(dev, req->bytes, msg);
	req->below = msg->text[0];
	req->total = dev->target.image->size;
	req->done = req->total - qcow_commit_left(commit);
	return err;
}

/**
 * qcow_job_commit_close() - open the backing file for reading only
 * @dev: the device, in qcow_job_run()
 * @req: @req->src: the backing file
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_job_commit_close(struct qcow_device *dev, struct qcow_commit_request *req,
			  struct qcow_msg *msg)
{
	struct qcow_image *below;
	int err;

	if (!dev->commit)
		return -ENOTCONN;
	req->below = true;
	/* An image that is opened for reading reads its tables from the file. */
	err = qcow_commit_flush(dev->commit, dev->committing, msg);
	if (err)
		return err;
	below = open_below(dev, req, false, msg);
	if (IS_ERR(below))
		return PTR_ERR(below);
	err = qcow_image_close_replaced(swap_below(dev, below, NULL), below);
	return err ? qcow_advise(msg, err, "could not be closed (error %d); see the kernel log and qcowctl check",
				 -err) : 0;
}
