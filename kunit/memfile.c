// SPDX-License-Identifier: GPL-2.0
/*
 * Files in memory that behave as told: asynchronous, short, failing, and so on.
 * They are shmem files with other operations, so that the driver sees a regular
 * file.
 */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "memfile.h"

static struct workqueue_struct *memfile_wq;

/* A read that completes later. */
struct memfile_work {
	struct work_struct work;
	struct memfile *m;
	struct kiocb *iocb;
	struct iov_iter iter;
	long res;
};

static u32 memfile_align(const struct memfile *m)
{
	return m->mode.dio_align ?: PAGE_SIZE;
}

static size_t memfile_read_size(struct memfile *m, const struct kiocb *iocb,
				size_t count)
{
	u64 size = i_size_read(file_inode(m->file));
	u64 max = m->mode.max_read;

	if (iocb->ki_pos >= size)
		return 0;
	if (iocb->ki_flags & IOCB_DIRECT && max)
		max = round_up(max, memfile_align(m));
	count = min_t(u64, count, size - iocb->ki_pos);
	return max ? min_t(u64, count, max) : count;
}

static ssize_t memfile_copy(struct memfile *m, struct kiocb *iocb,
			    struct iov_iter *iter)
{
	size_t n = memfile_read_size(m, iocb, iov_iter_count(iter));
	size_t stored = 0;

	if (iocb->ki_pos < m->len)
		stored = min_t(size_t, n, m->len - iocb->ki_pos);
	if (copy_to_iter(m->data + iocb->ki_pos, stored, iter) != stored ||
	    iov_iter_zero(n - stored, iter) != n - stored)
		return -EFAULT;
	iocb->ki_pos += n;
	return n;
}

static bool memfile_fails(struct memfile *m, u32 nr)
{
	const struct memfile_mode *mode = &m->mode;

	if (!mode->fail_at || nr < mode->fail_at)
		return false;
	if (nr > mode->fail_at && !mode->sticky)
		return false;
	atomic_inc(&m->injected);
	return true;
}

/* The error that this read is to return, or 0. */
static int memfile_verdict(struct memfile *m, const struct kiocb *iocb,
			   const struct iov_iter *iter)
{
	u32 nr = atomic_inc_return(&m->reads);
	u32 mask = memfile_align(m) - 1;

	if (iocb->ki_flags & IOCB_DIRECT) {
		atomic_inc(&m->directs);
		if (m->mode.refuse_direct)
			return -EINVAL;
		if ((iocb->ki_pos | iov_iter_count(iter)) & mask) {
			atomic_inc(&m->misaligned);
			return -EINVAL;
		}
		if (iov_iter_alignment(iter) & (SECTOR_SIZE - 1))
			return -EINVAL;
	}
	if (memfile_fails(m, nr))
		return m->mode.error ?: -EIO;
	if (iocb->ki_flags & IOCB_NOWAIT) {
		nr = atomic_inc_return(&m->nowaits);
		if (m->mode.eagain && nr % m->mode.eagain == 0)
			return -EAGAIN;
	}
	return 0;
}

static void memfile_complete(struct work_struct *work)
{
	struct memfile_work *w = container_of(work, struct memfile_work, work);
	struct kiocb *iocb = w->iocb;
	long res = w->res;

	if (!res)
		res = memfile_copy(w->m, iocb, &w->iter);
	kfree(w);
	iocb->ki_complete(iocb, res);
}

static ssize_t memfile_queue(struct memfile *m, struct kiocb *iocb,
			     struct iov_iter *iter, int res)
{
	struct memfile_work *w;

	/* Not to be counted where failing allocations are. */
	w = kmalloc(sizeof(*w), GFP_KERNEL | __GFP_NOFAIL);
	w->m = m;
	w->iocb = iocb;
	w->iter = *iter;
	w->res = res;
	INIT_WORK(&w->work, memfile_complete);
	queue_work(memfile_wq, &w->work);
	return -EIOCBQUEUED;
}

static ssize_t memfile_read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct memfile *m = iocb->ki_filp->private_data;
	int err = memfile_verdict(m, iocb, iter);

	if (err == -EAGAIN && !m->mode.eagain_late)
		return err;
	if (err == -EINVAL)
		return err;
	if (m->mode.async && !is_sync_kiocb(iocb))
		return memfile_queue(m, iocb, iter, err);
	if (m->mode.sleep_ms)
		msleep(m->mode.sleep_ms);
	return err ?: memfile_copy(m, iocb, iter);
}

static int memfile_getattr(struct user_namespace *ns, const struct path *path,
			   struct kstat *stat, u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct memfile *m = inode->i_private;

	generic_fillattr(ns, inode, stat);
	if (m->mode.dio_align) {
		stat->result_mask |= STATX_DIOALIGN;
		stat->dio_mem_align = SECTOR_SIZE;
		stat->dio_offset_align = m->mode.dio_align;
	}
	return 0;
}

/* No owner: the file may be gone later than the module. */
static const struct file_operations memfile_fops = {
	.read_iter = memfile_read_iter,
};

static const struct inode_operations memfile_iops = {
	.getattr = memfile_getattr,
};

/* Return: a file without contents, or NULL. */
struct memfile *memfile_create(void)
{
	struct memfile *m = kzalloc(sizeof(*m), GFP_KERNEL);
	struct file *file;

	if (!m)
		return NULL;
	file = shmem_file_setup("memfile", 0, 0);
	if (IS_ERR(file)) {
		kfree(m);
		return NULL;
	}
	m->file = file;
	m->fops = file->f_op;
	m->iops = file_inode(file)->i_op;
	file->f_op = &memfile_fops;
	file->private_data = m;
	file_inode(file)->i_op = &memfile_iops;
	file_inode(file)->i_private = m;
	return m;
}

void memfile_destroy(struct memfile *m)
{
	struct inode *inode;

	if (!m)
		return;
	inode = file_inode(m->file);
	WARN_ON(!memfile_idle(m));
	/* Work items that have completed a read may not have returned. */
	flush_workqueue(memfile_wq);
	i_size_write(inode, 0);
	inode->i_private = NULL;
	inode->i_op = m->iops;
	m->file->private_data = NULL;
	m->file->f_op = m->fops;
	fput(m->file);
	kfree(m);
}

/* @data stays the caller's and must stay while it is read. */
void memfile_set_data(struct memfile *m, const void *data, size_t len, u64 size)
{
	m->data = data;
	m->len = len;
	memfile_set_size(m, size);
}

void memfile_set_size(struct memfile *m, u64 size)
{
	struct inode *inode = file_inode(m->file);

	inode_lock(inode);
	i_size_write(inode, size);
	inode_unlock(inode);
}

static void set_fmode(struct file *file, fmode_t bit, bool on)
{
	file->f_mode = on ? file->f_mode | bit : file->f_mode & ~bit;
}

/* Also begins to count anew. */
void memfile_set_mode(struct memfile *m, const struct memfile_mode *mode)
{
	m->mode = *mode;
	set_fmode(m->file, FMODE_NOWAIT, mode->nowait);
	set_fmode(m->file, FMODE_CAN_ODIRECT, mode->direct);
	if (mode->atime)
		m->file->f_flags &= ~O_NOATIME;
	else
		m->file->f_flags |= O_NOATIME;
	atomic_set(&m->reads, 0);
	atomic_set(&m->nowaits, 0);
	atomic_set(&m->directs, 0);
	atomic_set(&m->misaligned, 0);
	atomic_set(&m->injected, 0);
}

int memfile_init(void)
{
	memfile_wq = alloc_workqueue("qcow_memfile", WQ_UNBOUND, 0);
	return memfile_wq ? 0 : -ENOMEM;
}

void memfile_exit(void)
{
	destroy_workqueue(memfile_wq);
	/* Those that were let go in a kernel thread. */
	flush_delayed_fput();
}
