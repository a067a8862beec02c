// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a slice: cache.c loads and evicts slices, cache_write.c writes them.
 *
 * A slice in the xarray has a reference for being there. The task that takes it out
 * drops that reference; the memory goes after a grace period, for qcow_cache_peek().
 */
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "file/cache_slice.h"

/**
 * qcow_cache_slice_free() - free a slice that was never in the cache
 * @slice: the slice
 */
void qcow_cache_slice_free(struct qcow_slice *slice)
{
	kfree(slice->data);
	kfree(slice);
}

static void slice_free_rcu(struct rcu_head *rcu)
{
	qcow_cache_slice_free(container_of(rcu, struct qcow_slice, rcu));
}

/**
 * qcow_cache_slice_alloc() - make a slice, which is loading
 * @cache: its cache, which it is not in yet
 * @index: host offset, in slices
 *
 * Context: may sleep.
 *
 * Return: the slice with two references, one of them for the cache; or NULL.
 */
struct qcow_slice *qcow_cache_slice_alloc(struct qcow_cache *cache, unsigned long index)
{
	struct qcow_slice *slice = kzalloc(sizeof(*slice), GFP_NOIO);

	if (!slice)
		return NULL;
	slice->data = kmalloc(1UL << cache->slice_bits, GFP_NOIO);
	if (!slice->data) {
		kfree(slice);
		return NULL;
	}
	slice->cache = cache;
	slice->index = index;
	INIT_LIST_HEAD(&slice->lru);
	INIT_LIST_HEAD(&slice->dirty);
	/* One for the cache, one for the caller. */
	refcount_set(&slice->ref, 2);
	__set_bit(QCOW_SLICE_LOADING, &slice->flags);
	return slice;
}

/**
 * qcow_cache_slice_free_later() - free a slice after a grace period
 * @slice: the slice, which has no references and is not in the cache any more
 *
 * Context: any.
 */
void qcow_cache_slice_free_later(struct qcow_slice *slice)
{
	call_rcu(&slice->rcu, slice_free_rcu);
}

/**
 * qcow_cache_put() - drop a reference to a slice
 * @slice: from qcow_cache_get()
 *
 * Context: any.
 */
void qcow_cache_put(struct qcow_slice *slice)
{
	if (refcount_dec_and_test(&slice->ref))
		qcow_cache_slice_free_later(slice);
}

/**
 * qcow_cache_slice_lookup() - find a slice in memory
 * @cache: the cache
 * @index: host offset, in slices
 *
 * Context: any.
 *
 * Return: the slice, which may still be loading, for qcow_cache_put(); or NULL.
 */
struct qcow_slice *qcow_cache_slice_lookup(struct qcow_cache *cache, unsigned long index)
{
	struct qcow_slice *slice;

	rcu_read_lock();
	slice = xa_load(&cache->slices, index);
	if (slice && !refcount_inc_not_zero(&slice->ref))
		slice = NULL;
	rcu_read_unlock();
	return slice;
}
