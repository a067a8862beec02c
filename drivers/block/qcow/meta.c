// SPDX-License-Identifier: GPL-2.0
/*
 * The register of where an image's metadata lies, which guest data must not hit.
 *
 * It is filled when the image is opened. Each table that is made later is added
 * before it is written, and taken out when its clusters are free again.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "alloc.h"

/* How much of the machine's memory may be spent on knowing where metadata lies. */
#define META_SHARE	16

void qcow_alloc_init_meta(struct qcow_alloc *a)
{
	xa_init_flags(&a->meta, XA_FLAGS_ACCOUNT);
	a->meta_max = (u64)totalram_pages() / META_SHARE *
		      (PAGE_SIZE / sizeof(struct xa_node));
}

/*
 * Numbers close to each other share nodes. Whoever made the image decides how far
 * apart they are, and so how much memory a small file takes.
 */
static void meta_count(struct qcow_alloc *a, u64 unit)
{
	u32 shift;

	for (shift = XA_CHUNK_SHIFT; shift < BITS_PER_LONG; shift += XA_CHUNK_SHIFT)
		if (unit >> shift != a->meta_last >> shift)
			a->meta_nodes++;
	a->meta_last = unit;
}

/**
 * qcow_alloc_meta_fits() - is there memory to know of more metadata?
 * @a: of the image
 *
 * What is made here is bounded by the disk that it lies on; but what is only found,
 * in an image or a snapshot, is bounded by nothing. Any context.
 */
bool qcow_alloc_meta_fits(const struct qcow_alloc *a)
{
	return a->meta_nodes <= a->meta_max;
}

/**
 * qcow_alloc_recount_meta() - count anew what memory that takes
 * @a: of the image
 *
 * For what was given up is not subtracted. May sleep.
 */
void qcow_alloc_recount_meta(struct qcow_alloc *a)
{
	unsigned long unit;
	void *kind;

	a->meta_nodes = 0;
	xa_for_each(&a->meta, unit, kind) {
		meta_count(a, unit);
		cond_resched();
	}
}

/**
 * qcow_alloc_add_meta() - note that a piece of the file holds metadata
 * @a: of the image
 * @kind: what it holds
 * @offset: bytes into the file
 * @bytes: how many
 *
 * It may be noted already, if its kind is the same: so this is for what is found,
 * not for what is made. May sleep.
 * Return: 0, -ENOMEM, or -EUCLEAN: it holds something else.
 */
int qcow_alloc_add_meta(struct qcow_alloc *a, enum qcow_meta kind, u64 offset,
			u64 bytes)
{
	u32 bits = a->img->layout.align_bits;
	u64 unit = offset >> bits, last = (offset + bytes - 1) >> bits;
	void *old, *new = xa_mk_value(kind);
	int err;

	for (; bytes && unit <= last; unit++) {
		old = xa_load(&a->meta, unit);
		if (old == new)
			continue;
		if (old)
			return -EUCLEAN;
		err = xa_err(xa_store(&a->meta, unit, new, GFP_NOIO));
		if (err)
			return err;
		meta_count(a, unit);
	}
	return 0;
}

/* Whether metadata is noted in any part of a piece of the file. */
static bool meta_any(struct qcow_alloc *a, u64 offset, u64 bytes)
{
	u32 bits = a->img->layout.align_bits;
	u64 unit = offset >> bits, last = (offset + bytes - 1) >> bits;

	for (; bytes && unit <= last; unit++)
		if (qcow_alloc_is_meta(a, unit))
			return true;
	return false;
}

/**
 * qcow_alloc_claim_meta() - note what is found in an image that is opened
 * @a: of the image
 * @kind: what it holds
 * @offset: bytes into the file
 * @bytes: how many
 *
 * As qcow_alloc_add_meta(), but no two pieces may share a cluster, or a sector in
 * version 1. May sleep.
 * Return: 0, -ENOMEM, -EUCLEAN: they overlap; or -EFBIG: to know of all of them
 * takes too much memory.
 */
int qcow_alloc_claim_meta(struct qcow_alloc *a, enum qcow_meta kind, u64 offset,
			  u64 bytes)
{
	if (meta_any(a, offset, bytes))
		return -EUCLEAN;
	if (!qcow_alloc_meta_fits(a))
		return -EFBIG;
	return qcow_alloc_add_meta(a, kind, offset, bytes);
}

/**
 * qcow_alloc_forget_meta() - a piece of the file holds no metadata any more
 * @a: of the image
 * @offset: bytes into the file
 * @bytes: how many
 *
 * May sleep.
 */
void qcow_alloc_forget_meta(struct qcow_alloc *a, u64 offset, u64 bytes)
{
	u32 bits = a->img->layout.align_bits;
	u64 unit = offset >> bits, last = (offset + bytes - 1) >> bits;

	for (; bytes && unit <= last; unit++)
		xa_erase(&a->meta, unit);
}

/**
 * qcow_alloc_new_meta() - note where a table is being made
 * @a: of the image
 * @kind: what it will hold
 * @offset: bytes into the file
 * @bytes: how many
 *
 * The refcounts said that its clusters are free. If metadata is there, also of the
 * same kind, the refcounts are wrong, and the image is stopped. May sleep.
 * Return: 0; -ENOMEM; or -EIO: it was stopped. Nothing is noted after an error.
 */
int qcow_alloc_new_meta(struct qcow_alloc *a, enum qcow_meta kind, u64 offset,
			u64 bytes)
{
	int err;

	if (meta_any(a, offset, bytes)) {
		qcow_image_damaged(a->img, 0, "refcount of a metadata cluster is zero");
		return -EIO;
	}
	err = qcow_alloc_add_meta(a, kind, offset, bytes);
	if (err)
		qcow_alloc_forget_meta(a, offset, bytes);
	return err;
}

/**
 * qcow_alloc_holds() - is a piece of the file noted to hold one kind of metadata?
 * @a: of the image
 * @kind: what it is to hold
 * @offset: bytes into the file
 * @bytes: how many
 *
 * Any context. Return: whether all of it does.
 */
bool qcow_alloc_holds(struct qcow_alloc *a, enum qcow_meta kind, u64 offset,
		      u64 bytes)
{
	u32 bits = a->img->layout.align_bits;
	u64 unit = offset >> bits, last = (offset + bytes - 1) >> bits;

	for (; bytes && unit <= last; unit++)
		if (xa_load(&a->meta, unit) != xa_mk_value(kind))
			return false;
	return true;
}
