/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_CHECKER_H
#define _QCOW_CHECKER_H

#include <linux/types.h>

/* What may use a cluster of the file, in checker.uses. */
#define CHECKER_META	BIT(0)
#define CHECKER_DATA	BIT(1)
#define CHECKER_COMP	BIT(2)

/* What checker_find() finds. */
enum checker_kind {
	CHECKER_HOLE,
	CHECKER_ZERO,
	CHECKER_HOST,
	CHECKER_COMPRESSED,
};

/**
 * struct checker - an image looked at by what the specification says
 * @data: the image file
 * @size: bytes of it
 * @version: 1: there are no refcounts
 * @bits: log2 of the cluster size
 * @unit: log2 of what @refs and @uses count
 * @l2_bits: log2 of the entries of an L2 table
 * @order: log2 of the bits of a refcount
 * @extended: extended L2 entries
 * @disk: bytes of the disk
 * @l1_at: the active L1 table
 * @l1_size: entries in it
 * @table_at: the refcount table
 * @table_size: entries in it
 * @refs: how often each cluster of the file, or of version 1 sector, is referred to
 * @uses: as what, CHECKER_*
 * @nr: of them in the file
 * @max: room for so many at @refs and @uses
 * @leaks: clusters with a higher refcount than references
 * @errors: corruptions
 * @text: the first of them
 */
struct checker {
	const u8 *data;
	u64 size;
	u32 version;
	u32 bits;
	u32 unit;
	u32 l2_bits;
	u32 order;
	bool extended;
	u64 disk;
	u64 l1_at;
	u32 l1_size;
	u64 table_at;
	u64 table_size;
	u16 *refs;
	u8 *uses;
	u64 nr;
	u64 max;
	u32 leaks;
	u32 errors;
	char text[120];
};

int checker_init(struct checker *k, u64 max_clusters);
void checker_free(struct checker *k);
void checker_walk(struct checker *k, const void *data, u64 size);
bool checker_check(struct checker *k, const void *data, u64 size);
enum checker_kind checker_find(const struct checker *k, u64 pos, u64 *at);
u64 checker_refcount(const struct checker *k, u64 cluster);

/* Bit by bit, as the specification says. */
u64 checker_get_bits(const u8 *block, u32 order, u64 index);
void checker_put_bits(u8 *block, u32 order, u64 index, u64 value);

#endif /* _QCOW_CHECKER_H */
