// SPDX-License-Identifier: GPL-2.0
/*
 * Maps: disks whose bytes a table finds in several files, whole and damaged.
 */
#include <linux/sizes.h>

#include <uapi/linux/qcow.h>

#include "mapper.h"
#include "ondisk/map_table.h"

/* Whole tables, and damaged ones of each */
#define MAP_TABLES	60

/* --- Whole maps --- */

static void map_read_whole(struct kunit *test, u64 salt)
{
	struct map_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(salt);
	struct qcow_image *img;
	u32 i, guest_offset, len;

	map_make(x, qtest_one_in(&rnd, 2), &rnd);
	map_set_modes(x, &rnd);
	img = map_open(x);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(img), "%llu: %s", salt, x->base.msg.text);
	KUNIT_EXPECT_EQ(test, img->size, x->header->disk_size);
	KUNIT_EXPECT_STREQ(test, qcow_image_format_name(img), "test-1");
	KUNIT_EXPECT_EQ(test, reader_read_all(x->base.r, img, x->expect, SZ_64K), 0);
	for (i = 0; i < 20; i++) {
		guest_offset = qtest_below(&rnd, img->size);
		len = min_t(u64, 1 + qtest_below(&rnd, 20000), img->size - guest_offset);
		KUNIT_EXPECT_EQ(test, reader_read(x->base.r, img, guest_offset, len,
						  x->expect + guest_offset), 0);
	}
	KUNIT_EXPECT_TRUE(test, map_close(x, img));
}

static void map_whole(struct kunit *test)
{
	u32 i;

	for (i = 0; i < MAP_TABLES; i++)
		map_read_whole(test, 7000 + i);
}

/* --- Damaged maps --- */

/* Change some bytes of the table, most of them in entries. */
static void map_damage(struct map_fixture *x, struct rnd_state *rnd)
{
	u8 *p = (u8 *)(qtest_one_in(rnd, 4) ? (void *)x->header :
		&x->entries[qtest_below(rnd, x->nr_entries)]);
	u32 n = 1 + qtest_below(rnd, 3);

	while (n--)
		p[qtest_below(rnd, 64)] = qtest_one_in(rnd, 2) ? qtest_below(rnd, 256) :
					  qtest_one_in(rnd, 2) ? 0xff : 0;
}

/* Return: true if reads of a damaged map end, without harm; they may fail. */
static bool map_reads(struct map_fixture *x, struct qcow_image *img, struct rnd_state *rnd)
{
	u64 guest_offset;
	u32 i, len;

	for (i = 0; i < 12; i++) {
		guest_offset = qtest_u64(rnd) % img->size;
		len = min_t(u64, 1 + qtest_below(rnd, 60000), img->size - guest_offset);
		if (reader_read(x->base.r, img, guest_offset, len, NULL) > 0)
			return false;
	}
	return true;
}

static bool map_try_damaged(struct map_fixture *x, struct rnd_state *rnd, u32 *opened)
{
	struct qcow_image *img = map_open(x);
	bool good;

	if (IS_ERR(img))
		return x->base.msg.text[0] || PTR_ERR(img) == -ENOMEM;
	++*opened;
	reader_silence(img);
	good = map_reads(x, img, rnd);
	return map_close(x, img) && good;
}

/* A table that is damaged before it is opened is refused, or reads without harm. */
static void map_damaged(struct kunit *test)
{
	struct map_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(7100);
	u32 i, opened = 0;

	for (i = 0; i < qtest_images; i++) {
		map_make(x, qtest_one_in(&rnd, 2), &rnd);
		map_set_modes(x, &rnd);
		map_damage(x, &rnd);
		KUNIT_ASSERT_TRUE_MSG(test, map_try_damaged(x, &rnd, &opened), "%u (seed %lu)",
				      i, qtest_seed);
	}
	kunit_info(test, "%u of %u were opened\n", opened, qtest_images);
	KUNIT_EXPECT_GT(test, opened, 0);
	KUNIT_EXPECT_LT(test, opened, qtest_images);
}

/* A table that changes while it is in use does no harm. */
static void map_changed(struct kunit *test)
{
	struct map_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(7200);
	struct qcow_image *img;
	u32 i, k;

	for (i = 0; i < qtest_images / 4; i++) {
		map_make(x, qtest_one_in(&rnd, 2), &rnd);
		map_set_modes(x, &rnd);
		img = map_open(x);
		KUNIT_ASSERT_FALSE(test, IS_ERR(img));
		reader_silence(img);
		for (k = 0; k < 10; k++)
			map_damage(x, &rnd);
		KUNIT_ASSERT_TRUE_MSG(test, map_reads(x, img, &rnd), "%u (seed %lu)", i,
				      qtest_seed);
		KUNIT_ASSERT_TRUE(test, map_close(x, img));
	}
}

/* --- Rules --- */

/* Two pieces of 512 bytes: data, then zeros */
static void map_make_two(struct map_fixture *x)
{
	struct rnd_state rnd = qtest_rnd(7300);

	map_make(x, false, &rnd);
	memfile_set_data(x->m[0], x->data[0], MAP_FILE_BYTES, MAP_FILE_BYTES);
	map_make_header(x, false);
	x->header->disk_size = 1024;
	x->header->nr_entries = 2;
	x->entries[0].kind = QCOW_MAP_DATA;
	x->entries[1].start = 512;
	x->entries[1].kind = QCOW_MAP_ZERO;
}

static void map_refuses(struct kunit *test, const char *words)
{
	struct map_fixture *x = test->priv;
	struct qcow_image *img = map_open(x);

	KUNIT_EXPECT_TRUE_MSG(test, IS_ERR(img), "opened, in place of: %s", words);
	if (!IS_ERR(img))
		map_close(x, img);
	else
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(x->base.msg.text, words), "%s, not: %s",
					  x->base.msg.text, words);
	map_make_two(x);
}

/* A table with one change is refused in these words. */
#define MAP_REFUSES(change, words) do { change; map_refuses(test, words); } while (0)

static void map_rules(struct kunit *test)
{
	struct map_fixture *x = test->priv;
	struct qcow_map_entry *e = x->entries;
	struct qcow_image *img;

	map_make_two(x);
	img = map_open(x);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(img), "%s", x->base.msg.text);
	KUNIT_EXPECT_TRUE(test, map_close(x, img));

	MAP_REFUSES(e[0].start = 512, "does not begin with the disk");
	MAP_REFUSES(e[1].start = 513, "entry 0 of its table is wrong: not aligned");
	MAP_REFUSES(e[1].start = 0, "entry 0 of its table is wrong: not in order");
	MAP_REFUSES(e[1].start = 1024, "entry 1 of its table is wrong: not in order");
	MAP_REFUSES(e[0].file = MAP_FILES, "no such file");
	MAP_REFUSES(e[0].host = S64_MAX, "host offset out of range");
	MAP_REFUSES(e[0].host = MAP_FILE_BYTES, "past the end of its file");
	MAP_REFUSES(e[0].skip = 1, "data with members of compressed data");
	MAP_REFUSES(e[1].host = 1, "zeros or a hole with members of data");
	MAP_REFUSES(e[1].kind = QCOW_MAP_HOLE, "a hole in a table without holes");
	MAP_REFUSES(e[1].kind = 4, "unknown kind");
	MAP_REFUSES(e[0].kind = QCOW_MAP_COMPRESSED, "no such codec");
	MAP_REFUSES(x->header->nr_files = 2, "for 2 files, and it was given 3");
	MAP_REFUSES(x->header->nr_entries = U32_MAX, "has 4294967295 entries");
	MAP_REFUSES(x->header->nr_entries = MAP_ENTRIES_MAX + 1, "cut off");
	MAP_REFUSES(x->header->disk_size = 1, "a disk of 1 bytes");
	MAP_REFUSES(x->header->flags = QCOW_MAP_HAS_HOLES << 1, "unknown flags");
	MAP_REFUSES(x->header->format[0] = '%', "no valid name");
	MAP_REFUSES(x->header->chunk_max = QCOW_MAP_CHUNK_MAX + 1, "chunks of");
	MAP_REFUSES(x->header->sector_size = 8192, "sectors of 8192");
	MAP_REFUSES(x->header->version = 2, "version 2");
	MAP_REFUSES(x->header->magic[0] = 0, "another magic");
	MAP_REFUSES(((u8 *)x->header)[4095] = 1, "unknown parts");
	x->base.r->params.writable = true;
	map_refuses(test, "only read");
	x->base.r->params.writable = false;
}

/* A stranger's image must not name files. A file with its decompressed data has no name. */
static void map_untrusted(struct kunit *test)
{
	struct map_fixture *x = test->priv;
	struct inode *inode = file_inode(x->m[MAP_FILES - 1]->file);
	struct qcow_image *img;

	map_make_two(x);
	x->base.r->params.untrusted = true;
	img = map_open(x);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(img), "%s", x->base.msg.text);
	KUNIT_EXPECT_TRUE(test, map_close(x, img));
	set_nlink(inode, 1);
	map_refuses(test, "has more than one file with a name");
	clear_nlink(inode);
	x->base.r->params.untrusted = false;
}

static struct kunit_case map_test_cases[] = {
	KUNIT_CASE(map_rules),
	KUNIT_CASE(map_untrusted),
	KUNIT_CASE(map_whole),
	KUNIT_CASE(map_damaged),
	KUNIT_CASE(map_changed),
	{ }
};

static struct kunit_suite map_suite = {
	.name = "qcow_map",
	.init = map_test_init,
	.exit = map_test_exit,
	.test_cases = map_test_cases,
};

kunit_test_suite(map_suite);
