// SPDX-License-Identifier: GPL-2.0
/*
 * Zeros and discards of a piece of a cluster, or of a subcluster: whether they cost
 * space, for each kind of cluster over each kind of backing file.
 */
#include <linux/percpu.h>

#include "file/cache.h"
#include "meta/map.h"
#include "writer.h"

#define BITS		16
#define CLUSTER		((u32)BIT(BITS))
#define CLUSTERS	4
/* A subcluster; all operations are on the second cluster. */
#define SUB		(CLUSTER / 32)

/**
 * struct zero_case - an operation on the second cluster of a disk
 * @name: of the case
 * @version: of the image
 * @extended: it has subclusters
 * @top: kinds of its clusters
 * @below: kinds of the backing file's clusters; 0: there is none
 * @below_size: bytes of the backing file's disk, 0: as many as the image's
 * @raw: the backing file is raw
 * @punched: the raw file has a hole for the cluster, but for its first sector
 * @op: the operation
 * @in_cluster: bytes into the cluster
 * @len: bytes
 * @type: of the piece, afterwards
 * @mapped: it has a place in the file, afterwards
 */
struct zero_case {
	const char *name;
	u32 version;
	bool extended;
	u32 top;
	u32 below;
	u32 below_size;
	bool raw;
	bool punched;
	enum qcow_op op;
	u32 in_cluster;
	u32 len;
	enum qcow_extent_type type;
	bool mapped;
};

#define PIECE		.in_cluster = 4096, .len = 8192
#define BECOMES_HOLE	.type = QCOW_EXTENT_HOLE
#define BECOMES_ZERO	.type = QCOW_EXTENT_ZERO
#define BECOMES_DATA	.type = QCOW_EXTENT_DATA, .mapped = true
#define OVER_HOLE	.top = BUILDER_HOLE, .below = BUILDER_HOLE
#define OVER_DATA	.top = BUILDER_HOLE, .below = BUILDER_DATA

static const struct zero_case zero_cases[] = {
	{ "a hole over nothing", 3, .top = BUILDER_HOLE,
	  .op = QCOW_OP_ZERO, PIECE, BECOMES_HOLE },
	{ "a hole over nothing, version 2", 2, .top = BUILDER_HOLE,
	  .op = QCOW_OP_ZERO, PIECE, BECOMES_HOLE },
	{ "a hole over nothing, with unmapping", 3, .top = BUILDER_HOLE,
	  .op = QCOW_OP_UNMAP, PIECE, BECOMES_HOLE },
	{ "a hole over a hole", 3, OVER_HOLE,
	  .op = QCOW_OP_ZERO, PIECE, BECOMES_ZERO },
	{ "a hole over a hole, version 2", 2, OVER_HOLE,
	  .op = QCOW_OP_ZERO, PIECE, BECOMES_DATA },
	{ "a hole over zeros", 3, .top = BUILDER_HOLE, .below = BUILDER_ZERO,
	  .op = QCOW_OP_ZERO, PIECE, BECOMES_ZERO },
	{ "a hole over zeros with a cluster", 3, .top = BUILDER_HOLE,
	  .below = BUILDER_ZERO_ALLOC, .op = QCOW_OP_ZERO, PIECE, BECOMES_ZERO },
	{ "a hole over data", 3, OVER_DATA,
	  .op = QCOW_OP_ZERO, PIECE, BECOMES_DATA },
	{ "a hole over compressed data", 3, .top = BUILDER_HOLE,
	  .below = BUILDER_COMPRESSED, .op = QCOW_OP_ZERO, PIECE, BECOMES_DATA },
	{ "a hole over a raw file", 3, OVER_DATA, .raw = true,
	  .op = QCOW_OP_ZERO, PIECE, BECOMES_DATA },
	{ "a hole over a hole of a raw file", 3, OVER_DATA, .raw = true, .punched = true,
	  .op = QCOW_OP_ZERO, .len = 8192, BECOMES_ZERO },
	{ "a hole over a raw file with a hole elsewhere", 3, OVER_DATA, .raw = true,
	  .punched = true, .op = QCOW_OP_ZERO, PIECE, BECOMES_DATA },
	{ "a hole behind the end of the backing file", 3, OVER_DATA,
	  .below_size = CLUSTER, .op = QCOW_OP_ZERO, PIECE, BECOMES_ZERO },
	{ "all data of a backing file that ends in the cluster", 3, OVER_DATA,
	  .below_size = CLUSTER + 8192, .op = QCOW_OP_ZERO, .len = 8192, BECOMES_ZERO },
	{ "some data of a backing file that ends in the cluster", 3, OVER_DATA,
	  .below_size = CLUSTER + 8192, .op = QCOW_OP_ZERO, PIECE, BECOMES_DATA },
	{ "behind a raw file that ends in the cluster", 3, OVER_DATA, .raw = true,
	  .below_size = CLUSTER + 512, .op = QCOW_OP_ZERO, PIECE, BECOMES_DATA },
	{ "zeros", 3, .top = BUILDER_ZERO, .below = BUILDER_DATA,
	  .op = QCOW_OP_ZERO, PIECE, BECOMES_ZERO },
	{ "zeros with a cluster", 3, .top = BUILDER_ZERO_ALLOC, .below = BUILDER_DATA,
	  .op = QCOW_OP_ZERO, PIECE, BECOMES_ZERO, .mapped = true },
	{ "zeros with a cluster, with unmapping", 3, .top = BUILDER_ZERO_ALLOC,
	  .op = QCOW_OP_UNMAP, PIECE, BECOMES_ZERO },
	{ "data", 3, .top = BUILDER_DATA,
	  .op = QCOW_OP_UNMAP, PIECE, BECOMES_DATA },
	{ "compressed data", 3, .top = BUILDER_COMPRESSED,
	  .op = QCOW_OP_UNMAP, PIECE, BECOMES_DATA },
	{ "discard of a hole over a hole", 3, OVER_HOLE,
	  .op = QCOW_OP_DISCARD, PIECE, BECOMES_ZERO },
	{ "discard of a hole over a hole, version 2", 2, OVER_HOLE,
	  .op = QCOW_OP_DISCARD, PIECE, BECOMES_HOLE },
	{ "discard of a hole over data", 3, OVER_DATA,
	  .op = QCOW_OP_DISCARD, PIECE, BECOMES_HOLE },
	{ "discard of zeros with a cluster", 3, .top = BUILDER_ZERO_ALLOC,
	  .op = QCOW_OP_DISCARD, PIECE, BECOMES_ZERO },
	{ "discard of data", 3, .top = BUILDER_DATA,
	  .op = QCOW_OP_DISCARD, PIECE, BECOMES_DATA },
	{ "a piece of a subcluster over a hole", 3, true, OVER_HOLE,
	  .op = QCOW_OP_ZERO, .in_cluster = SUB + 512, .len = 512, BECOMES_ZERO },
	{ "a subcluster over data", 3, true, OVER_DATA,
	  .op = QCOW_OP_ZERO, .in_cluster = SUB, .len = SUB, BECOMES_ZERO },
	{ "a piece of a subcluster over data", 3, true, OVER_DATA,
	  .op = QCOW_OP_ZERO, .in_cluster = SUB + 512, .len = 512, BECOMES_DATA },
	{ "a piece of a subcluster over nothing", 3, true, .top = BUILDER_HOLE,
	  .op = QCOW_OP_ZERO, .in_cluster = SUB + 512, .len = 512, BECOMES_HOLE },
	{ "discard of a subcluster over data", 3, true, OVER_DATA,
	  .op = QCOW_OP_DISCARD, .in_cluster = SUB, .len = SUB, BECOMES_HOLE },
};

static void zero_punch(struct writer *w)
{
	struct builder_image *img = w->base.c->img;
	u32 guest_offset = CLUSTER + 512, len = CLUSTER - 512;

	memset(img[1].file + guest_offset, 0, len);
	memset(img[0].expect + guest_offset, 0, len);
	memset(w->o.before + guest_offset, 0, len);
}

static void zero_build(struct kunit *test, const struct zero_case *c)
{
	struct rnd_state rnd = qtest_rnd(23000);
	struct builder_spec specs[2] = {
		{
			.version = c->version,
			.cluster_bits = BITS,
			.extended_l2 = c->extended,
			.tidy = true,
			.kinds = c->top,
			.size = CLUSTERS * CLUSTER,
			.writable = true,
			.order = 4,
			.room = 4 << 20,
		},
		{
			.raw = c->raw,
			.version = 3,
			.cluster_bits = 9,
			.tidy = true,
			.kinds = c->below,
			.size = c->below_size ?: CLUSTERS * CLUSTER,
		},
	};

	KUNIT_ASSERT_EQ_MSG(test, writer_build(test->priv, specs, c->below ? 2 : 1, &rnd),
			    0, "%s", c->name);
	if (c->punched)
		zero_punch(test->priv);
}

static void zero_try(struct kunit *test, const struct zero_case *c)
{
	struct writer *w = test->priv;
	struct qcow_extent ext = { };

	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%s", c->name);
	writer_submit_zero(w, 0, CLUSTER + c->in_cluster, c->len, c->op);
	KUNIT_EXPECT_EQ_MSG(test, writer_wait(w, 0), 0, "%s", c->name);
	KUNIT_EXPECT_EQ(test, qcow_map(w->img, CLUSTER + c->in_cluster, c->len, 0, &ext), 0);
	KUNIT_EXPECT_EQ_MSG(test, ext.type, c->type, "%s", c->name);
	KUNIT_EXPECT_EQ_MSG(test, ext.mapped, c->mapped, "%s", c->name);
	KUNIT_EXPECT_EQ_MSG(test, writer_read_back(w), 0, "%s", c->name);
	writer_close(w);
	KUNIT_EXPECT_STREQ_MSG(test, oracle_check_closed(&w->o) ?: "sound", "sound", "%s",
			       c->name);
	KUNIT_EXPECT_EQ_MSG(test, w->o.k.leaks, w->o.leaks, "%s", c->name);
}

static void zero_pieces(struct kunit *test)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(zero_cases); i++) {
		zero_build(test, &zero_cases[i]);
		zero_try(test, &zero_cases[i]);
		writer_free(test->priv);
	}
}

/* --- Discards of a discarded disk --- */

/* An L2 table of 64 entries is one slice; the disk has some of them. */
#define AGAIN_BITS	9
#define AGAIN_SIZE	(6 * 64U << AGAIN_BITS)

static u64 zero_lookups(struct writer *w)
{
	u64 n = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		const struct qcow_stats *s = per_cpu_ptr(w->img->stats, cpu);

		n += s->hits + s->misses;
	}
	return n;
}

static void zero_again_open(struct kunit *test, u32 kinds, bool extended)
{
	struct rnd_state rnd = qtest_rnd(23001);
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = extended ? 14 : AGAIN_BITS,
		.extended_l2 = extended,
		.tidy = true,
		.kinds = kinds,
		.size = extended ? 1024U << 14 : AGAIN_SIZE,
		.writable = true,
		.order = 4,
		.room = 4 << 20,
	};

	KUNIT_ASSERT_EQ(test, writer_build(test->priv, &spec, 1, &rnd), 0);
	KUNIT_ASSERT_EQ(test, writer_open(test->priv), 0);
}

/* Return: tables that were looked into for a discard of the whole disk. */
static u64 zero_discard_all(struct kunit *test, enum qcow_op op)
{
	struct writer *w = test->priv;
	u64 before = zero_lookups(w);

	writer_submit_zero(w, 0, 0, writer_top(w)->size, op);
	KUNIT_EXPECT_EQ(test, writer_wait(w, 0), 0);
	return zero_lookups(w) - before;
}

static void zero_again_close(struct kunit *test)
{
	struct writer *w = test->priv;

	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	KUNIT_EXPECT_STREQ(test, oracle_check_closed(&w->o) ?: "sound", "sound");
	writer_free(w);
}

static void zero_again_try(struct kunit *test, bool extended)
{
	struct writer *w = test->priv;

	zero_again_open(test, BUILDER_DATA, extended);
	KUNIT_EXPECT_NE(test, zero_discard_all(test, QCOW_OP_DISCARD), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	KUNIT_EXPECT_EQ(test, zero_discard_all(test, QCOW_OP_DISCARD), 0);
	KUNIT_EXPECT_EQ(test, zero_discard_all(test, QCOW_OP_UNMAP), 0);
	KUNIT_EXPECT_EQ(test, zero_discard_all(test, QCOW_OP_ZERO), 0);
	KUNIT_EXPECT_EQ(test, w->img->cache->nr_dirty, 0);
	/* Only the table with new data is looked into. */
	KUNIT_EXPECT_EQ(test, writer_write(w, 4096, 512), 0);
	KUNIT_EXPECT_NE(test, zero_discard_all(test, QCOW_OP_DISCARD), 0);
	KUNIT_EXPECT_EQ(test, zero_discard_all(test, QCOW_OP_DISCARD), 0);
	zero_again_close(test);
}

/* The second discard of a disk looks into no table, and makes none dirty. */
static void zero_again(struct kunit *test)
{
	zero_again_try(test, false);
	zero_again_try(test, true);
}

/* The first discard notes the zeros of an image; an empty L1 entry needs no note. */
static void zero_again_found(struct kunit *test)
{
	zero_again_open(test, BUILDER_ZERO, false);
	KUNIT_EXPECT_NE(test, zero_discard_all(test, QCOW_OP_DISCARD), 0);
	KUNIT_EXPECT_EQ(test, zero_discard_all(test, QCOW_OP_DISCARD), 0);
	zero_again_close(test);
	zero_again_open(test, BUILDER_HOLE, false);
	zero_discard_all(test, QCOW_OP_DISCARD);
	KUNIT_EXPECT_EQ(test, zero_discard_all(test, QCOW_OP_DISCARD), 0);
	zero_again_close(test);
}

/* Another L1 table is another disk, of which nothing is known. */
static void zero_again_applied(struct kunit *test)
{
	struct writer *w = test->priv;

	zero_again_open(test, BUILDER_ZERO, false);
	KUNIT_EXPECT_EQ(test, writer_write(w, 4096, 512), 0);
	KUNIT_EXPECT_EQ(test, writer_snapshot_create(w, "one"), 0);
	zero_discard_all(test, QCOW_OP_DISCARD);
	KUNIT_EXPECT_EQ(test, zero_discard_all(test, QCOW_OP_DISCARD), 0);
	KUNIT_EXPECT_EQ(test, writer_snapshot_apply(w, "one"), 0);
	KUNIT_EXPECT_NE(test, zero_discard_all(test, QCOW_OP_DISCARD), 0);
	zero_again_close(test);
}

static struct kunit_case zero_test_cases[] = {
	KUNIT_CASE(zero_pieces),
	KUNIT_CASE(zero_again),
	KUNIT_CASE(zero_again_found),
	KUNIT_CASE(zero_again_applied),
	{ }
};

static struct kunit_suite zero_suite = {
	.name = "qcow_zero",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = zero_test_cases,
};

kunit_test_suite(zero_suite);
