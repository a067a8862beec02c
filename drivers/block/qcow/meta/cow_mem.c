// SPDX-License-Identifier: GPL-2.0
/*
 * Memory for COW: the old data around a write in its clusters. data/cow.c uses it.
 *
 * A COW write needs at most two clusters of memory. One piece is in reserve, so that a
 * write goes on when there is no other memory.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "meta/cow_mem.h"

/*
 * One piece is kept from one write to the next, because allocating and clearing it
 * costs more than the rest of the write.
 */
static void *cow_mem_alloc(gfp_t gfp, void *data)
{
	struct qcow_cow_mem *cow_mem = data;
	void *piece = xchg(&cow_mem->spare, NULL);

	return piece ?: kvmalloc(cow_mem->bytes, gfp);
}

/*
 * The pool calls this for surplus only. If it lacks an element it keeps the piece, and
 * wakes a writer that waits.
 */
static void cow_mem_free(void *piece, void *data)
{
	struct qcow_cow_mem *cow_mem = data;

	if (cmpxchg(&cow_mem->spare, NULL, piece))
		kvfree(piece);
}

/**
 * qcow_cow_mem_init() - set up memory for COW
 * @cow_mem: zeroed
 * @cluster_bits: log2 of the bytes of a cluster
 *
 * Context: may sleep.
 *
 * Return: 0 or -ENOMEM; the caller calls qcow_cow_mem_destroy() after both.
 */
int qcow_cow_mem_init(struct qcow_cow_mem *cow_mem, u32 cluster_bits)
{
	cow_mem->bytes = 2UL << cluster_bits;
	cow_mem->pool = mempool_create(1, cow_mem_alloc, cow_mem_free, cow_mem);
	return cow_mem->pool ? 0 : -ENOMEM;
}

/**
 * qcow_cow_mem_destroy() - free memory for COW
 * @cow_mem: the memory, none of it in use
 */
void qcow_cow_mem_destroy(struct qcow_cow_mem *cow_mem)
{
	mempool_destroy(cow_mem->pool);
	kvfree(cow_mem->spare);
}
