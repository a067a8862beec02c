// SPDX-License-Identifier: GPL-2.0
/*
 * An image that is written while every allocation of the driver fails.
 */
#include "file/cache.h"
#include "meta/alloc.h"
#include "fault.h"
#include "writer.h"

#define SECTOR		512
#define CLUSTER_BITS	12
#define CLUSTER		BIT(CLUSTER_BITS)
#define CLUSTERS	16
/* Clusters behind them, for writes at once */
#define AT_ONCE		4

/* An image over a raw one, from which COW reads. */
static void build_overlay(struct kunit *test)
{
	struct rnd_state rnd = qtest_rnd(78000);
	struct writer *w = test->priv;
	struct builder_spec specs[2];

	writer_overlay_specs(specs, CLUSTER_BITS, CLUSTERS + AT_ONCE);
	KUNIT_ASSERT_EQ(test, writer_build(w, specs, 2, &rnd), 0);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%s", w->base.msg.text);
	/* Its tables are in memory, and the pool of free clusters is full. */
	KUNIT_ASSERT_EQ(test, writer_write(w, 0, CLUSTER), 0);
	KUNIT_ASSERT_EQ(test, writer_flush(w), 0);
}

/* Writes to new clusters, with old data around them, in place, and a flush of it all. */
static void memory_write(struct kunit *test)
{
	struct writer *w = test->priv;
	u32 i;

	if (!fault_begin())
		kunit_skip(test, "the kernel injects no faults");
	build_overlay(test);
	fault_starve(true);
	for (i = 1; i < CLUSTERS - 1; i += 2) {
		/* Parts of two clusters, both new, and then of the first one in place. */
		writer_submit(w, 0, i * CLUSTER + SECTOR, CLUSTER, i & 2, NULL);
		KUNIT_EXPECT_EQ(test, writer_wait(w, 0), 0);
		writer_submit(w, 0, i * CLUSTER, 2 * SECTOR, i & 2, NULL);
		KUNIT_EXPECT_EQ(test, writer_wait(w, 0), 0);
		KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	}
	/* New clusters at once: each COW waits for the one buffer. */
	for (i = 0; i < AT_ONCE; i++)
		writer_submit(w, i, (CLUSTERS + i) * CLUSTER + SECTOR, SECTOR, true, NULL);
	for (i = 0; i < AT_ONCE; i++)
		KUNIT_EXPECT_EQ(test, writer_wait(w, i), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	KUNIT_EXPECT_GT(test, fault_feed(), 0);
	fault_end();
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	KUNIT_EXPECT_NULL(test, oracle_check_closed(&w->o));
	writer_free(w);
}

/* --- A flush of many tables --- */

#define SMALL		512U
#define TABLE		64
#define TABLES		300

/* Tables whose entries in the L1 table are more than a sector of them. */
static void build_tables(struct kunit *test, bool direct)
{
	struct memfile_mode mode = { .direct = direct, .dio_align = 4096 };
	struct rnd_state rnd = qtest_rnd(78001);
	struct writer *w = test->priv;
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = 9,
		.tidy = true,
		.kinds = BUILDER_HOLE,
		.size = TABLES * TABLE * SMALL,
		.writable = true,
		.order = 4,
		.room = 4 << 20,
	};

	KUNIT_ASSERT_EQ(test, writer_build(w, &spec, 1, &rnd), 0);
	builder_set_mode(w->base.c, &mode);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%s", w->base.msg.text);
}

/* One flush makes all of them durable, one after the other. */
static void flush_tables(struct kunit *test, bool direct)
{
	struct writer *w = test->priv;
	struct qcow_cache *cache;
	u32 i;

	if (!fault_begin())
		kunit_skip(test, "the kernel injects no faults");
	build_tables(test, direct);
	cache = w->img->cache;
	for (i = 0; i < TABLES; i++) {
		writer_start(w, 0, (u64)i * TABLE * SMALL, SMALL, false, NULL);
		KUNIT_EXPECT_EQ(test, writer_wait(w, 0), 0);
	}
	KUNIT_EXPECT_GT(test, qcow_cache_nr_dirty(cache), 100);
	fault_starve(true);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	KUNIT_EXPECT_EQ(test, qcow_cache_nr_dirty(cache), 0);
	KUNIT_EXPECT_EQ(test, qcow_cache_nr_dirty(w->img->alloc->counts.cache), 0);
	KUNIT_EXPECT_GT(test, fault_feed(), 0);
	fault_end();
	writer_close(w);
	KUNIT_EXPECT_NULL(test, oracle_check_closed(&w->o));
	writer_free(w);
}

static void memory_flush(struct kunit *test)
{
	flush_tables(test, false);
}

/* Neither the entries nor the slices are as direct I/O needs them. */
static void memory_flush_direct(struct kunit *test)
{
	flush_tables(test, true);
}

/* Writes that need a new table fail, however often they are tried, and leak no cluster. */
static void memory_undo(struct kunit *test)
{
	struct writer *w = test->priv;
	u32 i;

	if (!fault_begin())
		kunit_skip(test, "the kernel injects no faults");
	build_tables(test, false);
	KUNIT_EXPECT_EQ(test, writer_write(w, 0, SMALL), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	fault_starve(true);
	for (i = 0; i < TABLES; i++) {
		writer_submit(w, 0, TABLE * SMALL, SMALL, i & 1, NULL);
		KUNIT_EXPECT_EQ(test, writer_wait(w, 0), -ENOMEM);
	}
	KUNIT_EXPECT_GT(test, fault_feed(), 0);
	fault_end();
	KUNIT_EXPECT_LE(test, qcow_cache_nr_dirty(w->img->cache), 1);
	KUNIT_EXPECT_EQ(test, writer_write(w, TABLE * SMALL, SMALL), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	KUNIT_EXPECT_NULL(test, oracle_check_closed(&w->o));
	writer_free(w);
}

static struct kunit_case memory_test_cases[] = {
	KUNIT_CASE(memory_write),
	KUNIT_CASE(memory_flush),
	KUNIT_CASE(memory_flush_direct),
	KUNIT_CASE(memory_undo),
	{ }
};

static struct kunit_suite memory_suite = {
	.name = "qcow_memory",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = memory_test_cases,
};

kunit_test_suite(memory_suite);
