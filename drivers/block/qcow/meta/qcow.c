// SPDX-License-Identifier: GPL-2.0
/*
 * What every floor from here up tells an image and asks it: that its data or its
 * structure is damaged, and whether a long operation on it is to end early.
 */
#include <linux/jiffies.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>

#include "meta/qcow.h"

/**
 * qcow_image_unreadable() - report that some data is lost, once for each image
 * @img: the image
 * @guest_offset: bytes into its disk where it was met
 * @what: what is wrong
 *
 * The rest of the image is not in doubt.
 *
 * Context: any.
 */
void qcow_image_unreadable(struct qcow_image *img, u64 guest_offset, const char *what)
{
	if (test_and_set_bit(QCOW_IMAGE_CORRUPT, &img->flags))
		return;
	pr_err("%s: damaged at %#llx of the disk: %s; reads of such places fail, see qcowctl check\n",
	       img->label, guest_offset, what);
}

/**
 * qcow_image_damaged() - report structural damage, once for each image
 * @img: the image
 * @guest_offset: bytes into its disk where it was met
 * @what: what is wrong
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
	set_bit(QCOW_IMAGE_CORRUPT, &img->flags);
	if (test_and_set_bit(QCOW_IMAGE_STOPPED, &img->flags))
		return;
	pr_err("%s: damaged at %#llx of the disk: %s; marking it corrupt, all I/O fails from now on: detach it and see qcowctl check\n",
	       img->label, guest_offset, what);
	if (img->ops->mark_corrupt)
		img->ops->mark_corrupt(img);
}

/* Seconds for which a clean-up goes on: the device is being detached, or a signal came. */
#define IMAGE_LEAVING_SECONDS		2
#define IMAGE_INTERRUPTED_SECONDS	60

static bool image_ending(const struct qcow_image *img, unsigned int bit)
{
	return img->ending && test_bit(bit, img->ending);
}

/**
 * qcow_image_interrupted() - is a long operation to come to an end?
 * @img: any image of the chain that the operation is done to
 *
 * Does not sleep.
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
 * qcow_image_overdue() - is a clean-up to end that leaves lost space if it ends early?
 * @img: any image of the chain that it is done to
 * @begun: jiffies when it began
 *
 * Does not sleep.
 *
 * Return: whether it is to end: qcow_image_interrupted() says so, and it has gone on
 * for as long as is allowed then.
 */
bool qcow_image_overdue(const struct qcow_image *img, unsigned long begun)
{
	int err = qcow_image_interrupted(img);
	unsigned long seconds = err == -ENODEV ? IMAGE_LEAVING_SECONDS :
						 IMAGE_INTERRUPTED_SECONDS;

	return err && time_after(jiffies, begun + seconds * HZ);
}
