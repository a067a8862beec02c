// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers of guest data between memory and a file: started where they must not
 * sleep, or in a worker.
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

/*
 * Stack that must be left before a filesystem is entered from queue_rq: image
 * files may lie on devices of this driver, and each adds its own frames.
 */
#define FIO_NOWAIT_STACK	(THREAD_SIZE / 2)

/* The rest of a transfer lies past the end of the file. */
static int fio_zero_rest(struct qcow_fio *fio)
{
	struct iov_iter iter;
	u32 left = fio->len - fio->done;

	if (fio->pos + fio->done < fio->file_end)
		return -EIO;
	qcow_iter_init(&iter, ITER_DEST, fio->bvec, fio->nr_bvec,
		       fio->skip + fio->done, left);
	return iov_iter_zero(left, &iter) == left ? 0 : -EIO;
}

/*
 * Account for an attempt's outcome. Any context. Return: 0, the transfer is
 * complete; -EAGAIN, another attempt is needed; or its error.
 */
static int fio_result(struct qcow_fio *fio, long res)
{
	if (likely(res == fio->len - fio->done)) {
		fio->done = fio->len;
		return 0;
	}
	/*
	 * Whatever fails in the submitter's context, a signal or its memory
	 * limit perhaps, is not the last word.
	 */
	if (res < 0 && fio->nowait)
		return -EAGAIN;
	if (res == -EAGAIN)
		return -EIO;
	if (res < 0) {
		if (!qcow_file_direct_refused(res) || fio->buffered ||
		    !fio->file->direct)
			return res;
		fio->buffered = true;
		return -EAGAIN;
	}
	fio->done += res;
	if (fio->write)
		return res || fio->nowait ? -EAGAIN : -EIO;
	if (fio->pos + fio->done >= qcow_file_size(fio->file) ||
	    (!res && !fio->nowait))
		return fio_zero_rest(fio);
	return -EAGAIN;
}

/*
 * An attempt that the filesystem completes later is over when it has completed
 * and the filesystem has returned: until then it may look at iocb and memory.
 */
static void fio_drop(struct qcow_fio *fio)
{
	if (atomic_dec_and_test(&fio->users))
		fio->end(fio, fio->result);
}

static void fio_complete(struct kiocb *iocb, long res)
{
	struct qcow_fio *fio = container_of(iocb, struct qcow_fio, iocb);

	if (fio->write)
		qcow_file_end_write(fio->file);
	fio->result = fio_result(fio, res);
	fio_drop(fio);
}

static bool fio_direct(const struct qcow_fio *fio)
{
	const struct qcow_file *f = fio->file;
	const struct bio_vec *bv = fio->bvec;
	u64 bits = (fio->pos + fio->done) | (fio->len - fio->done);

	if (!f->direct || fio->buffered || (bits & f->dio_mask))
		return false;
	return !((bv->bv_offset + fio->skip + fio->done) & f->mem_mask);
}

/* As the filesystem's write_iter. What completes later is over only then. */
static ssize_t fio_write(struct qcow_fio *fio, struct iov_iter *iter)
{
	struct qcow_file *f = fio->file;
	ssize_t res;

	fio->iocb.ki_flags |= IOCB_WRITE;
	if (!qcow_file_begin_write(f, fio->nowait))
		return -EAGAIN;
	res = f->file->f_op->write_iter(&fio->iocb, iter);
	if (res != -EIOCBQUEUED)
		qcow_file_end_write(f);
	return res;
}

/*
 * Start an attempt. Through the page cache, one that must not sleep takes only
 * what is there: readahead is left to the worker. Return: as the filesystem's
 * read_iter.
 */
static ssize_t fio_start(struct qcow_fio *fio, bool direct)
{
	int nowait = IOCB_NOWAIT | (direct ? 0 : IOCB_NOIO);
	struct qcow_file *f = fio->file;
	struct iov_iter iter;

	fio->file_end = atomic64_read(&f->end);
	/* Offsets that filesystems know nothing of are past the end, too. */
	if (!fio->write && unlikely(fio->pos + fio->done >= qcow_file_size(f)))
		return 0;
	qcow_iter_init(&iter, fio->write ? ITER_SOURCE : ITER_DEST, fio->bvec,
		       fio->nr_bvec, fio->skip + fio->done,
		       fio->len - fio->done);
	atomic_set(&fio->users, 2);
	fio->iocb = (struct kiocb) {
		.ki_filp = f->file,
		.ki_pos = fio->pos + fio->done,
		.ki_flags = (direct ? IOCB_DIRECT : 0) |
			    (fio->nowait ? nowait : 0),
		.ki_ioprio = get_current_ioprio(),
		.ki_complete = fio->sync ? NULL : fio_complete,
	};
	if (fio->write)
		return fio_write(fio, &iter);
	return f->file->f_op->read_iter(&fio->iocb, &iter);
}

/*
 * Enter the filesystem from queue_rq. Bios submitted while current->bio_list is set
 * are only queued there: a read of a mapping block would wait for itself. And this may
 * be called from the flush of current->plug, to which the lower device's requests must
 * not be added. Both are put aside; neither holds anything but requests of the device
 * whose queue_rq this is (qcow_compat_may_enter()), for nobody would flush them while
 * the filesystem sleeps.
 */
static ssize_t fio_start_nowait(struct qcow_fio *fio, bool direct)
{
	struct bio_list *bio_list = current->bio_list;
	struct blk_plug *plug = qcow_compat_take_plug();
	unsigned int noio = memalloc_noio_save();
	ssize_t res;

	current->bio_list = NULL;
	res = fio_start(fio, direct);
	current->plug = plug;
	current->bio_list = bio_list;
	memalloc_noio_restore(noio);
	return res;
}

/*
 * Whether a filesystem may be entered from here at all: not from inside another
 * one's transaction, and not deep in a stack of devices. Who looks for memory may be
 * what this very filesystem waits for, such as its journal's thread: not to write. A
 * limit on the length of files is for the submitter's own: it would be killed for
 * ours.
 */
static bool fio_may_nowait(const struct qcow_fio *fio)
{
	const struct qcow_file *f = fio->file;
	unsigned long sp = (unsigned long)__builtin_frame_address(0);
	unsigned long left = sp - (unsigned long)end_of_stack(current);

	if (fio->write && (current->flags & PF_MEMALLOC ||
			   rlimit(RLIMIT_FSIZE) != RLIM_INFINITY))
		return false;
	return f->nowait && !current->journal_info && left > FIO_NOWAIT_STACK;
}

/* Whether an attempt failed that may go well on nobody's account. */
static bool fio_wants_memory(int err)
{
	return unlikely(err == -ENOMEM) && qcow_charge_forgo_memory();
}

/**
 * qcow_file_io_sync() - do a transfer between a file and memory
 * @fio: the transfer; done and buffered zero at the start, end is not called
 *
 * The filesystem completes it in this context, which is cheaper than being told of it
 * where it has to change its own metadata after a write.
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_file_io_sync(struct qcow_fio *fio)
{
	unsigned int noio = memalloc_noio_save();
	int err;

	fio->nowait = false;
	fio->sync = true;
	do {
		err = fio_result(fio, fio_start(fio, fio_direct(fio)));
	} while (err == -EAGAIN || fio_wants_memory(err));
	memalloc_noio_restore(noio);
	return err;
}

/* Attempts, in a context that may sleep, until it is under way or complete. */
static void fio_run(struct qcow_fio *fio)
{
	ssize_t res;
	int err;

	fio->nowait = false;
	do {
		res = fio_start(fio, fio_direct(fio));
		if (res == -EIOCBQUEUED) {
			fio_drop(fio);
			return;
		}
		err = fio_result(fio, res);
	} while (err == -EAGAIN || fio_wants_memory(err));
	fio->end(fio, err);
}

/**
 * qcow_file_io() - start or go on with a transfer between a file and memory
 * @fio: the transfer; done and buffered zero at the start
 * @nowait: the caller must not be made to sleep
 *
 * Return: 0: fio->end() was or will be called; -EAGAIN: it would sleep, call
 * again without @nowait.
 */
int qcow_file_io(struct qcow_fio *fio, bool nowait)
{
	ssize_t res;
	int err;

	if (!nowait) {
		fio_run(fio);
		return 0;
	}
	if (!fio_may_nowait(fio))
		return -EAGAIN;
	/* What direct I/O cannot address would go through the page cache. */
	if (fio->file->direct && !fio_direct(fio))
		return -EAGAIN;
	fio->nowait = true;
	res = fio_start_nowait(fio, fio->file->direct);
	if (likely(res == -EIOCBQUEUED)) {
		fio_drop(fio);
		return 0;
	}
	err = fio_result(fio, res);
	if (err == -EAGAIN)
		return -EAGAIN;
	fio->end(fio, err);
	return 0;
}
