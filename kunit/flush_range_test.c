// SPDX-License-Identifier: GPL-2.0
/*
 * Making a piece of the disk durable, as a write with FUA does: in place it writes no
 * metadata, and wherever metadata is needed all of it is flushed.
 */
#include "file/cache.h"
#include "meta/alloc.h"
#include "writer.h"

#define CLUSTER		512U

/* Guest clusters that one L2 table maps, and tables. */
#define TABLE		64
#define TABLES		48

/* The first table's part of the disk, in bytes. */
#define COVERED		(TABLE * CLUSTER)

static const struct memfile_mode counts_writes = { .fail_ops = MEMFILE_WRITE };

/* All tables but the first two are dirty, and no data is unsynced. */
static void open_dirty(struct kunit *test)
{
	struct rnd_state rnd = qtest_rnd(46000);
	struct writer *w = test->priv;
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = 9,
		.tidy = true,
		.kinds = BUILDER_DATA,
		.size = TABLES * COVERED,
		.writable = true,
		.order = 4,
		.room = 1 << 20,
	};
	u32 i;

	KUNIT_ASSERT_EQ(test, writer_build(w, &spec, 1, &rnd), 0);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%s", w->base.msg.text);
	/* From now on their clusters are the image's own. */
	for (i = 0; i < TABLE + 2; i++)
		KUNIT_EXPECT_EQ(test, writer_write(w, i * CLUSTER, CLUSTER), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	for (i = 2; i < TABLES; i++) {
		writer_submit_zero(w, 0, i * COVERED, CLUSTER, QCOW_OP_ZERO);
		KUNIT_EXPECT_EQ(test, writer_wait(w, 0), 0);
	}
	KUNIT_EXPECT_EQ(test, qcow_cache_nr_dirty(w->img->cache), TABLES - 2);
}

static void close_right(struct kunit *test)
{
	struct writer *w = test->priv;

	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	KUNIT_EXPECT_NULL(test, oracle_check_closed(&w->o));
	writer_free(w);
}

/* In place: one write, of the data, and one sync; without new data not even that. */
static void range_in_place(struct kunit *test)
{
	struct writer *w = test->priv;
	struct memfile *m;
	int syncs;

	open_dirty(test);
	m = writer_top(w)->m;
	memfile_set_mode(m, &counts_writes);
	syncs = atomic_read(&m->syncs);
	KUNIT_EXPECT_EQ(test, writer_write(w, COVERED - CLUSTER, 2 * CLUSTER), 0);
	KUNIT_EXPECT_EQ(test, writer_flush_range(w, 0), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&m->syncs), syncs + 1);
	KUNIT_EXPECT_EQ(test, writer_flush_range(w, 0), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&m->syncs), syncs + 1);
	KUNIT_EXPECT_LE(test, atomic_read(&m->ops), 2);
	KUNIT_EXPECT_EQ(test, qcow_cache_nr_dirty(w->img->cache), TABLES - 2);
	close_right(test);
}

/* The end of the piece has an entry that is not durable. */
static void range_dirty(struct kunit *test)
{
	struct writer *w = test->priv;

	open_dirty(test);
	KUNIT_EXPECT_EQ(test, writer_write(w, 2 * COVERED - CLUSTER, 2 * CLUSTER), 0);
	KUNIT_EXPECT_EQ(test, writer_flush_range(w, 0), 0);
	KUNIT_EXPECT_EQ(test, qcow_cache_nr_dirty(w->img->cache), 0);
	KUNIT_EXPECT_EQ(test, qcow_cache_nr_dirty(w->img->alloc->counts.cache), 0);
	close_right(test);
}

/* After a flush that failed nobody knows what is durable. */
static void range_after_failure(struct kunit *test)
{
	struct memfile_mode mode = { .fail_ops = MEMFILE_WRITE, .fail_at = 1, .error = -ENOSPC };
	struct writer *w = test->priv;

	open_dirty(test);
	memfile_set_mode(writer_top(w)->m, &mode);
	KUNIT_EXPECT_EQ(test, writer_flush(w), -ENOSPC);
	KUNIT_EXPECT_EQ(test, writer_write(w, 0, CLUSTER), 0);
	KUNIT_EXPECT_EQ(test, writer_flush_range(w, 0), 0);
	KUNIT_EXPECT_EQ(test, qcow_cache_nr_dirty(w->img->cache), 0);
	close_right(test);
}

/* A sync that fails is final. */
static void range_sync_fails(struct kunit *test)
{
	struct memfile_mode mode = { .fail_ops = MEMFILE_SYNC, .fail_at = 1, .error = -ENOSPC };
	struct writer *w = test->priv;

	open_dirty(test);
	memfile_set_mode(writer_top(w)->m, &mode);
	KUNIT_EXPECT_EQ(test, writer_write(w, 0, CLUSTER), 0);
	KUNIT_EXPECT_EQ(test, writer_flush_range(w, 0), -EIO);
	KUNIT_EXPECT_EQ(test, writer_flush_range(w, 0), -EIO);
	KUNIT_EXPECT_EQ(test, writer_flush(w), -EIO);
	KUNIT_EXPECT_TRUE(test, w->img->alloc->failed);
	writer_close(w);
	writer_free(w);
}

static struct kunit_case flush_range_test_cases[] = {
	KUNIT_CASE(range_in_place),
	KUNIT_CASE(range_dirty),
	KUNIT_CASE(range_after_failure),
	KUNIT_CASE(range_sync_fails),
	{ }
};

static struct kunit_suite flush_range_suite = {
	.name = "qcow_flush_range",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = flush_range_test_cases,
};

kunit_test_suite(flush_range_suite);
