// SPDX-License-Identifier: GPL-2.0
/*
 * The status of a device: its properties, its state, and its counters, for the ioctl,
 * sysfs and debugfs. It changes nothing.
 */
#include <linux/blkdev.h>
#include <uapi/linux/qcow.h>

#include "dev/device_status.h"
#include "file/cache.h"
#include "file/comp.h"
#include "meta/refcount.h"

/**
 * qcow_device_damaged() - tell whether damage was met in any image of a device's chain
 * @dev: the device
 *
 * Context: any.
 *
 * Return: whether damage was met.
 */
bool qcow_device_damaged(struct qcow_device *dev)
{
	bool damaged;

	spin_lock(&dev->chain_lock);
	damaged = qcow_image_chain_damaged(dev->target.image);
	spin_unlock(&dev->chain_lock);
	return damaged;
}

/**
 * qcow_device_count() - add a counter of all CPUs up
 * @dev: the device
 * @field: place of the counter in &struct qcow_stats
 *
 * Context: any.
 *
 * Return: the sum.
 */
u64 qcow_device_count(const struct qcow_device *dev, size_t field)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += qcow_stats_read(per_cpu_ptr(dev->target.stats, cpu), field);
	return sum;
}

/**
 * qcow_device_fast() - count requests that no worker did
 * @dev: the device
 *
 * Context: any.
 *
 * Return: how many there were.
 */
u64 qcow_device_fast(const struct qcow_device *dev)
{
	/* A request is counted before it is known to be slow. */
	u64 slow = qcow_device_count(dev, offsetof(struct qcow_stats, slow));
	u64 all = 0;
	u32 op;

	for (op = 0; op < QCOW_OPS; op++)
		all += qcow_device_count(dev, offsetof(struct qcow_stats, ops) +
					 op * sizeof(struct qcow_op_stats));
	return all - min(slow, all);
}

static u64 image_memory(const struct qcow_image *img)
{
	u64 used = (u64)READ_ONCE(img->l1_size) * sizeof(u64);

	if (img->cache)
		used += qcow_cache_used(img->cache);
	if (img->comp)
		used += qcow_comp_used(img->comp);
	if (img->alloc)
		used += qcow_refcount_memory(img->alloc) +
			qcow_register_bytes(&img->alloc->reg);
	return used;
}

/**
 * qcow_device_memory() - add up the memory that the images of a device hold
 * @dev: the device
 *
 * Context: any.
 *
 * Return: bytes of tables and of decompressed clusters.
 */
u64 qcow_device_memory(struct qcow_device *dev)
{
	const struct qcow_image *img;
	u64 used = 0;

	spin_lock(&dev->chain_lock);
	for (img = dev->target.image; img; img = img->backing)
		used += image_memory(img);
	spin_unlock(&dev->chain_lock);
	return used;
}

static void device_sum_stats(const struct qcow_device *dev,
			     struct qcow_ioc_status *st)
{
	st->cache_hits = qcow_device_count(dev, offsetof(struct qcow_stats, hits));
	st->cache_misses = qcow_device_count(dev, offsetof(struct qcow_stats, misses));
	st->slow = qcow_device_count(dev, offsetof(struct qcow_stats, slow));
	st->decompressed = qcow_device_count(dev, offsetof(struct qcow_stats, decompressed));
	st->errors = qcow_device_count(dev, offsetof(struct qcow_stats, errors));
	st->fast = qcow_device_fast(dev);
}

static u64 device_cache_used(struct qcow_device *dev)
{
	const struct qcow_image *img;
	u64 used = 0;

	spin_lock(&dev->chain_lock);
	for (img = dev->target.image; img; img = img->backing)
		if (img->cache)
			used += qcow_cache_used(img->cache);
	spin_unlock(&dev->chain_lock);
	return used;
}

/**
 * qcow_device_fill_status() - describe a device and count its work
 * @dev: the device, which the caller keeps from being taken apart
 * @by: the open file of the control node that asks
 * @st: zeroed; the result
 *
 * Context: any.
 */
void qcow_device_fill_status(struct qcow_device *dev, const struct file *by,
			     struct qcow_ioc_status *st)
{
	/* Pairs with qcow_device_begin_job(). */
	const struct file *job_by = smp_load_acquire(&dev->job_by);
	const struct qcow_image *img = qcow_device_image(dev);

	st->flags = dev->options.flags;
	st->abi = QCOW_ABI_VERSION;
	st->format = dev->format;
	st->depth = dev->depth;
	st->openers = disk_openers(dev->disk);
	st->bytes = (u64)get_capacity(dev->disk) << SECTOR_SHIFT;
	st->diskseq = dev->disk->diskseq;
	if (img->layout.cluster_bits)
		st->cluster_size = 1ULL << img->layout.cluster_bits;
	st->cache_size = dev->options.cache_size;
	if (qcow_device_detaches_itself(dev))
		st->state |= QCOW_STATE_LAZY;
	if (READ_ONCE(dev->state) == QCOW_DEVICE_GOING)
		st->state |= QCOW_STATE_GOING;
	if (dev->target.image->file.direct)
		st->state |= QCOW_STATE_DIRECT;
	if (img->crypt)
		st->state |= QCOW_STATE_ENCRYPTED;
	if (qcow_device_damaged(dev))
		st->state |= QCOW_STATE_CORRUPT;
	if (job_by)
		st->job_owner = job_by == by ? QCOW_JOB_OURS : QCOW_JOB_OTHERS;
	st->job_total = atomic64_read(&dev->progress.total);
	st->job_done = min_t(u64, atomic64_read(&dev->progress.done), st->job_total);
	st->cache_used = device_cache_used(dev);
	device_sum_stats(dev, st);
}
