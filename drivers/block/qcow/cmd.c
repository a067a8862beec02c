// SPDX-License-Identifier: GPL-2.0
/*
 * Requests: from queue_rq to completion.
 *
 * A request is one I/O. Its memory is its bio's table; of a request merged from
 * several bios the tables are joined. Where that takes memory that is not
 * there, and where such a request failed, it is served one bio after the other,
 * so that one bad place does not fail its neighbours.
 */
#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/percpu.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "cmd.h"
#include "compat_blk.h"
#include "read.h"
#include "write.h"

static struct request *cmd_rq(struct qcow_cmd *cmd)
{
	return blk_mq_rq_from_pdu(cmd);
}

static struct qcow_target *rq_target(struct request *rq)
{
	return rq->q->queuedata;
}

/* --- Memory --- */

static void cmd_use_bio(struct qcow_cmd *cmd, struct bio *bio)
{
	struct qcow_io *io = &cmd->io;
	struct bvec_iter iter;
	struct bio_vec bv;

	io->bvec = __bvec_iter_bvec(bio->bi_io_vec, bio->bi_iter);
	io->skip = mp_bvec_iter_offset(bio->bi_io_vec, bio->bi_iter) -
		   io->bvec->bv_offset;
	io->len = bio->bi_iter.bi_size;
	io->nr_bvec = 1;
	if (io->skip + io->len <= io->bvec->bv_len)
		return;
	io->nr_bvec = 0;
	bio_for_each_bvec(bv, bio, iter)
		io->nr_bvec++;
}

/* Joins the tables of a merged request; false: no memory for that. */
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
	io->bvec = cmd->bvecs;
	io->nr_bvec = nr;
	io->skip = 0;
	io->len = blk_rq_bytes(rq);
	nr = 0;
	rq_for_each_bvec(bv, rq, iter)
		cmd->bvecs[nr++] = bv;
	return true;
}

/* --- Completion --- */

static void cmd_free_bvecs(struct qcow_cmd *cmd)
{
	kfree(cmd->bvecs);
	cmd->bvecs = NULL;
}

static void cmd_count(struct qcow_cmd *cmd, struct request *rq, int err)
{
	struct qcow_stats __percpu *stats = rq_target(rq)->stats;

	if (likely(!cmd->io.slow))
		this_cpu_inc(stats->fast);
	else
		this_cpu_inc(stats->slow);
	if (unlikely(err))
		this_cpu_inc(stats->errors);
}

static void cmd_start_next_bio(struct qcow_cmd *cmd, struct request *rq)
{
	struct qcow_io *io = &cmd->io;

	cmd_use_bio(cmd, rq->bio);
	io->pos = rq_target(rq)->offset + blk_rq_pos(rq) * SECTOR_SIZE;
	if (io->write)
		qcow_write_in_worker(io);
	else
		qcow_read_in_worker(io);
}

/* --- Flush --- */

static void cmd_flush_work(struct work_struct *work)
{
	struct qcow_cmd *cmd = container_of(work, struct qcow_cmd, flush_work);
	struct request *rq = cmd_rq(cmd);
	unsigned int noio = memalloc_noio_save();

	cmd->status = errno_to_blk_status(qcow_write_flush(rq_target(rq)->image));
	memalloc_noio_restore(noio);
	blk_mq_complete_request(rq);
}

/* The request ends with everything written so far durable. */
static void cmd_flush(struct qcow_cmd *cmd, struct request *rq)
{
	cmd->bvecs = NULL;
	INIT_WORK(&cmd->flush_work, cmd_flush_work);
	queue_work(rq_target(rq)->write_wq, &cmd->flush_work);
}

static void cmd_bio_done(struct qcow_cmd *cmd, struct request *rq)
{
	blk_status_t status = errno_to_blk_status(cmd->io.error);

	cmd_count(cmd, rq, cmd->io.error);
	/* Takes the bio off the request. */
	if (blk_update_request(rq, status, cmd->io.len))
		cmd_start_next_bio(cmd, rq);
	else
		__blk_mq_end_request(rq, BLK_STS_OK);
}

static bool cmd_wants_fua(const struct request *rq, const struct qcow_io *io)
{
	return io->write && !io->error && (rq->cmd_flags & REQ_FUA);
}

/* Any context. */
static void cmd_io_done(struct qcow_io *io)
{
	struct qcow_cmd *cmd = container_of(io, struct qcow_cmd, io);
	struct request *rq = cmd_rq(cmd);

	if (cmd_wants_fua(rq, io) && !cmd->by_bio) {
		if (cmd->bvecs)
			cmd_free_bvecs(cmd);
		cmd_count(cmd, rq, 0);
		cmd_flush(cmd, rq);
		return;
	}
	if (unlikely(cmd->by_bio)) {
		cmd_bio_done(cmd, rq);
		return;
	}
	if (unlikely(io->error && cmd->bvecs)) {
		cmd_free_bvecs(cmd);
		cmd->by_bio = true;
		cmd_start_next_bio(cmd, rq);
		return;
	}
	cmd_count(cmd, rq, io->error);
	cmd->status = errno_to_blk_status(io->error);
	blk_mq_complete_request(rq);
}

static void cmd_complete(struct request *rq)
{
	struct qcow_cmd *cmd = blk_mq_rq_to_pdu(rq);

	if (cmd->bvecs)
		cmd_free_bvecs(cmd);
	blk_mq_end_request(rq, cmd->status);
}

/* --- Submission --- */

static void cmd_rw(struct qcow_cmd *cmd, struct request *rq, bool write)
{
	struct qcow_target *target = rq_target(rq);
	struct qcow_io *io = &cmd->io;

	cmd->bvecs = NULL;
	cmd->by_bio = false;
	io->image = target->image;
	io->write = write;
	io->wq = target->wq;
	io->write_wq = target->write_wq;
	io->parts = target->parts;
	io->done = cmd_io_done;
	io->pos = target->offset + blk_rq_pos(rq) * SECTOR_SIZE;
	if (likely(rq->bio == rq->biotail)) {
		cmd_use_bio(cmd, rq->bio);
	} else if (!cmd_use_bios(cmd, rq)) {
		cmd->by_bio = true;
		cmd_start_next_bio(cmd, rq);
		return;
	}
	if (write)
		qcow_write(io);
	else
		qcow_read(io);
}

/*
 * May sleep as far as the block layer is concerned (BLK_MQ_F_BLOCKING), since
 * filesystems allocate memory; but nothing is waited for here.
 */
static blk_status_t cmd_queue_rq(struct blk_mq_hw_ctx *hctx,
				 const struct blk_mq_queue_data *bd)
{
	struct request *rq = bd->rq;

	blk_mq_start_request(rq);
	if (unlikely(READ_ONCE(rq_target(rq)->dead)))
		return BLK_STS_IOERR;
	switch (req_op(rq)) {
	case REQ_OP_READ:
		cmd_rw(blk_mq_rq_to_pdu(rq), rq, false);
		return BLK_STS_OK;
	case REQ_OP_WRITE:
		cmd_rw(blk_mq_rq_to_pdu(rq), rq, true);
		return BLK_STS_OK;
	case REQ_OP_FLUSH:
		cmd_flush(blk_mq_rq_to_pdu(rq), rq);
		return BLK_STS_OK;
	default:
		return BLK_STS_NOTSUPP;
	}
}

const struct blk_mq_ops qcow_cmd_mq_ops = {
	.queue_rq = cmd_queue_rq,
	.complete = cmd_complete,
};
