// SPDX-License-Identifier: GPL-2.0
/*
 * Damaged images: whatever is in them, opening and reading them ends in time,
 * harms nobody, and what was not damaged reads as before.
 */
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <asm/unaligned.h>

#include "format.h"
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

/**
 * struct damage - what was done to an image
 * @from: first byte changed
 * @to: byte behind the last one
 * @nr: of them
 * @size: bytes that the file has now
 */
struct damage {
	u64 from[4];
	u64 to[4];
	u32 nr;
	u64 size;
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
		vfree(x->whole);
}

/* --- Doing damage --- */

static u8 *touch(struct builder_image *b, struct damage *d, u64 at, u32 len)
{
	d->from[d->nr] = at;
	d->to[d->nr++] = at + len;
	return b->file + at;
}

/* An offset or entry at which something is likely to go wrong. */
static u64 bad_entry(struct rnd_state *rnd, const struct builder_image *b, u64 old)
{
	u64 cluster = 1ULL << b->spec.cluster_bits;
	u64 v = qtest_u64(rnd);

	switch (qtest_below(rnd, 9)) {
	case 0:
		return v;
	case 1:
		return old ^ BIT_ULL(v & 63);
	case 2:
		return 0;
	case 3:
		return U64_MAX;
	case 4:
		return old + 512;
	case 5: /* another place in the file */
		return (old & ~GENMASK_ULL(55, 0)) | (v % (b->file_len + 1) & -cluster);
	case 6: /* around its end */
		return (old & ~GENMASK_ULL(55, 0)) |
		       (b->file_len + (v % 5) * cluster - 2 * cluster);
	case 7:
		return old | QCOW_DISK_L2E_COMPRESSED;
	default: /* compressed, at other places, of other sizes */
		return QCOW_DISK_L2E_COMPRESSED | (v & GENMASK_ULL(61, 50)) |
		       v % (b->file_len + 1);
	}
}

static const struct builder_cluster *pick_cluster(const struct builder_image *b,
						  struct rnd_state *rnd)
{
	return &b->clusters[qtest_below(rnd, b->nr_clusters)];
}

static void damage_entry(struct builder_image *b, struct damage *d, u64 at,
			 struct rnd_state *rnd)
{
	u64 old = get_unaligned_be64(b->file + at);

	put_unaligned_be64(bad_entry(rnd, b, old), touch(b, d, at, 8));
}

static void damage_header(struct builder_image *b, struct damage *d,
			  struct rnd_state *rnd)
{
	u32 at = qtest_below(rnd, 112 / 4) * 4;
	u8 *p = touch(b, d, at, 4);
	u32 old = get_unaligned_be32(p);

	switch (qtest_below(rnd, 4)) {
	case 0:
		put_unaligned_be32(old ^ BIT(qtest_below(rnd, 32)), p);
		break;
	case 1:
		put_unaligned_be32(old + qtest_below(rnd, 5) - 2, p);
		break;
	case 2:
		put_unaligned_be32(prandom_u32_state(rnd), p);
		break;
	default:
		put_unaligned_be32(qtest_below(rnd, 32), p);
	}
}

static void damage_bytes(struct builder_image *b, struct damage *d, u64 at,
			 u64 len, struct rnd_state *rnd)
{
	u32 n;

	if (!len)
		return;
	at += qtest_below(rnd, len);
	n = min_t(u64, 1 + qtest_below(rnd, 8), b->file_len - at);
	prandom_bytes_state(rnd, touch(b, d, at, n), n);
}

static void damage_once(struct builder_image *b, struct damage *d,
			struct rnd_state *rnd)
{
	const struct builder_cluster *c = pick_cluster(b, rnd);

	switch (qtest_below(rnd, 12)) {
	case 0:
		damage_header(b, d, rnd);
		break;
	case 1: /* extensions, names, the rest of the first cluster */
		damage_bytes(b, d, 72, 400, rnd);
		break;
	case 2:
		damage_entry(b, d, c->l1_at, rnd);
		break;
	case 3:
		d->size = qtest_below(rnd, b->file_len + 1);
		break;
	case 4:
	case 5:
	case 6:
		damage_bytes(b, d, c->host, c->host_len, rnd);
		break;
	default:
		if (!c->l2_at)
			break;
		damage_entry(b, d, c->l2_at, rnd);
		if (b->spec.extended_l2 && qtest_one_in(rnd, 2))
			damage_bytes(b, d, c->l2_at + 8, 8, rnd);
	}
}

static void damage_image(struct builder_image *b, struct damage *d,
			 struct rnd_state *rnd)
{
	u32 n;

	memset(d, 0, sizeof(*d));
	d->size = b->file_len;
	/* One damage may have two parts. */
	for (n = 1 + qtest_below(rnd, 2); n; n--)
		damage_once(b, d, rnd);
}

/* --- What it means --- */

static bool damaged(const struct damage *d, u64 at, u64 len)
{
	u32 i;

	if (len && at + len > d->size)
		return true;
	for (i = 0; i < d->nr; i++)
		if (at < d->to[i] && at + len > d->from[i])
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
	u64 pos = (u64)index << b->spec.cluster_bits;
	u64 len = 1ULL << b->spec.cluster_bits;

	if (pos >= b->size)
		return true;
	len = min3(len, b->size - pos, (u64)READER_PIECES * READER_PIECE);
	return !reader_read(x->base.r, img, pos, len, b->expect + pos);
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

/* All of it, or pieces of a disk that the damage made large. */
static int read_anything(struct damage_fixture *x, struct qcow_image *img,
			 struct rnd_state *rnd)
{
	u32 most = READER_PIECES * READER_PIECE, i;
	int verdict;
	u64 pos;

	if (img->size <= 8 * most) {
		verdict = reader_read_all(x->base.r, img, NULL, most);
		return verdict > 0 ? verdict : 0;
	}
	for (i = 0; i < PIECES; i++) {
		pos = qtest_u64(rnd) % (img->size - most);
		verdict = reader_read(x->base.r, img, pos, 1 + qtest_below(rnd, most), NULL);
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
	qtest_flush();
	qcow_image_close_chain(img);
	return good && builder_idle(x->base.c);
}

static void restore(struct damage_fixture *x, const struct damage *d)
{
	struct builder_image *b = &x->base.c->img[0];
	u32 i;

	for (i = 0; i < d->nr; i++)
		memcpy(b->file + d->from[i], x->whole + d->from[i],
		       d->to[i] - d->from[i]);
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
	x->whole = vmalloc(x->base.c->img[0].file_len);
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
	vfree(x->whole);
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
