// SPDX-License-Identifier: GPL-2.0
/*
 * Strays: clusters that the disk uses although their refcount is 0.
 *
 * A write that allocated one would overwrite data of the disk. vet.c finds strays
 * before an L2 table that leads to them is changed for the first time, or drops its
 * references, and alloc.c never hands them out from then on. Their refcounts stay as
 * they are: nobody knows how many references there are, and a count that is too low
 * would lose data later on.
 */
#include "meta/stray.h"

/* Most strays of an image. */
#define STRAY_MAX	BIT(16)

static void stray_report(struct qcow_image *img, u64 guest_offset)
{
	if (test_and_set_bit(QCOW_IMAGE_CORRUPT, &img->flags))
		return;
	pr_err("%s: damaged at %#llx of the disk: refcount of a used cluster is zero; it goes on, and uses such clusters for nothing else: detach it and repair it with qcowctl check --repair=all\n",
	       img->label, guest_offset);
}

/**
 * __qcow_stray_note() - remember a stray
 * @a: of the image
 * @cluster: number
 * @guest_offset: guest offset whose L2 entry leads to it
 *
 * Context: under a->lock. May sleep.
 *
 * Return: 0; -ENOMEM; or -E2BIG: there are too many.
 */
int __qcow_stray_note(struct qcow_alloc *a, u64 cluster, u64 guest_offset)
{
	int err;

	lockdep_assert_held(&a->lock);
	if (xa_load(&a->strays.clusters, cluster))
		return 0;
	if (a->strays.nr >= STRAY_MAX)
		return -E2BIG;
	err = xa_err(xa_store(&a->strays.clusters, cluster, xa_mk_value(1), GFP_NOIO));
	if (err)
		return err;
	WRITE_ONCE(a->strays.nr, a->strays.nr + 1);
	stray_report(a->img, guest_offset);
	return 0;
}

/**
 * __qcow_stray_skip() - leave strays out of a run of clusters with refcount 0
 * @a: of the image
 * @cluster: in: number of the first cluster; out: the next one, if that is a stray
 * @nr: number of clusters
 *
 * Context: under a->lock.
 *
 * Return: number of free clusters from the new @cluster on.
 */
u32 __qcow_stray_skip(struct qcow_alloc *a, u64 *cluster, u32 nr)
{
	unsigned long found = *cluster;

	if (likely(!a->strays.nr) || !nr ||
	    !xa_find(&a->strays.clusters, &found, *cluster + nr - 1, XA_PRESENT))
		return nr;
	if (found > *cluster)
		return found - *cluster;
	++*cluster;
	return 0;
}
