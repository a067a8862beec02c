// SPDX-License-Identifier: GPL-2.0
/*
 * Locks on clusters of the disk: a long range gets its turn among short ones, and ranges that
 * share clusters exclude each other.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/jiffies.h>

#include "file/inflight.h"
#include "qtest.h"

#define ROUNDS		200

/* Milliseconds that a short range is held at most. */
#define HELD		100

/**
 * struct crowd - two tasks that hand clusters to each other, and a third task
 * @f: with the locks
 * @held: the short range of each of the two is locked, and was not unlocked since
 * @rounds: that the two have done together
 * @stop: the two are to end
 * @got: rounds that were done when the third task had the long range; 0: not yet
 */
struct crowd {
	struct qcow_inflight f;
	bool held[2];
	atomic_t rounds;
	bool stop;
	u32 got;
};

struct member {
	struct work_struct work;
	struct crowd *c;
	u32 i;
	u64 cluster;
};

/* Holds its cluster until the other one has another, or HELD has passed. */
static void short_work(struct work_struct *work)
{
	struct member *m = container_of(work, struct member, work);
	struct crowd *c = m->c;
	struct qcow_range r = { .first = m->cluster, .last = m->cluster };
	unsigned long until;

	while (!READ_ONCE(c->stop) && atomic_inc_return(&c->rounds) < ROUNDS) {
		qcow_inflight_lock(&c->f, &r);
		WRITE_ONCE(c->held[m->i], true);
		until = jiffies + msecs_to_jiffies(HELD);
		do {
			usleep_range(50, 100);
		} while (!READ_ONCE(c->held[!m->i]) && time_before(jiffies, until));
		WRITE_ONCE(c->held[m->i], false);
		qcow_inflight_unlock(&c->f, &r);
	}
}

static void long_work(struct work_struct *work)
{
	struct member *m = container_of(work, struct member, work);
	struct crowd *c = m->c;
	struct qcow_range r = { .first = 0, .last = 511 };

	while (!READ_ONCE(c->held[0]) && !READ_ONCE(c->held[1]) &&
	       atomic_read(&c->rounds) < ROUNDS)
		usleep_range(50, 100);
	qcow_inflight_lock(&c->f, &r);
	c->got = atomic_read(&c->rounds);
	WRITE_ONCE(c->stop, true);
	qcow_inflight_unlock(&c->f, &r);
}

/* The two hand clusters to each other that are @apart. */
static void long_range_among(struct kunit *test, u64 apart)
{
	struct crowd *c = kunit_kzalloc(test, sizeof(*c), GFP_KERNEL);
	struct member m[3];
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, c);
	KUNIT_ASSERT_EQ(test, qcow_inflight_init(&c->f), 0);
	for (i = 0; i < 3; i++) {
		m[i].c = c;
		m[i].i = i;
		m[i].cluster = i * apart;
		INIT_WORK_ONSTACK(&m[i].work, i < 2 ? short_work : long_work);
		queue_work(qtest_wq, &m[i].work);
	}
	for (i = 0; i < 3; i++) {
		flush_work(&m[i].work);
		destroy_work_on_stack(&m[i].work);
	}
	qcow_inflight_exit(&c->f);
	KUNIT_EXPECT_GT(test, c->got, 0);
	KUNIT_EXPECT_LT(test, c->got, ROUNDS / 4);
}

/* Their clusters are in one part of the locks, or in two. */
static void inflight_long_range(struct kunit *test)
{
	long_range_among(test, 1);
	long_range_among(test, 40);
}

/* Locks one range and notes when it has it. */
struct waiter {
	struct work_struct work;
	struct qcow_inflight *f;
	struct qcow_range range;
	atomic_t *clock;
	int when;
};

static void waiter_work(struct work_struct *work)
{
	struct waiter *w = container_of(work, struct waiter, work);

	qcow_inflight_lock(w->f, &w->range);
	w->when = atomic_inc_return(w->clock);
	usleep_range(1000, 2000);
	qcow_inflight_unlock(w->f, &w->range);
}

static void waiter_start(struct waiter *w, struct qcow_inflight *f, u64 first,
			 u64 last, atomic_t *clock)
{
	*w = (struct waiter) {
		.f = f,
		.range = { .first = first, .last = last },
		.clock = clock,
	};
	INIT_WORK_ONSTACK(&w->work, waiter_work);
	queue_work(qtest_wq, &w->work);
	/* By now the worker has the lock, or waits for it. */
	msleep(30);
}

/* Those that want the same clusters get them in the order in which they came. */
static void inflight_order(struct kunit *test)
{
	struct qcow_range held = { .first = 5, .last = 5 };
	atomic_t clock = ATOMIC_INIT(0);
	struct qcow_inflight f;
	struct waiter w[3];
	u32 i;

	KUNIT_ASSERT_EQ(test, qcow_inflight_init(&f), 0);
	qcow_inflight_lock(&f, &held);
	waiter_start(&w[0], &f, 0, 9, &clock);
	waiter_start(&w[1], &f, 7, 7, &clock);
	waiter_start(&w[2], &f, 10, 20, &clock);
	KUNIT_EXPECT_EQ(test, w[0].when, 0);
	KUNIT_EXPECT_EQ(test, w[1].when, 0);
	/* Nobody was before it. */
	KUNIT_EXPECT_EQ(test, w[2].when, 1);
	qcow_inflight_unlock(&f, &held);
	for (i = 0; i < 3; i++) {
		flush_work(&w[i].work);
		destroy_work_on_stack(&w[i].work);
	}
	qcow_inflight_exit(&f);
	KUNIT_EXPECT_EQ(test, w[0].when, 2);
	KUNIT_EXPECT_EQ(test, w[1].when, 3);
}

#define CLUSTERS	128
#define LOCKERS		6
#define LOCKER_ROUNDS	150

/**
 * struct locker - a task that locks ranges at random
 * @work: the task
 * @f: with the locks
 * @owner: for each cluster the number of the task that has it locked, or 0
 * @number: of this task, from 1 on
 * @rnd: chooses the ranges
 * @faults: clusters that another task had locked
 */
struct locker {
	struct work_struct work;
	struct qcow_inflight *f;
	u8 *owner;
	u8 number;
	struct rnd_state rnd;
	u32 faults;
};

/* Half of the ranges are a cluster or two, the rest has any length. */
static struct qcow_range locker_draw(struct locker *l)
{
	u32 first = qtest_below(&l->rnd, CLUSTERS);
	u32 len = 1 + qtest_below(&l->rnd, qtest_one_in(&l->rnd, 2) ? CLUSTERS : 2);

	return (struct qcow_range) {
		.first = first,
		.last = min_t(u32, first + len, CLUSTERS) - 1,
	};
}

static void locker_own(struct locker *l, const struct qcow_range *r, u8 was, u8 now)
{
	u64 i;

	for (i = r->first; i <= r->last; i++) {
		l->faults += l->owner[i] != was;
		l->owner[i] = now;
	}
}

static void locker_work(struct work_struct *work)
{
	struct locker *l = container_of(work, struct locker, work);
	struct qcow_range r;
	u32 i;

	for (i = 0; i < LOCKER_ROUNDS; i++) {
		r = locker_draw(l);
		qcow_inflight_lock(l->f, &r);
		/* As a write does whose extent ends early. */
		if (qtest_one_in(&l->rnd, 2))
			r.last = r.first + (r.last - r.first) / 2;
		locker_own(l, &r, 0, l->number);
		usleep_range(50, 100);
		locker_own(l, &r, l->number, 0);
		qcow_inflight_unlock(l->f, &r);
	}
}

/* No cluster is locked by two tasks, and none is locked for ever. */
static void inflight_exclusive(struct kunit *test)
{
	struct locker *l = kunit_kcalloc(test, LOCKERS, sizeof(*l), GFP_KERNEL);
	u8 *owner = kunit_kzalloc(test, CLUSTERS, GFP_KERNEL);
	struct qcow_inflight f;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, l);
	KUNIT_ASSERT_NOT_NULL(test, owner);
	KUNIT_ASSERT_EQ(test, qcow_inflight_init(&f), 0);
	for (i = 0; i < LOCKERS; i++) {
		l[i].f = &f;
		l[i].owner = owner;
		l[i].number = i + 1;
		l[i].rnd = qtest_rnd(79000 + i);
		INIT_WORK(&l[i].work, locker_work);
		queue_work(qtest_wq, &l[i].work);
	}
	for (i = 0; i < LOCKERS; i++) {
		flush_work(&l[i].work);
		KUNIT_EXPECT_EQ(test, l[i].faults, 0);
	}
	for (i = 0; i < QCOW_RANGE_PARTS; i++)
		KUNIT_EXPECT_TRUE(test, list_empty(&f.parts[i].ranges));
	qcow_inflight_exit(&f);
}

static u32 count_ranges(const struct qcow_inflight_part *part)
{
	const struct list_head *node;
	u32 nr = 0;

	list_for_each(node, &part->ranges)
		nr++;
	return nr;
}

/* Writers to clusters in a row do not all share a list. */
static void inflight_spread(struct kunit *test)
{
	struct qcow_range *r = kunit_kcalloc(test, CLUSTERS, sizeof(*r), GFP_KERNEL);
	struct qcow_inflight f;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, r);
	KUNIT_ASSERT_EQ(test, qcow_inflight_init(&f), 0);
	for (i = 0; i < CLUSTERS; i++) {
		r[i].first = i;
		r[i].last = i;
		qcow_inflight_lock(&f, &r[i]);
	}
	for (i = 0; i < QCOW_RANGE_PARTS; i++)
		KUNIT_EXPECT_EQ(test, count_ranges(&f.parts[i]), CLUSTERS / QCOW_RANGE_PARTS);
	for (i = 0; i < CLUSTERS; i++)
		qcow_inflight_unlock(&f, &r[i]);
	qcow_inflight_exit(&f);
}

/* Waits for the I/O that began before. */
struct drainer {
	struct work_struct work;
	struct qcow_inflight *f;
	bool done;
};

static void drainer_work(struct work_struct *work)
{
	struct drainer *d = container_of(work, struct drainer, work);

	qcow_inflight_drain(d->f);
	WRITE_ONCE(d->done, true);
}

static void drainer_start(struct drainer *d, struct qcow_inflight *f)
{
	*d = (struct drainer) { .f = f };
	INIT_WORK_ONSTACK(&d->work, drainer_work);
	queue_work(qtest_wq, &d->work);
	msleep(30);
}

static void drainer_end(struct kunit *test, struct drainer *d)
{
	flush_work(&d->work);
	destroy_work_on_stack(&d->work);
	KUNIT_EXPECT_TRUE(test, d->done);
}

/* A drain waits for all I/O that was there before it, and for no other. */
static void inflight_drain(struct kunit *test)
{
	struct qcow_inflight f;
	struct drainer d;
	u8 first, second, later;
	u32 i;

	KUNIT_ASSERT_EQ(test, qcow_inflight_init(&f), 0);
	for (i = 0; i < 3; i++) {
		first = qcow_inflight_begin(&f);
		second = qcow_inflight_begin(&f);
		KUNIT_EXPECT_EQ(test, first, second);
		drainer_start(&d, &f);
		later = qcow_inflight_begin(&f);
		KUNIT_EXPECT_NE(test, first, later);
		qcow_inflight_end(&f, first);
		msleep(30);
		KUNIT_EXPECT_FALSE(test, READ_ONCE(d.done));
		qcow_inflight_end(&f, second);
		drainer_end(test, &d);
		drainer_start(&d, &f);
		KUNIT_EXPECT_FALSE(test, READ_ONCE(d.done));
		qcow_inflight_end(&f, later);
		drainer_end(test, &d);
	}
	qcow_inflight_drain(&f);
	qcow_inflight_exit(&f);
}

static struct kunit_case inflight_test_cases[] = {
	KUNIT_CASE(inflight_long_range),
	KUNIT_CASE(inflight_order),
	KUNIT_CASE(inflight_exclusive),
	KUNIT_CASE(inflight_spread),
	KUNIT_CASE(inflight_drain),
	{ }
};

static struct kunit_suite inflight_suite = {
	.name = "qcow_inflight",
	.test_cases = inflight_test_cases,
};

kunit_test_suite(inflight_suite);
