// SPDX-License-Identifier: GPL-2.0
/*
 * Images whose data goes to their backing files, while they are written, and the
 * power cut, or an operation that fails, at any moment of it: the disk reads the
 * same, and both images are sound.
 */
#include <linux/err.h>
#include <linux/slab.h>

#include "compat/compat_test.h"
#include "commit_case.h"
#include "meta/alloc.h"
#include "meta/bitmap.h"
#include "meta/flush.h"
#include "meta/image.h"
#include "meta/reclaim.h"
#include "meta/release.h"
#include "data/zero.h"

#define LOADS		16
#define CUTS		40
#define FAULT_LOADS	1
#define MAX_SITES	200

/* --- Power cuts --- */

static u32 cut_power(struct kunit *test, struct commit_case *c, u32 seed)
{
	u32 last = c->w.o.log->clock + 1, when, kind, n = 0;
	const char *fault;

	commit_start_cuts(c);
	for (when = 1; when <= last; when += 1 + qtest_below(&c->rnd, 2 * last / CUTS + 1)) {
		for (kind = 0; kind < MEMLOG_CUTS; kind++, n++) {
			fault = commit_check_cut(c, when, kind);
			if (!fault)
				continue;
			KUNIT_FAIL(test, "image %u (seed %lu) after %u of %u, kind %u: %s",
				   seed, qtest_seed, when, last, kind, fault);
			return n;
		}
	}
	return n;
}

static bool is_empty(const struct qcow_image *img)
{
	u32 i;

	for (i = 0; i < img->l1_size; i++)
		if (img->l1[i])
			return false;
	return true;
}

static u32 commit_one(struct kunit *test, u32 seed)
{
	struct commit_case *c = test->priv;
	struct memfile_mode mode;
	const char *fault;
	u32 n;

	c->rnd = qtest_rnd(60000 + seed);
	commit_build(test, c);
	writer_random_mode(&c->rnd, &mode);
	builder_set_mode(c->w.base.c, &mode);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(&c->w), 0, "image %u: %s", seed,
			    c->w.base.msg.text);
	KUNIT_EXPECT_EQ_MSG(test, commit_begin(c), 0, "image %u: %s", seed,
			    c->w.base.msg.text);
	KUNIT_EXPECT_EQ_MSG(test, commit_all(c, true), 0, "image %u: %s", seed,
			    c->w.base.msg.text);
	KUNIT_EXPECT_TRUE(test, is_empty(c->w.img));
	commit_submit(c, 0);
	KUNIT_EXPECT_EQ(test, writer_wait(&c->w, 0), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(&c->w), 0);
	KUNIT_EXPECT_EQ(test, commit_end(c), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(&c->w), 0);
	writer_close(&c->w);
	writer_top(&c->w)->m->log = NULL;
	commit_below(c)->m->log = NULL;
	KUNIT_EXPECT_FALSE(test, c->w.o.log->full || c->log->full);
	fault = commit_check_closed(c);
	if (!fault && c->w.o.k.leaks > c->w.o.leaks)
		fault = "it leaks";
	if (fault)
		KUNIT_FAIL(test, "image %u (seed %lu): %s", seed, qtest_seed, fault);
	n = cut_power(test, c, seed);
	commit_tear_down(c);
	return n;
}

static void commit_cut(struct kunit *test)
{
	u32 seed, n = 0;

	for (seed = 0; seed < LOADS; seed++)
		n += commit_one(test, seed);
	kunit_info(test, "%u cuts (seed %lu)\n", n, qtest_seed);
	KUNIT_EXPECT_GT(test, n, LOADS * 50);
}

/* --- Operations that fail --- */

static bool given_up(const struct commit_case *c)
{
	const struct qcow_image *img = c->w.img;

	return img->alloc->failed || (img->backing->alloc && img->backing->alloc->failed);
}

/* Commits all data, and tries again after each failure that allows it. */
static int commit_with_faults(struct commit_case *c)
{
	u32 tries;
	int err = 0;

	for (tries = 0; tries < 4; tries++) {
		if (!c->commit)
			err = commit_begin(c);
		if (!err)
			err = commit_all(c, false);
		if (!err)
			return 0;
		c->retries++;
		if (given_up(c))
			return err;
		/* A commit that could not be begun is begun anew. */
		if (c->commit && !c->commit->last &&
		    c->w.img->backing->size < c->w.img->size) {
			err = commit_end(c);
			if (err)
				return err;
		}
		err = 0;
	}
	return -ETIMEDOUT;
}

/* Return: whether there was such an operation. */
static bool fail_nth(struct kunit *test, struct commit_case *c, u32 seed, u32 image,
		     u32 ops, int error, u32 nth)
{
	struct memfile_mode mode = { };
	const char *fault;
	struct memfile *m;
	bool injected;
	u32 kind;
	int err;

	c->rnd = qtest_rnd(61000 + seed);
	commit_build(test, c);
	KUNIT_ASSERT_EQ(test, writer_open(&c->w), 0);
	reader_silence(c->w.img);
	m = c->w.base.c->img[image].m;
	mode.fail_ops = ops;
	mode.fail_at = nth;
	mode.error = error;
	memfile_set_mode(m, &mode);
	err = commit_with_faults(c);
	injected = atomic_read(&m->injected);
	mode.fail_at = 0;
	memfile_set_mode(m, &mode);
	if (err && !given_up(c) && injected && err != -EIO && err != -ENOSPC)
		KUNIT_FAIL(test, "image %u, file %u, ops %#x, %u: error %d", seed, image, ops,
			   nth, err);
	KUNIT_EXPECT_EQ_MSG(test, writer_read_back(&c->w), 0,
			    "image %u, file %u, ops %#x, %u", seed, image, ops, nth);
	commit_start_cuts(c);
	for (kind = 0; kind < MEMLOG_CUTS; kind++) {
		fault = commit_check_cut(c, memlog_now(c->w.o.log), kind);
		if (fault)
			KUNIT_FAIL(test, "image %u, file %u, ops %#x, %u, cut %u: %s", seed,
				   image, ops, nth, kind, fault);
	}
	commit_tear_down(c);
	return injected;
}

static void commit_fault(struct kunit *test)
{
	static const u32 ops[] = {
		MEMFILE_READ, MEMFILE_WRITE, MEMFILE_SYNC, MEMFILE_FALLOC, MEMFILE_SIZE,
	};
	u32 seed, image, i, nth, n = 0;

	for (seed = 0; seed < FAULT_LOADS; seed++)
		for (image = 0; image < 2; image++)
			for (i = 0; i < ARRAY_SIZE(ops); i++)
				for (nth = 1; nth < MAX_SITES; nth += 1 + nth / 8, n++)
					if (!fail_nth(test, test->priv, seed, image, ops[i],
						      nth & 1 ? -EIO : -ENOSPC, nth))
						break;
	kunit_info(test, "%u operations failed (seed %lu)\n", n, qtest_seed);
	KUNIT_EXPECT_GT(test, n, FAULT_LOADS);
}

/* --- A writer that is faster than the commit --- */

#define LARGE		(64U << 20)
#define LARGE_STEPS	18
#define LITTLE		(8U << 20)

/* A disk with nothing in it, but much of that. */
static void build_large(struct kunit *test, struct commit_case *c)
{
	struct builder_spec specs[2] = {
		{
			.version = 3, .cluster_bits = 16, .tidy = true,
			.kinds = BUILDER_HOLE, .size = LARGE, .writable = true,
			.order = 4, .room = 16 << 20,
		},
	};

	specs[1] = specs[0];
	c->rnd = qtest_rnd(62000);
	KUNIT_ASSERT_EQ(test, writer_build(&c->w, specs, 2, &c->rnd), 0);
	c->log = memlog_create(1, 1);
	KUNIT_ASSERT_NOT_NULL(test, c->log);
	KUNIT_ASSERT_EQ(test, writer_open(&c->w), 0);
	KUNIT_ASSERT_EQ(test, commit_swap_below(c, true), 0);
	c->commit = qcow_commit_create(c->w.img, QCOW_COMMIT_SHIFT);
	KUNIT_ASSERT_NOT_NULL(test, c->commit);
	qcow_commit_begin(c->commit);
}

/* One step of the commit; with @writes, all of the disk is written again after it. */
static int press_step(struct commit_case *c, bool writes)
{
	int err;

	err = qcow_commit_some(c->commit, c->commit->press ?: LARGE / 4, &c->w.base.msg);
	if (writes)
		qcow_bitmap_mark(c->w.img, 0, LARGE);
	return err;
}

/* Requests are held up for a step at a time, and never for all that is left. */
static void commit_press(struct kunit *test)
{
	struct commit_case *c = test->priv;
	u32 i;

	build_large(test, c);
	KUNIT_ASSERT_EQ(test, commit_start(c), 0);
	for (i = 0; i < LARGE_STEPS; i++) {
		KUNIT_ASSERT_EQ(test, press_step(c, true), 0);
		KUNIT_ASSERT_FALSE(test, c->commit->last);
	}
	KUNIT_EXPECT_GT(test, c->commit->press, LITTLE);
	while (!c->commit->last)
		KUNIT_ASSERT_EQ(test, press_step(c, false), 0);
	KUNIT_EXPECT_LE(test, qcow_commit_left(c->commit), LITTLE);
	/* Somebody let go, and comes back when all was written again. */
	qcow_bitmap_mark(c->w.img, 0, LARGE);
	KUNIT_EXPECT_EQ(test, qcow_commit_finish(c->commit, &c->w.base.msg), 0);
	KUNIT_EXPECT_FALSE(test, c->commit->last);
	KUNIT_EXPECT_FALSE(test, c->commit->done);
	commit_tear_down(c);
}

/* The last step, for which the disk is frozen, can be interrupted, too. */
static void commit_interrupted(struct kunit *test)
{
	struct commit_case *c = test->priv;
	u64 size;

	build_large(test, c);
	KUNIT_ASSERT_EQ(test, commit_start(c), 0);
	c->w.img->backing->alloc->reserve.no_renew = false;
	KUNIT_EXPECT_EQ(test, writer_write(&c->w, 0, 4 * SECTOR), 0);
	while (!c->commit->last)
		KUNIT_ASSERT_EQ(test, press_step(c, false), 0);
	qcow_bitmap_mark(c->w.img, 0, LITTLE);
	set_bit(QCOW_ENDING_INTERRUPTED, &c->w.base.r->ending);
	KUNIT_EXPECT_EQ(test, qcow_commit_finish(c->commit, &c->w.base.msg), -EINTR);
	KUNIT_EXPECT_FALSE(test, c->commit->done);
	KUNIT_EXPECT_FALSE(test, is_empty(c->w.img));
	clear_bit(QCOW_ENDING_INTERRUPTED, &c->w.base.r->ending);
	KUNIT_EXPECT_EQ(test, qcow_commit_finish(c->commit, &c->w.base.msg), 0);
	KUNIT_EXPECT_TRUE(test, c->commit->done);
	qcow_commit_release(c->commit);
	KUNIT_EXPECT_EQ(test, writer_read_back(&c->w), 0);
	/* The backing file was grown ahead, and is cut off when it is closed: no damage. */
	size = memfile_size(commit_below(c)->m);
	c->started = true;
	KUNIT_EXPECT_EQ(test, commit_end(c), 0);
	KUNIT_EXPECT_LT(test, memfile_size(commit_below(c)->m), size);
	KUNIT_EXPECT_FALSE(test, qcow_file_shrunk(&c->w.img->backing->file));
	KUNIT_EXPECT_EQ(test, writer_read_back(&c->w), 0);
	commit_tear_down(c);
}

/* --- A backing file that gets larger --- */

#define GROWN		(256U << 10)
#define SMALL		(20 * SECTOR)

/* The image at the bottom has data behind the end of the smaller one in the middle. */
static void build_smaller(struct kunit *test, struct commit_case *c)
{
	struct builder_spec specs[3] = {
		{
			.version = 3, .cluster_bits = 9, .tidy = true,
			.kinds = BUILDER_HOLE, .size = GROWN, .writable = true,
			.order = 4, .room = 1 << 20,
		},
	};

	specs[1] = specs[0];
	specs[1].size = SMALL;
	specs[1].cluster_bits = 12;
	specs[2] = specs[0];
	specs[2].kinds = BUILDER_DATA;
	c->rnd = qtest_rnd(63000);
	KUNIT_ASSERT_EQ(test, writer_build(&c->w, specs, 3, &c->rnd), 0);
	c->log = memlog_create(LOG_ENTRIES, LOG_BYTES);
	KUNIT_ASSERT_NOT_NULL(test, c->log);
	commit_below(c)->m->log = c->log;
	KUNIT_ASSERT_EQ(test, writer_open(&c->w), 0);
	KUNIT_ASSERT_EQ(test, commit_swap_below(c, true), 0);
	c->commit = qcow_commit_create(c->w.img, QCOW_COMMIT_SHIFT);
	KUNIT_ASSERT_NOT_NULL(test, c->commit);
	qcow_commit_begin(c->commit);
	c->look = true;
}

/*
 * The disk reads the same all the time, its requests wait for memory alone, and the
 * caller of the commit can end it.
 */
static void commit_grow(struct kunit *test)
{
	struct commit_case *c = test->priv;

	build_smaller(test, c);
	set_bit(QCOW_ENDING_INTERRUPTED, &c->w.base.r->ending);
	KUNIT_EXPECT_EQ(test, commit_start(c), -EINTR);
	KUNIT_EXPECT_EQ(test, c->w.img->backing->size, SMALL);
	KUNIT_EXPECT_EQ(test, writer_read_back(&c->w), 0);
	clear_bit(QCOW_ENDING_INTERRUPTED, &c->w.base.r->ending);
	KUNIT_EXPECT_EQ(test, commit_start(c), 0);
	KUNIT_EXPECT_EQ(test, c->w.img->backing->size, GROWN);
	KUNIT_EXPECT_GT(test, c->looks, 3);
	KUNIT_EXPECT_FALSE(test, c->wrong);
	KUNIT_EXPECT_EQ(test, c->waited, 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(&c->w), 0);
	commit_below(c)->m->log = NULL;
	commit_tear_down(c);
}

/*
 * The backing file has no space, but for clusters that its flushes made free and that
 * were not given back yet.
 */
static void commit_reclaims(struct kunit *test)
{
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = 9,
		.size = 64 * SECTOR,
		.writable = true,
		.order = 4,
		.room = 256 << 10,
	}, specs[2] = { spec, spec };
	struct commit_case *c = test->priv;
	struct qcow_alloc *a;
	const char *fault;
	u32 got, i, n = 0;
	u64 first;
	bool fresh;
	int err;

	c->rnd = qtest_rnd(62000);
	specs[0].kinds = BUILDER_HOLE;
	specs[1].kinds = BUILDER_HOLE | BUILDER_DATA;
	specs[1].tidy = true;
	commit_build_specs(test, c, specs, 2);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(&c->w), 0, "%s", c->w.base.msg.text);
	/* The first half of the backing file loses its data, as much as the commit brings. */
	for (i = 0; i < 32; i++) {
		if (!commit_below(c)->clusters[i].host)
			continue;
		writer_submit_zero(&c->w, 0, i * SECTOR, SECTOR, QCOW_OP_UNMAP);
		KUNIT_EXPECT_EQ(test, writer_wait(&c->w, 0), 0);
		/* Else somebody else has it as well. */
		n += get_unaligned_be64(commit_below(c)->file +
					commit_below(c)->clusters[i].l2_at) >>
		     63;
	}
	KUNIT_ASSERT_GT(test, n, 0);
	for (i = 32; i < 64 && n; i++) {
		if (commit_below(c)->clusters[i].host)
			continue;
		KUNIT_EXPECT_EQ(test, writer_write(&c->w, i * SECTOR, SECTOR), 0);
		n--;
	}
	KUNIT_ASSERT_EQ_MSG(test, commit_begin_by(c, 9), 0, "%s", c->w.base.msg.text);
	a = c->w.img->backing->alloc;
	qcow_reclaim_stop(a);
	KUNIT_EXPECT_EQ(test, qcow_commit_some(c->commit, 32 * SECTOR, &c->w.base.msg), 0);
	KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	qcow_alloc_return_pool(a);
	a->search.limit = memfile_size(commit_below(c)->m) / SECTOR;
	do {
		err = qcow_alloc_clusters(a, 1, &first, &got, &fresh);
	} while (!err);
	KUNIT_EXPECT_EQ(test, err, -ENOSPC);
	KUNIT_EXPECT_TRUE(test, qcow_release_pending(a));
	KUNIT_EXPECT_EQ_MSG(test, commit_all(c, false), 0, "%s", c->w.base.msg.text);
	KUNIT_EXPECT_EQ(test, writer_read_back(&c->w), 0);
	KUNIT_EXPECT_EQ(test, commit_end(c), 0);
	writer_close(&c->w);
	fault = commit_check_closed(c);
	KUNIT_EXPECT_TRUE_MSG(test, !fault, "%s", fault);
	commit_tear_down(c);
}

/* --- Clusters with a refcount of 0 --- */

/* The clusters of the emptied image are not all counted: it goes on, and is sound. */
static void commit_uncounted(struct kunit *test)
{
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = 9,
		.tidy = true,
		.kinds = BUILDER_DATA,
		.size = 100 * SECTOR,
		.writable = true,
		.order = 4,
		.room = 256 << 10,
	}, specs[2] = { spec, spec };
	struct commit_case *c = test->priv;
	struct builder_image *top;
	const char *fault;
	u32 i;

	c->rnd = qtest_rnd(64000);
	commit_build_specs(test, c, specs, 2);
	top = writer_top(&c->w);
	for (i = 0; i < 100; i += 7)
		builder_set_refcount(top->file, top->clusters[i].host / SECTOR, 0);
	writer_restart(&c->w);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(&c->w), 0, "%s", c->w.base.msg.text);
	KUNIT_ASSERT_EQ_MSG(test, commit_begin(c), 0, "%s", c->w.base.msg.text);
	KUNIT_EXPECT_EQ_MSG(test, commit_all(c, false), 0, "%s", c->w.base.msg.text);
	KUNIT_EXPECT_FALSE(test, qcow_image_stopped(c->w.img));
	KUNIT_EXPECT_TRUE(test, test_bit(QCOW_IMAGE_CORRUPT, &c->w.img->flags));
	KUNIT_EXPECT_EQ(test, writer_write(&c->w, 0, 20 * SECTOR), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(&c->w), 0);
	KUNIT_EXPECT_EQ(test, commit_end(c), 0);
	writer_close(&c->w);
	fault = commit_check_closed(c);
	KUNIT_EXPECT_TRUE_MSG(test, !fault, "%s", fault);
	commit_tear_down(c);
}

static struct kunit_case commit_test_cases[] = { KUNIT_CASE(commit_cut),
						 KUNIT_CASE(commit_fault),
						 KUNIT_CASE(commit_press),
						 KUNIT_CASE(commit_interrupted),
						 KUNIT_CASE(commit_reclaims),
						 KUNIT_CASE(commit_grow),
						 KUNIT_CASE(commit_uncounted),
						 {} };

static struct kunit_suite commit_suite = {
	.name = "qcow_commit",
	.init = commit_test_init,
	.exit = commit_test_exit,
	.test_cases = commit_test_cases,
};

kunit_test_suite(commit_suite);
