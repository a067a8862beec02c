// SPDX-License-Identifier: GPL-2.0
/*
 * The space that image files take: more of it, and giving it back.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/sched/mm.h>

#include "space.h"

static int space_fallocate(struct qcow_file *f, int mode, u64 pos, u64 len)
{
	unsigned int noio;
	int err;

	if (pos > S64_MAX - len)
		return -EFBIG;
	noio = memalloc_noio_save();
	err = vfs_fallocate(f->file, mode, pos, len);
	memalloc_noio_restore(noio);
	/* Files that know nothing of it say so in other words. */
	return err == -ENODEV || err == -ENOTTY ? -EOPNOTSUPP : err;
}

/**
 * qcow_space_allocate() - have space ready, making the file longer if need be
 * @f: the file, open for writing
 * @pos: bytes into the file
 * @len: bytes
 *
 * What was not written there reads as zeros. May sleep.
 * Return: 0, -ENOSPC, -EOPNOTSUPP: it cannot be done on this file; or another
 * error.
 */
int qcow_space_allocate(struct qcow_file *f, u64 pos, u64 len)
{
	return space_fallocate(f, 0, pos, len);
}

/**
 * qcow_space_punch() - give back the space of a piece of the file
 * @f: the file, open for writing
 * @pos: bytes into the file
 * @len: bytes
 *
 * It reads as zeros then. May sleep. Return: as qcow_space_allocate().
 */
int qcow_space_punch(struct qcow_file *f, u64 pos, u64 len)
{
	return space_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			       pos, len);
}

/**
 * qcow_space_zero() - make a piece of the file zeros without writing them
 * @f: the file, open for writing
 * @pos: bytes into the file
 * @len: bytes
 *
 * Keeps its space. May sleep. Return: as qcow_space_allocate().
 */
int qcow_space_zero(struct qcow_file *f, u64 pos, u64 len)
{
	return space_fallocate(f, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
			       pos, len);
}

/**
 * qcow_space_truncate() - set the length of the file
 * @f: the file, open for writing; nothing is under way there
 * @size: bytes
 *
 * May sleep. Return: 0 or a negative errno.
 */
int qcow_space_truncate(struct qcow_file *f, u64 size)
{
	return vfs_truncate(&f->file->f_path, size);
}
