/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_REGISTER_H
#define _QCOW_REGISTER_H

#include <linux/bitops.h>
#include <linux/hash.h>
#include <linux/types.h>
#include <linux/xarray.h>

struct qcow_image;

/* The content of a cluster of metadata; no cluster holds two kinds. */
enum qcow_meta {
	QCOW_META_HEADER = 1,
	QCOW_META_L1,
	QCOW_META_L2,
	QCOW_META_REFTABLE,
	QCOW_META_REFBLOCK,
	QCOW_META_SNAPSHOTS,
	QCOW_META_INACTIVE_L1,
	QCOW_META_BITMAP,
	QCOW_META_LUKS,
};

/* log2 of the bits of the register's filter */
#define QCOW_REGISTER_FILTER_BITS	14

/**
 * struct qcow_register - the clusters that hold an image's metadata
 * @img: the image
 * @units: enum qcow_meta by the number of the cluster; in version 1 by the number of
 *	the sector, as tables are aligned to sectors there
 * @filter: a bit for the hash of each unit that was ever in @units. Most units have none, so
 *	that a write in place need not look @units up
 * @nodes: memory that @units takes, in nodes, approximately
 * @last: the unit that was added last
 * @max_nodes: most nodes
 */
struct qcow_register {
	struct qcow_image *img;
	struct xarray units;
	DECLARE_BITMAP(filter, 1 << QCOW_REGISTER_FILTER_BITS);
	u64 nodes;
	u64 last;
	u64 max_nodes;
};

void qcow_register_init(struct qcow_register *reg, struct qcow_image *img);
void qcow_register_destroy(struct qcow_register *reg);

int __must_check qcow_register_add(struct qcow_register *reg, enum qcow_meta kind,
				   u64 host_offset, u64 bytes);
int __must_check qcow_register_claim(struct qcow_register *reg, enum qcow_meta kind,
				     u64 host_offset, u64 bytes);
int __must_check qcow_register_new(struct qcow_register *reg, enum qcow_meta kind,
				   u64 host_offset, u64 bytes);
void qcow_register_forget(struct qcow_register *reg, u64 host_offset, u64 bytes);
void qcow_register_forget_kind(struct qcow_register *reg, enum qcow_meta kind);
bool qcow_register_holds(struct qcow_register *reg, enum qcow_meta kind, u64 host_offset,
			 u64 bytes);
bool qcow_register_fits(const struct qcow_register *reg);
void qcow_register_recount(struct qcow_register *reg);

/* Return: the kind of metadata in a unit; 0: none. Any context. */
static inline enum qcow_meta qcow_register_kind(struct qcow_register *reg, u64 unit)
{
	void *kind = xa_load(&reg->units, unit);

	return kind ? xa_to_value(kind) : 0;
}

/*
 * Return: true if a unit holds metadata, which guest data must not overwrite. Any
 * context.
 */
static inline bool qcow_register_has(struct qcow_register *reg, u64 unit)
{
	if (likely(!test_bit(hash_64(unit, QCOW_REGISTER_FILTER_BITS), reg->filter)))
		return false;
	return xa_load(&reg->units, unit);
}

/* As qcow_register_has(), for any of @nr units, at least 1. */
static inline bool qcow_register_has_any(struct qcow_register *reg, u64 unit, u64 nr)
{
	unsigned long found = unit;

	return xa_find(&reg->units, &found, unit + nr - 1, XA_PRESENT);
}

static inline void qcow_register_forget_unit(struct qcow_register *reg, u64 unit)
{
	xa_erase(&reg->units, unit);
}

/*
 * Go through all units with metadata, in ascending order; @entry is a void pointer. May
 * sleep.
 */
#define qcow_register_for_each(reg, unit, entry) \
	xa_for_each(&(reg)->units, unit, entry)

#endif /* _QCOW_REGISTER_H */
