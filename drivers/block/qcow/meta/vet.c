// SPDX-License-Identifier: GPL-2.0
/*
 * Vetting: looking for strays in a slice of an L2 table before it is changed for the
 * first time, and in a table before it drops its references. l2.c and tree.c call it.
 */
#include <linux/err.h>
#include <linux/sched.h>

#include "file/cache.h"
#include "meta/alloc.h"
#include "meta/refcount.h"
#include "meta/stray.h"
#include "meta/vet.h"

/* Guest data in metadata is another fault, which entry_release() and writes find. */
static int vet_clusters(struct qcow_alloc *a, u64 first, u32 nr, u64 guest_offset)
{
	u64 value, i;
	int err = 0;

	mutex_lock(&a->lock);
	for (i = first; !err && i < first + nr; i++) {
		/* No entry may lead to a reserved cluster, which was free before. */
		__qcow_alloc_unreserve(a, i);
		err = __qcow_refcount_get(a, i, &value);
		if (!err && !value && !qcow_register_has(&a->reg, i))
			err = __qcow_stray_note(a, i, guest_offset);
	}
	mutex_unlock(&a->lock);
	return err;
}

static bool vet_possible(const struct qcow_image *img)
{
	return qcow_layout_has_refcounts(&img->layout) && !img->layout.data_file;
}

/* As qcow_vet_slice(); -E2BIG: there are too many strays. */
static int vet_slice(struct qcow_alloc *a, struct qcow_slice *slice, u64 guest_offset)
{
	struct qcow_image *img = a->img;
	const struct qcow_layout *lay = &img->layout;
	u64 raw, first;
	const char *fault;
	u32 i, nr, step = lay->extended_l2 ? 2 : 1;
	int err = 0;

	if (likely(test_bit(QCOW_SLICE_VETTED, &slice->flags)))
		return 0;
	for (i = 0; vet_possible(img) && !err && i < img->slice_entries; i++) {
		raw = be64_to_cpu(READ_ONCE(slice->data[i * step]));
		/* An invalid entry is found when it is used. */
		if (raw && !qcow_entry_clusters(lay, raw, guest_offset, &first, &nr, &fault))
			err = vet_clusters(a, first, nr, guest_offset);
		guest_offset += 1ULL << lay->cluster_bits;
	}
	if (!err)
		set_bit(QCOW_SLICE_VETTED, &slice->flags);
	cond_resched();
	return err;
}

/**
 * qcow_vet_slice() - look for strays among the clusters of a slice of an L2 table
 * @a: of the image
 * @slice: of an active table, referenced
 * @guest_offset: guest offset of its first entry
 *
 * Does it once for each slice, as long as the slice is in memory.
 *
 * Context: in an I/O that is counted by qcow_inflight_begin(), so that no cluster is
 * freed meanwhile. May sleep.
 *
 * Return: 0; or the error of reading refcounts, -ENOMEM; or -EIO: there are too many
 * strays, and the image is stopped.
 */
int qcow_vet_slice(struct qcow_alloc *a, struct qcow_slice *slice, u64 guest_offset)
{
	int err = vet_slice(a, slice, guest_offset);

	if (err != -E2BIG)
		return err;
	qcow_image_damaged(a->img, guest_offset,
			   "refcounts of too many used clusters are zero");
	return -EIO;
}

/**
 * qcow_vet_table() - look for strays among the clusters of an L2 table
 * @a: of the image
 * @l2_host_offset: host offset of the table
 * @guest_offset: guest offset of its first entry
 *
 * For a table that is about to drop its references. Does the whole table: when the
 * first reference is dropped, a refcount of 0 is no longer proof of a stray.
 *
 * Context: no task drops references of the table meanwhile. May sleep.
 *
 * Return: 0; -E2BIG: there are too many strays; -ENOMEM; or the error of reading the
 * table or refcounts.
 */
int qcow_vet_table(struct qcow_alloc *a, u64 l2_host_offset, u64 guest_offset)
{
	const struct qcow_layout *lay = &a->img->layout;
	u64 bytes = qcow_layout_l2_bytes(lay), in_table;
	struct qcow_slice *slice;
	int err = 0;

	for (in_table = 0; !err && in_table < bytes;
	     in_table += 1ULL << a->img->cache->slice_bits) {
		slice = qcow_cache_get(a->img->cache, l2_host_offset + in_table);
		if (IS_ERR(slice))
			return PTR_ERR(slice);
		err = vet_slice(a, slice, guest_offset +
				(in_table >> lay->entry_bits << lay->cluster_bits));
		qcow_cache_put(slice);
	}
	return err;
}
