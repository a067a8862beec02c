// SPDX-License-Identifier: GPL-2.0
/*
 * Random writes of random images: the content that is read back, the image after that,
 * and clusters that snapshots share.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "meta/alloc.h"
#include "writer.h"

#define SECTOR		512
#define SEEDS		24
#define ROUNDS		60

static void expect_good(struct kunit *test, const char *fault, u32 seed)
{
	if (fault)
		KUNIT_FAIL(test, "image %u (seed %lu): %s", seed, qtest_seed, fault);
}

/* An image over nothing, one, or two others. */
static void build(struct kunit *test, u32 seed, struct rnd_state *rnd)
{
	struct builder_spec specs[3];
	u32 nr = 1 + qtest_below(rnd, 3), i;

	for (i = 1; i < nr; i++)
		builder_random_spec(rnd, &specs[i]);
	specs[nr - 1].raw = qtest_one_in(rnd, 2);
	writer_random_spec(rnd, &specs[0]);
	KUNIT_ASSERT_EQ_MSG(test, writer_build(test->priv, specs, nr, rnd), 0,
			    "image %u", seed);
}

static void set_mode(struct writer *w, struct rnd_state *rnd)
{
	struct memfile_mode mode;

	writer_random_mode(rnd, &mode);
	builder_set_mode(w->base.c, &mode);
}

static void random_piece(const struct writer *w, struct rnd_state *rnd, u64 *guest_offset,
			 u32 *len)
{
	u32 sectors = w->img->size / SECTOR, most;

	*guest_offset = qtest_below(rnd, sectors);
	most = min_t(u32, sectors - *guest_offset, qtest_one_in(rnd, 4) ? 512 : 20);
	*len = (1 + qtest_below(rnd, most)) * SECTOR;
	*guest_offset *= SECTOR;
}

/* --- One after the other --- */

static int write_or_flush(struct writer *w, struct rnd_state *rnd)
{
	u64 guest_offset;
	u32 len;

	if (qtest_one_in(rnd, 8))
		return writer_flush(w);
	random_piece(w, rnd, &guest_offset, &len);
	if (qtest_one_in(rnd, 3))
		writer_submit_zero(w, 0, guest_offset, len,
				   QCOW_OP_ZERO + qtest_below(rnd, 3));
	else
		writer_submit(w, 0, guest_offset, len, qtest_one_in(rnd, 3), rnd);
	return writer_wait(w, 0);
}

static void write_and_look(struct kunit *test, u32 seed, struct rnd_state *rnd)
{
	struct writer *w = test->priv;
	u32 i;

	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "image %u: %s", seed,
			    w->base.msg.text);
	for (i = 0; i < ROUNDS; i++)
		KUNIT_ASSERT_EQ_MSG(test, write_or_flush(w, rnd), 0, "image %u", seed);
	KUNIT_EXPECT_EQ_MSG(test, writer_read_back(w), 0, "image %u", seed);
	writer_close(w);
	KUNIT_EXPECT_TRUE(test, builder_idle(w->base.c));
	expect_good(test, oracle_check_closed(&w->o), seed);
	expect_good(test, oracle_check_foreign(&w->o), seed);
	KUNIT_EXPECT_EQ_MSG(test, w->o.k.leaks, w->o.leaks, "image %u", seed);
}

/* Written, closed, opened again, written again. */
static void write_random(struct kunit *test)
{
	struct writer *w = test->priv;
	u32 seed;

	for (seed = 0; seed < SEEDS; seed++) {
		struct rnd_state rnd = qtest_rnd(20000 + seed);

		build(test, seed, &rnd);
		set_mode(w, &rnd);
		write_and_look(test, seed, &rnd);
		set_mode(w, &rnd);
		write_and_look(test, seed, &rnd);
		writer_free(w);
	}
}

/* --- At once --- */

#define COLLISIONS	24

/* Holes, and no free cluster inside the file: one allocated in vain shows. */
static void build_holes(struct kunit *test, u32 seed, u32 nr,
			struct rnd_state *rnd)
{
	struct builder_spec specs[2] = {
		{
			.version = 3,
			.cluster_bits = 9 + seed % 8,
			.tidy = true,
			.kinds = BUILDER_HOLE,
			.size = 24ULL << (9 + seed % 8),
			.writable = true,
			.order = seed % 5,
			.room = 4 << 20,
		},
		{ .raw = true, .size = 20ULL << (9 + seed % 8) },
	};

	KUNIT_ASSERT_EQ(test, writer_build(test->priv, specs, nr, rnd), 0);
}

/* Pieces of three clusters in a row, one for each slot, in any order. */
static void write_pieces(struct kunit *test, u32 first, bool overlap,
			 struct rnd_state *rnd)
{
	struct writer *w = test->priv;
	u32 cluster = 1U << w->img->layout.cluster_bits;
	u32 piece = round_down(3 * cluster / READER_PARALLEL, SECTOR) ?: SECTOR;
	u32 n = min_t(u32, 3 * cluster / piece, READER_PARALLEL), i, guest_offset, len;
	u32 shift = qtest_below(rnd, n);

	for (i = 0; i < n; i++) {
		guest_offset = first * cluster + (i + shift) % n * piece;
		len = overlap ? min(2 * piece, (first + 3) * cluster - guest_offset) : piece;
		writer_submit(w, i, guest_offset, len, qtest_one_in(rnd, 3), NULL);
	}
	for (i = 0; i < n; i++)
		KUNIT_EXPECT_EQ(test, writer_wait(w, i), 0);
}

/* In a tidy image, no cluster of the file is without a reference. */
static u32 unused_clusters(const struct writer *w)
{
	u32 n = 0;
	u64 c;

	for (c = 0; c < w->o.k.nr; c++)
		n += !w->o.k.refs[c];
	return n;
}

static void collide(struct kunit *test, u32 seed, bool overlap)
{
	struct memfile_mode mode = { .async = true, .delay_us = 300 };
	struct rnd_state rnd = qtest_rnd(21000 + seed);
	struct writer *w = test->priv;
	u32 i;

	build_holes(test, seed, 1 + seed % 2, &rnd);
	mode.nowait = seed & 1;
	mode.direct = seed & 2;
	mode.dio_align = 512;
	builder_set_mode(w->base.c, &mode);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	for (i = 0; i < 8; i++)
		write_pieces(test, 3 * i, overlap, &rnd);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	if (!overlap)
		KUNIT_EXPECT_EQ_MSG(test, writer_read_back(w), 0, "image %u", seed);
	writer_close(w);
	expect_good(test, oracle_check_closed(&w->o), seed);
	KUNIT_EXPECT_EQ_MSG(test, w->o.k.leaks, 0, "image %u", seed);
	KUNIT_EXPECT_EQ_MSG(test, unused_clusters(w), 0, "image %u", seed);
	writer_free(w);
}

/* Each cluster is allocated once, and all pieces of it are there. */
static void write_same_clusters(struct kunit *test)
{
	u32 seed;

	for (seed = 0; seed < COLLISIONS; seed++)
		collide(test, seed, false);
}

/* Of writes to the same sectors at once, each sector has the data of one. */
static void write_same_sectors(struct kunit *test)
{
	u32 seed;

	for (seed = 0; seed < COLLISIONS; seed++)
		collide(test, 100 + seed, true);
}

static struct kunit_case write_test_cases[] = {
	KUNIT_CASE(write_random),
	KUNIT_CASE(write_same_clusters),
	KUNIT_CASE(write_same_sectors),
	{ }
};

static struct kunit_suite write_suite = {
	.name = "qcow_write",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = write_test_cases,
};

kunit_test_suite(write_suite);
