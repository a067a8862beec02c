// SPDX-License-Identifier: GPL-2.0
/*
 * Vetting: looking for strays in a slice of an L2 table before it is changed for the
 * first time. l2.c calls it.
 */
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
 * Return: 0; or the error of reading refcounts, -ENOMEM; or -EIO: the image is stopped.
 */
int qcow_vet_slice(struct qcow_alloc *a, struct qcow_slice *slice, u64 guest_offset)
{
	struct qcow_image *img = a->img;
	const struct qcow_layout *lay = &img->layout;
	u64 raw, first, at = guest_offset;
	const char *fault;
	u32 i, nr, step = lay->extended_l2 ? 2 : 1;
	int err = 0;

	if (likely(test_bit(QCOW_SLICE_VETTED, &slice->flags)))
		return 0;
	for (i = 0; vet_possible(img) && !err && i < img->slice_entries; i++) {
		raw = be64_to_cpu(READ_ONCE(slice->data[i * step]));
		/* An invalid entry is found when it is used. */
		if (raw && !qcow_entry_clusters(lay, raw, at, &first, &nr, &fault))
			err = vet_clusters(a, first, nr, at);
		at += 1ULL << lay->cluster_bits;
	}
	if (!err)
		set_bit(QCOW_SLICE_VETTED, &slice->flags);
	cond_resched();
	return err;
}
