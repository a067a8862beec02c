// SPDX-License-Identifier: GPL-2.0
/*
 * Refcounts for an image that was built, from its own tables.
 */
#include <linux/math64.h>
#include <linux/slab.h>

#include "compat/compat_test.h"
#include "builder.h"
#include "checker.h"
#include "ondisk/format.h"

#define GARBAGE		0xbd

/* Clusters that a full refcount table leaves. */
#define LEFT		5

/**
 * struct refs - refcounts being made
 * @b: the image
 * @k: the references that there are
 * @extra: one more, for clusters that are not COPIED, as if a snapshot had them, too
 * @cluster: bytes of a cluster
 * @order: of the refcounts
 * @first: the first cluster behind the image, where blocks go
 * @blocks: how many
 */
struct refs {
	struct builder_image *b;
	struct checker k;
	u8 *extra;
	u64 cluster;
	u32 order;
	u64 first;
	u64 blocks;
};

static u64 load_be64(const struct refs *r, u64 host_offset)
{
	return get_unaligned_be64(r->b->file + host_offset);
}

static void share(struct refs *r, u64 host_offset, u64 len)
{
	u64 c;

	for (c = host_offset / r->cluster;
	     len && c <= (host_offset + len - 1) / r->cluster; c++)
		if (c < r->first)
			r->extra[c] = 1;
}

static void share_entry(struct refs *r, u64 entry, bool all)
{
	u32 shift = 70 - r->b->spec.cluster_bits;
	u64 host_offset = entry & ((1ULL << shift) - 1);
	u64 sectors = (entry & ~(3ULL << 62)) >> shift;

	if (entry & QCOW_DISK_L2E_COMPRESSED) {
		if (all)
			share(r, host_offset, (sectors + 1) * 512 - host_offset % 512);
		return;
	}
	host_offset = entry & QCOW_DISK_L2E_OFFSET_MASK;
	if (host_offset && !(entry & QCOW_DISK_E_COPIED))
		share(r, host_offset, r->cluster);
}

static void share_all(struct refs *r)
{
	u32 bytes = r->b->spec.extended_l2 ? 16 : 8, i;
	u64 entry, l2_at, in_table;

	for (i = 0; i < r->k.l1_size; i++) {
		entry = load_be64(r, r->k.l1_at + i * 8ULL);
		l2_at = entry & QCOW_DISK_L1E_OFFSET_MASK;
		if (!l2_at)
			continue;
		if (!(entry & QCOW_DISK_E_COPIED))
			share(r, l2_at, r->cluster);
		for (in_table = 0; in_table < r->cluster; in_table += bytes)
			share_entry(r, load_be64(r, l2_at + in_table),
				    !(entry & QCOW_DISK_E_COPIED));
	}
}

static void put_blocks(struct refs *r)
{
	u64 covered = (r->cluster * 8) >> r->order, i, value;
	u8 *file = r->b->file;

	for (i = 0; i < r->blocks; i++)
		put_unaligned_be64((r->first + i) * r->cluster,
				   file + r->k.table_at + i * 8);
	memset(file + r->first * r->cluster, 0, r->blocks * r->cluster);
	for (i = 0; i < r->first + r->blocks; i++) {
		value = i < r->first ? r->k.refs[i] + r->extra[i] : 1;
		checker_put_bits(file + (r->first + i / covered) * r->cluster,
				 r->order, i % covered, value);
		/* Old content of a free cluster must never be seen again. */
		if (!value)
			memset(file + i * r->cluster, GARBAGE, r->cluster);
	}
}

/* The refcount table is full, but for the last clusters that it can count. */
static void fill_blocks(struct refs *r)
{
	u64 covered = (r->cluster * 8) >> r->order, i;

	for (i = r->first + r->blocks; i < r->blocks * covered - LEFT; i++)
		checker_put_bits(r->b->file + (r->first + i / covered) * r->cluster,
				 r->order, i % covered, 1);
}

/**
 * builder_put_refcounts() - give an image refcount blocks, at its end
 * @b: all but them is there
 * @end: bytes of the file until now, and with them
 *
 * Return: 0 or -ENOMEM.
 */
int builder_put_refcounts(struct builder_image *b, u64 *end)
{
	struct refs r = {
		.b = b,
		.cluster = 1ULL << b->spec.cluster_bits,
		.order = b->spec.version == 3 ? b->spec.order : 4,
	};
	u64 covered = (r.cluster * 8) >> r.order;
	int err;

	r.first = DIV64_U64_ROUND_UP(*end, r.cluster);
	err = checker_init(&r.k, r.first + 1);
	r.extra = kvzalloc(r.first + 1, GFP_KERNEL);
	if (!err && r.extra) {
		checker_walk(&r.k, b->file, r.first * r.cluster);
		share_all(&r);
		while (r.blocks * covered < r.first + r.blocks)
			r.blocks++;
		if (b->spec.full)
			r.blocks = r.cluster / 8;
		if (!WARN_ON((r.first + r.blocks) * r.cluster > b->capacity ||
			     r.blocks > r.cluster / 8))
			put_blocks(&r);
		if (b->spec.full)
			fill_blocks(&r);
		*end = (r.first + r.blocks) * r.cluster;
	}
	kvfree(r.extra);
	checker_free(&r.k);
	return err ?: r.extra ? 0 : -ENOMEM;
}

void builder_set_refcount(u8 *file, u64 cluster, u64 value)
{
	u32 order = get_unaligned_be32(file + offsetof(struct qcow_disk_header,
						       refcount_order));
	u32 bits = get_unaligned_be32(file + offsetof(struct qcow_disk_header,
						      cluster_bits)) + 3 - order;
	u64 table = get_unaligned_be64(file + offsetof(struct qcow_disk_header,
						       refcount_table_offset));
	u64 block = get_unaligned_be64(file + table + (cluster >> bits) * sizeof(u64));

	checker_put_bits(file + block, order, cluster & ((1ULL << bits) - 1), value);
}
