// SPDX-License-Identifier: GPL-2.0
/*
 * The space that image files take in their filesystem: allocating, zeroing, punching,
 * truncating. The allocator in meta/, data/zero.c and jobs/ call it for ranges that no
 * I/O uses.
 */
#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "compat/compat.h"
#include "file/space.h"

/* Zeros to write from; all segments are the same memory. */
struct bio_vec qcow_zeros[QCOW_ZEROS_BVECS];

static int space_fallocate(struct qcow_file *f, int mode, u64 host_offset, u64 len)
{
	unsigned int noio;
	int err;

	if (host_offset > S64_MAX - len)
		return -EFBIG;
	noio = memalloc_noio_save();
	atomic_inc(&f->busy);
	err = vfs_fallocate(f->file, mode, host_offset, len);
	atomic_dec(&f->busy);
	memalloc_noio_restore(noio);
	/* Files without the operation give various errors. */
	if (err == -ENODEV || err == -ENOTTY)
		return -EOPNOTSUPP;
	/* -EAGAIN from a filesystem is not the data path's "would sleep". */
	return err == -EAGAIN ? -EIO : err;
}

/**
 * qcow_space_allocate() - allocate space, making the file longer if need be
 * @f: the file, open for writing
 * @host_offset: bytes into the file
 * @len: bytes
 *
 * Bytes that were not written there read as zeros.
 *
 * Context: may sleep.
 *
 * Return: 0; -ENOSPC; -EOPNOTSUPP: the file does not support it; or another error.
 */
int qcow_space_allocate(struct qcow_file *f, u64 host_offset, u64 len)
{
	return space_fallocate(f, 0, host_offset, len);
}

/**
 * qcow_space_punch() - give back the space of a piece of the file
 * @f: the file, open for writing
 * @host_offset: bytes into the file
 * @len: bytes
 *
 * The range reads as zeros then.
 *
 * Context: may sleep.
 *
 * Return: as qcow_space_allocate().
 */
int qcow_space_punch(struct qcow_file *f, u64 host_offset, u64 len)
{
	return space_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, host_offset,
			       len);
}

/**
 * qcow_space_zero() - make a piece of the file zeros without writing them
 * @f: the file, open for writing
 * @host_offset: bytes into the file
 * @len: bytes
 *
 * The range keeps its space.
 *
 * Context: may sleep.
 *
 * Return: as qcow_space_allocate().
 */
int qcow_space_zero(struct qcow_file *f, u64 host_offset, u64 len)
{
	return space_fallocate(f, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, host_offset,
			       len);
}

/**
 * qcow_space_is_hole() - tell whether a piece of the file is a hole
 * @f: the file
 * @host_offset: bytes into the file
 * @len: bytes
 *
 * Asks the filesystem and reads no data. The filesystem may not know: false means
 * nothing.
 *
 * Context: may sleep.
 *
 * Return: whether the range is known to be a hole.
 */
bool qcow_space_is_hole(struct qcow_file *f, u64 host_offset, u64 len)
{
	loff_t data;

	/* Bytes that another program cut off were no hole. */
	if (!qcow_file_regular(f) || host_offset > S64_MAX - len || qcow_file_shrunk(f))
		return false;
	data = vfs_llseek(f->file, host_offset, SEEK_DATA);
	return data == -ENXIO || data >= (loff_t)(host_offset + len);
}

/**
 * qcow_space_renew() - preallocate a piece of the file that reads as zeros
 * @f: the file, open for writing
 * @host_offset: bytes into the file
 * @len: bytes, none of them in use
 *
 * A filesystem allocates the space in one run and makes the file longer if need be. A
 * block device makes the zeros itself, or refuses: no data is sent to it.
 *
 * Context: may sleep.
 *
 * Return: as qcow_space_allocate(). After an error a part of the range may be zeros.
 */
int qcow_space_renew(struct qcow_file *f, u64 host_offset, u64 len)
{
	if (!qcow_file_regular(f))
		return qcow_space_punch(f, host_offset, len);
	return space_fallocate(f, FALLOC_FL_ZERO_RANGE, host_offset, len);
}

/**
 * qcow_space_truncate() - set the length of the file
 * @f: the file, open for writing; nothing is under way there
 * @size: bytes
 *
 * Context: may sleep.
 *
 * Return: 0 or a negative errno.
 */
int qcow_space_truncate(struct qcow_file *f, u64 size)
{
	u64 end = atomic64_read(&f->end);
	int err;

	atomic64_set(&f->end, min(end, size));
	err = vfs_truncate(&f->file->f_path, size);
	if (err)
		atomic64_set(&f->end, end);
	return err;
}

int qcow_space_init(void)
{
	struct page *page;
	u32 i;

	page = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_COMP,
			   QCOW_ZEROS_ORDER);
	if (!page)
		return -ENOMEM;
	for (i = 0; i < QCOW_ZEROS_BVECS; i++)
		bvec_set_page(&qcow_zeros[i], page,
			      PAGE_SIZE << QCOW_ZEROS_ORDER, 0);
	return 0;
}

void qcow_space_exit(void)
{
	__free_pages(qcow_zeros[0].bv_page, QCOW_ZEROS_ORDER);
}

/**
 * qcow_space_secure() - make sure that metadata can be written
 * @f: the file
 * @host_offset: bytes into the file
 * @len: bytes
 *
 * No table is linked before there is space for it. Otherwise a flush would fail for
 * lack of that space, and with it all other changes.
 *
 * Context: may sleep.
 *
 * Return: 0, -ENOSPC, or another error.
 */
int qcow_space_secure(struct qcow_file *f, u64 host_offset, u64 len)
{
	int err;

	if (!qcow_file_regular(f))
		return 0;
	err = qcow_space_allocate(f, host_offset, len);
	return err == -EOPNOTSUPP ? 0 : err;
}
