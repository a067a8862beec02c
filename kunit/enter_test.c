// SPDX-License-Identifier: GPL-2.0
/*
 * Documentation/locking.rst, "Entering a filesystem": each thing that a task may hold, and
 * that forbids its request's I/O below from beginning in its context.
 */
#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/sched.h>

#include "compat/compat_blk_test.h"
#include "qtest.h"

/**
 * struct held - a task in the middle of I/O
 * @own: the queue of the request that is dispatched
 * @other: another queue
 * @rq: that request
 * @held: a request in the task's plug
 * @plug: the plug
 * @callback: a callback of a plug
 * @bios: bios that the task has queued and not sent
 * @bio: one of them
 */
struct held {
	struct request_queue *own;
	struct request_queue *other;
	struct request rq;
	struct request held;
	struct blk_plug plug;
	struct list_head callback;
	struct bio_list bios[2];
	struct bio bio;
};

/* Queues are compared, and nothing is read from them. */
static struct held *held_create(struct kunit *test)
{
	struct held *h = kunit_kzalloc(test, sizeof(*h), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, h);
	h->own = (struct request_queue *)&h->own;
	h->other = (struct request_queue *)&h->other;
	h->rq.q = h->own;
	INIT_LIST_HEAD(&h->plug.cb_list);
	bio_list_init(&h->bios[0]);
	bio_list_init(&h->bios[1]);
	return h;
}

/* Return: whether a task with that plug, bio lists and flags may enter. */
static bool may_enter(struct held *h, bool plug, bool bios, unsigned int flags)
{
	struct blk_plug *old_plug = current->plug;
	struct bio_list *old_bios = current->bio_list;
	unsigned int old_flags = current->flags;
	bool may;

	current->plug = plug ? &h->plug : NULL;
	current->bio_list = bios ? h->bios : NULL;
	current->flags = (old_flags & ~(PF_WQ_WORKER | PF_MEMALLOC)) | flags;
	may = qcow_compat_may_enter(&h->rq);
	current->flags = old_flags;
	current->bio_list = old_bios;
	current->plug = old_plug;
	return may;
}

static void enter_nothing(struct kunit *test)
{
	struct held *h = held_create(test);

	KUNIT_EXPECT_TRUE(test, may_enter(h, false, false, 0));
	KUNIT_EXPECT_TRUE(test, may_enter(h, true, true, 0));
}

static void enter_plug(struct kunit *test)
{
	struct held *h = held_create(test);

	h->held.q = h->own;
	qcow_compat_plug_add(&h->plug, &h->held);
	KUNIT_EXPECT_TRUE(test, may_enter(h, true, false, 0));
	h->plug.multiple_queues = true;
	KUNIT_EXPECT_FALSE(test, may_enter(h, true, false, 0));
	h->plug.multiple_queues = false;
	h->held.q = h->other;
	KUNIT_EXPECT_FALSE(test, may_enter(h, true, false, 0));
}

static void enter_plug_cached(struct kunit *test)
{
	struct held *h = held_create(test);

	h->held.q = h->own;
	qcow_compat_plug_cache(&h->plug, &h->held);
	KUNIT_EXPECT_TRUE(test, may_enter(h, true, false, 0));
	h->held.q = h->other;
	KUNIT_EXPECT_FALSE(test, may_enter(h, true, false, 0));
}

static void enter_plug_callback(struct kunit *test)
{
	struct held *h = held_create(test);

	list_add(&h->callback, &h->plug.cb_list);
	KUNIT_EXPECT_FALSE(test, may_enter(h, true, false, 0));
}

static void enter_bios(struct kunit *test)
{
	struct held *h = held_create(test);
	int i;

	for (i = 0; i < 2; i++) {
		bio_list_add(&h->bios[i], &h->bio);
		KUNIT_EXPECT_FALSE(test, may_enter(h, false, true, 0));
		bio_list_init(&h->bios[i]);
		KUNIT_EXPECT_TRUE(test, may_enter(h, false, true, 0));
	}
}

static void enter_worker(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, may_enter(held_create(test), false, false, PF_WQ_WORKER));
}

static void enter_reclaim(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, may_enter(held_create(test), false, false, PF_MEMALLOC));
}

static enum rq_end_io_ret ended(struct request *rq, blk_status_t status)
{
	return RQ_END_IO_NONE;
}

/* Device-mapper, and the data of a request that is flushed before, set it. */
static void enter_end_io(struct kunit *test)
{
	struct held *h = held_create(test);

	h->rq.end_io = ended;
	KUNIT_EXPECT_FALSE(test, may_enter(h, false, false, 0));
}

static struct kunit_case enter_cases[] = {
	KUNIT_CASE(enter_nothing),
	KUNIT_CASE(enter_plug),
	KUNIT_CASE(enter_plug_cached),
	KUNIT_CASE(enter_plug_callback),
	KUNIT_CASE(enter_bios),
	KUNIT_CASE(enter_worker),
	KUNIT_CASE(enter_reclaim),
	KUNIT_CASE(enter_end_io),
	{}
};

static struct kunit_suite enter_suite = {
	.name = "qcow_enter",
	.test_cases = enter_cases,
};

kunit_test_suite(enter_suite);
