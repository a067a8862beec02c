// SPDX-License-Identifier: GPL-2.0
/*
 * Memory for COW: the old data around a write in its clusters. data/cow.c uses it.
 *
 * A COW write needs at most two clusters of memory, the segments of a transfer, and an
 * I/O that reads the old data. A buffer has all of it. One is in reserve, so that a write
 * goes on when there is no other memory.
 */
#include <linux/bio.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "meta/cow_mem.h"

static void cow_buf_free(struct qcow_cow_buf *buf)
{
	if (!buf)
		return;
	kvfree(buf->data);
	kvfree(buf->bvec);
	kfree(buf);
}

static struct qcow_cow_buf *cow_buf_alloc(const struct qcow_cow_mem *cow_mem, gfp_t gfp)
{
	struct qcow_cow_buf *buf = kzalloc(sizeof(*buf), gfp);

	if (!buf)
		return NULL;
	buf->nr_bvec = cow_mem->bytes / PAGE_SIZE + QCOW_COW_SEAMS + BIO_MAX_VECS;
	buf->data = kvmalloc(cow_mem->bytes, gfp);
	buf->bvec = kvmalloc_array(buf->nr_bvec, sizeof(*buf->bvec), gfp);
	if (buf->data && buf->bvec)
		return buf;
	cow_buf_free(buf);
	return NULL;
}

/*
 * One buffer is kept from one write to the next, because allocating and clearing it
 * costs more than the rest of the write.
 */
static void *cow_mem_alloc(gfp_t gfp, void *data)
{
	struct qcow_cow_mem *cow_mem = data;
	struct qcow_cow_buf *buf = xchg(&cow_mem->spare, NULL);

	return buf ?: cow_buf_alloc(cow_mem, gfp);
}

/*
 * The pool calls this for a buffer that its reserve does not lack. One that the reserve
 * lacks stays in the pool, which wakes a writer that waits.
 */
static void cow_mem_free(void *buf, void *data)
{
	struct qcow_cow_mem *cow_mem = data;

	if (cmpxchg(&cow_mem->spare, NULL, buf))
		cow_buf_free(buf);
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
	cow_buf_free(cow_mem->spare);
}
