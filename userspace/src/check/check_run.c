// SPDX-License-Identifier: GPL-2.0
/*
 * One look at an image: count the references to each cluster of the file, and
 * compare them with the refcounts. Memory and work depend on the file's size,
 * never on fields of the image.
 *
 * The command check calls this, and for a trial of another header check_doubt.c, for an
 * image without its old refcounts check_rebuild.c.
 */
#include <stdlib.h>

#include "check/check_extra.h"
#include "check/check_map.h"
#include "check/check_read.h"
#include "check/check_refs.h"
#include "check/check_run.h"
#include "lib/progress.h"
#include "lib/report.h"

/* Refcount blocks kept in memory. */
#define SLOT_BYTES	SZ_8M
#define MIN_SLOTS	4U

/* Bytes of tables beyond the file's size; see check_read_table(). */
#define BUDGET_FACTOR	4
#define BUDGET_EXTRA	SZ_64M

/**
 * check_init() - prepare to look at an image
 * @c: the check; check_free() it
 * @f: the image's file
 * @h: its header
 * @start: the bytes that the header was parsed from
 * @start_len: how many
 */
void check_init(struct check *c, struct file *f, const struct qcow_header *h,
		const u8 *start, size_t start_len)
{
	u64 slots = SLOT_BYTES >> h->cluster_bits;

	memset(c, 0, sizeof(*c));
	c->file = f;
	c->prefix = "";
	c->h = *h;
	qcow_layout_init(&c->layout, h);
	c->cluster = 1ULL << h->cluster_bits;
	c->per_block = c->cluster * 8 >> h->refcount_order;
	c->max = qcow_entry_refcount_max(h->refcount_order);
	c->nr_slots = slots < MIN_SLOTS ? MIN_SLOTS : min(slots, CHECK_MAX_SLOTS);
	c->buf = xcalloc(1, c->cluster);
	c->start = xcalloc(1, start_len);
	c->start_len = start_len;
	memcpy(c->start, start, start_len);
	c->reftable_nr = (u64)h->refcount_table_clusters << (h->cluster_bits - 3);
	c->reftable = xcalloc(c->reftable_nr, sizeof(*c->reftable));
}

/* Prepare to count. Return: -1 after saying why that cannot be done. */
static int start_counts(struct check *c)
{
	if (c->file->size > S64_MAX / 16)
		return check_give_up(c, "the file is too large");
	c->length = ROUND_UP(c->file->size, SZ_512);
	c->nr = (c->length + c->cluster - 1) >> c->h.cluster_bits;
	if (c->nr > INT32_MAX)
		return check_give_up(c, "the file has too many clusters; make it smaller with qemu-img convert");
	/* Something can refer to the cluster behind the last one. */
	counts_init(&c->refs, c->nr + 1);
	counts_init(&c->tables, c->nr + 1);
	counts_init(&c->active, c->nr + 1);
	counts_init(&c->inactive, c->nr + 1);
	counts_init(&c->l2_index, c->nr + 1);
	c->budget = c->length * BUDGET_FACTOR + BUDGET_EXTRA;
	return 0;
}

/**
 * check_run() - look at an image
 * @c: from check_init(), and not used before
 *
 * Return: 0 with the result in @c->res, or -1 after saying why it could not be
 * checked.
 */
int check_run(struct check *c)
{
	const struct qcow_header *h = &c->h;

	c->res.total = (h->size + c->cluster - 1) >> h->cluster_bits;
	if (start_counts(c) ||
	    check_read(c, c->reftable, c->reftable_nr * 8, h->refcount_table_offset) ||
	    check_table(c, 0, c->cluster) ||
	    check_l1(c, h->l1_table_offset, h->l1_size, true) ||
	    check_snapshots(c) || check_l2_tables(c) ||
	    check_luks(c) || check_bitmaps(c))
		return -1;
	if (!c->without_refcounts) {
		if (check_reference(c, h->refcount_table_offset,
				    c->reftable_nr * 8, 1) || check_refblocks(c))
			return -1;
		check_overlaps(c);
		check_compare(c);
	}
	if (progress_stopped() || check_ended(c))
		return -1;
	if (c->trial)
		return 0;
	progress("Checking", c->nr, c->nr);
	progress_end();
	return 0;
}

/**
 * check_free() - undo check_init()
 * @c: the check
 */
void check_free(struct check *c)
{
	counts_free(&c->refs);
	counts_free(&c->tables);
	counts_free(&c->active);
	counts_free(&c->inactive);
	counts_free(&c->l2_index);
	check_forget_blocks(c);
	free(c->reftable);
	free(c->buf);
	free(c->start);
}
