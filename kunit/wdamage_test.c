// SPDX-License-Identifier: GPL-2.0
/*
 * Damaged images that are written: whatever their content, opening, writing, reading,
 * flushing and closing them end in time and harm nothing.
 */
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/slab.h>

#include "damage.h"
#include "writer.h"

#define SECTOR			512
#define DAMAGES_PER_IMAGE	20
#define PARALLEL		4
#define ROUNDS			3
#define MAX_MS			5000

struct wdamage_fixture {
	struct writer w;
	u8 *whole;
	u32 opened;
	u32 written;
	u32 failed;
	u32 wrong;
	u64 slowest_ms;
};

static int wdamage_test_init(struct kunit *test)
{
	return writer_fixture_init(test, sizeof(struct wdamage_fixture));
}

static void wdamage_test_exit(struct kunit *test)
{
	struct wdamage_fixture *x = test->priv;

	writer_test_exit(test);
	if (x)
		kvfree(x->whole);
}

/* Where on a disk that the damage may have made large, or empty. */
static bool random_piece(const struct writer *w, struct rnd_state *rnd, u64 *guest_offset,
			 u32 *len)
{
	u64 sectors = w->img->size / SECTOR;

	if (!sectors)
		return false;
	/* Mostly the bytes that were there before. */
	if (!qtest_one_in(rnd, 8))
		sectors = min_t(u64, sectors, w->base.c->img[0].size / SECTOR + 1);
	*guest_offset = qtest_u64(rnd) % sectors;
	*len = min_t(u64, sectors - *guest_offset, 1 + qtest_below(rnd, 64)) * SECTOR;
	*guest_offset *= SECTOR;
	return true;
}

/* Writes, and maybe a flush, at once. Return: whether they ended as they may. */
static bool write_some(struct wdamage_fixture *x, struct rnd_state *rnd)
{
	struct writer *w = &x->w;
	u32 i, n, len;
	int verdict;
	u64 guest_offset;
	bool good = true;

	for (n = 0; n < PARALLEL && random_piece(w, rnd, &guest_offset, &len); n++) {
		if (qtest_one_in(rnd, 4))
			writer_submit_zero(w, n, guest_offset, len,
					   QCOW_OP_ZERO + qtest_below(rnd, 3));
		else
			writer_start(w, n, guest_offset, len, qtest_one_in(rnd, 2), rnd);
	}
	if (qtest_one_in(rnd, 2) && writer_flush(w))
		x->failed++;
	for (i = 0; i < n; i++) {
		verdict = writer_end(w, i);
		x->written += !verdict;
		x->failed += verdict < 0;
		good &= verdict <= 0;
	}
	return good;
}

/* The data of such a read may be anything. */
static bool read_some(struct writer *w, struct rnd_state *rnd)
{
	u32 len;
	u64 guest_offset;

	if (!random_piece(w, rnd, &guest_offset, &len))
		return true;
	return reader_read(w->base.r, w->img, guest_offset, len, NULL) <= 0;
}

/* Return: whether all is well. */
static bool try_damaged(struct wdamage_fixture *x, struct rnd_state *rnd)
{
	struct writer *w = &x->w;
	bool good = true;
	u32 i;

	w->o.nr_ops = 0;
	if (writer_open(w))
		return w->base.msg.text[0] && builder_idle(w->base.c);
	x->opened++;
	for (i = 0; good && i < ROUNDS; i++)
		good = write_some(x, rnd) && read_some(w, rnd);
	writer_close(w);
	return good && builder_idle(w->base.c);
}

static void damage_one(struct kunit *test, u32 number, struct rnd_state *rnd)
{
	struct wdamage_fixture *x = test->priv;
	struct builder_image *b = writer_top(&x->w);
	ktime_t start = ktime_get();
	struct damage d;
	u64 ms;

	damage_image(b, &d, rnd);
	memfile_rewrite(b->m, b->file, d.size);
	damage_undo(b, &d, x->whole);
	if (!try_damaged(x, rnd)) {
		x->wrong++;
		KUNIT_FAIL(test, "image %u (seed %lu): wrong end, or not let go", number,
			   qtest_seed);
	}
	ms = ktime_ms_delta(ktime_get(), start);
	x->slowest_ms = max(x->slowest_ms, ms);
	KUNIT_EXPECT_LT_MSG(test, ms, MAX_MS, "image %u (seed %lu)", number, qtest_seed);
}

static void damage_some(struct kunit *test, u32 first)
{
	struct wdamage_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(60000000 + first);
	struct builder_spec specs[2];
	struct memfile_mode mode;
	u32 i;

	for (i = 0; i < 2; i++) {
		writer_random_spec(&rnd, &specs[i]);
		if (!specs[i].extended_l2)
			specs[i].cluster_bits = 9 + qtest_below(&rnd, 4);
		else
			specs[i].cluster_bits = 14;
		specs[i].size = (6 + qtest_below(&rnd, 20)) << specs[i].cluster_bits;
		if (specs[i].extended_l2)
			specs[i].size /= 4;
		specs[i].room = 64 << 10;
	}
	specs[1].writable = false;
	KUNIT_ASSERT_EQ(test, writer_build(&x->w, specs, 1 + qtest_one_in(&rnd, 4), &rnd), 0);
	writer_random_mode(&rnd, &mode);
	builder_set_mode(x->w.base.c, &mode);
	x->whole = kvmalloc(writer_top(&x->w)->file_len, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, x->whole);
	memcpy(x->whole, writer_top(&x->w)->file, writer_top(&x->w)->file_len);
	for (i = 0; i < DAMAGES_PER_IMAGE; i++)
		damage_one(test, first + i, &rnd);
	kvfree(x->whole);
	x->whole = NULL;
	writer_free(&x->w);
}

static void wdamage_images(struct kunit *test)
{
	struct wdamage_fixture *x = test->priv;
	/* Most of those that are damaged are only read. */
	u32 nr = qtest_images / 10, i;

	for (i = 0; i < nr && x->wrong < 5; i += DAMAGES_PER_IMAGE)
		damage_some(test, i);
	kunit_info(test, "%u images opened, %u writes done, %u writes and flushes failed, slowest %llu ms\n",
		   x->opened, x->written, x->failed, x->slowest_ms);
	KUNIT_EXPECT_GT(test, x->opened, 0);
	KUNIT_EXPECT_GT(test, x->written, 0);
}

static struct kunit_case wdamage_test_cases[] = {
	KUNIT_CASE(wdamage_images),
	{ }
};

static struct kunit_suite wdamage_suite = {
	.name = "qcow_write_damage",
	.init = wdamage_test_init,
	.exit = wdamage_test_exit,
	.test_cases = wdamage_test_cases,
};

kunit_test_suite(wdamage_suite);
