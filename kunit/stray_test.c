// SPDX-License-Identifier: GPL-2.0
/*
 * Clusters of the disk that are free by their refcounts: they are not handed out once an
 * L2 table that leads to them is changed, and the disk keeps its data there.
 */
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "compat/compat_test.h"
#include "file/cache.h"
#include "meta/alloc.h"
#include "meta/refcount.h"
#include "meta/stray.h"
#include "meta/vet.h"
#include "ondisk/format.h"
#include "writer.h"

#define BITS		9
#define CLUSTER		512U
#define CLUSTERS	60
#define MAX_STRAYS	8

/**
 * struct strays - those of an image
 * @w: the image
 * @cluster: their numbers in the file
 * @guest: where they are on the disk
 * @nr: how many
 * @hole: a cluster of the disk that has none in the file
 */
struct strays {
	struct writer *w;
	u64 cluster[MAX_STRAYS];
	u64 guest[MAX_STRAYS];
	u32 nr;
	u64 hole;
};

/* An image in which one in @every clusters of data is one. */
static void build(struct kunit *test, struct strays *s, u32 kinds, u32 every)
{
	struct rnd_state rnd = qtest_rnd(43000 + kinds);
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = BITS,
		.tidy = true,
		.kinds = kinds | BUILDER_HOLE,
		.size = CLUSTERS * CLUSTER,
		.writable = true,
		.order = 4,
		.room = 8 << 20,
	};
	struct builder_image *b;
	u32 i, n = 0;

	*s = (struct strays) { .w = test->priv, .hole = U64_MAX };
	KUNIT_ASSERT_EQ(test, writer_build(s->w, &spec, 1, &rnd), 0);
	b = writer_top(s->w);
	for (i = 0; i < b->nr_clusters; i++) {
		const struct builder_cluster *c = &b->clusters[i];

		if (!c->host)
			s->hole = min(s->hole, (u64)i * CLUSTER);
		if (!c->host || s->nr == MAX_STRAYS || n++ % every)
			continue;
		s->guest[s->nr] = (u64)i * CLUSTER;
		s->cluster[s->nr++] = c->host >> BITS;
		builder_set_refcount(b->file, c->host >> BITS, 0);
	}
	KUNIT_ASSERT_GT(test, s->nr, 2);
	KUNIT_ASSERT_NE(test, s->hole, U64_MAX);
	memfile_rewrite(b->m, b->file, b->file_len);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(s->w), 0, "%s", s->w->base.msg.text);
}

static bool is_stray(const struct strays *s, u64 cluster)
{
	u32 i;

	for (i = 0; i < s->nr; i++)
		if (s->cluster[i] == cluster)
			return true;
	return false;
}

/* All that there is to be had up to behind them, one by one or some in a row. */
static void take_all(struct kunit *test, const struct strays *s, u32 row)
{
	struct qcow_alloc *a = s->w->img->alloc;
	u32 n, i, got = row;
	bool fresh;
	u64 first;

	for (n = 0; n < 100; n++) {
		if (row > 1)
			KUNIT_ASSERT_EQ(test, qcow_alloc_run(a, QCOW_META_L1, row, &first), 0);
		else
			KUNIT_ASSERT_EQ(test, qcow_alloc_clusters(a, 4, &first, &got, &fresh), 0);
		for (i = 0; i < got; i++)
			KUNIT_EXPECT_FALSE_MSG(test, is_stray(s, first + i),
					       "cluster %llu is handed out", first + i);
	}
}

static void expect_counts(struct kunit *test, const struct strays *s)
{
	u64 value;
	u32 i;

	for (i = 0; i < s->nr; i++) {
		KUNIT_EXPECT_EQ(test, qcow_refcount_get(s->w->img->alloc, s->cluster[i],
							&value), 0);
		KUNIT_EXPECT_EQ(test, value, 0);
	}
}

static void stray_kept(struct kunit *test, u32 kinds, u32 row)
{
	struct qcow_image *img;
	struct strays s;

	build(test, &s, kinds, 3);
	img = s.w->img;
	/* The L2 table that leads to the stray clusters is changed for the first time. */
	KUNIT_EXPECT_EQ(test, writer_write(s.w, s.hole, CLUSTER), 0);
	KUNIT_EXPECT_EQ(test, img->alloc->strays.nr, s.nr);
	KUNIT_EXPECT_TRUE(test, test_bit(QCOW_IMAGE_CORRUPT, &img->flags));
	take_all(test, &s, row);
	/* Stray clusters are written or unmapped: after that they are no fault. */
	KUNIT_EXPECT_EQ(test, writer_write(s.w, s.guest[0], CLUSTER), 0);
	writer_submit_zero(s.w, 0, s.guest[1], CLUSTER, QCOW_OP_UNMAP);
	KUNIT_EXPECT_EQ(test, writer_wait(s.w, 0), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(s.w), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(s.w), 0);
	take_all(test, &s, row);
	expect_counts(test, &s);
	KUNIT_EXPECT_FALSE(test, qcow_image_stopped(img));
	KUNIT_EXPECT_EQ(test, writer_read_back(s.w), 0);
	writer_close(s.w);
	/* The file has all of the data as well. */
	KUNIT_ASSERT_EQ(test, writer_open(s.w), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(s.w), 0);
	writer_close(s.w);
	writer_free(s.w);
}

static void stray_data(struct kunit *test)
{
	stray_kept(test, BUILDER_DATA, 1);
	stray_kept(test, BUILDER_DATA, 3);
	stray_kept(test, BUILDER_DATA | BUILDER_ZERO_ALLOC, 1);
}

/* Some were reserved before their table was looked at: they are not handed out. */
static void stray_reserved(struct kunit *test)
{
	struct qcow_alloc *a;
	struct strays s;
	bool fresh;
	u64 first;
	u32 got;

	build(test, &s, BUILDER_DATA, 1);
	a = s.w->img->alloc;
	KUNIT_ASSERT_EQ(test, qcow_alloc_clusters(a, 1, &first, &got, &fresh), 0);
	KUNIT_ASSERT_LT(test, a->reserve.run.next, a->reserve.run.end);
	KUNIT_EXPECT_EQ(test, writer_write(s.w, s.hole, CLUSTER), 0);
	KUNIT_EXPECT_EQ(test, a->strays.nr, s.nr - is_stray(&s, first));
	take_all(test, &s, 1);
	KUNIT_EXPECT_FALSE(test, qcow_image_stopped(s.w->img));
	writer_close(s.w);
	writer_free(s.w);
}

/* The clusters right behind a stray are as good as any. */
static void stray_before_row(struct kunit *test)
{
	struct qcow_alloc *a;
	struct strays s;
	u64 stray, first;

	build(test, &s, BUILDER_DATA, 3);
	a = s.w->img->alloc;
	qcow_alloc_return_pool(a);
	KUNIT_ASSERT_EQ(test, qcow_alloc_run(a, QCOW_META_L1, 40, &stray), 0);
	qcow_register_forget(&a->reg, stray << BITS, 40 << BITS);
	qcow_alloc_undo(a, stray, 40);
	mutex_lock(&a->lock);
	KUNIT_EXPECT_EQ(test, __qcow_stray_note(a, stray, 0), 0);
	mutex_unlock(&a->lock);
	KUNIT_ASSERT_EQ(test, qcow_alloc_run(a, QCOW_META_L1, 40, &first), 0);
	KUNIT_EXPECT_EQ(test, first, stray + 1);
	writer_close(s.w);
	writer_free(s.w);
}

/* A table that is made where another one was has not been looked at. */
static void stray_table_made_anew(struct kunit *test)
{
	struct qcow_slice *slice;
	struct qcow_image *img;
	struct strays s;
	u64 free;

	build(test, &s, BUILDER_DATA, 3);
	img = s.w->img;
	free = (writer_top(s.w)->file_len >> BITS) + 4;
	KUNIT_ASSERT_EQ(test, writer_write(s.w, s.hole, CLUSTER), 0);
	KUNIT_EXPECT_EQ(test, img->alloc->strays.nr, s.nr);
	qcow_alloc_return_pool(img->alloc);
	slice = qcow_cache_get_new(img->cache, img->l1[0] & QCOW_DISK_L1E_OFFSET_MASK);
	KUNIT_ASSERT_FALSE(test, IS_ERR(slice));
	slice->data[0] = cpu_to_be64(free << BITS | QCOW_DISK_E_COPIED);
	KUNIT_EXPECT_EQ(test, qcow_vet_slice(img->alloc, slice, 0), 0);
	KUNIT_EXPECT_EQ(test, img->alloc->strays.nr, s.nr + 1);
	slice->data[0] = 0;
	qcow_cache_put(slice);
	writer_close(s.w);
	writer_free(s.w);
}

/* More than can be remembered: nothing is written any more, and nothing is lost. */
static void stray_many(struct kunit *test)
{
	struct strays s;

	build(test, &s, BUILDER_DATA, 3);
	s.w->img->alloc->strays.nr = BIT(16);
	KUNIT_EXPECT_EQ(test, writer_write(s.w, s.hole, CLUSTER), -EIO);
	KUNIT_EXPECT_TRUE(test, qcow_image_stopped(s.w->img));
	s.w->img->alloc->strays.nr = 0;
	writer_close(s.w);
}

static struct kunit_case stray_test_cases[] = {
	KUNIT_CASE(stray_data),
	KUNIT_CASE(stray_reserved),
	KUNIT_CASE(stray_before_row),
	KUNIT_CASE(stray_table_made_anew),
	KUNIT_CASE(stray_many),
	{ }
};

static struct kunit_suite stray_suite = {
	.name = "qcow_stray",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = stray_test_cases,
};

kunit_test_suite(stray_suite);
