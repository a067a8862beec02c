// SPDX-License-Identifier: GPL-2.0
/*
 * Space that is taken ahead of writes: small writes to new clusters write no more
 * than their own data, and a disk without room for a whole run is still written.
 */
#include "meta/alloc.h"
#include "memlog.h"
#include "writer.h"

#define SECTOR		512
#define CLUSTER_BITS	12
#define CLUSTERS	160
/* Half as much again: a flush may come by itself meanwhile. */
#define MOST_BYTES	(CLUSTERS * SECTOR * 3 / 2)
#define LOG_ENTRIES	4096
#define LOG_BYTES	(8U << 20)

/* An empty disk; more clusters of it are written than are reserved at once. */
static void build(struct kunit *test)
{
	struct rnd_state rnd = qtest_rnd(78000);
	struct writer *w = test->priv;
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = CLUSTER_BITS,
		.tidy = true,
		.kinds = BUILDER_HOLE,
		.size = CLUSTERS << CLUSTER_BITS,
		.writable = true,
		.order = 4,
		.room = 4 << 20,
	};

	KUNIT_ASSERT_EQ(test, writer_build(w, &spec, 1, &rnd), 0);
	KUNIT_ASSERT_EQ(test, oracle_log(&w->o, LOG_ENTRIES, LOG_BYTES), 0);
	w->ahead = true;
}

static void finish(struct kunit *test)
{
	struct writer *w = test->priv;
	const char *fault;

	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	fault = oracle_check_closed(&w->o);
	KUNIT_EXPECT_TRUE_MSG(test, !fault, "%s", fault);
	KUNIT_EXPECT_EQ(test, w->o.k.leaks, 0);
	writer_free(w);
}

/* One sector in the middle of each of the first @nr clusters */
static void write_sectors(struct kunit *test, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ_MSG(test, writer_write(test->priv, (i << CLUSTER_BITS) + 3 * SECTOR,
						       SECTOR), 0, "cluster %u", i);
}

/* Bytes that were written to the file, in all */
static u64 written(const struct writer *w)
{
	u64 bytes = 0;
	u32 i;

	for (i = 0; i < w->o.log->nr; i++)
		if (w->o.log->entries[i].type == MEMLOG_WRITE)
			bytes += w->o.log->entries[i].len;
	return bytes;
}

/* In clusters that were never used, and in those that were used before */
static void ahead_bytes(struct kunit *test)
{
	struct writer *w = test->priv;
	u64 before;

	build(test);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	before = written(w);
	write_sectors(test, CLUSTERS);
	KUNIT_EXPECT_LE(test, written(w) - before, MOST_BYTES);
	writer_submit_zero(w, 0, 0, CLUSTERS << CLUSTER_BITS, QCOW_OP_DISCARD);
	KUNIT_ASSERT_EQ(test, writer_wait(w, 0), 0);
	KUNIT_ASSERT_EQ(test, writer_flush(w), 0);
	before = written(w);
	write_sectors(test, CLUSTERS);
	KUNIT_EXPECT_LE(test, written(w) - before, MOST_BYTES);
	KUNIT_EXPECT_FALSE(test, w->o.log->full);
	finish(test);
}

/* There is room for the written clusters, but not for a preallocated run. */
static void ahead_full(struct kunit *test)
{
	struct writer *w = test->priv;
	struct memfile_mode mode = { };

	build(test);
	mode.room = writer_top(w)->file_len + (50 << CLUSTER_BITS);
	builder_set_mode(w->base.c, &mode);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	write_sectors(test, 40);
	KUNIT_EXPECT_LE(test, memfile_size(writer_top(w)->m), mode.room);
	finish(test);
}

/* A file that takes no space ahead is asked once, and another error is no reason to fail. */
static void ahead_refused(struct kunit *test)
{
	static const int errors[] = { -EOPNOTSUPP, -EIO };
	struct writer *w = test->priv;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		struct memfile_mode mode = { }, failing = {
			.fail_ops = MEMFILE_FALLOC,
			.fail_at = 1,
			.sticky = true,
			.error = errors[i],
		};

		build(test);
		KUNIT_ASSERT_EQ(test, writer_open(w), 0);
		/* The L2 table has its space. */
		KUNIT_ASSERT_EQ(test, writer_write(w, 0, SECTOR), 0);
		builder_set_mode(w->base.c, &failing);
		write_sectors(test, CLUSTERS);
		KUNIT_EXPECT_EQ(test, w->img->alloc->reserve.no_renew, errors[i] == -EOPNOTSUPP);
		KUNIT_EXPECT_GE(test, atomic_read(&writer_top(w)->m->injected), 1);
		/* The run, and the end of the file */
		if (w->img->alloc->reserve.no_renew)
			KUNIT_EXPECT_EQ(test, atomic_read(&writer_top(w)->m->injected), 2);
		builder_set_mode(w->base.c, &mode);
		finish(test);
	}
}

static struct kunit_case ahead_test_cases[] = {
	KUNIT_CASE(ahead_bytes),
	KUNIT_CASE(ahead_full),
	KUNIT_CASE(ahead_refused),
	{ }
};

static struct kunit_suite ahead_suite = {
	.name = "qcow_ahead",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = ahead_test_cases,
};

kunit_test_suite(ahead_suite);
