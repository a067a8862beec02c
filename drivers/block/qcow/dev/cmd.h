/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CMD_H
#define _QCOW_CMD_H

#include <linux/blk-mq.h>

#include "data/part.h"
#include "meta/qcow.h"

/**
 * struct qcow_target - what requests are served from
 * @image: the top of the chain
 * @offset: bytes into its disk where the device begins
 * @sectors: of the device; no request is served beyond. Changes while the queue is
 *	frozen: what was let in before waits for the thaw, and may be beyond then
 * @wq: where work that may sleep is done
 * @write_wq: where writes that may sleep are done
 * @commit_wq: where flushes are done: they wait for writes
 * @comp_wq: where clusters are decompressed
 * @parts: for the I/O
 * @stats: counted here
 * @dead: fail everything
 * @readonly: fail all that would change it: to the block layer a read-only disk is
 *	one that nobody opens for writing, and device-mapper does
 */
struct qcow_target {
	struct qcow_image *image;
	u64 offset;
	sector_t sectors;
	struct workqueue_struct *wq;
	struct workqueue_struct *write_wq;
	struct workqueue_struct *commit_wq;
	struct workqueue_struct *comp_wq;
	mempool_t *parts;
	struct qcow_stats __percpu *stats;
	bool dead;
	bool readonly;
};

/**
 * struct qcow_cmd - a request's private data
 * @io: its I/O
 * @bvecs: a merged request's memory in one table, or NULL
 * @by_bio: the request is served one bio after the other
 * @status: how it ends
 * @space_goal: the round of reclaim after which a write fails for good for lack of
 *	space; 0: it did not fail yet
 * @space_seen: rounds that had ended when it was tried again
 * @space_limited: @space_until is set
 * @space_until: jiffies; it is not tried again after that
 * @space_work: tries again
 * @flush_work: carries a flush out
 */
struct qcow_cmd {
	struct qcow_io io;
	struct bio_vec *bvecs;
	bool by_bio;
	blk_status_t status;
	u64 space_goal;
	u64 space_seen;
	bool space_limited;
	unsigned long space_until;
	struct delayed_work space_work;
	struct work_struct flush_work;
};

extern const struct blk_mq_ops qcow_cmd_mq_ops;

#endif /* _QCOW_CMD_H */
