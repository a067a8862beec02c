// SPDX-License-Identifier: GPL-2.0
/*
 * The parts of a commit for which requests do not wait: flushes before its last step,
 * and punching of a data file after it.
 */
#include <linux/err.h>

#include "commit_case.h"
#include "meta/image.h"

/* --- What requests do not wait for --- */

/* Copy all of an image with a data file, up to the last step. */
static void copy_data_file(struct kunit *test, struct commit_case *c)
{
	struct builder_spec specs[2] = {
		{
			.version = 3, .cluster_bits = 12, .tidy = true,
			.kinds = BUILDER_DATA, .size = 64 << 10, .data_file = true,
			.writable = true, .order = 4, .room = 1 << 20,
		},
		{ .raw = true, .size = 64 << 10, .writable = true },
	};

	c->rnd = qtest_rnd(64000);
	KUNIT_ASSERT_EQ(test, builder_build(c->w.base.c, specs, 2, &c->rnd), 0);
	c->log = memlog_create(1, 1);
	KUNIT_ASSERT_NOT_NULL(test, c->log);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(&c->w), 0, "%s", c->w.base.msg.text);
	KUNIT_ASSERT_EQ_MSG(test, commit_begin_by(c, 12), 0, "%s", c->w.base.msg.text);
	while (!c->commit->last)
		KUNIT_ASSERT_EQ(test,
				qcow_commit_some(c->commit, 64 << 10, &c->w.base.msg), 0);
}

/*
 * A data file is punched out after the last step: not where it is written again by
 * then, and not any more after a signal.
 */
static void commit_punch(struct kunit *test)
{
	struct memfile_mode punches = { .fail_ops = MEMFILE_FALLOC }, plain = { };
	struct commit_case *c = test->priv;
	struct memfile *data;
	u32 round, i;

	for (round = 0; round < 2; round++) {
		copy_data_file(test, c);
		data = writer_top(&c->w)->data_m;
		memfile_set_mode(data, &punches);
		KUNIT_EXPECT_EQ(test, qcow_commit_finish(c->commit, &c->w.base.msg), 0);
		KUNIT_EXPECT_TRUE(test, c->commit->done);
		KUNIT_EXPECT_EQ(test, atomic_read(&data->ops), 0);
		KUNIT_EXPECT_EQ(test, writer_write(&c->w, 5 << 12, 3 << 12), 0);
		if (round)
			set_bit(QCOW_ENDING_INTERRUPTED, &c->w.base.r->ending);
		qcow_commit_release(c->commit);
		clear_bit(QCOW_ENDING_INTERRUPTED, &c->w.base.r->ending);
		KUNIT_EXPECT_EQ(test, atomic_read(&data->ops) > 0, !round);
		memfile_set_mode(data, &plain);
		for (i = 0; !round && i < 16; i++)
			if (i < 5 || i > 7)
				KUNIT_EXPECT_EQ_MSG(test, data->store[i << 12], 0, "cluster %u",
						    i);
		KUNIT_EXPECT_EQ(test, writer_read_back(&c->w), 0);
		KUNIT_EXPECT_EQ(test, commit_end(c), 0);
		KUNIT_EXPECT_EQ(test, writer_read_back(&c->w), 0);
		commit_tear_down(c);
	}
}

/* The backing file is flushed before the last step, too; a flush that fails is found. */
static void commit_settle(struct kunit *test)
{
	struct memfile_mode fails = { .fail_ops = MEMFILE_SYNC, .fail_at = 1 }, plain = { };
	struct commit_case *c = test->priv;
	u32 syncs;

	copy_data_file(test, c);
	set_bit(QCOW_ENDING_INTERRUPTED, &c->w.base.r->ending);
	KUNIT_EXPECT_EQ(test, qcow_commit_settle(c->commit, &c->w.base.msg), -EINTR);
	clear_bit(QCOW_ENDING_INTERRUPTED, &c->w.base.r->ending);
	KUNIT_EXPECT_TRUE(test, c->commit->last);
	memfile_set_mode(commit_below(c)->m, &fails);
	KUNIT_EXPECT_EQ(test, qcow_commit_settle(c->commit, &c->w.base.msg), -EIO);
	memfile_set_mode(commit_below(c)->m, &plain);
	KUNIT_EXPECT_FALSE(test, c->commit->last);
	KUNIT_EXPECT_EQ(test, qcow_commit_left(c->commit), 64 << 10);
	while (!c->commit->last)
		KUNIT_ASSERT_EQ(test,
				qcow_commit_some(c->commit, 64 << 10, &c->w.base.msg), 0);
	syncs = atomic_read(&commit_below(c)->m->syncs);
	KUNIT_EXPECT_FALSE(test, qcow_commit_hurry(c->commit));
	while (!qcow_commit_hurry(c->commit))
		KUNIT_ASSERT_EQ(test, qcow_commit_settle(c->commit, &c->w.base.msg), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&commit_below(c)->m->syncs), syncs);
	KUNIT_EXPECT_EQ(test, qcow_commit_finish(c->commit, &c->w.base.msg), 0);
	KUNIT_EXPECT_TRUE(test, c->commit->done);
	qcow_commit_release(c->commit);
	KUNIT_EXPECT_EQ(test, commit_end(c), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(&c->w), 0);
	commit_tear_down(c);
}

static struct kunit_case commit_wait_test_cases[] = {
	KUNIT_CASE(commit_punch),
	KUNIT_CASE(commit_settle),
	{}
};

static struct kunit_suite commit_wait_suite = {
	.name = "qcow_commit_wait",
	.init = commit_test_init,
	.exit = commit_test_exit,
	.test_cases = commit_wait_test_cases,
};

kunit_test_suite(commit_wait_suite);
