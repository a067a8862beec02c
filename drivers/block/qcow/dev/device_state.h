/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The structure of a device. device.c attaches it; device_end.c, device_limits.c,
 * device_status.c and the ioctls of dev/ use its members.
 */
#ifndef _QCOW_DEVICE_STATE_H
#define _QCOW_DEVICE_STATE_H

#include <linux/blk-mq.h>
#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <uapi/linux/qcow.h>

#include "dev/cmd.h"
#include "meta/image.h"

struct dentry;
struct qcow_commit;

/**
 * enum qcow_device_state - of a device
 * @QCOW_DEVICE_NEW: being attached
 * @QCOW_DEVICE_LIVE: attached
 * @QCOW_DEVICE_GOING: being detached, or gone; set by cmpxchg(), so by one task only
 */
enum qcow_device_state {
	QCOW_DEVICE_NEW,
	QCOW_DEVICE_LIVE,
	QCOW_DEVICE_GOING,
};

/**
 * struct qcow_device - an attached device
 * @ref: one reference while attached, one for each opener
 * @target: the part that requests use
 * @disk: the block layer's disk
 * @tag_set: the disk's requests
 * @index: the N of /dev/qcowN
 * @options: as of &struct qcow_ioc_attach; they do not change
 * @format: &enum qcow_format of the attached image
 * @depth: images in the chain
 * @snapshot: id or name of the snapshot that the device shows; or NULL
 * @snapshot_l1: host offset of that snapshot's L1 table; or 0
 * @alias: the name that the user gave the device; or NULL
 * @parent: the device whose snapshot it shows, referenced; or NULL. This and the next two
 *	are under the lock of child.c
 * @children: devices that show snapshots of this one
 * @sibling: in the list of its parent, unless that is gone
 * @node: in the list of all devices; under the lock of device_list.c
 * @name: qcowN
 * @state: &enum qcow_device_state
 * @lazy: detach at the last close; under disk->open_mutex
 * @forced: the device is detached while it may be open
 * @chain_lock: protects the backing files in the chain and @depth for readers other
 *	than requests
 * @remove_work: detaches the device
 * @let_go_work: lets it detach itself when its open file was closed
 * @removed: completed when the device is detached
 * @remove_err: result of the detach: 0, or -EIO: writes since the last flush are lost
 * @leaked: a job that the detach ended early has leaked clusters of the image
 * @owner: the open file of the control node that a hidden device belongs to, or NULL;
 *	only compared
 * @holder: the open file of the control node that keeps a device which is to detach itself
 *	at its last close, until the file is closed; an ERR_PTR until @let_go_work has let go
 *	of it; or NULL. Only compared
 * @commit: the commit into the backing file, or NULL; under @job_mutex
 * @committing: the commit has begun to write the backing file
 * @ending: QCOW_ENDING_*: jobs have to end early
 * @progress: how far the job is, or the last one, or a detach
 * @job_by: the open file of the control node that asked for that job, or NULL, as for a
 *	detach. Only compared
 * @events: events that users are told of
 * @debugfs: its folder in debugfs; or NULL
 * @job_mutex: held by the one job on the device, or the attach of a child; detaching waits
 *	for it. Taken before disk->open_mutex
 */
struct qcow_device {
	struct kref ref;
	struct qcow_target target;
	struct gendisk *disk;
	struct blk_mq_tag_set tag_set;
	int index;
	struct qcow_ioc_attach options;
	u32 format;
	u32 depth;
	char *snapshot;
	u64 snapshot_l1;
	char *alias;
	struct qcow_device *parent;
	struct list_head children;
	struct list_head sibling;
	struct list_head node;
	char name[DISK_NAME_LEN];
	enum qcow_device_state state;
	bool lazy;
	bool forced;
	/* Protects the chain behind the first image, and depth. */
	spinlock_t chain_lock;
	struct work_struct remove_work;
	struct work_struct let_go_work;
	struct completion removed;
	int remove_err;
	bool leaked;
	const struct file *owner;
	const struct file *holder;
	struct qcow_commit *commit;
	bool committing;
	unsigned long ending;
	struct qcow_progress progress;
	const struct file *job_by;
	struct qcow_events events;
	struct dentry *debugfs;
	/* Held by a job, or by the attach of a child. */
	struct mutex job_mutex;
};

/*
 * Begin a job, or a detach, which nobody asked for. The figures of the job before are not
 * taken for those of this one. Under dev->job_mutex.
 */
static inline void qcow_device_begin_job(struct qcow_device *dev, const struct file *by)
{
	lockdep_assert_held(&dev->job_mutex);
	qcow_progress_reset(&dev->progress);
	/* Pairs with qcow_device_fill_status(). */
	smp_store_release(&dev->job_by, by);
}

/* Whether it is detached at its last close, now or when a program has let go of it. */
static inline bool qcow_device_detaches_itself(const struct qcow_device *dev)
{
	return READ_ONCE(dev->lazy) || READ_ONCE(dev->holder);
}

/* Whether its first image is an overlay that goes with it. */
static inline bool qcow_device_is_temporary(const struct qcow_device *dev)
{
	return dev->options.flags & QCOW_ATTACH_TEMPORARY;
}

/* The number in the chain of the image that was attached. */
static inline u32 qcow_device_image_number(const struct qcow_device *dev)
{
	return qcow_device_is_temporary(dev) ? 1 : 0;
}

/* That image. Below an overlay that goes with the device, no job replaces it. */
static inline const struct qcow_image *qcow_device_image(const struct qcow_device *dev)
{
	const struct qcow_image *img = dev->target.image;

	return qcow_device_is_temporary(dev) ? img->backing : img;
}

#endif /* _QCOW_DEVICE_STATE_H */
