// SPDX-License-Identifier: GPL-2.0
/*
 * Host clusters of a new image, and their refcounts.
 *
 * Clusters are chosen as QEMU chooses them, so that an image is the same byte for byte:
 * the first free ones, and where a cluster is the first without a refcount block, the
 * search begins anew once the block is there, which may have taken that cluster. Nothing
 * depends on the image before space_finish() has written the refcounts, so only the
 * places matter here, not the order of writes.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "create/space.h"
#include "lib/fd.h"
#include "lib/report.h"
#include "qcow/ondisk/entry.h"

static u64 cluster_size(const struct space *s)
{
	return 1ULL << s->cluster_bits;
}

/* Refcounts in a refcount block. */
static u64 block_refcounts(const struct space *s)
{
	return 1ULL << s->block_bits;
}

/* Entries of the refcount table in a cluster. */
static u64 table_entries(const struct space *s)
{
	return cluster_size(s) / sizeof(__be64);
}

/**
 * space_write() - write a part of the new image
 * @s: the space of the image
 * @buf: the bytes
 * @len: bytes
 * @host_offset: where to
 *
 * Return: 0 or a negative errno.
 */
int space_write(struct space *s, const void *buf, size_t len, u64 host_offset)
{
	int err = fd_write(s->fd, buf, len, host_offset);

	if (!err)
		space_extend(s, host_offset + len);
	return err;
}

static int write_table(struct space *s)
{
	u64 bytes = s->entries * sizeof(__be64), i;
	__be64 *table = xcalloc(s->entries, sizeof(*table));
	int err;

	for (i = 0; i < s->entries; i++)
		table[i] = cpu_to_be64(s->table[i]);
	err = space_write(s, table, bytes, s->table_host_offset);
	free(table);
	return err;
}

/* --- Refcounts --- */

static u64 get_refcount(const struct space *s, u64 cluster)
{
	u64 i = cluster >> s->block_bits;

	if (i >= s->entries || !s->table[i])
		return 0;
	return qcow_entry_refcount(s->blocks[i], s->order, cluster & (block_refcounts(s) - 1));
}

/* The first @nr free clusters in a row. Their refcounts stay 0. */
static u64 find_free(struct space *s, u64 nr)
{
	u64 found = 0;

	while (found < nr)
		found = get_refcount(s, s->next_free++) ? 0 : found + 1;
	return s->next_free - nr;
}

static int change_refcounts(struct space *s, u64 first, u64 nr, bool up);
static int grow_table(struct space *s, u64 start, u64 clusters, bool exact, u64 *end);

static void note_change(struct space *s, u64 block)
{
	if (s->changed_end <= s->changed)
		s->changed = block;
	s->changed = min(s->changed, block);
	if (s->changed_end <= block)
		s->changed_end = block + 1;
}

/* Have entries up to @entries in memory. */
static void make_room(struct space *s, u64 entries)
{
	u64 more = entries > s->room ? entries - s->room : 0;

	if (!more)
		return;
	s->table = xrealloc(s->table, entries * sizeof(*s->table));
	s->blocks = xrealloc(s->blocks, entries * sizeof(*s->blocks));
	memset(s->table + s->room, 0, more * sizeof(*s->table));
	memset(s->blocks + s->room, 0, more * sizeof(*s->blocks));
	s->room = entries;
}

static void enter_block(struct space *s, u64 i, u64 cluster, void *block)
{
	make_room(s, i + 1);
	s->table[i] = cluster << s->cluster_bits;
	s->blocks[i] = block;
	s->new_blocks = true;
	note_change(s, i);
	space_extend(s, (cluster + 1) << s->cluster_bits);
}

/* A new table, behind all clusters that have refcounts now; @cluster and @block among them. */
static int grow_table_behind(struct space *s, u64 cluster, u64 block)
{
	u64 last = cluster > block ? cluster : block;
	u64 start = DIV_ROUND_UP_ULL(last + 1, block_refcounts(s)) << s->block_bits;
	u64 end;

	return grow_table(s, start, 0, false, &end);
}

/*
 * Have a refcount block for @cluster. Return: 0; -EAGAIN: it was made, and has taken a
 * cluster that may be one of those that the caller wants; or another negative errno.
 */
static int need_block(struct space *s, u64 cluster)
{
	u64 i = cluster >> s->block_bits, new;
	void *block;
	int err = 0;

	if (i < s->room && s->table[i])
		return 0;
	if (i >= s->entries && s->loaded)
		return -EOVERFLOW;
	new = find_free(s, 1);
	block = xcalloc(1, cluster_size(s));
	if (new >> s->block_bits == i)
		qcow_entry_set_refcount(block, s->order, new & (block_refcounts(s) - 1), 1);
	else
		err = change_refcounts(s, new, 1, true);
	if (err) {
		free(block);
		return err;
	}
	enter_block(s, i, new, block);
	if (i >= s->entries)
		err = grow_table_behind(s, cluster, new);
	return err ? err : -EAGAIN;
}

static void change_refcount(struct space *s, u64 cluster, bool up)
{
	void *block = s->blocks[cluster >> s->block_bits];
	u32 i = cluster & (block_refcounts(s) - 1);
	u64 refcount = qcow_entry_refcount(block, s->order, i);

	refcount += up ? 1 : -1;
	if (!refcount && cluster < s->next_free)
		s->next_free = cluster;
	qcow_entry_set_refcount(block, s->order, i, refcount);
	note_change(s, cluster >> s->block_bits);
}

/* Return: 0; or a negative errno, and all refcounts are as before. */
static int change_refcounts(struct space *s, u64 first, u64 nr, bool up)
{
	u64 done;
	int err = 0;

	for (done = 0; done < nr; done++) {
		err = need_block(s, first + done);
		if (err)
			break;
		change_refcount(s, first + done, up);
	}
	if (err == -EAGAIN && s->next_free > first)
		s->next_free = first;
	while (err && done--)
		change_refcount(s, first + done, !up);
	return err;
}

/* --- A larger refcount table --- */

/*
 * Refcount blocks for @clusters and for the blocks and the table themselves; with @spare
 * the table may become half as large again.
 */
static u64 count_blocks(const struct space *s, u64 clusters, bool spare)
{
	u64 blocks = 0, table = 0, before, sum = 0;

	do {
		before = sum;
		blocks = DIV_ROUND_UP_ULL(clusters + table + blocks, block_refcounts(s));
		table = DIV_ROUND_UP_ULL(blocks, table_entries(s));
		sum = clusters + blocks + table;
		if (sum == before && spare) {
			clusters += DIV_ROUND_UP_ULL(table, 2);
			sum = 0;
			spare = false;
		}
	} while (sum != before);
	return blocks;
}

/**
 * struct growth - a new refcount table; clusters are counted from the start of the file
 * @start: the first cluster of the new refcount blocks
 * @table: the first cluster of the table, behind them
 * @end: the first cluster behind the table
 * @blocks: refcount blocks that it leads to, old ones and new ones
 * @entries: entries that it has
 */
struct growth {
	u64 start;
	u64 table;
	u64 end;
	u64 blocks;
	u64 entries;
};

static int plan_growth(struct space *s, struct growth *g, u64 clusters, bool exact)
{
	u64 i;

	g->blocks = count_blocks(s, g->start + clusters, !exact);
	g->entries = exact ? g->blocks : g->blocks + DIV_ROUND_UP_ULL(g->blocks, 2);
	g->entries = ROUND_UP(g->entries, table_entries(s));
	if (g->entries > QCOW_DISK_MAX_REFTABLE_BYTES / sizeof(__be64))
		return -EFBIG;
	make_room(s, g->entries);
	g->table = g->start;
	for (i = g->start >> s->block_bits; i < g->blocks; i++)
		g->table += !s->table[i];
	g->end = g->table + g->entries / table_entries(s);
	return 0;
}

/* Count the clusters of the new blocks and of the table, as far as block @i has them. */
static void count_growth(struct space *s, const struct growth *g, u64 i)
{
	u64 first = i << s->block_bits, end = first + block_refcounts(s);
	u64 cluster = first < g->start ? g->start : first;

	for (; cluster < end && cluster < g->end; cluster++)
		qcow_entry_set_refcount(s->blocks[i], s->order, cluster - first, 1);
}

/*
 * Put new refcount blocks and a new table, which count themselves, to the cluster @start,
 * behind which all are free, so that @clusters more have refcounts behind them. The end of
 * the table is stored in @end. Return: 0 or a negative errno.
 */
static int grow_table(struct space *s, u64 start, u64 clusters, bool exact, u64 *end)
{
	struct growth g = { .start = start };
	u64 old = s->table_host_offset, old_clusters = s->entries / table_entries(s), i;
	u64 next = start;
	int err = plan_growth(s, &g, clusters, exact);

	/* The old table stays in the file as it was. */
	if (!err)
		err = write_table(s);
	if (err)
		return err;
	for (i = start >> s->block_bits; i < g.blocks; i++) {
		if (!s->table[i])
			enter_block(s, i, next++, xcalloc(1, cluster_size(s)));
		count_growth(s, &g, i);
	}
	s->entries = g.entries;
	s->table_host_offset = g.table << s->cluster_bits;
	*end = g.end;
	space_extend(s, g.end << s->cluster_bits);
	return change_refcounts(s, old >> s->cluster_bits, old_clusters, false);
}

/* --- Clusters --- */

/**
 * space_alloc() - allocate clusters in a row
 * @s: the space
 * @bytes: bytes that they hold at least
 * @host_offset: the result
 *
 * Return: 0; -EOVERFLOW: the refcount table of an image that was there has no room; or another
 * negative errno.
 */
int space_alloc(struct space *s, u64 bytes, u64 *host_offset)
{
	u64 nr = space_clusters(s, bytes), first;
	int err;

	do {
		first = find_free(s, nr);
		err = change_refcounts(s, first, nr, true);
	} while (err == -EAGAIN);
	*host_offset = first << s->cluster_bits;
	return err;
}

/**
 * space_alloc_at() - allocate clusters at a given place, as far as they are free
 * @s: the space
 * @host_offset: the place
 * @nr: clusters that are wanted
 * @got: out: clusters that were allocated, maybe none
 *
 * Return: 0 or a negative errno.
 */
int space_alloc_at(struct space *s, u64 host_offset, u64 nr, u64 *got)
{
	u64 first = host_offset >> s->cluster_bits, n;
	int err;

	do {
		for (n = 0; n < nr && !get_refcount(s, first + n); n++)
			;
		err = change_refcounts(s, first, n, true);
	} while (err == -EAGAIN);
	*got = n;
	return err;
}

/**
 * space_reserve() - make refcounts for an area at the end of the file
 * @s: the space
 * @clusters: clusters of the area
 * @host_offset: out: its start
 *
 * None of the clusters is allocated yet.
 *
 * Return: 0 or a negative errno.
 */
int space_reserve(struct space *s, u64 clusters, u64 *host_offset)
{
	u64 start = space_clusters(s, s->end), end = 0;
	int err;

	while (start && !get_refcount(s, start - 1))
		start--;
	err = grow_table(s, start, clusters, true, &end);
	*host_offset = end << s->cluster_bits;
	return err;
}

/* --- The whole --- */

/* Clusters of a refcount table for a file of @bytes, at least one. */
static u64 table_clusters(const struct space *s, u64 bytes)
{
	u64 blocks = DIV_ROUND_UP_ULL(space_clusters(s, bytes), block_refcounts(s));

	return blocks ? DIV_ROUND_UP_ULL(blocks, table_entries(s)) : 1;
}

/**
 * space_begin() - begin a new image
 * @s: the result; space_free() it, after a failure too
 * @fd: the empty file, open for writing
 * @p: properties of the image
 *
 * Allocates the clusters of the header and of the first refcount table and block.
 *
 * Return: 0 or a negative errno.
 */
int space_begin(struct space *s, int fd, const struct create_params *p)
{
	u64 host_offset, table;

	*s = (struct space) {
		.fd = fd,
		.cluster_bits = create_cluster_bits(p),
		.order = create_refcount_order(p),
		.block_bits = create_cluster_bits(p) + 3 - create_refcount_order(p),
		.table_host_offset = p->cluster_size,
	};
	table = table_clusters(s, p->file_room);
	s->entries = table * table_entries(s);
	if (s->entries > QCOW_DISK_MAX_REFTABLE_BYTES / sizeof(__be64))
		return -EFBIG;
	make_room(s, s->entries);
	enter_block(s, 0, 1 + table, xcalloc(1, cluster_size(s)));
	return space_alloc(s, (2 + table) * cluster_size(s), &host_offset);
}

/**
 * space_finish() - write the refcounts of a new image, and give the file its length
 * @s: the space; nothing is allocated any more
 *
 * Return: 0 or a negative errno.
 */
int space_finish(struct space *s)
{
	int err = write_table(s);
	u64 i;

	for (i = 0; !err && i < s->entries; i++)
		if (s->table[i])
			err = space_write(s, s->blocks[i], cluster_size(s), s->table[i]);
	if (!err && ftruncate(s->fd, s->end))
		err = -errno;
	return err;
}

/* --- An image that is there --- */

/**
 * space_load() - begin with the refcount table of an image that is there
 * @s: the result; space_free() it, after a failure too
 * @fd: the image, open for reading and writing
 * @h: its header
 *
 * No cluster has a refcount yet but in the file, so space_count() takes all that are in use.
 *
 * Return: 0; -EUCLEAN: an entry of the table is damaged; or another negative errno.
 */
int space_load(struct space *s, int fd, const struct qcow_header *h)
{
	u64 bytes = (u64)h->refcount_table_clusters << h->cluster_bits, i;
	__be64 *table = xcalloc(1, bytes);
	size_t got;
	int err = fd_read(fd, table, bytes, h->refcount_table_offset, &got);

	*s = (struct space) {
		.fd = fd,
		.cluster_bits = h->cluster_bits,
		.order = h->refcount_order,
		.block_bits = h->cluster_bits + 3 - h->refcount_order,
		.table_host_offset = h->refcount_table_offset,
		.entries = bytes / sizeof(*table),
		.loaded = true,
	};
	make_room(s, s->entries);
	for (i = 0; !err && i < s->entries; i++) {
		if (!table[i])
			continue;
		if (be64_to_cpu(table[i]) & (cluster_size(s) - 1))
			err = -EUCLEAN;
		else
			enter_block(s, i, be64_to_cpu(table[i]) >> s->cluster_bits,
				    xcalloc(1, cluster_size(s)));
	}
	free(table);
	/* Blocks were entered, but not made, and may lie anywhere. */
	s->new_blocks = false;
	s->end = 0;
	return err;
}

/**
 * space_count() - count a use of clusters of an image that is there
 * @s: the space, from space_load()
 * @first: the first cluster
 * @nr: clusters
 *
 * Return: 0; or -EUCLEAN: there is no refcount for them, or no room in one.
 */
int space_count(struct space *s, u64 first, u64 nr)
{
	u64 i;

	for (; nr--; first++) {
		i = first >> s->block_bits;
		if (i >= s->entries || !s->table[i] ||
		    get_refcount(s, first) == qcow_entry_refcount_max(s->order))
			return -EUCLEAN;
		change_refcount(s, first, true);
	}
	return 0;
}

/**
 * space_share() - have one more user of a cluster that is allocated
 * @s: the space
 * @host_offset: in the cluster
 *
 * Return: 0, or -ENOSPC: its refcount is the largest one.
 */
int space_share(struct space *s, u64 host_offset)
{
	u64 cluster = host_offset >> s->cluster_bits;

	if (get_refcount(s, cluster) == qcow_entry_refcount_max(s->order))
		return -ENOSPC;
	change_refcount(s, cluster, true);
	return 0;
}

/**
 * space_used() - find the end of the clusters that have refcounts
 * @s: the space
 *
 * Return: bytes from the start of the file.
 */
u64 space_used(const struct space *s)
{
	u64 cluster = s->entries << s->block_bits;

	while (cluster && !get_refcount(s, cluster - 1)) {
		cluster--;
		/* A block that is not there has no refcounts. */
		if (!s->table[cluster >> s->block_bits])
			cluster = cluster >> s->block_bits << s->block_bits;
	}
	return cluster << s->cluster_bits;
}

/* Have the table name the new blocks, which are durable first. */
static int name_blocks(struct space *s)
{
	int err;

	if (!s->new_blocks)
		return 0;
	err = fdatasync(s->fd) ? -errno : write_table(s);
	if (!err)
		s->new_blocks = false;
	return err;
}

/**
 * space_sync() - write the refcounts that have changed, which does not make them durable
 * @s: the space
 *
 * Return: 0 or a negative errno.
 */
int space_sync(struct space *s)
{
	int err = 0;

	for (; !err && s->changed < s->changed_end; s->changed++)
		if (s->table[s->changed])
			err = space_write(s, s->blocks[s->changed], cluster_size(s),
					  s->table[s->changed]);
	return err ? err : name_blocks(s);
}

/**
 * space_free() - free the memory of a space
 * @s: the space
 */
void space_free(struct space *s)
{
	u64 i;

	for (i = 0; i < s->room; i++)
		free(s->blocks[i]);
	free(s->blocks);
	free(s->table);
}
