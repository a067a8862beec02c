/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CMD_H
#define _QCOW_CMD_H

#include <linux/blk-mq.h>

#include "data/io.h"
#include "meta/qcow.h"

struct qcow_queues;

/**
 * struct qcow_target - the part of a device that requests use
 * @image: the top of the chain
 * @guest_offset: guest offset at which the device begins
 * @sectors: sectors of the device; requests beyond fail. Changes while the queue is
 *	frozen: a request that was let in before waits for the thaw, and may be beyond
 *	then
 * @queues: queues and reserves, perhaps of many devices
 * @flush_wq: of @queues: queue of flushes, which wait for writes
 * @stats: counters
 * @lacking: number of requests that lack space or memory, and are tried again
 * @dead: all requests fail
 * @readonly: requests that write fail. The block layer only refuses to open a read-only
 *	disk for writing, and device-mapper opens it all the same
 */
struct qcow_target {
	struct qcow_image *image;
	u64 guest_offset;
	sector_t sectors;
	struct qcow_queues *queues;
	struct workqueue_struct *flush_wq;
	struct qcow_stats __percpu *stats;
	atomic_t lacking;
	bool dead;
	bool readonly;
};

/**
 * struct qcow_cmd - a request's private data
 * @io: its I/O
 * @bvecs: a merged request's memory in one table, or NULL
 * @by_bio: the request is served one bio after the other
 * @status: the result
 * @lacks: it is counted in @lacking of its target
 * @begun: jiffies when it was submitted
 * @space_goal: the round of reclaim after which a write without space fails for good;
 *	0: it did not lack space yet
 * @space_seen: rounds that had ended at the last try
 * @retry_limited: @retry_until is set
 * @retry_until: jiffies; no try begins after that
 * @retry_work: tries again
 * @flush_work: does a flush
 */
struct qcow_cmd {
	struct qcow_io io;
	struct bio_vec *bvecs;
	bool by_bio;
	blk_status_t status;
	bool lacks;
	unsigned long begun;
	u64 space_goal;
	u64 space_seen;
	bool retry_limited;
	unsigned long retry_until;
	struct delayed_work retry_work;
	struct work_struct flush_work;
};

extern const struct blk_mq_ops qcow_cmd_mq_ops;

int qcow_cmd_settle(struct qcow_target *target);

#endif /* _QCOW_CMD_H */
