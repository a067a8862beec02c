// SPDX-License-Identifier: GPL-2.0
/*
 * Memory for COW: the old data around a write in its clusters. data/place.c uses it.
 *
 * A COW write needs at most two clusters of memory. One piece is in reserve, so that a
 * write goes on when there is no other memory.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "meta/around.h"

/*
 * One piece is kept from one write to the next, because allocating and clearing it
 * costs more than the rest of the write.
 */
static void *around_alloc(gfp_t gfp, void *data)
{
	struct qcow_around *around = data;
	void *piece = xchg(&around->spare, NULL);

	return piece ?: kvmalloc(around->bytes, gfp);
}

/*
 * The pool calls this for surplus only. If it lacks an element it keeps the piece, and
 * wakes a writer that waits.
 */
static void around_free(void *piece, void *data)
{
	struct qcow_around *around = data;

	if (cmpxchg(&around->spare, NULL, piece))
		kvfree(piece);
}

/**
 * qcow_around_init() - set up memory for COW
 * @around: zeroed
 * @cluster_bits: log2 of the bytes of a cluster
 *
 * Context: may sleep.
 *
 * Return: 0 or -ENOMEM; the caller calls qcow_around_destroy() after both.
 */
int qcow_around_init(struct qcow_around *around, u32 cluster_bits)
{
	around->bytes = 2UL << cluster_bits;
	around->pool = mempool_create(1, around_alloc, around_free, around);
	return around->pool ? 0 : -ENOMEM;
}

/**
 * qcow_around_destroy() - free memory for COW
 * @around: the memory, none of it in use
 */
void qcow_around_destroy(struct qcow_around *around)
{
	mempool_destroy(around->pool);
	kvfree(around->spare);
}
