// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of the block layer, from queue_rq() to completion. The block layer calls it;
 * it calls data/, and may not sleep but in its work items.
 *
 * A request is one I/O. Its memory is its bio's table; a request that was merged from
 * several bios gets a joined table. Without memory for that, and when a merged request
 * fails, it is served one bio after the other, so that one bad sector does not fail its
 * neighbours.
 */
#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/slab.h>

#include "compat/compat_blk.h"
#include "data/read.h"
#include "data/write.h"
#include "data/zero.h"
#include "dev/cmd.h"
#include "meta/reclaim.h"
#include "meta/release.h"
#include "meta/trace.h"

/* Milliseconds between two tries of a request that lacks something, and for all tries. */
#define CMD_RETRY_PAUSE		10
#define CMD_RETRY_LIMIT		30000

static struct request *cmd_rq(struct qcow_cmd *cmd)
{
	return blk_mq_rq_from_pdu(cmd);
}

static struct qcow_target *rq_target(const struct request *rq)
{
	return rq->q->queuedata;
}

/* --- Memory --- */

static void cmd_use_bio(struct qcow_cmd *cmd, struct bio *bio)
{
	struct qcow_io *io = &cmd->io;
	struct bvec_iter iter;
	struct bio_vec bv;

	io->bio = bio;
	io->bvec = __bvec_iter_bvec(bio->bi_io_vec, bio->bi_iter);
	io->skip = mp_bvec_iter_offset(bio->bi_io_vec, bio->bi_iter) -
		   io->bvec->bv_offset;
	io->len = bio->bi_iter.bi_size;
	io->nr_bvec = 1;
	if (io->skip + io->len <= io->bvec->bv_len)
		return;
	if (likely(!bio_flagged(bio, BIO_CLONED) && bio->bi_vcnt > bio->bi_iter.bi_idx)) {
		io->nr_bvec = bio->bi_vcnt - bio->bi_iter.bi_idx;
		return;
	}
	/*
	 * A bio with the table of another bio, or of a registered buffer, does not know the
	 * table's length: bi_vcnt may be too large, or cut off to 16 bits.
	 */
	io->nr_bvec = 0;
	bio_for_each_bvec(bv, bio, iter)
		io->nr_bvec++;
}

/* Join the tables of a merged request; false: no memory for that. */
static bool cmd_use_bios(struct qcow_cmd *cmd, struct request *rq)
{
	struct qcow_io *io = &cmd->io;
	struct req_iterator iter;
	struct bio_vec bv;
	u32 nr = 0;

	rq_for_each_bvec(bv, rq, iter)
		nr++;
	cmd->bvecs = kmalloc_array(nr, sizeof(bv), GFP_NOWAIT | __GFP_NOWARN);
	if (!cmd->bvecs)
		return false;
	io->bio = rq->bio;
	io->bvec = cmd->bvecs;
	io->nr_bvec = nr;
	io->skip = 0;
	io->len = blk_rq_bytes(rq);
	nr = 0;
	rq_for_each_bvec(bv, rq, iter)
		cmd->bvecs[nr++] = bv;
	return true;
}

static void cmd_free_bvecs(struct qcow_cmd *cmd)
{
	kfree(cmd->bvecs);
	cmd->bvecs = NULL;
}

static noinline void cmd_trace(const struct qcow_cmd *cmd, const struct request *rq)
{
	const struct qcow_io *io = &cmd->io;

	trace_qcow_request(rq->q->disk->disk_name, io->op, io->guest_offset, io->len,
			   io->slow, io->error);
}

static void cmd_count(struct qcow_cmd *cmd, struct request *rq, int err)
{
	struct qcow_stats __percpu *stats = rq_target(rq)->stats;

	qcow_count(stats, &stats->ops[cmd->io.op].requests, 1);
	qcow_count(stats, &stats->ops[cmd->io.op].bytes, cmd->io.len);
	if (unlikely(cmd->io.slow))
		qcow_count(stats, &stats->slow, 1);
	if (unlikely(err))
		qcow_count(stats, &stats->errors, 1);
	if (unlikely(err == -ENOSPC))
		qcow_event_raise(cmd->io.image->events, QCOW_EVENT_FULL);
	if (trace_qcow_request_enabled())
		cmd_trace(cmd, rq);
}

static void cmd_start_in_worker(struct qcow_io *io)
{
	switch (io->op) {
	case QCOW_OP_READ:
		qcow_read_in_worker(io);
		break;
	case QCOW_OP_WRITE:
		qcow_write_in_worker(io);
		break;
	case QCOW_OP_ZERO:
	case QCOW_OP_UNMAP:
	case QCOW_OP_DISCARD:
		qcow_zero_in_worker(io);
		break;
	}
}

static void cmd_start_next_bio(struct qcow_cmd *cmd, struct request *rq)
{
	struct qcow_io *io = &cmd->io;

	cmd_use_bio(cmd, rq->bio);
	io->guest_offset = rq_target(rq)->guest_offset + blk_rq_pos(rq) * SECTOR_SIZE;
	cmd_start_in_worker(io);
}

/* --- Completion of an I/O, of all of a request or of one of its bios --- */

static void cmd_bio_done(struct qcow_cmd *cmd, struct request *rq)
{
	blk_status_t status = errno_to_blk_status(cmd->io.error);

	cmd->space_goal = 0;
	/* Take the bio off the request. */
	if (blk_update_request(rq, status, cmd->io.len))
		cmd_start_next_bio(cmd, rq);
	else
		__blk_mq_end_request(rq, BLK_STS_OK);
}

static void cmd_complete(struct request *rq)
{
	struct qcow_cmd *cmd = blk_mq_rq_to_pdu(rq);

	if (unlikely(cmd->bvecs))
		cmd_free_bvecs(cmd);
	blk_mq_end_request(rq, cmd->status);
}

/* Any context. */
static inline void cmd_finish(struct qcow_cmd *cmd, struct request *rq)
{
	int err = cmd->io.error;

	if (unlikely(cmd->by_bio)) {
		cmd_bio_done(cmd, rq);
		return;
	}
	cmd->status = unlikely(err) ? errno_to_blk_status(err) : BLK_STS_OK;
	if (!blk_mq_complete_request_remote(rq))
		cmd_complete(rq);
}

/* --- Requests that lack space or memory --- */

/* Return: true if all requests of a device fail. */
static bool cmd_given_up(const struct qcow_target *target)
{
	return READ_ONCE(target->dead) || qcow_image_stopped(target->image);
}

/* Return: true if clusters that were durably released may still become free. */
static bool cmd_space_comes(struct qcow_cmd *cmd)
{
	if (!cmd->space_goal) {
		cmd->space_goal = qcow_release_goal(cmd->io.image->alloc);
		cmd->space_seen = 0;
	}
	return cmd->space_seen < cmd->space_goal;
}

/* Return: true to try again. The limit is that of all bios of the request together. */
static bool cmd_wants_retry(struct qcow_cmd *cmd, struct request *rq)
{
	if (!cmd->retry_limited) {
		cmd->retry_limited = true;
		cmd->retry_until = jiffies + msecs_to_jiffies(CMD_RETRY_LIMIT);
	}
	return (cmd->io.error == -ENOMEM || cmd_space_comes(cmd)) &&
	       !cmd_given_up(rq_target(rq)) &&
	       time_before(jiffies, cmd->retry_until);
}

/* Count a request among those that qcow_cmd_settle() waits for, or no more. */
static void cmd_set_lacking(struct qcow_cmd *cmd, struct request *rq, bool lacks)
{
	if (likely(cmd->lacks == lacks))
		return;
	cmd->lacks = lacks;
	atomic_add(lacks ? 1 : -1, &rq_target(rq)->lacking);
}

/* Call @work after @pause milliseconds, and count the request as lacking. */
static void cmd_retry(struct qcow_cmd *cmd, struct request *rq, work_func_t work, u32 pause)
{
	cmd_set_lacking(cmd, rq, true);
	INIT_DELAYED_WORK(&cmd->retry_work, work);
	queue_delayed_work(rq_target(rq)->flush_wq, &cmd->retry_work,
			   msecs_to_jiffies(pause));
}

static void cmd_flush(struct qcow_cmd *cmd, struct request *rq);

static void cmd_flush_again(struct work_struct *work)
{
	struct qcow_cmd *cmd = container_of(to_delayed_work(work),
					    struct qcow_cmd, retry_work);

	cmd_flush(cmd, cmd_rq(cmd));
}

/* Flush everything; after the data of a request with FUA, the part of it that was just written. */
static int cmd_flush_now(const struct qcow_cmd *cmd, const struct request *rq)
{
	struct qcow_image *img = rq_target(rq)->image;

	if (req_op(rq) == REQ_OP_WRITE)
		return qcow_write_flush_range(img, cmd->io.guest_offset, cmd->io.len);
	return qcow_write_flush(img);
}

static void cmd_flush_work(struct work_struct *work)
{
	struct qcow_cmd *cmd = container_of(work, struct qcow_cmd, flush_work);
	struct request *rq = cmd_rq(cmd);
	struct qcow_stats __percpu *stats = rq_target(rq)->stats;
	unsigned int flags = qcow_worker_begin();
	u64 begun = ktime_get_ns();

	cmd->io.error = cmd_flush_now(cmd, rq);
	qcow_worker_end(flags);
	if (unlikely(cmd->io.error == -ENOMEM) && cmd_wants_retry(cmd, rq)) {
		cmd_retry(cmd, rq, cmd_flush_again, CMD_RETRY_PAUSE);
		return;
	}
	cmd_set_lacking(cmd, rq, false);
	qcow_count(stats, &stats->flushes, 1);
	qcow_count(stats, &stats->flush_ns, ktime_get_ns() - begun);
	if (unlikely(cmd->io.error))
		qcow_count(stats, &stats->errors, 1);
	cmd_finish(cmd, rq);
}

/* Make all completed writes durable. */
static void cmd_flush(struct qcow_cmd *cmd, struct request *rq)
{
	qcow_io_set_stage(&cmd->io, QCOW_IO_FLUSHING);
	INIT_WORK(&cmd->flush_work, cmd_flush_work);
	queue_work(rq_target(rq)->flush_wq, &cmd->flush_work);
}

static inline void cmd_end(struct qcow_cmd *cmd, struct request *rq)
{
	int err = cmd->io.error;

	cmd_set_lacking(cmd, rq, false);
	cmd_count(cmd, rq, err);
	if (rq->cmd_flags & REQ_FUA && !err)
		cmd_flush(cmd, rq);
	else
		cmd_finish(cmd, rq);
}

/* Try the I/O once more, in a worker. */
static void cmd_again(struct qcow_cmd *cmd, struct request *rq)
{
	if (cmd->by_bio)
		cmd_start_next_bio(cmd, rq);
	else
		cmd_start_in_worker(&cmd->io);
}

static void cmd_hurry_space(struct qcow_cmd *cmd)
{
	struct qcow_alloc *a = cmd->io.image->alloc;

	qcow_reclaim_hurry(a);
	cmd->space_seen = qcow_reclaim_ended(a);
}

static void cmd_retry_work(struct work_struct *work)
{
	struct qcow_cmd *cmd = container_of(to_delayed_work(work),
					    struct qcow_cmd, retry_work);
	struct request *rq = cmd_rq(cmd);
	unsigned int flags = qcow_worker_begin();

	if (cmd_wants_retry(cmd, rq)) {
		if (cmd->io.error == -ENOSPC)
			cmd_hurry_space(cmd);
		cmd_again(cmd, rq);
	} else {
		if (cmd->io.error == -ENOMEM && !cmd_given_up(rq_target(rq)))
			qcow_img_err_ratelimited(cmd->io.image, "a request failed, as there was no memory for it\n");
		cmd_end(cmd, rq);
	}
	qcow_worker_end(flags);
}

/*
 * There is no space, but reclaim may be about to free some; or no memory, of which other
 * tasks may free some. Reclaim waits for I/O under way, and that I/O may hold memory, so
 * this I/O ends before it waits. Any context.
 */
static void cmd_wait(struct qcow_cmd *cmd, struct request *rq)
{
	bool at_once = cmd->io.error == -ENOSPC && !cmd->space_goal;

	cmd_retry(cmd, rq, cmd_retry_work, at_once ? 0 : CMD_RETRY_PAUSE);
}

/**
 * qcow_cmd_settle() - wait until no request lacks space or memory
 * @target: of the requests
 *
 * For a job that is about to freeze the queue: the freeze waits for such a request, and
 * all others wait for the freeze. New requests may come meanwhile.
 *
 * Context: may sleep, for about CMD_RETRY_LIMIT at most.
 *
 * Return: 0; or the error of qcow_image_interrupted(): a request may still lack space or
 * memory, and a job that can end should do so without a freeze.
 */
int qcow_cmd_settle(struct qcow_target *target)
{
	unsigned long end = jiffies + msecs_to_jiffies(CMD_RETRY_LIMIT);
	int err;

	while (atomic_read(&target->lacking) && time_before(jiffies, end)) {
		err = qcow_image_interrupted(target->image);
		if (err)
			return err;
		msleep(CMD_RETRY_PAUSE);
	}
	return 0;
}

/* Return: true if more space or memory may come, and the request's owner would wait. */
static bool cmd_lacks(const struct qcow_io *io, const struct request *rq)
{
	if (io->error == -ENOMEM)
		return !(rq->cmd_flags & REQ_RAHEAD) && !blk_noretry_request(rq);
	return io->error == -ENOSPC && io->image->alloc;
}

/* Any context. */
static void cmd_end_io(struct qcow_io *io)
{
	struct qcow_cmd *cmd = container_of(io, struct qcow_cmd, io);
	struct request *rq = cmd_rq(cmd);

	if (unlikely(io->error && cmd->bvecs && !cmd->by_bio)) {
		cmd_free_bvecs(cmd);
		cmd->by_bio = true;
		cmd_start_next_bio(cmd, rq);
		return;
	}
	if (unlikely(io->error && cmd_lacks(io, rq)))
		cmd_wait(cmd, rq);
	else
		cmd_end(cmd, rq);
}

/* --- Submission --- */

static void cmd_prepare(struct qcow_cmd *cmd, struct request *rq,
			enum qcow_op op)
{
	struct qcow_target *target = rq_target(rq);
	struct qcow_io *io = &cmd->io;

	cmd->bvecs = NULL;
	cmd->by_bio = false;
	cmd->space_goal = 0;
	cmd->retry_limited = false;
	cmd->lacks = false;
	cmd->begun = jiffies;
	io->image = target->image;
	io->op = op;
	io->end_io = cmd_end_io;
	io->guest_offset = target->guest_offset + blk_rq_pos(rq) * SECTOR_SIZE;
}

static void cmd_rw(struct qcow_cmd *cmd, struct request *rq, enum qcow_op op)
{
	cmd_prepare(cmd, rq, op);
	if (likely(rq->bio == rq->biotail)) {
		cmd_use_bio(cmd, rq->bio);
	} else if (!cmd_use_bios(cmd, rq)) {
		cmd->by_bio = true;
		cmd_start_next_bio(cmd, rq);
		return;
	}
	if (unlikely(!qcow_compat_may_enter(rq)))
		cmd_start_in_worker(&cmd->io);
	else if (op == QCOW_OP_WRITE)
		qcow_write(&cmd->io);
	else
		qcow_read(&cmd->io);
}

static void cmd_zero(struct qcow_cmd *cmd, struct request *rq, enum qcow_op op)
{
	cmd_prepare(cmd, rq, op);
	cmd->io.bio = rq->bio;
	cmd->io.len = blk_rq_bytes(rq);
	qcow_zero(&cmd->io);
}

static enum qcow_op cmd_zero_op(const struct request *rq)
{
	return rq->cmd_flags & REQ_NOUNMAP ? QCOW_OP_ZERO : QCOW_OP_UNMAP;
}

/* A flush has no sectors. */
static bool rq_is_beyond(const struct request *rq, sector_t end)
{
	unsigned int sectors = blk_rq_sectors(rq);

	return sectors && blk_rq_pos(rq) + sectors > end;
}

static bool cmd_refused(const struct request *rq)
{
	const struct qcow_target *target = rq_target(rq);

	return cmd_given_up(target) || rq_is_beyond(rq, READ_ONCE(target->sectors)) ||
	       (target->readonly && op_is_write(req_op(rq)));
}

/*
 * The filesystem below may sleep in spite of IOCB_NOWAIT, so the queue is
 * BLK_MQ_F_BLOCKING, and the filesystem is entered only if no task below could wait for
 * this one (qcow_compat_may_enter()).
 */
static blk_status_t cmd_submit(struct request *rq)
{
	struct qcow_cmd *cmd = blk_mq_rq_to_pdu(rq);

	blk_mq_start_request(rq);
	if (unlikely(cmd_refused(rq)))
		return BLK_STS_IOERR;
	switch (req_op(rq)) {
	case REQ_OP_READ:
		cmd_rw(cmd, rq, QCOW_OP_READ);
		return BLK_STS_OK;
	case REQ_OP_WRITE:
		cmd_rw(cmd, rq, QCOW_OP_WRITE);
		return BLK_STS_OK;
	case REQ_OP_FLUSH:
		cmd_prepare(cmd, rq, QCOW_OP_WRITE);
		cmd_flush(cmd, rq);
		return BLK_STS_OK;
	case REQ_OP_DISCARD:
		cmd_zero(cmd, rq, QCOW_OP_DISCARD);
		return BLK_STS_OK;
	case REQ_OP_WRITE_ZEROES:
		cmd_zero(cmd, rq, cmd_zero_op(rq));
		return BLK_STS_OK;
	default:
		return BLK_STS_NOTSUPP;
	}
}

static blk_status_t cmd_queue_rq(struct blk_mq_hw_ctx *hctx,
				 const struct blk_mq_queue_data *bd)
{
	return cmd_submit(bd->rq);
}

/*
 * The requests of a plug. They stay in its list until it is their turn, where
 * qcow_compat_may_enter() sees them. A request of another disk may come to the list
 * meanwhile, if it is submitted where one of these ends; the block layer issues it.
 */
static void qcow_compat_queue_rqs(cmd_queue_rqs, list)
{
	struct request *rq = rq_list_peek(list);
	const struct request_queue *q = rq->q;
	blk_status_t status;

	for (; rq && rq->q == q; rq = rq_list_peek(list)) {
		rq = rq_list_pop(list);
		/* For queue_rq() the core does this; it finds requests under way by it. */
		rq->mq_hctx->tags->rqs[rq->tag] = rq;
		status = cmd_submit(rq);
		if (unlikely(status != BLK_STS_OK))
			blk_mq_end_request(rq, status);
	}
}

const struct blk_mq_ops qcow_cmd_mq_ops = {
	.queue_rq = cmd_queue_rq,
	.queue_rqs = cmd_queue_rqs,
	.complete = cmd_complete,
};
