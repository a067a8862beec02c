// SPDX-License-Identifier: GPL-2.0
/*
 * The part of a detach that waits for the files below, which may not answer.
 *
 * All of it is done by the worker that removes the device, before del_gendisk(), and
 * with no lock held: the disk is still there to be looked at, and nothing else waits
 * for it.
 */
#include <linux/delay.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "compat/compat_blk.h"
#include "dev/device_end.h"
#include "meta/commit.h"

/* Milliseconds between two looks at the requests under way, at most. */
#define DETACH_LOOK_MS	100

/**
 * struct detach_requests - requests under way
 * @nr: how many
 * @file: a file that one of them reads or writes; only compared. NULL: not known
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
	if (!requests->file && READ_ONCE(cmd->io.part_used))
		requests->file = READ_ONCE(cmd->io.part.fio.file);
	return true;
}

static struct detach_requests detach_count(struct qcow_device *dev)
{
	struct detach_requests requests = { };

	blk_mq_tagset_busy_iter(&dev->tag_set, detach_count_one, &requests);
	return requests;
}

/* New requests fail from now on; those that a filesystem below has are waited for. */
static void detach_drain(struct qcow_device *dev)
{
	unsigned int ms = 1;

	WRITE_ONCE(dev->target.dead, true);
	qcow_compat_wait_dispatched(dev->disk->queue);
	for (; detach_count(dev).nr; ms = min(2 * ms, DETACH_LOOK_MS))
		msleep(ms);
}

/**
 * qcow_device_finish() - wait for a device's I/O, and write what its image has left
 * @dev: nobody changes its image any more; later requests fail
 *
 * Context: may sleep for as long as the files below take.
 *
 * Return: 0, or the error by which what was written since the last flush is lost.
 */
int qcow_device_finish(struct qcow_device *dev)
{
	struct qcow_image *img;

	detach_drain(dev);
	if (dev->forced)
		blk_mark_disk_dead(dev->disk);
	for (img = dev->target.image; img; img = img->backing)
		if (img->alloc)
			qcow_commit_stop(img->alloc);
	/* A merge has to be ended before its images are closed. */
	return dev->merge ? 0 : qcow_image_finish_chain(dev->target.image);
}

/* Whether an image has a file that is waited for: @file, or any if that is NULL. */
static bool detach_waits_for(const struct qcow_image *img, const struct qcow_file *file)
{
	if (file)
		return file == &img->file || file == &img->data_file;
	return atomic_read(&img->file.busy) || atomic_read(&img->data_file.busy);
}

/*
 * The label of the image whose file is waited for, device and all. Return: whether it
 * is known.
 */
static bool detach_label(struct qcow_device *dev, const struct qcow_file *file,
			 char *label, size_t size)
{
	const struct qcow_image *img;

	spin_lock(&dev->chain_lock);
	for (img = dev->target.image; img; img = img->backing)
		if (detach_waits_for(img, file))
			break;
	if (img)
		strscpy(label, img->label, size);
	spin_unlock(&dev->chain_lock);
	return img;
}

/**
 * qcow_device_say() - say what a detach waits for
 * @dev: being detached; its images are there
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
		return qcow_fail(msg, -EINPROGRESS, "waits for %u request%s under way%s%s%s; the device goes by itself when they end",
				 requests.nr, requests.nr == 1 ? "" : "s",
				 known ? ", to " : "", known ? name : "",
				 known ? ", which does not answer" : "");
	return qcow_fail(msg, -EINPROGRESS, "waits for its last writes%s%s%s; the device goes by itself when they end",
			 known ? " to " : "", known ? name : "",
			 known ? ", which does not answer" : "");
}
