// SPDX-License-Identifier: GPL-2.0
/*
 * The cache of metadata slices.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <uapi/linux/qcow.h>

#include "file/cache.h"
#include "memfile.h"
#include "qtest.h"

#define SLICE_BITS	12
#define SLICE		BIT(SLICE_BITS)
#define SLICES		128
#define LIMIT		32
/* Slices by which the limit may be exceeded for a while: eviction tries some in vain. */
#define SLACK		4

struct cache_fixture {
	struct memfile *m;
	struct qcow_file f;
	struct qcow_cache *cache;
	u8 *data;
};

static int cache_test_init(struct kunit *test)
{
	struct cache_fixture *x = kunit_kzalloc(test, sizeof(*x), GFP_KERNEL);
	struct rnd_state rnd = qtest_rnd(300);
	int err;

	if (!x)
		return -ENOMEM;
	test->priv = x;
	x->data = vmalloc(SLICES * SLICE);
	x->m = memfile_create();
	if (!x->data || !x->m)
		return -ENOMEM;
	prandom_bytes_state(&rnd, x->data, SLICES * SLICE);
	memfile_set_data(x->m, x->data, SLICES * SLICE, SLICES * SLICE);
	memfile_set_mode(x->m, &(struct memfile_mode){ });
	err = qcow_file_open(&x->f, x->m->file, QCOW_DIRECT_OFF, NULL);
	if (err)
		return err;
	x->cache = qcow_cache_create(&x->f, SLICE_BITS, LIMIT * SLICE);
	return PTR_ERR_OR_ZERO(x->cache);
}

static void cache_test_exit(struct kunit *test)
{
	struct cache_fixture *x = test->priv;

	if (!x)
		return;
	if (!IS_ERR_OR_NULL(x->cache))
		qcow_cache_destroy(x->cache);
	qcow_file_close(&x->f);
	memfile_destroy(x->m);
	vfree(x->data);
}

static u64 used_slices(struct cache_fixture *x)
{
	return qcow_cache_used(x->cache) / SLICE;
}

static bool cached(struct cache_fixture *x, u32 i)
{
	bool there;

	rcu_read_lock();
	there = qcow_cache_peek(x->cache, (u64)i * SLICE);
	rcu_read_unlock();
	return there;
}

/* A referenced slice with the right contents. */
static struct qcow_slice *get(struct kunit *test, u32 i)
{
	struct cache_fixture *x = test->priv;
	struct qcow_slice *s = qcow_cache_get(x->cache, (u64)i * SLICE + 8 * (i & 7));

	KUNIT_ASSERT_FALSE(test, IS_ERR(s));
	KUNIT_EXPECT_EQ(test, memcmp(s->data, x->data + i * SLICE, SLICE), 0);
	return s;
}

static void load(struct kunit *test, u32 i)
{
	qcow_cache_put(get(test, i));
}

static void cache_hit(struct kunit *test)
{
	struct cache_fixture *x = test->priv;
	const __be64 *p;

	KUNIT_EXPECT_FALSE(test, cached(x, 3));
	KUNIT_EXPECT_EQ(test, used_slices(x), 0);
	load(test, 3);
	KUNIT_EXPECT_TRUE(test, cached(x, 3));
	KUNIT_EXPECT_FALSE(test, cached(x, 2));
	KUNIT_EXPECT_FALSE(test, cached(x, 4));
	KUNIT_EXPECT_EQ(test, used_slices(x), 1);
	load(test, 3);
	KUNIT_EXPECT_EQ(test, atomic_read(&x->m->reads), 1);

	rcu_read_lock();
	p = qcow_cache_peek(x->cache, 3 * SLICE + SLICE - 1);
	KUNIT_EXPECT_TRUE(test, p && !memcmp(p, x->data + 3 * SLICE, SLICE));
	rcu_read_unlock();
}

/* Metadata past the end of the file is zeros. */
static void cache_past_end(struct kunit *test)
{
	struct cache_fixture *x = test->priv;
	struct qcow_slice *s = qcow_cache_get(x->cache, SLICES * SLICE);

	KUNIT_ASSERT_FALSE(test, IS_ERR(s));
	KUNIT_EXPECT_NULL(test, memchr_inv(s->data, 0, SLICE));
	qcow_cache_put(s);
	s = qcow_cache_get(x->cache, 1ULL << 55);
	KUNIT_ASSERT_FALSE(test, IS_ERR(s));
	qcow_cache_put(s);
}

static void cache_load_error(struct kunit *test)
{
	struct memfile_mode mode = { .fail_at = 1 };
	struct cache_fixture *x = test->priv;

	memfile_set_mode(x->m, &mode);
	KUNIT_EXPECT_EQ(test, PTR_ERR(qcow_cache_get(x->cache, 0)), -EIO);
	KUNIT_EXPECT_EQ(test, used_slices(x), 0);
	KUNIT_EXPECT_FALSE(test, cached(x, 0));
	KUNIT_EXPECT_TRUE(test, xa_empty(&x->cache->slices));
	load(test, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&x->m->reads), 2);

	memfile_set_size(x->m, 5 * SLICE);
	KUNIT_EXPECT_EQ(test, PTR_ERR(qcow_cache_get(x->cache, 5 * SLICE)), -EIO);
	memfile_set_size(x->m, SLICES * SLICE);
	load(test, 5);
}

/* --- Eviction --- */

static void cache_limit(struct kunit *test)
{
	struct cache_fixture *x = test->priv;
	u32 round, i;

	for (round = 0; round < 4; round++) {
		for (i = 0; i < SLICES; i++) {
			load(test, i);
			KUNIT_EXPECT_LE(test, used_slices(x), LIMIT + SLACK);
			KUNIT_EXPECT_TRUE(test, cached(x, i));
		}
	}
}

static void cache_limit_random(struct kunit *test)
{
	struct cache_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(301);
	u32 i;

	for (i = 0; i < 3000; i++) {
		load(test, qtest_below(&rnd, SLICES));
		KUNIT_EXPECT_LE(test, used_slices(x), LIMIT + SLACK);
	}
}

static void cache_pinned(struct kunit *test)
{
	struct cache_fixture *x = test->priv;
	struct qcow_slice *pinned[4];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(pinned); i++)
		pinned[i] = get(test, i);
	for (i = 4; i < 3 * SLICES; i++)
		load(test, 4 + i % (SLICES - 4));
	for (i = 0; i < ARRAY_SIZE(pinned); i++) {
		KUNIT_EXPECT_TRUE(test, cached(x, i));
		KUNIT_EXPECT_EQ(test, memcmp(pinned[i]->data, x->data + i * SLICE, SLICE), 0);
		qcow_cache_put(pinned[i]);
	}
	for (i = 4; i < 3 * SLICES; i++)
		load(test, 4 + i % (SLICES - 4));
	for (i = 0; i < ARRAY_SIZE(pinned); i++)
		KUNIT_EXPECT_FALSE(test, cached(x, i));
}

/* More slices are in use than the limit allows: it gives way, and comes back. */
static void cache_all_pinned(struct kunit *test)
{
	struct cache_fixture *x = test->priv;
	struct qcow_slice *pinned[2 * LIMIT];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(pinned); i++)
		pinned[i] = get(test, i);
	KUNIT_EXPECT_EQ(test, used_slices(x), ARRAY_SIZE(pinned));
	for (i = 0; i < ARRAY_SIZE(pinned); i++)
		qcow_cache_put(pinned[i]);
	for (i = 0; i < 2 * SLICES; i++)
		load(test, i % SLICES);
	KUNIT_EXPECT_LE(test, used_slices(x), LIMIT + SLACK);
}

/* A slice that is used again and again stays while others pass through. */
static void cache_second_chance(struct kunit *test)
{
	struct cache_fixture *x = test->priv;
	u32 i, reads;

	load(test, 0);
	for (i = 1; i < SLICES; i++) {
		load(test, i);
		KUNIT_ASSERT_TRUE_MSG(test, cached(x, 0), "gone after %u", i);
	}
	reads = atomic_read(&x->m->reads);
	load(test, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&x->m->reads), reads);
}

/* The same in the smallest cache that a user can ask for. */
static void cache_second_chance_small(struct kunit *test)
{
	struct cache_fixture *x = test->priv;

	qcow_cache_destroy(x->cache);
	x->cache = qcow_cache_create(&x->f, SLICE_BITS, QCOW_CACHE_SIZE_MIN);
	KUNIT_ASSERT_FALSE(test, IS_ERR(x->cache));
	cache_second_chance(test);
	/* Room for one more does not cost all the others. */
	KUNIT_EXPECT_GE(test, used_slices(x), QCOW_CACHE_SIZE_MIN / SLICE / 2);
}

static void cache_minimum(struct kunit *test)
{
	struct cache_fixture *x = test->priv;
	u32 i;

	qcow_cache_destroy(x->cache);
	x->cache = qcow_cache_create(&x->f, SLICE_BITS, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(x->cache));
	for (i = 0; i < 100; i++)
		load(test, i % 3);
	KUNIT_EXPECT_LE(test, used_slices(x), 2);
}

/* Slices of half a kilobyte, as clusters of that size have them. */
static void cache_small_slices(struct kunit *test)
{
	struct cache_fixture *x = test->priv;
	struct qcow_slice *s;
	u32 i;

	qcow_cache_destroy(x->cache);
	x->cache = qcow_cache_create(&x->f, 9, 100 * 512);
	KUNIT_ASSERT_FALSE(test, IS_ERR(x->cache));
	for (i = 0; i < 400; i++) {
		s = qcow_cache_get(x->cache, i * 512);
		KUNIT_ASSERT_FALSE(test, IS_ERR(s));
		KUNIT_EXPECT_EQ(test, memcmp(s->data, x->data + i * 512, 512), 0);
		qcow_cache_put(s);
	}
	KUNIT_EXPECT_LE(test, qcow_cache_used(x->cache), 101 * 512);
}

/* --- Several at once --- */

#define THREADS	6

/**
 * struct loader - a thread that gets slices
 * @x: the cache
 * @task: the thread
 * @done: it has got them
 * @seed: of the choice of slices
 * @rounds: how many
 * @wrong: slices with other contents
 * @failed: errors
 */
struct loader {
	struct cache_fixture *x;
	struct task_struct *task;
	struct completion done;
	u32 seed;
	u32 rounds;
	u32 wrong;
	u32 failed;
};

static bool loader_peek(struct loader *l, u32 i)
{
	const __be64 *p;
	bool hit;

	rcu_read_lock();
	p = qcow_cache_peek(l->x->cache, (u64)i * SLICE);
	hit = p;
	if (p && memcmp(p, l->x->data + i * SLICE, SLICE))
		l->wrong++;
	rcu_read_unlock();
	return hit;
}

static void loader_get(struct loader *l, u32 i)
{
	struct qcow_slice *s = qcow_cache_get(l->x->cache, (u64)i * SLICE);

	if (IS_ERR(s)) {
		l->failed++;
		return;
	}
	if (memcmp(s->data, l->x->data + i * SLICE, SLICE))
		l->wrong++;
	cond_resched();
	qcow_cache_put(s);
}

static int loader_thread(void *arg)
{
	struct loader *l = arg;
	struct rnd_state rnd = qtest_rnd(l->seed);
	u32 i;

	for (i = 0; i < l->rounds; i++) {
		u32 slice = l->rounds == 1 ? 0 : qtest_below(&rnd, SLICES);

		if (!loader_peek(l, slice))
			loader_get(l, slice);
	}
	complete(&l->done);
	while (!kthread_should_stop())
		msleep(20);
	return 0;
}

static void run_loaders(struct kunit *test, struct loader *l, u32 rounds)
{
	u32 i;

	for (i = 0; i < THREADS; i++) {
		l[i] = (struct loader){ .x = test->priv, .seed = i, .rounds = rounds };
		init_completion(&l[i].done);
		l[i].task = kthread_run(loader_thread, &l[i], "loader%u", i);
		KUNIT_EXPECT_FALSE(test, IS_ERR(l[i].task));
	}
	for (i = 0; i < THREADS; i++) {
		if (!IS_ERR(l[i].task)) {
			wait_for_completion(&l[i].done);
			kthread_stop(l[i].task);
		}
		KUNIT_EXPECT_EQ(test, l[i].wrong, 0);
	}
}

/* Threads that want the same slice wait for one read of it. */
static void cache_one_read(struct kunit *test)
{
	struct memfile_mode mode = { .sleep_ms = 100 };
	struct cache_fixture *x = test->priv;
	struct loader l[THREADS];
	u32 i;

	memfile_set_mode(x->m, &mode);
	run_loaders(test, l, 1);
	for (i = 0; i < THREADS; i++)
		KUNIT_EXPECT_EQ(test, l[i].failed, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&x->m->reads), 1);
	KUNIT_EXPECT_EQ(test, used_slices(x), 1);
}

/* All waiters of a slice fail together, and the next reader tries again. */
static void cache_one_failure(struct kunit *test)
{
	struct memfile_mode mode = { .sleep_ms = 100, .fail_at = 1 };
	struct cache_fixture *x = test->priv;
	struct loader l[THREADS];
	u32 i, failed = 0;

	memfile_set_mode(x->m, &mode);
	run_loaders(test, l, 1);
	for (i = 0; i < THREADS; i++)
		failed += l[i].failed;
	KUNIT_EXPECT_GE(test, failed, 1);
	KUNIT_EXPECT_LE(test, atomic_read(&x->m->reads), 2);
	load(test, 0);
	KUNIT_EXPECT_EQ(test, used_slices(x), 1);
}

static void cache_storm(struct kunit *test)
{
	struct memfile_mode mode = { };
	struct cache_fixture *x = test->priv;
	struct loader l[THREADS];
	u32 i;

	run_loaders(test, l, 3000);
	for (i = 0; i < THREADS; i++)
		KUNIT_EXPECT_EQ(test, l[i].failed, 0);
	KUNIT_EXPECT_LE(test, used_slices(x), LIMIT + SLACK + THREADS);
	mode.fail_at = 5;
	mode.sticky = true;
	memfile_set_mode(x->m, &mode);
	run_loaders(test, l, 300);
	memfile_set_mode(x->m, &(struct memfile_mode){ });
	for (i = 0; i < SLICES; i++)
		load(test, i);
}

/* --- Memory is short --- */

static void cache_shrinker(struct kunit *test)
{
	struct cache_fixture *x = test->priv;
	struct qcow_slice *pinned = get(test, 0);
	u32 i;

	for (i = 1; i < LIMIT; i++)
		load(test, i);
	KUNIT_EXPECT_EQ(test, used_slices(x), LIMIT);
	KUNIT_EXPECT_EQ(test, qtest_ask_for_memory(), 0);
	KUNIT_EXPECT_LT(test, used_slices(x), LIMIT);
	KUNIT_EXPECT_TRUE(test, cached(x, 0));
	qcow_cache_put(pinned);
	for (i = 0; i < LIMIT; i++)
		load(test, i);
	KUNIT_EXPECT_LE(test, used_slices(x), LIMIT);
}

static void cache_destroy_null(struct kunit *test)
{
	qcow_cache_destroy(NULL);
}

static struct kunit_case cache_test_cases[] = {
	KUNIT_CASE(cache_hit),
	KUNIT_CASE(cache_past_end),
	KUNIT_CASE(cache_load_error),
	KUNIT_CASE(cache_limit),
	KUNIT_CASE(cache_limit_random),
	KUNIT_CASE(cache_pinned),
	KUNIT_CASE(cache_all_pinned),
	KUNIT_CASE(cache_second_chance),
	KUNIT_CASE(cache_second_chance_small),
	KUNIT_CASE(cache_minimum),
	KUNIT_CASE(cache_small_slices),
	KUNIT_CASE(cache_one_read),
	KUNIT_CASE(cache_one_failure),
	KUNIT_CASE(cache_storm),
	KUNIT_CASE(cache_shrinker),
	KUNIT_CASE(cache_destroy_null),
	{ }
};

static struct kunit_suite cache_suite = {
	.name = "qcow_cache",
	.init = cache_test_init,
	.exit = cache_test_exit,
	.test_cases = cache_test_cases,
};

kunit_test_suite(cache_suite);
