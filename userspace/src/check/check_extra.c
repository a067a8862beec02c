// SPDX-License-Identifier: GPL-2.0
/*
 * Parts of an image besides its disk: snapshots, bitmaps, a LUKS header.
 * check_run.c calls this. It only reads.
 */
#include <stdlib.h>

#include "check/check_extra.h"
#include "check/check_map.h"
#include "check/check_read.h"
#include "check/check_refs.h"
#include "lib/progress.h"
#include "lib/report.h"
#include "qcow/ondisk/bitdir.h"

/* --- Snapshots --- */

/**
 * struct snapshot_entry - the start of an entry of the snapshot table
 * @fixed: its fixed part
 * @extra: its extra data; valid as far as @fixed says that there is some
 */
struct snapshot_entry {
	struct qcow_disk_snapshot fixed;
	struct qcow_disk_snapshot_extra extra;
};

static void snapshot_damaged(struct check *c, u32 number, const char *wrong)
{
	check_found(c, "snapshot table entry %u: %s", number, wrong);
	c->res.corruptions++;
	c->damaged++;
}

/*
 * L1 entries of the snapshot's disk, and of the VM state, which follows the disk in the
 * L1 table. Without extra data the disk has the size that the header tells.
 */
static u64 snapshot_l1_need(const struct check *c, const struct snapshot_entry *e)
{
	u32 extra = be32_to_cpu(e->fixed.extra_data_size);
	u64 vm_state = be32_to_cpu(e->fixed.vm_state_size), size = c->h.size;

	if (extra >= sizeof(e->extra.vm_state_size))
		vm_state = be64_to_cpu(e->extra.vm_state_size);
	if (extra >= QCOW_DISK_MIN_SNAPSHOT_EXTRA)
		size = be64_to_cpu(e->extra.disk_size);
	return qcow_layout_l1_entries(&c->layout, size) +
	       qcow_layout_l1_entries(&c->layout, vm_state);
}

static int snapshot(struct check *c, u32 number, const struct snapshot_entry *e)
{
	u64 l1_table_offset = be64_to_cpu(e->fixed.l1_table_offset);
	u32 l1_size = be32_to_cpu(e->fixed.l1_size);

	if (c->h.version >= 3 &&
	    be32_to_cpu(e->fixed.extra_data_size) < QCOW_DISK_MIN_SNAPSHOT_EXTRA) {
		snapshot_damaged(c, number, "not complete");
		c->short_snapshots++;
	}
	if (!check_aligned(c, l1_table_offset)) {
		snapshot_damaged(c, number, "its L1 table is not aligned");
		return 0;
	}
	if (l1_size > QCOW_DISK_MAX_L1_BYTES / sizeof(__be64)) {
		snapshot_damaged(c, number, "its L1 table is too large");
		return 0;
	}
	/* The entries that are missing may have referred to clusters that look leaked. */
	if (l1_size < snapshot_l1_need(c, e))
		snapshot_damaged(c, number, "its L1 table is too small for its disk and VM state");
	return check_l1(c, l1_table_offset, l1_size, false);
}

/**
 * check_snapshots() - look at the snapshot table and the snapshots' L1 tables
 * @c: the check
 *
 * Return: 0, or -1 after saying why the check cannot go on.
 */
int check_snapshots(struct check *c)
{
	u64 start = c->h.snapshots_offset, host_offset = start;
	const struct qcow_disk_snapshot *d;
	struct snapshot_entry e;
	u32 i;

	d = &e.fixed;
	for (i = 0; i < c->h.nr_snapshots; i++) {
		host_offset = (host_offset + 7) & ~7ULL;
		if (check_read(c, &e, sizeof(e), host_offset))
			return -1;
		if (be32_to_cpu(d->extra_data_size) > QCOW_DISK_MAX_SNAPSHOT_EXTRA)
			return check_give_up(c, "its snapshot table is damaged; restore it from a copy");
		host_offset += sizeof(*d) + be32_to_cpu(d->extra_data_size) +
			       be16_to_cpu(d->id_str_size) + be16_to_cpu(d->name_size);
		if (host_offset - start > QCOW_DISK_MAX_SNAPSHOT_TABLE)
			return check_give_up(c, "its snapshot table is too large; restore it from a copy");
		if (progress_stopped() || snapshot(c, i, &e))
			return -1;
	}
	return check_table(c, start, host_offset - start);
}

/* --- LUKS --- */

/**
 * check_luks() - look at the LUKS header extension
 * @c: the check
 *
 * Without its key slots an encrypted disk is lost, so nothing is said of an image
 * that does not lead to them.
 *
 * Return: 0, or -1 after saying why the check cannot go on.
 */
int check_luks(struct check *c)
{
	static const char magic[] = "LUKS\xba\xbe";
	char found[sizeof(magic) - 1];
	struct qcow_msg msg = { };
	char why[sizeof(msg.text) + 32];

	if (!c->h.luks_in_header && c->h.crypt_method != QCOW_DISK_CRYPT_LUKS)
		return 0;
	if (qcow_header_supported(&c->h, &msg)) {
		snprintf(why, sizeof(why), "%s; restore it from a copy", msg.text);
		return check_give_up(c, why);
	}
	if (check_read(c, found, sizeof(found), c->h.crypto_host_offset))
		return -1;
	if (memcmp(found, magic, sizeof(found)))
		return check_give_up(c, "damaged header: there is no LUKS header where it leads to; restore it from a copy");
	return check_table(c, c->h.crypto_host_offset, c->h.crypto_length);
}

/* --- Bitmaps --- */

static int bitmaps_damaged(struct check *c)
{
	return check_give_up(c, "its bitmaps are damaged; restore it from a copy, or give them up: attach the image, and write to it");
}

/* A bitmap shares neither its table nor its bits. */
static int bitmap_clusters(struct check *c, u64 host_offset, u64 size)
{
	if (size)
		check_unallocated(c, host_offset);
	return check_table(c, host_offset, size);
}

static int bitmap_entry(struct check *c, u64 raw)
{
	u64 host_offset;
	bool ones;

	if (qcow_bitdir_table_entry(&c->layout, raw, &host_offset, &ones))
		return bitmaps_damaged(c);
	return host_offset ? bitmap_clusters(c, host_offset, c->cluster) : 0;
}

/* QEMU refuses a table that is longer than the bitmap, unless it is not stored. */
static bool table_fits(const struct check *c, const struct qcow_bitmap_entry *e)
{
	return e->flags & QCOW_DISK_BITMAP_IN_USE ||
	       e->table_size == qcow_bitdir_clusters(&c->layout, c->h.size,
						     e->granularity_bits);
}

static int bitmap_table(struct check *c, const struct qcow_bitmap_entry *e)
{
	u32 nr = e->table_size, i;
	__be64 *table;
	int err;

	if (!table_fits(c, e))
		return bitmaps_damaged(c);
	err = bitmap_clusters(c, e->table_host_offset, nr * 8ULL);
	if (err || e->table_host_offset >= c->length)
		return err;
	table = xcalloc(nr, sizeof(*table));
	err = check_read_table(c, table, nr * 8ULL, e->table_host_offset);
	for (i = 0; !err && i < nr; i++)
		err = bitmap_entry(c, be64_to_cpu(table[i]));
	free(table);
	return err || progress_stopped() ? -1 : 0;
}

static int bitmap_directory(struct check *c, const u8 *dir,
			    const struct qcow_bitmap_dir *d)
{
	struct qcow_bitmap_entry e;
	u64 in_dir = 0;
	u32 i;

	for (i = 0; in_dir < d->bytes; i++, in_dir += e.bytes) {
		if (i == d->nr || qcow_bitdir_entry(&c->layout, c->h.size, dir + in_dir,
						    d->bytes - in_dir, &e))
			return bitmaps_damaged(c);
		if (bitmap_table(c, &e))
			return -1;
	}
	return i == d->nr ? 0 : bitmaps_damaged(c);
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
	struct qcow_disk_bitmaps disk;
	struct qcow_bitmap_dir d;
	u8 *dir;
	int err;

	if (!c->h.bitmaps_in_header)
		return 0;
	/* QEMU refuses that without the feature bit as well. */
	if (c->h.bitmaps_len != sizeof(disk))
		return check_give_up(c, "damaged header: the length of its extension for bitmaps is wrong; restore it from a copy");
	if (!(c->h.autoclear & QCOW_DISK_AUTOCLEAR_BITMAPS))
		return 0;
	memcpy(&disk, c->start + c->h.bitmaps_in_header, sizeof(disk));
	if (qcow_bitdir_extension(&c->layout, &disk, sizeof(disk), &d))
		return bitmaps_damaged(c);
	err = check_table(c, d.host_offset, d.bytes);
	if (err)
		return err;
	dir = xcalloc(1, d.bytes);
	err = check_read_table(c, dir, d.bytes, d.host_offset);
	if (!err)
		err = bitmap_directory(c, dir, &d);
	free(dir);
	return err;
}
