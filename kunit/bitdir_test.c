// SPDX-License-Identifier: GPL-2.0
/*
 * The codecs of bitmaps: they read back their own entries, and refuse damaged ones.
 */
#include <linux/string.h>

#include "compat/compat_test.h"
#include "ondisk/bitdir.h"
#include "qtest.h"

#define SIZE	(100ULL << 20)

static const struct qcow_layout layout = { .cluster_bits = 16, .version = 3 };

/* An entry of the directory, by the specification. */
static void put_entry(u8 *p)
{
	memset(p, 0, 64);
	put_unaligned_be64(0x70000, p);
	put_unaligned_be32(1, p + 8);
	put_unaligned_be32(2, p + 12);
	p[16] = 1;
	p[17] = 16;
	put_unaligned_be16(5, p + 18);
	memcpy(p + 24, "backu", 5);
}

static void bitdir_entry(struct kunit *test)
{
	struct qcow_bitmap_entry e;
	u64 buf[8], back[8];

	put_entry((u8 *)buf);
	KUNIT_ASSERT_EQ(test, qcow_bitdir_entry(&layout, SIZE, buf, 64, &e), 0);
	KUNIT_EXPECT_EQ(test, e.table_host_offset, 0x70000);
	KUNIT_EXPECT_EQ(test, e.table_size, 1);
	KUNIT_EXPECT_EQ(test, e.flags, QCOW_DISK_BITMAP_AUTO);
	KUNIT_EXPECT_EQ(test, e.granularity_bits, 16);
	KUNIT_EXPECT_EQ(test, e.name_len, 5);
	KUNIT_EXPECT_EQ(test, memcmp(e.name, "backu", 5), 0);
	KUNIT_EXPECT_EQ(test, e.bytes, 32);
	memset(back, 0xff, sizeof(back));
	KUNIT_EXPECT_EQ(test, qcow_bitdir_put_entry(back, &e), 32);
	KUNIT_EXPECT_EQ(test, memcmp(buf, back, 32), 0);
	KUNIT_EXPECT_EQ(test, ((u8 *)back)[32], 0xff);
	KUNIT_EXPECT_EQ(test, qcow_bitdir_entry(&layout, SIZE, buf, 32, &e), 0);
}

/**
 * struct bad - a field that is wrong
 * @in_entry: bytes into the entry
 * @bytes: of it
 * @value: the wrong one
 */
struct bad {
	u32 in_entry;
	u32 bytes;
	u64 value;
};

static void put_bad(u8 *p, const struct bad *bad)
{
	u32 i;

	for (i = 0; i < bad->bytes; i++)
		p[bad->in_entry + i] = bad->value >> (bad->bytes - 1 - i) * 8;
}

static void bitdir_bad_entries(struct kunit *test)
{
	static const struct bad bad[] = {
		{ 0, 8, 0 }, { 0, 8, 0x70200 }, { 0, 8, 1ULL << 63 },
		{ 8, 4, 0 }, { 8, 4, 0x2001 }, { 8, 4, U32_MAX },
		{ 12, 4, 4 }, { 12, 4, 1U << 31 },
		{ 16, 1, 0 }, { 16, 1, 2 },
		{ 17, 1, 0 }, { 17, 1, 8 }, { 17, 1, 32 }, { 17, 1, 255 },
		{ 18, 2, 0 }, { 18, 2, 1024 }, { 18, 2, 65535 }, { 18, 2, 41 },
		{ 20, 4, 1 }, { 20, 4, U32_MAX },
		{ 26, 1, 0 },
	};
	struct qcow_bitmap_entry e;
	u64 buf[8];
	u32 i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		put_entry((u8 *)buf);
		put_bad((u8 *)buf, &bad[i]);
		KUNIT_EXPECT_EQ_MSG(test, qcow_bitdir_entry(&layout, SIZE, buf, 64, &e),
				    -EUCLEAN, "%u", i);
	}
	put_entry((u8 *)buf);
	for (i = 0; i < 32; i++)
		KUNIT_EXPECT_EQ(test, qcow_bitdir_entry(&layout, SIZE, buf, i, &e),
				-EUCLEAN);
	/* Too short for the disk, which an inconsistent bitmap may be. */
	KUNIT_EXPECT_EQ(test, qcow_bitdir_entry(&layout, 1ULL << 50, buf, 64, &e), -EUCLEAN);
	put_unaligned_be32(3, (u8 *)buf + 12);
	KUNIT_EXPECT_EQ(test, qcow_bitdir_entry(&layout, 1ULL << 50, buf, 64, &e), 0);
}

static void bitdir_extension(struct kunit *test)
{
	static const struct bad bad[] = {
		{ 0, 4, 0 }, { 0, 4, 65536 }, { 4, 4, 1 }, { 8, 8, 0 },
		{ 8, 8, (65535ULL << 10) + 1 }, { 16, 8, 0 }, { 16, 8, 0x1000 },
		{ 16, 8, 1ULL << 63 },
	};
	const struct qcow_bitmap_dir dir = { .nr = 3,
					     .host_offset = 0x50000,
					     .bytes = 96 };
	struct qcow_bitmap_dir got;
	struct qcow_disk_bitmaps d;
	u32 i;

	qcow_bitdir_put_extension(&d, &dir);
	KUNIT_EXPECT_EQ(test, get_unaligned_be32(&d), 3);
	KUNIT_EXPECT_EQ(test, get_unaligned_be64((u8 *)&d + 8), 96);
	KUNIT_EXPECT_EQ(test, get_unaligned_be64((u8 *)&d + 16), 0x50000);
	KUNIT_EXPECT_EQ(test, qcow_bitdir_extension(&layout, &d, 24, &got), 0);
	KUNIT_EXPECT_EQ(test, memcmp(&got, &dir, sizeof(dir)), 0);
	KUNIT_EXPECT_EQ(test, qcow_bitdir_extension(&layout, &d, 23, &got), -EUCLEAN);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		qcow_bitdir_put_extension(&d, &dir);
		put_bad((u8 *)&d, &bad[i]);
		KUNIT_EXPECT_EQ_MSG(test, qcow_bitdir_extension(&layout, &d, 24, &got),
				    -EUCLEAN, "%u", i);
	}
}

static void bitdir_table(struct kunit *test)
{
	static const u64 bad[] = { 2, 0x100, 0x70001, 0x1000, 1ULL << 56, 1ULL << 63 };
	u64 host_offset;
	bool ones;
	u32 i;

	KUNIT_EXPECT_EQ(test, qcow_bitdir_table_entry(&layout, 0, &host_offset, &ones), 0);
	KUNIT_EXPECT_EQ(test, host_offset, 0);
	KUNIT_EXPECT_FALSE(test, ones);
	KUNIT_EXPECT_EQ(test, qcow_bitdir_table_entry(&layout, 1, &host_offset, &ones), 0);
	KUNIT_EXPECT_TRUE(test, ones);
	KUNIT_EXPECT_EQ(test, qcow_bitdir_table_entry(&layout, 0x70000, &host_offset, &ones),
			0);
	KUNIT_EXPECT_EQ(test, host_offset, 0x70000);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ(test, qcow_bitdir_table_entry(&layout, bad[i], &host_offset,
							      &ones), -EUCLEAN);
}

static void bitdir_sizes(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, qcow_bitdir_bits(0, 9), 0);
	KUNIT_EXPECT_EQ(test, qcow_bitdir_bits(1, 9), 1);
	KUNIT_EXPECT_EQ(test, qcow_bitdir_bits(512, 9), 1);
	KUNIT_EXPECT_EQ(test, qcow_bitdir_bits(513, 9), 2);
	KUNIT_EXPECT_EQ(test, qcow_bitdir_bits(S64_MAX, 31), 1ULL << 32);
	KUNIT_EXPECT_EQ(test, qcow_bitdir_clusters(&layout, 0, 9), 1);
	KUNIT_EXPECT_EQ(test, qcow_bitdir_clusters(&layout, 8ULL << 16 << 9, 9), 1);
	KUNIT_EXPECT_EQ(test, qcow_bitdir_clusters(&layout, (8ULL << 16 << 9) + 1, 9), 2);
}

static struct kunit_case bitdir_test_cases[] = {
	KUNIT_CASE(bitdir_entry),
	KUNIT_CASE(bitdir_bad_entries),
	KUNIT_CASE(bitdir_extension),
	KUNIT_CASE(bitdir_table),
	KUNIT_CASE(bitdir_sizes),
	{ }
};

static struct kunit_suite bitdir_suite = {
	.name = "qcow_bitdir",
	.test_cases = bitdir_test_cases,
};

kunit_test_suite(bitdir_suite);
