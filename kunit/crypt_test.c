// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of encryption: known answers, and memory in pieces of every shape.
 */
#include <linux/bvec.h>
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "crypt.h"
#include "qtest.h"

#define SECTOR	QCOW_CRYPT_SECTOR

static const u8 xts_key[] = {
	0x27, 0x18, 0x28, 0x18, 0x28, 0x45, 0x90, 0x45,
	0x23, 0x53, 0x60, 0x28, 0x74, 0x71, 0x35, 0x26,
	0x31, 0x41, 0x59, 0x26, 0x53, 0x58, 0x97, 0x93,
	0x23, 0x84, 0x62, 0x64, 0x33, 0x83, 0x27, 0x95,
};

/* IEEE 1619, vector 4: data unit 0 holds 0 to 255 twice. */
static const u8 xts_first[] = {
	0x27, 0xa7, 0x47, 0x9b, 0xef, 0xa1, 0xd4, 0x76,
	0x48, 0x9f, 0x30, 0x8c, 0xd4, 0xcf, 0xa6, 0xe2,
};

static const u8 xts_last[] = {
	0x0a, 0x28, 0x2d, 0xf9, 0x20, 0x14, 0x7b, 0xea,
	0xbe, 0x42, 0x1e, 0xe5, 0x31, 0x9d, 0x05, 0x68,
};

/* What QEMU made of 0x5a at sector 2051 with the passphrase "sesame". */
static const u8 aes_key[16] = "sesame";
static const u8 aes_first[] = {
	0xfb, 0xbd, 0xf1, 0x64, 0xf1, 0x33, 0x1a, 0x29,
	0xbb, 0x61, 0x33, 0x82, 0x19, 0x30, 0xf7, 0xf8,
};
static const u8 aes_last[] = {
	0xe6, 0x95, 0xe6, 0x9f, 0x6e, 0xb7, 0x05, 0xe0,
	0xb1, 0xf8, 0x28, 0x8f, 0x52, 0x3e, 0xf0, 0xcd,
};

static struct qcow_crypt *create(struct kunit *test, const char *spec,
				 bool by_guest, const u8 *key, u32 len)
{
	struct qcow_msg msg = { };
	struct qcow_crypt *c = qcow_crypt_create(spec, by_guest, key, len, &msg);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(c), "%s: %s", spec, msg.text);
	return c;
}

static u32 one_bvec(struct bio_vec *bv, void *buf, u32 len)
{
	bv->bv_page = virt_to_page(buf);
	bv->bv_offset = offset_in_page(buf);
	bv->bv_len = len;
	return 1;
}

static void crypt_xts(struct kunit *test)
{
	struct qcow_crypt *c = create(test, "aes-xts-plain64", false, xts_key,
				      sizeof(xts_key));
	u8 *buf = kunit_kmalloc(test, SECTOR, GFP_KERNEL);
	struct bio_vec bv;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (i = 0; i < SECTOR; i++)
		buf[i] = i;
	one_bvec(&bv, buf, SECTOR);
	KUNIT_EXPECT_EQ(test, 0, qcow_crypt_bvecs(c, &bv, 1, 0, SECTOR,
						  SECTOR, 0, true));
	KUNIT_EXPECT_EQ(test, 0, memcmp(buf, xts_first, 16));
	KUNIT_EXPECT_EQ(test, 0, memcmp(buf + SECTOR - 16, xts_last, 16));
	KUNIT_EXPECT_EQ(test, 0, qcow_crypt_bvecs(c, &bv, 1, 0, SECTOR,
						  SECTOR, 0, false));
	for (i = 0; i < SECTOR && buf[i] == (u8)i; i++)
		;
	KUNIT_EXPECT_EQ(test, i, SECTOR);
	qcow_crypt_destroy(c);
}

static void crypt_aes(struct kunit *test)
{
	struct qcow_crypt *c = create(test, "aes-cbc-plain64", true, aes_key,
				      sizeof(aes_key));
	u8 *buf = kunit_kmalloc(test, SECTOR, GFP_KERNEL);
	struct bio_vec bv;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	memset(buf, 0x5a, SECTOR);
	one_bvec(&bv, buf, SECTOR);
	KUNIT_EXPECT_EQ(test, 0, qcow_crypt_bvecs(c, &bv, 1, 0, SECTOR,
						  2051 * SECTOR, 0, true));
	KUNIT_EXPECT_EQ(test, 0, memcmp(buf, aes_first, 16));
	KUNIT_EXPECT_EQ(test, 0, memcmp(buf + SECTOR - 16, aes_last, 16));
	qcow_crypt_destroy(c);
}

/* --- Shapes --- */

#define SHAPE_SECTORS	24
#define SHAPE_BYTES	(SHAPE_SECTORS * SECTOR)
#define SHAPE_BVECS	256

/* Cut memory into segments at random, single bytes among them. */
static u32 shape_draw(struct rnd_state *rnd, struct bio_vec *bv, u8 *buf, u32 len)
{
	u32 nr = 0, n;

	for (; len; len -= n, buf += n) {
		n = qtest_one_in(rnd, 3) ? 1 + qtest_below(rnd, 40) :
					   1 + qtest_below(rnd, 2000);
		n = nr == SHAPE_BVECS - 1 ? len : min(n, len);
		nr += one_bvec(&bv[nr], buf, n);
	}
	return nr;
}

static void shape_try(struct kunit *test, struct qcow_crypt *c,
		      struct rnd_state *rnd, u8 *got, u8 *want,
		      struct bio_vec *bv)
{
	u32 skip = qtest_below(rnd, 3000), i, nr;
	u64 pos = (u64)qtest_below(rnd, 1 << 30) * SECTOR;
	bool encrypt = qtest_one_in(rnd, 2);
	struct bio_vec one;

	for (i = 0; i < skip + SHAPE_BYTES; i++)
		got[i] = want[i] = prandom_u32_state(rnd);
	for (i = 0; i < SHAPE_SECTORS; i++) {
		one_bvec(&one, want + skip + i * SECTOR, SECTOR);
		KUNIT_ASSERT_EQ(test, 0, qcow_crypt_bvecs(c, &one, 1, 0, SECTOR,
							  0, pos + i * SECTOR,
							  encrypt));
	}
	nr = shape_draw(rnd, bv, got, skip + SHAPE_BYTES);
	KUNIT_ASSERT_EQ(test, 0, qcow_crypt_bvecs(c, bv, nr, skip, SHAPE_BYTES,
						  0, pos, encrypt));
	KUNIT_ASSERT_EQ(test, 0, memcmp(got, want, skip + SHAPE_BYTES));
}

static void shapes(struct kunit *test, const char *spec, u32 key_len)
{
	struct qcow_crypt *c = create(test, spec, false, xts_key, key_len);
	struct rnd_state rnd = qtest_rnd(key_len);
	u8 *got = kunit_kmalloc(test, SHAPE_BYTES + 3000, GFP_KERNEL);
	u8 *want = kunit_kmalloc(test, SHAPE_BYTES + 3000, GFP_KERNEL);
	struct bio_vec *bv = kunit_kcalloc(test, SHAPE_BVECS, sizeof(*bv),
					   GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_TRUE(test, got && want && bv);
	for (i = 0; i < 50; i++)
		shape_try(test, c, &rnd, got, want, bv);
	qcow_crypt_destroy(c);
}

static void crypt_shapes(struct kunit *test)
{
	shapes(test, "aes-xts-plain64", 32);
	shapes(test, "aes-cbc-essiv:sha256", 16);
	shapes(test, "aes-cbc-plain", 32);
}

/* What is not a cipher's name does not become part of one. */
static void crypt_specs(struct kunit *test)
{
	static const char *const bad[] = {
		"", "aes", "aes-cbc", "aes-cbc-plain65", "aes-cbc-essiv",
		"aes-cbc-essiv:", "aes-cbc-essiv:sha256),x", "aes)-cbc-plain",
		"a(b-cbc-plain", "-cbc-plain", "aes--plain", "aes-cbc-",
		"aes-cbc-plain64-x", "nonsense-cbc-plain",
		"aes-xts-plain64aes-xts-plain64aes-xts-plain64aes-xts-plain64aes-xts-plain64",
	};
	struct qcow_msg msg = { };
	struct qcow_crypt *c;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		c = qcow_crypt_create(bad[i], false, xts_key, 32, &msg);
		KUNIT_EXPECT_TRUE_MSG(test, IS_ERR(c), "%s", bad[i]);
		if (!IS_ERR(c))
			qcow_crypt_destroy(c);
	}
	c = qcow_crypt_create("aes-xts-plain64", false, xts_key, 31, &msg);
	KUNIT_EXPECT_TRUE(test, IS_ERR(c));
}

static struct kunit_case crypt_cases[] = {
	KUNIT_CASE(crypt_xts),
	KUNIT_CASE(crypt_aes),
	KUNIT_CASE(crypt_shapes),
	KUNIT_CASE(crypt_specs),
	{ }
};

static struct kunit_suite crypt_suite = {
	.name = "qcow_crypt",
	.test_cases = crypt_cases,
};

kunit_test_suites(&crypt_suite);
