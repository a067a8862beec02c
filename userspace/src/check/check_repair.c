// SPDX-License-Identifier: GPL-2.0
/*
 * Repair, which the command check calls: findings are put right in an order in which an
 * interruption leaves leaks, or COPIED flags that are missing, and so no more than
 * copies made without need.
 *
 * Nothing is freed while there is damage that cannot be repaired: a leaked cluster
 * may be just the clusters that a damaged entry referred to.
 */
#include <stdlib.h>

#include "check/check_doubt.h"
#include "check/check_read.h"
#include "check/check_rebuild.h"
#include "check/check_refcounts.h"
#include "check/check_refs.h"
#include "check/check_repair.h"
#include "check/check_snapshots.h"
#include "check/check_write.h"
#include "lib/progress.h"
#include "lib/report.h"

/* --- Entries of the disk's tables --- */

/**
 * struct table_fix - a pass over the disk's tables
 * @c: the check
 * @l1: the right L1 entry
 * @l2: the right L2 entry
 * @set: set COPIED flags that are missing; else clear those that are wrong
 * @keep: refcounts that are too high stay so
 * @changed: entries that were changed
 */
struct table_fix {
	struct check *c;
	u64 (*l1)(const struct table_fix *f, u64 raw);
	u64 (*l2)(const struct table_fix *f, u64 raw, u64 bitmap);
	bool set;
	bool keep;
	u64 changed;
};

/* Entries of the table in @c->buf that refer to the table's own cluster. */
static u64 count_own(const struct check *c, u64 cluster)
{
	u32 words = c->layout.extended_l2 ? 2 : 1;
	const __be64 *entry = c->buf;
	u64 i, raw, nr = 0;

	for (i = 0; i < 1ULL << c->layout.l2_bits; i++, entry += words) {
		raw = be64_to_cpu(entry[0]);
		nr += !(raw & QCOW_DISK_L2E_COMPRESSED) && !c->layout.data_file &&
		      (raw & QCOW_DISK_L2E_OFFSET_MASK) >> c->h.cluster_bits == cluster;
	}
	return nr;
}

/*
 * A table that is something else, too, is not written: that may be data of the
 * disk. But data that is found in its own table cannot be worth anything.
 */
static bool l2_writable(const struct check *c, u64 cluster)
{
	u64 as_table = (u64)counts_get(&c->active, cluster) +
		       counts_get(&c->inactive, cluster);
	u64 refs = counts_get(&c->refs, cluster);

	return refs == as_table ||
	       refs == as_table * (1 + count_own(c, cluster));
}

static int fix_l2_table(struct table_fix *f, u64 cluster)
{
	struct check *c = f->c;
	u64 host_offset = cluster << c->h.cluster_bits;
	u32 words = c->layout.extended_l2 ? 2 : 1;
	__be64 *entry = c->buf;
	u64 before = f->changed;
	u64 i, raw, new;

	if (check_read(c, c->buf, c->cluster, host_offset))
		return -1;
	if (!l2_writable(c, cluster))
		return 0;
	for (i = 0; i < 1ULL << c->layout.l2_bits; i++, entry += words) {
		raw = be64_to_cpu(entry[0]);
		new = f->l2(f, raw, words > 1 ? be64_to_cpu(entry[1]) : 0);
		f->changed += new != raw;
		entry[0] = cpu_to_be64(new);
	}
	return f->changed == before ? 0 :
	       check_write(c, c->buf, c->cluster, host_offset);
}

static int fix_l2_tables(struct table_fix *f)
{
	struct check *c = f->c;
	u64 i;

	for (i = counts_next(&c->active, 1); i < c->nr;
	     i = counts_next(&c->active, i + 1)) {
		progress("Repairing tables", i, c->nr);
		if (progress_stopped() || fix_l2_table(f, i))
			return -1;
	}
	progress("Repairing tables", c->nr, c->nr);
	return 0;
}

/* Whether the active L1 table is inside the file, and its clusters are nothing else. */
static bool l1_writable(const struct check *c)
{
	u64 end = c->h.l1_table_offset + c->h.l1_size * 8ULL;
	u64 i;

	if (!c->h.l1_size || end > c->length)
		return false;
	for (i = c->h.l1_table_offset; i < end; i += c->cluster)
		if (counts_get(&c->refs, i >> c->h.cluster_bits) != 1)
			return false;
	return true;
}

static int fix_l1_entry(struct table_fix *f, u64 raw, u64 host_offset)
{
	u64 new = f->l1(f, raw);
	__be64 disk = cpu_to_be64(new);

	if (new == raw)
		return 0;
	f->changed++;
	return check_write(f->c, &disk, sizeof(disk), host_offset);
}

static int fix_l1_table(struct table_fix *f)
{
	struct check *c = f->c;
	__be64 *l1;
	u32 i;
	int err;

	if (!l1_writable(c))
		return 0;
	l1 = xcalloc(c->h.l1_size, sizeof(*l1));
	err = check_read(c, l1, c->h.l1_size * 8ULL, c->h.l1_table_offset);
	for (i = 0; !err && i < c->h.l1_size; i++)
		err = fix_l1_entry(f, be64_to_cpu(l1[i]), c->h.l1_table_offset + i * 8ULL);
	free(l1);
	return err;
}

static int fix_tables(struct table_fix *f)
{
	return fix_l1_table(f) || fix_l2_tables(f) || check_sync(f->c) ? -1 : 0;
}

/* --- COPIED flags --- */

static bool copied_wanted(const struct table_fix *f, u64 host_offset)
{
	u64 cluster = host_offset >> f->c->h.cluster_bits, refcount;

	if (!f->keep)
		return counts_get(&f->c->refs, cluster) == 1;
	return !check_disk_refcount(f->c, cluster, &refcount) && refcount == 1;
}

/* The entry as it should be; @wanted: with the flag. */
static u64 copied_entry(const struct table_fix *f, u64 raw, bool wanted)
{
	if (wanted)
		return f->set ? raw | QCOW_DISK_E_COPIED : raw;
	return f->set ? raw : raw & ~QCOW_DISK_E_COPIED;
}

static u64 copied_l1(const struct table_fix *f, u64 raw)
{
	u64 host_offset;

	if (qcow_entry_l1(&f->c->layout, raw, &host_offset) || !host_offset ||
	    host_offset >= f->c->length)
		return raw;
	return copied_entry(f, raw, copied_wanted(f, host_offset));
}

static u64 copied_l2(const struct table_fix *f, u64 raw, u64 bitmap)
{
	u64 host_offset = raw & QCOW_DISK_L2E_OFFSET_MASK;
	const struct qcow_layout *lay = &f->c->layout;

	(void)bitmap;
	if (raw & QCOW_DISK_L2E_COMPRESSED)
		return copied_entry(f, raw, false);
	if (!host_offset || (!lay->data_file && (!check_aligned(f->c, host_offset) ||
					    host_offset >= f->c->length)))
		return raw;
	return copied_entry(f, raw, lay->data_file || copied_wanted(f, host_offset));
}

static int fix_copied(struct check *c, bool set, bool keep)
{
	struct table_fix f = {
		.c = c,
		.l1 = copied_l1,
		.l2 = copied_l2,
		.set = set,
		.keep = keep,
	};

	return fix_tables(&f);
}

/* --- Entries that say something, but nothing of use --- */

/* Nothing but flags: there is no L2 table. */
static u64 useless_l1(const struct table_fix *f, u64 raw)
{
	(void)f;
	return raw & QCOW_DISK_L1E_OFFSET_MASK ? raw : 0;
}

/* Zeros that keep a cluster which cannot be one. */
static u64 useless_l2(const struct table_fix *f, u64 raw, u64 bitmap)
{
	bool extended = f->c->layout.extended_l2;

	if (raw & QCOW_DISK_L2E_COMPRESSED ||
	    check_aligned(f->c, raw & QCOW_DISK_L2E_OFFSET_MASK) ||
	    (extended ? !!(u32)bitmap : !(raw & QCOW_DISK_L2E_ZERO)))
		return raw;
	return extended ? 0 : QCOW_DISK_L2E_ZERO;
}

/* Return: whether something was changed, or -1. */
static int fix_useless(struct check *c)
{
	struct table_fix f = { .c = c, .l1 = useless_l1, .l2 = useless_l2 };

	return fix_tables(&f) ? -1 : f.changed > 0;
}

/* --- The whole --- */

/* Features that this program does not know may have had clusters of their own. */
static int clear_unknown_features(struct check *c)
{
	u64 known = c->h.autoclear & (QCOW_DISK_AUTOCLEAR_BITMAPS |
				      QCOW_DISK_AUTOCLEAR_DATA_RAW);

	if (known == c->h.autoclear)
		return 0;
	return check_write_header_u64(c, offsetof(struct qcow_disk_header,
						  autoclear_features), known);
}

static bool needs_rebuild(const struct check *c)
{
	return c->reftable_bad || c->unplaced || c->res.check_errors;
}

static int not_yet(const struct check *c, const char *why)
{
	report(c->file->name, "%s", why);
	return 0;
}

/* Raise first, lower last: at no time is a refcount too low that was not. */
static int repair_in_place(struct check *c)
{
	bool keep = c->keep || c->damaged || c->overlaps;

	if (c->low && check_raise(c))
		return -1;
	if (fix_copied(c, false, keep))
		return -1;
	if (c->damaged && c->res.leaks)
		not_yet(c, "leaked clusters are not freed, as damaged entries may have referred to them; restore the image from a copy, or save the readable data with qemu-img convert");
	else if (keep && c->res.leaks)
		not_yet(c, "leaked clusters are not freed, as a table shares its cluster with something else, and the right one of the two may be among them; restore the image from a copy, or save the readable data with qemu-img convert");
	else if (c->res.leaks && check_lower(c))
		return -1;
	return fix_copied(c, true, keep);
}

static int repair_all(struct check *c)
{
	int err = 0;

	/* With such an entry goes the sign that leaked clusters may have been its own. */
	if (!c->res.leaks && (c->damaged || counts_get(&c->refs, 0) != 1))
		err = fix_useless(c);
	if (err)
		return err;
	if (clear_unknown_features(c))
		return -1;
	if (c->short_snapshots && c->damaged == c->short_snapshots) {
		err = check_complete_snapshots(c);
		if (err)
			return err;
	}
	if (!needs_rebuild(c))
		return repair_in_place(c);
	/* A new refcount table shares no cluster, but clusters that only the old one named are still lost. */
	c->keep = c->keep || c->damaged || c->overlaps;
	return check_rebuild(c);
}

/**
 * check_repair() - repair the findings of a check
 * @c: after check_run(); of no use afterwards
 * @mode: which findings to repair
 *
 * Return: 0 if all was done that can be, 1 if the rest of the repair needs another
 * check_run(), or -1 after printing the error.
 */
int check_repair(struct check *c, enum check_repair mode)
{
	/* With refcounts that cannot be read, all data looks damaged. */
	if (mode == CHECK_REPAIR_LEAKS && !c->unread &&
	    (c->damaged || c->low || needs_rebuild(c)))
		return not_yet(c, "leaked clusters are not freed while there are corruptions; use --repair=all");
	if (check_doubt(c))
		return -1;
	if (mode == CHECK_REPAIR_ALL)
		return repair_all(c);
	return clear_unknown_features(c) ? -1 : repair_in_place(c);
}

/**
 * check_mark_clean() - say in the header that the image is consistent
 * @c: after a check_run() that found no corruption
 *
 * Return: 0, or -1 after printing the error.
 */
int check_mark_clean(struct check *c)
{
	u64 bits = c->h.incompatible &
		   ~(QCOW_DISK_INCOMPAT_DIRTY | QCOW_DISK_INCOMPAT_CORRUPT);

	if (bits == c->h.incompatible)
		return 0;
	return check_write_header_u64(c, offsetof(struct qcow_disk_header,
						  incompatible_features), bits);
}
