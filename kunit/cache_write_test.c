// SPDX-License-Identifier: GPL-2.0
/*
 * Writing dirty slices: sorted, neighbours by one request, some requests at a time.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "file/cache.h"
#include "fault.h"
#include "memfile.h"
#include "qtest.h"

#define SLICE_BITS	9
#define SLICE		512U
#define SLICES		512U

/* Limits of file/cache_write.c: slices of a request, and requests under way. */
#define JOINED		64
#define DEPTH		64

/* Longer than anything that the tests wait for takes, in jiffies. */
#define LIMIT		(20 * HZ)

/**
 * struct fixture - a cache over a file that counts writes
 * @m: the file
 * @f: the file, opened
 * @cache: the cache
 * @captured: slices that are written
 * @work: writes them
 * @err: its result
 */
struct fixture {
	struct memfile *m;
	struct qcow_file f;
	struct qcow_cache *cache;
	struct list_head captured;
	struct work_struct work;
	int err;
};

static void write_work(struct work_struct *work)
{
	struct fixture *x = container_of(work, struct fixture, work);

	x->err = qcow_cache_write(x->cache, &x->captured);
}

/* From now on writes are counted anew. */
static void set_mode(struct fixture *x, const struct memfile_mode *mode)
{
	struct memfile_mode counted = *mode;

	counted.direct = true;
	counted.dio_align = SLICE;
	counted.fail_ops = MEMFILE_WRITE;
	memfile_set_mode(x->m, &counted);
}

static int cache_write_init(struct kunit *test)
{
	struct fixture *x = kunit_kzalloc(test, sizeof(*x), GFP_KERNEL);
	void *zeros = vzalloc(SLICES * SLICE);
	int err = -ENOMEM;

	test->priv = x;
	if (x)
		x->m = memfile_create();
	if (zeros && x && x->m)
		err = memfile_own(x->m, zeros, SLICES * SLICE, SLICES * SLICE);
	vfree(zeros);
	if (err)
		return err;
	INIT_LIST_HEAD(&x->captured);
	INIT_WORK(&x->work, write_work);
	set_mode(x, &(struct memfile_mode){ });
	err = qcow_file_open(&x->f, x->m->file, QCOW_DIRECT_ON, NULL);
	if (err)
		return err;
	x->cache = qcow_cache_create(&x->f, SLICE_BITS, 2 * SLICES * SLICE);
	return PTR_ERR_OR_ZERO(x->cache);
}

static void cache_write_exit(struct kunit *test)
{
	struct fixture *x = test->priv;

	if (!x)
		return;
	if (!IS_ERR_OR_NULL(x->cache))
		qcow_cache_destroy(x->cache);
	qcow_file_close(&x->f);
	memfile_destroy(x->m);
}

static u8 content(u32 i, u8 version)
{
	return i * 7 + version;
}

static void change(struct kunit *test, u32 i, u8 version)
{
	struct fixture *x = test->priv;
	struct qcow_slice *s = qcow_cache_get(x->cache, (u64)i * SLICE);

	KUNIT_ASSERT_FALSE(test, IS_ERR(s));
	spin_lock(&x->cache->lock);
	memset(s->data, content(i, version), SLICE);
	__qcow_cache_dirty(s);
	spin_unlock(&x->cache->lock);
	qcow_cache_put(s);
}

/* @nr slices from @first on, every @step-th, the last one first */
static void change_some(struct kunit *test, u32 first, u32 nr, u32 step, u8 version)
{
	while (nr--)
		change(test, first + nr * step, version);
}

static void capture(struct kunit *test, u32 nr)
{
	struct fixture *x = test->priv;
	u32 left = qcow_cache_nr_dirty(x->cache);

	KUNIT_EXPECT_EQ(test, left, nr);
	qcow_cache_capture(x->cache, &x->captured, &left);
	KUNIT_EXPECT_EQ(test, left, 0);
}

static u32 writes(const struct fixture *x)
{
	return atomic_read(&x->m->ops);
}

static bool in_file(const struct fixture *x, u32 i, u8 version)
{
	return !memchr_inv(x->m->store + i * SLICE, content(i, version), SLICE);
}

static void expect_in_file(struct kunit *test, u32 first, u32 nr, u32 step, u8 version)
{
	for (; nr--; first += step)
		KUNIT_EXPECT_TRUE_MSG(test, in_file(test->priv, first, version), "slice %u", first);
}

static void joined(struct kunit *test, bool async)
{
	struct fixture *x = test->priv;

	set_mode(x, &(struct memfile_mode){ .async = async, .delay_us = 50 });
	change_some(test, 200, JOINED, 1, 1);
	change_some(test, 0, JOINED + 3, 1, 1);
	change(test, 100, 1);
	change(test, 102, 1);
	capture(test, 2 * JOINED + 5);
	KUNIT_EXPECT_EQ(test, qcow_cache_write(x->cache, &x->captured), 0);
	/* The second run needs two. */
	KUNIT_EXPECT_EQ(test, writes(x), 5);
	qcow_cache_forget(x->cache, &x->captured, true);
	KUNIT_EXPECT_EQ(test, qcow_cache_nr_dirty(x->cache), 0);
	expect_in_file(test, 200, JOINED, 1, 1);
	expect_in_file(test, 0, JOINED + 3, 1, 1);
	expect_in_file(test, 100, 2, 2, 1);
}

static void write_joined(struct kunit *test)
{
	joined(test, false);
}

static void write_joined_async(struct kunit *test)
{
	joined(test, true);
}

/*
 * A capture of three slices, while one of them is changed again and another is cleaned: the
 * two calls are steps of one capture. Two copies of a slice would be written in no order.
 */
static void write_once(struct kunit *test)
{
	struct fixture *x = test->priv;
	u32 left = 1;

	change(test, 0, 1);
	change(test, 4, 1);
	change(test, 8, 1);
	qcow_cache_capture(x->cache, &x->captured, &left);
	change(test, 0, 2);
	qcow_cache_clean(x->cache, 4 * SLICE);
	left = 2;
	qcow_cache_capture(x->cache, &x->captured, &left);
	KUNIT_EXPECT_EQ(test, left, 0);
	KUNIT_EXPECT_EQ(test, x->cache->nr_captured, 2);
	KUNIT_EXPECT_EQ(test, qcow_cache_write(x->cache, &x->captured), 0);
	qcow_cache_forget(x->cache, &x->captured, true);
	expect_in_file(test, 0, 2, 8, 1);
	capture(test, 1);
	KUNIT_EXPECT_EQ(test, qcow_cache_write(x->cache, &x->captured), 0);
	qcow_cache_forget(x->cache, &x->captured, true);
	expect_in_file(test, 0, 1, 1, 2);
}

/* The second of three requests fails: every slice is dirty again, and nothing is lost. */
static void write_middle_fails(struct kunit *test)
{
	struct memfile_mode mode = { .async = true, .fail_at = 2, .error = -ENOSPC };
	struct fixture *x = test->priv;

	change_some(test, 0, 3 * JOINED, 1, 1);
	capture(test, 3 * JOINED);
	/* Changed again while it is written */
	change(test, 5, 2);
	set_mode(x, &mode);
	KUNIT_EXPECT_EQ(test, qcow_cache_write(x->cache, &x->captured), -ENOSPC);
	KUNIT_EXPECT_EQ(test, writes(x), 3);
	qcow_cache_forget(x->cache, &x->captured, false);
	set_mode(x, &(struct memfile_mode){ .async = true });
	capture(test, 3 * JOINED);
	KUNIT_EXPECT_EQ(test, qcow_cache_write(x->cache, &x->captured), 0);
	KUNIT_EXPECT_EQ(test, writes(x), 3);
	qcow_cache_forget(x->cache, &x->captured, true);
	expect_in_file(test, 0, 5, 1, 1);
	expect_in_file(test, 5, 1, 1, 2);
	expect_in_file(test, 6, 3 * JOINED - 6, 1, 1);
}

/* Direct I/O is refused: the page cache takes them. */
static void write_direct_refused(struct kunit *test)
{
	struct fixture *x = test->priv;

	change_some(test, 0, 2 * JOINED, 1, 1);
	capture(test, 2 * JOINED);
	set_mode(x, &(struct memfile_mode){ .refuse_direct = true });
	KUNIT_EXPECT_EQ(test, qcow_cache_write(x->cache, &x->captured), 0);
	qcow_cache_forget(x->cache, &x->captured, true);
	expect_in_file(test, 0, 2 * JOINED, 1, 1);
}

/* The same, as two neighbours' request ends. */
static void write_direct_refused_late(struct kunit *test)
{
	struct fixture *x = test->priv;

	change_some(test, 0, 2, 1, 1);
	capture(test, 2);
	set_mode(x, &(struct memfile_mode){
		.async = true, .fail_at = 1, .error = -EOPNOTSUPP });
	KUNIT_EXPECT_EQ(test, qcow_cache_write(x->cache, &x->captured), 0);
	qcow_cache_forget(x->cache, &x->captured, true);
	expect_in_file(test, 0, 2, 1, 1);
}

static bool writes_reach(const struct fixture *x, u32 nr)
{
	unsigned long end = jiffies + LIMIT;

	while (writes(x) < nr && time_before(jiffies, end))
		msleep(20);
	return writes(x) == nr;
}

/* The disk is slow: so many requests are under way, and no more. */
static void write_depth(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct fixture *x = test->priv;

	change_some(test, 1, DEPTH + 40, 2, 1);
	capture(test, DEPTH + 40);
	set_mode(x, &(struct memfile_mode){ .async = true, .gate = &gate });
	queue_work(qtest_flush_wq, &x->work);
	KUNIT_EXPECT_TRUE(test, writes_reach(x, DEPTH));
	msleep(50);
	KUNIT_EXPECT_EQ(test, writes(x), DEPTH);
	complete_all(&gate);
	flush_work(&x->work);
	KUNIT_EXPECT_EQ(test, x->err, 0);
	KUNIT_EXPECT_EQ(test, writes(x), DEPTH + 40);
	qcow_cache_forget(x->cache, &x->captured, true);
	expect_in_file(test, 1, DEPTH + 40, 2, 1);
}

/* Without memory slices are written one after the other. */
static void write_starved(struct kunit *test)
{
	struct fixture *x = test->priv;

	if (!fault_begin())
		kunit_skip(test, "allocations cannot fail");
	change_some(test, 0, 20, 1, 1);
	capture(test, 20);
	set_mode(x, &(struct memfile_mode){ });
	fault_starve(false);
	x->err = qcow_cache_write(x->cache, &x->captured);
	KUNIT_EXPECT_GE(test, fault_feed(), 1);
	fault_end();
	KUNIT_EXPECT_EQ(test, x->err, 0);
	KUNIT_EXPECT_EQ(test, writes(x), 20);
	qcow_cache_forget(x->cache, &x->captured, true);
	expect_in_file(test, 0, 20, 1, 1);
}

static struct kunit_case cache_write_test_cases[] = {
	KUNIT_CASE(write_joined),
	KUNIT_CASE(write_joined_async),
	KUNIT_CASE(write_once),
	KUNIT_CASE(write_middle_fails),
	KUNIT_CASE(write_direct_refused),
	KUNIT_CASE(write_direct_refused_late),
	KUNIT_CASE(write_depth),
	KUNIT_CASE(write_starved),
	{ }
};

static struct kunit_suite cache_write_suite = {
	.name = "qcow_cache_write",
	.init = cache_write_init,
	.exit = cache_write_exit,
	.test_cases = cache_write_test_cases,
};

kunit_test_suite(cache_write_suite);
