// SPDX-License-Identifier: GPL-2.0
/*
 * Growth of the refcount table. alloc.c calls it when the table covers no more
 * clusters.
 *
 * The new table and the blocks that cover it lie behind all clusters that the old one
 * covers. They are written and published in the header at once, so no flush has to know
 * two tables. Section "Refcounts" of the specification.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "file/cache.h"
#include "file/space.h"
#include "meta/growth.h"
#include "meta/header_write.h"
#include "meta/refcount.h"
#include "meta/release.h"
#include "meta/search.h"
#include "meta/stray.h"

/**
 * struct growth - a larger refcount table
 * @first: number of its first cluster, the first that no block covers
 * @clusters: clusters of the table
 * @blocks: refcount blocks behind the table, which cover it and themselves
 * @table: the table in the CPU's byte order; the old one after the switch
 * @room: entries in @table: all of the new one
 * @size: entries in the table
 */
struct growth {
	u64 first;
	u32 clusters;
	u32 blocks;
	u64 *table;
	u32 room;
	u32 size;
};

static int growth_plan(struct qcow_alloc *a, struct growth *g)
{
	u32 bits = qcow_alloc_cluster_bits(a);
	u32 old = (a->counts.table_size * sizeof(u64)) >> bits;
	u64 covered = 1ULL << a->counts.block_bits;

	g->clusters = old + old / 2 + 1;
	if ((u64)g->clusters << bits > QCOW_DISK_MAX_REFTABLE_BYTES)
		return -ENOSPC;
	g->first = (u64)a->counts.table_size << a->counts.block_bits;
	g->size = ((u64)g->clusters << bits) / sizeof(u64);
	for (g->blocks = 1; g->blocks * covered < g->clusters + g->blocks;)
		g->blocks++;
	if (g->blocks > g->size - a->counts.table_size ||
	    g->first + g->clusters + g->blocks > a->search.limit)
		return -ENOSPC;
	if (__qcow_stray_skip(a, &g->first, g->clusters + g->blocks) <
	    g->clusters + g->blocks)
		return -ENOSPC;
	g->room = g->size;
	g->table = kvcalloc(g->size, sizeof(u64), GFP_NOIO);
	return g->table ? 0 : -ENOMEM;
}

/* Register the table and its blocks, or neither. */
static int growth_note(struct qcow_alloc *a, const struct growth *g)
{
	u32 bits = qcow_alloc_cluster_bits(a);
	u64 table = g->first << bits, bytes = (u64)g->clusters << bits;
	int err;

	err = qcow_register_new(&a->reg, QCOW_META_REFTABLE, table, bytes);
	if (err)
		return err;
	err = qcow_register_new(&a->reg, QCOW_META_REFBLOCK, table + bytes,
				(u64)g->blocks << bits);
	if (err)
		qcow_register_forget(&a->reg, table, bytes);
	return err;
}

/* Take the clusters, allocate their space, and make table and blocks in memory. */
static int growth_make(struct qcow_alloc *a, struct growth *g)
{
	u32 bits = qcow_alloc_cluster_bits(a), i;
	u64 blocks = g->first + g->clusters;
	int err;

	__qcow_search_taken(&a->search, blocks + g->blocks);
	err = qcow_space_secure(&a->img->file, g->first << bits,
				(u64)(g->clusters + g->blocks) << bits);
	memcpy(g->table, a->counts.table, a->counts.table_room * sizeof(u64));
	for (i = 0; !err && i < g->blocks; i++) {
		err = __qcow_refcount_zero_block(a, (blocks + i) << bits);
		g->table[a->counts.table_size + i] = (blocks + i) << bits;
	}
	return err;
}

/* Exchange the old table in memory and the new one. */
static void growth_swap(struct qcow_alloc *a, struct growth *g)
{
	swap(a->counts.table, g->table);
	swap(a->counts.table_room, g->room);
	swap(a->counts.table_size, g->size);
}

/* Use the new table in memory from here on. */
static int growth_switch(struct qcow_alloc *a, struct growth *g)
{
	u32 n = g->clusters + g->blocks, i;
	int err = 0;

	growth_swap(a, g);
	for (i = 0; !err && i < n; i++)
		err = __qcow_refcount_set(a, g->first + i, 1);
	return err;
}

/*
 * Drop the new table: the next attempt makes it anew, at the same host offset. Until
 * then no flush may write there, where there may be no space.
 */
static void growth_revert(struct qcow_alloc *a, struct growth *g)
{
	u32 bits = qcow_alloc_cluster_bits(a);
	u64 table_host_offset = g->first << bits;
	u64 blocks_host_offset = (g->first + g->clusters) << bits, i;

	if (a->counts.table_size > g->size)
		growth_swap(a, g);
	for (i = 0; i < g->blocks; i++)
		__qcow_refcount_drop_block(a, blocks_host_offset + (i << bits));
	qcow_register_forget(&a->reg, table_host_offset,
			     blocks_host_offset - table_host_offset);
}

/* Write the current refcounts, and the table that leads to them. */
static int growth_write(struct qcow_alloc *a, const struct growth *g)
{
	size_t bytes = a->counts.table_size * sizeof(u64);
	u32 left = qcow_cache_nr_dirty(a->counts.cache), i;
	LIST_HEAD(refs);
	__be64 *disk;
	int err;

	disk = kvmalloc(bytes, GFP_NOIO);
	if (!disk)
		return -ENOMEM;
	for (i = 0; i < a->counts.table_size; i++)
		disk[i] = cpu_to_be64(a->counts.table[i]);
	qcow_cache_capture(a->counts.cache, &refs, &left);
	err = left ? -ENOMEM : 0;
	if (!err)
		err = qcow_cache_write(a->counts.cache, &refs);
	/* They are not synced: if the header cannot be written, a flush writes them again. */
	qcow_cache_forget(a->counts.cache, &refs, false);
	if (!err)
		err = qcow_file_pwrite(&a->img->file,
				       g->first << qcow_alloc_cluster_bits(a),
				       disk, bytes);
	kvfree(disk);
	return err;
}

/* Own the new table, write it, publish it in the header, release the old one. */
static int __grow_table(struct qcow_alloc *a)
{
	u32 bits = qcow_alloc_cluster_bits(a);
	u64 old = a->counts.table_host_offset >> bits;
	u32 nr = (a->counts.table_size * sizeof(u64)) >> bits;
	struct growth g = { };
	int err;

	err = growth_plan(a, &g);
	if (!err)
		err = growth_note(a, &g);
	if (err) {
		kvfree(g.table);
		return err;
	}
	err = growth_make(a, &g);
	if (!err)
		err = growth_switch(a, &g);
	if (!err)
		err = growth_write(a, &g);
	if (!err)
		err = __qcow_header_set_refcount_table(a, g.first << bits, g.clusters);
	/* If the new table may be on disk, it stays the table in memory, too. */
	if (err && !a->failed)
		growth_revert(a, &g);
	kvfree(g.table);
	if (err)
		return err;
	a->counts.table_host_offset = g.first << bits;
	a->counts.table_dirty = (struct qcow_dirty_range) { };
	__qcow_release(a, old, nr);
	return 0;
}

/**
 * qcow_growth_cover() - make the refcount table cover a cluster
 * @a: of the image
 * @cluster: number of the cluster
 *
 * Context: not under a->store_lock or a->lock; a->l1.lock may be held. An I/O may wait
 * here for a running flush. May sleep.
 *
 * Return: 0; -ENOSPC, also if the table has its largest size; or another error, which
 * is final if a->failed is set.
 */
int qcow_growth_cover(struct qcow_alloc *a, u64 cluster)
{
	int err = 0;

	mutex_lock(&a->store_lock);
	mutex_lock(&a->lock);
	while (!err && cluster >> a->counts.block_bits >= a->counts.table_size)
		err = a->failed ?: __grow_table(a);
	mutex_unlock(&a->lock);
	mutex_unlock(&a->store_lock);
	return err;
}
