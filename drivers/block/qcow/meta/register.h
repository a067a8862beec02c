/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_REGISTER_H
#define _QCOW_REGISTER_H

#include <linux/mutex.h>
#include <linux/types.h>

struct qcow_image;
struct qcow_register_table;

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

/**
 * struct qcow_register - the clusters that hold an image's metadata
 * @img: the image
 * @lock: protects the members below, and changes of the table
 * @table: a hash table of the units, each with its kind. A unit is the number of a
 *	cluster; in version 1 that of a sector, as tables are aligned to sectors there.
 *	Read under RCU
 * @nr: number of units
 * @end: behind the last unit of metadata that was found in the image
 * @max_bytes: most bytes of the table that metadata found in the image may fill
 */
struct qcow_register {
	struct qcow_image *img;
	/* Protects the members below. */
	struct mutex lock;
	struct qcow_register_table __rcu *table;
	u64 nr;
	u64 end;
	u64 max_bytes;
};

int __must_check qcow_register_init(struct qcow_register *reg, struct qcow_image *img);
void qcow_register_destroy(struct qcow_register *reg);

int __must_check qcow_register_add(struct qcow_register *reg, enum qcow_meta kind,
				   u64 host_offset, u64 bytes);
int __must_check qcow_register_claim(struct qcow_register *reg, enum qcow_meta kind,
				     u64 host_offset, u64 bytes);
int __must_check qcow_register_new(struct qcow_register *reg, enum qcow_meta kind,
				   u64 host_offset, u64 bytes);
void qcow_register_forget(struct qcow_register *reg, u64 host_offset, u64 bytes);
void qcow_register_forget_unit(struct qcow_register *reg, u64 unit);
void qcow_register_forget_kind(struct qcow_register *reg, enum qcow_meta kind);
bool qcow_register_holds(struct qcow_register *reg, enum qcow_meta kind, u64 host_offset,
			 u64 bytes);
bool qcow_register_fits(struct qcow_register *reg);
u64 qcow_register_bytes(struct qcow_register *reg);
u64 qcow_register_end(const struct qcow_register *reg);
enum qcow_meta qcow_register_find(struct qcow_register *reg, u64 unit, u64 nr);
bool qcow_register_next(struct qcow_register *reg, u64 *i, u64 *unit, enum qcow_meta *kind);

/* Return: the kind of metadata in a unit; 0: none. Any context. */
static inline enum qcow_meta qcow_register_kind(struct qcow_register *reg, u64 unit)
{
	return qcow_register_find(reg, unit, 1);
}

/*
 * Return: true if a unit holds metadata, which guest data must not overwrite. Any
 * context.
 */
static inline bool qcow_register_has(struct qcow_register *reg, u64 unit)
{
	return qcow_register_find(reg, unit, 1);
}

/* As qcow_register_has(), for any of @nr units, at least 1. */
static inline bool qcow_register_has_any(struct qcow_register *reg, u64 unit, u64 nr)
{
	return qcow_register_find(reg, unit, nr);
}

#endif /* _QCOW_REGISTER_H */
