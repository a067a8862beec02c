// SPDX-License-Identifier: GPL-2.0
/*
 * Every operation on the files of an image that is written, and every
 * allocation, fails in its turn: requests fail or not, old data stays readable, the
 * image stays whole also if the power is cut then, and a request that is tried again
 * works, unless the driver has said that it promises nothing any more.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/slab.h>

#include "file/cache.h"
#include "meta/alloc.h"
#include "meta/flush.h"
#include "fault.h"
#include "data/write.h"
#include "writer.h"

#define SECTOR		512
#define IMAGES		5
#define MAX_IMAGES	30
#define STEPS		14
#define MAX_SITES	400
#define LOG_ENTRIES	2048
#define LOG_BYTES	(4U << 20)

/**
 * struct site - an operation that fails
 * @m: of this file
 * @ops: MEMFILE_*
 * @error: with this
 * @sticky: and all after it
 * @full: of an image whose refcount table must become larger
 * @nth: which
 */
struct site {
	struct memfile *m;
	u32 ops;
	int error;
	bool sticky;
	bool full;
	u32 nth;
};

/* --- The image and the operations on it --- */

static bool full_image(u32 seed)
{
	return seed % IMAGES == IMAGES - 1;
}

/* All kinds of clusters, over a raw image. */
static void build(struct kunit *test, u32 seed)
{
	struct rnd_state rnd = qtest_rnd(50000 + seed);
	struct writer *w = test->priv;
	struct builder_spec specs[2] = {
		{
			.version = seed & 1 ? 2 : 3,
			.cluster_bits = 9 + seed % 3,
			.kinds = BUILDER_ALL,
			.size = 24ULL << (9 + seed % 3),
			.writable = true,
			.order = 4,
			.room = 256 << 10,
		},
		{ .raw = true, .size = 20ULL << (9 + seed % 3) },
	};

	/* One image's file is made longer in steps; one image has subclusters. */
	if (seed == 1)
		specs[0].room = 3 << 19;
	if (seed == 3) {
		specs[0].cluster_bits = 14;
		specs[0].version = 3;
		specs[0].extended_l2 = true;
		specs[0].size = 6 << 14;
		specs[0].room = 4 << 20;
		specs[1].size = 5 << 14;
	}
	if (full_image(seed)) {
		specs[0].version = 3;
		specs[0].cluster_bits = 9;
		specs[0].order = 6;
		specs[0].full = true;
		specs[0].size = 12 << 9;
		specs[1].size = 10 << 9;
		specs[0].room = (2 << 20) + (128 << 10);
	}
	KUNIT_ASSERT_EQ(test, writer_build(w, specs, 2, &rnd), 0);
	KUNIT_ASSERT_EQ(test, oracle_log(&w->o, LOG_ENTRIES, LOG_BYTES), 0);
}

static void random_piece(struct writer *w, struct rnd_state *rnd, u64 *guest_offset, u32 *len)
{
	u32 sectors = writer_top(w)->size / SECTOR;
	u32 cluster = SECTOR << (writer_top(w)->spec.cluster_bits - 9);

	*guest_offset = (u64)qtest_below(rnd, sectors) * SECTOR;
	*len = (1 + qtest_below(rnd, 2 * cluster / SECTOR)) * SECTOR;
	*len = min_t(u64, *len, writer_top(w)->size - *guest_offset);
}

/* An operation that fails is tried once more. Return: the last outcome, or READER_*. */
static int write_step(struct writer *w, struct rnd_state *rnd, u32 *failed)
{
	int verdict;
	u64 guest_offset;
	u32 len;

	random_piece(w, rnd, &guest_offset, &len);
	verdict = writer_write(w, guest_offset, len);
	if (verdict >= 0)
		return verdict;
	++*failed;
	return writer_write(w, guest_offset, len);
}

static int flush_step(struct writer *w, u32 *failed)
{
	int err = writer_flush(w);

	if (!err)
		return 0;
	++*failed;
	return writer_flush(w);
}

/* Return: 0, the last error that trying again did not help, or READER_*. */
static int all_steps(struct writer *w, u32 seed, u32 *failed)
{
	struct rnd_state rnd = qtest_rnd(51000 + seed);
	int verdict = 0, v;
	u32 i;

	for (i = 1; i <= STEPS; i++) {
		v = write_step(w, &rnd, failed);
		if (v > 0)
			return v;
		verdict = v ?: verdict;
		if (i % 5)
			continue;
		verdict = flush_step(w, failed) ?: verdict;
	}
	return flush_step(w, failed) ?: verdict;
}

/* --- Operations on files --- */

static const char *site_name(const struct site *s)
{
	switch (s->ops) {
	case MEMFILE_READ:
		return "read";
	case MEMFILE_WRITE:
		return "write";
	case MEMFILE_SYNC:
		return "sync";
	case MEMFILE_FALLOC:
		return "fallocate";
	}
	return "truncate";
}

static void site_fail(struct kunit *test, const struct site *s, u32 seed,
		      const char *why)
{
	KUNIT_FAIL(test, "image %u (seed %lu), %s %u fails with %d%s: %s", seed,
		   qtest_seed, site_name(s), s->nth, s->error,
		   s->sticky ? ", and all after it" : "", why);
}

/* Errors that may stay: it is unknown which metadata reached the file. */
static bool may_stay(const struct site *s, int verdict)
{
	if (s->sticky && verdict == s->error)
		return true;
	/* -EIO also stays after a failed write of the header with a new refcount table. */
	return verdict == -EIO &&
	       (s->error == -EIO || s->ops == MEMFILE_SYNC || s->full);
}

static void run_opened(struct kunit *test, const struct site *s, u32 seed)
{
	struct rnd_state rnd = qtest_rnd(52000 + seed);
	struct writer *w = test->priv;
	const char *fault;
	u32 failed = 0;
	int verdict;

	verdict = all_steps(w, seed, &failed);
	if (verdict && !may_stay(s, verdict))
		site_fail(test, s, seed, verdict > 0 ? "wrong end" : "trying again does not help");
	if (!s->sticky) {
		/* A write that failed twice may be there in part. */
		s->m->mode.fail_at = 0;
		if (!verdict && writer_read_back(w))
			site_fail(test, s, seed, "wrong bytes");
	}
	fault = oracle_check_cuts(&w->o, &rnd);
	if (fault)
		site_fail(test, s, seed, fault);
	writer_close(w);
}

/* Return: whether there was such an operation. */
static bool run_site(struct kunit *test, const struct site *s,
		     const struct memfile_mode *base, u32 seed)
{
	struct memfile_mode mode = *base;
	struct writer *w = test->priv;
	const char *fault;
	int err;

	builder_set_mode(w->base.c, base);
	writer_restart(w);
	mode.fail_ops = s->ops;
	mode.fail_at = s->nth;
	mode.sticky = s->sticky;
	mode.error = s->error;
	memfile_set_mode(s->m, &mode);
	err = writer_open(w);
	if (err && err != s->error)
		site_fail(test, s, seed, "other error of open");
	if (err && !s->sticky && writer_open(w))
		site_fail(test, s, seed, "cannot be opened after that");
	if (w->img)
		run_opened(test, s, seed);
	KUNIT_EXPECT_TRUE(test, builder_idle(w->base.c));
	fault = oracle_check_closed(&w->o);
	if (fault)
		site_fail(test, s, seed, fault);
	return atomic_read(&s->m->injected);
}

static u32 run_sites(struct kunit *test, struct memfile *m, u32 ops, int error,
		     u32 seed)
{
	struct memfile_mode base = {
		.nowait = seed & 1, .async = seed & 2, .direct = seed & 4,
		.dio_align = 512,
	};
	struct site s = { .m = m, .ops = ops, .error = error,
			  .full = full_image(seed) };
	/* Images with a large file take long. */
	u32 total = 0, sticky, ways = full_image(seed) ? 1 : 2;

	for (sticky = 0; sticky < ways; sticky++) {
		s.sticky = sticky;
		for (s.nth = 1; s.nth < MAX_SITES; s.nth++, total++)
			if (!run_site(test, &s, &base, seed))
				break;
	}
	return total;
}

static void wfault_files(struct kunit *test)
{
	ktime_t start = ktime_get();
	struct writer *w = test->priv;
	u32 seed, total = 0, op;

	for (seed = 0; seed < IMAGES; seed++) {
		build(test, seed);
		for (op = 0; op < MEMFILE_OPS; op++)
			total += run_sites(test, writer_top(w)->m, BIT(op), -EIO, seed);
		total += run_sites(test, writer_top(w)->m, MEMFILE_WRITE, -ENOSPC, seed);
		total += run_sites(test, writer_top(w)->m, MEMFILE_SYNC, -ENOSPC, seed);
		total += run_sites(test, w->base.c->img[1].m, MEMFILE_READ, -EIO, seed);
		writer_free(w);
	}
	kunit_info(test, "%u operations failed, %lld ms\n", total,
		   ktime_ms_delta(ktime_get(), start));
	KUNIT_EXPECT_GT(test, total, 200);
}

/* --- A full disk --- */

/*
 * Return: whether all went well with so much room. @stuck counts disks on which
 * even a flush of nothing new fails for lack of room: it is no fault.
 */
static bool run_room(struct kunit *test, u64 room, u32 seed, u32 *stuck)
{
	struct memfile_mode mode = { .nowait = seed & 1, .async = seed & 2 };
	struct rnd_state rnd = qtest_rnd(52000 + seed);
	struct writer *w = test->priv;
	const char *fault;
	u32 failed = 0;
	int verdict, err;

	mode.room = room;
	builder_set_mode(w->base.c, &mode);
	writer_restart(w);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	verdict = all_steps(w, seed, &failed);
	if (verdict && verdict != -ENOSPC)
		KUNIT_FAIL(test, "image %u, room %llu: %d", seed, room, verdict);
	*stuck += writer_flush(w) == -ENOSPC;
	fault = oracle_check_cuts(&w->o, &rnd);
	if (fault)
		KUNIT_FAIL(test, "image %u, room %llu: %s", seed, room, fault);
	writer_top(w)->m->mode.room = 0;
	err = all_steps(w, seed, &failed);
	if (err)
		KUNIT_FAIL(test, "image %u, room %llu, then more: %d", seed, room, err);
	err = writer_read_back(w);
	if (err)
		KUNIT_FAIL(test, "image %u, room %llu, then more: read back: %d", seed,
			   room, err);
	writer_close(w);
	fault = oracle_check_closed(&w->o);
	if (fault || w->o.k.leaks != w->o.leaks)
		KUNIT_FAIL(test, "image %u, room %llu: %s, %u leaks", seed, room,
			   fault, w->o.k.leaks - w->o.leaks);
	return !verdict;
}

/* Less and less is missing, until nothing is. */
static void wfault_room(struct kunit *test)
{
	struct writer *w = test->priv;
	u32 seed, total = 0, stuck = 0;
	u64 room;

	for (seed = 0; seed + 1 < IMAGES; seed++) {
		build(test, seed);
		room = writer_top(w)->file_len;
		while (!run_room(test, room, seed, &stuck) && total++ < MAX_SITES)
			room += SECTOR << seed;
		writer_free(w);
	}
	kunit_info(test, "%u disks were full, flushes failed on %u\n", total, stuck);
	KUNIT_EXPECT_GT(test, total, 10);
}

/* How it turns out that there is no room for a larger refcount table. */
enum no_room { NO_SPACE, NO_SPACE_WHEN_WRITTEN, NO_MORE_OF_DEVICE, NO_ROOMS };

/* All clusters are taken. Writes until then can be flushed. */
static void run_full(struct kunit *test, enum no_room why)
{
	struct memfile_mode mode = {
		.fail_ops = MEMFILE_FALLOC,
		.fail_at = why == NO_SPACE_WHEN_WRITTEN,
		.sticky = true,
		.error = -EOPNOTSUPP,
	};
	struct writer *w = test->priv;
	u64 covered = 64 * 64, first;
	const char *fault;
	bool fresh;
	u32 got, n = 0;
	int err;

	if (why != NO_MORE_OF_DEVICE)
		mode.room = (covered + 2) * SECTOR;
	builder_set_mode(w->base.c, &mode);
	writer_restart(w);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	if (why == NO_MORE_OF_DEVICE)
		w->img->alloc->search.limit = covered + 2;
	KUNIT_EXPECT_EQ(test, writer_write(w, 0, 2 * SECTOR), 0);
	do {
		err = qcow_alloc_clusters(w->img->alloc, 1, &first, &got, &fresh);
	} while (!err && ++n < covered);
	KUNIT_EXPECT_EQ_MSG(test, err, -ENOSPC, "%u", why);
	KUNIT_EXPECT_EQ_MSG(test, writer_flush(w), 0, "%u", why);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	fault = oracle_check_closed(&w->o);
	if (fault)
		KUNIT_FAIL(test, "%u: %s", why, fault);
	KUNIT_EXPECT_LE(test, memfile_size(writer_top(w)->m), covered * SECTOR);
}

static void wfault_full(struct kunit *test)
{
	enum no_room why;

	build(test, IMAGES - 1);
	for (why = 0; why < NO_ROOMS; why++)
		run_full(test, why);
	writer_free(test->priv);
}

/* --- Allocations --- */

/* When an allocation fails. */
enum stage { STAGE_OPEN, STAGE_WRITE, STAGE_FLUSH, STAGE_CLOSE, STAGES };

static int verdict_of(struct kunit *test, int verdict, u32 nth, const char *what)
{
	if (verdict && verdict != -ENOMEM)
		KUNIT_FAIL(test, "allocation %u of %s failed: %d", nth, what, verdict);
	return verdict;
}

static bool fail_open(struct kunit *test, u32 nth)
{
	struct writer *w = test->priv;
	bool failed;
	int err;

	fault_arm(nth);
	err = writer_open(w);
	failed = fault_disarm();
	verdict_of(test, err, nth, "open");
	if (err && !failed)
		KUNIT_FAIL(test, "open failed, and no allocation did");
	if (err)
		KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	return failed;
}

/* The worker's work is done here instead, where allocations can fail. */
static bool fail_write(struct kunit *test, u32 nth)
{
	struct writer *w = test->priv;
	struct qcow_io *io = &w->base.r->io[0].io;
	u32 len = min_t(u64, w->img->size, READER_PIECES * READER_PIECE);
	bool failed = false;

	writer_submit(w, 0, SECTOR, len - 2 * SECTOR, true, NULL);
	if (cancel_work(&io->work)) {
		fault_arm(nth);
		io->work.func(&io->work);
		failed = fault_disarm();
	}
	if (verdict_of(test, writer_wait(w, 0), nth, "write")) {
		writer_submit(w, 0, SECTOR, len - 2 * SECTOR, true, NULL);
		KUNIT_EXPECT_EQ_MSG(test, writer_wait(w, 0), 0, "after allocation %u", nth);
	}
	return failed;
}

static bool fail_flush(struct kunit *test, u32 nth)
{
	struct writer *w = test->priv;
	bool failed;
	int err;

	fault_arm(nth);
	err = writer_flush(w);
	failed = fault_disarm();
	if (verdict_of(test, err, nth, "flush"))
		KUNIT_EXPECT_EQ_MSG(test, writer_flush(w), 0, "after allocation %u", nth);
	return failed;
}

static bool fail_close(struct kunit *test, u32 nth)
{
	fault_arm(nth);
	writer_close(test->priv);
	return fault_disarm();
}

/* Return: whether there were @nth allocations at @stage. */
static bool fail_at_stage(struct kunit *test, enum stage stage, u32 nth, u32 seed)
{
	struct rnd_state rnd = qtest_rnd(52000 + seed);
	struct writer *w = test->priv;
	const char *fault;
	bool more = false;
	u32 failed = 0;

	writer_restart(w);
	if (stage == STAGE_OPEN)
		more = fail_open(test, nth);
	else
		KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	if (stage == STAGE_WRITE)
		more = fail_write(test, nth);
	else
		KUNIT_EXPECT_EQ(test, all_steps(w, seed, &failed), 0);
	KUNIT_EXPECT_EQ(test, write_step(w, &rnd, &failed), 0);
	if (stage == STAGE_FLUSH)
		more = fail_flush(test, nth);
	else
		KUNIT_EXPECT_EQ(test, flush_step(w, &failed), 0);
	KUNIT_EXPECT_EQ(test, failed, 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	fault = oracle_check_cuts(&w->o, &rnd);
	if (stage == STAGE_CLOSE)
		more = fail_close(test, nth);
	else
		writer_close(w);
	fault = fault ?: oracle_check_closed(&w->o);
	if (fault)
		KUNIT_FAIL(test, "image %u, stage %u, allocation %u: %s", seed, stage,
			   nth, fault);
	KUNIT_EXPECT_TRUE(test, builder_idle(w->base.c));
	return more;
}

static bool all_above(const u32 *total)
{
	return total[STAGE_OPEN] && total[STAGE_WRITE] && total[STAGE_FLUSH] &&
	       total[STAGE_CLOSE];
}

static void wfault_allocations(struct kunit *test)
{
	u32 seed, stage, n, total[STAGES] = { };
	struct writer *w = test->priv;

	if (!fault_begin())
		kunit_skip(test, "the kernel injects no faults");
	/* More images if there was nothing to allocate at some stage. */
	for (seed = 0; seed < IMAGES || (seed < MAX_IMAGES && !all_above(total)); seed++) {
		struct memfile_mode mode = { .async = seed & 2 };

		build(test, seed);
		builder_set_mode(w->base.c, &mode);
		for (stage = 0; stage < STAGES; stage++)
			for (n = 1; n < MAX_SITES; n++, total[stage]++)
				if (!fail_at_stage(test, stage, n, seed))
					break;
		writer_free(w);
	}
	fault_end();
	kunit_info(test, "allocations failed: %u of opens, %u of writes, %u of flushes, %u of closes\n",
		   total[0], total[1], total[2], total[3]);
	for (stage = 0; stage < STAGES; stage++)
		KUNIT_EXPECT_GT(test, total[stage], 0);
}

/* --- A sync that failed for somebody else --- */

struct committer {
	struct work_struct work;
	struct qcow_alloc *a;
	int err;
};

static void committer_work(struct work_struct *work)
{
	struct committer *c = container_of(work, struct committer, work);

	c->err = qcow_flush(c->a);
}

/* A flush waits behind a writer of metadata, whose sync fails. */
static void wfault_waiting(struct kunit *test)
{
	struct writer *w = test->priv;
	struct committer c = { .err = 1 };
	u64 begun;

	build(test, 0);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	KUNIT_EXPECT_EQ(test, writer_write(w, 0, 2 * SECTOR), 0);
	c.a = w->img->alloc;
	INIT_WORK_ONSTACK(&c.work, committer_work);
	begun = atomic64_read(&c.a->flush.begun);
	mutex_lock(&c.a->store_lock);
	queue_work(qtest_wq, &c.work);
	while (atomic64_read(&c.a->flush.begun) == begun)
		msleep(20);
	msleep(50);
	c.a->failed = -EIO;
	mutex_unlock(&c.a->store_lock);
	flush_work(&c.work);
	destroy_work_on_stack(&c.work);
	KUNIT_EXPECT_EQ(test, c.err, -EIO);
	writer_close(w);
	writer_free(w);
}

/* --- A sync that failed: memory --- */

#define BOUND_CLUSTER	SECTOR
#define BOUND_SLICE	(64 * BOUND_CLUSTER)
#define BOUND_TABLES	120
#define BOUND_LIMIT	10

/* Each L2 table is one slice. */
static void build_slices(struct kunit *test, u32 kinds)
{
	struct rnd_state rnd = qtest_rnd(52000);
	struct writer *w = test->priv;
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = 9,
		.kinds = kinds,
		.size = BOUND_TABLES * BOUND_SLICE,
		.writable = true,
		.order = 4,
		.room = 1 << 20,
	};

	KUNIT_ASSERT_EQ(test, writer_build(w, &spec, 1, &rnd), 0);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	w->img->cache->limit = BOUND_LIMIT;
	w->img->alloc->counts.cache->limit = BOUND_LIMIT;
}

/* The number of operations of one kind that worked, one for each L2 table. */
static u32 until_refused(struct kunit *test, enum qcow_op op)
{
	struct writer *w = test->priv;
	u32 i, ok = 0;
	u64 guest_offset;

	for (i = 1; i < BOUND_TABLES; i++) {
		int err;

		guest_offset = (u64)i * BOUND_SLICE;
		if (op == QCOW_OP_WRITE) {
			err = writer_write(w, guest_offset, SECTOR);
		} else {
			writer_submit_zero(w, 0, guest_offset, BOUND_CLUSTER, op);
			err = writer_wait(w, 0);
		}
		if (err)
			KUNIT_EXPECT_EQ(test, err, -EIO);
		else
			ok++;
	}
	return ok;
}

/* Nothing is durable any more: changes of metadata are refused before long. */
static void refuse_unbounded(struct kunit *test, u32 kinds, enum qcow_op op)
{
	struct memfile_mode bad = { .fail_ops = MEMFILE_SYNC, .fail_at = 1, .sticky = true };
	struct writer *w = test->priv;
	struct qcow_alloc *a;

	build_slices(test, kinds);
	a = w->img->alloc;
	KUNIT_EXPECT_EQ(test, writer_write(w, 0, SECTOR), 0);
	builder_set_mode(w->base.c, &bad);
	KUNIT_EXPECT_EQ(test, writer_flush(w), -EIO);
	KUNIT_EXPECT_NE(test, a->failed, 0);
	KUNIT_EXPECT_LT(test, until_refused(test, op), 2 * BOUND_LIMIT);
	KUNIT_EXPECT_LT(test, w->img->cache->nr_dirty, 2 * BOUND_LIMIT);
	KUNIT_EXPECT_LT(test, a->counts.cache->nr_dirty, 2 * BOUND_LIMIT);
	/* Writes in place go on, and all can be read. */
	KUNIT_EXPECT_EQ(test, writer_write(w, 0, SECTOR), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	writer_free(w);
}

static void wfault_bounded(struct kunit *test)
{
	refuse_unbounded(test, BUILDER_HOLE, QCOW_OP_WRITE);
	refuse_unbounded(test, BUILDER_DATA, QCOW_OP_UNMAP);
	refuse_unbounded(test, BUILDER_DATA, QCOW_OP_DISCARD);
	refuse_unbounded(test, BUILDER_DATA, QCOW_OP_ZERO);
}

/* --- A raw image --- */

/* Nothing tells which data a failed sync has lost: no later one says that all is well. */
static void wfault_raw_sync(struct kunit *test)
{
	struct builder_spec spec = { .raw = true, .size = 64 << 10, .writable = true };
	struct memfile_mode fails = { .fail_ops = MEMFILE_SYNC, .fail_at = 2 }, plain = { };
	struct rnd_state rnd = qtest_rnd(59000);
	struct writer *w = test->priv;
	struct memfile *m;

	KUNIT_ASSERT_EQ(test, builder_build(w->base.c, &spec, 1, &rnd), 0);
	m = writer_top(w)->m;
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	memfile_set_mode(m, &fails);
	KUNIT_EXPECT_EQ(test, writer_write(w, 0, 4096), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	KUNIT_EXPECT_EQ(test, writer_write(w, 4096, 4096), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(w), -EIO);
	memfile_set_mode(m, &plain);
	KUNIT_EXPECT_EQ(test, writer_write(w, 8192, 4096), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(w), -EIO);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	KUNIT_EXPECT_EQ(test, qcow_image_close_chain(w->img), -EIO);
	w->img = NULL;
}

/* A discard whose filesystem says -EAGAIN fails; it is not tried again for ever. */
static void wfault_raw_again(struct kunit *test)
{
	struct builder_spec spec = { .raw = true, .size = 64 << 10, .writable = true };
	struct memfile_mode fails = {
		.fail_ops = MEMFILE_FALLOC,
		.fail_at = 1,
		.sticky = true,
		.error = -EAGAIN,
	}, plain = { };
	struct rnd_state rnd = qtest_rnd(59100);
	struct writer *w = test->priv;

	KUNIT_ASSERT_EQ(test, builder_build(w->base.c, &spec, 1, &rnd), 0);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	memfile_set_mode(writer_top(w)->m, &fails);
	writer_submit_zero(w, 0, 0, 4096, QCOW_OP_DISCARD);
	KUNIT_EXPECT_EQ(test, writer_wait(w, 0), -EIO);
	memfile_set_mode(writer_top(w)->m, &plain);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	KUNIT_EXPECT_EQ(test, qcow_image_close_chain(w->img), 0);
	w->img = NULL;
}

static struct kunit_case wfault_test_cases[] = {
	KUNIT_CASE(wfault_files),
	KUNIT_CASE(wfault_room),
	KUNIT_CASE(wfault_full),
	KUNIT_CASE(wfault_allocations),
	KUNIT_CASE(wfault_waiting),
	KUNIT_CASE(wfault_bounded),
	KUNIT_CASE(wfault_raw_sync),
	KUNIT_CASE(wfault_raw_again),
	{ }
};

static struct kunit_suite wfault_suite = {
	.name = "qcow_write_fault",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = wfault_test_cases,
};

kunit_test_suite(wfault_suite);
