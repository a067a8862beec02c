/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A memfile is a file in memory that the driver uses like any other. It owns the file and
 * its content, behaves by its mode (slow, asynchronous, failing, full), counts operations,
 * and tells a memlog of them.
 */
#ifndef _QCOW_MEMFILE_H
#define _QCOW_MEMFILE_H

#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/fs.h>

#include "memlog.h"

/* Operations on a file, in memfile_mode.fail_ops. */
#define MEMFILE_READ	BIT(0)
#define MEMFILE_WRITE	BIT(1)
#define MEMFILE_SYNC	BIT(2)
#define MEMFILE_FALLOC	BIT(3)
#define MEMFILE_SIZE	BIT(4)
#define MEMFILE_OPS	5

/**
 * struct memfile_mode - how a file behaves
 * @nowait: it has FMODE_NOWAIT
 * @atime: it was not opened with O_NOATIME
 * @direct: it has FMODE_CAN_ODIRECT
 * @async: reads that are not synchronous complete from a work item
 * @refuse_direct: direct reads fail with -EINVAL in spite of @direct
 * @dio_align: alignment of direct reads, reported by statx; 0: a page, not
 *	reported
 * @eagain: one in so many IOCB_NOWAIT reads returns -EAGAIN, 0: none
 * @eagain_late: ki_complete() returns that -EAGAIN
 * @max_read: bytes that one read returns at most, 0: no limit
 * @fail_ops: MEMFILE_*, operations that @fail_at counts; 0: reads
 * @fail_at: number of the operation that fails, from 1; 0: none
 * @sticky: all operations after it fail, too
 * @error: of the failures, -EIO if 0
 * @sleep_ms: time that a synchronous read takes
 * @delay_us: time that any other operation takes: random, up to this
 * @gate: operations that complete from a work item wait for it; or NULL
 * @irqs_off: these operations complete as in a disk's interrupt
 * @room: size that the file may have before its disk is full, 0: no limit
 * @sync_gate: the first sync waits for it before it returns; or NULL
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
	u32 fail_ops;
	u32 fail_at;
	bool sticky;
	int error;
	u32 sleep_ms;
	u32 delay_us;
	struct completion *gate;
	bool irqs_off;
	u64 room;
	struct completion *sync_gate;
};

/**
 * struct memfile - a regular file whose reads are served from memory
 * @file: to be given to the driver
 * @data: contents, borrowed unless it can be written; zeros from @len to the
 *	file's size
 * @len: bytes at @data
 * @store: @data, if it can be written
 * @capacity: bytes that there is room for at @store
 * @log: of the operations on it, or NULL
 * @mode: see memfile_set_mode()
 * @ops: operations that @mode.fail_at counts, since the mode was set
 * @reads: calls of read_iter
 * @syncs: calls of fsync
 * @nowaits: reads and writes with IOCB_NOWAIT
 * @directs: reads and writes with IOCB_DIRECT
 * @misaligned: direct reads and writes that a disk cannot do
 * @injected: operations that failed by @mode.fail_at
 * @inside: synchronous reads that sleep by @mode.sleep_ms
 * @most_inside: the most of them at a time
 * @fops: of the file that it is made of
 * @iops: of its inode
 */
struct memfile {
	struct file *file;
	const u8 *data;
	size_t len;
	u8 *store;
	u64 capacity;
	struct memlog *log;
	struct memfile_mode mode;
	atomic_t ops;
	atomic_t reads;
	atomic_t syncs;
	atomic_t nowaits;
	atomic_t directs;
	atomic_t misaligned;
	atomic_t injected;
	atomic_t inside;
	atomic_t most_inside;
	const struct file_operations *fops;
	const struct inode_operations *iops;
};

struct memfile *memfile_create(void);
void memfile_destroy(struct memfile *m);
void memfile_set_data(struct memfile *m, const void *data, size_t len, u64 size);
int memfile_own(struct memfile *m, const void *data, size_t len, u64 capacity);
void memfile_rewrite(struct memfile *m, const void *data, size_t len);
void memfile_set_size(struct memfile *m, u64 size);
void memfile_set_mode(struct memfile *m, const struct memfile_mode *mode);

/* Whether nobody but the test refers to the file. */
static inline bool memfile_idle(const struct memfile *m)
{
	return file_count(m->file) == 1;
}

static inline u64 memfile_size(const struct memfile *m)
{
	return i_size_read(file_inode(m->file));
}

int memfile_init(void);
void memfile_exit(void);

#endif /* _QCOW_MEMFILE_H */
