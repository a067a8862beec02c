// SPDX-License-Identifier: GPL-2.0
/*
 * The part of a detach that waits for the files below, which may not answer. device.c
 * calls it.
 *
 * The worker that removes the device does all of it before del_gendisk(), and holds no
 * lock: the disk is still visible, and no other task waits for the files.
 */
#include <linux/delay.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "compat/compat_blk.h"
#include "dev/device_end.h"
#include "meta/flush.h"

/* Most milliseconds between two looks at the requests under way. */
#define DETACH_LOOK_MS	100

/**
 * struct detach_requests - requests under way
 * @nr: their number
 * @file: a file that one of them reads or writes; only compared. NULL: unknown
 */
struct detach_requests {
	unsigned int nr;
	const struct qcow_file *file;
};

static bool detach_count_one(struct request *rq, void *data)
{
	const struct qcow_cmd *cmd = blk_mq_rq_to_pdu(rq);
	struct detach_requests *requests = data;

	requests->nr++;
	if (!requests->file && READ_ONCE(cmd->io.subreq_used))
		requests->file = READ_ONCE(cmd->io.subreq.req.file);
	return true;
}

static struct detach_requests detach_count(struct qcow_device *dev)
{
	struct detach_requests requests = { };

	blk_mq_tagset_busy_iter(&dev->tag_set, detach_count_one, &requests);
	return requests;
}

/* Fail new requests from now on, and wait for those that a filesystem below has. */
static void detach_drain(struct qcow_device *dev)
{
	unsigned int ms = 1;

	WRITE_ONCE(dev->target.dead, true);
	qcow_compat_wait_dispatched(dev->disk->queue);
	for (; detach_count(dev).nr; ms = min(2 * ms, DETACH_LOOK_MS))
		msleep(ms);
}

/**
 * qcow_device_finish() - wait for a device's I/O, and flush its images
 * @dev: the device, on which no job runs any more; later requests fail
 *
 * Context: may sleep, as long as the files below take.
 *
 * Return: 0, or the error by which writes since the last flush are lost.
 */
int qcow_device_finish(struct qcow_device *dev)
{
	struct qcow_image *img;

	detach_drain(dev);
	if (dev->forced)
		blk_mark_disk_dead(dev->disk);
	for (img = dev->target.image; img; img = img->backing)
		if (img->alloc)
			qcow_flush_stop(img->alloc);
	/* A commit has to be ended before its images are closed. */
	return dev->commit ? 0 : qcow_image_finish_chain(dev->target.image);
}

/* Return: true if a file is one of an image's. */
static bool image_has(const struct qcow_image *img, const struct qcow_file *file)
{
	return file == &img->file || file == &img->data_file || file == &img->table ||
	       qcow_image_file_number(img, file);
}

static bool image_is_busy(const struct qcow_image *img)
{
	u32 i;

	for (i = 0; i < img->nr_files; i++)
		if (atomic_read(&img->files[i].busy))
			return true;
	return atomic_read(&img->file.busy) || atomic_read(&img->data_file.busy) ||
	       atomic_read(&img->table.busy);
}

/*
 * Copy the label of the image whose file the detach waits for, with the device's name.
 * Return: whether it is known.
 */
static bool detach_label(struct qcow_device *dev, const struct qcow_file *file,
			 char *label, size_t size)
{
	const struct qcow_image *img;

	spin_lock(&dev->chain_lock);
	for (img = dev->target.image; img; img = img->backing)
		if (file ? image_has(img, file) : image_is_busy(img))
			break;
	if (img)
		strscpy(label, img->label, size);
	spin_unlock(&dev->chain_lock);
	return img;
}

/**
 * qcow_device_say() - name the requests and the file that a detach waits for
 * @dev: being detached, with its images still open
 * @msg: says it
 *
 * Context: may sleep.
 *
 * Return: -EINPROGRESS.
 */
int qcow_device_say(struct qcow_device *dev, struct qcow_msg *msg)
{
	struct detach_requests requests = detach_count(dev);
	char label[sizeof(dev->target.image->label)] = "";
	const char *name = label + strlen(dev->name) + strlen(": ");
	bool known = detach_label(dev, requests.file, label, sizeof(label));

	if (requests.nr)
		return qcow_advise(msg, -EINPROGRESS, "waits for %u request%s under way%s%s%s; the device goes by itself when they end",
				   requests.nr, requests.nr == 1 ? "" : "s",
				   known ? ", to " : "", known ? name : "",
				   known ? ", which does not answer" : "");
	return qcow_advise(msg, -EINPROGRESS, "waits for its last writes%s%s%s; the device goes by itself when they end",
			   known ? " to " : "", known ? name : "",
			   known ? ", which does not answer" : "");
}
