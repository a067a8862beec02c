// SPDX-License-Identifier: GPL-2.0
/*
 * Reports of damage in an image, and whether a long operation on it has to end early.
 * All floors from here up call it.
 */
#include <linux/jiffies.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>

#include "meta/qcow.h"
#include "meta/trace.h"

/**
 * qcow_image_unreadable() - report lost data, once for each image
 * @img: the image
 * @guest_offset: guest offset at which it was met
 * @what: the fault
 *
 * The rest of the image remains usable.
 *
 * Context: any.
 */
void qcow_image_unreadable(struct qcow_image *img, u64 guest_offset, const char *what)
{
	trace_qcow_corrupt(img->label, guest_offset, what);
	if (test_and_set_bit(QCOW_IMAGE_CORRUPT, &img->flags))
		return;
	pr_err("%s: damaged at %#llx of the disk: %s; reads of such places fail, see qcowctl check\n",
	       img->label, guest_offset, what);
	qcow_event_raise(img->events, QCOW_EVENT_CORRUPT);
}

/**
 * qcow_image_damaged() - report structural damage, once for each image
 * @img: the image
 * @guest_offset: guest offset at which it was met
 * @what: the fault
 *
 * An image that is written is marked corrupt, and all its I/O fails from now on.
 *
 * Context: any.
 */
void qcow_image_damaged(struct qcow_image *img, u64 guest_offset, const char *what)
{
	if (!img->alloc) {
		qcow_image_unreadable(img, guest_offset, what);
		return;
	}
	trace_qcow_corrupt(img->label, guest_offset, what);
	set_bit(QCOW_IMAGE_CORRUPT, &img->flags);
	if (test_and_set_bit(QCOW_IMAGE_STOPPED, &img->flags))
		return;
	pr_err("%s: damaged at %#llx of the disk: %s; marking it corrupt, all I/O fails from now on: detach it and see qcowctl check\n",
	       img->label, guest_offset, what);
	qcow_event_raise(img->events, QCOW_EVENT_STOPPED);
	if (img->ops->mark_corrupt)
		img->ops->mark_corrupt(img);
}

/**
 * qcow_image_flushed() - raise the event of a flush that failed
 * @img: the image
 * @err: the result of the flush
 *
 * A flush that lacks memory is tried again, and that of a stopped image fails since the
 * image was found damaged: neither is an event.
 *
 * Context: any.
 */
void qcow_image_flushed(struct qcow_image *img, int err)
{
	if (!err)
		qcow_event_over(img->events, QCOW_EVENT_SYNC_FAILED);
	else if (err == -ENOSPC)
		qcow_event_raise(img->events, QCOW_EVENT_FULL);
	else if (err != -ENOMEM && !qcow_image_stopped(img))
		qcow_event_raise(img->events, QCOW_EVENT_SYNC_FAILED);
}

/*
 * Seconds that a clean-up may take when the device is being detached, or a signal came.
 */
#define IMAGE_LEAVING_SECONDS		2
#define IMAGE_INTERRUPTED_SECONDS	60

static bool image_ending(const struct qcow_image *img, unsigned int bit)
{
	return img->ending && test_bit(bit, img->ending);
}

/**
 * qcow_image_interrupted() - check that a long operation may go on
 * @img: any image of the operation's chain
 *
 * Context: any.
 *
 * Return: 0; -ENODEV: the device is being detached; -EINTR: the caller of the operation
 * got a signal, or the current task is to be killed.
 */
int qcow_image_interrupted(const struct qcow_image *img)
{
	if (image_ending(img, QCOW_ENDING_LEAVING))
		return -ENODEV;
	if (image_ending(img, QCOW_ENDING_INTERRUPTED) ||
	    fatal_signal_pending(current))
		return -EINTR;
	return 0;
}

/**
 * qcow_image_overdue() - tell whether a clean-up has to end, although that leaks space
 * @img: any image of the clean-up's chain
 * @begun: jiffies when it began
 *
 * Context: any.
 *
 * Return: whether qcow_image_interrupted(), and the clean-up has taken the time that it
 * may take then.
 */
bool qcow_image_overdue(const struct qcow_image *img, unsigned long begun)
{
	int err = qcow_image_interrupted(img);
	unsigned long seconds = err == -ENODEV ? IMAGE_LEAVING_SECONDS :
						 IMAGE_INTERRUPTED_SECONDS;

	return err && time_after(jiffies, begun + seconds * HZ);
}
