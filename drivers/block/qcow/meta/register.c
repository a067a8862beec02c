// SPDX-License-Identifier: GPL-2.0
/*
 * The register of the clusters that hold an image's metadata. Files of meta/ add their
 * tables; writes and the allocator ask it, so that guest data never overwrites
 * metadata.
 *
 * It is filled when the image is opened. A table that is made later is added before it
 * is written, and removed when its clusters are free again.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "meta/qcow.h"
#include "meta/register.h"

/* A register takes at most the machine's memory divided by this. */
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
	bitmap_zero(reg->filter, 1 << QCOW_REGISTER_FILTER_BITS);
	reg->max_nodes = (u64)totalram_pages() / REGISTER_SHARE *
			 (PAGE_SIZE / sizeof(struct xa_node));
}

/**
 * qcow_register_destroy() - empty a register
 * @reg: the register
 */
void qcow_register_destroy(struct qcow_register *reg)
{
	xa_destroy(&reg->units);
}

/*
 * Count nodes: close numbers share a node. The image's author decides how far apart the
 * numbers are, and so how much memory a small file takes.
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
 * qcow_register_fits() - tell whether the register is within its limit
 * @reg: the register
 *
 * The disk below bounds the metadata that the driver makes. Nothing bounds the metadata
 * that it finds, in an image or a snapshot.
 *
 * Context: any.
 *
 * Return: whether it is.
 */
bool qcow_register_fits(const struct qcow_register *reg)
{
	return reg->nodes <= reg->max_nodes;
}

/**
 * qcow_register_recount() - count anew the memory that a register takes
 * @reg: the register
 *
 * Removed entries are not subtracted otherwise.
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
 * qcow_register_add() - register metadata that was found in the image
 * @reg: the register
 * @kind: kind of the metadata
 * @host_offset: bytes into the file
 * @bytes: number of bytes
 *
 * It may be registered already with the same kind. For a new table see
 * qcow_register_new().
 *
 * Context: may sleep.
 *
 * Return: 0; -ENOMEM; or -EUCLEAN: another kind of metadata is there.
 */
int qcow_register_add(struct qcow_register *reg, enum qcow_meta kind, u64 host_offset,
		      u64 bytes)
{
	u32 bits = reg->img->layout.align_bits;
	u64 unit = host_offset >> bits, last = (host_offset + bytes - 1) >> bits;
	void *old, *new = xa_mk_value(kind);
	int err;

	for (; bytes && unit <= last; unit++) {
		old = xa_load(&reg->units, unit);
		if (old == new)
			continue;
		if (old)
			return -EUCLEAN;
		/* Before the unit: qcow_register_has() looks here first. */
		set_bit(hash_64(unit, QCOW_REGISTER_FILTER_BITS), reg->filter);
		err = xa_err(xa_store(&reg->units, unit, new, GFP_NOIO));
		if (err)
			return err;
		register_count(reg, unit);
	}
	return 0;
}

/* Return: true if metadata is registered in any part of a piece of the file. */
static bool register_any(struct qcow_register *reg, u64 host_offset, u64 bytes)
{
	u32 bits = reg->img->layout.align_bits;
	u64 unit = host_offset >> bits, last = (host_offset + bytes - 1) >> bits;

	return bytes && qcow_register_has_any(reg, unit, last - unit + 1);
}

/**
 * qcow_register_claim() - register metadata that must not overlap other metadata
 * @reg: the register
 * @kind: kind of the metadata
 * @host_offset: bytes into the file
 * @bytes: number of bytes
 *
 * For opening an image. As qcow_register_add(), but no two tables may share a cluster,
 * or a sector in version 1.
 *
 * Context: may sleep.
 *
 * Return: 0; -ENOMEM; -EUCLEAN: they overlap; or -EFBIG: the register would take too
 * much memory.
 */
int qcow_register_claim(struct qcow_register *reg, enum qcow_meta kind, u64 host_offset,
			u64 bytes)
{
	if (register_any(reg, host_offset, bytes))
		return -EUCLEAN;
	if (!qcow_register_fits(reg))
		return -EFBIG;
	return qcow_register_add(reg, kind, host_offset, bytes);
}

/**
 * qcow_register_forget() - remove metadata from the register
 * @reg: the register
 * @host_offset: bytes into the file
 * @bytes: number of bytes
 *
 * Context: may sleep.
 */
void qcow_register_forget(struct qcow_register *reg, u64 host_offset, u64 bytes)
{
	u32 bits = reg->img->layout.align_bits;
	u64 unit = host_offset >> bits, last = (host_offset + bytes - 1) >> bits;

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
 * qcow_register_new() - register a new table
 * @reg: the register
 * @kind: kind of the table
 * @host_offset: bytes into the file
 * @bytes: number of bytes
 *
 * The table's clusters were free by their refcounts. If metadata is there, also of the
 * same kind, the refcounts are wrong, and the image is stopped.
 *
 * Context: may sleep.
 *
 * Return: 0; -ENOMEM; or -EIO: the image is stopped. An error leaves the register
 * unchanged.
 */
int qcow_register_new(struct qcow_register *reg, enum qcow_meta kind, u64 host_offset,
		      u64 bytes)
{
	int err;

	if (register_any(reg, host_offset, bytes)) {
		qcow_image_damaged(reg->img, 0, "refcount of a metadata cluster is zero");
		return -EIO;
	}
	err = qcow_register_add(reg, kind, host_offset, bytes);
	if (err)
		qcow_register_forget(reg, host_offset, bytes);
	return err;
}

/**
 * qcow_register_holds() - tell whether a piece of the file has metadata of one kind
 * @reg: the register
 * @kind: the kind
 * @host_offset: bytes into the file
 * @bytes: number of bytes
 *
 * Context: any.
 *
 * Return: whether all of it is.
 */
bool qcow_register_holds(struct qcow_register *reg, enum qcow_meta kind, u64 host_offset,
			 u64 bytes)
{
	u32 bits = reg->img->layout.align_bits;
	u64 unit = host_offset >> bits, last = (host_offset + bytes - 1) >> bits;

	for (; bytes && unit <= last; unit++)
		if (xa_load(&reg->units, unit) != xa_mk_value(kind))
			return false;
	return true;
}
