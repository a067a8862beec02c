// SPDX-License-Identifier: GPL-2.0
/*
 * Damage to images that were built.
 */
#include <linux/minmax.h>
#include <linux/string.h>

#include "compat/compat_test.h"
#include "damage.h"
#include "ondisk/format.h"
#include "qtest.h"

static u8 *touch(struct builder_image *b, struct damage *d, u64 host_offset, u32 len)
{
	d->host_start[d->nr] = host_offset;
	d->host_end[d->nr++] = host_offset + len;
	return b->file + host_offset;
}

/* An offset or entry at which something is likely to go wrong. */
static u64 bad_entry(struct rnd_state *rnd, const struct builder_image *b, u64 old)
{
	u64 cluster = 1ULL << b->spec.cluster_bits;
	u64 v = qtest_u64(rnd);

	switch (qtest_below(rnd, 9)) {
	case 0:
		return v;
	case 1:
		return old ^ BIT_ULL(v & 63);
	case 2:
		return 0;
	case 3:
		return U64_MAX;
	case 4:
		return old + 512;
	case 5: /* another place in the file */
		return (old & ~GENMASK_ULL(55, 0)) | (v % (b->file_len + 1) & -cluster);
	case 6: /* around its end */
		return (old & ~GENMASK_ULL(55, 0)) |
		       (b->file_len + (v % 5) * cluster - 2 * cluster);
	case 7:
		return old | QCOW_DISK_L2E_COMPRESSED;
	default: /* compressed, at other places, of other sizes */
		return QCOW_DISK_L2E_COMPRESSED | (v & GENMASK_ULL(61, 50)) |
		       v % (b->file_len + 1);
	}
}

static const struct builder_cluster *pick_cluster(const struct builder_image *b,
						  struct rnd_state *rnd)
{
	return &b->clusters[qtest_below(rnd, b->nr_clusters)];
}

static void damage_entry(struct builder_image *b, struct damage *d, u64 host_offset,
			 struct rnd_state *rnd)
{
	u64 old = get_unaligned_be64(b->file + host_offset);

	put_unaligned_be64(bad_entry(rnd, b, old), touch(b, d, host_offset, 8));
}

static void damage_header(struct builder_image *b, struct damage *d,
			  struct rnd_state *rnd)
{
	u32 host_offset = qtest_below(rnd, 112 / 4) * 4;
	u8 *p = touch(b, d, host_offset, 4);
	u32 old = get_unaligned_be32(p);

	switch (qtest_below(rnd, 4)) {
	case 0:
		put_unaligned_be32(old ^ BIT(qtest_below(rnd, 32)), p);
		break;
	case 1:
		put_unaligned_be32(old + qtest_below(rnd, 5) - 2, p);
		break;
	case 2:
		put_unaligned_be32(prandom_u32_state(rnd), p);
		break;
	default:
		put_unaligned_be32(qtest_below(rnd, 32), p);
	}
}

static void damage_bytes(struct builder_image *b, struct damage *d, u64 host_offset,
			 u64 len, struct rnd_state *rnd)
{
	u32 n;

	if (!len)
		return;
	host_offset += qtest_below(rnd, len);
	n = min_t(u64, 1 + qtest_below(rnd, 8), b->file_len - host_offset);
	prandom_bytes_state(rnd, touch(b, d, host_offset, n), n);
}

/* The refcount table, or a block of it. */
static void damage_refcounts(struct builder_image *b, struct damage *d,
			     struct rnd_state *rnd)
{
	u64 cluster = 1ULL << b->spec.cluster_bits;
	u64 table = get_unaligned_be64(b->file + 48), block;

	/* The header may be damaged already. */
	if (table + cluster > b->file_len)
		return;
	block = get_unaligned_be64(b->file + table);
	if (qtest_one_in(rnd, 3) || !block || block + cluster > b->file_len)
		damage_entry(b, d, table + qtest_below(rnd, 3) * 8, rnd);
	else
		damage_bytes(b, d, block, cluster, rnd);
}

static void damage_once(struct builder_image *b, struct damage *d,
			struct rnd_state *rnd)
{
	const struct builder_cluster *c = pick_cluster(b, rnd);

	if (b->spec.writable && qtest_one_in(rnd, 3)) {
		damage_refcounts(b, d, rnd);
		return;
	}
	switch (qtest_below(rnd, 12)) {
	case 0:
		damage_header(b, d, rnd);
		break;
	case 1: /* extensions, names, the rest of the first cluster */
		damage_bytes(b, d, 72, 400, rnd);
		break;
	case 2:
		damage_entry(b, d, c->l1_at, rnd);
		break;
	case 3:
		d->size = qtest_below(rnd, b->file_len + 1);
		break;
	case 4:
	case 5:
	case 6:
		damage_bytes(b, d, c->host, c->host_len, rnd);
		break;
	default:
		if (!c->l2_at)
			break;
		damage_entry(b, d, c->l2_at, rnd);
		if (b->spec.extended_l2 && qtest_one_in(rnd, 2))
			damage_bytes(b, d, c->l2_at + 8, 8, rnd);
	}
}

/* Damages @b->file; its length is then @d->size. */
void damage_image(struct builder_image *b, struct damage *d,
		  struct rnd_state *rnd)
{
	u32 n;

	memset(d, 0, sizeof(*d));
	d->size = b->file_len;
	/* One damage may have two parts. */
	for (n = 1 + qtest_below(rnd, 2); n; n--)
		damage_once(b, d, rnd);
}

/* @whole: a copy of the image file before the damage */
void damage_undo(struct builder_image *b, const struct damage *d, const u8 *whole)
{
	u32 i;

	for (i = 0; i < d->nr; i++)
		memcpy(b->file + d->host_start[i], whole + d->host_start[i],
		       d->host_end[i] - d->host_start[i]);
}
