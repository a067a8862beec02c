// SPDX-License-Identifier: GPL-2.0
/*
 * Bitmaps of images that are written: their bits, also when the power is cut at any
 * moment, when an operation on the file fails, and when they are damaged.
 */
#include <linux/slab.h>

#include "compat/compat_test.h"
#include "jobs/bitmap_ops.h"
#include "meta/alloc.h"
#include "meta/bitmap.h"
#include "meta/bitmap_life.h"
#include "meta/flush.h"
#include "fault.h"
#include "writer.h"

#define SECTOR		512
#define SECTORS		384 /* of a disk, at most */
#define STEPS		12
#define SEEDS		16
#define CUT_SEEDS	4
#define CUTS		30
#define DAMAGES		400
#define MAX_SITES	300
#define MAX_ROW		4
#define LOG_ENTRIES	4096
#define LOG_BYTES	(8U << 20)

/**
 * struct expected - the bits that a bitmap has to have
 * @shift: log2 of its granularity
 * @bits: a byte for each
 */
struct expected {
	u32 shift;
	u8 bits[SECTORS];
};

/**
 * struct bitmap_test - an image with bitmaps
 * @w: the image
 * @file: the file before the attempt
 * @file_len: bytes of it
 * @kept: the bitmap that is kept up to date
 * @before: @kept, before the attempt
 * @off: the one that is disabled
 * @late: the one that is made meanwhile
 */
struct bitmap_test {
	struct writer w;
	u8 *file;
	u64 file_len;
	struct expected kept;
	struct expected before;
	struct expected off;
	struct expected late;
};

static int bitmap_test_init(struct kunit *test)
{
	return writer_fixture_init(test, sizeof(struct bitmap_test));
}

static void bitmap_test_exit(struct kunit *test)
{
	struct bitmap_test *t = test->priv;

	if (t)
		kvfree(t->file);
	writer_test_exit(test);
}

/* --- Expected bits --- */

static void expect_dirty(struct expected *e, u64 guest_offset, u64 len)
{
	u64 i;

	for (i = guest_offset >> e->shift; i <= (guest_offset + len - 1) >> e->shift; i++)
		e->bits[i] = 1;
}

static u64 nr_bits(const struct bitmap_test *t, const struct expected *e)
{
	return DIV_ROUND_UP_ULL(t->w.base.c->img[0].size, 1ULL << e->shift);
}

/* Whether a bitmap in the file has the expected bits, and zeros behind them. */
static bool says(struct bitmap_test *t, const struct checker_bitmap *b,
		 const struct expected *e)
{
	u64 i, nr = nr_bits(t, e);

	if (b->granularity_bits != e->shift)
		return false;
	for (i = 0; i < nr; i++)
		if (checker_bitmap_bit(&t->w.o.k, b, i) != e->bits[i])
			return false;
	for (; i < (u64)b->table_size * 8 << t->w.o.k.bits; i++)
		if (checker_bitmap_bit(&t->w.o.k, b, i))
			return false;
	return true;
}

static const char *check_stored(struct bitmap_test *t, const char *name, u32 flags,
				const struct expected *e)
{
	struct checker_bitmap b;

	if (!checker_find_bitmap(&t->w.o.k, name, &b))
		return "a bitmap is gone";
	if (b.flags != flags)
		return "the flags of a bitmap";
	return says(t, &b, e) ? NULL : "the bits of a bitmap";
}

/* --- Operations --- */

static void random_spec(struct rnd_state *rnd, struct builder_spec *spec)
{
	writer_random_spec(rnd, spec);
	spec->version = 3;
	spec->order = max(spec->order, 1U);
	spec->size = min_t(u64, spec->size, SECTORS * SECTOR);
	spec->room += 4 << 20;
}

static void build(struct kunit *test, struct rnd_state *rnd)
{
	struct bitmap_test *t = test->priv;
	struct builder_spec spec;
	struct memfile_mode mode;

	do {
		random_spec(rnd, &spec);
	} while (spec.backing || spec.size < 8 * SECTOR);
	memset(&t->kept, 0, sizeof(t->kept));
	memset(&t->off, 0, sizeof(t->off));
	memset(&t->late, 0, sizeof(t->late));
	t->kept.shift = 9 + qtest_below(rnd, 8);
	t->off.shift = 9 + qtest_below(rnd, 8);
	t->late.shift = 9;
	KUNIT_ASSERT_EQ(test, writer_build(&t->w, &spec, 1, rnd), 0);
	writer_random_mode(rnd, &mode);
	builder_set_mode(t->w.base.c, &mode);
}

static int open_image(struct bitmap_test *t)
{
	struct writer *w = &t->w;

	return writer_open(w) ?: qcow_image_start(w->img, &w->base.msg);
}

static int add(struct bitmap_test *t, const char *name, u32 shift)
{
	return qcow_bitmap_add(t->w.img, name, 1ULL << shift, NULL);
}

static int change_disk(struct bitmap_test *t, struct rnd_state *rnd,
		       struct expected *late)
{
	u32 sectors = t->w.img->size / SECTOR;
	u64 guest_offset = (u64)qtest_below(rnd, sectors) * SECTOR;
	u32 len = (1 + qtest_below(rnd, 24)) * SECTOR;

	len = min_t(u64, len, t->w.img->size / SECTOR * SECTOR - guest_offset);
	expect_dirty(&t->kept, guest_offset, len);
	if (late)
		expect_dirty(late, guest_offset, len);
	if (qtest_one_in(rnd, 4))
		writer_submit_zero(&t->w, 0, guest_offset, len,
				   QCOW_OP_ZERO + qtest_below(rnd, 3));
	else
		writer_submit(&t->w, 0, guest_offset, len, qtest_one_in(rnd, 4), NULL);
	return writer_wait(&t->w, 0);
}

static int change_much(struct bitmap_test *t, struct rnd_state *rnd,
		       struct expected *late)
{
	int err = 0;
	u32 i;

	for (i = 0; !err && i < STEPS; i++) {
		err = change_disk(t, rnd, late);
		if (!err && qtest_one_in(rnd, 6))
			err = writer_flush(&t->w);
	}
	return err;
}

/* An image with two bitmaps, closed. */
static void make(struct kunit *test, struct rnd_state *rnd)
{
	struct bitmap_test *t = test->priv;

	build(test, rnd);
	KUNIT_ASSERT_EQ(test, open_image(t), 0);
	KUNIT_ASSERT_EQ(test, add(t, "off", t->off.shift), 0);
	KUNIT_ASSERT_EQ(test, change_disk(t, rnd, &t->off), 0);
	KUNIT_ASSERT_EQ(test, qcow_bitmap_enable(t->w.img, "off", false, NULL), 0);
	memset(&t->kept.bits, 0, sizeof(t->kept.bits));
	KUNIT_ASSERT_EQ(test, add(t, "kept", t->kept.shift), 0);
	KUNIT_ASSERT_EQ(test, change_much(t, rnd, NULL), 0);
	writer_close(&t->w);
}

static void expect_made(struct kunit *test, const char *late)
{
	struct bitmap_test *t = test->priv;
	const char *fault = oracle_check_closed(&t->w.o);

	fault = fault ?: check_stored(t, "kept", QCOW_DISK_BITMAP_AUTO, &t->kept);
	fault = fault ?: check_stored(t, "off", 0, &t->off);
	if (!fault && late)
		fault = check_stored(t, late, QCOW_DISK_BITMAP_AUTO, &t->late);
	if (fault)
		KUNIT_FAIL(test, "seed %lu: %s", qtest_seed, fault);
	KUNIT_EXPECT_EQ(test, t->w.o.k.leaks, t->w.o.leaks);
}

/* --- Bits that are kept --- */

static void bitmaps_kept(struct kunit *test)
{
	struct bitmap_test *t = test->priv;
	struct rnd_state rnd;
	u32 seed;

	for (seed = 0; seed < SEEDS; seed++) {
		rnd = qtest_rnd(90000 + seed);
		make(test, &rnd);
		expect_made(test, NULL);
		KUNIT_ASSERT_EQ(test, open_image(t), 0);
		KUNIT_EXPECT_EQ(test, change_much(t, &rnd, NULL), 0);
		if (qtest_one_in(&rnd, 2)) {
			KUNIT_EXPECT_EQ(test, qcow_bitmap_clear(t->w.img, "kept", NULL), 0);
			memset(t->kept.bits, 0, sizeof(t->kept.bits));
		}
		KUNIT_EXPECT_EQ(test, add(t, "late", 9), 0);
		KUNIT_EXPECT_EQ(test, change_much(t, &rnd, &t->late), 0);
		writer_close(&t->w);
		expect_made(test, "late");
		writer_free(&t->w);
	}
}

/* All bitmaps are removed, and no cluster of theirs is left. */
static void bitmaps_removed(struct kunit *test)
{
	struct bitmap_test *t = test->priv;
	struct rnd_state rnd;
	u32 seed;

	for (seed = 0; seed < SEEDS; seed++) {
		rnd = qtest_rnd(91000 + seed);
		make(test, &rnd);
		KUNIT_ASSERT_EQ(test, open_image(t), 0);
		KUNIT_EXPECT_EQ(test, qcow_bitmap_clear(t->w.img, "off", NULL), 0);
		KUNIT_EXPECT_EQ(test, qcow_bitmap_remove(t->w.img, "kept", NULL), 0);
		KUNIT_EXPECT_EQ(test, qcow_bitmap_remove(t->w.img, "kept", NULL), -ENOENT);
		if (seed & 1)
			KUNIT_EXPECT_EQ(test, qcow_bitmap_enable(t->w.img, "off", true,
								 NULL), 0);
		KUNIT_EXPECT_EQ(test, qcow_bitmap_remove(t->w.img, "off", NULL), 0);
		KUNIT_EXPECT_PTR_EQ(test, t->w.img->tracking, NULL);
		writer_close(&t->w);
		if (oracle_check_closed(&t->w.o))
			KUNIT_FAIL(test, "seed %u: %s", seed, t->w.o.k.text);
		KUNIT_EXPECT_EQ(test, t->w.o.k.leaks, t->w.o.leaks);
		KUNIT_EXPECT_EQ(test, t->w.o.k.data[95] & 1, 0);
		writer_free(&t->w);
	}
}

/* --- Whatever happens --- */

/* The attempt: a session with changes of disk and bitmaps. Return: the result of close. */
static int session(struct bitmap_test *t, struct rnd_state *rnd)
{
	struct writer *w = &t->w;
	int err = open_image(t), ret;
	bool late;

	if (err) {
		writer_close(w);
		return err;
	}
	err = change_much(t, rnd, NULL);
	ret = add(t, "late", 9);
	late = !ret;
	err = err ?: ret;
	ret = change_much(t, rnd, late ? &t->late : NULL);
	err = err ?: ret;
	ret = qcow_bitmap_remove(w->img, "off", NULL);
	err = err ?: ret;
	ret = qcow_image_close_chain(w->img);
	w->img = NULL;
	return err ?: ret;
}

static int keep_file(struct bitmap_test *t)
{
	struct memfile *m = writer_top(&t->w)->m;

	kvfree(t->file);
	t->file_len = memfile_size(m);
	t->file = kvmalloc(t->file_len, GFP_KERNEL);
	if (!t->file)
		return -ENOMEM;
	memcpy(t->file, m->store, t->file_len);
	t->before = t->kept;
	t->w.o.nr_ops = 0;
	memcpy(t->w.o.before, writer_top(&t->w)->expect, writer_top(&t->w)->size);
	return 0;
}

static bool written_at(const struct writer *w, u32 when)
{
	u32 i;

	for (i = 0; i < w->o.nr_ops; i++)
		if (w->o.op[i].len && w->o.op[i].begun < when)
			return true;
	return false;
}

/*
 * A bitmap that is not marked in use is right: as before if nothing was written yet,
 * or as in the end. @counts: of bitmaps marked in use, and not
 */
static const char *check_bitmaps(struct bitmap_test *t, u32 when, u32 *counts)
{
	bool written = written_at(&t->w, when);
	struct checker_bitmap b;

	if (checker_find_bitmap(&t->w.o.k, "kept", &b)) {
		counts[!(b.flags & QCOW_DISK_BITMAP_IN_USE)]++;
		if (!(b.flags & QCOW_DISK_BITMAP_AUTO))
			return "it is not enabled any more";
		if (!(b.flags & QCOW_DISK_BITMAP_IN_USE) &&
		    !says(t, &b, written ? &t->kept : &t->before))
			return "a wrong bitmap that is not marked in use";
	}
	if (checker_find_bitmap(&t->w.o.k, "off", &b) &&
	    (b.flags || !says(t, &b, &t->off)))
		return "the disabled bitmap has changed";
	if (checker_find_bitmap(&t->w.o.k, "late", &b) &&
	    !(b.flags & QCOW_DISK_BITMAP_IN_USE) && !says(t, &b, &t->late))
		return "a wrong new bitmap that is not marked in use";
	return NULL;
}

static void cut_session(struct kunit *test, u32 seed, struct rnd_state *rnd, u32 *counts)
{
	struct bitmap_test *t = test->priv;
	struct memlog_disk *d = &t->w.o.disk;
	const char *fault = NULL;
	u32 when, cut, step;

	memlog_disk_start(d, t->file, t->file_len);
	step = max(2 * d->log->clock / CUTS, 1U);
	for (when = 1; !fault && when <= d->log->clock + 1;
	     when += 1 + qtest_below(rnd, step)) {
		for (cut = 0; !fault && cut < MEMLOG_CUTS; cut++) {
			memlog_disk_cut(d, when, cut, rnd);
			checker_check(&t->w.o.k, d->data, min(d->size, d->capacity));
			fault = t->w.o.k.errors ? t->w.o.k.text : check_bitmaps(t, when, counts);
			if (fault)
				KUNIT_FAIL(test, "session %u (seed %lu) cut at %u, kind %u: %s",
					   seed, qtest_seed, when, cut, fault);
		}
	}
}

static void bitmaps_cut(struct kunit *test)
{
	struct bitmap_test *t = test->priv;
	u32 counts[2] = { }, seed;
	struct rnd_state rnd;

	for (seed = 0; seed < CUT_SEEDS; seed++) {
		rnd = qtest_rnd(92000 + seed);
		make(test, &rnd);
		KUNIT_ASSERT_EQ(test, oracle_log(&t->w.o, LOG_ENTRIES, LOG_BYTES), 0);
		KUNIT_ASSERT_EQ(test, keep_file(t), 0);
		KUNIT_EXPECT_EQ(test, session(t, &rnd), 0);
		writer_top(&t->w)->m->log = NULL;
		KUNIT_EXPECT_FALSE(test, t->w.o.log->full);
		cut_session(test, seed, &rnd, counts);
		writer_free(&t->w);
	}
	kunit_info(test, "%u in use, %u right\n", counts[0], counts[1]);
	KUNIT_EXPECT_GT(test, counts[0], 100U);
	KUNIT_EXPECT_GT(test, counts[1], 20U);
}

/* Every operation of such a session fails in its turn. */
static void fail_sessions(struct kunit *test, u32 seed, bool sticky, u32 *counts)
{
	struct bitmap_test *t = test->priv;
	struct memfile *m = writer_top(&t->w)->m;
	struct expected off = t->off;
	struct memfile_mode mode = {
		.fail_ops = MEMFILE_READ | MEMFILE_WRITE | MEMFILE_SYNC | MEMFILE_FALLOC,
		.sticky = sticky,
	};
	struct rnd_state rnd;
	const char *fault;
	u32 nth;
	int err;

	for (nth = 1; nth < MAX_SITES; nth++) {
		memfile_rewrite(m, t->file, t->file_len);
		t->kept = t->before;
		t->off = off;
		memset(t->late.bits, 0, sizeof(t->late.bits));
		t->w.o.nr_ops = 0;
		rnd = qtest_rnd(93500 + seed);
		mode.fail_at = nth;
		memfile_set_mode(m, &mode);
		err = session(t, &rnd);
		if (!atomic_read(&m->injected))
			break;
		checker_check(&t->w.o.k, m->store, memfile_size(m));
		fault = t->w.o.k.errors ? t->w.o.k.text : check_bitmaps(t, ORACLE_NEVER, counts);
		if (fault)
			KUNIT_FAIL(test, "session %u (seed %lu), operation %u fails%s: %s (%d)",
				   seed, qtest_seed, nth, sticky ? " and all after it" : "",
				   fault, err);
	}
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_LT(test, nth, MAX_SITES);
	KUNIT_EXPECT_GT(test, nth, 5U);
}

static void bitmaps_fail(struct kunit *test)
{
	struct bitmap_test *t = test->priv;
	u32 counts[2] = { }, seed;
	struct rnd_state rnd;

	for (seed = 0; seed < 4; seed++) {
		rnd = qtest_rnd(93000 + seed);
		make(test, &rnd);
		KUNIT_ASSERT_EQ(test, keep_file(t), 0);
		fail_sessions(test, seed, seed & 1, counts);
		writer_free(&t->w);
	}
	kunit_info(test, "%u in use, %u right\n", counts[0], counts[1]);
	KUNIT_EXPECT_GT(test, counts[0], 20U);
	KUNIT_EXPECT_GT(test, counts[1], 20U);
}

/* An attach that fails leaves none of them in use. Return: whether one failed. */
static bool fail_start(struct kunit *test, u32 ops, u32 nth)
{
	struct memfile_mode mode = { .fail_ops = ops, .fail_at = nth };
	struct bitmap_test *t = test->priv;
	struct memfile *m = writer_top(&t->w)->m;
	int err;

	memfile_rewrite(m, t->file, t->file_len);
	memfile_set_mode(m, &mode);
	err = open_image(t);
	if (err)
		writer_close(&t->w);
	if (err && !checker_check(&t->w.o.k, m->store, memfile_size(m)))
		KUNIT_FAIL(test, "%s", t->w.o.k.text);
	if (err && (check_stored(t, "kept", QCOW_DISK_BITMAP_AUTO, &t->kept) ||
		    check_stored(t, "late", QCOW_DISK_BITMAP_AUTO, &t->late)))
		KUNIT_FAIL(test, "operation %u of %#x fails: a bitmap is in use", nth, ops);
	writer_close(&t->w);
	return err;
}

static void bitmaps_start(struct kunit *test)
{
	struct bitmap_test *t = test->priv;
	struct rnd_state rnd = qtest_rnd(93800);
	u32 nth, failed = 0;

	make(test, &rnd);
	KUNIT_ASSERT_EQ(test, open_image(t), 0);
	KUNIT_ASSERT_EQ(test, add(t, "late", 9), 0);
	writer_close(&t->w);
	KUNIT_ASSERT_EQ(test, keep_file(t), 0);
	for (nth = 1; fail_start(test, MEMFILE_WRITE, nth); nth++)
		failed++;
	for (nth = 1; fail_start(test, MEMFILE_SYNC, nth); nth++)
		failed++;
	KUNIT_EXPECT_GE(test, failed, 3U);
	writer_free(&t->w);
}

/* Takes clusters until the note of one of the next needs memory. */
static int take_until(struct qcow_alloc *a, u32 place)
{
	bool fresh;
	u64 first;
	u32 got;
	int err = 0;

	do {
		err = qcow_alloc_clusters(a, 1, &first, &got, &fresh);
	} while (!err && first % XA_CHUNK_SIZE != place);
	return err;
}

/* Stored bitmaps, and no others, are whole; unless they could not be published. */
static void expect_stored(struct kunit *test, u32 nth, u32 row, int err)
{
	struct bitmap_test *t = test->priv;
	struct memfile *m = writer_top(&t->w)->m;
	const char *fault;

	if (!checker_check(&t->w.o.k, m->store, memfile_size(m)))
		fault = t->w.o.k.text;
	else
		fault = check_stored(t, "late", QCOW_DISK_BITMAP_AUTO, &t->late) ?:
			check_stored(t, "kept", QCOW_DISK_BITMAP_AUTO, &t->kept);
	if (fault)
		KUNIT_FAIL(test, "%u in a row from %u (%d): %s", row, nth, err, fault);
}

/* Allocations fail, some in a row, while a bitmap is made. Return: whether one did. */
static bool fail_memory(struct kunit *test, u32 nth, u32 row, u32 place, u32 *failed)
{
	struct bitmap_test *t = test->priv;
	struct rnd_state rnd = qtest_rnd(93700);
	bool more, final;
	int err;

	memfile_rewrite(writer_top(&t->w)->m, t->file, t->file_len);
	t->kept = t->before;
	memset(t->late.bits, 0, sizeof(t->late.bits));
	t->w.o.nr_ops = 0;
	KUNIT_ASSERT_EQ(test, open_image(t), 0);
	reader_silence(t->w.img);
	KUNIT_EXPECT_EQ(test, change_much(t, &rnd, NULL), 0);
	KUNIT_EXPECT_EQ(test, take_until(t->w.img->alloc, place), 0);
	fault_arm_row(nth, row);
	err = add(t, "late", 9);
	more = fault_disarm();
	*failed += !!err;
	if (err && err != -ENOMEM)
		KUNIT_FAIL(test, "%u in a row from %u: %d", row, nth, err);
	final = t->w.img->bitmaps->failed;
	if (err && !final)
		KUNIT_EXPECT_EQ(test, add(t, "late", 9), 0);
	KUNIT_EXPECT_EQ(test, qcow_flush(t->w.img->alloc), 0);
	KUNIT_EXPECT_EQ(test, change_much(t, &rnd, &t->late), 0);
	writer_close(&t->w);
	if (!final)
		expect_stored(test, nth, row, err);
	return more;
}

static void bitmaps_memory(struct kunit *test)
{
	struct bitmap_test *t = test->priv;
	struct rnd_state rnd = qtest_rnd(93600);
	u32 row, nth, place, failed = 0;

	if (!fault_begin())
		kunit_skip(test, "the kernel injects no faults");
	make(test, &rnd);
	KUNIT_ASSERT_EQ(test, keep_file(t), 0);
	for (row = 1; row <= MAX_ROW; row++)
		for (place = 0; place < MAX_ROW; place++)
			for (nth = 1; nth < MAX_SITES; nth++)
				if (!fail_memory(test, nth, row, XA_CHUNK_SIZE - 1 - place,
						 &failed))
					break;
	fault_end();
	kunit_info(test, "%u attempts failed\n", failed);
	KUNIT_EXPECT_GT(test, failed, 50U);
	writer_free(&t->w);
}

/* --- Damage --- */

/* Somewhere in the extension, the directory or a table. */
static u64 damage_at(struct bitmap_test *t, struct rnd_state *rnd)
{
	struct checker *k = &t->w.o.k;
	struct checker_bitmap b;
	u64 host_offset = 0;

	if (!checker_find_bitmap(k, qtest_one_in(rnd, 2) ? "kept" : "off", &b))
		return 0;
	switch (qtest_below(rnd, 3)) {
	case 0:
		host_offset = 112 + qtest_below(rnd, 100);
		break;
	case 1:
		host_offset = b.name_at - 24 + qtest_below(rnd, 32);
		break;
	case 2:
		host_offset = b.table_at + qtest_below(rnd, b.table_size * 8);
		break;
	}
	return host_offset;
}

/* Nothing worse happens than that the image is refused, or stopped. */
static void bitmaps_damage(struct kunit *test)
{
	struct bitmap_test *t = test->priv;
	struct rnd_state rnd = qtest_rnd(94000);
	struct memfile *m;
	u32 i, opened = 0;
	u64 host_offset;

	make(test, &rnd);
	m = writer_top(&t->w)->m;
	KUNIT_ASSERT_EQ(test, keep_file(t), 0);
	KUNIT_ASSERT_TRUE(test, checker_check(&t->w.o.k, t->file, t->file_len));
	for (i = 0; i < DAMAGES; i++) {
		host_offset = damage_at(t, &rnd);
		KUNIT_ASSERT_GT(test, host_offset, 0ULL);
		memfile_rewrite(m, t->file, t->file_len);
		m->store[host_offset] ^= qtest_one_in(&rnd, 2) ? BIT(qtest_below(&rnd, 8)) :
						       1 + qtest_below(&rnd, 255);
		t->w.o.nr_ops = 0;
		if (!open_image(t)) {
			opened++;
			reader_silence(t->w.img);
			change_much(t, &rnd, NULL);
			if (add(t, "late", 9))
				change_disk(t, &rnd, NULL);
		}
		writer_close(&t->w);
	}
	KUNIT_EXPECT_GT(test, opened, DAMAGES / 2);
	writer_free(&t->w);
}

/* Clusters that somebody else has, too, are not a bitmap's. */
static void bitmaps_overlap(struct kunit *test)
{
	struct bitmap_test *t = test->priv;
	struct rnd_state rnd = qtest_rnd(95000);
	struct checker_bitmap b;
	struct memfile *m;

	make(test, &rnd);
	m = writer_top(&t->w)->m;
	KUNIT_ASSERT_EQ(test, keep_file(t), 0);
	KUNIT_ASSERT_TRUE(test, checker_check(&t->w.o.k, t->file, t->file_len));
	KUNIT_ASSERT_TRUE(test, checker_find_bitmap(&t->w.o.k, "kept", &b));
	put_unaligned_be64(t->w.o.k.l1_at, m->store + b.name_at - 24);
	KUNIT_ASSERT_EQ(test, open_image(t), 0);
	KUNIT_EXPECT_FALSE(test, qcow_bitmap_kept(t->w.img));
	KUNIT_EXPECT_PTR_EQ(test, t->w.img->tracking, NULL);
	KUNIT_EXPECT_EQ(test, m->store[95] & 1, 0);
	KUNIT_EXPECT_EQ(test, change_much(t, &rnd, NULL), 0);
	writer_close(&t->w);
	if (!checker_check(&t->w.o.k, m->store, memfile_size(m)))
		KUNIT_FAIL(test, "%s", t->w.o.k.text);
	writer_free(&t->w);
}

static struct kunit_case bitmap_test_cases[] = {
	KUNIT_CASE(bitmaps_kept),
	KUNIT_CASE(bitmaps_removed),
	KUNIT_CASE(bitmaps_cut),
	KUNIT_CASE(bitmaps_fail),
	KUNIT_CASE(bitmaps_start),
	KUNIT_CASE(bitmaps_memory),
	KUNIT_CASE(bitmaps_damage),
	KUNIT_CASE(bitmaps_overlap),
	{ }
};

static struct kunit_suite bitmap_suite = {
	.name = "qcow_bitmap",
	.init = bitmap_test_init,
	.exit = bitmap_test_exit,
	.test_cases = bitmap_test_cases,
};

kunit_test_suite(bitmap_suite);
