// SPDX-License-Identifier: GPL-2.0
/*
 * The register of metadata: against a bitmap, its memory, and the attach of an image that
 * has so much metadata that its refcounts are not all read.
 */
#include <linux/bitmap.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "compat/compat_test.h"
#include "meta/alloc.h"
#include "meta/refcount.h"
#include "ondisk/format.h"
#include "writer.h"

/* --- The table --- */

#define UNITS	4096U

/* A register of bytes */
static void init(struct kunit *test, struct qcow_register *reg)
{
	struct qcow_image *img = kunit_kzalloc(test, sizeof(*img), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, img);
	KUNIT_ASSERT_EQ(test, qcow_register_init(reg, img), 0);
}

static void expect_same(struct kunit *test, struct qcow_register *reg, const unsigned long *has,
			struct rnd_state *rnd)
{
	u32 unit = qtest_below(rnd, UNITS), nr = 1 + qtest_below(rnd, 40);

	nr = min(nr, UNITS - unit);
	KUNIT_EXPECT_EQ_MSG(test, qcow_register_has_any(reg, unit, nr),
			    find_next_bit(has, unit + nr, unit) < unit + nr, "%u %u", unit, nr);
}

static void register_random(struct kunit *test)
{
	unsigned long *has = kunit_kzalloc(test, UNITS / 8, GFP_KERNEL);
	struct rnd_state rnd = qtest_rnd(81000);
	struct qcow_register reg;
	enum qcow_meta kind;
	u64 i = 0, unit, n = 0;
	u32 step, first, nr;

	KUNIT_ASSERT_NOT_NULL(test, has);
	init(test, &reg);
	for (step = 0; step < 2000; step++) {
		first = qtest_below(&rnd, UNITS);
		nr = min(1 + qtest_below(&rnd, 20), UNITS - first);
		/* Until the table is nearly full, then until it is nearly empty, ... */
		if (qtest_below(&rnd, 4) < (step >> 9 & 1 ? 1 : 3)) {
			KUNIT_ASSERT_EQ(test, qcow_register_add(&reg, QCOW_META_L2, first, nr), 0);
			bitmap_set(has, first, nr);
		} else {
			qcow_register_forget(&reg, first, nr);
			bitmap_clear(has, first, nr);
		}
		KUNIT_ASSERT_EQ(test, reg.nr, bitmap_weight(has, UNITS));
		expect_same(test, &reg, has, &rnd);
	}
	for (; qcow_register_next(&reg, &i, &unit, &kind); n++) {
		KUNIT_EXPECT_TRUE(test, test_bit(unit, has));
		KUNIT_EXPECT_EQ(test, kind, QCOW_META_L2);
	}
	KUNIT_EXPECT_EQ(test, n, reg.nr);
	KUNIT_EXPECT_LE(test, qcow_register_bytes(&reg), SZ_64K);
	qcow_register_destroy(&reg);
}

/* A table for each @every clusters, and a refcount block for each four of them. */
static void fill(struct kunit *test, struct qcow_register *reg, u32 nr, u32 every)
{
	u64 i;

	for (i = 0; i < nr; i++) {
		KUNIT_ASSERT_EQ(test, qcow_register_claim(reg, QCOW_META_L2, i * every + 1, 1), 0);
		if (!(i % 4))
			KUNIT_ASSERT_EQ(test, qcow_register_claim(reg, QCOW_META_REFBLOCK,
								  i * every, 1), 0);
	}
	KUNIT_EXPECT_EQ(test, qcow_register_end(reg), (nr - 1ULL) * every + 2);
	for (i = 0; i < nr; i += 64) {
		KUNIT_EXPECT_EQ(test, qcow_register_kind(reg, i * every + 1), QCOW_META_L2);
		KUNIT_EXPECT_FALSE(test, qcow_register_has_any(reg, i * every + 2, 254));
	}
}

/* The promise: 8 TiB with clusters of 64 KiB, and 8 MiB a TiB with those of 4 KiB. */
static void register_memory(struct kunit *test)
{
	struct qcow_register reg;

	init(test, &reg);
	fill(test, &reg, 16384, 8192);
	KUNIT_EXPECT_LE(test, qcow_register_bytes(&reg), SZ_256K);
	qcow_register_destroy(&reg);
	init(test, &reg);
	fill(test, &reg, 65536, 512);
	KUNIT_EXPECT_LE(test, qcow_register_bytes(&reg), SZ_1M);
	qcow_register_destroy(&reg);
}

/* The limit counts for metadata that is found; forgotten metadata makes room. */
static void register_limit(struct kunit *test)
{
	struct qcow_register reg;
	u32 i, most;
	int err = 0;

	init(test, &reg);
	reg.max_bytes = SZ_8K;
	for (i = 0; !err; i++)
		err = qcow_register_claim(&reg, QCOW_META_L2, i, 1);
	most = i - 1;
	KUNIT_EXPECT_EQ(test, err, -EFBIG);
	KUNIT_EXPECT_GT(test, most, 600U);
	KUNIT_EXPECT_LE(test, qcow_register_bytes(&reg), SZ_8K);
	KUNIT_EXPECT_EQ(test, qcow_register_claim(&reg, QCOW_META_L2, 0, 1), -EUCLEAN);
	qcow_register_forget(&reg, 0, most);
	KUNIT_EXPECT_EQ(test, qcow_register_claim(&reg, QCOW_META_L2, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, qcow_register_add(&reg, QCOW_META_L2, 1, 4 * most), 0);
	KUNIT_EXPECT_FALSE(test, qcow_register_fits(&reg));
	qcow_register_destroy(&reg);
}

/* --- Attach --- */

#define BITS		16
#define CLUSTER		BIT(BITS)
#define TABLES		16384U
#define L2_COVERS	SZ_512M

/* Clusters that one refcount block covers, and the file's end with blocks for all of it. */
#define COVERS		32768ULL
#define BLOCKS		4097U

/**
 * struct large - an image of 8 TiB
 * @w: the writer; only metadata of the first clusters is in its file, the rest is zeros
 * @l1: host offset of the L1 table
 * @owned: cluster of the second L2 table, which is the disk's own, with a refcount of 0
 * @shared: cluster of the third L2 table, which is shared by its flag, with a refcount of 0
 */
struct large {
	struct writer *w;
	u64 l1;
	u64 owned;
	u64 shared;
};

static void large_put_tables(struct large *l)
{
	u8 *file = writer_top(l->w)->m->store, *l1 = file + l->l1;
	u64 reftable = get_unaligned_be64(file + offsetof(struct qcow_disk_header,
							  refcount_table_offset));
	u64 old = get_unaligned_be64(file + offsetof(struct qcow_disk_header, l1_table_offset));
	u32 i;

	memcpy(l1, file + old, 8);
	put_unaligned_be64(l->owned << BITS | QCOW_DISK_E_COPIED, l1 + 8);
	put_unaligned_be64(l->shared << BITS, l1 + 16);
	for (i = 3; i < TABLES; i++)
		put_unaligned_be64(((COVERS + i * 8192ULL + 1) << BITS) | QCOW_DISK_E_COPIED,
				   l1 + i * 8);
	for (i = 1; i < BLOCKS; i++)
		put_unaligned_be64(i * COVERS << BITS, file + reftable + i * 8);
	put_unaligned_be64(l->l1, file + offsetof(struct qcow_disk_header, l1_table_offset));
	put_unaligned_be32(TABLES, file + offsetof(struct qcow_disk_header, l1_size));
	put_unaligned_be64(8ULL << 40, file + offsetof(struct qcow_disk_header, size));
}

static void large_build(struct kunit *test, struct large *l)
{
	struct rnd_state rnd = qtest_rnd(82000);
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = BITS,
		.tidy = true,
		.kinds = BUILDER_DATA,
		.size = 4 << BITS,
		.writable = true,
		.order = 4,
		.room = SZ_16M,
	};
	struct builder_image *b;
	u64 end;

	*l = (struct large) { .w = test->priv };
	KUNIT_ASSERT_EQ(test, writer_build(l->w, &spec, 1, &rnd), 0);
	b = writer_top(l->w);
	end = round_up(b->file_len, CLUSTER);
	l->l1 = end;
	l->owned = (end >> BITS) + 2;
	l->shared = l->owned + 1;
	builder_set_refcount(b->m->store, end >> BITS, 1);
	builder_set_refcount(b->m->store, (end >> BITS) + 1, 1);
	large_put_tables(l);
	memfile_set_size(b->m, BLOCKS * COVERS << BITS);
}

static u64 mapped_cluster(struct kunit *test, struct large *l, u64 guest_offset)
{
	struct qcow_extent ext;

	KUNIT_EXPECT_EQ(test, qcow_image_map(l->w->img, guest_offset, CLUSTER, 0, &ext), 0);
	KUNIT_EXPECT_EQ(test, ext.type, QCOW_EXTENT_DATA);
	return ext.host_offset >> BITS;
}

static void expect_kept(struct kunit *test, struct large *l, u64 cluster)
{
	struct qcow_alloc *a = l->w->img->alloc;
	u64 refs;

	KUNIT_EXPECT_EQ(test, qcow_register_kind(&a->reg, cluster), QCOW_META_L2);
	KUNIT_EXPECT_EQ(test, qcow_refcount_get(a, cluster, &refs), 0);
	KUNIT_EXPECT_EQ(test, refs, 0);
}

static int write_at(struct large *l, u64 guest_offset)
{
	writer_start(l->w, 0, guest_offset, CLUSTER, true, NULL);
	return writer_end(l->w, 0);
}

/* The promise: 1 MiB, and a few reads. */
static void register_attach(struct kunit *test)
{
	struct qcow_alloc *a;
	struct memfile *m;
	struct large l;

	large_build(test, &l);
	m = writer_top(l.w)->m;
	atomic_set(&m->reads, 0);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(l.w), 0, "%s", l.w->base.msg.text);
	KUNIT_EXPECT_LE(test, atomic_read(&m->reads), 16);
	a = l.w->img->alloc;
	KUNIT_EXPECT_GE(test, a->reg.nr, (u64)TABLES + BLOCKS);
	KUNIT_EXPECT_LE(test, qcow_register_bytes(&a->reg) + qcow_refcount_memory(a) +
			      l.w->img->l1_size * sizeof(u64), SZ_512K);
	writer_close(l.w);
	writer_free(l.w);
}

/*
 * Tables with a refcount of 0 that were not looked at by the attach: none is allocated, also
 * when it loses its reference, and the disk goes on.
 */
static void register_uncounted(struct kunit *test)
{
	struct large l;
	u64 cluster;

	large_build(test, &l);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(l.w), 0, "%s", l.w->base.msg.text);
	KUNIT_EXPECT_FALSE(test, test_bit(QCOW_IMAGE_CORRUPT, &l.w->img->flags));
	KUNIT_EXPECT_EQ(test, write_at(&l, L2_COVERS), 0);
	KUNIT_EXPECT_TRUE(test, test_bit(QCOW_IMAGE_CORRUPT, &l.w->img->flags));
	cluster = mapped_cluster(test, &l, L2_COVERS);
	KUNIT_EXPECT_NE(test, cluster, l.owned);
	KUNIT_EXPECT_NE(test, cluster, l.shared);
	KUNIT_EXPECT_EQ(test, write_at(&l, 2ULL * L2_COVERS), 0);
	KUNIT_EXPECT_NE(test, l.w->img->l1[2] & QCOW_DISK_L1E_OFFSET_MASK, l.shared << BITS);
	KUNIT_EXPECT_EQ(test, writer_flush(l.w), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(l.w), 0);
	KUNIT_EXPECT_FALSE(test, qcow_image_stopped(l.w->img));
	expect_kept(test, &l, l.owned);
	expect_kept(test, &l, l.shared);
	writer_close(l.w);
	/* The next attach finds the written data. */
	KUNIT_ASSERT_EQ_MSG(test, writer_open(l.w), 0, "%s", l.w->base.msg.text);
	KUNIT_EXPECT_EQ(test, mapped_cluster(test, &l, L2_COVERS), cluster);
	writer_close(l.w);
	writer_free(l.w);
}

/* Metadata that does not grow with the disk is looked at in any image: the L1 table here. */
static void register_refused(struct kunit *test)
{
	struct large l;
	u8 *file;

	large_build(test, &l);
	file = writer_top(l.w)->m->store;
	builder_set_refcount(file, (l.l1 >> BITS) + 1, 0);
	KUNIT_EXPECT_EQ(test, writer_open(l.w), -EROFS);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(l.w->base.msg.text, "refcounts say are free"),
				  "%s", l.w->base.msg.text);
	writer_close(l.w);
	/* Two tables in one place, and a table that no block covers */
	builder_set_refcount(file, (l.l1 >> BITS) + 1, 1);
	put_unaligned_be64(get_unaligned_be64(file + l.l1 + 800), file + l.l1 + 8000);
	KUNIT_EXPECT_EQ(test, writer_open(l.w), -EROFS);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(l.w->base.msg.text, "overlap"), "%s",
				  l.w->base.msg.text);
	writer_close(l.w);
	put_unaligned_be64((BLOCKS * COVERS + 1) << BITS | QCOW_DISK_E_COPIED,
			   file + l.l1 + 8000);
	KUNIT_EXPECT_EQ(test, writer_open(l.w), -EROFS);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(l.w->base.msg.text, "refcounts say are free"),
				  "%s", l.w->base.msg.text);
	writer_close(l.w);
	writer_free(l.w);
}

static struct kunit_case register_test_cases[] = {
	KUNIT_CASE(register_random),
	KUNIT_CASE(register_memory),
	KUNIT_CASE(register_limit),
	KUNIT_CASE(register_attach),
	KUNIT_CASE(register_uncounted),
	KUNIT_CASE(register_refused),
	{ }
};

static struct kunit_suite register_suite = {
	.name = "qcow_register",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = register_test_cases,
};

kunit_test_suite(register_suite);
