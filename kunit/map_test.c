// SPDX-License-Identifier: GPL-2.0
/*
 * Maps: disks whose bytes a table finds in several files, whole and damaged.
 */
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/zutil.h>

#include <uapi/linux/qcow.h>
#include <uapi/linux/qcow_map.h>

#include "codec.h"
#include "comp_vectors.h"
#include "meta/image.h"
#include "ondisk/map_table.h"
#include "reader.h"

#define MAP_FILES	3
#define MAP_FILE_BYTES	SZ_1M
#define MAP_DISK_MAX	SZ_512K
#define MAP_ENTRIES_MAX	(MAP_DISK_MAX / SZ_512)
#define MAP_TABLE_MAX	(QCOW_MAP_HEADER_BYTES + \
			 MAP_ENTRIES_MAX * sizeof(struct qcow_map_entry))
#define MAP_CHUNK	SZ_16K

/* Whole tables, and damaged ones of each */
#define MAP_TABLES	60

/**
 * struct map_fixture - a map, its files, and the content of its disk
 * @base: reader of the disk
 * @table: the file of the table
 * @header: the table, in the memory of its file
 * @entries: its entries
 * @nr_entries: entries that were made, whatever the damaged header says
 * @m: the files that have the data
 * @data: the memory of each
 * @used: bytes of each that are in use
 * @backing: the file of a raw backing file
 * @below: its content
 * @expect: content of the disk
 * @chunk: memory for a chunk
 * @source: all of it, to be opened
 * @files: the files in @source
 */
struct map_fixture {
	struct reader_fixture base;
	struct memfile *table;
	struct qcow_map_header *header;
	struct qcow_map_entry *entries;
	u32 nr_entries;
	struct memfile *m[MAP_FILES];
	u8 *data[MAP_FILES];
	u32 used[MAP_FILES];
	struct memfile *backing;
	u8 *below;
	u8 *expect;
	u8 *chunk;
	struct qcow_source source[2];
	struct file *files[MAP_FILES - 1];
};

/* --- Fixture --- */

static int map_make_files(struct map_fixture *x)
{
	u32 i;

	for (i = 0; i < MAP_FILES; i++) {
		x->m[i] = memfile_create();
		x->data[i] = vzalloc(MAP_FILE_BYTES);
		if (!x->m[i] || !x->data[i])
			return -ENOMEM;
	}
	x->table = memfile_create();
	x->backing = memfile_create();
	x->header = vzalloc(MAP_TABLE_MAX);
	x->below = vzalloc(MAP_DISK_MAX);
	x->expect = vzalloc(MAP_DISK_MAX);
	x->chunk = vzalloc(MAP_CHUNK);
	if (!x->table || !x->backing || !x->header || !x->below || !x->expect || !x->chunk)
		return -ENOMEM;
	x->entries = (void *)x->header + QCOW_MAP_HEADER_BYTES;
	return 0;
}

static int map_test_init(struct kunit *test)
{
	int err = reader_fixture_init(test, sizeof(struct map_fixture));

	return err ?: map_make_files(test->priv);
}

static void map_test_exit(struct kunit *test)
{
	struct map_fixture *x = test->priv;
	u32 i;

	reader_test_exit(test);
	if (!x)
		return;
	memfile_destroy(x->table);
	memfile_destroy(x->backing);
	for (i = 0; i < MAP_FILES; i++) {
		memfile_destroy(x->m[i]);
		vfree(x->data[i]);
	}
	vfree(x->header);
	vfree(x->below);
	vfree(x->expect);
	vfree(x->chunk);
}

/* --- Making a map --- */

/* Take room in a file, at any byte if @align is 1. Return: the host offset. */
static u32 map_room(struct map_fixture *x, u32 file, u32 bytes, u32 align,
		    struct rnd_state *rnd)
{
	u32 host_offset = round_up(x->used[file] + qtest_below(rnd, 700), align);

	x->used[file] = host_offset + bytes;
	return host_offset;
}

static void map_add_data(struct map_fixture *x, struct qcow_map_entry *e, u32 len,
			 struct rnd_state *rnd)
{
	e->kind = QCOW_MAP_DATA;
	e->file = qtest_below(rnd, MAP_FILES);
	e->host = map_room(x, e->file, len, qtest_one_in(rnd, 3) ? 1 : 512, rnd);
	prandom_bytes_state(rnd, x->data[e->file] + e->host, len);
	memcpy(x->expect + e->start, x->data[e->file] + e->host, len);
}

/* Data that gets smaller, and a part that does not */
static void map_fill_chunk(struct map_fixture *x, u32 bytes, struct rnd_state *rnd)
{
	u32 random = qtest_below(rnd, bytes / 2);

	memset(x->chunk, qtest_below(rnd, 256), bytes);
	prandom_bytes_state(rnd, x->chunk, random);
}

/* RFC 1950: a header, raw deflate, and a checksum */
static size_t map_zlib(u8 *dst, size_t room, const u8 *src, size_t len)
{
	size_t n = codec_deflate(dst + 2, room - 6, src, len);
	u32 sum = zlib_adler32(zlib_adler32(0, NULL, 0), src, len);

	dst[0] = 0x78;
	dst[1] = 0x01;
	put_unaligned_be32(sum, dst + 2 + n);
	return n ? n + 6 : 0;
}

/* Compress @x->chunk to @dst. Return: bytes there. */
static size_t map_compress(const struct map_fixture *x, u8 codec, u8 *dst, size_t room,
			   u32 bytes)
{
	switch (codec) {
	case QCOW_MAP_ZLIB:
		return map_zlib(dst, room, x->chunk, bytes);
	case QCOW_MAP_DEFLATE:
		return codec_deflate(dst, room, x->chunk, bytes);
	case QCOW_MAP_LZ4:
		return codec_lz4(dst, room, x->chunk, bytes);
	case QCOW_MAP_LZO:
		return codec_lzo(dst, room, x->chunk, bytes);
	case QCOW_MAP_ZSTD:
		return codec_zstd(dst, room, x->chunk, bytes);
	}
	return 0;
}

/* There is no compressor of xz: its chunk is always the same. */
static size_t map_store_xz(struct map_fixture *x, u8 *dst)
{
	u32 i;

	for (i = 0; i < VECTOR_XZ_BYTES; i++)
		x->chunk[i] = vector_byte(i);
	memcpy(dst, vector_xz, sizeof(vector_xz));
	return sizeof(vector_xz);
}

static void map_add_compressed(struct map_fixture *x, struct qcow_map_entry *e, u32 len,
			       struct rnd_state *rnd)
{
	u32 bytes = len + 512 * qtest_below(rnd, (MAP_CHUNK - len) / 512 + 1), room;
	size_t n;

	e->kind = QCOW_MAP_COMPRESSED;
	e->codec = 1 + qtest_below(rnd, QCOW_MAP_ZSTD);
	e->file = qtest_below(rnd, MAP_FILES);
	if (e->codec == QCOW_MAP_XZ)
		bytes = max_t(u32, VECTOR_XZ_BYTES, len);
	if (bytes > VECTOR_XZ_BYTES && e->codec == QCOW_MAP_XZ)
		e->codec = QCOW_MAP_ZSTD;
	e->plain = bytes;
	e->skip = qtest_below(rnd, (bytes - len) / 512 + 1) * 512;
	e->host = map_room(x, e->file, 0, 1, rnd);
	room = 2 * bytes + 4096;
	if (e->codec == QCOW_MAP_XZ) {
		n = map_store_xz(x, x->data[e->file] + e->host);
	} else {
		map_fill_chunk(x, bytes, rnd);
		n = map_compress(x, e->codec, x->data[e->file] + e->host, room, bytes);
	}
	/* The end may be unknown. */
	e->stored = n;
	if (e->codec != QCOW_MAP_LZ4 && qtest_one_in(rnd, 2))
		e->stored += qtest_below(rnd, 600);
	x->used[e->file] = e->host + n;
	memcpy(x->expect + e->start, x->chunk + e->skip, len);
}

/* Return: bytes of the piece that begins at @start. */
static u32 map_add_piece(struct map_fixture *x, struct qcow_map_entry *e, u32 start,
			 bool holes, struct rnd_state *rnd)
{
	u32 most = min_t(u32, x->header->disk_size - start, MAP_CHUNK) / 512;
	u32 len = 512 * (1 + qtest_below(rnd, qtest_one_in(rnd, 3) ? most : min(most, 6U)));

	memset(e, 0, sizeof(*e));
	e->start = start;
	switch (qtest_below(rnd, holes ? 4 : 3)) {
	case 0:
		e->kind = QCOW_MAP_ZERO;
		memset(x->expect + start, 0, len);
		break;
	case 1:
		map_add_data(x, e, len, rnd);
		break;
	case 2:
		map_add_compressed(x, e, len, rnd);
		break;
	default:
		e->kind = QCOW_MAP_HOLE;
		memcpy(x->expect + start, x->below + start, len);
	}
	return len;
}

static bool map_has_room(const struct map_fixture *x)
{
	u32 i;

	for (i = 0; i < MAP_FILES; i++)
		if (x->used[i] > MAP_FILE_BYTES - 3 * MAP_CHUNK - 8192)
			return false;
	return true;
}

static void map_make_header(struct map_fixture *x, bool holes)
{
	struct qcow_map_header *h = x->header;

	memset(x->header, 0, MAP_TABLE_MAX);
	memcpy(h->magic, QCOW_MAP_MAGIC, sizeof(h->magic));
	h->version = QCOW_MAP_VERSION;
	h->flags = holes ? QCOW_MAP_HAS_HOLES : 0;
	h->nr_files = MAP_FILES;
	h->sector_size = 512;
	h->chunk_max = MAP_CHUNK;
	strscpy(h->format, "test-1", sizeof(h->format));
}

/* Fill the disk with pieces of all kinds. */
static void map_make(struct map_fixture *x, bool holes, struct rnd_state *rnd)
{
	struct qcow_map_header *h = x->header;
	u32 start = 0, i;

	map_make_header(x, holes);
	h->disk_size = 512 * (1 + qtest_below(rnd, MAP_DISK_MAX / 512));
	memset(x->used, 0, sizeof(x->used));
	prandom_bytes_state(rnd, x->below, MAP_DISK_MAX);
	while (start < h->disk_size && map_has_room(x))
		start += map_add_piece(x, &x->entries[h->nr_entries++], start, holes, rnd);
	h->disk_size = start;
	x->nr_entries = h->nr_entries;
	for (i = 0; i < MAP_FILES; i++)
		memfile_set_data(x->m[i], x->data[i], x->used[i], x->used[i]);
	memfile_set_data(x->table, x->header, MAP_TABLE_MAX, MAP_TABLE_MAX);
	memfile_set_data(x->backing, x->below, MAP_DISK_MAX, MAP_DISK_MAX);
}

static void map_set_modes(struct map_fixture *x, struct rnd_state *rnd)
{
	static const struct memfile_mode modes[] = {
		{ }, { .nowait = true }, { .nowait = true, .async = true },
		{ .nowait = true, .direct = true, .dio_align = 512 },
		{ .direct = true, .dio_align = 4096, .async = true },
		{ .nowait = true, .eagain = 2 },
	};
	u32 i;

	for (i = 0; i < MAP_FILES; i++)
		memfile_set_mode(x->m[i], &modes[qtest_below(rnd, ARRAY_SIZE(modes))]);
	memfile_set_mode(x->backing, &modes[qtest_below(rnd, ARRAY_SIZE(modes))]);
	memfile_set_mode(x->table, &modes[0]);
}

static struct qcow_image *map_open(struct map_fixture *x)
{
	bool holes = x->header->flags & QCOW_MAP_HAS_HOLES;
	u32 failed, i;

	x->base.msg.text[0] = 0;
	for (i = 1; i < MAP_FILES; i++)
		x->files[i - 1] = x->m[i]->file;
	x->source[0] = (struct qcow_source) {
		.format = QCOW_FORMAT_MAP,
		.file = x->m[0]->file,
		.table = x->table->file,
		.files = x->files,
		.nr_files = MAP_FILES - 1,
	};
	x->source[1] = (struct qcow_source) {
		.format = QCOW_FORMAT_RAW,
		.file = x->backing->file,
	};
	return qcow_image_open_chain(x->source, 1 + holes, &x->base.r->params,
				     &x->base.msg, &failed);
}

static bool map_close(struct map_fixture *x, struct qcow_image *img)
{
	u32 i;

	qtest_flush();
	qcow_image_close_chain(img);
	for (i = 0; i < MAP_FILES; i++)
		if (!memfile_idle(x->m[i]))
			return false;
	return memfile_idle(x->table) && memfile_idle(x->backing);
}

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

static struct kunit_case map_test_cases[] = {
	KUNIT_CASE(map_rules),
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
