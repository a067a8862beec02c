// SPDX-License-Identifier: GPL-2.0
/*
 * Header extensions and feature names, and headers with random damage.
 */
#include <linux/math64.h>
#include <linux/slab.h>

#include "compat/compat_test.h"
#include "ondisk/header.h"
#include "qtest.h"

#define CLUSTER_BITS	12
#define CLUSTER		BIT(CLUSTER_BITS)
#define FILE_SIZE	(64ULL * CLUSTER)
#define MUTATIONS	60000

/* A header being put together. */
struct ext_image {
	u8 *buf;
	u32 end;
	struct qcow_header h;
	struct qcow_msg msg;
};

static void ext_begin(struct kunit *test, struct ext_image *x)
{
	struct qcow_disk_header *d;

	memset(x, 0, sizeof(*x));
	x->buf = kunit_kzalloc(test, CLUSTER, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, x->buf);
	d = (struct qcow_disk_header *)x->buf;
	d->magic = cpu_to_be32(QCOW_DISK_MAGIC);
	d->version = cpu_to_be32(3);
	d->cluster_bits = cpu_to_be32(CLUSTER_BITS);
	d->size = cpu_to_be64(1 << 20);
	d->l1_size = cpu_to_be32(4);
	d->l1_table_offset = cpu_to_be64(3 * CLUSTER);
	d->refcount_table_offset = cpu_to_be64(CLUSTER);
	d->refcount_table_clusters = cpu_to_be32(1);
	d->refcount_order = cpu_to_be32(4);
	d->header_length = cpu_to_be32(112);
	x->end = 112;
}

static u32 ext_add(struct ext_image *x, u32 type, const void *data, u32 len)
{
	u32 host_offset = x->end + 8;

	put_unaligned_be32(type, x->buf + x->end);
	put_unaligned_be32(len, x->buf + x->end + 4);
	if (data)
		memcpy(x->buf + host_offset, data, len);
	x->end = host_offset + round_up(len, 8);
	return host_offset;
}

static void ext_set_backing(struct ext_image *x, u32 host_offset, u32 len)
{
	struct qcow_disk_header *d = (struct qcow_disk_header *)x->buf;

	d->backing_file_offset = cpu_to_be64(host_offset);
	d->backing_file_size = cpu_to_be32(len);
	memset(x->buf + host_offset, 'b', len);
}

static void ext_set_incompatible(struct ext_image *x, u64 bits)
{
	struct qcow_disk_header *d = (struct qcow_disk_header *)x->buf;

	d->incompatible_features = cpu_to_be64(bits);
}

static int ext_parse(struct ext_image *x, size_t len)
{
	u8 *copy = kmemdup(x->buf, len, GFP_KERNEL | __GFP_NOFAIL);
	int err;

	x->msg.text[0] = 0;
	err = qcow_header_parse(&x->h, copy, len, FILE_SIZE, &x->msg);
	kfree(copy);
	return err;
}

static void ext_all(struct kunit *test)
{
	u32 bitmaps, luks, name;
	struct ext_image x;

	ext_begin(test, &x);
	ext_add(&x, 0x12345678, "unknown", 7);
	ext_add(&x, QCOW_DISK_EXT_BACKING_FORMAT, "qcow2", 5);
	ext_add(&x, 0xffffffff, NULL, 0);
	bitmaps = ext_add(&x, QCOW_DISK_EXT_BITMAPS, "012345678901234567890123", 24);
	luks = ext_add(&x, QCOW_DISK_EXT_LUKS, "0123456789abcdef", 16);
	name = ext_add(&x, QCOW_DISK_EXT_DATA_FILE, "data.raw", 8);
	ext_add(&x, QCOW_DISK_EXT_END, NULL, 0);
	ext_add(&x, QCOW_DISK_EXT_BACKING_FORMAT, "raw", 3);
	KUNIT_ASSERT_EQ_MSG(test, ext_parse(&x, CLUSTER), 0, "%s", x.msg.text);
	KUNIT_EXPECT_STREQ(test, x.h.backing_format, "qcow2");
	KUNIT_EXPECT_EQ(test, x.h.bitmaps_in_header, bitmaps);
	KUNIT_EXPECT_EQ(test, x.h.bitmaps_len, 24);
	KUNIT_EXPECT_EQ(test, x.h.luks_in_header, luks);
	KUNIT_EXPECT_EQ(test, x.h.luks_len, 16);
	KUNIT_EXPECT_EQ(test, x.h.data_name_in_header, name);
	KUNIT_EXPECT_EQ(test, x.h.data_name_len, 8);
}

/* Version 2 headers have extensions as well. */
static void ext_version_2(struct kunit *test)
{
	struct qcow_disk_header *d;
	struct ext_image x;

	ext_begin(test, &x);
	d = (struct qcow_disk_header *)x.buf;
	d->version = cpu_to_be32(2);
	x.end = 72;
	ext_add(&x, QCOW_DISK_EXT_BACKING_FORMAT, "raw", 3);
	ext_add(&x, QCOW_DISK_EXT_END, NULL, 0);
	KUNIT_ASSERT_EQ_MSG(test, ext_parse(&x, CLUSTER), 0, "%s", x.msg.text);
	KUNIT_EXPECT_STREQ(test, x.h.backing_format, "raw");
}

/**
 * struct ext_case - one extension behind the header
 * @name: of the case
 * @type: its type
 * @len: its length
 * @backing_at: where the backing file's name is, or 0
 * @buf_len: bytes of the file, or 0: a cluster
 * @err: expected
 */
struct ext_case {
	const char *name;
	u32 type;
	u32 len;
	u32 backing_at;
	u32 buf_len;
	int err;
};

static const struct ext_case ext_cases[] = {
	{ "format of 15 bytes", QCOW_DISK_EXT_BACKING_FORMAT, 15 },
	{ "format of 16 bytes", QCOW_DISK_EXT_BACKING_FORMAT, 16, .err = -EINVAL },
	{ "format of 0 bytes", QCOW_DISK_EXT_BACKING_FORMAT, 0 },
	{ "data file name of 1023 bytes", QCOW_DISK_EXT_DATA_FILE, 1023 },
	{ "data file name of 1024 bytes", QCOW_DISK_EXT_DATA_FILE, 1024, .err = -EINVAL },
	{ "to the cluster's end", 0x1234, CLUSTER - 120 },
	{ "a byte past the cluster's end", 0x1234, CLUSTER - 119, .err = -EINVAL },
	{ "of 2^31 bytes", 0x1234, 1U << 31, .err = -EINVAL },
	{ "of 2^32 - 1 bytes", 0x1234, U32_MAX, .err = -EINVAL },
	{ "feature names of 2^32 - 1 bytes", QCOW_DISK_EXT_FEATURE_NAMES, U32_MAX, .err = -EINVAL },
	{ "the end, with a length", QCOW_DISK_EXT_END, CLUSTER - 120 },
	{ "the end, past the cluster's", QCOW_DISK_EXT_END, CLUSTER - 119, .err = -EINVAL },
	{ "to the backing file's name", 0x1234, 80, 200 },
	{ "a byte into the backing file's name", 0x1234, 81, 200, .err = -EINVAL },
	{ "to the file's end", 0x1234, 80, 0, 200 },
	{ "past the file's end", 0x1234, 81, 0, 200, .err = -EINVAL },
	{ "its own header cut off", 0x1234, 81, 0, 119 },
	{ "no room for one", 0x1234, 81, 116 },
};

static void ext_case_desc(const struct ext_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(ext, ext_cases, ext_case_desc);

static void ext_limits(struct kunit *test)
{
	const struct ext_case *c = test->param_value;
	struct ext_image x;

	ext_begin(test, &x);
	memset(x.buf + 112, 'x', CLUSTER - 112);
	ext_add(&x, c->type, NULL, c->len);
	if (x.end <= CLUSTER - 8 && !c->err)
		ext_add(&x, QCOW_DISK_EXT_END, NULL, 0);
	if (c->backing_at)
		ext_set_backing(&x, c->backing_at, 10);
	KUNIT_EXPECT_EQ_MSG(test, ext_parse(&x, c->buf_len ?: CLUSTER), c->err,
			    "%s", x.msg.text);
	KUNIT_EXPECT_EQ(test, !x.msg.text[0], !c->err);
}

static void ext_data_name_nul(struct kunit *test)
{
	struct ext_image x;

	ext_begin(test, &x);
	ext_add(&x, QCOW_DISK_EXT_DATA_FILE, "da\0ta", 5);
	KUNIT_EXPECT_EQ(test, ext_parse(&x, CLUSTER), -EINVAL);
	KUNIT_EXPECT_NOT_NULL(test, strstr(x.msg.text, "NUL"));
}

static void ext_feature_names(struct kunit *test)
{
	struct qcow_disk_feature_name names[4] = {
		{ 0, 60, "sixty" }, { 1, 61, "compatible" }, { 0, 61, "b\033[31m\xff" },
	};
	struct ext_image x;

	names[3].bit = 62;
	memset(names[3].name, 'n', sizeof(names[3].name));
	ext_begin(test, &x);
	/* A part of an entry at the end is ignored. */
	ext_add(&x, QCOW_DISK_EXT_FEATURE_NAMES, names, sizeof(names));
	put_unaligned_be32(sizeof(names) + 40, x.buf + 116);
	ext_set_incompatible(&x, BIT_ULL(60) | BIT_ULL(61) | BIT_ULL(62) | BIT_ULL(63));
	KUNIT_EXPECT_EQ(test, ext_parse(&x, CLUSTER), -EOPNOTSUPP);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(x.msg.text, "sixty (bit 60)"),
				  "%s", x.msg.text);
	KUNIT_EXPECT_NULL(test, strstr(x.msg.text, "compatible (bit 61)"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(x.msg.text, "b?[31m? (bit 61)"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(x.msg.text, "nnnn (bit 62)"));
	KUNIT_EXPECT_NOT_NULL(test, strstr(x.msg.text, "unknown (bit 63)"));
}

/* --- Random damage --- */

static void fuzz_make(struct ext_image *x, struct rnd_state *rnd)
{
	static const u32 types[] = {
		QCOW_DISK_EXT_BACKING_FORMAT, QCOW_DISK_EXT_FEATURE_NAMES,
		QCOW_DISK_EXT_BITMAPS, QCOW_DISK_EXT_LUKS,
		QCOW_DISK_EXT_DATA_FILE, 0x1234,
	};
	u8 data[96];
	u32 n;

	for (n = qtest_below(rnd, 5); n; n--) {
		prandom_bytes_state(rnd, data, sizeof(data));
		ext_add(x, types[qtest_below(rnd, ARRAY_SIZE(types))], data,
			qtest_below(rnd, sizeof(data)));
	}
	ext_add(x, QCOW_DISK_EXT_END, NULL, 0);
	if (qtest_one_in(rnd, 2))
		ext_set_backing(x, x->end, 1 + qtest_below(rnd, 1023));
}

/* Values at which something is likely to go wrong. */
static u64 fuzz_value(struct rnd_state *rnd)
{
	u64 v = qtest_u64(rnd);

	switch (qtest_below(rnd, 5)) {
	case 0:
		return qtest_below(rnd, 64);
	case 1:
		return BIT_ULL(v & 63) - (v >> 8 & 1);
	case 2:
		return -(u64)qtest_below(rnd, 3) << qtest_below(rnd, 16);
	case 3:
		return (u64)qtest_below(rnd, 80) << CLUSTER_BITS;
	default:
		return v >> (v & 63);
	}
}

static void fuzz_mutate(struct ext_image *x, struct rnd_state *rnd)
{
	u32 n, range = qtest_one_in(rnd, 3) ? CLUSTER - 8 : 128;

	for (n = 1 + qtest_below(rnd, 3); n; n--) {
		u8 *p = x->buf + qtest_below(rnd, range);

		if (qtest_one_in(rnd, 3))
			*p = prandom_u32_state(rnd);
		else if (qtest_one_in(rnd, 2))
			put_unaligned_be32(fuzz_value(rnd), x->buf + ((p - x->buf) & ~3));
		else
			put_unaligned_be64(fuzz_value(rnd), x->buf + ((p - x->buf) & ~7));
	}
}

static bool inside(u64 host_offset, u64 len, u64 end)
{
	return host_offset <= end && len <= end - host_offset;
}

static bool tables_valid(const struct qcow_header *h)
{
	u64 mask = (1ULL << h->cluster_bits) - 1;
	u64 reftable = (u64)h->refcount_table_clusters << h->cluster_bits;
	u32 shift = h->cluster_bits + qcow_header_l2_bits(h);

	if ((h->l1_table_offset | h->refcount_table_offset | h->snapshots_offset) & mask)
		return false;
	if (!inside(h->l1_table_offset, h->l1_size * 8ULL, S64_MAX) ||
	    !inside(h->refcount_table_offset, reftable, S64_MAX))
		return false;
	return h->l1_size <= 32 << 17 && reftable && reftable <= 8 << 20 &&
	       h->nr_snapshots <= 65536 &&
	       DIV64_U64_ROUND_UP(h->size, 1ULL << shift) <= h->l1_size;
}

/* Facts that the rest of the driver takes for granted. */
static bool header_valid(const struct qcow_header *h, size_t len)
{
	if (h->version < 2 || h->version > 3 || h->refcount_order > 6 ||
	    h->cluster_bits < 9 || h->cluster_bits > 21 ||
	    h->header_length > len ||
	    !qcow_header_compression_name(h->compression) ||
	    h->crypt_method > 2)
		return false;
	if (h->incompatible & ~QCOW_DISK_INCOMPAT_KNOWN || h->size & 511 ||
	    h->size > S64_MAX)
		return false;
	if (h->backing_len > 1023 || h->data_name_len > 1023 ||
	    strnlen(h->backing_format, 16) == 16)
		return false;
	return inside(h->backing_in_header, h->backing_len, len) &&
	       inside(h->data_name_in_header, h->data_name_len, len) &&
	       inside(h->bitmaps_in_header, h->bitmaps_len, len) &&
	       inside(h->luks_in_header, h->luks_len, len) && tables_valid(h);
}

static bool known_error(int err)
{
	return err == -EINVAL || err == -EFBIG || err == -EOPNOTSUPP;
}

static void fuzz_one(struct kunit *test, struct ext_image *x, u32 i, u32 *good)
{
	struct rnd_state rnd = qtest_rnd(i);
	size_t len = qtest_one_in(&rnd, 4) ? qtest_below(&rnd, CLUSTER) : CLUSTER;
	int err;

	memset(x->buf + 112, 0, CLUSTER - 112);
	fuzz_make(x, &rnd);
	fuzz_mutate(x, &rnd);
	err = ext_parse(x, len);
	*good += !err;
	if (err)
		KUNIT_EXPECT_TRUE_MSG(test, x->msg.text[0] && known_error(err),
				      "case %u: error %d: %s", i, err, x->msg.text);
	else
		KUNIT_EXPECT_TRUE_MSG(test, header_valid(&x->h, len) && !x->msg.text[0],
				      "case %u was taken for valid", i);
}

static void header_fuzz(struct kunit *test)
{
	struct ext_image x;
	u32 i, good = 0;
	u8 base[112];

	ext_begin(test, &x);
	memcpy(base, x.buf, sizeof(base));
	for (i = 0; i < MUTATIONS; i++) {
		memcpy(x.buf, base, sizeof(base));
		x.end = sizeof(base);
		fuzz_one(test, &x, i, &good);
	}
	kunit_info(test, "%u of %u headers were valid\n", good, MUTATIONS);
	/* Else the mutations do not say much. */
	KUNIT_EXPECT_GT(test, good, MUTATIONS / 20);
	KUNIT_EXPECT_LT(test, good, MUTATIONS / 20 * 19);
}

static struct kunit_case ext_test_cases[] = {
	KUNIT_CASE(ext_all),
	KUNIT_CASE(ext_version_2),
	KUNIT_CASE_PARAM(ext_limits, ext_gen_params),
	KUNIT_CASE(ext_data_name_nul),
	KUNIT_CASE(ext_feature_names),
	KUNIT_CASE(header_fuzz),
	{ }
};

static struct kunit_suite ext_suite = {
	.name = "qcow_header_extensions",
	.test_cases = ext_test_cases,
};

kunit_test_suite(ext_suite);
