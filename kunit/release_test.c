// SPDX-License-Identifier: GPL-2.0
/*
 * Clusters that lost references: sets of notes against a plain count; two notes for
 * one cluster; a flush that does not wait for the I/O on clusters that it makes free.
 */
#include <linux/delay.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat/compat_test.h"
#include "meta/alloc.h"
#include "meta/flush.h"
#include "meta/reclaim.h"
#include "meta/refcount.h"
#include "meta/release.h"
#include "writer.h"

/* --- Sets of notes --- */

#define CLUSTERS	200
#define SETS		2

/**
 * struct model - sets of notes, and a plain count to compare with
 * @set: the sets
 * @count: of all of them
 * @times: references that each cluster lost
 */
struct model {
	struct qcow_notes set[SETS];
	struct qcow_notes_count count;
	u32 times[SETS][CLUSTERS];
};

/* No two notes overlap or could be one, and they agree with the plain count. */
static void expect_model(struct kunit *test, const struct model *m, u32 i)
{
	const struct qcow_note *note, *before = NULL;
	u32 c = 0, nr = 0;
	struct rb_node *node;

	for (node = rb_first(&m->set[i].root); node; node = rb_next(node), nr++) {
		note = rb_entry(node, struct qcow_note, node);
		KUNIT_ASSERT_LT(test, note->first, note->end);
		KUNIT_ASSERT_LE(test, note->end, (u64)CLUSTERS);
		KUNIT_ASSERT_GE(test, note->first, (u64)c);
		for (; c < note->first; c++)
			KUNIT_ASSERT_EQ(test, m->times[i][c], 0);
		for (; c < note->end; c++)
			KUNIT_ASSERT_EQ(test, m->times[i][c], note->times);
		if (before && before->end == note->first)
			KUNIT_ASSERT_NE(test, before->times, note->times);
		before = note;
	}
	for (; c < CLUSTERS; c++)
		KUNIT_ASSERT_EQ(test, m->times[i][c], 0);
	KUNIT_ASSERT_EQ(test, m->set[i].nr, nr);
}

static void model_add(struct kunit *test, struct model *m, u32 i, struct rnd_state *rnd)
{
	u32 first = qtest_below(rnd, CLUSTERS), nr, c;

	nr = 1 + qtest_below(rnd, min(CLUSTERS - first, 12U));
	KUNIT_ASSERT_EQ(test, qcow_notes_add(&m->set[i], first, first + nr, 1), 0);
	for (c = first; c < first + nr; c++)
		m->times[i][c]++;
}

static void model_cut(struct model *m, u32 i, struct rnd_state *rnd)
{
	struct qcow_note *note = qcow_notes_first(&m->set[i]);
	u64 until, c;

	if (!note)
		return;
	until = note->first + 1 + qtest_below(rnd, note->end - note->first);
	for (c = note->first; c < until; c++)
		m->times[i][c] = 0;
	qcow_notes_cut(&m->set[i], note, until);
}

static void model_move(struct model *m, u32 i)
{
	u32 c;

	qcow_notes_move(&m->set[!i], &m->set[i], U32_MAX);
	for (c = 0; c < CLUSTERS; c++) {
		m->times[!i][c] += m->times[i][c];
		m->times[i][c] = 0;
	}
}

static void expect_have(struct kunit *test, const struct model *m, u32 i,
			struct rnd_state *rnd)
{
	u32 first = qtest_below(rnd, CLUSTERS), end, c;
	bool any = false;

	end = first + 1 + qtest_below(rnd, CLUSTERS - first);
	for (c = first; c < end; c++)
		any |= m->times[i][c];
	KUNIT_ASSERT_EQ(test, qcow_notes_have(&m->set[i], first, end), any);
}

/* How many clusters have a note, one of each set counted apart */
static u64 model_clusters(const struct model *m)
{
	u64 nr = 0;
	u32 i, c;

	for (i = 0; i < SETS; i++)
		for (c = 0; c < CLUSTERS; c++)
			nr += m->times[i][c] > 0;
	return nr;
}

static void release_notes(struct kunit *test)
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	struct rnd_state rnd = qtest_rnd(80000);
	u32 step, i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->count.max = 10 * CLUSTERS;
	for (i = 0; i < SETS; i++)
		qcow_notes_init(&m->set[i], &m->count);
	for (step = 0; step < 5000; step++) {
		i = qtest_below(&rnd, SETS);
		if (qtest_one_in(&rnd, 50))
			model_move(m, i);
		else if (qtest_one_in(&rnd, 3))
			model_cut(m, i, &rnd);
		else
			model_add(test, m, i, &rnd);
		expect_have(test, m, i, &rnd);
		for (i = 0; i < SETS; i++)
			expect_model(test, m, i);
		KUNIT_ASSERT_EQ(test, m->count.nr, m->set[0].nr + m->set[1].nr);
		KUNIT_ASSERT_EQ(test, m->count.clusters, model_clusters(m));
	}
	for (i = 0; i < SETS; i++)
		qcow_notes_forget(&m->set[i]);
	KUNIT_EXPECT_EQ(test, m->count.nr, 0);
	KUNIT_EXPECT_EQ(test, m->count.clusters, 0);
}

/* Given up one by one in any order, they are one run in the end. */
static void release_joined(struct kunit *test)
{
	struct qcow_notes_count count = { .max = CLUSTERS };
	struct rnd_state rnd = qtest_rnd(80001);
	struct qcow_notes set;
	u8 order[CLUSTERS];
	u32 i, j;

	qcow_notes_init(&set, &count);
	for (i = 0; i < CLUSTERS; i++)
		order[i] = i;
	for (i = CLUSTERS - 1; i; i--) {
		j = qtest_below(&rnd, i + 1);
		swap(order[i], order[j]);
	}
	for (i = 0; i < CLUSTERS; i++)
		KUNIT_ASSERT_EQ(test, qcow_notes_add(&set, order[i], order[i] + 1, 1), 0);
	KUNIT_EXPECT_EQ(test, set.nr, 1);
	qcow_notes_forget(&set);
}

/* --- An image whose entries lead to the same cluster --- */

#define BITS		9
#define CLUSTER		512U

/* A cluster without the COPIED flag has more references. */
static bool only_reference(const struct builder_image *b, u32 i)
{
	return get_unaligned_be64(b->file + b->clusters[i].l2_at) & QCOW_DISK_E_COPIED;
}

/* Clusters 0 to @nr - 1 of the disk lie where cluster 0 does; its refcount is 1. */
static u64 build_crossed(struct kunit *test, u32 nr)
{
	struct rnd_state rnd = qtest_rnd(81000);
	struct writer *w = test->priv;
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = BITS,
		.kinds = BUILDER_DATA,
		.tidy = true,
		.size = 40 * CLUSTER,
		.writable = true,
		.order = 4,
		.room = 256 << 10,
	};
	struct builder_image *b = writer_top(w);
	u64 raw;
	u32 i;

	KUNIT_ASSERT_EQ(test, writer_build(w, &spec, 1, &rnd), 0);
	while (!only_reference(b, 0) || !only_reference(b, 1)) {
		writer_free(w);
		KUNIT_ASSERT_EQ(test, writer_build(w, &spec, 1, &rnd), 0);
	}
	raw = (b->clusters[0].host & ~(u64)(CLUSTER - 1)) | QCOW_DISK_E_COPIED;
	for (i = 0; i < nr; i++) {
		put_unaligned_be64(raw, b->file + b->clusters[i].l2_at);
		put_unaligned_be64(raw, b->m->store + b->clusters[i].l2_at);
	}
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	return b->clusters[0].host >> BITS;
}

static void discard(struct kunit *test, u32 i)
{
	struct writer *w = test->priv;

	writer_submit_zero(w, 0, (u64)i * CLUSTER, CLUSTER, QCOW_OP_DISCARD);
	KUNIT_EXPECT_EQ(test, writer_wait(w, 0), 0);
}

static void expect_not_free(struct kunit *test, u64 cluster)
{
	struct writer *w = test->priv;
	u64 refs;

	KUNIT_EXPECT_TRUE(test, qcow_image_stopped(w->img));
	KUNIT_EXPECT_EQ(test, qcow_refcount_get(w->img->alloc, cluster, &refs), 0);
	KUNIT_EXPECT_EQ(test, refs, 1);
	KUNIT_EXPECT_EQ(test, w->img->alloc->release.count.nr, 0);
	writer_close(w);
	writer_free(w);
}

/**
 * struct twice_case - a cluster with one reference loses two
 * @name: of the case
 * @stop: nothing is reclaimed meanwhile
 * @between: a flush comes between the two
 * @after: a flush comes after them
 * @now: one more reference goes at once
 */
struct twice_case {
	const char *name;
	bool stop;
	bool between;
	bool after;
	bool now;
};

static const struct twice_case twice_cases[] = {
	{ "both in one flush", .after = true },
	{ "in a flush and behind it", .stop = true, .between = true },
	{ "in two flushes, and one at once", .stop = true, .between = true, .after = true,
	  .now = true },
};

static void twice_case_desc(const struct twice_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(twice, twice_cases, twice_case_desc);

/* The cluster must not be free after the first of them. */
static void release_twice(struct kunit *test)
{
	const struct twice_case *c = test->param_value;
	struct writer *w = test->priv;
	u64 cluster = build_crossed(test, 2);
	struct qcow_alloc *a = w->img->alloc;

	if (c->stop)
		qcow_reclaim_stop(a);
	discard(test, 0);
	if (c->between)
		KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	discard(test, 1);
	if (c->after)
		KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	if (c->now)
		qcow_release_now(a, cluster, 1);
	qcow_reclaim_finish(a);
	expect_not_free(test, cluster);
}

/* --- A flush and the clusters that it makes free --- */

/* It returns while I/O is under way that was there before; that keeps its clusters. */
static void release_behind(struct kunit *test)
{
	struct writer *w = test->priv;
	u64 cluster = build_crossed(test, 1), refs;
	struct qcow_alloc *a = w->img->alloc;
	u8 epoch = qcow_inflight_begin(&a->inflight);

	discard(test, 0);
	KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	KUNIT_EXPECT_TRUE(test, qcow_release_pending(a));
	KUNIT_EXPECT_EQ(test, qcow_refcount_get(a, cluster, &refs), 0);
	KUNIT_EXPECT_EQ(test, refs, 1);
	/* Another one has nothing to wait for, either. */
	discard(test, 1);
	KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	qcow_inflight_end(&a->inflight, epoch);
	qcow_reclaim_finish(a);
	KUNIT_EXPECT_FALSE(test, qcow_release_pending(a));
	KUNIT_EXPECT_EQ(test, qcow_refcount_get(a, cluster, &refs), 0);
	KUNIT_EXPECT_EQ(test, refs, 0);
	writer_close(w);
	KUNIT_EXPECT_NULL(test, oracle_check_closed(&w->o));
	writer_free(w);
}

/* A detach tells how much there is to give back, and in the end that all of it was. */
static void release_progress(struct kunit *test)
{
	struct qcow_progress progress = { };
	struct writer *w = test->priv;
	struct qcow_alloc *a;

	build_crossed(test, 1);
	a = w->img->alloc;
	w->img->progress = &progress;
	qcow_reclaim_stop(a);
	discard(test, 1);
	discard(test, 0);
	KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	KUNIT_EXPECT_EQ(test, qcow_release_left(a), 2 * CLUSTER);
	qcow_image_expect(a->img, 5);
	qcow_image_advance(a->img, 3);
	qcow_reclaim_finish(a);
	KUNIT_EXPECT_EQ(test, qcow_release_left(a), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&progress.total), 2 * CLUSTER);
	KUNIT_EXPECT_EQ(test, atomic64_read(&progress.done), 2 * CLUSTER);
	/* There is nothing left. */
	qcow_reclaim_finish(a);
	KUNIT_EXPECT_EQ(test, atomic64_read(&progress.total), 0);
	w->img->progress = NULL;
	writer_close(w);
	KUNIT_EXPECT_NULL(test, oracle_check_closed(&w->o));
	writer_free(w);
}

struct finisher {
	struct work_struct work;
	struct qcow_alloc *a;
};

static void finisher_work(struct work_struct *work)
{
	qcow_reclaim_finish(container_of(work, struct finisher, work)->a);
}

/*
 * A flush that ends while a round waits for I/O is in the round after that. A write
 * that lacks space then waits for that one.
 */
static void release_goal(struct kunit *test)
{
	struct finisher f = { };
	struct writer *w = test->priv;
	u64 cluster, refs, goal;
	struct qcow_alloc *a;
	u32 tries = 0;
	u8 epoch;

	build_crossed(test, 1);
	cluster = writer_top(w)->clusters[1].host >> BITS;
	a = w->img->alloc;
	f.a = a;
	qcow_reclaim_stop(a);
	epoch = qcow_inflight_begin(&a->inflight);
	discard(test, 0);
	KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	INIT_WORK_ONSTACK(&f.work, finisher_work);
	queue_work(qtest_flush_wq, &f.work);
	while (!READ_ONCE(a->reclaim.until) && tries++ < 1000)
		msleep(20);
	discard(test, 1);
	KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	goal = qcow_release_goal(a);
	qcow_inflight_end(&a->inflight, epoch);
	flush_work(&f.work);
	destroy_work_on_stack(&f.work);
	KUNIT_EXPECT_EQ(test, qcow_refcount_get(a, cluster, &refs), 0);
	KUNIT_EXPECT_EQ(test, refs, 1);
	KUNIT_EXPECT_LT(test, a->reclaim.ended, goal);
	qcow_reclaim_finish(a);
	KUNIT_EXPECT_EQ(test, qcow_refcount_get(a, cluster, &refs), 0);
	KUNIT_EXPECT_EQ(test, refs, 0);
	KUNIT_EXPECT_GE(test, a->reclaim.ended, goal);
	writer_close(w);
	KUNIT_EXPECT_NULL(test, oracle_check_closed(&w->o));
	writer_free(w);
}

/*
 * A caller that got a signal does not wait for space; one that has to leave everything
 * in order goes on for a while; and a detach goes on to the end.
 */
static void release_interrupted(struct kunit *test)
{
	struct writer *w = test->priv;
	u64 cluster = build_crossed(test, 1), refs;
	struct qcow_alloc *a = w->img->alloc;

	qcow_reclaim_stop(a);
	discard(test, 0);
	KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	set_bit(QCOW_ENDING_INTERRUPTED, &w->base.r->ending);
	KUNIT_EXPECT_EQ(test, qcow_reclaim_wait(a), -EINTR);
	KUNIT_EXPECT_TRUE(test, qcow_release_pending(a));
	KUNIT_EXPECT_EQ(test, qcow_reclaim_settle(a), 0);
	KUNIT_EXPECT_FALSE(test, qcow_release_pending(a));
	KUNIT_EXPECT_EQ(test, qcow_refcount_get(a, cluster, &refs), 0);
	KUNIT_EXPECT_EQ(test, refs, 0);
	discard(test, 1);
	KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	set_bit(QCOW_ENDING_LEAVING, &w->base.r->ending);
	KUNIT_EXPECT_EQ(test, qcow_reclaim_wait(a), -ENODEV);
	qcow_reclaim_finish(a);
	KUNIT_EXPECT_FALSE(test, qcow_release_pending(a));
	KUNIT_EXPECT_EQ(test, qcow_reclaim_any(a), -ENOSPC);
	writer_close(w);
	KUNIT_EXPECT_NULL(test, oracle_check_closed(&w->o));
	writer_free(w);
}

static struct kunit_case release_test_cases[] = {
	KUNIT_CASE(release_notes),
	KUNIT_CASE(release_joined),
	KUNIT_CASE_PARAM(release_twice, twice_gen_params),
	KUNIT_CASE(release_behind),
	KUNIT_CASE(release_progress),
	KUNIT_CASE(release_goal),
	KUNIT_CASE(release_interrupted),
	{ }
};

static struct kunit_suite release_suite = {
	.name = "qcow_release",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = release_test_cases,
};

kunit_test_suite(release_suite);
