/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_DEVICE_STATE_H
#define _QCOW_DEVICE_STATE_H

#include <linux/blk-mq.h>
#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/mutex.h>

#include "dev/cmd.h"
#include "meta/image.h"

struct qcow_merge;

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
 * @ref: one while attached, one for each opener
 * @target: what requests are served from
 * @disk: the block layer's side
 * @tag_set: its requests
 * @index: the N of /dev/qcowN
 * @flags: QCOW_ATTACH_*
 * @format: &enum qcow_format of the attached image
 * @depth: images in the chain
 * @cache_bytes: limit of each image's metadata cache
 * @snapshot: id or name of the snapshot that it shows; or NULL
 * @name: qcowN
 * @state: see there
 * @lazy: detach at the last close; under disk->open_mutex
 * @forced: it is detached while it may be open
 * @chain_lock: protects the backing files in the chain and @depth from who looks at
 *	them without being a request
 * @size_limit: bytes of the image's disk that it shows at most, 0: all
 * @sector_size: bytes of a logical sector; the device has whole ones alone
 * @remove_work: detaches it
 * @removed: that is done
 * @remove_err: how: 0, or -EIO: what was written since the last flush is lost
 * @leaked: a change that the removal cut short has leaked clusters of the image
 * @owner: the control node's open file that it goes with, or NULL; only compared
 * @merge: what it has is being written to its backing file, or NULL; under
 *	@change_mutex
 * @merging: the backing file is written
 * @ending: QCOW_ENDING_*: changes of the image that take long come to an end
 * @change_mutex: one change of the image at a time; detaching waits for it. Taken
 *	before disk->open_mutex
 */
struct qcow_device {
	struct kref ref;
	struct qcow_target target;
	struct gendisk *disk;
	struct blk_mq_tag_set tag_set;
	int index;
	u32 flags;
	u32 format;
	u32 depth;
	u64 cache_bytes;
	char *snapshot;
	char name[DISK_NAME_LEN];
	enum qcow_device_state state;
	bool lazy;
	bool forced;
	/* Protects the chain behind the first image, and depth. */
	spinlock_t chain_lock;
	u64 size_limit;
	u32 sector_size;
	struct work_struct remove_work;
	struct completion removed;
	int remove_err;
	bool leaked;
	const struct file *owner;
	struct qcow_merge *merge;
	bool merging;
	unsigned long ending;
	/* Held while the image is changed by other means than I/O. */
	struct mutex change_mutex;
};

#endif /* _QCOW_DEVICE_STATE_H */
