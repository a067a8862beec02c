/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The structures of requests: an I/O, its sub-requests, and the file request of each.
 * dev/ and jobs/ begin I/O, which data/io.c runs; file/file_io.c runs file requests.
 */
#ifndef _QCOW_REQUEST_H
#define _QCOW_REQUEST_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/blk_types.h>
#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/mempool.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "compat/compat.h"

struct qcow_codec;
struct qcow_cow_mems;
struct qcow_file;
struct qcow_image;
struct qcow_io;

/**
 * struct qcow_file_req - a file request: one transfer between memory and a file
 * @iocb: for the filesystem
 * @bio: for a block device
 * @file: the file
 * @host_offset: bytes into the file
 * @bvec: memory
 * @nr_bvec: segments at @bvec, at least as many as @len needs
 * @skip: bytes at the start of @bvec that are not part of the transfer
 * @len: bytes to transfer
 * @bytes_done: bytes transferred so far
 * @write: from memory to the file
 * @nowait: the next attempt must not sleep
 * @buffered: direct I/O was refused, use the page cache
 * @sync: attempts end before the filesystem returns
 * @users: users of the attempt: the task that started it, and its completion
 * @result: result of an attempt that completed later
 * @file_end: &qcow_file.end, before the attempt
 * @end_io: called once for each qcow_file_io() that returned 0, in any context,
 *	also before it returns. -EAGAIN: clear @nowait and call qcow_file_io()
 *	again where it may sleep; it goes on where it stopped
 */
struct qcow_file_req {
	union {
		struct kiocb iocb;
		struct bio bio;
	};
	struct qcow_file *file;
	u64 host_offset;
	const struct bio_vec *bvec;
	u32 nr_bvec;
	u32 skip;
	u32 len;
	u32 bytes_done;
	bool write;
	bool nowait;
	bool buffered;
	bool sync;
	atomic_t users;
	int result;
	u64 file_end;
	void (*end_io)(struct qcow_file_req *req, int err);
};

/**
 * struct qcow_subreq - a sub-request: the part of an I/O that one extent serves
 * @io: its I/O
 * @req: the transfer; of a compressed extent just its file, and its memory, @req.len
 *	bytes from @skip
 * @work: goes on in a worker, and decrypts data that was read
 * @waiter: in the list of waiters of a compressed cluster
 * @image: the image that has the cluster
 * @codec: compressed: the codec
 * @host_offset: compressed: host offset of the stored data
 * @csize: compressed: bytes stored, an upper bound; 0: not compressed
 * @cluster_bytes: compressed: bytes of the decompressed cluster
 * @in_cluster: compressed: first byte of the decompressed cluster to read
 * @sector: encrypted: qcow_crypt_sector() of the first sector
 */
struct qcow_subreq {
	struct qcow_io *io;
	struct qcow_file_req req;
	struct work_struct work;
	struct list_head waiter;
	struct qcow_image *image;
	const struct qcow_codec *codec;
	u64 host_offset;
	u32 csize;
	u32 cluster_bytes;
	u32 in_cluster;
	u64 sector;
};

/* Parts of the locks on guest clusters, see inflight.c. */
#define QCOW_RANGE_PARTS	16

/**
 * struct qcow_range - a range of locked guest clusters
 * @first: number of the first cluster
 * @last: number of the last cluster
 * @parts: a bit for each part that it has clusters of
 * @node: in qcow_inflight_part.ranges of those parts
 */
struct qcow_range {
	u64 first;
	u64 last;
	unsigned long parts;
	struct list_head node[QCOW_RANGE_PARTS];
};

/**
 * struct qcow_io_ctx - the queues and reserves that I/O of a device's images uses
 * @wq: runs reads and their sub-requests that may sleep
 * @in_place_wq: runs sub-requests of writes in place that may sleep
 * @write_wq: runs writes that may sleep; they wait for reads
 * @subreqs: the pool of an I/O's sub-requests after its first one
 * @cow_mems: memory for COW
 *
 * Many devices may have the same. So no work item touches anything of its image or device
 * after the I/O that it works for has ended: a detach waits for the I/O only.
 */
struct qcow_io_ctx {
	struct workqueue_struct *wq;
	struct workqueue_struct *in_place_wq;
	struct workqueue_struct *write_wq;
	mempool_t *subreqs;
	struct qcow_cow_mems *cow_mems;
};

/**
 * enum qcow_op - operation of an I/O on its piece of the disk
 * @QCOW_OP_READ: read it
 * @QCOW_OP_WRITE: write it
 * @QCOW_OP_ZERO: make it zeros, and keep its space in the file
 * @QCOW_OP_UNMAP: make it zeros, and give its space back
 * @QCOW_OP_DISCARD: give the space of its whole clusters back; these read as zeros
 */
enum qcow_op {
	QCOW_OP_READ,
	QCOW_OP_WRITE,
	QCOW_OP_ZERO,
	QCOW_OP_UNMAP,
	QCOW_OP_DISCARD,
};

/* Number of operations. */
#define QCOW_OPS (QCOW_OP_DISCARD + 1)

/**
 * enum qcow_io_stage - the work that an I/O does, or the event that it waits for
 * @QCOW_IO_STEPS: its submitter or a worker goes through its steps
 * @QCOW_IO_QUEUED: it waits for a worker
 * @QCOW_IO_THROTTLED: it waits for flushes, since much metadata is dirty
 * @QCOW_IO_LOCKING: it waits for another change of the same guest clusters
 * @QCOW_IO_COW: it copies old data
 * @QCOW_IO_FLUSHING: a flush makes it durable
 *
 * For people who look; nothing depends on it.
 */
enum qcow_io_stage {
	QCOW_IO_STEPS,
	QCOW_IO_QUEUED,
	QCOW_IO_THROTTLED,
	QCOW_IO_LOCKING,
	QCOW_IO_COW,
	QCOW_IO_FLUSHING,
};

/* Bits of qcow_io.flags. */
#define QCOW_IO_NOWAIT	BIT(0)	/* this step must not sleep */

/**
 * struct qcow_io - one I/O of a disk
 * @image: the top of the chain, and the way to the device's resources
 * @step: serves the next bytes, see qcow_io_start()
 * @flags: QCOW_IO_* of the steps that are under way
 * @guest_offset: guest offset of the first byte
 * @len: bytes
 * @next: bytes of @len that steps have served
 * @bvec: memory of a read or write, must stay until @end_io
 * @nr_bvec: segments at @bvec, at least as many as @len needs
 * @skip: bytes at the start of @bvec that are not part of the I/O
 * @bio: its bio, whose submitter is charged for the work; NULL: nobody is
 * @pending: sub-requests under way, and one as long as steps remain
 * @error: the first error, negative errno
 * @op: the operation
 * @epoch: from qcow_inflight_begin(), if the image is written
 * @stage: &enum qcow_io_stage
 * @slow: the I/O, or a sub-request of it, was left to a worker
 * @subreq_used: @subreq is in use
 * @subreq: the first sub-request, so that the common I/O allocates nothing
 * @work: runs steps that may sleep
 * @waiter: for qcow_io_sync()
 * @end_io: called once at the end, in any context
 */
struct qcow_io {
	struct qcow_image *image;
	int (*step)(struct qcow_io *io);
	unsigned int flags;
	u64 guest_offset;
	u32 len;
	u32 next;
	const struct bio_vec *bvec;
	u32 nr_bvec;
	u32 skip;
	struct bio *bio;
	atomic_t pending;
	int error;
	enum qcow_op op;
	u8 epoch;
	u8 stage;
	bool slow;
	bool subreq_used;
	struct qcow_subreq subreq;
	struct work_struct work;
	struct completion *waiter;
	void (*end_io)(struct qcow_io *io);
};

static inline void qcow_io_set_stage(struct qcow_io *io, enum qcow_io_stage stage)
{
	WRITE_ONCE(io->stage, stage);
}

/*
 * A worker calls these around its work for a device. It must not wait for the device's
 * own pages, neither for memory nor because too many are dirty.
 */
static inline unsigned int qcow_worker_begin(void)
{
	current->flags |= PF_LOCAL_THROTTLE;
	return memalloc_noio_save();
}

static inline void qcow_worker_end(unsigned int flags)
{
	memalloc_noio_restore(flags);
	current->flags &= ~PF_LOCAL_THROTTLE;
}

/**
 * struct qcow_worker - state of a worker that does I/O for a request
 * @flags: from qcow_worker_begin()
 * @charge: the account that it works on
 */
struct qcow_worker {
	unsigned int flags;
	struct qcow_charge charge;
};

/*
 * As qcow_worker_begin() and qcow_worker_end(), around work for one request, on the
 * account of its submitter. The request may end in between.
 */
static inline void qcow_worker_begin_for(struct qcow_worker *w, struct bio *bio)
{
	w->flags = qcow_worker_begin();
	qcow_charge_begin(&w->charge, bio);
}

static inline void qcow_worker_end_for(struct qcow_worker *w)
{
	qcow_charge_end(&w->charge);
	qcow_worker_end(w->flags);
}

/* Iterate over the memory of an I/O or file request, from @skip on. */
static inline void qcow_iter_init(struct iov_iter *iter, unsigned int dir,
				  const struct bio_vec *bvec, u32 nr_bvec,
				  size_t skip, size_t len)
{
	iov_iter_bvec(iter, dir, bvec, nr_bvec, skip + len);
	if (skip < bvec->bv_len) {
		iter->iov_offset = skip;
		iter->count = len;
	} else {
		iov_iter_advance(iter, skip);
	}
}

#endif /* _QCOW_REQUEST_H */
