// SPDX-License-Identifier: GPL-2.0
/*
 * File requests: transfers of guest data between memory and a file, started nowait in
 * the submitter's context, or in a worker. data/ and cache.c call it.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/ioprio.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task_stack.h>
#include <linux/uio.h>

#include "compat/compat.h"
#include "file/file.h"
#include "file/file_bdev.h"

/*
 * Stack that must be left before a filesystem is entered from queue_rq(): image files
 * may lie on devices of this driver, and each adds its own frames.
 */
#define FILE_REQ_NOWAIT_STACK (THREAD_SIZE / 2)

/* Zero the rest of a transfer, which lies past the end of the file. */
static int file_req_zero_rest(struct qcow_file_req *req)
{
	struct iov_iter iter;
	u32 left = req->len - req->bytes_done;

	if (req->host_offset + req->bytes_done < req->file_end)
		return -EIO;
	qcow_iter_init(&iter, ITER_DEST, req->bvec, req->nr_bvec,
		       req->skip + req->bytes_done, left);
	return iov_iter_zero(left, &iter) == left ? 0 : -EIO;
}

/*
 * Evaluate the result of an attempt. Any context. Return: 0: the transfer is complete;
 * -EAGAIN: another attempt is needed; or its error.
 */
static int file_req_result(struct qcow_file_req *req, long res)
{
	if (likely(res == req->len - req->bytes_done)) {
		req->bytes_done = req->len;
		return 0;
	}
	/*
	 * A failure in the submitter's context, perhaps by a signal or a memory limit,
	 * does not count yet.
	 */
	if (res < 0 && req->nowait)
		return -EAGAIN;
	if (res == -EAGAIN)
		return -EIO;
	if (res < 0) {
		if (!qcow_file_direct_refused(res) || req->buffered || !req->file->direct)
			return res;
		req->buffered = true;
		return -EAGAIN;
	}
	req->bytes_done += res;
	if (req->write)
		return res || req->nowait ? -EAGAIN : -EIO;
	if (req->host_offset + req->bytes_done >= qcow_file_size(req->file) ||
	    (!res && !req->nowait))
		return file_req_zero_rest(req);
	return -EAGAIN;
}

/*
 * An attempt that the filesystem completes later is over when it has completed and the
 * filesystem has returned: until then the filesystem may look at iocb and memory.
 */
static void file_req_drop(struct qcow_file_req *req)
{
	if (atomic_dec_and_test(&req->users))
		req->end_io(req, req->result);
}

static void file_req_complete(struct kiocb *iocb, long res)
{
	struct qcow_file_req *req = container_of(iocb, struct qcow_file_req, iocb);

	if (req->write)
		qcow_file_end_write(req->file);
	req->result = file_req_result(req, res);
	file_req_drop(req);
}

/*
 * Evaluate the bio of an attempt. A page that a read has brought into the device's page
 * cache while a write was under way may have the data from before it: another attempt
 * writes the same once more, and invalidates the page. Any context. Return: as
 * file_req_result().
 */
static int file_req_bio_result(struct qcow_file_req *req)
{
	struct bio *bio = &req->bio;
	long res = req->len - req->bytes_done;

	if (unlikely(bio->bi_status))
		res = blk_status_to_errno(bio->bi_status);
	bio_uninit(bio);
	if (req->write && res > 0 && unlikely(qcow_bdev_is_cached(req)))
		return -EAGAIN;
	return file_req_result(req, res);
}

/* The bio of an attempt in a worker has ended. Any context. */
static void file_req_bio_complete(struct bio *bio)
{
	struct qcow_file_req *req = container_of(bio, struct qcow_file_req, bio);

	req->result = file_req_bio_result(req);
	file_req_drop(req);
}

/*
 * The bio of an attempt in the submitter's context has ended. Any context. The submitter's
 * request does not end before the submitter returns.
 */
static void file_req_bio_end_io(struct bio *bio)
{
	struct qcow_file_req *req = container_of(bio, struct qcow_file_req, bio);

	req->end_io(req, file_req_bio_result(req));
}

static bool file_req_direct(const struct qcow_file_req *req)
{
	const struct qcow_file *f = req->file;
	const struct bio_vec *bv = req->bvec;
	u64 bits = (req->host_offset + req->bytes_done) | (req->len - req->bytes_done);

	if (!f->direct || req->buffered || (bits & f->dio_mask))
		return false;
	return !((bv->bv_offset + req->skip + req->bytes_done) & f->mem_mask);
}

/* Return: true if an attempt is a bio for the block device. */
static inline bool file_req_is_bio(const struct qcow_file_req *req, bool direct)
{
	return direct && req->file->bdev && qcow_bdev_takes(req);
}

/*
 * Return: true if an attempt has to end before the file's operations return. For a block
 * device, a write that completes later would leave pages of the page cache with the data
 * from before it.
 */
static bool file_req_is_sync(const struct qcow_file_req *req)
{
	return req->sync || (req->write && req->file->bdev);
}

/*
 * As the filesystem's write_iter. A write that completes later keeps freezes off until
 * then.
 */
static ssize_t file_req_write(struct qcow_file_req *req, struct iov_iter *iter)
{
	struct qcow_file *f = req->file;
	ssize_t res;

	req->iocb.ki_flags |= IOCB_WRITE;
	if (!req->nowait)
		qcow_file_begin_write(f);
	else if (!qcow_file_try_begin_write(f))
		return -EAGAIN;
	res = f->file->f_op->write_iter(&req->iocb, iter);
	if (res != -EIOCBQUEUED)
		qcow_file_end_write(f);
	return res;
}

/*
 * Start an attempt. Through the page cache, a nowait attempt takes only cached pages,
 * and leaves readahead to the worker. Return: as the filesystem's read_iter.
 */
static ssize_t file_req_start(struct qcow_file_req *req, bool direct)
{
	int nowait = IOCB_NOWAIT | (direct ? 0 : IOCB_NOIO);
	struct qcow_file *f = req->file;
	struct iov_iter iter;

	req->file_end = atomic64_read(&f->end);
	/* This also covers offsets beyond the filesystem's limit. */
	if (!req->write &&
	    unlikely(req->host_offset + req->bytes_done >= qcow_file_size(f)))
		return 0;
	qcow_iter_init(&iter, req->write ? ITER_SOURCE : ITER_DEST, req->bvec,
		       req->nr_bvec, req->skip + req->bytes_done,
		       req->len - req->bytes_done);
	atomic_set(&req->users, 2);
	req->iocb = (struct kiocb){
		.ki_filp = f->file,
		.ki_pos = req->host_offset + req->bytes_done,
		.ki_flags = (direct ? IOCB_DIRECT : 0) | (req->nowait ? nowait : 0),
		.ki_ioprio = get_current_ioprio(),
		.ki_complete = file_req_is_sync(req) ? NULL : file_req_complete,
	};
	if (req->write)
		return file_req_write(req, &iter);
	return f->file->f_op->read_iter(&req->iocb, &iter);
}

/**
 * struct file_aside - lists of a task that were put aside
 * @bio_list: of current
 * @plug: of current
 */
struct file_aside {
	struct bio_list *bio_list;
	struct blk_plug *plug;
};

/*
 * Enter the layer below from queue_rq(). Bios submitted while current->bio_list is set
 * are only queued there: a read of a mapping block would wait for itself. And this may
 * be called from the flush of current->plug, to which the lower device's requests must
 * not be added. Both are put aside. They hold only requests of this device
 * (qcow_compat_may_enter()), since no task would flush them while the layer below
 * sleeps.
 */
static inline struct file_aside file_put_aside(void)
{
	struct file_aside aside = {
		.bio_list = current->bio_list,
		.plug = qcow_compat_take_plug(),
	};

	current->bio_list = NULL;
	return aside;
}

static inline void file_take_back(const struct file_aside *aside)
{
	current->plug = aside->plug;
	current->bio_list = aside->bio_list;
}

static ssize_t file_req_start_nowait(struct qcow_file_req *req, bool direct)
{
	unsigned int noio = memalloc_noio_save();
	struct file_aside aside = file_put_aside();
	ssize_t res;

	res = file_req_start(req, direct);
	file_take_back(&aside);
	memalloc_noio_restore(noio);
	return res;
}

/* The request may be gone when this returns. */
static void file_req_submit_nowait(struct qcow_file_req *req)
{
	struct file_aside aside = file_put_aside();

	qcow_bdev_submit(req, file_req_bio_end_io);
	file_take_back(&aside);
}

/*
 * Return: true if the submitter may enter a filesystem at all: not inside another
 * filesystem's transaction, and not deep in a stack of devices. A task in memory
 * reclaim must not write, since this very filesystem may wait for it, as for its
 * journal's thread. Nor must a task with a limit on the length of files, which would
 * kill it for a write to the image.
 */
static bool file_req_may_nowait(const struct qcow_file_req *req)
{
	const struct qcow_file *f = req->file;
	unsigned long sp = (unsigned long)__builtin_frame_address(0);
	unsigned long left = sp - (unsigned long)end_of_stack(current);

	if (req->write &&
	    (current->flags & PF_MEMALLOC || rlimit(RLIMIT_FSIZE) != RLIM_INFINITY))
		return false;
	return f->nowait && !current->journal_info && left > FILE_REQ_NOWAIT_STACK;
}

/*
 * Return: true if an attempt that failed for lack of memory may work on the driver's
 * account.
 */
static bool file_req_wants_memory(int err)
{
	return unlikely(err == -ENOMEM) && qcow_charge_forgo_memory();
}

/**
 * qcow_file_io_sync() - do a file request synchronously
 * @req: the request; bytes_done and buffered zero at the start, end_io is not called
 *
 * The filesystem completes it in this context, which is cheaper than a callback where
 * it has to change its own metadata after a write.
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_file_io_sync(struct qcow_file_req *req)
{
	unsigned int noio = memalloc_noio_save();
	int err;

	req->nowait = false;
	req->sync = true;
	do {
		err = file_req_result(req, file_req_start(req, file_req_direct(req)));
	} while (err == -EAGAIN || file_req_wants_memory(err));
	memalloc_noio_restore(noio);
	return err;
}

/*
 * Make attempts, in a context that may sleep, until the request is under way or
 * complete.
 */
static void file_req_run(struct qcow_file_req *req)
{
	bool direct;
	ssize_t res;
	int err;

	do {
		direct = file_req_direct(req);
		if (file_req_is_bio(req, direct)) {
			/* 6.1 looks at the queue below when the bio is on its way. */
			atomic_set(&req->users, 2);
			qcow_bdev_submit(req, file_req_bio_complete);
			file_req_drop(req);
			return;
		}
		res = file_req_start(req, direct);
		if (res == -EIOCBQUEUED) {
			file_req_drop(req);
			return;
		}
		err = file_req_result(req, res);
	} while (err == -EAGAIN || file_req_wants_memory(err));
	req->end_io(req, err);
}

/**
 * qcow_file_io() - start a file request, or go on with it
 * @req: the request; bytes_done and buffered zero at the start
 *
 * Context: may sleep, unless @req->nowait.
 *
 * Return: 0: req->end_io() was or will be called; -EAGAIN: it would sleep, call
 * again without @req->nowait.
 */
int qcow_file_io(struct qcow_file_req *req)
{
	ssize_t res;
	int err;

	if (!req->nowait) {
		file_req_run(req);
		return 0;
	}
	if (!file_req_may_nowait(req))
		return -EAGAIN;
	/* Unaligned I/O would go through the page cache. */
	if (req->file->direct && !file_req_direct(req))
		return -EAGAIN;
	if (file_req_is_bio(req, req->file->direct)) {
		file_req_submit_nowait(req);
		return 0;
	}
	if (unlikely(file_req_is_sync(req)))
		return -EAGAIN;
	res = file_req_start_nowait(req, req->file->direct);
	if (likely(res == -EIOCBQUEUED)) {
		file_req_drop(req);
		return 0;
	}
	err = file_req_result(req, res);
	if (err == -EAGAIN)
		return -EAGAIN;
	req->end_io(req, err);
	return 0;
}
