// SPDX-License-Identifier: GPL-2.0
/*
 * Maps below which something fails or changes: reads, memory, files, tables, chunks. A read
 * ends with the right bytes or with an error. And what a map shares among its files.
 */
#include <linux/err.h>

#include "fault.h"
#include "file/stats.h"
#include "mapper.h"

#define SMALL_PIECES	18
#define CHUNK_PIECES	20
#define MAX_SITES	1000

/* --- Small maps --- */

/* Begin a map without pieces. */
static void small_begin(struct map_fixture *x)
{
	map_make_header(x, false);
	memset(x->used, 0, sizeof(x->used));
	memset(x->expect, 0, MAP_DISK_MAX);
	x->nr_entries = 0;
}

/* Return: the entry of a new piece at the end of the disk, which is of zeros so far. */
static struct qcow_map_entry *small_add(struct map_fixture *x, u32 len)
{
	struct qcow_map_entry *e = &x->entries[x->nr_entries++];

	e->start = x->header->disk_size;
	e->kind = QCOW_MAP_ZERO;
	x->header->disk_size += len;
	x->header->nr_entries = x->nr_entries;
	return e;
}

static void small_add_chunk(struct map_fixture *x, u32 len, u8 codec, struct rnd_state *rnd)
{
	map_add_compressed(x, small_add(x, len), len, codec, rnd);
}

/* Data, zeros, and chunks of all codecs, in turn */
static void small_make(struct map_fixture *x, struct rnd_state *rnd)
{
	u32 i, len;

	small_begin(x);
	for (i = 0; i < SMALL_PIECES; i++) {
		len = 512 * (1 + qtest_below(rnd, 8));
		if (i % 3 == 0)
			map_add_data(x, small_add(x, len), len, rnd);
		else if (i % 3 == 1)
			small_add_chunk(x, len, 1 + i / 3 % QCOW_MAP_ZSTD, rnd);
		else
			small_add(x, len);
	}
	map_set_data(x);
}

/* Chunks of all codecs */
static void small_make_chunks(struct map_fixture *x, struct rnd_state *rnd)
{
	u32 i;

	small_begin(x);
	for (i = 0; i < CHUNK_PIECES; i++)
		small_add_chunk(x, 512 * (1 + qtest_below(rnd, 8)), 1 + i % QCOW_MAP_ZSTD, rnd);
	map_set_data(x);
}

static u64 piece_end(const struct map_fixture *x, u32 i)
{
	return i + 1 < x->nr_entries ? x->entries[i + 1].start : x->header->disk_size;
}

/* Read the piece with a number. Return: as reader_read(). */
static int small_read(struct map_fixture *x, struct qcow_image *img, u32 i, const u8 *expect)
{
	u64 start = x->entries[i].start;

	return reader_read(x->base.r, img, start, piece_end(x, i) - start,
			   expect ? expect + start : NULL);
}

static void set_all_modes(struct map_fixture *x, const struct memfile_mode *mode)
{
	u32 i;

	for (i = 0; i < MAP_FILES; i++)
		memfile_set_mode(x->m[i], mode);
	memfile_set_mode(x->table, mode);
}

/* Open a map that is whole. */
static struct qcow_image *small_open(struct kunit *test)
{
	struct map_fixture *x = test->priv;
	struct qcow_image *img = map_open(x);

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(img), "%s", x->base.msg.text);
	reader_silence(img);
	return img;
}

/* Open and read all. Return: the error, or READER_*. */
static int small_open_and_read(struct map_fixture *x)
{
	struct qcow_image *img = map_open(x);
	int verdict;

	if (IS_ERR(img))
		return PTR_ERR(img);
	reader_silence(img);
	verdict = reader_read_all(x->base.r, img, x->expect, SZ_8K);
	qcow_image_close_chain(img);
	return verdict;
}

static bool small_idle(const struct map_fixture *x)
{
	u32 i;

	for (i = 0; i < MAP_FILES; i++)
		if (!memfile_idle(x->m[i]))
			return false;
	return memfile_idle(x->table);
}

/* --- Reads that fail --- */

/* Fail a read of a file, and all after it if @sticky. Return: whether there was one. */
static bool fail_read(struct kunit *test, struct memfile *m, const struct memfile_mode *base,
		      u32 nth, bool sticky)
{
	struct map_fixture *x = test->priv;
	struct memfile_mode mode = *base;
	int verdict;

	set_all_modes(x, base);
	mode.fail_at = nth;
	mode.sticky = sticky;
	memfile_set_mode(m, &mode);
	verdict = small_open_and_read(x);
	KUNIT_EXPECT_TRUE(test, small_idle(x));
	if (verdict && verdict != -EIO)
		KUNIT_FAIL(test, "read %u failed: %d", nth, verdict);
	/* The trial of direct I/O does not count. */
	if (!verdict && sticky && atomic_read(&m->injected) > 3)
		KUNIT_FAIL(test, "read %u failed and nobody noticed", nth);
	return atomic_read(&m->injected);
}

static u32 fail_reads_of(struct kunit *test, struct memfile *m, const struct memfile_mode *base)
{
	u32 n, total = 0;

	for (n = 1; n < MAX_SITES && fail_read(test, m, base, n, false); n++)
		total++;
	for (n = 1; n < MAX_SITES && fail_read(test, m, base, n, true); n++)
		total++;
	return total;
}

static void map_fault_reads(struct kunit *test)
{
	static const struct memfile_mode modes[] = {
		{ }, { .nowait = true, .async = true },
		{ .nowait = true, .direct = true, .dio_align = 512 },
		{ .direct = true, .dio_align = 4096, .async = true },
	};
	struct map_fixture *x = test->priv;
	u32 i, k, total = 0;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		struct rnd_state rnd = qtest_rnd(7400 + i);

		small_make(x, &rnd);
		for (k = 0; k < MAP_FILES; k++)
			total += fail_reads_of(test, x->m[k], &modes[i]);
		total += fail_reads_of(test, x->table, &modes[i]);
	}
	kunit_info(test, "%u reads failed\n", total);
	KUNIT_EXPECT_GT(test, total, 80);
}

/* --- Memory that fails --- */

/* Return: whether opening made @nth allocations. */
static bool fail_open(struct kunit *test, u32 nth)
{
	struct map_fixture *x = test->priv;
	struct qcow_image *img;
	bool failed;

	fault_arm(nth);
	img = map_open(x);
	failed = fault_disarm();
	if (IS_ERR(img)) {
		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR(img), -ENOMEM, "allocation %u", nth);
	} else {
		KUNIT_EXPECT_EQ_MSG(test, reader_read_all(x->base.r, img, x->expect, SZ_8K), 0,
				    "after allocation %u failed", nth);
		qcow_image_close_chain(img);
	}
	KUNIT_EXPECT_TRUE(test, small_idle(x));
	return failed;
}

static void map_fault_open(struct kunit *test)
{
	struct memfile_mode mode = { .direct = true, .dio_align = 512 };
	struct map_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(7410);
	u32 n = 1;

	if (!fault_begin())
		kunit_skip(test, "the kernel injects no faults");
	small_make(x, &rnd);
	set_all_modes(x, &mode);
	while (n < MAX_SITES && fail_open(test, n))
		n++;
	fault_end();
	KUNIT_EXPECT_GT(test, n, 8);
	KUNIT_EXPECT_LT(test, n, MAX_SITES);
}

/* Without any memory data is read, if its part of the table is cached; chunks may fail. */
static void map_fault_starved(struct kunit *test)
{
	struct map_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(7420);
	struct qcow_image *img;
	int verdict;
	u32 i;

	if (!fault_begin())
		kunit_skip(test, "the kernel injects no faults");
	small_make(x, &rnd);
	set_all_modes(x, &(struct memfile_mode){ .nowait = true });
	img = small_open(test);
	KUNIT_EXPECT_EQ(test, small_read(x, img, 0, x->expect), 0);
	fault_starve(true);
	for (i = 0; i < x->nr_entries; i++) {
		verdict = small_read(x, img, i, x->expect);
		if (x->entries[i].kind != QCOW_MAP_COMPRESSED || verdict != -ENOMEM)
			KUNIT_EXPECT_EQ_MSG(test, verdict, 0, "piece %u", i);
	}
	KUNIT_EXPECT_GT(test, fault_feed(), 0);
	fault_end();
	KUNIT_EXPECT_EQ(test, reader_read_all(x->base.r, img, x->expect, SZ_8K), 0);
	KUNIT_EXPECT_TRUE(test, map_close(x, img));
}

/* --- Files that change --- */

/* Bytes at the end of a file are gone, and not read as zeros; other pieces are read. */
static void map_fault_shrunk(struct kunit *test)
{
	struct map_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(7430);
	struct qcow_image *img;
	u64 size;
	u32 i;

	small_make(x, &rnd);
	set_all_modes(x, &(struct memfile_mode){ });
	img = small_open(test);
	size = x->used[1] / 2;
	memfile_set_size(x->m[1], size);
	for (i = 0; i < x->nr_entries; i++) {
		const struct qcow_map_entry *e = &x->entries[i];
		int verdict = small_read(x, img, i, x->expect);
		bool gone = e->kind == QCOW_MAP_DATA && e->file == 1 &&
			    e->host + piece_end(x, i) - e->start > size;

		if (gone)
			KUNIT_EXPECT_EQ_MSG(test, verdict, -EIO, "piece %u", i);
		else if (e->kind != QCOW_MAP_COMPRESSED || e->file != 1 || verdict != -EIO)
			KUNIT_EXPECT_EQ_MSG(test, verdict, 0, "piece %u", i);
	}
	memfile_set_size(x->m[1], x->used[1]);
	KUNIT_EXPECT_EQ(test, reader_read_all(x->base.r, img, x->expect, SZ_8K), 0);
	KUNIT_EXPECT_TRUE(test, map_close(x, img));

	/* The table itself */
	img = small_open(test);
	memfile_set_size(x->table, QCOW_MAP_HEADER_BYTES + 40);
	KUNIT_EXPECT_EQ(test, small_read(x, img, 0, x->expect), -EIO);
	KUNIT_EXPECT_TRUE(test, map_close(x, img));
	memfile_set_size(x->table, MAP_TABLE_MAX);
}

/* Return: whether reads of a map end well or with an error after a byte of its table changed. */
static bool change_byte(struct map_fixture *x, u8 *p, u8 value)
{
	struct qcow_image *img = map_open(x);
	bool good = !IS_ERR(img);
	u8 old = *p;
	u32 i;

	if (!good)
		return false;
	reader_silence(img);
	*p = value;
	for (i = 0; i < SMALL_PIECES; i++)
		good = good && reader_read(x->base.r, img, i * (img->size / SMALL_PIECES), 512,
					   NULL) <= 0;
	good = good && reader_read_all(x->base.r, img, NULL, SZ_8K) <= 0;
	*p = old;
	return map_close(x, img) && good;
}

/*
 * Each byte of entries of all kinds gets other values while the map is in use. The driver
 * does not look at the header again.
 */
static void map_fault_bytes(struct kunit *test)
{
	static const u8 values[] = { 0, 1, 0x80, 0xff };
	struct map_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(7440);
	struct qcow_image *img;
	u32 i, k, v;

	small_make(x, &rnd);
	set_all_modes(x, &(struct memfile_mode){ });
	for (i = 6; i < 9; i++)
		for (k = 0; k < sizeof(*x->entries); k++)
			for (v = 0; v < ARRAY_SIZE(values); v++)
				KUNIT_ASSERT_TRUE_MSG(test, change_byte(x, (u8 *)&x->entries[i] + k,
									values[v]),
						      "byte %u of entry %u: %#x", k, i, values[v]);
	img = small_open(test);
	memset(x->header, 0xff, QCOW_MAP_HEADER_BYTES);
	for (i = 0; i + 1 < x->nr_entries; i++)
		KUNIT_EXPECT_EQ(test, small_read(x, img, i, x->expect), 0);
	KUNIT_EXPECT_TRUE(test, map_close(x, img));
}

/* --- Chunks --- */

/*
 * Read a chunk of which so many bytes are left. The read gives the right bytes if it is
 * @whole, fails if it @must_fail, and may do both otherwise.
 */
static void cut_chunk(struct kunit *test, u32 bytes, bool whole, bool must_fail)
{
	struct map_fixture *x = test->priv;
	struct qcow_image *img = small_open(test);
	int verdict = small_read(x, img, 0, x->expect);

	if (whole || verdict != -EIO)
		KUNIT_EXPECT_EQ_MSG(test, verdict, 0, "codec %u, %u bytes", x->entries[0].codec,
				    bytes);
	if (must_fail)
		KUNIT_EXPECT_EQ_MSG(test, verdict, -EIO, "codec %u, %u bytes",
				    x->entries[0].codec, bytes);
	KUNIT_EXPECT_TRUE(test, map_close(x, img));
}

static void map_fault_cut(struct kunit *test)
{
	struct map_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(7450);
	struct qcow_map_entry *e = x->entries;
	u32 bytes, cut;
	u8 codec;

	set_all_modes(x, &(struct memfile_mode){ });
	for (codec = QCOW_MAP_ZLIB; codec <= QCOW_MAP_ZSTD; codec++) {
		small_begin(x);
		small_add_chunk(x, 4096, codec, &rnd);
		bytes = x->used[e->file] - e->host;
		map_set_data(x);
		cut_chunk(test, bytes, true, false);
		for (cut = 1; cut < bytes; cut += 1 + bytes / 40) {
			e->stored = bytes - cut;
			cut_chunk(test, bytes - cut, false, cut > bytes / 2);
			/* The end of the file, in place of that of the chunk */
			e->stored = bytes;
			memfile_set_size(x->m[e->file], e->host + bytes - cut);
			cut_chunk(test, bytes - cut, false, false);
			memfile_set_size(x->m[e->file], x->used[e->file]);
		}
	}
}

/* Damage some bytes of each chunk. */
static void damage_chunks(struct map_fixture *x, struct rnd_state *rnd)
{
	u32 i, n;

	for (i = 0; i < x->nr_entries; i++) {
		const struct qcow_map_entry *e = &x->entries[i];
		u32 bytes = min_t(u64, e->stored, x->used[e->file] - e->host);

		for (n = 1 + qtest_below(rnd, 3); n; n--)
			x->data[e->file][e->host + qtest_below(rnd, bytes)] ^=
				1 + qtest_below(rnd, 255);
	}
}

/* A chunk of any content is read in some way, or not at all, and nothing else happens. */
static void map_fault_damaged(struct kunit *test)
{
	struct map_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(7460);
	u32 i, k, rounds = qtest_images / 2, failed = 0;
	struct qcow_image *img;
	int verdict;

	for (i = 0; i < rounds; i++) {
		/* Compressing takes longest. Damage of several rounds adds up. */
		if (i % 4 == 0)
			small_make_chunks(x, &rnd);
		map_set_modes(x, &rnd);
		damage_chunks(x, &rnd);
		img = small_open(test);
		for (k = 0; k < x->nr_entries; k++) {
			verdict = small_read(x, img, k, NULL);
			KUNIT_ASSERT_TRUE_MSG(test, !verdict || verdict == -EIO, "%u: %d (seed %lu)",
					      i, verdict, qtest_seed);
			failed += !!verdict;
		}
		KUNIT_ASSERT_TRUE(test, map_close(x, img));
	}
	kunit_info(test, "%u of %u chunks were not read\n", failed, rounds * CHUNK_PIECES);
	KUNIT_EXPECT_GT(test, failed, rounds);
}

static u64 decompressed(const struct map_fixture *x)
{
	u64 n = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		n += per_cpu_ptr(x->base.r->params.stats, cpu)->decompressed;
	return n;
}

/* A chunk that is read in small steps, by several pieces, is decompressed once. */
static void map_chunk_once(struct kunit *test)
{
	struct map_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(7470);
	struct qcow_map_entry *e = x->entries;
	struct qcow_image *img;
	u64 before;

	small_begin(x);
	small_add_chunk(x, MAP_CHUNK, QCOW_MAP_ZLIB, &rnd);
	e[1] = e[0];
	e[1].start = MAP_CHUNK / 2;
	e[1].skip = MAP_CHUNK / 2;
	x->header->nr_entries = 2;
	x->nr_entries = 2;
	map_set_data(x);
	set_all_modes(x, &(struct memfile_mode){ .nowait = true });
	img = small_open(test);
	before = decompressed(x);
	KUNIT_EXPECT_EQ(test, reader_read_all(x->base.r, img, x->expect, 4096), 0);
	KUNIT_EXPECT_EQ(test, decompressed(x), before + 1);
	KUNIT_EXPECT_TRUE(test, map_close(x, img));
}

/* One request reads and decompresses its chunks side by side, from all files. */
static void map_chunks_parallel(struct kunit *test)
{
	struct map_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(7480);
	struct qcow_image *img;
	u32 i, side_by_side = 0;

	small_make_chunks(x, &rnd);
	set_all_modes(x, &(struct memfile_mode){ });
	img = small_open(test);
	KUNIT_EXPECT_EQ(test, small_read(x, img, 0, x->expect), 0);
	for (i = 0; i < MAP_FILES; i++)
		memfile_set_mode(x->m[i], &(struct memfile_mode){ .sleep_ms = 50 });
	KUNIT_EXPECT_EQ(test, reader_read(x->base.r, img, 0, img->size, x->expect), 0);
	for (i = 0; i < MAP_FILES; i++)
		side_by_side += atomic_read(&x->m[i]->most_inside);
	KUNIT_EXPECT_GT(test, side_by_side, MAP_FILES);
	KUNIT_EXPECT_TRUE(test, map_close(x, img));
}

/* --- Bounce buffers --- */

/* All files that need no larger one have the same. */
static void map_one_bounce(struct kunit *test)
{
	const struct memfile_mode direct = { .direct = true, .dio_align = 512 };
	const struct memfile_mode large = { .direct = true, .dio_align = 2 * PAGE_SIZE };
	struct map_fixture *x = test->priv;
	struct qcow_image *img;

	small_begin(x);
	small_add(x, 512);
	map_set_data(x);
	set_all_modes(x, &direct);
	img = small_open(test);
	KUNIT_EXPECT_NOT_NULL(test, img->file.bounce);
	KUNIT_EXPECT_PTR_EQ(test, img->files[0].bounce, img->file.bounce);
	KUNIT_EXPECT_PTR_EQ(test, img->files[1].bounce, img->file.bounce);
	KUNIT_EXPECT_TRUE(test, map_close(x, img));

	memfile_set_mode(x->m[1], &large);
	img = small_open(test);
	KUNIT_EXPECT_EQ(test, img->files[0].bounce->bytes, 2 * PAGE_SIZE);
	KUNIT_EXPECT_PTR_EQ(test, img->files[1].bounce, img->files[0].bounce);
	KUNIT_EXPECT_TRUE(test, map_close(x, img));

	memfile_set_mode(x->m[0], &(struct memfile_mode){ });
	img = small_open(test);
	KUNIT_EXPECT_NULL(test, img->file.bounce);
	KUNIT_EXPECT_PTR_EQ(test, img->files[1].bounce, img->files[0].bounce);
	/* One file less uses it. */
	qcow_file_use_cache(&img->files[0]);
	KUNIT_EXPECT_EQ(test, img->files[1].bounce->bytes, 2 * PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, map_close(x, img));
}

static struct kunit_case map_fault_test_cases[] = {
	KUNIT_CASE(map_fault_reads),
	KUNIT_CASE(map_fault_open),
	KUNIT_CASE(map_fault_starved),
	KUNIT_CASE(map_fault_shrunk),
	KUNIT_CASE(map_fault_bytes),
	KUNIT_CASE(map_fault_cut),
	KUNIT_CASE(map_fault_damaged),
	KUNIT_CASE(map_chunk_once),
	KUNIT_CASE(map_chunks_parallel),
	KUNIT_CASE(map_one_bounce),
	{ }
};

static struct kunit_suite map_fault_suite = {
	.name = "qcow_map_fault",
	.init = map_test_init,
	.exit = map_test_exit,
	.test_cases = map_fault_test_cases,
};

kunit_test_suite(map_fault_suite);
