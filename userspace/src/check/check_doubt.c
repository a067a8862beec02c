// SPDX-License-Identifier: GPL-2.0
/*
 * Reasons to refuse a repair, which check_repair.c asks for before it changes anything:
 * clusters that look leaked may be in use. A cluster without a reference may belong to
 * a header extension or a feature that this program does not know. Or the header is
 * damaged, and leads away from tables that are still there: one wrong bit is enough to
 * make all data look leaked.
 */
#include <stdlib.h>

#include "check/check_doubt.h"
#include "check/check_read.h"
#include "check/check_run.h"
#include "image/extensions.h"
#include "lib/progress.h"
#include "lib/report.h"

/* Bytes of the header and its extensions in which a wrong bit is looked for. */
#define DOUBT_BYTES	SZ_1K

/* With the right bit, half of the findings are left at most, and not many. */
#define LEFT_PART	2
#define LEFT_MAX	100

static int refuse(const struct check *c, const char *why)
{
	report(c->file->name, "cannot be repaired: %s", why);
	return -1;
}

/* --- Unknown extensions and features --- */

static int doubt_features(const struct check *c)
{
	const u64 known = QCOW_DISK_AUTOCLEAR_BITMAPS | QCOW_DISK_AUTOCLEAR_DATA_RAW;
	u32 type = extensions_unknown(&c->h, c->start, c->start_len);

	if (type) {
		report(c->file->name, "cannot be repaired: leaked clusters may belong to its header extension %#x, which is not known; repair it with the program that wrote it",
		       type);
		return -1;
	}
	if (c->h.autoclear & ~known) {
		report(c->file->name, "cannot be repaired: leaked clusters may belong to its autoclear features %#llx, which are not known; repair it with the program that wrote it",
		       (unsigned long long)(c->h.autoclear & ~known));
		return -1;
	}
	if (c->h.autoclear & QCOW_DISK_AUTOCLEAR_BITMAPS && !c->h.bitmaps_in_header)
		return refuse(c, "its header says that it has bitmaps, but not where, and leaked clusters may be theirs; restore it from a copy");
	if (c->h.data_name_len && !c->layout.data_file)
		return refuse(c, "its header names a data file, but says that the data is in the image; restore it from a copy");
	return 0;
}

/* --- One wrong bit --- */

static bool same_bitmaps(const struct qcow_header *a, const u8 *start_a,
			 const struct qcow_header *b, const u8 *start_b)
{
	u64 differ = a->autoclear ^ b->autoclear;

	if (differ & QCOW_DISK_AUTOCLEAR_BITMAPS)
		return !a->bitmaps_in_header && !b->bitmaps_in_header;
	if (!(a->autoclear & QCOW_DISK_AUTOCLEAR_BITMAPS))
		return true;
	return a->bitmaps_in_header == b->bitmaps_in_header &&
	       a->bitmaps_len == b->bitmaps_len &&
	       !memcmp(start_a + a->bitmaps_in_header, start_b + b->bitmaps_in_header,
		       a->bitmaps_len);
}

/* Whether two headers lead to the same tables, read in the same way. */
static bool same_tables(const struct qcow_header *a, const struct qcow_header *b)
{
	const u64 matter = QCOW_DISK_INCOMPAT_DATA_FILE | QCOW_DISK_INCOMPAT_EXTL2;

	return a->version == b->version && a->cluster_bits == b->cluster_bits &&
	       a->refcount_order == b->refcount_order &&
	       a->crypt_method == b->crypt_method &&
	       a->crypto_host_offset == b->crypto_host_offset &&
	       a->crypto_length == b->crypto_length &&
	       a->l1_table_offset == b->l1_table_offset && a->l1_size == b->l1_size &&
	       a->refcount_table_offset == b->refcount_table_offset &&
	       a->refcount_table_clusters == b->refcount_table_clusters &&
	       a->nr_snapshots == b->nr_snapshots &&
	       (a->snapshots_offset == b->snapshots_offset || !a->nr_snapshots) &&
	       !((a->incompatible ^ b->incompatible) & matter);
}

/*
 * Whether an image with this header has far fewer findings, and no fewer references.
 * Return: -1 after saying that it cannot be read.
 */
static int fits_better(const struct check *c, const struct qcow_header *h, const u8 *start)
{
	const struct check_result *res = &c->res;
	u64 found = res->corruptions + res->leaks + res->check_errors;
	struct check other;
	int better;

	check_init(&other, c->file, h, start, c->start_len);
	other.quiet = true;
	other.trial = true;
	other.limit = min(found / LEFT_PART, LEFT_MAX);
	better = !check_run(&other) && other.references >= c->references;
	if (other.unread)
		better = check_refuse_unread(c, &other);
	check_free(&other);
	return better;
}

static bool worth_a_try(const struct check *c, const u8 *start,
			struct qcow_header *h)
{
	struct qcow_msg msg = { };

	if (qcow_header_probe(start, c->start_len) < 2 ||
	    qcow_header_parse(h, start, c->start_len, c->length, &msg))
		return false;
	/* A header that is whole as version 3 is no older version with a wrong bit. */
	return h->version >= c->h.version &&
	       (!same_tables(&c->h, h) ||
		!same_bitmaps(&c->h, c->start, h, start));
}

static int say_doubt(const struct check *c, const struct qcow_header *h, u64 in_header,
		     u8 better)
{
	if (same_tables(&c->h, h) && h->autoclear != c->h.autoclear)
		return refuse(c, "leaked clusters may belong to its bitmaps, which its header does not mark as valid; set bit 0 of byte 95, or if they are of no use any more, remove them with qemu-img check -r leaks");
	report(c->file->name, "cannot be repaired: byte %llu of its header is 0x%02x, and 0x%02x would fit its tables better; put it right, or restore the header from a copy",
	       (unsigned long long)in_header, c->start[in_header], better);
	return -1;
}

static int doubt_bits(const struct check *c)
{
	u64 bits = (c->start_len < DOUBT_BYTES ? c->start_len : DOUBT_BYTES) * 8, i;
	u8 *start = xcalloc(1, c->start_len);
	struct qcow_header h;
	int err = 0;

	memcpy(start, c->start, c->start_len);
	for (i = 0; i < bits && !err && !progress_stopped(); i++) {
		start[i / 8] ^= 1 << i % 8;
		if (worth_a_try(c, start, &h))
			err = fits_better(c, &h, start);
		if (err > 0)
			err = say_doubt(c, &h, i / 8, start[i / 8]);
		start[i / 8] ^= 1 << i % 8;
	}
	free(start);
	return err || progress_stopped() ? -1 : 0;
}

/**
 * check_doubt() - refuse a repair if clusters that look leaked may be in use
 * @c: after check_run()
 *
 * Return: 0 if not, or -1 after printing the reason.
 */
int check_doubt(const struct check *c)
{
	if (c->unread)
		return check_refuse_unread(c, c);
	/* A cluster of two uses looks as if it had one, and its COPIED flags may be no flags. */
	if (c->uncounted)
		return refuse(c, "a cluster has more references than its refcount can count; restore the image from a copy, or save the readable data with qemu-img convert");
	/* Should that feature bit be wrong, all data would be freed. */
	if (c->layout.data_file && !c->h.data_name_len)
		return refuse(c, "its data is said to be in a data file, but none is named; restore its header from a copy");
	if (c->res.leaks && doubt_features(c))
		return -1;
	if (c->res.leaks && c->lost)
		return refuse(c, "a table is empty and not allocated, or a bitmap is not, so its offset seems to be damaged, and leaked clusters may be its own; restore it from a copy");
	return c->res.leaks || c->damaged ? doubt_bits(c) : 0;
}
