// SPDX-License-Identifier: GPL-2.0
/*
 * Whether the end of an image file was lost.
 *
 * Data past the end of the file reads as zeros: QEMU leaves the last
 * cluster short, and that is how it reads it back. But where a whole cluster
 * that holds data is gone, zeros would be a lie. A cheap look at the last
 * refcounts tells whether anything used can be missing at all; only then are
 * the tables walked for an entry that refers to the missing part, as a cluster
 * that was merely leaked does no harm. Version 1 has no refcounts: its tables are
 * walked always.
 */
#include <stdlib.h>

#include "image/truncated.h"
#include "lib/progress.h"
#include "lib/report.h"
#include "qcow/ondisk/entry.h"

/* Refcount blocks without any refcount that the cheap look reads at most. */
#define MAX_EMPTY_BLOCKS	64

/**
 * struct walk - one image looked at
 * @img: the image
 * @h: its header
 * @layout: of its tables
 * @cluster: bytes of a cluster
 * @table: bytes of an L2 table
 * @used: end of the last cluster known to be used, bytes into the file
 * @buf: one cluster or L2 table of metadata
 */
struct walk {
	const struct image *img;
	const struct qcow_header *h;
	struct qcow_layout layout;
	u64 cluster;
	u64 table;
	u64 used;
	void *buf;
};

/* The result of the cheap look. */
enum verdict {
	COMPLETE,	/* everything with a refcount is in the file */
	SHORT,		/* the last used cluster is there in part */
	LOST,		/* used clusters are gone, or nobody knows */
	FAILED,		/* said why */
};

/* Index of the last refcount in a block that is not 0, or -1. */
static s64 last_refcount(const u8 *block, size_t len, u32 order)
{
	u32 bits = 1U << order;
	u32 i;

	while (len && !block[len - 1])
		len--;
	if (!len)
		return -1;
	if (bits >= 8)
		return (len - 1) / (bits / 8);
	for (i = 8 / bits - 1; !(block[len - 1] >> (i * bits) & ((1U << bits) - 1)); i--)
		;
	return (s64)(len - 1) * (8 / bits) + i;
}

static enum verdict verdict_of(struct walk *w, u64 block, s64 index)
{
	u64 per_block = w->cluster * 8 >> w->h->refcount_order;
	u64 last, start;

	if (__builtin_mul_overflow(block, per_block, &last) ||
	    __builtin_add_overflow(last, (u64)index, &last) ||
	    last > (u64)S64_MAX >> w->h->cluster_bits)
		return LOST;
	start = last << w->h->cluster_bits;
	w->used = start + w->cluster;
	if (start >= w->img->file.size)
		return LOST;
	return w->used > w->img->file.size ? SHORT : COMPLETE;
}

/* Follow the last entries of the refcount table. */
static enum verdict look_at_table(struct walk *w, const __be64 *table, u64 nr)
{
	unsigned int empty = 0;
	s64 index;
	u64 host_offset;

	while (nr && empty < MAX_EMPTY_BLOCKS) {
		host_offset = be64_to_cpu(table[--nr]) & QCOW_DISK_REFTABLE_OFFSET_MASK;
		if (!host_offset)
			continue;
		if (!IS_ALIGNED(host_offset, w->cluster) ||
		    host_offset >= w->img->file.size)
			return LOST;
		if (file_read(&w->img->file, w->buf, w->cluster, host_offset, NULL))
			return FAILED;
		index = last_refcount(w->buf, w->cluster, w->h->refcount_order);
		if (index >= 0)
			return verdict_of(w, nr, index);
		empty++;
	}
	return LOST;
}

static enum verdict look_at_refcounts(struct walk *w)
{
	u64 bytes = (u64)w->h->refcount_table_clusters << w->h->cluster_bits;
	enum verdict verdict = FAILED;
	__be64 *table;

	/* After a crash under lazy refcounts they say nothing. */
	if (!qcow_layout_has_refcounts(&w->layout) ||
	    w->h->incompatible & QCOW_DISK_INCOMPAT_DIRTY)
		return LOST;
	table = xcalloc(1, bytes);
	if (!file_read(&w->img->file, table, bytes, w->h->refcount_table_offset,
		       NULL))
		verdict = look_at_table(w, table, bytes / sizeof(*table));
	free(table);
	return verdict;
}

static int refuse(const struct walk *w, const struct file *f, u64 end)
{
	const char *advice = w->img->salvage ? "missing parts fail with EIO" :
			     "restore it from a copy, or attach the rest with -r --salvage";

	report(f->name, "file is truncated: %llu bytes, but the image uses %llu; %s",
	       (unsigned long long)f->size,
	       (unsigned long long)(end > w->used ? end : w->used), advice);
	return -1;
}

/* Whether the cluster of an entry starts past the end of its file. */
static bool grain_lost(const struct walk *w, const struct file *data,
		       const struct qcow_entry *e, u64 *end)
{
	switch (e->type) {
	case QCOW_EXTENT_COMPRESSED:
		*end = e->host_offset + 1;
		return e->host_offset >= w->img->file.size;
	case QCOW_EXTENT_DATA:
		*end = e->host_offset + (1ULL << w->layout.grain_bits);
		return e->host_offset >= data->size;
	default:
		return false;
	}
}

/*
 * Whether any piece of an L2 entry's cluster is lost. The driver refuses a damaged
 * entry when it is read.
 */
static bool entry_lost(const struct walk *w, const struct file *data,
		       const __be64 *entry, u64 guest_offset, u64 *end)
{
	u64 grain = 1ULL << w->layout.grain_bits;
	u64 bitmap = w->layout.extended_l2 ? be64_to_cpu(entry[1]) : 0;
	struct qcow_entry e;
	u64 i;

	for (i = 0; i < w->cluster; i += grain)
		if (!qcow_entry_l2(&w->layout, be64_to_cpu(entry[0]), bitmap,
				   guest_offset + i, &e) &&
		    grain_lost(w, data, &e, end))
			return true;
	return false;
}

/* @guest_offset: the first byte of the disk that the table maps. */
static int walk_l2(struct walk *w, const struct file *data, u64 host_offset, u64 guest_offset)
{
	u32 words = w->layout.extended_l2 ? 2 : 1;
	const __be64 *entry = w->buf;
	u64 end = 0;
	u64 i;

	if (file_read(&w->img->file, w->buf, w->table, host_offset, NULL))
		return -1;
	for (i = 0; i < 1ULL << w->layout.l2_bits; i++)
		if (entry_lost(w, data, entry + i * words,
			       guest_offset + i * w->cluster, &end))
			return refuse(w, data, end);
	return 0;
}

/*
 * Walk the L2 tables that L1 entries from @first on refer to; @deep: and what
 * those refer to in @data.
 */
static int walk_l1(struct walk *w, const __be64 *l1, u64 first, u64 nr,
		   const struct file *data, bool deep)
{
	const struct file *f = &w->img->file;
	u32 shift = qcow_layout_l1_shift(&w->layout);
	u64 left = f->size / w->table + 1;
	u64 host_offset, i;

	for (i = first; i < nr; i++) {
		if (deep)
			progress("Checking", i << shift, nr << shift);
		if (qcow_entry_l1(&w->layout, be64_to_cpu(l1[i]), &host_offset) ||
		    !host_offset)
			continue;
		/* QEMU writes all of an L2 table at once. */
		if (host_offset + w->table > f->size)
			return refuse(w, f, host_offset + w->table);
		/* More tables than there is room for: damaged, and not cut short. */
		if (!deep || !left--)
			continue;
		if (walk_l2(w, data, host_offset, i << shift))
			return -1;
	}
	if (deep)
		progress("Checking", nr << shift, nr << shift);
	return 0;
}

/*
 * In an external data file host offset equals guest offset, so only the disk
 * past its end can be missing.
 */
static int check_data_file(struct walk *w, const __be64 *l1, u64 nr)
{
	const struct file *data = &w->img->data;

	if (!image_has_data_file(w->img) || data->size >= w->h->size)
		return 0;
	w->used = 0;
	return walk_l1(w, l1, data->size >> qcow_layout_l1_shift(&w->layout), nr, data, true);
}

static int check_image(struct walk *w, const __be64 *l1, u64 nr)
{
	enum verdict verdict = look_at_refcounts(w);
	bool own_data = !image_has_data_file(w->img);

	switch (verdict) {
	case SHORT:
	case LOST:
		return walk_l1(w, l1, 0, nr, &w->img->file,
			       own_data && verdict == LOST);
	case COMPLETE:
		return 0;
	case FAILED:
		break;
	}
	return -1;
}

/* The active L1 table, as far as the disk needs it. */
static int check_l1(struct walk *w)
{
	u32 shift = qcow_layout_l1_shift(&w->layout);
	u64 nr = (w->h->size + (1ULL << shift) - 1) >> shift;
	u64 bytes = nr * sizeof(__be64);
	const struct file *f = &w->img->file;
	__be64 *l1;
	int err;

	if (!nr)
		return 0;
	/* Its cluster need not be there to the end, its entries are. */
	if (w->h->l1_table_offset + bytes > f->size)
		return refuse(w, f, w->h->l1_table_offset + bytes);
	l1 = xcalloc(nr, sizeof(*l1));
	err = file_read(f, l1, bytes, w->h->l1_table_offset, NULL);
	if (!err)
		err = check_image(w, l1, nr);
	if (!err)
		err = check_data_file(w, l1, nr);
	progress_end();
	free(l1);
	return err;
}

/**
 * truncated_check() - refuse a file whose end was lost
 * @img: a loaded qcow or qcow2 image
 *
 * Reads the refcount table, a few refcount blocks and the L1 table; all L2
 * tables, one at a time, only if something is missing, or in version 1.
 *
 * Return: 0, or -1 after a message, which for a salvaged image tells the consequence.
 */
int truncated_check(const struct image *img)
{
	struct walk w = {
		.img = img,
		.h = &img->header,
		.cluster = 1ULL << img->header.cluster_bits,
	};
	int err;

	qcow_layout_init(&w.layout, w.h);
	w.table = qcow_layout_l2_bytes(&w.layout);
	w.buf = xcalloc(1, w.table > w.cluster ? w.table : w.cluster);
	err = check_l1(&w);
	free(w.buf);
	return err;
}
