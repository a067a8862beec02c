/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_AROUND_H
#define _QCOW_AROUND_H

#include <linux/mempool.h>
#include <linux/types.h>

/**
 * struct qcow_around - memory for COW
 * @pool: pieces of memory, one in reserve
 * @spare: a piece beyond the reserve of @pool, or NULL
 * @bytes: bytes of a piece: two clusters
 */
struct qcow_around {
	mempool_t *pool;
	void *spare;
	size_t bytes;
};

int __must_check qcow_around_init(struct qcow_around *around, u32 cluster_bits);
void qcow_around_destroy(struct qcow_around *around);

/*
 * Return: a piece, never NULL. Context: may sleep until another write returns its
 * piece; a task holds one piece at a time.
 */
static inline void *qcow_around_get(struct qcow_around *around)
{
	return mempool_alloc(around->pool, GFP_NOIO);
}

/* Any context. */
static inline void qcow_around_put(struct qcow_around *around, void *piece)
{
	mempool_free(piece, around->pool);
}

#endif /* _QCOW_AROUND_H */
