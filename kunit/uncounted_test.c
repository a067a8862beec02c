// SPDX-License-Identifier: GPL-2.0
/*
 * Clusters with a refcount of 0 in trees that lose their references: a snapshot that is
 * deleted, the disk that a snapshot replaces. And L2 tables of snapshots with one.
 */
#include <linux/slab.h>

#include "compat/compat_test.h"
#include "meta/alloc.h"
#include "meta/stray.h"
#include "meta/tree.h"
#include "ondisk/format.h"
#include "writer.h"

#define BITS		9
#define CLUSTER		512U

/* Guest clusters that one L2 table maps. */
#define TABLE		64
#define CLUSTERS	(2 * TABLE + 20)

/* Bytes of the header that say where the snapshot table is. */
#define SNAPSHOTS_AT	64

/* Data in @nr clusters of 1 << @bits bytes. */
static void build(struct kunit *test, u32 bits, u32 nr)
{
	struct rnd_state rnd = qtest_rnd(44000);
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = bits,
		.tidy = true,
		.kinds = BUILDER_DATA,
		.size = (u64)nr << bits,
		.writable = true,
		.order = 4,
		.room = 4 << 20,
	};

	KUNIT_ASSERT_EQ(test, writer_build(test->priv, &spec, 1, &rnd), 0);
}

static u64 file_be64(struct writer *w, u64 host_offset)
{
	return get_unaligned_be64(writer_top(w)->m->store + host_offset);
}

/* Return: number of the cluster that the disk of an image has at a guest cluster. */
static u64 disk_cluster(struct writer *w, u32 guest)
{
	u64 l1 = file_be64(w, offsetof(struct qcow_disk_header, l1_table_offset));
	u64 l2 = file_be64(w, l1 + guest / TABLE * 8) & QCOW_DISK_L1E_OFFSET_MASK;

	return (file_be64(w, l2 + guest % TABLE * 8) & QCOW_DISK_L2E_OFFSET_MASK) >> BITS;
}

static void uncount(struct writer *w, u64 cluster)
{
	builder_set_refcount(writer_top(w)->m->store, cluster, 0);
}

/* An image with a snapshot; the first clusters of the disk were written after it. */
static void build_snapshot(struct kunit *test)
{
	struct writer *w = test->priv;

	build(test, BITS, CLUSTERS);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	KUNIT_ASSERT_EQ_MSG(test, writer_snapshot_create(w, "one"), 0, "%s",
			    w->base.msg.text);
	KUNIT_ASSERT_EQ(test, writer_write(w, 0, 4 * CLUSTER), 0);
	writer_close(w);
}

/* The disk can be written, also after it was opened anew, and has all its data. */
static void expect_sound(struct kunit *test)
{
	struct writer *w = test->priv;

	KUNIT_EXPECT_FALSE(test, qcow_image_stopped(w->img));
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	KUNIT_EXPECT_EQ(test, writer_write(w, 0, 40 * CLUSTER), 0);
	KUNIT_EXPECT_EQ(test, writer_write(w, (TABLE + 8) * CLUSTER, 40 * CLUSTER), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	writer_free(w);
}

/* Clusters of a snapshot alone, and of the disk as well. */
static void uncounted_delete(struct kunit *test)
{
	struct writer *w = test->priv;
	u64 shared, own;

	build_snapshot(test);
	own = writer_top(w)->clusters[1].host >> BITS;
	shared = disk_cluster(w, TABLE + 2);
	KUNIT_ASSERT_NE(test, own, disk_cluster(w, 1));
	uncount(w, own);
	uncount(w, shared);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%s", w->base.msg.text);
	KUNIT_EXPECT_EQ_MSG(test, writer_snapshot_delete(w, "one"), 0, "%s",
			    w->base.msg.text);
	KUNIT_EXPECT_TRUE(test, __qcow_stray_is(w->img->alloc, shared));
	KUNIT_EXPECT_TRUE(test, __qcow_stray_is(w->img->alloc, own));
	KUNIT_EXPECT_TRUE(test, test_bit(QCOW_IMAGE_CORRUPT, &w->img->flags));
	expect_sound(test);
}

/*
 * Clusters of the disk that a snapshot replaces. The new L1 table gets the first of them.
 */
static void uncounted_apply(struct kunit *test)
{
	struct writer *w = test->priv;
	struct builder_image *b = writer_top(w);
	u64 cluster;
	u8 *content;

	build(test, BITS, CLUSTERS);
	content = kunit_kzalloc(test, b->size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, content);
	memcpy(content, b->expect, b->size);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	KUNIT_ASSERT_EQ(test, writer_snapshot_create(w, "one"), 0);
	KUNIT_ASSERT_EQ(test, writer_write(w, 8 * CLUSTER, 2 * CLUSTER), 0);
	KUNIT_ASSERT_EQ(test, writer_write(w, 0, 4 * CLUSTER), 0);
	writer_close(w);
	cluster = disk_cluster(w, 2);
	KUNIT_ASSERT_LT(test, disk_cluster(w, 8), cluster);
	uncount(w, disk_cluster(w, 8));
	uncount(w, cluster);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%s", w->base.msg.text);
	KUNIT_EXPECT_EQ_MSG(test, writer_snapshot_apply(w, "one"), 0, "%s",
			    w->base.msg.text);
	KUNIT_EXPECT_TRUE(test, __qcow_stray_is(w->img->alloc, cluster));
	KUNIT_EXPECT_TRUE(test, test_bit(QCOW_IMAGE_CORRUPT, &w->img->flags));
	memcpy(b->expect, content, b->size);
	expect_sound(test);
}

/* More than can be remembered: the table's clusters are leaked, and the disk goes on. */
static void uncounted_many(struct kunit *test)
{
	struct writer *w = test->priv;

	build_snapshot(test);
	uncount(w, writer_top(w)->clusters[1].host >> BITS);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%s", w->base.msg.text);
	w->img->alloc->strays.nr = BIT(16);
	KUNIT_EXPECT_EQ(test, writer_snapshot_delete(w, "one"), 0);
	KUNIT_EXPECT_TRUE(test, test_bit(QCOW_IMAGE_LEAKED, &w->img->flags));
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(w->base.msg.text, "leaked"), "%s",
				  w->base.msg.text);
	w->img->alloc->strays.nr = 0;
	expect_sound(test);
}

/*
 * Two entries of a table, in two slices of it, lead to one cluster with a refcount of 1.
 * The first loses the only reference: the second finds damage, not a stray.
 */
static void uncounted_by_ourselves(struct kunit *test)
{
	struct writer *w = test->priv;
	struct builder_image *b = writer_top(w);
	u32 bits = 13, far = (1U << bits) / 8 - 8;
	struct qcow_alloc *a;

	build(test, bits, far + 1);
	memcpy(b->m->store + b->clusters[far].l2_at, b->m->store + b->clusters[0].l2_at, 8);
	builder_set_refcount(b->m->store, b->clusters[0].host >> bits, 1);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%s", w->base.msg.text);
	a = w->img->alloc;
	KUNIT_ASSERT_LT(test, w->img->slice_entries, far);
	reader_silence(w->img);
	qcow_tree_lower(a, w->img->l1, 1);
	KUNIT_EXPECT_FALSE(test, qcow_stray_any(a));
	KUNIT_EXPECT_TRUE(test, qcow_image_stopped(w->img));
	writer_close(w);
	writer_free(w);
}

/* --- L2 tables --- */

static void expect_refused(struct kunit *test, const char *why)
{
	struct writer *w = test->priv;

	KUNIT_EXPECT_EQ_MSG(test, writer_open(w), -EROFS, "%s", why);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(w->base.msg.text, "refcounts say are free"),
				  "%s: %s", why, w->base.msg.text);
	writer_close(w);
}

/* An L2 table that a snapshot alone has would be allocated again. */
static void uncounted_tables(struct kunit *test)
{
	struct writer *w = test->priv;
	u64 l1, l2;

	build_snapshot(test);
	l1 = file_be64(w, file_be64(w, SNAPSHOTS_AT));
	l2 = file_be64(w, l1) & QCOW_DISK_L1E_OFFSET_MASK;
	KUNIT_ASSERT_EQ(test, l2 & (CLUSTER - 1), 0);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%s", w->base.msg.text);
	KUNIT_ASSERT_NE(test, l2, w->img->l1[0] & QCOW_DISK_L1E_OFFSET_MASK);
	writer_close(w);
	uncount(w, l2 >> BITS);
	expect_refused(test, "the first table");
	builder_set_refcount(writer_top(w)->m->store, l2 >> BITS, 1);
	put_unaligned_be64(BIT_ULL(40), writer_top(w)->m->store + l1 + 8);
	expect_refused(test, "a table that no refcount block covers");
	writer_free(w);
}

static struct kunit_case uncounted_test_cases[] = {
	KUNIT_CASE(uncounted_delete),
	KUNIT_CASE(uncounted_apply),
	KUNIT_CASE(uncounted_many),
	KUNIT_CASE(uncounted_by_ourselves),
	KUNIT_CASE(uncounted_tables),
	{ }
};

static struct kunit_suite uncounted_suite = {
	.name = "qcow_uncounted",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = uncounted_test_cases,
};

kunit_test_suite(uncounted_suite);
