// SPDX-License-Identifier: GPL-2.0
/*
 * Opening chains of images and reading them: the disk has the content that was put in.
 */
#include <linux/percpu.h>
#include <linux/slab.h>

#include <uapi/linux/qcow.h>

#include "reader.h"

#define RANDOM_CHAINS	100 /* for each of the seeds below */
#define READS_PER_CHAIN	12

static struct qcow_image *open_chain(struct kunit *test)
{
	struct reader_fixture *x = test->priv;
	struct qcow_image *img = reader_open(x->r, x->c, &x->msg);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(img), "error %ld: %s", PTR_ERR(img),
			       x->msg.text);
	KUNIT_EXPECT_EQ(test, img->size, x->c->img[0].size);
	return img;
}

static void close_chain(struct kunit *test, struct qcow_image *img)
{
	struct reader_fixture *x = test->priv;

	qcow_image_close_chain(img);
	KUNIT_EXPECT_TRUE(test, builder_idle(x->c));
}

static void build(struct kunit *test, const struct builder_spec *specs, u32 nr,
		  u64 salt)
{
	struct reader_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(salt);

	KUNIT_ASSERT_EQ(test, builder_build(x->c, specs, nr, &rnd), 0);
}

/* --- One kind at a time --- */

/**
 * struct kind_case - an image read whole, by parts of all sizes
 * @name: of the case
 * @spec: the image; of 20 clusters if no size is given
 */
struct kind_case {
	const char *name;
	struct builder_spec spec;
};

#define KIND(text, bits, kinds_, ...) \
	{ text, { .version = 3, .kinds = kinds_, .cluster_bits = bits, \
	  ##__VA_ARGS__ } }

static const struct kind_case kind_cases[] = {
	{ "raw", { .raw = true, .size = 100 << 10 } },
	{ "raw, odd size", { .raw = true, .size = 100001 } },
	KIND("holes", 16, BUILDER_HOLE),
	KIND("zeros", 16, BUILDER_ZERO),
	KIND("allocated zeros", 16, BUILDER_ZERO_ALLOC),
	KIND("data", 16, BUILDER_DATA),
	KIND("data, 512", 9, BUILDER_DATA, .size = 300 << 9),
	KIND("data, odd size", 12, BUILDER_DATA, .size = 70001),
	KIND("data, version 2", 12, BUILDER_DATA, .version = 2),
	KIND("data, 2 MiB", 21, BUILDER_DATA, .size = 3 << 21),
	KIND("zlib, 512", 9, BUILDER_COMPRESSED, .size = 300 << 9),
	KIND("zlib", 12, BUILDER_COMPRESSED, .size = 100 << 12),
	KIND("zlib, version 2", 16, BUILDER_COMPRESSED, .version = 2),
	KIND("zlib, 2 MiB", 21, BUILDER_COMPRESSED, .size = 3 << 21),
	KIND("zstd, 512", 9, BUILDER_COMPRESSED, .zstd = true, .size = 300 << 9),
	KIND("zstd", 16, BUILDER_COMPRESSED, .zstd = true),
	KIND("zstd, 2 MiB", 21, BUILDER_COMPRESSED, .zstd = true, .size = 3 << 21),
	KIND("all, version 2", 12, BUILDER_ALL, .version = 2, .size = 100 << 12),
	KIND("all", 12, BUILDER_ALL, .size = 100 << 12),
	KIND("extended L2", 14, BUILDER_ALL, .extended_l2 = true, .size = 30 << 14),
	KIND("extended L2, 2 MiB", 21, BUILDER_ALL, .extended_l2 = true, .size = 4 << 21),
	KIND("data file", 12, BUILDER_ALL, .data_file = true, .size = 100 << 12),
	KIND("data file, extended L2", 14, BUILDER_ALL, .extended_l2 = true, .data_file = true),
};

static void kind_case_desc(const struct kind_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(kind, kind_cases, kind_case_desc);

static void read_kind(struct kunit *test)
{
	static const u32 steps[] = { 512, 3584, 4096, 65536, 100352, 512 << 10 };
	const struct kind_case *c = test->param_value;
	struct builder_spec spec = c->spec;
	struct reader_fixture *x = test->priv;
	struct qcow_image *img;
	u32 i;

	if (!spec.size)
		spec.size = 20ULL << spec.cluster_bits;
	build(test, &spec, 1, 500);
	img = open_chain(test);
	for (i = spec.cluster_bits > 16 ? 3 : 0; i < ARRAY_SIZE(steps); i++)
		KUNIT_EXPECT_EQ_MSG(test, reader_read_all(x->r, img, x->c->img[0].expect,
							  steps[i]), 0,
				    "in steps of %u", steps[i]);
	close_chain(test, img);
}

/* --- Everything at once --- */

static void random_mode(struct rnd_state *rnd, struct memfile_mode *mode)
{
	memset(mode, 0, sizeof(*mode));
	mode->nowait = !qtest_one_in(rnd, 4);
	mode->direct = qtest_one_in(rnd, 2);
	mode->async = qtest_one_in(rnd, 2);
	mode->eagain = qtest_one_in(rnd, 2) ? 0 : 1 + qtest_below(rnd, 3);
	mode->eagain_late = qtest_one_in(rnd, 2);
	mode->max_read = qtest_one_in(rnd, 3) ? 1 + qtest_below(rnd, 9000) : 0;
	mode->dio_align = qtest_one_in(rnd, 2) ? 512 : 4096;
	mode->refuse_direct = qtest_one_in(rnd, 10);
}

/* Some reads at once. Return: 0 or the first bad result. */
static int random_reads(struct reader *r, struct qcow_image *img,
			const u8 *expect, struct rnd_state *rnd)
{
	u32 n = 1 + qtest_below(rnd, READER_PARALLEL), i, len;
	int verdict = 0, err;
	u64 guest_offset;

	for (i = 0; i < n; i++) {
		u32 unit = qtest_one_in(rnd, 4) ? 1 : 512;

		guest_offset = qtest_below(rnd, img->size / unit) * (u64)unit;
		len = (1 + qtest_below(rnd, 200 << 10) / unit) * unit;
		len = min_t(u64, len, img->size - guest_offset);
		reader_prepare_random(r, i, img, guest_offset, len, rnd);
		reader_submit(r, i, qtest_one_in(rnd, 6));
	}
	for (i = 0; i < n; i++) {
		err = reader_wait(r, i, expect + r->io[i].io.guest_offset);
		verdict = verdict ?: err;
	}
	return verdict;
}

static void set_random_modes(struct builder_chain *c, struct rnd_state *rnd)
{
	struct memfile_mode mode;
	u32 i;

	for (i = 0; i < c->nr; i++) {
		random_mode(rnd, &mode);
		memfile_set_mode(c->img[i].m, &mode);
		if (!c->img[i].data_m)
			continue;
		random_mode(rnd, &mode);
		memfile_set_mode(c->img[i].data_m, &mode);
	}
}

static bool random_chain(struct kunit *test, u32 seed)
{
	struct reader_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(1000 + seed);
	struct qcow_image *img;
	u32 i, nr = qtest_one_in(&rnd, 3) ? 1 + qtest_below(&rnd, BUILDER_MAX_CHAIN) :
					    1 + qtest_below(&rnd, 2);
	int err;

	err = builder_build_random(x->c, nr, &rnd);
	KUNIT_ASSERT_EQ(test, err, 0);
	set_random_modes(x->c, &rnd);
	/* Now and then too small for the tables. */
	x->r->params.cache_bytes = qtest_one_in(&rnd, 3) ? 0 : 1 << 20;
	x->r->params.direct = qtest_one_in(&rnd, 4) ? QCOW_DIRECT_OFF : QCOW_DIRECT_AUTO;
	img = open_chain(test);
	for (i = 0; img->size && !err && i < READS_PER_CHAIN; i++)
		err = random_reads(x->r, img, x->c->img[0].expect, &rnd);
	close_chain(test, img);
	KUNIT_EXPECT_EQ_MSG(test, err, 0, "chain %u (seed %lu): %s", seed, qtest_seed,
			    err == READER_WRONG ? "wrong bytes" :
			    err == READER_STRAY ? "bytes out of place" :
			    err == READER_HANG ? "hangs" : "error");
	builder_free(x->c);
	return !err;
}

/* Not all in one case: one that takes long is taken to hang. */
static const u32 random_firsts[] = { 0, 10000, 20000, 30000 };

static void random_desc(const u32 *first, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "from %u on", *first);
}

KUNIT_ARRAY_PARAM(random, random_firsts, random_desc);

static void read_random(struct kunit *test)
{
	u32 i, first = *(const u32 *)test->param_value, bad = 0;

	for (i = 0; i < RANDOM_CHAINS && bad < 5; i++)
		bad += !random_chain(test, first + i);
}

/* --- Fast reads --- */

static u64 sum_fast(struct reader *r, bool hits)
{
	u64 n = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		struct qcow_stats *s = per_cpu_ptr(r->params.stats, cpu);

		n += hits ? s->hits : s->misses;
	}
	return n;
}

/* Neighbours in the file are read at once, and without a worker. */
static void read_merges(struct kunit *test)
{
	static const struct builder_spec spec = {
		.version = 3, .cluster_bits = 12, .kinds = BUILDER_DATA,
		.size = 64 << 12, .tidy = true,
	};
	static const struct memfile_mode mode = { .nowait = true, .async = true };
	struct reader_fixture *x = test->priv;
	const u8 *expect;
	struct qcow_image *img;
	u64 misses;

	build(test, &spec, 1, 501);
	expect = x->c->img[0].expect;
	builder_set_mode(x->c, &mode);
	img = open_chain(test);
	KUNIT_EXPECT_EQ(test, reader_read(x->r, img, 0, 512, expect), 0);
	KUNIT_EXPECT_TRUE(test, x->r->io[0].io.slow);
	misses = sum_fast(x->r, false);
	KUNIT_EXPECT_EQ(test, misses, 1);

	memfile_set_mode(x->c->img[0].m, &mode);
	KUNIT_EXPECT_EQ(test, reader_read(x->r, img, 0, 64 << 12, expect), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&x->c->img[0].m->reads), 1);
	KUNIT_EXPECT_FALSE(test, x->r->io[0].io.slow);
	KUNIT_EXPECT_EQ(test, sum_fast(x->r, false), misses);
	KUNIT_EXPECT_GT(test, sum_fast(x->r, true), 0);
	close_chain(test, img);
}

/* A compressed cluster read in small steps is decompressed once. */
static void read_decompresses_once(struct kunit *test)
{
	static const struct builder_spec spec = {
		.version = 3, .cluster_bits = 16, .kinds = BUILDER_COMPRESSED,
		.size = 4 << 16, .tidy = true,
	};
	struct reader_fixture *x = test->priv;
	struct qcow_image *img;

	build(test, &spec, 1, 502);
	img = open_chain(test);
	KUNIT_EXPECT_EQ(test, reader_read_all(x->r, img, x->c->img[0].expect, 4096), 0);
	KUNIT_EXPECT_EQ(test, raw_cpu_ptr(x->r->params.stats)->decompressed, 4);
	close_chain(test, img);
}

/* --- Chains that do not fit --- */

/**
 * struct open_case - an attempt to open
 * @name: of the case
 * @spec: the images
 * @nr: of them
 * @give: how many of them are given
 * @format: given for the first, or 0: the right one
 * @no_data: the data file is left out
 * @more_data: one is given that is not asked for
 * @untrusted: the user says so
 * @err: expected
 * @failed: the image that is to blame
 * @says: expected in the message
 */
struct open_case {
	const char *name;
	struct builder_spec spec[3];
	u32 nr;
	u32 give;
	u32 format;
	bool no_data;
	bool more_data;
	bool untrusted;
	int err;
	u32 failed;
	const char *says;
};

#define SMALL	{ .version = 3, .cluster_bits = 12, .kinds = BUILDER_ALL, .size = 40960 }
#define DATA	{ .version = 3, .cluster_bits = 12, .kinds = BUILDER_ALL, .size = 40960, \
		  .data_file = true }

static const struct open_case open_cases[] = {
	{ "alone", { SMALL }, 1, 1 },
	{ "three", { SMALL, SMALL, SMALL }, 3, 3 },
	{ "no backing file", { SMALL, SMALL }, 2, 1, .err = -ENOENT, .says = "backing" },
	{ "no backing file at the end",
	  { SMALL, SMALL, SMALL }, 3, 2, .err = -ENOENT, .failed = 1, .says = "backing" },
	{ "one file too many", { SMALL, SMALL }, 1, 2, .err = -EINVAL, .says = "backing" },
	{ "backing file, untrusted",
	  { SMALL, SMALL }, 2, 2, .untrusted = true, .err = -EPERM, .says = "untrusted" },
	{ "data file", { DATA }, 1, 1 },
	{ "data file missing",
	  { DATA }, 1, 1, .no_data = true, .err = -ENOENT, .says = "data file" },
	{ "data file, untrusted",
	  { DATA }, 1, 1, .untrusted = true, .err = -EPERM, .says = "untrusted" },
	{ "data file not asked for",
	  { SMALL }, 1, 1, .more_data = true, .err = -EINVAL, .says = "data file" },
	{ "version 1",
	  { SMALL }, 1, 1, .format = QCOW_FORMAT_QCOW, .err = -EINVAL, .says = "-f qcow2" },
	{ "unknown format",
	  { SMALL }, 1, 1, .format = 99, .err = -EOPNOTSUPP, .says = "format 99" },
	{ "raw as qcow2",
	  { { .raw = true, .size = 40960 } }, 1, 1, .format = QCOW_FORMAT_QCOW2, .err = -EINVAL,
	  .says = "magic" },
	{ "raw, empty, as qcow2",
	  { { .raw = true } }, 1, 1, .format = QCOW_FORMAT_QCOW2, .err = -EINVAL, .says = "short" },
	{ "qcow2 as raw", { SMALL }, 1, 1, .format = QCOW_FORMAT_RAW },
};

static void open_case_desc(const struct open_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(open, open_cases, open_case_desc);

static void open_job_sources(struct builder_chain *c, const struct open_case *oc)
{
	if (oc->give > oc->nr) {
		c->sources[1] = c->sources[0];
		c->sources[1].format = QCOW_FORMAT_RAW;
	}
	if (oc->format)
		c->sources[0].format = oc->format;
	if (oc->no_data)
		c->sources[0].data_file = NULL;
	if (oc->more_data)
		c->sources[0].data_file = c->sources[0].file;
}

static void read_open(struct kunit *test)
{
	const struct open_case *oc = test->param_value;
	struct reader_fixture *x = test->priv;
	struct qcow_image *img;
	u32 failed = 99;

	build(test, oc->spec, oc->nr, 503);
	open_job_sources(x->c, oc);
	x->r->params.untrusted = oc->untrusted;
	img = qcow_image_open_chain(x->c->sources, oc->give, &x->r->params, &x->msg,
				    &failed);
	KUNIT_EXPECT_EQ_MSG(test, PTR_ERR_OR_ZERO(img), oc->err, "%s", x->msg.text);
	if (!IS_ERR(img)) {
		close_chain(test, img);
		return;
	}
	KUNIT_EXPECT_EQ(test, failed, oc->failed);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(x->msg.text, oc->says), "says: %s",
				  x->msg.text);
	KUNIT_EXPECT_TRUE(test, builder_idle(x->c));
}

/* The image file becomes shorter: reads of the lost part fail, and give no zeros. */
static void read_shrunk(struct kunit *test)
{
	static const struct builder_spec spec = {
		.version = 3, .cluster_bits = 12, .kinds = BUILDER_DATA,
		.size = 64 << 12, .tidy = true,
	};
	struct reader_fixture *x = test->priv;
	struct builder_image *b = &x->c->img[0];
	struct qcow_image *img;

	build(test, &spec, 1, 504);
	img = open_chain(test);
	KUNIT_EXPECT_EQ(test, reader_read(x->r, img, 0, 4096, b->expect), 0);
	memfile_set_size(b->m, b->file_len - 4096);
	KUNIT_EXPECT_EQ(test, reader_read(x->r, img, 62 << 12, 4096,
					  b->expect + (62 << 12)), 0);
	KUNIT_EXPECT_EQ(test, reader_read(x->r, img, 63 << 12, 4096, NULL), -EIO);
	KUNIT_EXPECT_EQ(test, reader_read(x->r, img, 62 << 12, 8192, NULL), -EIO);
	KUNIT_EXPECT_TRUE(test, test_bit(QCOW_IMAGE_CORRUPT, &img->flags));
	close_chain(test, img);
}

static struct kunit_case read_test_cases[] = {
	KUNIT_CASE_PARAM(read_open, open_gen_params),
	KUNIT_CASE_PARAM(read_kind, kind_gen_params),
	KUNIT_CASE(read_merges),
	KUNIT_CASE(read_decompresses_once),
	KUNIT_CASE(read_shrunk),
	KUNIT_CASE_PARAM(read_random, random_gen_params),
	{ }
};

static struct kunit_suite read_suite = {
	.name = "qcow_read",
	.init = reader_test_init,
	.exit = reader_test_exit,
	.test_cases = read_test_cases,
};

kunit_test_suite(read_suite);
