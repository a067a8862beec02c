// SPDX-License-Identifier: GPL-2.0
/*
 * What an image has besides its disk: snapshots, bitmaps, a LUKS header.
 */
#include <stdlib.h>

#include "check.h"
#include "report.h"

/* Limits of QEMU's. */
#define MAX_BITMAPS		65535U
#define MAX_DIRECTORY_ENTRY	1024U
#define MAX_DIRECTORY		(MAX_BITMAPS * MAX_DIRECTORY_ENTRY)
#define MAX_BITMAP_BYTES	(512ULL << 20)
#define MAX_BITMAP_NAME		1023U
#define MIN_GRANULARITY		9U
#define MAX_GRANULARITY		31U
#define BITMAP_IN_USE		BIT(0)
#define BITMAP_FLAGS_RESERVED	(~3U)
#define BITMAP_DIRTY_TRACKING	1

/* Extra data that version 3 wants: the VM state's and the disk's size. */
#define MIN_SNAPSHOT_EXTRA	16

#define BITMAP_E_OFFSET_MASK	GENMASK_ULL(55, 9)
#define BITMAP_E_RESERVED	(GENMASK_ULL(63, 56) | GENMASK_ULL(8, 1))
#define BITMAP_E_ALL_ONES	BIT_ULL(0)

struct disk_bitmaps {
	__be32 nr;
	__be32 reserved;
	__be64 directory_size;
	__be64 directory_offset;
};

static_assert(sizeof(struct disk_bitmaps) == 24);

struct disk_bitmap {
	__be64 table_offset;
	__be32 table_size;
	__be32 flags;
	u8 type;
	u8 granularity_bits;
	__be16 name_size;
	__be32 extra_data_size;
};

static_assert(sizeof(struct disk_bitmap) == 24);

struct disk_luks {
	__be64 offset;
	__be64 length;
};

/* --- Snapshots --- */

static int snapshot(struct check *c, u32 number, const struct qcow_disk_snapshot *d)
{
	u64 l1_offset = be64_to_cpu(d->l1_table_offset);
	u32 l1_size = be32_to_cpu(d->l1_size);
	const char *wrong = NULL;

	if (c->h.version >= 3 &&
	    be32_to_cpu(d->extra_data_size) < MIN_SNAPSHOT_EXTRA) {
		check_found(c, "snapshot table entry %u: not complete", number);
		c->res.corruptions++;
		c->damaged++;
	}
	if (!check_aligned(c, l1_offset))
		wrong = "its L1 table is not aligned";
	else if (l1_size > QCOW_DISK_MAX_L1_BYTES / sizeof(__be64))
		wrong = "its L1 table is too large";
	if (!wrong)
		return check_l1(c, l1_offset, l1_size, false);
	check_found(c, "snapshot table entry %u: %s", number, wrong);
	c->res.corruptions++;
	c->damaged++;
	return 0;
}

/**
 * check_snapshots() - look at the snapshot table and the snapshots' L1 tables
 * @c: the check
 *
 * Return: 0, or -1 after saying why the check cannot go on.
 */
int check_snapshots(struct check *c)
{
	u64 start = c->h.snapshots_offset, at = start;
	struct qcow_disk_snapshot d;
	u32 i;

	for (i = 0; i < c->h.nr_snapshots; i++) {
		at = (at + 7) & ~7ULL;
		if (file_read(c->file, &d, sizeof(d), at, NULL))
			return -1;
		if (be32_to_cpu(d.extra_data_size) > QCOW_DISK_MAX_SNAPSHOT_EXTRA)
			return check_give_up(c, "its snapshot table is damaged; restore it from a copy");
		at += sizeof(d) + be32_to_cpu(d.extra_data_size) +
		      be16_to_cpu(d.id_str_size) + be16_to_cpu(d.name_size);
		if (at - start > QCOW_DISK_MAX_SNAPSHOT_TABLE)
			return check_give_up(c, "its snapshot table is too large; restore it from a copy");
		if (progress_stopped() || snapshot(c, i, &d))
			return -1;
	}
	return check_reference(c, start, at - start, 1);
}

/* --- LUKS --- */

/**
 * check_luks() - look at the LUKS header extension
 * @c: the check
 *
 * Return: 0, or -1 after saying why the check cannot go on.
 */
int check_luks(struct check *c)
{
	struct disk_luks d;

	if (!c->h.luks_offset)
		return 0;
	if (c->h.luks_len != sizeof(d) ||
	    c->h.crypt_method != QCOW_DISK_CRYPT_LUKS)
		return check_give_up(c, "its LUKS extension is damaged; restore it from a copy");
	if (file_read(c->file, &d, sizeof(d), c->h.luks_offset, NULL))
		return -1;
	if (!check_aligned(c, be64_to_cpu(d.offset)))
		return check_give_up(c, "its LUKS header is not aligned; restore it from a copy");
	return check_reference(c, be64_to_cpu(d.offset), be64_to_cpu(d.length), 1);
}

/* --- Bitmaps --- */

static int bitmaps_damaged(struct check *c)
{
	return check_give_up(c, "its bitmaps are damaged; remove them with qemu-img bitmap --remove, or restore it from a copy");
}

static bool bitmap_valid(const struct check *c, const struct disk_bitmap *d)
{
	u64 bytes = (u64)be32_to_cpu(d->table_size) << c->h.cluster_bits;
	u64 offset = be64_to_cpu(d->table_offset);
	u32 name = be16_to_cpu(d->name_size), flags = be32_to_cpu(d->flags);

	if (!bytes || bytes > MAX_BITMAP_BYTES || !offset ||
	    !check_aligned(c, offset) || flags & BITMAP_FLAGS_RESERVED ||
	    !name || name > MAX_BITMAP_NAME || d->extra_data_size ||
	    d->type != BITMAP_DIRTY_TRACKING ||
	    d->granularity_bits < MIN_GRANULARITY ||
	    d->granularity_bits > MAX_GRANULARITY)
		return false;
	return flags & BITMAP_IN_USE ||
	       c->h.size <= bytes * 8 << d->granularity_bits;
}

static int bitmap_entry(struct check *c, u64 raw)
{
	u64 offset = raw & BITMAP_E_OFFSET_MASK;

	if (raw & BITMAP_E_RESERVED ||
	    (offset && (raw & BITMAP_E_ALL_ONES || !check_aligned(c, offset))))
		return bitmaps_damaged(c);
	return offset ? check_reference(c, offset, c->cluster, 1) : 0;
}

static int bitmap_table(struct check *c, const struct disk_bitmap *d)
{
	u64 offset = be64_to_cpu(d->table_offset);
	u32 nr = be32_to_cpu(d->table_size), i;
	__be64 *table;
	int err;

	err = check_reference(c, offset, nr * 8ULL, 1);
	if (err || offset >= c->length)
		return err;
	table = xcalloc(nr, sizeof(*table));
	err = check_read_table(c, table, nr * 8ULL, offset);
	for (i = 0; !err && i < nr; i++)
		err = bitmap_entry(c, be64_to_cpu(table[i]));
	free(table);
	return err || progress_stopped() ? -1 : 0;
}

static int bitmap_directory(struct check *c, const u8 *dir, u64 size, u32 nr)
{
	struct disk_bitmap d;
	u64 at = 0, len;
	u32 i;

	for (i = 0; at < size; i++, at += len) {
		if (i == nr || size - at < sizeof(d))
			return bitmaps_damaged(c);
		memcpy(&d, dir + at, sizeof(d));
		len = (sizeof(d) + be16_to_cpu(d.name_size) +
		       (u64)be32_to_cpu(d.extra_data_size) + 7) & ~7ULL;
		if (len > size - at || !bitmap_valid(c, &d))
			return bitmaps_damaged(c);
		if (bitmap_table(c, &d))
			return -1;
	}
	return i == nr ? 0 : bitmaps_damaged(c);
}

/**
 * check_bitmaps() - look at the bitmap directory and the bitmaps' tables
 * @c: the check
 *
 * Without its feature bit the extension is stale.
 *
 * Return: 0, or -1 after saying why the check cannot go on.
 */
int check_bitmaps(struct check *c)
{
	struct disk_bitmaps d;
	u64 size, offset;
	u8 *dir;
	int err;

	if (!c->h.bitmaps_offset)
		return 0;
	if (c->h.bitmaps_len != sizeof(d))
		return bitmaps_damaged(c);
	if (!(c->h.autoclear & QCOW_DISK_AUTOCLEAR_BITMAPS))
		return 0;
	if (file_read(c->file, &d, sizeof(d), c->h.bitmaps_offset, NULL))
		return -1;
	size = be64_to_cpu(d.directory_size);
	offset = be64_to_cpu(d.directory_offset);
	if (d.reserved || !d.nr || be32_to_cpu(d.nr) > MAX_BITMAPS ||
	    !check_aligned(c, offset) || !size || size > MAX_DIRECTORY)
		return bitmaps_damaged(c);
	err = check_reference(c, offset, size, 1);
	if (err)
		return err;
	dir = xcalloc(1, size);
	err = check_read_table(c, dir, size, offset);
	if (!err)
		err = bitmap_directory(c, dir, size, be32_to_cpu(d.nr));
	free(dir);
	return err;
}
