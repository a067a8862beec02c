// SPDX-License-Identifier: GPL-2.0
/*
 * Clusters as they are handed out: to one caller each, free before, given back
 * at the end, and not again until the release is durable.
 */
#include <linux/ktime.h>
#include <linux/slab.h>

#include "meta/alloc.h"
#include "meta/flush.h"
#include "meta/reclaim.h"
#include "meta/refcount.h"
#include "meta/release.h"
#include "meta/writeback.h"
#include "writer.h"

#define CALLERS		6
#define CALLS		20
#define MOST		12
#define MAX_TAKEN	4096

/**
 * struct taken - clusters that were handed out
 * @w: the image
 * @lock: protects the members below
 * @cluster: their numbers
 * @nr: of @cluster
 * @err: the first error
 */
struct taken {
	struct writer *w;
	spinlock_t lock; /* protects the members below */
	u64 cluster[MAX_TAKEN];
	u32 nr;
	int err;
};

static const u32 orders[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

static void order_desc(const u32 *order, char *desc)
{
	if (*order == 7)
		strscpy(desc, "full refcount table", KUNIT_PARAM_DESC_SIZE);
	else
		snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u bits", 1U << *order);
}

KUNIT_ARRAY_PARAM(order, orders, order_desc);

static struct taken *build(struct kunit *test, u32 order)
{
	struct rnd_state rnd = qtest_rnd(70000 + order);
	struct memfile_mode mode = { .delay_us = 200 };
	struct writer *w = test->priv;
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = 9,
		.kinds = BUILDER_ALL,
		.size = 120 << 9,
		.writable = true,
		.order = min(order, 6U),
		.full = order == 7,
		.room = 4 << 20,
	};
	struct taken *t;

	KUNIT_ASSERT_EQ(test, writer_build(w, &spec, 1, &rnd), 0);
	builder_set_mode(w->base.c, &mode);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	t->w = w;
	spin_lock_init(&t->lock);
	return t;
}

/* --- Taking --- */

static int take(struct taken *t, u32 want)
{
	struct qcow_alloc *a = t->w->img->alloc;
	u64 first;
	bool fresh;
	u32 got, i;
	int err;

	err = qcow_alloc_clusters(a, want, &first, &got, &fresh);
	spin_lock(&t->lock);
	if (!err && (!got || got > want || t->nr + got > MAX_TAKEN))
		err = -ERANGE;
	for (i = 0; !err && i < got; i++)
		t->cluster[t->nr++] = first + i;
	t->err = t->err ?: err;
	spin_unlock(&t->lock);
	return err;
}

struct caller {
	struct work_struct work;
	struct taken *t;
	struct rnd_state rnd;
};

static void caller_work(struct work_struct *work)
{
	struct caller *c = container_of(work, struct caller, work);
	u32 i;

	for (i = 0; i < CALLS; i++) {
		if (take(c->t, 1 + qtest_below(&c->rnd, MOST)))
			break;
		cond_resched();
	}
}

static void take_in_parallel(struct kunit *test, struct taken *t)
{
	struct caller *c = kunit_kcalloc(test, CALLERS, sizeof(*c), GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, c);
	for (i = 0; i < CALLERS; i++) {
		c[i].t = t;
		c[i].rnd = qtest_rnd(71000 + i);
		INIT_WORK(&c[i].work, caller_work);
		queue_work(qtest_wq, &c[i].work);
	}
	for (i = 0; i < CALLERS; i++)
		flush_work(&c[i].work);
	KUNIT_EXPECT_EQ(test, t->err, 0);
}

/* --- Clusters that were handed out --- */

static bool was_taken(const struct taken *t, u32 before, u64 cluster)
{
	u32 i;

	for (i = 0; i < before; i++)
		if (t->cluster[i] == cluster)
			return true;
	return false;
}

/* Each once, and none that was in use. After writer_build()'s check. */
static void expect_free(struct kunit *test, const struct taken *t)
{
	struct writer *w = t->w;
	const struct builder_image *b = writer_top(w);
	u32 i;

	checker_walk(&w->o.k, b->file, b->file_len);
	for (i = 0; i < t->nr; i++) {
		u64 c = t->cluster[i];

		if (was_taken(t, i, c))
			KUNIT_FAIL(test, "cluster %llu is handed out twice", c);
		if (!c || checker_refcount(&w->o.k, c))
			KUNIT_FAIL(test, "cluster %llu was in use", c);
		if (qcow_register_has(&w->img->alloc->reg, c))
			KUNIT_FAIL(test, "cluster %llu holds metadata", c);
	}
}

/* Clusters with a higher refcount than references, also past the file's end. */
static u32 count_leaks(struct checker *k, const void *data, u64 size)
{
	u64 c, end;
	u32 n = 0;

	checker_walk(k, data, size);
	end = k->table_size << (k->bits + 3 - k->order);
	for (c = 0; c < end; c++)
		n += checker_refcount(k, c) > (c < k->nr ? k->refs[c] : 0);
	return n;
}

/* Clusters that were handed out are counted once; those only reserved were given back. */
static void expect_counted(struct kunit *test, const struct taken *t)
{
	const struct memfile *m = writer_top(t->w)->m;
	struct builder_image *b = writer_top(t->w);
	struct checker *k = &t->w->o.k;
	u32 before, after, i;

	before = count_leaks(k, b->file, b->file_len);
	after = count_leaks(k, m->store, memfile_size(m));
	KUNIT_EXPECT_EQ(test, k->errors, 0);
	KUNIT_EXPECT_EQ(test, after, before + t->nr);
	for (i = 0; i < t->nr; i++)
		KUNIT_EXPECT_EQ(test, checker_refcount(k, t->cluster[i]), 1);
}

static void alloc_parallel(struct kunit *test)
{
	struct taken *t = build(test, *(const u32 *)test->param_value);

	take_in_parallel(test, t);
	KUNIT_EXPECT_GE(test, t->nr, CALLERS * CALLS);
	expect_free(test, t);
	KUNIT_EXPECT_EQ(test, writer_flush(t->w), 0);
	writer_close(t->w);
	/* The old refcount table was given back as well. */
	if (writer_top(t->w)->spec.full)
		return;
	expect_counted(test, t);
}

/* --- Releases --- */

/* Return: how many of the clusters from @first on were handed out before @first, too. */
static u32 taken_again(const struct taken *t, u32 first)
{
	u32 i, n = 0;

	for (i = first; i < t->nr; i++)
		n += was_taken(t, first, t->cluster[i]);
	return n;
}

static void alloc_release(struct kunit *test)
{
	struct taken *t = build(test, *(const u32 *)test->param_value);
	struct qcow_alloc *a = t->w->img->alloc;
	u32 i, first, released;

	for (i = 0; i < 40; i++)
		KUNIT_ASSERT_EQ(test, take(t, 1), 0);
	KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	released = t->nr;
	for (i = 0; i < released; i++)
		qcow_release(a, t->cluster[i], 1);
	/* More than are reserved at once. */
	for (i = 0; i < 300; i++)
		KUNIT_ASSERT_EQ(test, take(t, 1), 0);
	KUNIT_EXPECT_EQ(test, taken_again(t, released), 0);
	KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	qcow_reclaim_finish(a);
	first = t->nr;
	for (i = 0; i < 300; i++)
		KUNIT_ASSERT_EQ(test, take(t, 1), 0);
	KUNIT_EXPECT_EQ(test, taken_again(t, first), released);
	writer_close(t->w);
}

/* Notes of releases are limited in number, and none are made if no flush would ever come. */
static void alloc_notes(struct kunit *test)
{
	struct taken *t = build(test, 4);
	struct qcow_alloc *a = t->w->img->alloc;
	u32 i, first;

	for (i = 0; i < 200; i++)
		KUNIT_ASSERT_EQ(test, take(t, 1), 0);
	KUNIT_EXPECT_GT(test, a->release.count.max, 10000);
	a->release.count.max = 50;
	for (i = 0; i < 100; i++)
		qcow_release(a, t->cluster[2 * i], 1);
	KUNIT_EXPECT_LE(test, a->release.count.nr, 50);
	KUNIT_EXPECT_TRUE(test, qcow_writeback_full(a));
	KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	qcow_reclaim_finish(a);
	KUNIT_EXPECT_EQ(test, a->release.count.nr, 0);
	KUNIT_EXPECT_FALSE(test, qcow_writeback_full(a));
	first = t->nr;
	for (i = 0; i < 300; i++)
		KUNIT_ASSERT_EQ(test, take(t, 1), 0);
	KUNIT_EXPECT_GT(test, taken_again(t, first), 40);
	KUNIT_EXPECT_LE(test, taken_again(t, first), 50);
	for (i = 100; i < 130; i++)
		qcow_release(a, t->cluster[2 * i - 1], 1);
	KUNIT_EXPECT_TRUE(test, qcow_writeback_full(a));
	/* The failed image forgets its notes, and makes no more. */
	a->failed = -EIO;
	KUNIT_EXPECT_EQ(test, qcow_flush(a), -EIO);
	qcow_release(a, t->cluster[1], 1);
	KUNIT_EXPECT_EQ(test, a->release.count.nr, 0);
	KUNIT_EXPECT_FALSE(test, qcow_writeback_full(a));
	writer_close(t->w);
}

/* --- The end --- */

/* A file that cannot be made longer has so many clusters, and all are handed out. */
static void alloc_limit(struct kunit *test)
{
	struct taken *t = build(test, 4);
	struct qcow_alloc *a = t->w->img->alloc;
	u64 size = memfile_size(writer_top(t->w)->m);
	u64 c, value;
	u32 n = 0;

	/* No entry leads further. */
	KUNIT_EXPECT_EQ(test, a->search.limit, 1ULL << (56 - 9));
	a->search.limit = (size >> 9) + 5;
	for (c = 1; c < a->search.limit; c++) {
		KUNIT_ASSERT_EQ(test, qcow_refcount_get(a, c, &value), 0);
		n += !value;
	}
	while (t->nr <= n && !take(t, 1))
		cond_resched();
	KUNIT_EXPECT_EQ(test, t->nr, n);
	KUNIT_EXPECT_EQ(test, t->err, -ENOSPC);
	expect_free(test, t);
	writer_close(t->w);
}

/* However far off the end is: no more is looked at than there is. */
static void trim_at(struct kunit *test, u64 size, bool grown)
{
	struct taken *t = build(test, 4);
	struct memfile *m = writer_top(t->w)->m;
	ktime_t start = ktime_get();

	KUNIT_ASSERT_EQ(test, take(t, 1), 0);
	memfile_set_size(m, size);
	if (grown)
		t->w->img->alloc->reserve.file_end = size;
	writer_close(t->w);
	KUNIT_EXPECT_LT(test, ktime_ms_delta(ktime_get(), start), 1000);
	if (grown)
		KUNIT_EXPECT_LT(test, memfile_size(m), 8ULL << 20);
	else
		KUNIT_EXPECT_EQ(test, memfile_size(m), size);
	writer_free(t->w);
}

static void alloc_trim(struct kunit *test)
{
	trim_at(test, 1ULL << 36, true);
	/* Somebody else wrote there. */
	trim_at(test, 1ULL << 36, false);
}

/* --- The refcount table --- */

/* Make the refcount block that is the first one whose entry is not in memory. */
static void make_far_block(struct kunit *test, struct qcow_alloc *a, u64 *cluster)
{
	u32 room = a->counts.table_room;
	bool covered = false;

	*cluster = (u64)room << a->counts.block_bits;
	mutex_lock(&a->lock);
	KUNIT_EXPECT_EQ(test, __qcow_refcount_cover(a, *cluster, &covered), 0);
	mutex_unlock(&a->lock);
	KUNIT_EXPECT_TRUE(test, covered);
	KUNIT_EXPECT_GT(test, a->counts.table_room, room);
}

/* Zeros at the end of the table are not kept, and make room when a block is there. */
static void alloc_table_room(struct kunit *test)
{
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = 10,
		.tidy = true,
		.kinds = BUILDER_DATA,
		.size = 16 << 10,
		.writable = true,
		.order = 6,
		.room = 9 << 20,
	};
	struct rnd_state rnd = qtest_rnd(70100);
	struct writer *w = test->priv;
	struct qcow_alloc *a;
	u64 cluster, value = 0;

	KUNIT_ASSERT_EQ(test, writer_build(w, &spec, 1, &rnd), 0);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	a = w->img->alloc;
	KUNIT_EXPECT_EQ(test, a->counts.table_size, 128);
	KUNIT_EXPECT_EQ(test, a->counts.table_room, 64);
	make_far_block(test, a, &cluster);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	writer_close(w);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	a = w->img->alloc;
	KUNIT_EXPECT_EQ(test, a->counts.table_room, 128);
	KUNIT_EXPECT_EQ(test, qcow_refcount_get(a, cluster, &value), 0);
	KUNIT_EXPECT_EQ(test, value, 1);
	writer_close(w);
}

static struct kunit_case alloc_test_cases[] = {
	KUNIT_CASE_PARAM(alloc_parallel, order_gen_params),
	KUNIT_CASE_PARAM(alloc_release, order_gen_params),
	KUNIT_CASE(alloc_notes),
	KUNIT_CASE(alloc_limit),
	KUNIT_CASE(alloc_trim),
	KUNIT_CASE(alloc_table_room),
	{ }
};

static struct kunit_suite alloc_suite = {
	.name = "qcow_alloc",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = alloc_test_cases,
};

kunit_test_suite(alloc_suite);
