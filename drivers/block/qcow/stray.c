// SPDX-License-Identifier: GPL-2.0
/*
 * Strays: clusters that the disk uses and that are free by their refcounts.
 *
 * Who is given one would write over what the disk has there. They are found when an
 * L2 table that leads to them is about to be changed for the first time, and are never
 * handed out from then on. Their refcounts stay as they are: nobody knows how many
 * references there are, and a count that is too low would lose data later on.
 */
#include <linux/sched.h>

#include "cache.h"
#include "refcount.h"
#include "stray.h"

/* So many are remembered; an image that has more is stopped. */
#define STRAY_MAX	BIT(16)

static void stray_report(struct qcow_image *img, u64 guest)
{
	if (test_and_set_bit(QCOW_IMAGE_CORRUPT, &img->flags))
		return;
	pr_err("%s: damaged at %#llx of the disk: refcount of a used cluster is zero; it goes on, and uses such clusters for nothing else: detach it and repair it with qcowctl check --repair=all\n",
	       img->label, guest);
}

static int __stray_note(struct qcow_alloc *a, u64 cluster, u64 guest)
{
	int err;

	lockdep_assert_held(&a->lock);
	if (xa_load(&a->strays, cluster))
		return 0;
	if (a->nr_strays >= STRAY_MAX) {
		qcow_image_damaged(a->img, guest, "refcounts of too many used clusters are zero");
		return -EIO;
	}
	err = xa_err(xa_store(&a->strays, cluster, xa_mk_value(1), GFP_NOIO));
	if (err)
		return err;
	WRITE_ONCE(a->nr_strays, a->nr_strays + 1);
	stray_report(a->img, guest);
	return 0;
}

/* Guest data in metadata is another fault, and found elsewhere. */
static int stray_check(struct qcow_alloc *a, u64 first, u32 nr, u64 guest)
{
	u64 value, i;
	int err = 0;

	mutex_lock(&a->lock);
	for (i = first; !err && i < first + nr; i++) {
		/* No entry leads to a cluster that is reserved: it was free before. */
		__qcow_alloc_unreserve(a, i);
		err = __qcow_refcount_get(a, i, &value);
		if (!err && !value && !qcow_alloc_is_meta(a, i))
			err = __stray_note(a, i, guest);
	}
	mutex_unlock(&a->lock);
	return err;
}

static bool stray_possible(const struct qcow_image *img)
{
	return qcow_layout_has_refcounts(&img->layout) && !img->layout.data_file;
}

/**
 * qcow_stray_vet() - look for strays among what a slice of an L2 table leads to
 * @a: of the image
 * @slice: of an active table, referenced
 * @guest: bytes into the disk that its first entry stands for
 *
 * Once for each slice, as long as it is in memory. Context: in an I/O that is counted
 * by qcow_inflight_begin(), so that nothing is given up meanwhile. May sleep.
 * Return: 0; or the error of reading refcounts, -ENOMEM; or -EIO: the image is stopped.
 */
int qcow_stray_vet(struct qcow_alloc *a, struct qcow_slice *slice, u64 guest)
{
	struct qcow_image *img = a->img;
	const struct qcow_layout *lay = &img->layout;
	u64 raw, first, pos = guest;
	const char *fault;
	u32 i, nr, step = lay->extended_l2 ? 2 : 1;
	int err = 0;

	if (likely(test_bit(QCOW_SLICE_VETTED, &slice->flags)))
		return 0;
	for (i = 0; stray_possible(img) && !err && i < img->slice_entries; i++) {
		raw = be64_to_cpu(READ_ONCE(slice->data[i * step]));
		/* What makes no sense is found when it is used. */
		if (raw && !qcow_entry_clusters(lay, raw, pos, &first, &nr, &fault))
			err = stray_check(a, first, nr, pos);
		pos += 1ULL << lay->cluster_bits;
	}
	if (!err)
		set_bit(QCOW_SLICE_VETTED, &slice->flags);
	cond_resched();
	return err;
}

/**
 * __qcow_stray_skip() - leave strays out of clusters that seem to be free
 * @a: of the image
 * @cluster: number of the first; the result: behind the first stray if that is one
 * @nr: how many
 *
 * Context: under a->lock. Return: how many are free from the new @cluster on.
 */
u32 __qcow_stray_skip(struct qcow_alloc *a, u64 *cluster, u32 nr)
{
	unsigned long at = *cluster;

	if (likely(!a->nr_strays) || !nr ||
	    !xa_find(&a->strays, &at, *cluster + nr - 1, XA_PRESENT))
		return nr;
	if (at > *cluster)
		return at - *cluster;
	++*cluster;
	return 0;
}
