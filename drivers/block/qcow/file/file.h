/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_FILE_H
#define _QCOW_FILE_H

#include "file/bounce.h"
#include "file/claim.h"
#include "file/request.h"
#include "ondisk/pure.h"

/* The choice between direct I/O and a file's page cache. */
enum qcow_direct {
	QCOW_DIRECT_AUTO,
	QCOW_DIRECT_ON,
	QCOW_DIRECT_OFF,
};

/**
 * struct qcow_file - an image or data file, or a block device that holds one
 * @file: the open file, referenced
 * @claim: of a block device
 * @bdev: a block device that gets bios straight, with direct I/O; or NULL
 * @size: bytes of the file when it was opened
 * @end: bytes of the file when it was last made durable: bytes below must be readable,
 *	bytes above may read as zeros
 * @temporary: the file is thrown away, and is not made durable
 * @strict: bytes past the end do not read as zeros: @end is S64_MAX
 * @dio_mask: direct I/O needs offsets and lengths with none of these bits
 * @mem_mask: direct I/O needs memory addresses with none of these bits
 * @direct: direct I/O is used where alignment allows
 * @direct_kmem: direct I/O is used for the kernel's own memory, too
 * @overwrites: the filesystem writes allocated space in place, and changes nothing else
 * @stable: direct writes want memory that does not change meanwhile
 * @nowait: reads and writes may be started in contexts that must not sleep
 * @bounce: has room for a block of direct I/O; other files of the image may use it, too;
 *	NULL without direct I/O
 * @busy: calls of the filesystem that have not returned, for metadata, syncs and space
 */
struct qcow_file {
	struct file *file;
	struct qcow_claim claim;
	struct block_device *bdev;
	u64 size;
	atomic64_t end;
	bool temporary;
	bool strict;
	u32 dio_mask;
	u32 mem_mask;
	bool direct;
	bool direct_kmem;
	bool overwrites;
	bool stable;
	bool nowait;
	struct qcow_bounce *bounce;
	atomic_t busy;
};

/* Errors that filesystems give if they cannot do direct I/O here. */
static inline bool qcow_file_direct_refused(int err)
{
	return err == -EINVAL || err == -EOPNOTSUPP || err == -ENOTBLK;
}

/**
 * struct qcow_buf - kernel memory for I/O
 * @mem: its address
 * @bvec: describes it
 * @nr_bvec: segments at @bvec
 */
struct qcow_buf {
	void *mem;
	struct bio_vec *bvec;
	u32 nr_bvec;
};

int __must_check qcow_file_open(struct qcow_file *f, struct file *file,
				enum qcow_direct direct, struct qcow_msg *msg);
u64 qcow_file_size(const struct qcow_file *f);
bool qcow_file_regular(const struct qcow_file *f);
void qcow_file_measure(struct qcow_file *f);
bool qcow_file_writable(const struct file *file);
void qcow_file_begin_write(const struct qcow_file *f);
bool __must_check qcow_file_try_begin_write(const struct qcow_file *f);
void qcow_file_end_write(const struct qcow_file *f);
void qcow_file_be_strict(struct qcow_file *f);
void qcow_file_use_cache(struct qcow_file *f);
bool qcow_file_shrunk(const struct qcow_file *f);
void qcow_file_close(struct qcow_file *f);
u32 qcow_file_bvecs(struct bio_vec *bvec, void *buf, size_t len);
int __must_check qcow_buf_alloc(struct qcow_buf *buf, size_t len);
void qcow_buf_free(struct qcow_buf *buf);
bool qcow_file_is_direct(const struct qcow_file *f, u64 host_offset, const void *buf,
			 size_t len);
int __must_check qcow_file_pread(struct qcow_file *f, u64 host_offset, void *buf,
				 size_t len);
size_t qcow_file_there(const struct qcow_file *f, u64 host_offset, size_t len);
int __must_check qcow_file_pread_table(struct qcow_file *f, u64 host_offset, void *buf,
				       size_t len, size_t entry);
int __must_check qcow_file_pwrite(struct qcow_file *f, u64 host_offset, void *buf,
				  size_t len);
int __must_check qcow_file_sync(struct qcow_file *f);
int __must_check qcow_file_io(struct qcow_file_req *req);
int __must_check qcow_file_io_sync(struct qcow_file_req *req);

#endif /* _QCOW_FILE_H */
