/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_MEMFILE_H
#define _QCOW_MEMFILE_H

#include <linux/atomic.h>
#include <linux/fs.h>

/**
 * struct memfile_mode - how a file behaves
 * @nowait: it has FMODE_NOWAIT
 * @atime: it was not opened with O_NOATIME
 * @direct: it has FMODE_CAN_ODIRECT
 * @async: reads that are not synchronous complete from a work item
 * @refuse_direct: direct reads fail with -EINVAL all the same
 * @dio_align: what direct reads must be aligned to, reported by statx; 0: a
 *	page, not reported
 * @eagain: every how many IOCB_NOWAIT reads one returns -EAGAIN, 0: none
 * @eagain_late: that -EAGAIN comes by ki_complete()
 * @max_read: bytes that one read returns at most, 0: no limit
 * @fail_at: number of the read that fails, from 1; 0: none
 * @sticky: so do all after it
 * @error: with this, -EIO if 0
 * @sleep_ms: what a synchronous read takes
 */
struct memfile_mode {
	bool nowait;
	bool atime;
	bool direct;
	bool async;
	bool refuse_direct;
	u32 dio_align;
	u32 eagain;
	bool eagain_late;
	u32 max_read;
	u32 fail_at;
	bool sticky;
	int error;
	u32 sleep_ms;
};

/**
 * struct memfile - a regular file whose reads are served from memory
 * @file: to be given to the driver
 * @data: contents, borrowed; zeros from @len to the file's size
 * @len: bytes at @data
 * @mode: see memfile_set_mode()
 * @reads: calls of read_iter since the mode was set
 * @nowaits: with IOCB_NOWAIT
 * @directs: with IOCB_DIRECT
 * @misaligned: direct ones at offsets or of lengths that a disk cannot do
 * @injected: that failed by @mode.fail_at
 * @fops: of the file that it is made of
 * @iops: of its inode
 */
struct memfile {
	struct file *file;
	const u8 *data;
	size_t len;
	struct memfile_mode mode;
	atomic_t reads;
	atomic_t nowaits;
	atomic_t directs;
	atomic_t misaligned;
	atomic_t injected;
	const struct file_operations *fops;
	const struct inode_operations *iops;
};

struct memfile *memfile_create(void);
void memfile_destroy(struct memfile *m);
void memfile_set_data(struct memfile *m, const void *data, size_t len, u64 size);
void memfile_set_size(struct memfile *m, u64 size);
void memfile_set_mode(struct memfile *m, const struct memfile_mode *mode);

/* Whether nobody but the test refers to the file. */
static inline bool memfile_idle(const struct memfile *m)
{
	return file_count(m->file) == 1;
}

int memfile_init(void);
void memfile_exit(void);

#endif /* _QCOW_MEMFILE_H */
