// SPDX-License-Identifier: GPL-2.0
/*
 * The part of a device that requests use: its queues, counters and images. device.c calls
 * this.
 */
#include <linux/mempool.h>
#include <linux/workqueue.h>

#include "dev/device_target.h"
#include "jobs/commit.h"
#include "meta/flush.h"

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
	struct qcow_target *target = &dev->target;
	struct qcow_image *img;
	int err;

	/* The last work items may still be returning from their function. */
	for (img = target->image; img; img = img->backing)
		if (img->alloc)
			qcow_flush_stop(img->alloc);
	if (dev->commit)
		qcow_commit_end(dev->commit);
	qcow_commit_free(dev->commit);
	if (target->ctx.write_wq)
		destroy_workqueue(target->ctx.write_wq);
	if (target->ctx.wq)
		destroy_workqueue(target->ctx.wq);
	if (target->comp_wq)
		destroy_workqueue(target->comp_wq);
	err = qcow_image_close_chain(target->image);
	if (target->flush_wq)
		destroy_workqueue(target->flush_wq);
	/* Nothing is left that could raise an event. */
	qcow_events_close(&dev->events);
	mempool_destroy(target->ctx.subreqs);
	free_percpu(target->stats);
	return err;
}

/**
 * qcow_device_alloc_target() - allocate what requests use, except the images
 * @dev: the device
 *
 * Context: may sleep.
 *
 * Return: 0 or -ENOMEM; qcow_device_free_target() frees it in any case.
 */
int qcow_device_alloc_target(struct qcow_device *dev)
{
	struct qcow_target *target = &dev->target;
	struct qcow_io_ctx *ctx = &target->ctx;

	target->stats = qcow_stats_alloc();
	target->comp_wq = alloc_workqueue("%s_comp",
					  WQ_UNBOUND | WQ_MEM_RECLAIM,
					  num_online_cpus(), dev->name);
	target->flush_wq =
		alloc_workqueue("%s_flush", WQ_UNBOUND | WQ_MEM_RECLAIM, 0, dev->name);
	ctx->subreqs = qcow_io_create_pool();
	ctx->wq = alloc_workqueue("%s", WQ_UNBOUND | WQ_MEM_RECLAIM, 0,
				  dev->name);
	ctx->write_wq = alloc_workqueue("%s_write", WQ_UNBOUND | WQ_MEM_RECLAIM,
					0, dev->name);
	if (!target->stats || !target->comp_wq || !target->flush_wq || !ctx->subreqs ||
	    !ctx->wq || !ctx->write_wq)
		return -ENOMEM;
	return 0;
}
