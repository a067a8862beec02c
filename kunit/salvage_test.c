// SPDX-License-Identifier: GPL-2.0
/*
 * Images whose end was cut off, attached to save the rest: each sector is right or
 * fails, and none reads as data that it never had.
 */
#include <linux/blkdev.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <uapi/linux/qcow.h>

#include "reader.h"

#define SALVAGE_CHAINS	40
#define SALVAGE_CUTS	5

static struct qcow_image *salvage_open(struct kunit *test)
{
	struct reader_fixture *x = test->priv;

	x->msg.text[0] = 0;
	x->r->params.salvage = true;
	return reader_open(x->r, x->c, &x->msg);
}

static void salvage_close(struct kunit *test, struct qcow_image *img)
{
	struct reader_fixture *x = test->priv;

	qcow_image_close_chain(img);
	KUNIT_EXPECT_TRUE(test, builder_idle(x->c));
}

/* Count the sectors that are right. Return: 0, or a result that must not be. */
static int salvage_sectors(struct reader *r, struct qcow_image *img,
			   const u8 *expect, u64 guest_offset, u64 end, u32 *right)
{
	int err;

	for (; guest_offset < end; guest_offset += SECTOR_SIZE) {
		err = reader_read(r, img, guest_offset, SECTOR_SIZE, expect + guest_offset);
		if (err && err != -EIO)
			return err;
		*right += !err;
	}
	return 0;
}

static int salvage_all(struct reader *r, struct qcow_image *img, const u8 *expect,
		       u32 *right)
{
	u64 guest_offset, end;
	int err = 0;

	reader_silence(img);
	*right = 0;
	for (guest_offset = 0; !err && guest_offset < img->size; guest_offset = end) {
		end = min(guest_offset + SZ_32K, img->size);
		err = reader_read(r, img, guest_offset, end - guest_offset,
				  expect + guest_offset);
		if (err == -EIO)
			err = salvage_sectors(r, img, expect, guest_offset, end, right);
		else if (!err)
			*right += (end - guest_offset) / SECTOR_SIZE;
	}
	return err;
}

/* One of the files of a chain, cut off; the images stay as they are. */
static void salvage_cut(struct builder_chain *c, struct rnd_state *rnd, u64 *size,
			struct memfile **m)
{
	struct builder_image *b = &c->img[qtest_below(rnd, c->nr)];

	*m = b->data_m && qtest_one_in(rnd, 2) ? b->data_m : b->m;
	*size = memfile_size(*m);
	if (*size)
		memfile_set_size(*m, qtest_below(rnd, *size));
}

static int salvage_chain(struct kunit *test, struct rnd_state *rnd)
{
	struct reader_fixture *x = test->priv;
	struct qcow_image *img;
	struct memfile *m;
	u64 size;
	u32 right, i;
	int err = 0;

	for (i = 0; !err && i < SALVAGE_CUTS; i++) {
		salvage_cut(x->c, rnd, &size, &m);
		img = salvage_open(test);
		/* A raw one has no end to lose, and says nothing. */
		if (!IS_ERR(img)) {
			err = salvage_all(x->r, img, x->c->img[0].expect, &right);
			salvage_close(test, img);
		}
		memfile_set_size(m, size);
	}
	return err;
}

/* No chain with a raw image: nothing tells how much a raw image has lost. */
static void salvage_spec(struct rnd_state *rnd, struct builder_spec *spec)
{
	do {
		memset(spec, 0, sizeof(*spec));
		builder_random_spec(rnd, spec);
	} while (spec->raw);
	spec->backing = false;
}

static void salvage_random(struct kunit *test)
{
	struct reader_fixture *x = test->priv;
	struct builder_spec specs[2];
	struct rnd_state rnd;
	u32 i, nr;
	int err;

	for (i = 0; i < SALVAGE_CHAINS; i++) {
		rnd = qtest_rnd(7000 + i);
		nr = 1 + qtest_below(&rnd, 2);
		salvage_spec(&rnd, &specs[0]);
		salvage_spec(&rnd, &specs[1]);
		specs[0].backing = nr == 2;
		KUNIT_ASSERT_EQ(test, builder_build(x->c, specs, nr, &rnd), 0);
		err = salvage_chain(test, &rnd);
		KUNIT_EXPECT_EQ_MSG(test, err, 0, "chain %u (seed %lu): %s", i,
				    qtest_seed, err == READER_WRONG ? "wrong bytes" :
				    "another error");
		builder_free(x->c);
	}
}

/* Cut off at all places of an image with everything in it. */
static void salvage_every(struct kunit *test)
{
	static const struct builder_spec spec = {
		.version = 3, .cluster_bits = 9, .kinds = BUILDER_ALL,
		.size = 150 << 9, .tidy = true,
	};
	struct reader_fixture *x = test->priv;
	struct builder_image *b = &x->c->img[0];
	u32 right, last = 0, most = spec.size / SECTOR_SIZE;
	struct rnd_state rnd = qtest_rnd(7500);
	struct qcow_image *img;
	u64 cut;

	KUNIT_ASSERT_EQ(test, builder_build(x->c, &spec, 1, &rnd), 0);
	for (cut = SECTOR_SIZE; cut <= b->file_len; cut += 1000) {
		memfile_set_size(b->m, cut);
		img = salvage_open(test);
		KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(img), "%llu: %s", cut, x->msg.text);
		KUNIT_ASSERT_EQ_MSG(test, salvage_all(x->r, img, b->expect, &right), 0,
				    "%llu", cut);
		salvage_close(test, img);
		/* More of the file is never less of the disk. */
		KUNIT_EXPECT_GE_MSG(test, right, last, "%llu", cut);
		last = right;
	}
	memfile_set_size(b->m, b->file_len);
	img = salvage_open(test);
	KUNIT_ASSERT_FALSE(test, IS_ERR(img));
	KUNIT_EXPECT_EQ(test, salvage_all(x->r, img, b->expect, &right), 0);
	KUNIT_EXPECT_EQ(test, right, most);
	salvage_close(test, img);
}

/* An extent of data ends in front of an entry that is lost. */
static void salvage_lost_entry(struct kunit *test)
{
	static const struct builder_spec spec = {
		.version = 3, .cluster_bits = 14, .extended_l2 = true,
		.kinds = BUILDER_DATA, .size = 8 << 14, .tidy = true,
	};
	struct reader_fixture *x = test->priv;
	struct builder_image *b = &x->c->img[0];
	struct rnd_state rnd = qtest_rnd(7600);
	u64 guest_offset = 3 << 14;
	struct qcow_image *img;

	KUNIT_ASSERT_EQ(test, builder_build(x->c, &spec, 1, &rnd), 0);
	memset(b->file + b->clusters[4].l2_at, 0xff, sizeof(__be64));
	img = salvage_open(test);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(img), "%s", x->msg.text);
	reader_silence(img);
	KUNIT_EXPECT_EQ(test, reader_read(x->r, img, guest_offset, 1 << 14,
					  b->expect + guest_offset), 0);
	KUNIT_EXPECT_EQ(test, reader_read(x->r, img, guest_offset, 2 << 14,
					  b->expect + guest_offset), -EIO);
	salvage_close(test, img);
}

static struct kunit_case salvage_test_cases[] = {
	KUNIT_CASE(salvage_every),
	KUNIT_CASE(salvage_lost_entry),
	KUNIT_CASE(salvage_random),
	{ }
};

static struct kunit_suite salvage_suite = {
	.name = "qcow_salvage",
	.init = reader_test_init,
	.exit = reader_test_exit,
	.test_cases = salvage_test_cases,
};

kunit_test_suite(salvage_suite);
