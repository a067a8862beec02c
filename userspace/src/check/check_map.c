// SPDX-License-Identifier: GPL-2.0
/*
 * L1 and L2 tables, of the disk and of snapshots.
 *
 * A table that several L1 entries refer to is looked at once, and the clusters it refers
 * to counts as often. That is fast for snapshots, and bounds the work.
 *
 * check_run.c calls this, and check_extra.c for the L1 tables of snapshots. It only reads.
 */
#include <stdlib.h>

#include "check/check_map.h"
#include "check/check_refs.h"
#include "lib/progress.h"
#include "lib/report.h"

#define L1E_RESERVED	(GENMASK_ULL(62, 56) | GENMASK_ULL(8, 0))
#define L2E_RESERVED	(GENMASK_ULL(61, 56) | GENMASK_ULL(8, 1))

/* Entries of an L1 table that are read at once. */
#define L1_STEP		8192U

/**
 * struct l2_walk - an L2 table looked at
 * @c: the check
 * @active: L1 entries of the disk that refer to it
 * @times: L1 entries that refer to it
 * @copied: look at COPIED flags
 * @next: where the next cluster would be if they were contiguous; 0: no idea
 */
struct l2_walk {
	struct check *c;
	u64 active;
	u64 times;
	bool copied;
	u64 next;
};

static void damaged(struct l2_walk *w, u64 raw, const char *wrong)
{
	check_found(w->c, "L2 entry %#llx: %s", (unsigned long long)raw, wrong);
	w->c->res.corruptions += w->times;
	w->c->damaged += w->times;
}

static int l2_compressed(struct l2_walk *w, u64 raw, u64 bitmap)
{
	struct check *c = w->c;
	struct qcow_entry e;

	if (raw & QCOW_DISK_E_COPIED)
		damaged(w, raw, "a compressed cluster has the COPIED flag");
	if (qcow_entry_l2(&c->layout, raw, bitmap, 0, &e)) {
		damaged(w, raw, e.fault);
		return 0;
	}
	if (bitmap) {
		damaged(w, raw, "a compressed cluster has subclusters");
		return 0;
	}
	c->res.allocated += w->active;
	c->res.compressed += w->active;
	c->res.fragmented += w->active;
	return check_reference(c, e.host_offset, e.csize, w->times);
}

static void l2_copied(struct l2_walk *w, u64 raw, u64 host_offset)
{
	struct check *c = w->c;
	u64 refcount = 1;

	if (!w->copied || (!c->layout.data_file &&
			   check_disk_refcount(c, host_offset >> c->h.cluster_bits, &refcount)))
		return;
	if ((refcount == 1) == !!(raw & QCOW_DISK_E_COPIED))
		return;
	check_found(c, "L2 entry %#llx: wrong COPIED flag, the refcount is %llu",
		    (unsigned long long)raw, (unsigned long long)refcount);
	c->res.corruptions += w->active;
	c->copied += w->active;
}

static int l2_cluster(struct l2_walk *w, u64 raw, u64 bitmap)
{
	u64 host_offset = raw & QCOW_DISK_L2E_OFFSET_MASK;
	struct check *c = w->c;

	if (bitmap >> 32 & bitmap)
		damaged(w, raw, "a subcluster is both allocated and zero");
	if (!check_aligned(c, host_offset))
		damaged(w, raw, "the cluster is not aligned");
	if (w->active) {
		c->res.allocated += w->active;
		if (w->next && w->next != host_offset)
			c->res.fragmented += w->active;
		w->next = host_offset + c->cluster;
	}
	l2_copied(w, raw, host_offset);
	return c->layout.data_file ? 0 :
	       check_reference(c, host_offset, c->cluster, w->times);
}

static int l2_entry(struct l2_walk *w, u64 raw, u64 bitmap)
{
	const struct qcow_layout *lay = &w->c->layout;

	if (raw & QCOW_DISK_L2E_COMPRESSED)
		return l2_compressed(w, raw, bitmap);
	if (raw & L2E_RESERVED)
		damaged(w, raw, "reserved bits are set");
	if (raw & QCOW_DISK_L2E_OFFSET_MASK)
		return l2_cluster(w, raw, bitmap);
	if (raw & QCOW_DISK_L2E_ZERO && !lay->extended_l2)
		return 0;
	if (lay->data_file && raw & QCOW_DISK_E_COPIED)
		return l2_cluster(w, raw, bitmap);
	if ((u32)bitmap)
		damaged(w, raw, "a subcluster is allocated without a cluster");
	return 0;
}

static bool all_zero(const u8 *buf, u64 len)
{
	return !buf[0] && !memcmp(buf, buf + 1, len - 1);
}

/* @active, @inactive: how many L1 entries refer to the table at @host_offset. */
static int l2_table(struct check *c, u64 host_offset, u64 active, u64 inactive)
{
	struct l2_walk w = {
		.c = c,
		.active = active,
		.times = active + inactive,
	};
	const __be64 *entry = c->buf;
	u32 words = c->layout.extended_l2 ? 2 : 1;
	u64 refcount, i;

	if (check_read_table(c, c->buf, c->cluster, host_offset))
		return -1;
	if (all_zero(c->buf, c->cluster))
		check_empty_table(c, host_offset);
	w.copied = active && host_offset &&
		   !check_disk_refcount(c, host_offset >> c->h.cluster_bits, &refcount);
	for (i = 0; i < 1ULL << c->layout.l2_bits; i++, entry += words)
		if ((entry[0] || (words > 1 && entry[1])) &&
		    l2_entry(&w, be64_to_cpu(entry[0]),
			     words > 1 ? be64_to_cpu(entry[1]) : 0))
			return -1;
	return 0;
}

/**
 * check_l2_tables() - look at all L2 tables that L1 tables refer to
 * @c: the check
 *
 * Return: 0, or -1 after saying why the check cannot go on.
 */
int check_l2_tables(struct check *c)
{
	struct check_l2_walk w;
	u64 i;

	for (check_l2_start(c, &w); (i = check_l2_next(c, &w)) != UINT64_MAX;) {
		if (!c->trial)
			progress("Checking", i, c->nr);
		if (progress_stopped() || check_ended(c) ||
		    l2_table(c, i << c->h.cluster_bits, counts_get(&c->active, i),
			     counts_get(&c->inactive, i)))
			return -1;
	}
	return 0;
}

static void l1_copied(struct check *c, u64 raw, u64 host_offset)
{
	u64 refcount;

	if (!host_offset || check_disk_refcount(c, host_offset >> c->h.cluster_bits, &refcount) ||
	    (refcount == 1) == !!(raw & QCOW_DISK_E_COPIED))
		return;
	check_found(c, "L1 entry %#llx: wrong COPIED flag, the refcount is %llu",
		    (unsigned long long)raw, (unsigned long long)refcount);
	c->res.corruptions++;
	c->copied++;
}

static void l1_damaged(struct check *c, u64 raw, const char *wrong)
{
	check_found(c, "L1 entry %#llx: %s", (unsigned long long)raw, wrong);
	c->res.corruptions++;
	c->damaged++;
}

/*
 * Snapshots share L2 tables, but each table stays at its place in the disk. At a second
 * place it is there by mistake, and the table that belongs there looks leaked. Counters
 * up to 255 take the least memory; few pairs of places have the same remainder.
 */
static void l1_place(struct check *c, u64 cluster, u32 index)
{
	u32 before = counts_get(&c->l2_index, cluster), place = index % 255 + 1;

	if (!before)
		counts_set(&c->l2_index, cluster, place);
	else if (before != place)
		c->overlaps++;
}

/* @i: the entry's index in its table. */
static int l1_entry(struct check *c, u64 raw, u32 i, bool active)
{
	struct counts *counts = active ? &c->active : &c->inactive;
	u64 host_offset, index;
	int unaligned = qcow_entry_l1(&c->layout, raw, &host_offset);

	if (raw & L1E_RESERVED)
		l1_damaged(c, raw, "reserved bits are set");
	if (active)
		l1_copied(c, raw, host_offset);
	if (check_reference(c, host_offset, c->cluster, 1))
		return -1;
	if (unaligned) {
		l1_damaged(c, raw, "the L2 table is not aligned");
		return l2_table(c, host_offset, active, !active);
	}
	/* A table past the end of the file reads as zeros: as no entries. */
	if (host_offset >= c->length)
		return 0;
	index = host_offset >> c->h.cluster_bits;
	if (counts_get(counts, index) == UINT32_MAX)
		return check_give_up(c, "an L2 table has more than 2^32 references; restore the image from a copy");
	counts_set(counts, index, counts_get(counts, index) + 1);
	l1_place(c, index, i);
	return 0;
}

/**
 * check_l1() - look at an L1 table
 * @c: the check
 * @host_offset: of the table, bytes into the file
 * @nr: its entries
 * @active: it is the disk's, and not a snapshot's
 *
 * Return: 0, or -1 after saying why the check cannot go on.
 */
int check_l1(struct check *c, u64 host_offset, u32 nr, bool active)
{
	u64 start = host_offset;
	bool empty = true;
	u32 i, n, done = 0;
	__be64 *l1;
	int err;

	err = check_table(c, host_offset, nr * 8ULL);
	if (err || !nr)
		return err;
	l1 = xcalloc(L1_STEP, sizeof(*l1));
	for (; !err && done < nr && host_offset < c->length; done += n, host_offset += n * 8ULL) {
		n = min(nr - done, L1_STEP);
		err = check_read_table(c, l1, n * 8ULL, host_offset);
		empty = empty && all_zero((const u8 *)l1, n * 8ULL);
		for (i = 0; !err && i < n && !check_ended(c); i++)
			if (l1[i])
				err = l1_entry(c, be64_to_cpu(l1[i]), done + i, active);
		if (progress_stopped() || check_ended(c))
			err = -1;
	}
	if (empty && !err)
		check_empty_table(c, start);
	free(l1);
	return err;
}
