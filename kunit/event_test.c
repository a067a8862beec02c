// SPDX-License-Identifier: GPL-2.0
/*
 * Events of a device: each is told once for each time that the device comes into the
 * state, not too often, and only as long as there is a disk.
 */
#include <linux/jiffies.h>
#include <linux/workqueue.h>

#include "meta/event.h"
#include "writer.h"

#define CLUSTER		512
#define CLUSTERS	64

/**
 * struct event_fixture - an image, and the events of its device
 * @w: the image
 * @e: the events
 * @told: how often each event was told
 */
struct event_fixture {
	struct writer w;
	struct qcow_events e;
	u32 told[QCOW_EVENTS];
};

static void count_told(struct qcow_events *e, enum qcow_event event)
{
	container_of(e, struct event_fixture, e)->told[event]++;
}

static int event_test_init(struct kunit *test)
{
	int err = writer_fixture_init(test, sizeof(struct event_fixture));
	struct event_fixture *x = test->priv;

	if (!err)
		qcow_events_init(&x->e, qtest_flush_wq, count_told);
	return err;
}

static void event_test_exit(struct kunit *test)
{
	struct event_fixture *x = test->priv;

	if (x)
		qcow_events_close(&x->e);
	writer_test_exit(test);
}

/* How often an event was told by now. */
static u32 told(struct event_fixture *x, enum qcow_event event)
{
	flush_delayed_work(&x->e.work);
	return x->told[event];
}

/* As if an event had been told long ago. */
static void forget_time(struct event_fixture *x, enum qcow_event event)
{
	WRITE_ONCE(x->e.earliest[event], get_jiffies_64() - 1);
}

static void event_once(struct kunit *test)
{
	struct event_fixture *x = test->priv;
	u32 i;

	qcow_events_open(&x->e);
	for (i = 0; i < 100; i++) {
		qcow_event_raise(&x->e, QCOW_EVENT_CORRUPT);
		forget_time(x, QCOW_EVENT_CORRUPT);
	}
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_CORRUPT), 1);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_STOPPED), 0);
	/* Nobody is told, and nothing happens. */
	qcow_event_raise(NULL, QCOW_EVENT_CORRUPT);
	qcow_event_over(NULL, QCOW_EVENT_CORRUPT);
}

/* A state that comes and goes is told when it comes, but not all the time. */
static void event_comes_and_goes(struct kunit *test)
{
	struct event_fixture *x = test->priv;
	u32 i;

	qcow_events_open(&x->e);
	for (i = 0; i < 1000; i++) {
		qcow_event_raise(&x->e, QCOW_EVENT_FULL);
		if (!(i % 100))
			flush_delayed_work(&x->e.work);
		qcow_event_over(&x->e, QCOW_EVENT_FULL);
	}
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_FULL), 1);
	/* Another event does not wait for it. */
	qcow_event_raise(&x->e, QCOW_EVENT_SYNC_FAILED);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_SYNC_FAILED), 1);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_FULL), 1);
	/* The last one is not lost. */
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&x->e.work));
	forget_time(x, QCOW_EVENT_FULL);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_FULL), 2);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&x->e.work));
}

/* A raw image does not say that it has space again: it is full anew after a while. */
static void event_full_again(struct kunit *test)
{
	struct event_fixture *x = test->priv;

	qcow_events_open(&x->e);
	qcow_event_raise(&x->e, QCOW_EVENT_FULL);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_FULL), 1);
	forget_time(x, QCOW_EVENT_FULL);
	qcow_event_raise(&x->e, QCOW_EVENT_FULL);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_FULL), 1);
	atomic64_sub((QCOW_EVENT_FULL_TIME + 1) * HZ, &x->e.full_at);
	qcow_event_raise(&x->e, QCOW_EVENT_FULL);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_FULL), 2);
}

static void event_without_disk(struct kunit *test)
{
	struct event_fixture *x = test->priv;

	qcow_event_raise(&x->e, QCOW_EVENT_CORRUPT);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_CORRUPT), 0);
	qcow_events_open(&x->e);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_CORRUPT), 1);
	/* An event before the end is told, and none after it. */
	qcow_event_raise(&x->e, QCOW_EVENT_FULL);
	qcow_events_close(&x->e);
	KUNIT_EXPECT_EQ(test, x->told[QCOW_EVENT_FULL], 1);
	qcow_event_raise(&x->e, QCOW_EVENT_SYNC_FAILED);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_SYNC_FAILED), 0);
	qcow_event_raise(&x->e, QCOW_EVENT_STOPPED);
	qcow_events_close(&x->e);
	KUNIT_EXPECT_FALSE(test, delayed_work_pending(&x->e.work));
	KUNIT_EXPECT_EQ(test, x->told[QCOW_EVENT_STOPPED], 0);
}

/* --- Events of an image --- */

static struct memfile *open_image(struct kunit *test, const struct builder_spec *spec)
{
	struct event_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(81000);
	struct writer *w = &x->w;

	KUNIT_ASSERT_EQ(test, builder_build(w->base.c, spec, 1, &rnd), 0);
	w->base.r->params.events = &x->e;
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	qcow_events_open(&x->e);
	return writer_top(w)->m;
}

static void close_image(struct event_fixture *x)
{
	writer_close(&x->w);
	builder_free(x->w.base.c);
}

static const struct builder_spec image_spec = {
	.version = 3,
	.cluster_bits = 9,
	.tidy = true,
	.kinds = BUILDER_HOLE,
	.size = CLUSTERS * CLUSTER,
	.writable = true,
	.order = 4,
	.room = 1 << 20,
};

/* An image's author decides how much damage there is, and is told of once. */
static void event_of_damage(struct kunit *test)
{
	struct event_fixture *x = test->priv;
	u32 i;

	open_image(test, &image_spec);
	qcow_image_unreadable(x->w.img, 0, "a test");
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_CORRUPT), 1);
	for (i = 0; i < 100; i++) {
		qcow_image_unreadable(x->w.img, 0, "a test");
		qcow_image_damaged(x->w.img, 0, "a test");
	}
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_CORRUPT), 1);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_STOPPED), 1);
	/* A flush fails for the same reason. */
	KUNIT_EXPECT_NE(test, writer_flush(&x->w), 0);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_SYNC_FAILED), 0);
	close_image(x);
}

/* A flush that fails for now, and another time for good. */
static void event_of_flush(struct kunit *test)
{
	struct memfile_mode full = {
		.fail_ops = MEMFILE_WRITE, .fail_at = 1, .sticky = true, .error = -ENOSPC,
	}, fails = full, lost = { .fail_ops = MEMFILE_SYNC, .fail_at = 1 }, plain = { };
	struct event_fixture *x = test->priv;
	struct writer *w = &x->w;
	struct memfile *m = open_image(test, &image_spec);

	KUNIT_EXPECT_EQ(test, writer_write(w, 0, CLUSTER), 0);
	memfile_set_mode(m, &full);
	KUNIT_EXPECT_EQ(test, writer_flush(w), -ENOSPC);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_FULL), 1);
	KUNIT_EXPECT_TRUE(test, test_bit(QCOW_EVENT_FULL, &x->e.state));
	fails.error = -EIO;
	memfile_set_mode(m, &fails);
	KUNIT_EXPECT_EQ(test, writer_flush(w), -EIO);
	KUNIT_EXPECT_EQ(test, writer_flush(w), -EIO);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_SYNC_FAILED), 1);
	/* All is well again. */
	memfile_set_mode(m, &plain);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	KUNIT_EXPECT_FALSE(test, test_bit(QCOW_EVENT_SYNC_FAILED, &x->e.state));
	KUNIT_EXPECT_EQ(test, writer_write(w, CLUSTER, CLUSTER), 0);
	KUNIT_EXPECT_FALSE(test, test_bit(QCOW_EVENT_FULL, &x->e.state));
	/* A failed sync is final. */
	forget_time(x, QCOW_EVENT_SYNC_FAILED);
	memfile_set_mode(m, &lost);
	KUNIT_EXPECT_EQ(test, writer_flush(w), -EIO);
	memfile_set_mode(m, &plain);
	KUNIT_EXPECT_EQ(test, writer_flush(w), -EIO);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_SYNC_FAILED), 2);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_FULL), 1);
	close_image(x);
}

static void event_of_raw_flush(struct kunit *test)
{
	struct builder_spec spec = { .raw = true, .size = 64 << 10, .writable = true };
	struct memfile_mode lost = { .fail_ops = MEMFILE_SYNC, .fail_at = 1 };
	struct event_fixture *x = test->priv;
	struct memfile *m = open_image(test, &spec);

	KUNIT_EXPECT_EQ(test, writer_flush(&x->w), 0);
	memfile_set_mode(m, &lost);
	KUNIT_EXPECT_EQ(test, writer_flush(&x->w), -EIO);
	KUNIT_EXPECT_EQ(test, writer_flush(&x->w), -EIO);
	KUNIT_EXPECT_EQ(test, told(x, QCOW_EVENT_SYNC_FAILED), 1);
	close_image(x);
}

static struct kunit_case event_test_cases[] = {
	KUNIT_CASE(event_once),
	KUNIT_CASE(event_comes_and_goes),
	KUNIT_CASE(event_full_again),
	KUNIT_CASE(event_without_disk),
	KUNIT_CASE(event_of_damage),
	KUNIT_CASE(event_of_flush),
	KUNIT_CASE(event_of_raw_flush),
	{ }
};

static struct kunit_suite event_suite = {
	.name = "qcow_event",
	.init = event_test_init,
	.exit = event_test_exit,
	.test_cases = event_test_cases,
};

kunit_test_suite(event_suite);
