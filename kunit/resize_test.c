// SPDX-License-Identifier: GPL-2.0
/*
 * Disks made larger and smaller, and the power cut at any moment of it: one size
 * or the other, nothing lost that was flushed, zeros in what is new.
 */
#include <linux/slab.h>

#include <asm/unaligned.h>

#include "resize.h"
#include "writer.h"

#define SECTOR		512
#define LOADS		40
#define WRITES		12
#define CUTS		60
#define LOG_ENTRIES	4096
#define LOG_BYTES	(16U << 20)
#define SIZE_AT		24

/**
 * struct resize_case - a disk that gets another size
 * @w: the image
 * @old: bytes before
 * @new: bytes after
 * @rnd: where it comes from
 */
struct resize_case {
	struct writer *w;
	u64 old;
	u64 new;
	struct rnd_state rnd;
};

static int do_resize(struct resize_case *c)
{
	struct qcow_io like = {
		.image = c->w->img,
		.wq = qtest_wq,
		.write_wq = qtest_write_wq,
		.parts = c->w->base.r->parts,
	};

	return qcow_resize(&like, c->new, &c->w->base.msg);
}

/* Inside what stays. */
static int some_writes(struct resize_case *c)
{
	u32 sectors = min(c->old, c->new) / SECTOR, i, pos, len;
	int err = 0;

	for (i = 0; !err && i < WRITES; i++) {
		pos = qtest_below(&c->rnd, sectors);
		len = 1 + qtest_below(&c->rnd, min(sectors - pos, 64U));
		err = writer_write(c->w, (u64)pos * SECTOR, len * SECTOR);
		if (!err && qtest_one_in(&c->rnd, 5))
			err = writer_flush(c->w);
	}
	return err;
}

/* What a larger disk has more of. Return: NULL if it is zeros. */
static const char *check_new_part(struct resize_case *c)
{
	const struct builder_chain *chain = c->w->base.c;
	const struct checker *k = &c->w->k;
	u64 pos, at = 0;

	for (pos = c->old; pos < c->new; pos += SECTOR) {
		switch (checker_find(k, pos, &at)) {
		case CHECKER_ZERO:
			break;
		case CHECKER_HOLE:
			if (chain->nr > 1 && pos < chain->img[1].size)
				return "the backing file shows in the new part";
			break;
		case CHECKER_HOST:
			if (at < k->size &&
			    memchr_inv(k->data + at, 0, min_t(u64, SECTOR, k->size - at)))
				return "the new part is not zeros";
			break;
		case CHECKER_COMPRESSED:
			return "compressed data in the new part";
		}
	}
	return NULL;
}

/* After a cut, or at the end. */
static const char *check_disk(struct resize_case *c, const void *data, u64 size,
			      u32 when)
{
	struct builder_image *b = writer_top(c->w);
	u64 disk = get_unaligned_be64(data + SIZE_AT) & ~511ULL;
	u64 saved = b->size;
	const char *fault;

	if (disk != c->old && disk != c->new)
		return "a size that nobody asked for";
	b->size = min(disk, c->old);
	fault = writer_check(c->w, data, size, when);
	b->size = saved;
	if (!fault && disk == c->new && when != WRITER_NEVER)
		fault = check_new_part(c);
	return fault;
}

static void build(struct kunit *test, struct resize_case *c)
{
	struct builder_spec specs[2];
	struct writer *w = test->priv;
	struct memfile_mode mode;

	builder_random_spec(&c->rnd, &specs[1]);
	specs[1].raw = true;
	/* Version 1 has one size for ever. */
	do {
		writer_random_spec(&c->rnd, &specs[0]);
	} while (specs[0].version == 1);
	specs[0].size = clamp_t(u64, specs[0].size, 4 * SECTOR, 64 << 10);
	specs[0].room = 1 << 20;
	KUNIT_ASSERT_EQ(test, writer_build(w, specs, 1 + qtest_one_in(&c->rnd, 2), &c->rnd), 0);
	writer_random_mode(&c->rnd, &mode);
	builder_set_mode(w->base.c, &mode);
	KUNIT_ASSERT_EQ(test, writer_log(w, LOG_ENTRIES, LOG_BYTES), 0);
}

static void pick_size(struct resize_case *c)
{
	c->old = c->w->img->size;
	do {
		c->new = SECTOR * (1 + qtest_below(&c->rnd, 2 * c->old / SECTOR));
		/* Beyond what an L1 table of one cluster covers */
		if (qtest_one_in(&c->rnd, 3))
			c->new += (u64)SECTOR * qtest_below(&c->rnd, 8192);
	} while (c->new == c->old);
}

static u32 cut_power(struct kunit *test, struct resize_case *c, u32 seed)
{
	struct memlog_disk *d = &c->w->disk;
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

static u32 resize_one(struct kunit *test, u32 seed)
{
	struct writer *w = test->priv;
	struct memfile *m;
	struct resize_case c = { .w = w, .rnd = qtest_rnd(50000 + seed) };
	const char *fault;
	u32 n;

	build(test, &c);
	m = writer_top(w)->m;
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "image %u: %s", seed, w->base.msg.text);
	pick_size(&c);
	KUNIT_EXPECT_EQ(test, some_writes(&c), 0);
	KUNIT_EXPECT_EQ_MSG(test, do_resize(&c), 0, "image %u: %s", seed, w->base.msg.text);
	KUNIT_EXPECT_EQ(test, w->img->size, c.new);
	KUNIT_EXPECT_EQ(test, some_writes(&c), 0);
	writer_close(w);
	m->log = NULL;
	KUNIT_EXPECT_FALSE(test, w->log->full);
	fault = check_disk(&c, m->store, memfile_size(m), WRITER_NEVER);
	if (!fault && w->k.leaks > w->leaks)
		fault = "it leaks";
	if (fault)
		KUNIT_FAIL(test, "image %u (seed %lu): %s", seed, qtest_seed, fault);
	n = cut_power(test, &c, seed);
	writer_free(w);
	return n;
}

static void resize_cut(struct kunit *test)
{
	u32 seed, n = 0;

	for (seed = 0; seed < LOADS; seed++)
		n += resize_one(test, seed);
	kunit_info(test, "%u cuts (seed %lu)\n", n, qtest_seed);
	KUNIT_EXPECT_GT(test, n, LOADS * 50);
}

static struct kunit_case resize_test_cases[] = {
	KUNIT_CASE(resize_cut),
	{ }
};

static struct kunit_suite resize_suite = {
	.name = "qcow_resize",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = resize_test_cases,
};

kunit_test_suite(resize_suite);
