// SPDX-License-Identifier: GPL-2.0
/*
 * A new refcount table, with new blocks, where the old one cannot be repaired in
 * place. It goes behind the end of the file, where nothing that a damaged entry
 * may have referred to is overwritten; one write to the header makes it the
 * image's. Until then the image is unchanged. check_repair.c calls this last.
 */
#include <stdlib.h>

#include "check/check_rebuild.h"
#include "check/check_refs.h"
#include "check/check_run.h"
#include "check/check_write.h"
#include "lib/progress.h"
#include "lib/report.h"

/* Of a refcount table. */
#define MAX_ENTRIES	(QCOW_DISK_MAX_REFTABLE_BYTES / sizeof(__be64))

/**
 * struct rebuild - refcounts to be written
 * @c: the image without its old refcounts
 * @base: first cluster of the new table and blocks
 * @end: behind its last cluster
 * @needed: whether an entry of the table needs a block
 * @entries: of the table
 * @blocks: how many are needed
 */
struct rebuild {
	struct check *c;
	u64 base;
	u64 end;
	bool *needed;
	u64 entries;
	u64 blocks;
};

static int rebuild_refuse(const struct check *c, const char *why)
{
	report(c->file->name, "refcounts cannot be rebuilt: %s; save the readable data with qemu-img convert, or restore the image from a copy",
	       why);
	return 0;
}

/* Unless its old refcount says that the cluster is free, it may be in use. */
static bool may_be_used(struct check *c, u64 cluster)
{
	u64 refcount;

	return check_block_missing(c, cluster) ||
	       check_disk_refcount(c, cluster, &refcount) || refcount;
}

/*
 * With damage in the image, a cluster without a reference stays allocated.
 * Return: -1 if a refcount cannot be read.
 */
static int keep_leaks(struct check *c)
{
	u64 i;

	for (i = 0; i < c->nr && !c->unread; i++)
		if (!counts_get(&c->refs, i) && may_be_used(c, i))
			counts_set(&c->refs, i, 1);
	return c->unread ? -1 : 0;
}

/* Allocate the refcount blocks that the clusters in use need. */
static void need_old(struct rebuild *r)
{
	struct check *c = r->c;
	u64 i;

	for (i = counts_next(&c->refs, 0); i < r->base;
	     i = counts_next(&c->refs, i + 1))
		r->needed[i / c->per_block] = true;
}

static u64 count_needed(const struct rebuild *r)
{
	u64 i, n = 0;

	for (i = 0; i < MAX_ENTRIES; i++)
		n += r->needed[i];
	return n;
}

/* Room for the new blocks and the table, which need refcounts themselves. */
static int make_room(struct rebuild *r)
{
	struct check *c = r->c;
	u64 end = r->base, i, table;

	do {
		r->end = end;
		r->entries = (end + c->per_block - 1) / c->per_block;
		if (r->entries > MAX_ENTRIES)
			return -1;
		for (i = r->base; i < end; i += c->per_block)
			r->needed[i / c->per_block] = true;
		if (end > r->base)
			r->needed[(end - 1) / c->per_block] = true;
		r->blocks = count_needed(r);
		table = (r->entries * 8 + c->cluster - 1) >> c->h.cluster_bits;
		end = r->base + r->blocks + table;
	} while (end != r->end);
	return 0;
}

static void fill_block(const struct rebuild *r, u64 index)
{
	struct check *c = r->c;
	u64 first = index * c->per_block, i, refs;

	memset(c->buf, 0, c->cluster);
	for (i = 0; i < c->per_block && first + i < r->end; i++) {
		refs = first + i < r->base ? counts_get(&c->refs, first + i) : 1;
		qcow_entry_set_refcount(c->buf, c->h.refcount_order, i, refs);
	}
}

static int write_blocks(const struct rebuild *r, __be64 *table)
{
	struct check *c = r->c;
	u64 host_offset = r->base << c->h.cluster_bits, i;

	for (i = 0; i < r->entries; i++) {
		if (!r->needed[i])
			continue;
		progress("Rebuilding refcounts", i, r->entries);
		fill_block(r, i);
		if (progress_stopped() || check_write(c, c->buf, c->cluster, host_offset))
			return -1;
		table[i] = cpu_to_be64(host_offset);
		host_offset += c->cluster;
	}
	progress("Rebuilding refcounts", r->entries, r->entries);
	return 0;
}

/* Both fields lie in one sector. */
static int switch_table(struct check *c, u64 host_offset, u32 clusters)
{
	struct {
		__be64 host_offset;
		__be32 clusters;
	} __packed raw = {
		.host_offset = cpu_to_be64(host_offset),
		.clusters = cpu_to_be32(clusters),
	};

	return check_write_header(c, &raw, sizeof(raw),
				  offsetof(struct qcow_disk_header,
					   refcount_table_offset));
}

static int write_all(const struct rebuild *r)
{
	struct check *c = r->c;
	u64 clusters = r->end - r->base - r->blocks;
	u64 host_offset = (r->base + r->blocks) << c->h.cluster_bits;
	__be64 *table = xcalloc(clusters, c->cluster);
	int err;

	err = write_blocks(r, table) ||
	      check_write(c, table, clusters << c->h.cluster_bits, host_offset) ||
	      switch_table(c, host_offset, clusters);
	free(table);
	return err ? -1 : 1;
}

static int rebuild(struct check *c, bool keep)
{
	struct rebuild r = { .c = c };
	int err;

	if (keep && keep_leaks(c))
		return -1;
	r.base = c->nr;
	if (r.base / c->per_block >= MAX_ENTRIES)
		return rebuild_refuse(c, "the file is too large for its cluster size");
	r.needed = xcalloc(MAX_ENTRIES, sizeof(*r.needed));
	need_old(&r);
	if (make_room(&r))
		err = rebuild_refuse(c, "the file is too large for its cluster size");
	else
		err = write_all(&r);
	free(r.needed);
	return err;
}

/**
 * check_rebuild() - give an image new refcounts
 * @old: after check_run(); its keep is set if anything is damaged
 *
 * Return: 1 if it was done, 0 after saying why it cannot be, or -1 after printing
 * the error.
 */
int check_rebuild(struct check *old)
{
	struct check c;
	int err;

	if (old->beyond)
		return rebuild_refuse(old, "entries refer to places past the end of the file");
	if (S_ISBLK(old->file->stat.st_mode))
		return rebuild_refuse(old, "a block device has no room behind its end");
	check_init(&c, old->file, &old->h, old->start, old->start_len);
	c.quiet = true;
	c.without_refcounts = true;
	err = check_run(&c);
	if (!err)
		err = rebuild(&c, old->keep);
	check_free(&c);
	return err;
}
