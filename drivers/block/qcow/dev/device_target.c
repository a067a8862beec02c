// SPDX-License-Identifier: GPL-2.0
/*
 * The part of a device that requests use: its queues, counters and images. device.c calls
 * this.
 */
#include "dev/device_list.h"
#include "dev/device_target.h"
#include "dev/queues.h"
#include "jobs/commit.h"
#include "meta/flush.h"

/* Close the images. Return: as qcow_device_free_target(). */
static int target_close_images(struct qcow_device *dev)
{
	struct qcow_target *target = &dev->target;
	struct qcow_image *img;
	int err;

	for (img = target->image; img; img = img->backing)
		if (img->alloc)
			qcow_flush_stop(img->alloc);
	if (dev->commit)
		qcow_commit_end(dev->commit);
	qcow_commit_free(dev->commit);
	if (target->queues)
		qcow_queues_leave(target->queues);
	err = qcow_image_close_chain(target->image);
	/* Nothing is left that could raise an event. */
	qcow_events_close(&dev->events);
	return err;
}

/**
 * qcow_device_free_target() - free all that requests use
 * @dev: the device; no request is under way
 *
 * Context: may sleep.
 *
 * Return: 0, or the error by which some data is not durable.
 */
int qcow_device_free_target(struct qcow_device *dev)
{
	int err = target_close_images(dev);

	if (dev->target.queues)
		qcow_queues_put(dev->target.queues);
	free_percpu(dev->target.stats);
	return err;
}

/**
 * qcow_device_alloc_target() - allocate what requests use, except the images
 * @dev: the device, in the list of devices
 * @sources: its chain
 *
 * Context: may sleep.
 *
 * Return: 0 or -ENOMEM; qcow_device_free_target() frees it in any case.
 */
int qcow_device_alloc_target(struct qcow_device *dev, const struct qcow_source *sources)
{
	struct qcow_target *target = &dev->target;

	target->stats = qcow_stats_alloc();
	target->queues = qcow_queues_join(dev->name, sources, dev->options.nr_images,
					  qcow_device_list_count());
	if (!target->stats || !target->queues)
		return -ENOMEM;
	target->flush_wq = target->queues->flush_wq;
	return 0;
}
