// SPDX-License-Identifier: GPL-2.0
/*
 * The limits of a device's queue: sector and cluster sizes, alignment, the largest requests
 * and their number. They follow from the options of the attach and from the images. device.c
 * sets them once, before the disk appears.
 */
#include <linux/blkdev.h>
#include <linux/sizes.h>
#include <uapi/linux/qcow.h>

#include "compat/compat_blk.h"
#include "dev/cmd.h"
#include "dev/device_limits.h"

/*
 * Requests of a hardware queue; fewer for each of many devices. They are allocated at once,
 * and a queue with all of them takes about 100 KiB.
 */
#define DEVICE_QUEUE_DEPTH	128
#define DEVICE_FEW_DEPTH	32

/* Hardware queues that devices share out, unless there are more CPUs. */
#define DEVICE_QUEUES		64U

#define DEVICE_MAX_SECTORS	(SZ_4M >> SECTOR_SHIFT)
#define DEVICE_MAX_ZERO_SECTORS	(SZ_1G >> SECTOR_SHIFT)

/* Return: bytes of a sector that the first map of the chain asks for, or the default. */
static u32 chain_sector_size(const struct qcow_image *img)
{
	for (; img; img = img->backing)
		if (img->sector_size)
			return img->sector_size;
	return QCOW_SECTOR_SIZE_MIN;
}

/**
 * qcow_device_set_window() - set the sector size and the part of the disk to show
 * @dev: the device: its options are set, and its images are open
 * @msg: says why it failed
 *
 * A sector size that the caller of the attach did not give comes from the images.
 *
 * Context: any.
 *
 * Return: 0, or -EINVAL if the window does not fit to the sector size or to the disk.
 */
int qcow_device_set_window(struct qcow_device *dev, struct qcow_msg *msg)
{
	struct qcow_ioc_attach *options = &dev->options;
	const struct qcow_image *img = dev->target.image;

	if (!options->sector_size)
		options->sector_size = chain_sector_size(img);
	dev->target.guest_offset = options->offset;
	if ((options->offset | options->size_limit) & (options->sector_size - 1))
		return qcow_fail(msg, -EINVAL, "offset and size limit must be multiples of %u",
				 options->sector_size);
	if (options->offset && options->offset >= img->size)
		return qcow_fail(msg, -EINVAL, "offset %llu is not inside its disk of %llu bytes",
				 options->offset, img->size);
	if (options->sector_size > SECTOR_SIZE && img->size &&
	    img->size - options->offset < options->sector_size)
		return qcow_fail(msg, -EINVAL, "its disk of %llu bytes has no whole sector of %u bytes to show",
				 img->size, options->sector_size);
	return 0;
}

/* Add the alignment that direct I/O to the files of an image needs. */
static void add_alignment(const struct qcow_image *img, u32 *dio_mask, u32 *mem_mask)
{
	u32 i;

	*dio_mask |= img->data->dio_mask;
	*mem_mask |= img->data->mem_mask;
	for (i = 0; i < img->nr_files; i++) {
		*dio_mask |= img->files[i].dio_mask;
		*mem_mask |= img->files[i].mem_mask;
	}
}

/* The device prefers the alignment that direct I/O to all files of the chain needs. */
static void device_set_alignment(const struct qcow_device *dev,
				 struct queue_limits *lim)
{
	const struct qcow_image *img;
	u32 dio_mask = SECTOR_SIZE - 1, mem_mask = SECTOR_SIZE - 1;

	for (img = dev->target.image; img; img = img->backing)
		add_alignment(img, &dio_mask, &mem_mask);
	lim->physical_block_size = max(dio_mask + 1, dev->options.sector_size);
	lim->dma_alignment = mem_mask;
}

/*
 * Discards release whole clusters, which begin at multiples of their size on the
 * image's disk. A device with an offset may begin inside of one.
 */
static void device_set_discard(const struct qcow_device *dev,
			       struct queue_limits *lim)
{
	const struct qcow_image *img = dev->target.image;
	u32 unit = img->layout.cluster_bits ? 1U << img->layout.cluster_bits :
					      lim->physical_block_size;

	unit = max(unit, dev->options.sector_size);
	lim->discard_granularity = unit;
	lim->discard_alignment = -dev->target.guest_offset & (unit - 1);
	qcow_compat_limit_zero(lim, DEVICE_MAX_ZERO_SECTORS);
}

/**
 * qcow_device_set_limits() - set the limits of a device's queue
 * @dev: the device: its options are set, and its images are open
 * @lim: the limits, zeroed
 *
 * Context: any.
 */
void qcow_device_set_limits(const struct qcow_device *dev, struct queue_limits *lim)
{
	const struct qcow_image *img = dev->target.image;

	device_set_alignment(dev, lim);
	lim->logical_block_size = dev->options.sector_size;
	lim->io_min = lim->physical_block_size;
	if (img->layout.cluster_bits)
		lim->io_opt = 1U << img->layout.cluster_bits;
	if (lim->io_opt < lim->io_min)
		lim->io_opt = 0;
	lim->max_hw_sectors = DEVICE_MAX_SECTORS;
	/* Memory is passed on as it is, so the driver sets no limit. */
	lim->max_segments = USHRT_MAX;
	lim->max_segment_size = UINT_MAX;
	if (!(dev->options.flags & QCOW_ATTACH_RO))
		device_set_discard(dev, lim);
}

/**
 * qcow_device_stable_writes() - tell whether pages must not change while they are written
 * @dev: the device: its images are open
 *
 * Context: any.
 *
 * Return: true if the request's own pages reach a lower layer that needs them not to change.
 */
bool qcow_device_stable_writes(const struct qcow_device *dev)
{
	const struct qcow_image *img = dev->target.image;

	return !dev->target.readonly && img->data->stable && !img->crypt;
}

/**
 * qcow_device_limit_tags() - set the number of hardware queues and their requests
 * @set: the tags of a device
 * @nr: number of devices, this one included
 * @cpus: number of CPUs that there may be
 *
 * The first device has a queue for each CPU. If there are many devices few of them are busy,
 * so the last of them have two queues, and fewer requests. With one queue the block layer
 * would end each request in a softirq.
 *
 * Context: any.
 */
void qcow_device_limit_tags(struct blk_mq_tag_set *set, u32 nr, u32 cpus)
{
	u32 queues = max(DEVICE_QUEUES, cpus) / nr;

	set->nr_hw_queues = clamp(queues, min(2U, cpus), cpus);
	set->queue_depth = queues >= 2 ? DEVICE_QUEUE_DEPTH : DEVICE_FEW_DEPTH;
}

/**
 * qcow_device_alloc_tags() - allocate the requests of a device
 * @dev: the device
 * @nr: number of devices, this one included
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_device_alloc_tags(struct qcow_device *dev, u32 nr)
{
	struct blk_mq_tag_set *set = &dev->tag_set;

	set->ops = &qcow_cmd_mq_ops;
	qcow_device_limit_tags(set, nr, nr_cpu_ids);
	set->numa_node = NUMA_NO_NODE;
	set->cmd_size = sizeof(struct qcow_cmd);
	set->flags = BLK_MQ_F_BLOCKING | BLK_MQ_F_NO_SCHED_BY_DEFAULT |
		     QCOW_COMPAT_MQ_MERGE | QCOW_COMPAT_MQ_STACKING;
	return blk_mq_alloc_tag_set(set);
}

/**
 * qcow_device_sectors() - size of a device, from the size of its image's disk
 * @dev: the device
 * @bytes: the size of that disk, larger than the device's offset
 *
 * Return: units of 512 bytes, as the block layer counts, in whole sectors of the
 * device.
 */
sector_t qcow_device_sectors(const struct qcow_device *dev, u64 bytes)
{
	bytes -= dev->target.guest_offset;
	if (dev->options.size_limit)
		bytes = min(bytes, dev->options.size_limit);
	return round_down(bytes, dev->options.sector_size) >> SECTOR_SHIFT;
}

/**
 * qcow_device_tail() - size of the rest of a disk that is no whole sector
 * @dev: the device
 *
 * Return: bytes at the end of the device's window that make no whole sector.
 */
u32 qcow_device_tail(const struct qcow_device *dev)
{
	u64 bytes = dev->target.image->size - dev->target.guest_offset;

	if (dev->options.size_limit && dev->options.size_limit <= bytes)
		return 0;
	return bytes & (dev->options.sector_size - 1);
}
