/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The checker reads an image in memory as the specification says, finds corruptions and
 * leaks, and the host offset of each sector. It owns counts of references and changes no
 * image. It shares no code with the driver, so that both are unlikely to be wrong alike.
 */
#ifndef _QCOW_CHECKER_H
#define _QCOW_CHECKER_H

#include <linux/types.h>

/* Uses of a cluster of the file, in checker.uses. */
#define CHECKER_META	BIT(0)
#define CHECKER_DATA	BIT(1)
#define CHECKER_COMP	BIT(2)
#define CHECKER_L2	BIT(3)

#define CHECKER_SNAPSHOTS	24
#define CHECKER_NAME		16

/* Kinds of sectors that checker_find() finds. */
enum checker_kind {
	CHECKER_HOLE,
	CHECKER_ZERO,
	CHECKER_HOST,
	CHECKER_COMPRESSED,
};

/**
 * struct checker_snapshot - a snapshot that was met
 * @l1_at: its L1 table
 * @l1_size: entries in it
 * @name: its name, as far as it fits
 */
struct checker_snapshot {
	u64 l1_at;
	u32 l1_size;
	char name[CHECKER_NAME];
};

/**
 * struct checker - an image, read by the words of the specification
 * @data: the image file
 * @size: bytes of it
 * @bits: log2 of the cluster size
 * @order: log2 of the bits of a refcount
 * @extended: extended L2 entries
 * @v1: qcow version 1: no refcounts, and @refs is by sectors
 * @l2_bits: log2 of the entries of an L2 table
 * @disk: bytes of the disk
 * @l1_at: the active L1 table
 * @l1_size: entries in it
 * @table_at: the refcount table
 * @table_size: entries in it
 * @refs: how often each cluster of the file is referred to
 * @uses: the kinds of these references, CHECKER_*
 * @nr: clusters of the file
 * @max: room for so many at @refs and @uses
 * @snapshots: those that it has
 * @nr_snapshots: how many
 * @inactive: the walk is in the tables of a snapshot
 * @lenient: wrong COPIED flags that let no shared cluster be written are counted in
 *	@stale, and are no corruptions: a power cut in a snapshot operation leaves them
 * @stale: such flags
 * @leaks: clusters with a higher refcount than references
 * @errors: corruptions
 * @text: the first of them
 */
struct checker {
	const u8 *data;
	u64 size;
	u32 bits;
	u32 order;
	bool extended;
	bool v1;
	u32 l2_bits;
	u64 disk;
	u64 l1_at;
	u32 l1_size;
	u64 table_at;
	u64 table_size;
	u16 *refs;
	u8 *uses;
	u64 nr;
	u64 max;
	struct checker_snapshot snapshots[CHECKER_SNAPSHOTS];
	u32 nr_snapshots;
	bool inactive;
	bool lenient;
	u32 stale;
	u32 leaks;
	u32 errors;
	char text[120];
};

/**
 * struct checker_bitmap - an entry of the bitmap directory
 * @table_at: the bitmap table
 * @table_size: entries in it
 * @flags: as on disk
 * @granularity_bits: log2 of the bytes that a bit stands for
 * @name_len: bytes of its name
 * @name_at: bytes into the file of that
 */
struct checker_bitmap {
	u64 table_at;
	u32 table_size;
	u32 flags;
	u32 granularity_bits;
	u32 name_len;
	u64 name_at;
};

int checker_init(struct checker *k, u64 max_clusters);
void checker_free(struct checker *k);
void checker_walk(struct checker *k, const void *data, u64 size);
bool checker_check(struct checker *k, const void *data, u64 size);
enum checker_kind checker_find(const struct checker *k, u64 guest_offset, u64 *host_offset);
enum checker_kind checker_find_in(const struct checker *k, u64 l1_at, u64 guest_offset,
				  u64 *host_offset);
bool checker_find_bitmap(const struct checker *k, const char *name,
			 struct checker_bitmap *b);
bool checker_bitmap_bit(const struct checker *k, const struct checker_bitmap *b,
			u64 bit);
u64 checker_refcount(const struct checker *k, u64 cluster);

/* Bit by bit, as the specification says. */
u64 checker_get_bits(const u8 *block, u32 order, u64 index);
void checker_put_bits(u8 *block, u32 order, u64 index, u64 value);

#endif /* _QCOW_CHECKER_H */
