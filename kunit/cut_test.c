// SPDX-License-Identifier: GPL-2.0
/*
 * Power cuts at any moment of a random load: each leaves an image without
 * corruption, in which each sector has its content of the last flush or of a later
 * write.
 */
#include <linux/ktime.h>
#include <linux/slab.h>

#include "meta/flush.h"
#include "fault.h"
#include "writer.h"

#define SECTOR		512
#define LOADS		20
#define FULL_LOADS	6
#define CRYPT_LOADS	5
#define STEPS		40
#define CUTS		160
#define FULL_CUTS	40
#define LOG_ENTRIES	8192
#define LOG_BYTES	(16U << 20)

/**
 * struct load - writes that are under way at once
 * @w: the image
 * @rnd: where it comes from
 * @busy: slots with a write under way
 * @fua: slots of these whose write is durable when it ends
 * @faults: flushes may lack memory
 */
struct load {
	struct writer *w;
	struct rnd_state rnd;
	u32 busy;
	u32 fua;
	bool faults;
};

/* --- The load --- */

static int load_wait(struct load *l, u32 slot)
{
	int err;

	if (!(l->busy & BIT(slot)))
		return 0;
	l->busy &= ~BIT(slot);
	err = writer_wait(l->w, slot);
	if (err || !(l->fua & BIT(slot)))
		return err;
	l->fua &= ~BIT(slot);
	return writer_flush_range(l->w, slot);
}

static int load_wait_all(struct load *l)
{
	int err = 0;
	u32 i;

	for (i = 0; !err && i < READER_PARALLEL; i++)
		err = load_wait(l, i);
	return err;
}

/* Some places are written often, whole clusters as well as parts. */
static int load_write(struct load *l)
{
	u32 sectors = l->w->img->size / SECTOR;
	u32 cluster = 1U << (l->w->img->layout.cluster_bits - 9);
	u32 slot = qtest_below(&l->rnd, READER_PARALLEL);
	u32 first = qtest_below(&l->rnd, sectors);
	u32 len = 1 + qtest_below(&l->rnd, 2 * cluster);
	int err;

	err = load_wait(l, slot);
	if (err)
		return err;
	if (qtest_one_in(&l->rnd, 2))
		first %= 4 * cluster;
	if (qtest_one_in(&l->rnd, 3)) {
		first = rounddown(first, cluster);
		len = roundup(len, cluster);
	}
	len = min3(len, sectors - first, 256U);
	l->busy |= BIT(slot);
	if (qtest_one_in(&l->rnd, 5)) {
		writer_submit_zero(l->w, slot, (u64)first * SECTOR, len * SECTOR,
				   QCOW_OP_ZERO + qtest_below(&l->rnd, 3));
		return 0;
	}
	if (qtest_one_in(&l->rnd, 6))
		l->fua |= BIT(slot);
	writer_submit(l->w, slot, (u64)first * SECTOR, len * SECTOR,
		      qtest_one_in(&l->rnd, 4), &l->rnd);
	return 0;
}

/* A flush; without memory once in a while. */
static int load_flush(struct load *l, bool of_guest)
{
	bool starved = l->faults && qtest_one_in(&l->rnd, 3);
	int err;

	if (starved)
		fault_starve(false);
	err = of_guest ? writer_flush(l->w) : qcow_flush(l->w->img->alloc);
	if (starved)
		fault_feed();
	return err;
}

static int load_step(struct load *l)
{
	int err = 0;

	switch (qtest_below(&l->rnd, 8)) {
	case 0:
		err = load_wait_all(l);
		return err ?: load_flush(l, true);
	case 1: /* with writes under way */
		return load_flush(l, true);
	case 2: /* as it comes in the background */
		return qtest_one_in(&l->rnd, 2) ? load_flush(l, false) : 0;
	default:
		return load_write(l);
	}
}

static int load_run(struct load *l)
{
	int err = 0, last;
	u32 i;

	for (i = 0; !err && i < STEPS; i++)
		err = load_step(l);
	last = load_wait_all(l);
	return err ?: last;
}

/* --- Cuts --- */

/* Anywhere, on average as often as that. */
static u32 next_cut(const struct memlog *log, u32 last, u32 cuts,
		    struct rnd_state *rnd)
{
	u32 step = max(2 * log->clock / cuts, 1U);

	return last + 1 + qtest_below(rnd, step);
}

/* @last: stamp of the last cut, which @d is left with */
static u32 cut_log(struct kunit *test, struct memlog_disk *d, u32 seed,
		   struct rnd_state *rnd, u32 *last)
{
	struct writer *w = test->priv;
	u32 cuts = writer_top(w)->spec.full || w->o.crypt ? FULL_CUTS : CUTS;
	u32 when, cut, n = 0;
	const char *fault;

	for (when = 1; when <= d->log->clock + 1;
	     when = next_cut(d->log, when, cuts, rnd)) {
		*last = when;
		for (cut = 0; cut < MEMLOG_CUTS; cut++) {
			memlog_disk_cut(d, when, cut, rnd);
			fault = oracle_check(&w->o, d->data, min(d->size, d->capacity), when);
			n++;
			if (!fault)
				continue;
			KUNIT_FAIL(test, "load %u (seed %lu) cut at %u, kind %u: %s",
				   seed, qtest_seed, when, cut, fault);
			return n;
		}
	}
	return n;
}

/* An image that was left at @when can be written again. */
static void write_after_cut(struct kunit *test, struct memlog_disk *d, u32 seed,
			    struct rnd_state *rnd, u32 when)
{
	struct writer *w = test->priv;
	u64 size = min(d->size, d->capacity);
	struct load l = { .w = w, .rnd = *rnd };
	const char *fault;
	u32 i;

	oracle_cut(&w->o, when);
	memfile_rewrite(writer_top(w)->m, d->data, size);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "load %u: %s", seed, w->base.msg.text);
	for (i = 0; i < STEPS; i++)
		KUNIT_EXPECT_EQ(test, load_write(&l), 0);
	KUNIT_EXPECT_EQ(test, load_wait_all(&l), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	writer_close(w);
	fault = oracle_check_closed(&w->o);
	if (fault)
		KUNIT_FAIL(test, "load %u (seed %lu), written after a cut: %s", seed,
			   qtest_seed, fault);
}

/* Special properties of an image. */
enum build_kind {
	BUILD_ANY,
	BUILD_FULL,	/* the refcount table must become larger */
	BUILD_CRYPT,	/* encrypted */
};

static void build(struct kunit *test, enum build_kind kind, struct rnd_state *rnd)
{
	bool full = kind == BUILD_FULL;
	struct builder_spec specs[2];
	struct memfile_mode mode;
	struct writer *w = test->priv;

	builder_random_spec(rnd, &specs[1]);
	specs[1].raw = true;
	if (kind == BUILD_CRYPT)
		writer_encrypted_spec(rnd, &specs[0]);
	else
		writer_random_spec(rnd, &specs[0]);
	specs[0].size = min_t(u64, specs[0].size, 64 << 10);
	/* A cut leaks a batch of clusters, of 4 MiB, and another one is taken. */
	specs[0].room = 10 << 20;
	if (full) {
		specs[0].version = 3;
		specs[0].extended_l2 = false;
		specs[0].cluster_bits = 9;
		specs[0].order = 6;
		specs[0].full = true;
		specs[0].kinds = BUILDER_HOLE | BUILDER_DATA;
		specs[0].size = 96 << 9;
		specs[0].room = 3 << 20;
	}
	KUNIT_ASSERT_EQ(test, writer_build(w, specs, 1 + qtest_one_in(rnd, 2), rnd), 0);
	if (kind == BUILD_CRYPT)
		KUNIT_ASSERT_EQ(test, writer_encrypt(w), 0);
	writer_random_mode(rnd, &mode);
	builder_set_mode(w->base.c, &mode);
	KUNIT_ASSERT_EQ(test, oracle_log(&w->o, LOG_ENTRIES, LOG_BYTES), 0);
}

/* @grown: counts refcount tables that became larger */
static u32 cut_load(struct kunit *test, u32 seed, enum build_kind kind, u32 *grown)
{
	bool full = kind == BUILD_FULL;
	struct writer *w = test->priv;
	struct memlog_disk *d = &w->o.disk;
	struct load l = { .w = w, .faults = fault_begin() };
	u32 n, last = 0;

	l.rnd = qtest_rnd(30000 + seed);
	build(test, kind, &l.rnd);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "load %u: %s", seed, w->base.msg.text);
	KUNIT_EXPECT_EQ_MSG(test, load_run(&l), 0, "load %u", seed);
	if (l.faults)
		fault_end();
	writer_close(w);
	writer_top(w)->m->log = NULL;
	KUNIT_EXPECT_FALSE(test, w->o.log->full);
	if (full && oracle_check_closed(&w->o))
		KUNIT_FAIL(test, "load %u: %s", seed, w->o.k.text);
	if (full)
		*grown += w->o.k.table_at != 1ULL << w->o.k.bits;
	memlog_disk_start(d, writer_top(w)->file, writer_top(w)->file_len);
	n = cut_log(test, d, seed, &l.rnd, &last);
	write_after_cut(test, d, seed, &l.rnd, last);
	writer_free(w);
	return n;
}

static void cut_loads(struct kunit *test, u32 nr, enum build_kind kind)
{
	ktime_t start = ktime_get();
	u32 seed, n = 0, grown = 0;

	for (seed = 0; seed < nr; seed++)
		n += cut_load(test, 1000 * kind + seed, kind, &grown);
	kunit_info(test, "%u cuts (seed %lu), %lld ms\n", n, qtest_seed,
		   ktime_ms_delta(ktime_get(), start));
	KUNIT_EXPECT_GT(test, n, nr * 50);
	KUNIT_EXPECT_GE(test, grown, kind == BUILD_FULL ? 1 : 0);
}

static void cut_random(struct kunit *test)
{
	cut_loads(test, LOADS, BUILD_ANY);
}

static void cut_table_growth(struct kunit *test)
{
	cut_loads(test, FULL_LOADS, BUILD_FULL);
}

static void cut_encrypted(struct kunit *test)
{
	cut_loads(test, CRYPT_LOADS, BUILD_CRYPT);
}

static struct kunit_case cut_test_cases[] = {
	KUNIT_CASE(cut_random),
	KUNIT_CASE(cut_table_growth),
	KUNIT_CASE(cut_encrypted),
	{ }
};

static struct kunit_suite cut_suite = {
	.name = "qcow_cut",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = cut_test_cases,
};

kunit_test_suite(cut_suite);
