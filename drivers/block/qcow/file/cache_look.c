// SPDX-License-Identifier: GPL-2.0
/* The use of a cache of metadata, for debugfs. */
#include <linux/rcupdate.h>
#include <linux/refcount.h>

#include "file/cache.h"

/* Return: true if a task, or a flush that writes it, has a reference to the slice. */
static bool slice_pinned(const struct qcow_slice *slice)
{
	unsigned int own = test_bit(QCOW_SLICE_DIRTY, &slice->flags) ? 2 : 1;

	return refcount_read(&slice->ref) > own;
}

/**
 * qcow_cache_count_pinned() - count slices that are in use, some at a time
 * @cache: the cache
 * @index: in: the first slice to look at, 0 to begin; out: the next one
 * @most: most slices to look at
 * @pinned: increased by those in use
 *
 * Context: any.
 *
 * Return: whether there are more slices to look at.
 */
bool qcow_cache_count_pinned(struct qcow_cache *cache, unsigned long *index, u32 most,
			     u32 *pinned)
{
	struct qcow_slice *slice = NULL;
	unsigned long i;

	rcu_read_lock();
	xa_for_each_start(&cache->slices, i, slice, *index) {
		if (!most--)
			break;
		*pinned += slice_pinned(slice);
		*index = i + 1;
	}
	rcu_read_unlock();
	return slice;
}
