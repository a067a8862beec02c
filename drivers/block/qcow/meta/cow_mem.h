/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_COW_MEM_H
#define _QCOW_COW_MEM_H

#include <linux/mempool.h>
#include <linux/types.h>

/**
 * struct qcow_cow_mem - memory for COW
 * @pool: pieces of memory, one in reserve
 * @spare: a piece beyond the reserve of @pool, or NULL
 * @bytes: bytes of a piece: two clusters
 */
struct qcow_cow_mem {
	mempool_t *pool;
	void *spare;
	size_t bytes;
};

int __must_check qcow_cow_mem_init(struct qcow_cow_mem *cow_mem, u32 cluster_bits);
void qcow_cow_mem_destroy(struct qcow_cow_mem *cow_mem);

/*
 * Return: a piece, never NULL. Context: may sleep until another write returns its
 * piece; a task holds one piece at a time.
 */
static inline void *qcow_cow_mem_get(struct qcow_cow_mem *cow_mem)
{
	return mempool_alloc(cow_mem->pool, GFP_NOIO);
}

/* Any context. */
static inline void qcow_cow_mem_put(struct qcow_cow_mem *cow_mem, void *piece)
{
	mempool_free(piece, cow_mem->pool);
}

#endif /* _QCOW_COW_MEM_H */
