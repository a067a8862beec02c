// SPDX-License-Identifier: GPL-2.0
/*
 * Files in memory that behave as told: asynchronous, short, failing, and so on.
 * They are shmem files with other operations, so that the driver sees a regular
 * file.
 */
#include <linux/delay.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/random.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "compat/compat_test.h"
#include "memfile.h"

static struct workqueue_struct *memfile_wq;

/* A read or write that completes later. */
struct memfile_work {
	struct work_struct work;
	struct memfile *m;
	struct kiocb *iocb;
	struct iov_iter iter;
	struct memlog_entry *entry;
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

/* Whether this is the operation that is to fail. */
static bool memfile_fails(struct memfile *m, u32 op)
{
	const struct memfile_mode *mode = &m->mode;
	u32 nr;

	if (!((mode->fail_ops ?: MEMFILE_READ) & op))
		return false;
	nr = atomic_inc_return(&m->ops);
	if (!mode->fail_at || nr < mode->fail_at)
		return false;
	if (nr > mode->fail_at && !mode->sticky)
		return false;
	atomic_inc(&m->injected);
	return true;
}

static void memfile_delay(const struct memfile *m)
{
	u32 us = m->mode.delay_us;

	if (us)
		usleep_range(1, 1 + get_random_u32() % us);
}

/* The error that this transfer is to return, or 0. */
static int memfile_verdict(struct memfile *m, const struct kiocb *iocb,
			   const struct iov_iter *iter, u32 op)
{
	u32 mask = memfile_align(m) - 1;
	u32 nr;

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
	if (memfile_fails(m, op))
		return m->mode.error ?: -EIO;
	if (iocb->ki_flags & IOCB_NOWAIT) {
		nr = atomic_inc_return(&m->nowaits);
		if (m->mode.eagain && nr % m->mode.eagain == 0)
			return -EAGAIN;
	}
	return 0;
}

/* --- Writes --- */

/* Bytes of a write for which there is room, or -ENOSPC. */
static ssize_t memfile_room(struct memfile *m, u64 host_offset, size_t count)
{
	u64 room = m->mode.room ? min(m->mode.room, m->capacity) : m->capacity;

	if (host_offset >= room && count)
		return -ENOSPC;
	return min_t(u64, count, room - host_offset);
}

static void memfile_grow(struct memfile *m, u64 size)
{
	struct inode *inode = file_inode(m->file);

	inode_lock(inode);
	if (size > i_size_read(inode))
		i_size_write(inode, size);
	inode_unlock(inode);
}

/* @iter: advanced; the written data is taken from memory now */
static ssize_t memfile_store(struct memfile *m, struct kiocb *iocb,
			     struct iov_iter *iter, struct memlog_entry *e)
{
	ssize_t n = memfile_room(m, iocb->ki_pos, iov_iter_count(iter));

	if (n > 0 && copy_from_iter(m->store + iocb->ki_pos, n, iter) != n)
		n = -EFAULT;
	if (n > 0) {
		memfile_grow(m, iocb->ki_pos + n);
		iocb->ki_pos += n;
	}
	if (m->log)
		memlog_end(m->log, e, max_t(ssize_t, n, 0), min_t(ssize_t, n, 0));
	return n;
}

/* The data of a write, as it is when the write begins. */
static struct memlog_entry *log_write(struct memfile *m, struct kiocb *iocb,
				      const struct iov_iter *iter)
{
	struct iov_iter copy = *iter;
	struct memlog_entry *e;
	ssize_t n;

	if (!m->log)
		return NULL;
	n = memfile_room(m, iocb->ki_pos, iov_iter_count(iter));
	e = memlog_begin(m->log, MEMLOG_WRITE, iocb->ki_pos, max_t(ssize_t, n, 0));
	if (e && n > 0 && copy_from_iter(e->data, n, &copy) != n)
		e->len = 0;
	return e;
}

/* --- Transfers --- */

static long memfile_transfer(struct memfile_work *w)
{
	bool write = w->iocb->ki_flags & IOCB_WRITE;

	if (w->res)
		return w->res;
	return write ? memfile_store(w->m, w->iocb, &w->iter, w->entry) :
		       memfile_copy(w->m, w->iocb, &w->iter);
}

static void memfile_complete(struct work_struct *work)
{
	struct memfile_work *w = container_of(work, struct memfile_work, work);
	struct memfile_mode mode = w->m->mode;
	struct kiocb *iocb = w->iocb;
	unsigned long flags;
	long res;

	memfile_delay(w->m);
	if (mode.gate)
		wait_for_completion(mode.gate);
	res = memfile_transfer(w);
	kfree(w);
	if (mode.irqs_off)
		local_irq_save(flags);
	iocb->ki_complete(iocb, res);
	if (mode.irqs_off)
		local_irq_restore(flags);
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
	w->entry = iocb->ki_flags & IOCB_WRITE ? log_write(m, iocb, iter) : NULL;
	w->res = res;
	INIT_WORK(&w->work, memfile_complete);
	queue_work(memfile_wq, &w->work);
	return -EIOCBQUEUED;
}

/* Whether the driver is told at once: it must try again, or another way. */
static bool memfile_refused(const struct memfile *m, int err)
{
	return err == -EINVAL || (err == -EAGAIN && !m->mode.eagain_late);
}

static void memfile_sleep(struct memfile *m)
{
	int inside = atomic_inc_return(&m->inside);

	if (inside > atomic_read(&m->most_inside))
		atomic_set(&m->most_inside, inside);
	msleep(m->mode.sleep_ms);
	atomic_dec(&m->inside);
}

static ssize_t memfile_read_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct memfile *m = iocb->ki_filp->private_data;
	int err;

	atomic_inc(&m->reads);
	err = memfile_verdict(m, iocb, iter, MEMFILE_READ);
	if (memfile_refused(m, err))
		return err;
	if (m->mode.async && !is_sync_kiocb(iocb))
		return memfile_queue(m, iocb, iter, err);
	if (m->mode.sleep_ms)
		memfile_sleep(m);
	return err ?: memfile_copy(m, iocb, iter);
}

/* A failed write may have written any part: the log has it, without an end. */
static ssize_t memfile_write_iter(struct kiocb *iocb, struct iov_iter *iter)
{
	struct memfile *m = iocb->ki_filp->private_data;
	struct memlog_entry *e;
	int err;

	if (!m->store)
		return -EBADF;
	err = memfile_verdict(m, iocb, iter, MEMFILE_WRITE);
	if (memfile_refused(m, err))
		return err;
	if (m->mode.async && !is_sync_kiocb(iocb))
		return memfile_queue(m, iocb, iter, err);
	e = log_write(m, iocb, iter);
	if (!(iocb->ki_flags & IOCB_NOWAIT))
		memfile_delay(m);
	return err ?: memfile_store(m, iocb, iter, e);
}

/* --- Other operations --- */

static int memfile_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct memfile *m = file->private_data;
	struct memlog_entry *e = NULL;
	int err = 0;
	bool first;

	first = atomic_inc_return(&m->syncs) == 1;
	if (memfile_fails(m, MEMFILE_SYNC))
		err = m->mode.error ?: -EIO;
	if (first && m->mode.sync_gate)
		wait_for_completion(m->mode.sync_gate);
	if (m->log)
		e = memlog_begin(m->log, MEMLOG_SYNC, 0, 0);
	memfile_delay(m);
	if (m->log)
		memlog_end(m->log, e, 0, err);
	return err;
}

/* As a filesystem takes space: old content stays, and the file grows. */
static long memfile_allocate(struct memfile *m, u64 end)
{
	u64 room = m->mode.room ? min(m->mode.room, m->capacity) : m->capacity;
	struct memlog_entry *e = NULL;

	if (m->log)
		e = memlog_begin(m->log, MEMLOG_GROW, end, 0);
	if (memfile_fails(m, MEMFILE_FALLOC))
		return m->mode.error ?: -EIO;
	if (end > room)
		return -ENOSPC;
	memfile_grow(m, end);
	if (m->log)
		memlog_end(m->log, e, 0, 0);
	return 0;
}

/* Punching holes and zeroing, both with the size kept. */
static long memfile_clear(struct memfile *m, u64 host_offset, u64 end)
{
	struct memlog_entry *e = NULL;

	if (host_offset >= end)
		return 0;
	if (m->log)
		e = memlog_begin(m->log, MEMLOG_ZERO, host_offset, end - host_offset);
	if (memfile_fails(m, MEMFILE_FALLOC))
		return m->mode.error ?: -EIO;
	memfile_delay(m);
	memset(m->store + host_offset, 0, end - host_offset);
	if (m->log)
		memlog_end(m->log, e, end - host_offset, 0);
	return 0;
}

static long memfile_fallocate(struct file *file, int mode, loff_t host_offset, loff_t len)
{
	struct memfile *m = file->private_data;

	if (!m->store)
		return -EOPNOTSUPP;
	if (!mode)
		return memfile_allocate(m, host_offset + len);
	if (mode == FALLOC_FL_ZERO_RANGE)
		return memfile_allocate(m, host_offset + len) ?:
		       memfile_clear(m, host_offset, host_offset + len);
	if (mode != (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE) &&
	    mode != (FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE))
		return -EOPNOTSUPP;
	return memfile_clear(m, host_offset, min_t(u64, host_offset + len, m->capacity));
}

/* Called with the inode's lock held. The part that is cut off reads as zeros later. */
static int memfile_setattr(struct qcow_compat_idmap *idmap, struct dentry *dentry,
			   struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	struct memfile *m = inode->i_private;
	struct memlog_entry *e = NULL;
	u64 size = attr->ia_size;

	if (!(attr->ia_valid & ATTR_SIZE))
		return 0;
	if (!m->store)
		return -EPERM;
	if (m->log)
		e = memlog_begin(m->log, MEMLOG_SIZE, size, 0);
	if (memfile_fails(m, MEMFILE_SIZE))
		return m->mode.error ?: -EIO;
	if (size < min(memfile_size(m), m->capacity))
		memset(m->store + size, 0, min(memfile_size(m), m->capacity) - size);
	i_size_write(inode, size);
	if (m->log)
		memlog_end(m->log, e, 0, 0);
	return 0;
}

static int memfile_getattr(struct qcow_compat_idmap *idmap, const struct path *path,
			   struct kstat *stat, u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct memfile *m = inode->i_private;

	qcow_compat_fillattr(idmap, mask, inode, stat);
	if (m->mode.dio_align) {
		stat->result_mask |= STATX_DIOALIGN;
		stat->dio_mem_align = SECTOR_SIZE;
		stat->dio_offset_align = m->mode.dio_align;
	}
	return 0;
}

/* No owner: the file may be gone later than the module. */
/* SEEK_DATA alone: sectors of zeros are holes. */
static loff_t memfile_llseek(struct file *file, loff_t host_offset, int whence)
{
	struct memfile *m = file->private_data;
	u64 end = min_t(u64, m->len, i_size_read(file_inode(file))), next;

	if (whence != SEEK_DATA)
		return -EINVAL;
	for (; host_offset < end; host_offset = next) {
		next = min_t(u64, round_down(host_offset, 512) + 512, end);
		if (memchr_inv(m->data + host_offset, 0, next - host_offset))
			return host_offset;
	}
	return -ENXIO;
}

static const struct file_operations memfile_fops = {
	.llseek = memfile_llseek,
	.read_iter = memfile_read_iter,
	.write_iter = memfile_write_iter,
	.fsync = memfile_fsync,
	.fallocate = memfile_fallocate,
};

static const struct inode_operations memfile_iops = {
	.getattr = memfile_getattr,
	.setattr = memfile_setattr,
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
	kvfree(m->store);
	kfree(m);
}

/* @data stays the caller's and must stay while it is read. */
void memfile_set_data(struct memfile *m, const void *data, size_t len, u64 size)
{
	m->data = data;
	m->len = len;
	memfile_set_size(m, size);
}

/*
 * Contents of the file's own, which can be written, up to @capacity bytes.
 * Return: 0 or -ENOMEM.
 */
int memfile_own(struct memfile *m, const void *data, size_t len, u64 capacity)
{
	kvfree(m->store);
	m->store = kvzalloc(capacity, GFP_KERNEL);
	if (!m->store)
		return -ENOMEM;
	m->capacity = capacity;
	m->data = m->store;
	m->len = capacity;
	memfile_rewrite(m, data, len);
	return 0;
}

/* Other contents for a file that nobody uses. */
void memfile_rewrite(struct memfile *m, const void *data, size_t len)
{
	u64 end = min(memfile_size(m), m->capacity);

	memcpy(m->store, data, len);
	/* Memory past the end of the file is zeros at all times. */
	if (len < end)
		memset(m->store + len, 0, end - len);
	memfile_set_size(m, len);
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

/* Sets the mode, and begins to count operations anew. */
void memfile_set_mode(struct memfile *m, const struct memfile_mode *mode)
{
	m->mode = *mode;
	set_fmode(m->file, FMODE_NOWAIT, mode->nowait);
	set_fmode(m->file, FMODE_CAN_ODIRECT, mode->direct);
	if (mode->atime)
		m->file->f_flags &= ~O_NOATIME;
	else
		m->file->f_flags |= O_NOATIME;
	atomic_set(&m->ops, 0);
	atomic_set(&m->reads, 0);
	atomic_set(&m->syncs, 0);
	atomic_set(&m->nowaits, 0);
	atomic_set(&m->directs, 0);
	atomic_set(&m->misaligned, 0);
	atomic_set(&m->injected, 0);
	atomic_set(&m->most_inside, 0);
}

int memfile_init(void)
{
	memfile_wq = alloc_workqueue("qcow_memfile", WQ_UNBOUND, 0);
	return memfile_wq ? 0 : -ENOMEM;
}

void memfile_exit(void)
{
	destroy_workqueue(memfile_wq);
	/* Files that were closed in a kernel thread. */
	flush_delayed_fput();
}
