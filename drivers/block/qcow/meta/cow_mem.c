// SPDX-License-Identifier: GPL-2.0
/*
 * Memory for COW: the old data around a write in its clusters. data/cow.c uses it.
 *
 * A COW write needs at most two clusters of memory, the segments of a transfer, and an
 * I/O that reads the old data. A buffer has all of it. One is in reserve, so that a write
 * goes on when there is no other memory.
 */
#include <linux/bio.h>
#include <linux/lockdep.h>
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

static void cow_mem_destroy(struct qcow_cow_mem *cow_mem)
{
	mempool_destroy(cow_mem->pool);
	cow_buf_free(cow_mem->spare);
	kfree(cow_mem);
}

static struct qcow_cow_mem *cow_mem_create(struct qcow_cow_mems *mems, size_t bytes)
{
	struct qcow_cow_mem *cow_mem = kzalloc(sizeof(*cow_mem), GFP_KERNEL);

	if (!cow_mem)
		return NULL;
	cow_mem->mems = mems;
	cow_mem->bytes = bytes;
	cow_mem->pool = mempool_create(1, cow_mem_alloc, cow_mem_free, cow_mem);
	if (cow_mem->pool)
		return cow_mem;
	kfree(cow_mem);
	return NULL;
}

static struct qcow_cow_mem *__cow_mems_find(struct qcow_cow_mems *mems, size_t bytes)
{
	struct qcow_cow_mem *cow_mem;

	lockdep_assert_held(&mems->lock);
	list_for_each_entry(cow_mem, &mems->list, node)
		if (cow_mem->bytes == bytes)
			return cow_mem;
	return NULL;
}

/**
 * qcow_cow_mems_init() - set up memory for COW in clusters of all sizes
 * @mems: the memory; nothing undoes it, as each size goes with its last image
 */
void qcow_cow_mems_init(struct qcow_cow_mems *mems)
{
	mutex_init(&mems->lock);
	INIT_LIST_HEAD(&mems->list);
}

/**
 * qcow_cow_mem_join() - get memory for COW in an image
 * @mems: of the device, or of all devices with the same queues; outlives the image
 * @cluster_bits: log2 of the bytes of a cluster
 *
 * Images with clusters of one size have the same memory, and take turns with its reserve.
 *
 * Context: may sleep.
 *
 * Return: the memory, for qcow_cow_mem_leave(); or NULL without memory.
 */
struct qcow_cow_mem *qcow_cow_mem_join(struct qcow_cow_mems *mems, u32 cluster_bits)
{
	size_t bytes = 2UL << cluster_bits;
	struct qcow_cow_mem *cow_mem;

	mutex_lock(&mems->lock);
	cow_mem = __cow_mems_find(mems, bytes);
	if (!cow_mem) {
		cow_mem = cow_mem_create(mems, bytes);
		if (cow_mem)
			list_add(&cow_mem->node, &mems->list);
	}
	if (cow_mem)
		cow_mem->users++;
	mutex_unlock(&mems->lock);
	return cow_mem;
}

/**
 * qcow_cow_mem_leave() - end the use of memory for COW by an image
 * @cow_mem: from qcow_cow_mem_join(), or NULL; the image uses none of it
 *
 * Context: may sleep.
 */
void qcow_cow_mem_leave(struct qcow_cow_mem *cow_mem)
{
	struct qcow_cow_mems *mems;
	bool last;

	if (!cow_mem)
		return;
	mems = cow_mem->mems;
	mutex_lock(&mems->lock);
	last = !--cow_mem->users;
	if (last)
		list_del(&cow_mem->node);
	mutex_unlock(&mems->lock);
	if (last)
		cow_mem_destroy(cow_mem);
}
