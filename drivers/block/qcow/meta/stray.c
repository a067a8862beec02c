// SPDX-License-Identifier: GPL-2.0
/*
 * Strays: clusters that are in use although their refcount is 0.
 *
 * A write that allocated one would overwrite data of the disk, or metadata. vet.c finds
 * strays of guest data before an L2 table that leads to them is changed for the first
 * time, or drops its references. Metadata is in the register. alloc.c never hands strays
 * out. Their refcounts stay as they are: nobody knows how many references there are, and
 * a count that is too low would lose data later on.
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

static void stray_report_meta(struct qcow_image *img, u64 cluster)
{
	if (test_and_set_bit(QCOW_IMAGE_CORRUPT, &img->flags))
		return;
	pr_err("%s: damaged: refcount of the metadata at %#llx of the file is zero; it goes on, and uses such clusters for nothing else: detach it and repair it with qcowctl check --repair=all\n",
	       img->label, cluster << img->layout.cluster_bits);
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
 * __qcow_stray_is() - tell whether a cluster with a refcount of 0 is in use
 * @a: of the image
 * @cluster: number
 *
 * Reports metadata that it finds.
 *
 * Context: under a->lock.
 *
 * Return: whether it holds metadata, or is a stray that was noted.
 */
bool __qcow_stray_is(struct qcow_alloc *a, u64 cluster)
{
	if (unlikely(qcow_register_has(&a->reg, cluster))) {
		stray_report_meta(a->img, cluster);
		return true;
	}
	return unlikely(a->strays.nr) && xa_load(&a->strays.clusters, cluster);
}

/**
 * __qcow_stray_skip() - leave strays out of a run of clusters with refcount 0
 * @a: of the image
 * @cluster: in: number of the first cluster; out: the first one that is no stray, or
 *	behind the run
 * @nr: number of clusters
 *
 * Context: under a->lock.
 *
 * Return: number of free clusters from the new @cluster on.
 */
u32 __qcow_stray_skip(struct qcow_alloc *a, u64 *cluster, u32 nr)
{
	u32 n = 0;

	if (likely(nr && !a->strays.nr && !qcow_register_has_any(&a->reg, *cluster, nr)))
		return nr;
	for (; nr && __qcow_stray_is(a, *cluster); nr--)
		++*cluster;
	while (n < nr && !__qcow_stray_is(a, *cluster + n))
		n++;
	return n;
}
