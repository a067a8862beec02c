// SPDX-License-Identifier: GPL-2.0
/*
 * The L1 table of a new image. With preallocation there are L2 tables for the whole disk,
 * too, and clusters for its data. All lie where QEMU would put them.
 */
#include <limits.h>
#include <stdlib.h>

#include "create/fill.h"
#include "create/tables.h"
#include "lib/memory.h"
#include "lib/progress.h"

static u64 cluster_size(const struct tables *t)
{
	return t->p->cluster_size;
}

/* Bytes of the disk in whole clusters, or subclusters if there are such. */
static u64 mapped_bytes(const struct tables *t)
{
	u64 grain = cluster_size(t);

	if (t->p->extended_l2)
		grain /= QCOW_DISK_SUBCLUSTERS;
	return ROUND_UP(t->p->size, grain);
}

/* Entries of an L2 table, as a shift. */
static u32 l2_bits(const struct tables *t)
{
	return t->s->cluster_bits - create_entry_bits(t->p);
}

/* --- L1 and L2 tables --- */

static int write_l2(struct tables *t)
{
	if (!t->l2_host_offset)
		return 0;
	return space_write(t->s, t->l2, cluster_size(t), t->l2_host_offset);
}

/* Have the L2 table for a cluster of the disk. They are made in order, and have one each. */
static int need_l2(struct tables *t, u64 guest_cluster)
{
	u64 i = guest_cluster >> l2_bits(t);
	int err;

	if (t->l1[i])
		return 0;
	if (progress_stopped())
		return -EINTR;
	progress("Making tables", i, t->l1_entries);
	err = write_l2(t);
	if (!err)
		err = space_alloc(t->s, cluster_size(t), &t->l2_host_offset);
	if (err)
		return err;
	memset(t->l2, 0, cluster_size(t));
	t->l1[i] = cpu_to_be64(t->l2_host_offset | QCOW_DISK_E_COPIED);
	return 0;
}

/* Map clusters of the disk, which lie in the latest L2 table. */
static void map(struct tables *t, u64 guest_cluster, u64 host_offset, u64 nr)
{
	u32 step = 1U << (create_entry_bits(t->p) - 3);
	u64 i = guest_cluster & ((1ULL << l2_bits(t)) - 1);

	/* With subclusters, none of them is marked as allocated. */
	for (; nr--; i++, host_offset += cluster_size(t))
		t->l2[i * step] = cpu_to_be64(host_offset | QCOW_DISK_E_COPIED);
}

/* Clusters from @guest_cluster on that its L2 table maps, up to @nr. */
static u64 in_table(const struct tables *t, u64 guest_cluster, u64 nr)
{
	u64 rest = (1ULL << l2_bits(t)) - (guest_cluster & ((1ULL << l2_bits(t)) - 1));

	return min(rest, nr);
}

static int make_l1(struct tables *t)
{
	u64 clusters = space_clusters(t->s, t->p->size);

	t->l1_entries = clusters ? ((clusters - 1) >> l2_bits(t)) + 1 : 0;
	if (!t->l1_entries)
		return 0;
	t->l1 = xcalloc(t->l1_entries, sizeof(*t->l1));
	t->l2 = xcalloc(1, cluster_size(t));
	return space_alloc(t->s, t->l1_entries * sizeof(*t->l1), &t->l1_table_offset);
}

/* --- Metadata for the whole disk --- */

/*
 * Allocate up to @nr clusters for the disk from @guest_cluster on, at the host offset
 * @next unless that is 0, and put the host offset behind them there. @got is 0 if there is
 * no room for one. Return: 0 or a negative errno.
 */
static int extend_run(struct tables *t, u64 *next, u64 guest_cluster, u64 nr, u64 *got)
{
	u64 host_offset = *next;
	int err = need_l2(t, guest_cluster);

	*got = in_table(t, guest_cluster, nr);
	if (err)
		return err;
	if (t->p->data_file)
		host_offset = guest_cluster * cluster_size(t);
	else if (*next)
		err = space_alloc_at(t->s, host_offset, *got, got);
	else
		err = space_alloc(t->s, *got * cluster_size(t), &host_offset);
	if (err)
		return err;
	map(t, guest_cluster, host_offset, *got);
	if (*got)
		*next = host_offset + *got * cluster_size(t);
	return 0;
}

/*
 * Map up to @nr clusters of the disk from @guest_cluster on to clusters in a row, behind
 * which the host offset @next is. @got were mapped, one at least. Return: 0 or a negative
 * errno.
 */
static int map_run(struct tables *t, u64 guest_cluster, u64 nr, u64 *got, u64 *next)
{
	u64 n;
	int err;

	*next = 0;
	*got = 0;
	do {
		err = extend_run(t, next, guest_cluster + *got, nr - *got, &n);
		*got += n;
	} while (!err && n && *got < nr);
	return err;
}

/* QEMU maps less than 2 GiB at a time. */
static u64 piece_clusters(const struct tables *t)
{
	return INT_MAX / cluster_size(t);
}

static int map_disk(struct tables *t)
{
	u64 nr = space_clusters(t->s, t->p->size), done, got;
	u64 next = 0;
	int err;

	for (done = 0; done < nr; done += got) {
		err = map_run(t, done, min(nr - done, piece_clusters(t)), &got, &next);
		if (err)
			return err;
	}
	/* The file has all that is mapped, to the end of the disk's last subcluster. */
	if (nr && !t->p->data_file)
		space_extend(t->s, next - (nr * cluster_size(t) - mapped_bytes(t)));
	return 0;
}

/* --- Blocks of the filesystem for the whole disk --- */

static int map_area(struct tables *t, u64 host_offset)
{
	u64 nr = space_clusters(t->s, t->p->size), done, n;
	int err;

	for (done = 0; done < nr; done += n) {
		err = need_l2(t, done);
		if (err)
			return err;
		n = in_table(t, done, nr - done);
		map(t, done, host_offset + done * cluster_size(t), n);
	}
	return 0;
}

static int allocate_disk(struct tables *t)
{
	u64 nr = space_clusters(t->s, t->p->size), got, start, end;
	/* One more than there are, as QEMU counts one that may be there in part. */
	u64 l2_tables = DIV_ROUND_UP_ULL(nr, 1ULL << l2_bits(t)) + 1;
	int err = space_reserve(t->s, nr + l2_tables, &start);

	if (!err)
		err = space_alloc_at(t->s, start, nr, &got);
	if (err)
		return err;
	end = start + nr * cluster_size(t);
	err = fill_file(t->s->fd, t->s->end, end, t->p->preallocation);
	space_extend(t->s, end);
	return err ? err : map_area(t, start);
}

/* --- The whole --- */

static int preallocate(struct tables *t)
{
	switch (t->p->preallocation) {
	case PREALLOCATION_OFF:
		return 0;
	case PREALLOCATION_METADATA:
		return map_disk(t);
	default:
		return t->p->data_file ? map_disk(t) : allocate_disk(t);
	}
}

/* Bytes of the external data file. */
static u64 data_bytes(const struct tables *t)
{
	return t->p->preallocation ? mapped_bytes(t) : t->p->size;
}

/**
 * tables_make() - make the tables of a new image, and allocate what it is to have
 * @t: the result; tables_free() it, after a failure too
 * @p: properties of the image
 * @s: its space
 * @data_fd: its external data file, which is empty, or -1
 *
 * Return: 0; -EINTR: a signal came; or another negative errno.
 */
int tables_make(struct tables *t, const struct create_params *p, struct space *s, int data_fd)
{
	int err;

	*t = (struct tables) { .p = p, .s = s, .data_fd = data_fd };
	err = make_l1(t);
	/* The rest of its last cluster is not in the file. */
	if (!err && t->l1_table_offset)
		space_extend(s, t->l1_table_offset + t->l1_entries * sizeof(*t->l1));
	if (!err)
		err = preallocate(t);
	if (!err && p->preallocation)
		progress("Making tables", t->l1_entries, t->l1_entries);
	progress_end();
	if (!err)
		err = write_l2(t);
	if (!err && t->l1_table_offset)
		err = space_write(s, t->l1, t->l1_entries * sizeof(*t->l1), t->l1_table_offset);
	if (!err && data_fd >= 0)
		err = fill_file(data_fd, 0, data_bytes(t), p->preallocation);
	return err;
}

/**
 * tables_free() - free the memory of tables
 * @t: the tables
 */
void tables_free(struct tables *t)
{
	free(t->l1);
	free(t->l2);
}
