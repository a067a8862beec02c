// SPDX-License-Identifier: GPL-2.0
/*
 * Image files: opening and syncing them, and reads and writes of the kernel's own
 * memory, direct or through the page cache. meta/ reads and writes all metadata with
 * these; file_io.c transfers guest data.
 *
 * Bytes past the end of a file read as zeros, data and metadata alike, as in QEMU. But
 * a file that became shorter than it was at attach, or when it was last made durable,
 * is damaged: zeros would hide the loss of data.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>

#include "compat/compat.h"
#include "file/file.h"

/* Pages that one transfer to a kernel buffer spans at most. */
#define FILE_PREAD_PAGES	16

/* Bytes of the file, now. */
u64 qcow_file_size(const struct qcow_file *f)
{
	return i_size_read(f->file->f_mapping->host);
}

/* Return: true if it is a regular file, not a block device. */
bool qcow_file_regular(const struct qcow_file *f)
{
	return S_ISREG(f->file->f_mapping->host->i_mode);
}

/*
 * Alignment that direct I/O needs, or 0 if the file has none. A filesystem that does
 * not tell gets the alignment of its device, or a page. A network filesystem, which
 * does not tell and has no device, gets direct I/O only if the administrator asks for
 * it, and never for the kernel's own memory: it may keep references to pages for longer
 * than the read takes.
 */
static u32 file_dio_align(struct qcow_file *f, bool asked)
{
	struct inode *inode = f->file->f_mapping->host;
	struct kstat stat = { };

	f->mem_mask = SECTOR_SIZE - 1;
	f->direct_kmem = true;
	if (!(f->file->f_mode & FMODE_CAN_ODIRECT))
		return 0;
	if (S_ISBLK(inode->i_mode))
		return bdev_logical_block_size(I_BDEV(inode));
	if (!vfs_getattr(&f->file->f_path, &stat, STATX_DIOALIGN,
			 AT_STATX_SYNC_AS_STAT) &&
	    stat.result_mask & STATX_DIOALIGN) {
		if (stat.dio_mem_align)
			f->mem_mask = stat.dio_mem_align - 1;
		return stat.dio_offset_align;
	}
	f->direct_kmem = inode->i_sb->s_type->fs_flags & FS_REQUIRES_DEV;
	if (!f->direct_kmem && !asked)
		return 0;
	if (inode->i_sb->s_bdev)
		return bdev_logical_block_size(inode->i_sb->s_bdev);
	return PAGE_SIZE;
}

/**
 * qcow_file_begin_write() - keep freezes of the file's filesystem off
 * @f: the file
 *
 * Freezes stay off until qcow_file_end_write(), which another task may call, in any
 * context, once the filesystem has completed the write.
 *
 * Context: may sleep, until a freeze is over.
 */
void qcow_file_begin_write(const struct qcow_file *f)
{
	struct super_block *sb = f->file->f_mapping->host->i_sb;

	if (!qcow_file_regular(f))
		return;
	sb_start_write(sb);
	/* For lockdep: another task may end the write. */
	__sb_writers_release(sb, SB_FREEZE_WRITE);
}

/**
 * qcow_file_try_begin_write() - as qcow_file_begin_write(), without sleeping
 * @f: the file
 *
 * Context: any.
 *
 * Return: whether the write may begin; false: a freeze is on its way.
 */
bool qcow_file_try_begin_write(const struct qcow_file *f)
{
	struct super_block *sb = f->file->f_mapping->host->i_sb;

	if (!qcow_file_regular(f))
		return true;
	if (!sb_start_write_trylock(sb))
		return false;
	__sb_writers_release(sb, SB_FREEZE_WRITE);
	return true;
}

/**
 * qcow_file_end_write() - freezes may come again
 * @f: as for qcow_file_begin_write()
 *
 * Context: any.
 */
void qcow_file_end_write(const struct qcow_file *f)
{
	struct super_block *sb = f->file->f_mapping->host->i_sb;

	if (!qcow_file_regular(f))
		return;
	__sb_writers_acquired(sb, SB_FREEZE_WRITE);
	sb_end_write(sb);
}

/* Read into or write from @iter synchronously. May sleep. */
static ssize_t file_sync_iter(struct qcow_file *f, u64 host_offset, struct iov_iter *iter,
			      bool direct, bool write)
{
	struct kiocb iocb;
	ssize_t res;

	if (!write && host_offset >= qcow_file_size(f))
		return 0;
	init_sync_kiocb(&iocb, f->file);
	iocb.ki_flags = direct ? IOCB_DIRECT : 0;
	iocb.ki_pos = host_offset;
	if (!write)
		return f->file->f_op->read_iter(&iocb, iter);
	iocb.ki_flags |= IOCB_WRITE;
	qcow_file_begin_write(f);
	res = f->file->f_op->write_iter(&iocb, iter);
	qcow_file_end_write(f);
	return res;
}

/* Through the page cache, to or from any kernel memory. */
static ssize_t file_cached(struct qcow_file *f, u64 host_offset, void *buf, size_t len,
			   bool write)
{
	struct kvec kvec = { .iov_base = buf, .iov_len = len };
	struct iov_iter iter;

	iov_iter_kvec(&iter, write ? ITER_SOURCE : ITER_DEST, &kvec, 1, len);
	return file_sync_iter(f, host_offset, &iter, false, write);
}

/**
 * qcow_file_bvecs() - describe kernel memory by pages
 * @bvec: the result; room for one more than @len has whole pages, and one more
 *	if @buf does not begin with a page
 * @buf: kmalloc or vmalloc memory
 * @len: bytes
 *
 * Context: any.
 *
 * Return: segments of @bvec that are used.
 */
u32 qcow_file_bvecs(struct bio_vec *bvec, void *buf, size_t len)
{
	u32 nr = 0, n;

	for (; len; len -= n, buf += n, nr++) {
		n = min_t(size_t, len, PAGE_SIZE - offset_in_page(buf));
		bvec[nr].bv_page = is_vmalloc_addr(buf) ? vmalloc_to_page(buf) :
							  virt_to_page(buf);
		bvec[nr].bv_offset = offset_in_page(buf);
		bvec[nr].bv_len = n;
	}
	return nr;
}

/**
 * qcow_buf_alloc() - get kernel memory for I/O
 * @buf: the result
 * @len: bytes, without a limit, as the memory need not be contiguous
 *
 * Context: may sleep; the allocation starts no I/O.
 *
 * Return: 0 or -ENOMEM. Either way the caller calls qcow_buf_free().
 */
int qcow_buf_alloc(struct qcow_buf *buf, size_t len)
{
	buf->mem = kvmalloc(len, GFP_NOIO);
	buf->bvec = kvmalloc_array(len / PAGE_SIZE + 2, sizeof(*buf->bvec),
				   GFP_NOIO);
	if (!buf->mem || !buf->bvec)
		return -ENOMEM;
	buf->nr_bvec = qcow_file_bvecs(buf->bvec, buf->mem, len);
	return 0;
}

/**
 * qcow_buf_free() - free memory for I/O
 * @buf: from qcow_buf_alloc(), or all zero
 *
 * Context: may sleep.
 */
void qcow_buf_free(struct qcow_buf *buf)
{
	kvfree(buf->bvec);
	kvfree(buf->mem);
}

/* Direct, up to FILE_PREAD_PAGES of any kernel memory. */
static ssize_t file_direct(struct qcow_file *f, u64 host_offset, void *buf, size_t len,
			   bool write)
{
	/* Memory that does not begin with a page spans one more. */
	struct bio_vec bvec[FILE_PREAD_PAGES + 1];
	struct iov_iter iter;
	u32 nr;

	len = min_t(size_t, len, FILE_PREAD_PAGES * PAGE_SIZE);
	nr = qcow_file_bvecs(bvec, buf, len);
	iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, bvec, nr, len);
	return file_sync_iter(f, host_offset, &iter, true, write);
}

static ssize_t file_kmem(struct qcow_file *f, u64 host_offset, void *buf, size_t len,
			 bool direct, bool write)
{
	return direct ? file_direct(f, host_offset, buf, len, write) :
			file_cached(f, host_offset, buf, len, write);
}

/*
 * Read [@host_offset, @host_offset + @len) as far as the file goes. Return: bytes read, or a
 * negative errno.
 */
static ssize_t file_pread_some(struct qcow_file *f, u64 host_offset, void *buf,
			       size_t len, bool direct)
{
	size_t bytes_done = 0;
	ssize_t n;

	while (bytes_done < len) {
		n = file_kmem(f, host_offset + bytes_done, buf + bytes_done,
			      len - bytes_done, direct, false);
		if (n == -ENOMEM && qcow_charge_forgo_memory())
			continue;
		if (n < 0 && direct && qcow_file_direct_refused(n)) {
			direct = false;
			continue;
		}
		if (n < 0)
			return n;
		if (!n)
			break;
		bytes_done += n;
		/* A short direct read ends off alignment only at the end. */
		if (direct && (bytes_done & f->dio_mask))
			break;
	}
	return bytes_done;
}

/* Return: 0 or a negative errno. */
static int file_pwrite_all(struct qcow_file *f, u64 host_offset, void *buf, size_t len,
			   bool direct)
{
	size_t bytes_done = 0;
	ssize_t n;

	while (bytes_done < len) {
		n = file_kmem(f, host_offset + bytes_done, buf + bytes_done,
			      len - bytes_done, direct, true);
		if (n == -ENOMEM && qcow_charge_forgo_memory())
			continue;
		if (n < 0 && direct && qcow_file_direct_refused(n)) {
			direct = false;
			continue;
		}
		if (n <= 0)
			return n ?: -EIO;
		bytes_done += n;
		if (bytes_done & f->dio_mask)
			direct = false;
	}
	return 0;
}

/**
 * struct file_bounce - a range, widened so that direct I/O can address it
 * @host_offset: bytes into the file
 * @head: bytes before the range
 * @size: bytes of the widened range
 * @buf: memory for the widened range
 */
struct file_bounce {
	u64 host_offset;
	size_t head;
	size_t size;
	void *buf;
};

static void file_bounce_init(const struct qcow_file *f, struct file_bounce *b,
			     u64 host_offset, size_t len)
{
	b->host_offset = host_offset & ~(u64)f->dio_mask;
	b->head = host_offset - b->host_offset;
	b->size = (b->head + len + f->dio_mask) & ~(size_t)f->dio_mask;
}

/* Return: bytes that were read, or a negative errno. */
static ssize_t file_bounce_read(struct qcow_file *f, const struct file_bounce *b,
				void *buf, size_t len)
{
	ssize_t n = file_pread_some(f, b->host_offset, b->buf, b->size, true);

	if (n <= 0)
		return n;
	n = clamp_t(ssize_t, n - (ssize_t)b->head, 0, len);
	memcpy(buf, b->buf + b->head, n);
	return n;
}

/* Return: @len or a negative errno. */
static ssize_t file_bounce_write(struct qcow_file *f, const struct file_bounce *b,
				 void *buf, size_t len)
{
	ssize_t n = file_pread_some(f, b->host_offset, b->buf, b->size, true);
	int err;

	if (n < 0)
		return n;
	memset(b->buf + n, 0, b->size - n);
	memcpy(b->buf + b->head, buf, len);
	err = file_pwrite_all(f, b->host_offset, b->buf, b->size, true);
	return err ?: (ssize_t)len;
}

/* As file_bounced(), by pieces that f->bounce has room for. Under its lock. */
static ssize_t file_bounced_slowly(struct qcow_file *f, u64 host_offset, void *buf,
				   size_t len, bool write)
{
	size_t bytes_done = 0, step;
	struct file_bounce b;
	ssize_t n;

	lockdep_assert_held(&f->bounce->lock);
	do {
		step = f->bounce->bytes - ((host_offset + bytes_done) & f->dio_mask);
		step = min(step, len - bytes_done);
		file_bounce_init(f, &b, host_offset + bytes_done, step);
		b.buf = f->bounce->mem;
		n = write ? file_bounce_write(f, &b, buf + bytes_done, step) :
			    file_bounce_read(f, &b, buf + bytes_done, step);
		if (n > 0)
			bytes_done += n;
	} while (n == step && bytes_done < len);
	return n < 0 ? n : (ssize_t)bytes_done;
}

/*
 * Read or write a range that direct I/O cannot address. The page cache could do it, but
 * a write would undo direct writes of other tasks to the same page. Return: bytes that
 * were read, or all that were to be written; or a negative errno.
 */
static ssize_t file_bounced(struct qcow_file *f, u64 host_offset, void *buf, size_t len,
			    bool write)
{
	struct file_bounce b;
	ssize_t n;

	file_bounce_init(f, &b, host_offset, len);
	b.buf = kvmalloc(max_t(size_t, b.size, PAGE_SIZE), GFP_NOIO);
	if (unlikely(!b.buf)) {
		mutex_lock(&f->bounce->lock);
		n = file_bounced_slowly(f, host_offset, buf, len, write);
		mutex_unlock(&f->bounce->lock);
		return n;
	}
	n = write ? file_bounce_write(f, &b, buf, len) :
		    file_bounce_read(f, &b, buf, len);
	kvfree(b.buf);
	return n;
}

/*
 * Return: true if direct I/O can address a range and its memory without a bounce
 * buffer.
 */
static bool file_aligned(const struct qcow_file *f, u64 host_offset, const void *buf,
			 size_t len)
{
	return !((host_offset | len) & f->dio_mask) &&
	       !((unsigned long)buf & f->mem_mask);
}

/**
 * qcow_file_is_direct() - tell whether direct I/O needs no bounce buffer
 * @f: the file
 * @host_offset: bytes into the file
 * @buf: kmalloc memory
 * @len: bytes
 *
 * Context: any.
 *
 * Return: whether the transfer goes past the page cache.
 */
bool qcow_file_is_direct(const struct qcow_file *f, u64 host_offset, const void *buf,
			 size_t len)
{
	return f->direct && f->direct_kmem && file_aligned(f, host_offset, buf, len);
}

/**
 * qcow_file_pread() - read into kernel memory
 * @f: the file
 * @host_offset: bytes into the file
 * @buf: kmalloc or vmalloc memory
 * @len: bytes
 *
 * Any alignment. Bytes past the end of the file are zeros.
 *
 * Context: may sleep.
 *
 * Return: 0, -ENOMEM, -EIO if the file shrank, or the filesystem's error.
 */
int qcow_file_pread(struct qcow_file *f, u64 host_offset, void *buf, size_t len)
{
	unsigned int noio = memalloc_noio_save();
	bool direct = f->direct && f->direct_kmem;
	u64 end = atomic64_read(&f->end);
	ssize_t n;

	atomic_inc(&f->busy);
	if (host_offset > S64_MAX - len)
		n = -EIO;
	else if (direct && !file_aligned(f, host_offset, buf, len))
		n = file_bounced(f, host_offset, buf, len, false);
	else
		n = file_pread_some(f, host_offset, buf, len, direct);
	atomic_dec(&f->busy);
	memalloc_noio_restore(noio);
	if (n < 0)
		return n;
	if (n < len) {
		if (host_offset + n < end)
			return -EIO;
		memset(buf + n, 0, len - n);
	}
	return 0;
}

/**
 * qcow_file_there() - cut a range off at the end of a strict file
 * @f: the file
 * @host_offset: bytes into the file
 * @len: bytes
 *
 * Context: any.
 *
 * Return: @len; of a strict file, as much of it as lies before the end.
 */
size_t qcow_file_there(const struct qcow_file *f, u64 host_offset, size_t len)
{
	u64 size = qcow_file_size(f);

	if (!f->strict || (host_offset < size && len <= size - host_offset))
		return len;
	return host_offset < size ? size - host_offset : 0;
}

/**
 * qcow_file_pread_table() - read entries of a table into kernel memory
 * @f: the file
 * @host_offset: bytes into the file
 * @buf: kmalloc or vmalloc memory
 * @len: bytes
 * @entry: bytes of an entry
 *
 * As qcow_file_pread(); but in a strict file that ends inside the range, entries past
 * its end are made all ones.
 *
 * Return: 0 or the error of reading.
 */
int qcow_file_pread_table(struct qcow_file *f, u64 host_offset, void *buf, size_t len,
			  size_t entry)
{
	size_t there = round_down(qcow_file_there(f, host_offset, len), entry);

	if (!there)
		there = len;
	memset(buf + there, 0xff, len - there);
	return qcow_file_pread(f, host_offset, buf, there);
}

/**
 * qcow_file_pwrite() - write kernel memory
 * @f: the file, open for writing
 * @host_offset: bytes into the file
 * @buf: kmalloc or vmalloc memory
 * @len: bytes
 *
 * Any alignment. A range that direct I/O cannot address is widened, read, changed and
 * written: no other task may write there meanwhile.
 *
 * Context: may sleep.
 *
 * Return: 0, -ENOMEM or the filesystem's error.
 */
int qcow_file_pwrite(struct qcow_file *f, u64 host_offset, void *buf, size_t len)
{
	unsigned int noio = memalloc_noio_save();
	bool direct = f->direct && f->direct_kmem;
	int err;

	atomic_inc(&f->busy);
	if (direct && !file_aligned(f, host_offset, buf, len))
		err = min_t(ssize_t, file_bounced(f, host_offset, buf, len, true), 0);
	else
		err = file_pwrite_all(f, host_offset, buf, len, direct);
	atomic_dec(&f->busy);
	memalloc_noio_restore(noio);
	return err;
}

/* Of a temporary file, only say whether the filesystem has lost data. */
static int file_fsync(struct qcow_file *f)
{
	if (f->temporary)
		return file_check_and_advance_wb_err(f->file);
	return vfs_fsync(f->file, 1);
}

/**
 * qcow_file_sync() - make all data of a file durable, unless it is temporary
 * @f: the file
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_file_sync(struct qcow_file *f)
{
	unsigned int noio = memalloc_noio_save();
	u64 size = qcow_file_size(f);
	s64 end = atomic64_read(&f->end);
	int err;

	atomic_inc(&f->busy);
	err = file_fsync(f);
	atomic_dec(&f->busy);
	memalloc_noio_restore(noio);
	/* Unless the file was truncated meanwhile. */
	if (!err && size > end)
		atomic64_cmpxchg(&f->end, end, size);
	return err;
}

static void file_put_bounce(struct qcow_file *f)
{
	qcow_bounce_put(f->bounce);
	f->bounce = NULL;
}

/*
 * Try direct I/O on the file's first block. Return: 0, and the file has a bounce buffer;
 * -EOPNOTSUPP; or -ENOMEM.
 */
static int file_try_direct(struct qcow_file *f)
{
	size_t len = max_t(size_t, f->dio_mask + 1, PAGE_SIZE);
	ssize_t n;

	f->bounce = qcow_bounce_create(len);
	if (!f->bounce)
		return -ENOMEM;
	n = file_direct(f, 0, f->bounce->mem, len, false);
	if (n >= 0 || !qcow_file_direct_refused(n))
		return 0;
	file_put_bounce(f);
	return -EOPNOTSUPP;
}

static int file_set_direct(struct qcow_file *f, enum qcow_direct direct,
			   struct qcow_msg *msg)
{
	int err = -EOPNOTSUPP;
	u32 align = 0;

	if (direct != QCOW_DIRECT_OFF)
		align = file_dio_align(f, direct == QCOW_DIRECT_ON);
	if (align && is_power_of_2(align) && align <= FILE_PREAD_PAGES * PAGE_SIZE) {
		f->dio_mask = align - 1;
		err = file_try_direct(f);
	}
	if (!err) {
		f->direct = true;
		/* Pages that earlier readers left slow direct I/O down. */
		qcow_compat_drop_pages(f->file);
		return 0;
	}
	f->dio_mask = 0;
	if (err != -EOPNOTSUPP)
		return err;
	if (direct == QCOW_DIRECT_ON)
		return qcow_advise(msg, err, "its filesystem does not support direct I/O; use --direct-io auto or off");
	return 0;
}

/*
 * Return: true if reads may start in a submitter's context: the filesystem knows
 * IOCB_NOWAIT, and a read will not make it change an access time, for which it would
 * begin a transaction.
 */
static bool file_nowait(const struct file *file)
{
	const struct inode *inode = file->f_mapping->host;

	if (!(file->f_mode & FMODE_NOWAIT))
		return false;
	return (file->f_flags & O_NOATIME) || IS_NOATIME(inode) ||
	       S_ISBLK(inode->i_mode);
}

/* Filesystems that write in place; there may be others. */
static bool file_overwrites(const struct file *file)
{
	const struct inode *inode = file->f_mapping->host;

	return S_ISBLK(inode->i_mode) ||
	       inode->i_sb->s_magic == EXT4_SUPER_MAGIC ||
	       inode->i_sb->s_magic == XFS_SUPER_MAGIC;
}

/*
 * Return: true if memory must not change during a write, as lower layers may compute
 * checksums.
 */
static bool file_wants_stable(const struct file *file)
{
	struct inode *inode = file->f_mapping->host;

	if (S_ISBLK(inode->i_mode))
		return bdev_stable_writes(I_BDEV(inode));
	return mapping_stable_writes(file->f_mapping) || !file_overwrites(file);
}

/**
 * qcow_file_measure() - take the length of a file
 * @f: the file; no transfer is under way
 *
 * Context: any.
 */
void qcow_file_measure(struct qcow_file *f)
{
	f->size = qcow_file_size(f);
	atomic64_set(&f->end, f->strict ? S64_MAX : f->size);
}

/**
 * qcow_file_open() - take an open file as image or data file
 * @f: the result
 * @file: an open file; @f takes a reference of its own
 * @direct: whether to bypass the page cache
 * @msg: says why it failed
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_file_open(struct qcow_file *f, struct file *file,
		   enum qcow_direct direct, struct qcow_msg *msg)
{
	struct inode *inode = file->f_mapping->host;
	int err;

	if (S_ISDIR(inode->i_mode))
		return qcow_fail(msg, -EISDIR, "is a directory, not a disk image");
	if (!S_ISREG(inode->i_mode) && !S_ISBLK(inode->i_mode))
		return qcow_fail(msg, -EINVAL, "is neither a regular file nor a block device");
	if (!(file->f_mode & FMODE_READ) || !file->f_op->read_iter)
		return qcow_fail(msg, -EBADF, "is not open for reading");
	memset(f, 0, sizeof(*f));
	f->file = get_file(file);
	qcow_file_measure(f);
	f->nowait = file_nowait(file);
	err = file_set_direct(f, direct, msg);
	f->overwrites = f->direct && file_overwrites(file);
	f->stable = f->direct && file_wants_stable(file);
	if (f->direct && S_ISBLK(inode->i_mode))
		f->bdev = I_BDEV(inode);
	if (err)
		qcow_file_close(f);
	return err;
}

/**
 * qcow_file_writable() - tell whether a file can be written
 * @file: an open file
 *
 * Some files can be opened for writing, but not written: pages of hugetlbfs are only
 * mapped.
 *
 * Context: any.
 *
 * Return: whether the file can be written.
 */
bool qcow_file_writable(const struct file *file)
{
	return file->f_mode & FMODE_WRITE && file->f_op->write_iter;
}

/**
 * qcow_file_be_strict() - from now on, read no zeros past the end of a file
 * @f: the file, open for reading; no transfer is under way
 *
 * For a file that may have been cut off.
 */
void qcow_file_be_strict(struct qcow_file *f)
{
	f->strict = true;
	atomic64_set(&f->end, S64_MAX);
}

/**
 * qcow_file_use_cache() - from now on, access a file through the page cache
 * @f: the file; no transfer is under way
 */
void qcow_file_use_cache(struct qcow_file *f)
{
	file_put_bounce(f);
	f->direct = false;
	f->bdev = NULL;
	f->overwrites = false;
	f->stable = false;
	f->dio_mask = 0;
	f->mem_mask = SECTOR_SIZE - 1;
}

/**
 * qcow_file_shrunk() - tell whether a file has become shorter
 * @f: the file
 *
 * It is compared with its length at attach and with its durable length.
 *
 * Context: any.
 *
 * Return: whether the file has shrunk.
 */
bool qcow_file_shrunk(const struct qcow_file *f)
{
	u64 end = atomic64_read(&f->end);

	/* Look at the length after @end: the file was at least as long before. */
	smp_rmb();
	return !f->strict && qcow_file_size(f) < end;
}

/**
 * qcow_file_close() - close a file
 * @f: from qcow_file_open(), or zeroed; no transfer is under way
 *
 * The file's locks go with it, and other programs may wait for them, so a worker does
 * not put that off.
 *
 * Context: may sleep.
 */
void qcow_file_close(struct qcow_file *f)
{
	qcow_claim_drop(&f->claim);
	file_put_bounce(f);
	if (f->file && current->flags & PF_KTHREAD)
		__fput_sync(f->file);
	else if (f->file)
		fput(f->file);
	f->file = NULL;
}
