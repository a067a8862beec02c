// SPDX-License-Identifier: GPL-2.0
/*
 * Every read of a file and every allocation fails in its turn: the result is an error
 * or the right bytes, and nothing is left behind.
 */
#include <linux/err.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "fault.h"
#include "reader.h"

#define CHAINS		10
#define MAX_SITES	1000
#define STEP		(32 << 10)

/* A small chain with all that there is, of two or three images. */
static void build_chain(struct kunit *test, u32 seed)
{
	struct reader_fixture *x = test->priv;
	struct builder_spec specs[3];
	struct rnd_state rnd = qtest_rnd(2000 + seed);
	u32 i, nr = 2 + (seed & 1);

	for (i = 0; i < nr; i++) {
		builder_random_spec(&rnd, &specs[i]);
		specs[i].cluster_bits = 9 + qtest_below(&rnd, 8);
		specs[i].extended_l2 = specs[i].version == 3 &&
				       specs[i].cluster_bits >= 14;
		specs[i].size = (4 + qtest_below(&rnd, 20)) << specs[i].cluster_bits;
	}
	specs[nr - 1].raw = seed & 2;
	KUNIT_ASSERT_EQ(test, builder_build(x->c, specs, nr, &rnd), 0);
}

/* Opens and reads all. Return: the error, or READER_*. */
static int open_and_read(struct reader_fixture *x)
{
	struct qcow_image *img = reader_open(x->r, x->c, &x->msg);
	int verdict;

	if (IS_ERR(img))
		return PTR_ERR(img);
	reader_silence(img);
	verdict = reader_read_all(x->r, img, x->c->img[0].expect, STEP);
	qcow_image_close_chain(img);
	return verdict;
}

/* --- Reads of files --- */

/* Fails the @nth read of @m. Return: whether there was one. */
static bool fail_read(struct kunit *test, struct memfile *m,
		      const struct memfile_mode *base, u32 nth, bool sticky)
{
	struct reader_fixture *x = test->priv;
	struct memfile_mode mode = *base;
	int verdict;

	builder_set_mode(x->c, base);
	mode.fail_at = nth;
	mode.sticky = sticky;
	memfile_set_mode(m, &mode);
	verdict = open_and_read(x);
	KUNIT_EXPECT_TRUE(test, builder_idle(x->c));
	if (verdict && verdict != -EIO)
		KUNIT_FAIL(test, "read %u failed %s: %d", nth,
			   sticky ? "from then on" : "once", verdict);
	/* The trial of direct I/O does not count. */
	if (!verdict && sticky && atomic_read(&m->injected) > 3)
		KUNIT_FAIL(test, "read %u failed and nobody noticed", nth);
	return atomic_read(&m->injected);
}

static u32 fail_reads_of(struct kunit *test, struct memfile *m,
			 const struct memfile_mode *base)
{
	u32 n, total = 0;

	if (!m)
		return 0;
	for (n = 1; n < MAX_SITES && fail_read(test, m, base, n, false); n++)
		total++;
	for (n = 1; n < MAX_SITES && fail_read(test, m, base, n, true); n++)
		total++;
	return total;
}

static void fault_reads(struct kunit *test)
{
	struct reader_fixture *x = test->priv;
	u32 seed, i, total = 0;

	for (seed = 0; seed < CHAINS; seed++) {
		struct memfile_mode mode = {
			.nowait = seed & 1,
			.async = seed & 2,
			.direct = seed & 4,
			.dio_align = 512,
		};

		build_chain(test, seed);
		for (i = 0; i < x->c->nr; i++) {
			total += fail_reads_of(test, x->c->img[i].m, &mode);
			total += fail_reads_of(test, x->c->img[i].data_m, &mode);
		}
		builder_free(x->c);
	}
	kunit_info(test, "%u reads failed\n", total);
	KUNIT_EXPECT_GT(test, total, 100);
}

/* --- Allocations --- */

static void check_verdict(struct kunit *test, int verdict, u32 nth)
{
	if (verdict && verdict != -ENOMEM)
		KUNIT_FAIL(test, "allocation %u failed: %d", nth, verdict);
}

/* Return: whether opening made @nth allocations. */
static bool fail_open(struct kunit *test, u32 nth)
{
	struct reader_fixture *x = test->priv;
	struct qcow_image *img;
	int verdict = 0;
	bool failed;

	fault_arm(nth);
	img = reader_open(x->r, x->c, &x->msg);
	failed = fault_disarm();
	if (IS_ERR(img)) {
		check_verdict(test, PTR_ERR(img), nth);
	} else {
		verdict = reader_read_all(x->r, img, x->c->img[0].expect, STEP);
		KUNIT_EXPECT_EQ_MSG(test, verdict, 0, "after allocation %u failed", nth);
		qcow_image_close_chain(img);
	}
	KUNIT_EXPECT_TRUE(test, builder_idle(x->c));
	return failed;
}

/* A read in a context that must not sleep, as requests come. */
static bool fail_read_now(struct kunit *test, struct qcow_image *img, u32 nth)
{
	struct reader_fixture *x = test->priv;
	u32 len = min_t(u64, img->size, READER_PIECES * READER_PIECE);
	bool failed;

	reader_prepare(x->r, 0, img, 0, len);
	fault_arm(nth);
	reader_submit(x->r, 0, false);
	failed = fault_disarm();
	check_verdict(test, reader_wait(x->r, 0, x->c->img[0].expect), nth);
	return failed;
}

/* Makes a worker's allocations fail: the work arms the worker that runs it. */
struct arm_work {
	struct work_struct work;
	struct reader *r;
	struct task_struct *worker;
	u32 nth;
};

static void arm_work(struct work_struct *work)
{
	struct arm_work *w = container_of(work, struct arm_work, work);

	w->worker = get_task_struct(current);
	reader_submit(w->r, 0, true);
	fault_arm(w->nth);
}

/* A read in a worker, most likely in the one that was armed. */
static bool fail_read_in_worker(struct kunit *test, struct qcow_image *img, u32 nth)
{
	struct reader_fixture *x = test->priv;
	u32 len = min_t(u64, img->size, READER_PIECES * READER_PIECE);
	struct arm_work w = { .r = x->r, .nth = nth };
	bool failed = false;

	reader_prepare(x->r, 0, img, 0, len);
	INIT_WORK_ONSTACK(&w.work, arm_work);
	queue_work(qtest_wq, &w.work);
	flush_work(&w.work);
	destroy_work_on_stack(&w.work);
	check_verdict(test, reader_wait(x->r, 0, x->c->img[0].expect), nth);
#ifdef CONFIG_FAULT_INJECTION
	failed = !READ_ONCE(w.worker->fail_nth);
	WRITE_ONCE(w.worker->fail_nth, 0);
#endif
	put_task_struct(w.worker);
	return failed;
}

/* The image is opened anew each time, so that nothing is cached. */
static u32 fail_reads_by(struct kunit *test,
			 bool (*fail)(struct kunit *test, struct qcow_image *img, u32 nth))
{
	struct reader_fixture *x = test->priv;
	struct qcow_image *img;
	bool more = true;
	u32 n;

	for (n = 1; more && n < MAX_SITES; n++) {
		img = reader_open(x->r, x->c, &x->msg);
		KUNIT_ASSERT_FALSE(test, IS_ERR(img));
		reader_silence(img);
		more = fail(test, img, n);
		qcow_image_close_chain(img);
		KUNIT_EXPECT_TRUE(test, builder_idle(x->c));
	}
	return n;
}

static void fault_allocations(struct kunit *test)
{
	struct reader_fixture *x = test->priv;
	u32 seed, n, opens = 0, reads = 0, works = 0;

	if (!fault_begin())
		kunit_skip(test, "the kernel injects no faults");
	for (seed = 0; seed < CHAINS; seed++) {
		struct memfile_mode mode = {
			.nowait = true,
			.async = seed & 2,
			.direct = seed & 4,
			.dio_align = 512,
		};

		build_chain(test, 100 + seed);
		builder_set_mode(x->c, &mode);
		for (n = 1; n < MAX_SITES && fail_open(test, n); n++)
			opens++;
		reads += fail_reads_by(test, fail_read_now);
		works += fail_reads_by(test, fail_read_in_worker);
		builder_free(x->c);
	}
	fault_end();
	kunit_info(test, "allocations failed: %u of opens, %u of reads, %u of workers\n",
		   opens, reads, works);
	KUNIT_EXPECT_GT(test, opens, 50);
	KUNIT_EXPECT_GT(test, works, 10);
}

static struct kunit_case fault_test_cases[] = {
	KUNIT_CASE(fault_reads),
	KUNIT_CASE(fault_allocations),
	{ }
};

static struct kunit_suite fault_suite = {
	.name = "qcow_fault",
	.init = reader_test_init,
	.exit = reader_test_exit,
	.test_cases = fault_test_cases,
};

kunit_test_suite(fault_suite);
