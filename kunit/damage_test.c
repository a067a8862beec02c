// SPDX-License-Identifier: GPL-2.0
/*
 * Damaged images: whatever their content, opening and reading them ends in time and
 * harms nothing, and undamaged sectors read as before.
 */
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/slab.h>

#include "damage.h"
#include "reader.h"

/* Images damaged one after the other from one that is whole. */
#define DAMAGES_PER_IMAGE	25
#define PIECES			16
#define MAX_MS			5000

struct damage_fixture {
	struct reader_fixture base;
	u8 *whole;
	u64 capacity;
	u32 opened;
	u32 compared;
	u32 wrong;
	u64 slowest_ms;
};

static int damage_test_init(struct kunit *test)
{
	return reader_fixture_init(test, sizeof(struct damage_fixture));
}

static void damage_test_exit(struct kunit *test)
{
	struct damage_fixture *x = test->priv;

	reader_test_exit(test);
	if (x)
		kvfree(x->whole);
}

/* --- Sectors that may read otherwise --- */

static bool damaged(const struct damage *d, u64 host_offset, u64 len)
{
	u32 i;

	if (len && host_offset + len > d->size)
		return true;
	for (i = 0; i < d->nr; i++)
		if (host_offset < d->host_end[i] && host_offset + len > d->host_start[i])
			return true;
	return false;
}

/* Whether nothing that leads to this cluster was changed. */
static bool cluster_whole(const struct builder_image *b, const struct damage *d,
			  const struct builder_cluster *c)
{
	u32 entry = b->spec.extended_l2 ? 16 : 8;

	if (damaged(d, 0, 512) || damaged(d, c->l1_at, 8))
		return false;
	if (!c->l2_at)
		return true;
	return !damaged(d, c->l2_at, entry) && !damaged(d, c->host, c->host_len);
}

/* Reads a cluster that must read as before. Return: whether it did. */
static bool read_whole_cluster(struct damage_fixture *x, struct qcow_image *img,
			       u32 index)
{
	const struct builder_image *b = &x->base.c->img[0];
	u64 guest_offset = (u64)index << b->spec.cluster_bits;
	u64 len = 1ULL << b->spec.cluster_bits;

	if (guest_offset >= b->size)
		return true;
	len = min3(len, b->size - guest_offset, (u64)READER_PIECES * READER_PIECE);
	return !reader_read(x->base.r, img, guest_offset, len, b->expect + guest_offset);
}

static bool read_whole_clusters(struct damage_fixture *x, struct qcow_image *img,
				const struct damage *d, struct rnd_state *rnd)
{
	const struct builder_image *b = &x->base.c->img[0];
	u32 i, index;

	/* Another header may mean another layout. */
	for (i = 0; i < 6; i++) {
		index = qtest_below(rnd, b->nr_clusters);
		if (!cluster_whole(b, d, &b->clusters[index]))
			continue;
		x->compared++;
		if (!read_whole_cluster(x, img, index))
			return false;
	}
	return true;
}

/* Reads the whole disk, or pieces of one that the damage made large. */
static int read_anything(struct damage_fixture *x, struct qcow_image *img,
			 struct rnd_state *rnd)
{
	u32 most = READER_PIECES * READER_PIECE, i;
	int verdict;
	u64 guest_offset;

	if (img->size <= 8 * most) {
		verdict = reader_read_all(x->base.r, img, NULL, most);
		return verdict > 0 ? verdict : 0;
	}
	for (i = 0; i < PIECES; i++) {
		guest_offset = qtest_u64(rnd) % (img->size - most);
		verdict = reader_read(x->base.r, img, guest_offset,
				      1 + qtest_below(rnd, most), NULL);
		if (verdict > 0)
			return verdict;
	}
	return 0;
}

/* Return: whether all is well. */
static bool try_damaged(struct damage_fixture *x, const struct damage *d,
			struct rnd_state *rnd)
{
	struct qcow_msg *msg = &x->base.msg;
	struct qcow_image *img = reader_open(x->base.r, x->base.c, msg);
	bool good;

	if (IS_ERR(img))
		return msg->text[0] && strlen(msg->text) < sizeof(msg->text) - 1;
	x->opened++;
	reader_silence(img);
	good = !read_anything(x, img, rnd) && read_whole_clusters(x, img, d, rnd);
	qcow_image_close_chain(img);
	return good && builder_idle(x->base.c);
}

static void restore(struct damage_fixture *x, const struct damage *d)
{
	struct builder_image *b = &x->base.c->img[0];

	damage_undo(b, d, x->whole);
	memfile_set_size(b->m, b->file_len);
}

static void damage_one(struct kunit *test, u32 number, struct rnd_state *rnd)
{
	struct damage_fixture *x = test->priv;
	struct builder_image *b = &x->base.c->img[0];
	ktime_t start = ktime_get();
	struct damage d;
	u64 ms;

	damage_image(b, &d, rnd);
	memfile_set_size(b->m, d.size);
	if (!try_damaged(x, &d, rnd)) {
		x->wrong++;
		KUNIT_FAIL(test, "image %u (seed %lu): %s", number, qtest_seed,
			   x->base.msg.text[0] ? x->base.msg.text : "wrong bytes, or not let go");
	}
	ms = ktime_ms_delta(ktime_get(), start);
	x->slowest_ms = max(x->slowest_ms, ms);
	KUNIT_EXPECT_LT_MSG(test, ms, MAX_MS, "image %u (seed %lu)", number, qtest_seed);
	restore(x, &d);
}

/* An image small enough for many of its kind, now and then over another. */
static void build_small(struct kunit *test, struct rnd_state *rnd)
{
	struct damage_fixture *x = test->priv;
	struct builder_spec specs[2];
	u32 i;

	for (i = 0; i < 2; i++) {
		builder_random_spec(rnd, &specs[i]);
		specs[i].cluster_bits = qtest_one_in(rnd, 3) ? 14 : 9 + qtest_below(rnd, 4);
		specs[i].extended_l2 = specs[i].cluster_bits == 14 &&
				       specs[i].version == 3;
		specs[i].size = (6 + qtest_below(rnd, 20)) << specs[i].cluster_bits;
		if (specs[i].cluster_bits == 14)
			specs[i].size /= 4;
	}
	KUNIT_ASSERT_EQ(test, builder_build(x->base.c, specs, 1 + qtest_one_in(rnd, 4), rnd), 0);
	x->whole = kvmalloc(x->base.c->img[0].file_len, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, x->whole);
	memcpy(x->whole, x->base.c->img[0].file, x->base.c->img[0].file_len);
}

static void damage_some(struct kunit *test, u32 first)
{
	static const struct memfile_mode modes[] = {
		{ }, { .nowait = true }, { .nowait = true, .async = true },
		{ .nowait = true, .direct = true, .dio_align = 512 },
	};
	struct damage_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(1000000 + first);
	u32 i;

	build_small(test, &rnd);
	builder_set_mode(x->base.c, &modes[qtest_below(&rnd, ARRAY_SIZE(modes))]);
	for (i = 0; i < DAMAGES_PER_IMAGE; i++)
		damage_one(test, first + i, &rnd);
	builder_free(x->base.c);
	kvfree(x->whole);
	x->whole = NULL;
}

/* A case for each tenth: no case may take long, or it is taken to hang. */
#define TENTHS	10

static const u32 tenths[TENTHS] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };

static void tenth_desc(const u32 *i, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u / %u", *i + 1, TENTHS);
}

KUNIT_ARRAY_PARAM(tenth, tenths, tenth_desc);

static void damage_images(struct kunit *test)
{
	u32 i = qtest_images / TENTHS * *(const u32 *)test->param_value;
	struct damage_fixture *x = test->priv;
	u32 end = i + qtest_images / TENTHS;

	for (; i < end && x->wrong < 5; i += DAMAGES_PER_IMAGE)
		damage_some(test, i);
	kunit_info(test, "%u images opened, %u clusters compared, slowest %llu ms\n",
		   x->opened, x->compared, x->slowest_ms);
	KUNIT_EXPECT_GT(test, x->opened, 0);
	KUNIT_EXPECT_GT(test, x->compared, 0);
}

static struct kunit_case damage_test_cases[] = {
	KUNIT_CASE_PARAM(damage_images, tenth_gen_params),
	{ }
};

static struct kunit_suite damage_suite = {
	.name = "qcow_damage",
	.init = damage_test_init,
	.exit = damage_test_exit,
	.test_cases = damage_test_cases,
};

kunit_test_suite(damage_suite);
