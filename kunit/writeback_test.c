// SPDX-License-Identifier: GPL-2.0
/*
 * Metadata that cannot be written, again and again: the memory that it takes is bounded.
 */
#include "file/cache.h"
#include "meta/alloc.h"
#include "meta/writeback.h"
#include "writer.h"

#define BITS		9
#define CLUSTER		512U

/* Guest clusters that one L2 table maps, and tables. */
#define TABLE		64
#define TABLES		48

/* Slices that a cache may have. */
#define LIMIT		16

static void build(struct kunit *test)
{
	struct rnd_state rnd = qtest_rnd(45000);
	struct writer *w = test->priv;
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = BITS,
		.tidy = true,
		.kinds = BUILDER_DATA,
		.size = TABLES * TABLE * CLUSTER,
		.writable = true,
		.order = 4,
		.room = 1 << 20,
	};

	KUNIT_ASSERT_EQ(test, writer_build(w, &spec, 1, &rnd), 0);
	w->base.r->params.cache_bytes = LIMIT * CLUSTER;
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%s", w->base.msg.text);
}

/* Zeros in place of data: they make an L2 table dirty, and write no data. */
static int change_table(struct writer *w, u32 i)
{
	writer_submit_zero(w, 0, (u64)i * TABLE * CLUSTER, CLUSTER, QCOW_OP_ZERO);
	return writer_wait(w, 0);
}

static void writeback_fails(struct kunit *test)
{
	struct memfile_mode mode = {
		.fail_ops = MEMFILE_WRITE, .fail_at = 1, .sticky = true, .error = -ENOMEDIUM,
	};
	struct writer *w = test->priv;
	LIST_HEAD(captured);
	struct qcow_alloc *a;
	u32 i, left, done = 0;
	int err;

	build(test);
	a = w->img->alloc;
	memfile_set_mode(writer_top(w)->m, &mode);
	for (i = 0; i < TABLES; i++) {
		err = change_table(w, i);
		done += !err;
		if (err)
			KUNIT_EXPECT_EQ(test, err, -ENOMEDIUM);
		KUNIT_EXPECT_EQ(test, writer_flush(w), -ENOMEDIUM);
	}
	KUNIT_EXPECT_FALSE(test, a->failed);
	KUNIT_EXPECT_LE(test, w->img->cache->nr_dirty, 2 * LIMIT);
	KUNIT_EXPECT_GE(test, done, LIMIT);
	KUNIT_EXPECT_LE(test, done, 2 * LIMIT);
	/* Slices that a flush is writing count. */
	left = qcow_cache_nr_dirty(w->img->cache);
	qcow_cache_capture(w->img->cache, &captured, &left);
	KUNIT_EXPECT_EQ(test, left, 0);
	KUNIT_EXPECT_EQ(test, w->img->cache->nr_dirty, 0);
	KUNIT_EXPECT_EQ(test, change_table(w, TABLES - 1), -ENOMEDIUM);
	qcow_cache_forget(w->img->cache, &captured, false);
	/* The disk below works again: so does all else, and nothing is lost. */
	mode.fail_at = 0;
	memfile_set_mode(writer_top(w)->m, &mode);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	KUNIT_EXPECT_EQ(test, writer_write(w, 0, CLUSTER), 0);
	for (i = 0; i < TABLES; i++)
		KUNIT_EXPECT_EQ(test, change_table(w, i), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	KUNIT_EXPECT_NULL(test, oracle_check_closed(&w->o));
	writer_free(w);
}

static struct kunit_case writeback_test_cases[] = {
	KUNIT_CASE(writeback_fails),
	{ }
};

static struct kunit_suite writeback_suite = {
	.name = "qcow_writeback",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = writeback_test_cases,
};

kunit_test_suite(writeback_suite);
