// SPDX-License-Identifier: GPL-2.0
/*
 * Refcounts repaired in place, in the blocks that the image has; check_rebuild.c writes
 * new blocks. check_repair.c calls this, and check_snapshots.c for the clusters of a new
 * table.
 */
#include "check/check_read.h"
#include "check/check_refcounts.h"
#include "check/check_refs.h"
#include "check/check_write.h"
#include "lib/progress.h"

/* A block may be written if it is nothing else. */
static bool block_writable(const struct check *c, u64 index, u64 *host_offset)
{
	u64 raw = be64_to_cpu(c->reftable[index]);

	*host_offset = raw;
	return raw && check_aligned(c, raw) && raw < c->length &&
	       counts_get(&c->refs, raw >> c->h.cluster_bits) == 1;
}

static bool fix_block(struct check *c, u64 index, bool lower)
{
	u64 first = index * c->per_block;
	bool changed = false;
	u64 i, refs, disk;

	for (i = 0; i < c->per_block && first + i < c->nr; i++) {
		refs = counts_get(&c->refs, first + i);
		disk = qcow_entry_refcount(c->buf, c->h.refcount_order, i);
		if (lower ? disk <= refs : disk >= refs)
			continue;
		qcow_entry_set_refcount(c->buf, c->h.refcount_order, i, refs);
		changed = true;
	}
	return changed;
}

/* Lower refcounts that are too high, or raise those that are too low. */
static int fix_refcounts(struct check *c, bool lower)
{
	u64 nr = (c->nr + c->per_block - 1) / c->per_block;
	u64 i, host_offset;

	for (i = 0; i < nr && i < c->reftable_nr; i++) {
		if (!block_writable(c, i, &host_offset))
			continue;
		progress("Repairing refcounts", i, nr);
		if (progress_stopped() ||
		    check_read(c, c->buf, c->cluster, host_offset))
			return -1;
		if (fix_block(c, i, lower) &&
		    check_write(c, c->buf, c->cluster, host_offset))
			return -1;
	}
	progress("Repairing refcounts", nr, nr);
	check_forget_blocks(c);
	return check_sync(c);
}

/**
 * check_raise() - raise refcounts that are too low, where there are blocks for them
 * @c: the check
 *
 * Return: 0, or -1 after printing the error.
 */
int check_raise(struct check *c)
{
	return fix_refcounts(c, false);
}

/**
 * check_lower() - lower refcounts that are too high, which frees leaked clusters
 * @c: the check
 *
 * Return: 0, or -1 after printing the error.
 */
int check_lower(struct check *c)
{
	return fix_refcounts(c, true);
}
