/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_COW_MEM_H
#define _QCOW_COW_MEM_H

#include <linux/mempool.h>
#include <linux/types.h>

#include "file/request.h"

/*
 * The segments of a transfer are at most so many more than the pages of old data and the
 * segments of the guest's data.
 */
#define QCOW_COW_SEAMS	4

/**
 * struct qcow_cow_buf - memory of one COW write
 * @data: for old data, two clusters
 * @bvec: for the segments of a transfer
 * @nr_bvec: elements of @bvec: enough for @data and for a bio of BIO_MAX_VECS segments
 * @io: reads old data
 */
struct qcow_cow_buf {
	void *data;
	struct bio_vec *bvec;
	u32 nr_bvec;
	struct qcow_io io;
};

/**
 * struct qcow_cow_mem - memory for COW
 * @pool: buffers, one in reserve
 * @spare: a buffer beyond the reserve of @pool, or NULL
 * @bytes: bytes of a buffer's data: two clusters
 */
struct qcow_cow_mem {
	mempool_t *pool;
	struct qcow_cow_buf *spare;
	size_t bytes;
};

int __must_check qcow_cow_mem_init(struct qcow_cow_mem *cow_mem, u32 cluster_bits);
void qcow_cow_mem_destroy(struct qcow_cow_mem *cow_mem);

/*
 * Return: a buffer, never NULL. Context: may sleep until another write returns its
 * buffer; a task holds one buffer at a time.
 */
static inline struct qcow_cow_buf *qcow_cow_mem_get(struct qcow_cow_mem *cow_mem)
{
	return mempool_alloc(cow_mem->pool, GFP_NOIO);
}

/* Any context. */
static inline void qcow_cow_mem_put(struct qcow_cow_mem *cow_mem,
				    struct qcow_cow_buf *buf)
{
	mempool_free(buf, cow_mem->pool);
}

#endif /* _QCOW_COW_MEM_H */
