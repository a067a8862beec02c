// SPDX-License-Identifier: GPL-2.0
/*
 * The register of where an image's metadata lies, which guest data must not hit.
 *
 * It is filled when the image is opened. Each table that is made later is added
 * before it is written, and taken out when its clusters are free again.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "meta/qcow.h"
#include "meta/register.h"

/* How much of the machine's memory may be spent on knowing where metadata lies. */
#define REGISTER_SHARE	16

/**
 * qcow_register_init() - make an empty register
 * @reg: the register
 * @img: its image
 */
void qcow_register_init(struct qcow_register *reg, struct qcow_image *img)
{
	reg->img = img;
	xa_init_flags(&reg->units, XA_FLAGS_ACCOUNT);
	reg->max_nodes = (u64)totalram_pages() / REGISTER_SHARE *
			 (PAGE_SIZE / sizeof(struct xa_node));
}

/**
 * qcow_register_destroy() - forget all of a register
 * @reg: the register
 */
void qcow_register_destroy(struct qcow_register *reg)
{
	xa_destroy(&reg->units);
}

/*
 * Numbers close to each other share nodes. Whoever made the image decides how far
 * apart they are, and so how much memory a small file takes.
 */
static void register_count(struct qcow_register *reg, u64 unit)
{
	u32 shift;

	for (shift = XA_CHUNK_SHIFT; shift < BITS_PER_LONG; shift += XA_CHUNK_SHIFT)
		if (unit >> shift != reg->last >> shift)
			reg->nodes++;
	reg->last = unit;
}

/**
 * qcow_register_fits() - is there memory to know of more metadata?
 * @reg: the register
 *
 * What is made here is bounded by the disk that it lies on; but what is only found, in
 * an image or a snapshot, is bounded by nothing.
 *
 * Context: any.
 *
 * Return: whether there is.
 */
bool qcow_register_fits(const struct qcow_register *reg)
{
	return reg->nodes <= reg->max_nodes;
}

/**
 * qcow_register_recount() - count anew what memory that takes
 * @reg: the register
 *
 * For what was given up is not subtracted.
 *
 * Context: may sleep.
 */
void qcow_register_recount(struct qcow_register *reg)
{
	unsigned long unit;
	void *kind;

	reg->nodes = 0;
	xa_for_each(&reg->units, unit, kind) {
		register_count(reg, unit);
		cond_resched();
	}
}

/**
 * qcow_register_add() - note that a piece of the file holds metadata
 * @reg: the register
 * @kind: what it holds
 * @offset: bytes into the file
 * @bytes: how many
 *
 * It may be noted already, if its kind is the same: so this is for what is found, not
 * for what is made.
 *
 * Context: may sleep.
 *
 * Return: 0, -ENOMEM, or -EUCLEAN: it holds something else.
 */
int qcow_register_add(struct qcow_register *reg, enum qcow_meta kind, u64 offset,
		      u64 bytes)
{
	u32 bits = reg->img->layout.align_bits;
	u64 unit = offset >> bits, last = (offset + bytes - 1) >> bits;
	void *old, *new = xa_mk_value(kind);
	int err;

	for (; bytes && unit <= last; unit++) {
		old = xa_load(&reg->units, unit);
		if (old == new)
			continue;
		if (old)
			return -EUCLEAN;
		err = xa_err(xa_store(&reg->units, unit, new, GFP_NOIO));
		if (err)
			return err;
		register_count(reg, unit);
	}
	return 0;
}

/* Whether metadata is noted in any part of a piece of the file. */
static bool register_any(struct qcow_register *reg, u64 offset, u64 bytes)
{
	u32 bits = reg->img->layout.align_bits;
	u64 unit = offset >> bits, last = (offset + bytes - 1) >> bits;

	for (; bytes && unit <= last; unit++)
		if (qcow_register_has(reg, unit))
			return true;
	return false;
}

/**
 * qcow_register_claim() - note what is found in an image that is opened
 * @reg: the register
 * @kind: what it holds
 * @offset: bytes into the file
 * @bytes: how many
 *
 * As qcow_register_add(), but no two pieces may share a cluster, or a sector in version
 * 1.
 *
 * Context: may sleep.
 *
 * Return: 0, -ENOMEM, -EUCLEAN: they overlap; or -EFBIG: to know of all of them takes
 * too much memory.
 */
int qcow_register_claim(struct qcow_register *reg, enum qcow_meta kind, u64 offset,
			u64 bytes)
{
	if (register_any(reg, offset, bytes))
		return -EUCLEAN;
	if (!qcow_register_fits(reg))
		return -EFBIG;
	return qcow_register_add(reg, kind, offset, bytes);
}

/**
 * qcow_register_forget() - a piece of the file holds no metadata any more
 * @reg: the register
 * @offset: bytes into the file
 * @bytes: how many
 *
 * Context: may sleep.
 */
void qcow_register_forget(struct qcow_register *reg, u64 offset, u64 bytes)
{
	u32 bits = reg->img->layout.align_bits;
	u64 unit = offset >> bits, last = (offset + bytes - 1) >> bits;

	for (; bytes && unit <= last; unit++)
		xa_erase(&reg->units, unit);
}

/**
 * qcow_register_forget_kind() - forget all metadata of one kind
 * @reg: the register
 * @kind: the kind
 *
 * Context: may sleep.
 */
void qcow_register_forget_kind(struct qcow_register *reg, enum qcow_meta kind)
{
	unsigned long unit;
	void *entry;

	xa_for_each(&reg->units, unit, entry)
		if (xa_to_value(entry) == kind)
			xa_erase(&reg->units, unit);
}

/**
 * qcow_register_new() - note where a table is being made
 * @reg: the register
 * @kind: what it will hold
 * @offset: bytes into the file
 * @bytes: how many
 *
 * The refcounts said that its clusters are free. If metadata is there, also of the same
 * kind, the refcounts are wrong, and the image is stopped.
 *
 * Context: may sleep.
 *
 * Return: 0; -ENOMEM; or -EIO: it was stopped. Nothing is noted after an error.
 */
int qcow_register_new(struct qcow_register *reg, enum qcow_meta kind, u64 offset,
		      u64 bytes)
{
	int err;

	if (register_any(reg, offset, bytes)) {
		qcow_image_damaged(reg->img, 0, "refcount of a metadata cluster is zero");
		return -EIO;
	}
	err = qcow_register_add(reg, kind, offset, bytes);
	if (err)
		qcow_register_forget(reg, offset, bytes);
	return err;
}

/**
 * qcow_register_holds() - is a piece of the file noted to hold one kind of metadata?
 * @reg: the register
 * @kind: what it is to hold
 * @offset: bytes into the file
 * @bytes: how many
 *
 * Context: any.
 *
 * Return: whether all of it does.
 */
bool qcow_register_holds(struct qcow_register *reg, enum qcow_meta kind, u64 offset,
			 u64 bytes)
{
	u32 bits = reg->img->layout.align_bits;
	u64 unit = offset >> bits, last = (offset + bytes - 1) >> bits;

	for (; bytes && unit <= last; unit++)
		if (xa_load(&reg->units, unit) != xa_mk_value(kind))
			return false;
	return true;
}
