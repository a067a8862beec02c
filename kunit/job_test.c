// SPDX-License-Identifier: GPL-2.0
/*
 * Disks made larger and smaller, images made to need no backing file, and the power
 * cut at any moment of it: one size or the other, no flushed data lost, zeros in the
 * new part, the same content with a backing file or without.
 */
#include <linux/slab.h>

#include "compat/compat_test.h"
#include "jobs/resize.h"
#include "jobs/stream.h"
#include "meta/alloc.h"
#include "meta/flush.h"
#include "meta/image.h"
#include "meta/reclaim.h"
#include "meta/release.h"
#include "writer.h"

#define SECTOR		512
#define LOADS		24
#define FAILING		8
#define WRITES		12
#define CUTS		60
#define LOG_ENTRIES	4096
#define LOG_BYTES	(16U << 20)
#define SIZE_AT		24

/**
 * struct job_case - a disk that is changed
 * @w: the image
 * @stream: it is made to need no backing file; else it gets another size
 * @old: bytes before
 * @new: bytes after
 * @rnd: where it comes from
 */
struct job_case {
	struct writer *w;
	bool stream;
	u64 old;
	u64 new;
	struct rnd_state rnd;
};

/* Writes inside the part that stays. */
static int some_writes(struct job_case *c)
{
	u32 sectors = min(c->old, c->new) / SECTOR, i, first, len;
	int err = 0;

	for (i = 0; !err && i < WRITES; i++) {
		first = qtest_below(&c->rnd, sectors);
		len = 1 + qtest_below(&c->rnd, min(sectors - first, 64U));
		err = writer_write(c->w, (u64)first * SECTOR, len * SECTOR);
		if (!err && qtest_one_in(&c->rnd, 5))
			err = writer_flush(c->w);
	}
	return err;
}

/* Streams in steps, with writes in between. */
static int do_stream(struct job_case *c)
{
	struct qcow_image *img = c->w->img, *backing = img->backing;
	int err = 0;

	while (!err && img->filled < img->size) {
		err = qcow_stream_some(img, 1 + qtest_below(&c->rnd, img->size));
		if (!err && qtest_one_in(&c->rnd, 3))
			err = some_writes(c);
	}
	if (!err)
		err = qcow_stream_cut_loose(img);
	if (err)
		return err;
	img->backing = NULL;
	return qcow_image_close_chain(backing);
}

/**
 * struct users - the users of a disk that gets another size
 * @ops: of the resize
 * @pause: how they are told
 * @log: of the image file
 * @img: the image
 * @stopped: operations on the file before they were stopped, U32_MAX: they are not
 * @waited: operations while they were
 * @shown: bytes that they may use
 * @fault: of the job, or NULL
 */
struct users {
	struct qcow_resize_ops ops;
	struct qcow_pause pause;
	const struct memlog *log;
	const struct qcow_image *img;
	u32 stopped;
	u32 waited;
	u64 shown;
	const char *fault;
};

static int users_stop(struct qcow_pause *p)
{
	struct users *u = container_of(p, struct users, pause);

	if (u->stopped != U32_MAX)
		u->fault = "stopped twice";
	u->stopped = u->log->nr;
	return 0;
}

static void users_go(struct qcow_pause *p)
{
	struct users *u = container_of(p, struct users, pause);

	u->waited += u->log->nr - u->stopped;
	u->stopped = U32_MAX;
	if (u->shown > u->img->size)
		u->fault = "they may use sectors behind the end";
}

static int users_show(struct qcow_resize_ops *ops, u64 bytes)
{
	struct users *u = container_of(ops, struct users, ops);

	if (u->stopped != U32_MAX)
		u->fault = "told while they are stopped";
	u->shown = bytes;
	return 0;
}

static int do_resize(struct job_case *c, struct users *u)
{
	*u = (struct users) {
		.ops = { .pause = &u->pause, .show = users_show },
		.pause = { .stop = users_stop, .go = users_go },
		.log = c->w->o.log,
		.img = c->w->img,
		.stopped = U32_MAX,
		.shown = c->w->img->size,
	};
	c->w->base.msg.text[0] = 0;
	return qcow_resize(c->w->img, c->new, &u->ops, &c->w->base.msg);
}

static int do_job(struct job_case *c)
{
	struct users u;
	int err;

	if (c->stream)
		return do_stream(c);
	err = do_resize(c, &u);
	/* Users wait only while memory is changed, and for no operation on the file. */
	if (u.fault || u.waited || u.shown != c->w->img->size) {
		pr_err("kunit: %s: %u operations, %llu bytes of %llu\n",
		       u.fault ?: "users wait", u.waited, u.shown, c->w->img->size);
		return -ERANGE;
	}
	return err;
}

/* The new part of a larger disk. Return: NULL if it is zeros. */
static const char *check_new_part(struct job_case *c)
{
	const struct builder_chain *chain = c->w->base.c;
	const struct checker *k = &c->w->o.k;
	u64 guest_offset, host_offset = 0;

	for (guest_offset = c->old; guest_offset < c->new; guest_offset += SECTOR) {
		switch (checker_find(k, guest_offset, &host_offset)) {
		case CHECKER_ZERO:
			break;
		case CHECKER_HOLE:
			if (chain->nr > 1 && guest_offset < chain->img[1].size)
				return "the backing file shows in the new part";
			break;
		case CHECKER_HOST:
			if (host_offset < k->size &&
			    memchr_inv(k->data + host_offset, 0,
				       min_t(u64, SECTOR, k->size - host_offset)))
				return "the new part is not zeros";
			break;
		case CHECKER_COMPRESSED:
			return "compressed data in the new part";
		}
	}
	return NULL;
}

/* After a cut, or at the end. */
static const char *check_disk(struct job_case *c, const void *data, u64 size, u32 when)
{
	struct builder_image *b = writer_top(c->w);
	u64 disk = get_unaligned_be64(data + SIZE_AT) & ~511ULL;
	u64 saved = b->size;
	const char *fault;

	if (disk != c->old && disk != c->new)
		return "a size that nobody asked for";
	b->size = min(disk, c->old);
	fault = oracle_check(&c->w->o, data, size, when);
	b->size = saved;
	if (!fault && disk == c->new && when != ORACLE_NEVER)
		fault = check_new_part(c);
	return fault;
}

static void build(struct kunit *test, struct job_case *c)
{
	struct builder_spec specs[2];
	struct writer *w = test->priv;
	struct memfile_mode mode;
	u32 nr = 1;

	builder_random_spec(&c->rnd, &specs[1]);
	specs[1].raw = true;
	writer_random_spec(&c->rnd, &specs[0]);
	specs[0].size = clamp_t(u64, specs[0].size, 4 * SECTOR, 64 << 10);
	specs[0].room = 1 << 20;
	nr += c->stream || qtest_one_in(&c->rnd, 2);
	KUNIT_ASSERT_EQ(test, writer_build(w, specs, nr, &c->rnd), 0);
	writer_random_mode(&c->rnd, &mode);
	builder_set_mode(w->base.c, &mode);
	KUNIT_ASSERT_EQ(test, oracle_log(&w->o, LOG_ENTRIES, LOG_BYTES), 0);
}

static void pick_size(struct job_case *c)
{
	c->old = c->w->img->size;
	c->new = c->old;
	while (!c->stream && c->new == c->old) {
		c->new = SECTOR * (1 + qtest_below(&c->rnd, 2 * c->old / SECTOR));
		/* Larger than a disk with an L1 table of one cluster */
		if (qtest_one_in(&c->rnd, 3))
			c->new += (u64)SECTOR * qtest_below(&c->rnd, 8192);
	}
}

static u32 cut_power(struct kunit *test, struct job_case *c, u32 seed)
{
	struct memlog_disk *d = &c->w->o.disk;
	u32 when = 1, kind, n = 0;
	const char *fault;

	memlog_disk_start(d, writer_top(c->w)->file, writer_top(c->w)->file_len);
	while (when <= d->log->clock + 1) {
		for (kind = 0; kind < MEMLOG_CUTS; kind++, n++) {
			memlog_disk_cut(d, when, kind, &c->rnd);
			fault = check_disk(c, d->data, min(d->size, d->capacity), when);
			if (!fault)
				continue;
			KUNIT_FAIL(test, "image %u (seed %lu) after %u, kind %u: %s", seed,
				   qtest_seed, when, kind, fault);
			return n;
		}
		when += 1 + qtest_below(&c->rnd, 2 * d->log->clock / CUTS + 1);
	}
	return n;
}

static u32 job_one(struct kunit *test, u32 seed, bool stream)
{
	struct writer *w = test->priv;
	struct memfile *m;
	struct job_case c = { .w = w, .stream = stream };
	const char *fault;
	u32 n;

	c.rnd = qtest_rnd(50000 + seed + 1000 * stream);
	build(test, &c);
	m = writer_top(w)->m;
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "image %u: %s", seed, w->base.msg.text);
	pick_size(&c);
	KUNIT_EXPECT_EQ(test, some_writes(&c), 0);
	KUNIT_EXPECT_EQ_MSG(test, do_job(&c), 0, "image %u: %s", seed, w->base.msg.text);
	KUNIT_EXPECT_EQ(test, w->img->size, c.new);
	KUNIT_EXPECT_EQ(test, some_writes(&c), 0);
	writer_close(w);
	m->log = NULL;
	KUNIT_EXPECT_FALSE(test, w->o.log->full);
	fault = check_disk(&c, m->store, memfile_size(m), ORACLE_NEVER);
	if (!fault && w->o.k.leaks > w->o.leaks)
		fault = "it leaks";
	if (fault)
		KUNIT_FAIL(test, "image %u (seed %lu): %s", seed, qtest_seed, fault);
	n = cut_power(test, &c, seed);
	writer_free(w);
	return n;
}

static void job_all(struct kunit *test, bool stream)
{
	u32 seed, n = 0;

	for (seed = 0; seed < LOADS; seed++)
		n += job_one(test, seed, stream);
	kunit_info(test, "%u cuts (seed %lu)\n", n, qtest_seed);
	KUNIT_EXPECT_GT(test, n, LOADS * 50);
}

static void job_resize(struct kunit *test)
{
	job_all(test, false);
}

static void job_stream(struct kunit *test)
{
	job_all(test, true);
}

/* Operation @fail_at and all after it fail. Return: whether there was one of that number. */
static bool resize_failing(struct kunit *test, u32 seed, u32 fail_at)
{
	struct writer *w = test->priv;
	struct memfile_mode mode = {
		.fail_ops = MEMFILE_WRITE | MEMFILE_SYNC | MEMFILE_FALLOC | MEMFILE_SIZE,
		.fail_at = fail_at,
		.sticky = true,
	};
	struct job_case c = { .w = w };
	bool injected;
	u64 on_disk;
	int err;

	c.rnd = qtest_rnd(52000 + seed);
	build(test, &c);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	pick_size(&c);
	KUNIT_EXPECT_EQ(test, some_writes(&c), 0);
	memfile_set_mode(writer_top(w)->m, &mode);
	err = do_job(&c);
	injected = atomic_read(&writer_top(w)->m->injected);
	KUNIT_EXPECT_TRUE(test, injected || !err);
	KUNIT_EXPECT_EQ_MSG(test, w->img->size, err ? c.old : c.new, "image %u, %u", seed,
			    fail_at);
	/* Where it could not be synced nobody knows, and no flush says otherwise. */
	on_disk = get_unaligned_be64(writer_top(w)->m->store + SIZE_AT) & ~511ULL;
	if (w->img->alloc && !w->img->alloc->failed)
		KUNIT_EXPECT_EQ_MSG(test, w->img->size, on_disk, "image %u, %u", seed,
				    fail_at);
	writer_close(w);
	writer_free(w);
	return injected;
}

/* The disk has the size that the image says, whatever fails. */
static void job_resize_fails(struct kunit *test)
{
	u32 seed, fail_at, n = 0;

	for (seed = 0; seed < FAILING; seed++)
		for (fail_at = 1; resize_failing(test, seed, fail_at); fail_at++)
			n++;
	kunit_info(test, "%u failures (seed %lu)\n", n, qtest_seed);
	KUNIT_EXPECT_GT(test, n, FAILING);
}

/*
 * The caller interrupts the job: a smaller disk is as small as it should be, a larger
 * one as it was, and the next call goes on.
 */
static void interrupt_one(struct kunit *test, u32 seed)
{
	struct writer *w = test->priv;
	struct job_case c = { .w = w };
	struct users u;
	const char *fault;
	bool smaller;
	int err;

	c.rnd = qtest_rnd(53000 + seed);
	build(test, &c);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	pick_size(&c);
	smaller = c.new < c.old;
	KUNIT_EXPECT_EQ(test, some_writes(&c), 0);
	set_bit(QCOW_ENDING_INTERRUPTED, &w->base.r->ending);
	err = do_resize(&c, &u);
	/* There may be nothing behind the end that takes time. */
	if (err)
		KUNIT_EXPECT_EQ_MSG(test, err, -EINTR, "image %u: %s", seed, w->base.msg.text);
	KUNIT_EXPECT_EQ(test, w->img->size, !err || smaller ? c.new : c.old);
	KUNIT_EXPECT_EQ(test, u.shown, w->img->size);
	KUNIT_EXPECT_EQ(test, !!strstr(w->base.msg.text, "was interrupted"), !!err);
	clear_bit(QCOW_ENDING_INTERRUPTED, &w->base.r->ending);
	KUNIT_EXPECT_EQ(test, some_writes(&c), 0);
	KUNIT_EXPECT_EQ_MSG(test, do_resize(&c, &u), 0, "image %u: %s", seed, w->base.msg.text);
	KUNIT_EXPECT_EQ(test, w->img->size, c.new);
	KUNIT_EXPECT_EQ(test, some_writes(&c), 0);
	writer_close(w);
	writer_top(w)->m->log = NULL;
	fault = check_disk(&c, writer_top(w)->m->store, memfile_size(writer_top(w)->m),
			   ORACLE_NEVER);
	if (!fault && w->o.k.leaks > w->o.leaks)
		fault = "it leaks";
	if (fault)
		KUNIT_FAIL(test, "image %u (seed %lu): %s", seed, qtest_seed, fault);
	writer_free(w);
}

static void job_resize_interrupted(struct kunit *test)
{
	u32 seed;

	for (seed = 0; seed < LOADS; seed++)
		interrupt_one(test, seed);
}

/*
 * There is no space for the data from below, but for clusters that flushes made free and
 * that were not given back yet.
 */
static void job_stream_reclaims(struct kunit *test)
{
	struct rnd_state rnd = qtest_rnd(54000);
	struct builder_spec specs[2] = {
		{
			.version = 3,
			.cluster_bits = 9,
			.kinds = BUILDER_HOLE,
			.size = 64 * SECTOR,
			.writable = true,
			.order = 4,
			.room = 256 << 10,
		},
		{ .raw = true, .size = 64 * SECTOR },
	};
	struct writer *w = test->priv;
	struct qcow_alloc *a;
	const char *fault;
	u32 got, i;
	u64 first;
	bool fresh;

	KUNIT_ASSERT_EQ(test, writer_build(w, specs, 2, &rnd), 0);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%s", w->base.msg.text);
	a = w->img->alloc;
	for (i = 0; i < 40; i++)
		KUNIT_EXPECT_EQ(test, writer_write(w, i * SECTOR, SECTOR), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	qcow_reclaim_stop(a);
	writer_submit_zero(w, 0, 0, 40 * SECTOR, QCOW_OP_DISCARD);
	KUNIT_EXPECT_EQ(test, writer_wait(w, 0), 0);
	KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	qcow_alloc_return_pool(a);
	a->search.limit = a->search.hint;
	KUNIT_EXPECT_TRUE(test, qcow_release_pending(a));
	KUNIT_EXPECT_EQ(test, qcow_alloc_clusters(a, 1, &first, &got, &fresh), -ENOSPC);
	KUNIT_EXPECT_EQ(test, qcow_stream_some(w->img, w->img->size), 0);
	KUNIT_EXPECT_EQ(test, w->img->filled, w->img->size);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	fault = oracle_check_closed(&w->o);
	KUNIT_EXPECT_TRUE_MSG(test, !fault, "%s", fault);
	writer_free(w);
}

/* Others made the file of a raw image longer. That is not cut off unless asked for. */
static void job_raw_keeps_file(struct kunit *test)
{
	struct builder_spec spec = { .raw = true, .size = 64 << 10, .writable = true };
	struct rnd_state rnd = qtest_rnd(55000);
	struct writer *w = test->priv;
	struct job_case c = { .w = w };
	struct memlog log = { };
	struct memfile *m;
	struct users u;

	KUNIT_ASSERT_EQ(test, builder_build(w->base.c, &spec, 1, &rnd), 0);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	m = writer_top(w)->m;
	w->o.log = &log;
	memfile_set_size(m, 256 << 10);
	for (c.new = 64 << 10; c.new < 256 << 10; c.new += 64 << 10) {
		KUNIT_EXPECT_EQ(test, do_resize(&c, &u), -EINVAL);
		KUNIT_EXPECT_EQ(test, memfile_size(m), 256 << 10);
		KUNIT_EXPECT_EQ(test, w->img->size, 64 << 10);
	}
	c.new = 256 << 10;
	KUNIT_EXPECT_EQ(test, do_resize(&c, &u), 0);
	KUNIT_EXPECT_EQ(test, w->img->size, c.new);
	c.new = 32 << 10;
	KUNIT_EXPECT_EQ(test, do_resize(&c, &u), 0);
	KUNIT_EXPECT_EQ(test, memfile_size(m), c.new);
	w->o.log = NULL;
	writer_close(w);
	builder_free(w->base.c);
}

static struct kunit_case job_test_cases[] = { KUNIT_CASE(job_resize),
					      KUNIT_CASE(job_resize_fails),
					      KUNIT_CASE(job_resize_interrupted),
					      KUNIT_CASE(job_stream),
					      KUNIT_CASE(job_stream_reclaims),
					      KUNIT_CASE(job_raw_keeps_file),
					      {} };

static struct kunit_suite job_suite = {
	.name = "qcow_job",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = job_test_cases,
};

kunit_test_suite(job_suite);
