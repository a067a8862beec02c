/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_COW_MEM_H
#define _QCOW_COW_MEM_H

#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
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
 * struct qcow_cow_mems - memory for COW in clusters of all sizes
 * @lock: protects @list, and the members @node and @users of its entries
 * @list: a &struct qcow_cow_mem for each size that an image has
 */
struct qcow_cow_mems {
	struct mutex lock; /* protects the list and the counts of users */
	struct list_head list;
};

/**
 * struct qcow_cow_mem - memory for COW in clusters of one size
 * @mems: it is in the list of these
 * @node: in that list
 * @users: images that use it
 * @pool: buffers, one in reserve
 * @spare: a buffer beyond the reserve of @pool, or NULL
 * @bytes: bytes of a buffer's data: two clusters
 */
struct qcow_cow_mem {
	struct qcow_cow_mems *mems;
	struct list_head node;
	u32 users;
	mempool_t *pool;
	struct qcow_cow_buf *spare;
	size_t bytes;
};

void qcow_cow_mems_init(struct qcow_cow_mems *mems);
struct qcow_cow_mem *qcow_cow_mem_join(struct qcow_cow_mems *mems, u32 cluster_bits);
void qcow_cow_mem_leave(struct qcow_cow_mem *cow_mem);

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
