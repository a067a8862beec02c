// SPDX-License-Identifier: GPL-2.0
/*
 * Tables that lead guest data, or L2 tables, to other metadata: metadata must never be
 * written over or handed out, whatever the tables say.
 */
#include <linux/slab.h>
#include <linux/string.h>

#include "compat/compat_test.h"
#include "meta/alloc.h"
#include "ondisk/format.h"
#include "writer.h"

#define BITS		12
#define CLUSTER		4096U
#define L2_COVERS	(CLUSTER / 8ULL * CLUSTER)
#define COMPRESSED	QCOW_DISK_L2E_COMPRESSED

/* Where something must not be. */
enum place {
	HEADER,
	REFTABLE,
	REFBLOCK,
	L1_TABLE,
	L2_TABLE,
	OTHER_L2,
	SNAPSHOTS,
	LUKS,
};

/* Where the header's extensions begin. */
#define EXTENSIONS	112

/**
 * struct overlap_case - a bad entry
 * @name: of the case
 * @place: where it leads
 * @flags: of the entry
 * @l1: it is an L1 entry
 * @len: bytes to write
 */
struct overlap_case {
	const char *name;
	enum place place;
	u64 flags;
	bool l1;
	u32 len;
};

static const struct overlap_case cases[] = {
	{ "data in the refcount table", REFTABLE, QCOW_DISK_E_COPIED, false, 512 },
	{ "data in a refcount block", REFBLOCK, QCOW_DISK_E_COPIED, false, CLUSTER },
	{ "data in the L1 table", L1_TABLE, QCOW_DISK_E_COPIED, false, 512 },
	{ "data in its L2 table", L2_TABLE, QCOW_DISK_E_COPIED, false, CLUSTER },
	{ "data in another L2 table", OTHER_L2, QCOW_DISK_E_COPIED, false, 512 },
	{ "data in the snapshot table", SNAPSHOTS, QCOW_DISK_E_COPIED, false, 512 },
	{ "shared data in the snapshot table", SNAPSHOTS, 0, false, CLUSTER },
	{ "shared data in the refcount table", REFTABLE, 0, false, CLUSTER },
	{ "shared data in a refcount block", REFBLOCK, 0, false, 512 },
	{ "shared data in the L1 table", L1_TABLE, 0, false, CLUSTER },
	{ "shared data in its L2 table", L2_TABLE, 0, false, 512 },
	{ "shared data in another L2 table", OTHER_L2, 0, false, CLUSTER },
	{ "zeros in a refcount block", REFBLOCK,
	  QCOW_DISK_E_COPIED | QCOW_DISK_L2E_ZERO, false, 512 },
	{ "compressed data in the header", HEADER, COMPRESSED, false, CLUSTER },
	{ "compressed data in a refcount block", REFBLOCK, COMPRESSED, false, CLUSTER },
	{ "compressed data in the L1 table", L1_TABLE, COMPRESSED, false, CLUSTER },
	{ "compressed data in its L2 table", L2_TABLE, COMPRESSED, false, CLUSTER },
	{ "L2 table in the refcount table", REFTABLE, QCOW_DISK_E_COPIED, true, 512 },
	{ "L2 table in a refcount block", REFBLOCK, QCOW_DISK_E_COPIED, true, CLUSTER },
	{ "L2 table in the L1 table", L1_TABLE, QCOW_DISK_E_COPIED, true, 512 },
	{ "L2 table in another L2 table", OTHER_L2, QCOW_DISK_E_COPIED, true, CLUSTER },
	{ "shared L2 table in a refcount block", REFBLOCK, 0, true, CLUSTER },
	{ "shared L2 table in the L1 table", L1_TABLE, 0, true, 512 },
	{ "data in the LUKS header", LUKS, QCOW_DISK_E_COPIED, false, 512 },
	{ "shared data in the LUKS header", LUKS, 0, false, CLUSTER },
	{ "L2 table in the LUKS header", LUKS, QCOW_DISK_E_COPIED, true, 512 },
};

static void case_desc(const struct overlap_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(overlap, cases, case_desc);

/* --- The image --- */

static struct qcow_disk_header *header(struct builder_image *b)
{
	return (struct qcow_disk_header *)b->file;
}

static u64 l1_entry(const struct builder_image *b, u32 i)
{
	return get_unaligned_be64(b->file + b->clusters[0].l1_at + i * 8);
}

static u64 place_at(struct builder_image *b, enum place place)
{
	switch (place) {
	case HEADER:
		return 0;
	case REFTABLE:
		return get_unaligned_be64(&header(b)->refcount_table_offset);
	case REFBLOCK:
		return get_unaligned_be64(b->file + place_at(b, REFTABLE));
	case L1_TABLE:
		return get_unaligned_be64(&header(b)->l1_table_offset);
	case L2_TABLE:
		return l1_entry(b, 0) & QCOW_DISK_L1E_OFFSET_MASK;
	case OTHER_L2:
		return l1_entry(b, 1) & QCOW_DISK_L1E_OFFSET_MASK;
	case SNAPSHOTS:
		return get_unaligned_be64(&header(b)->snapshots_offset);
	case LUKS:
		return get_unaligned_be64(b->file + EXTENSIONS + 8);
	}
	return 0;
}

static void build(struct kunit *test)
{
	struct rnd_state rnd = qtest_rnd(40000);
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = BITS,
		.tidy = true,
		.kinds = BUILDER_HOLE,
		.size = L2_COVERS + 16 * CLUSTER,
		.writable = true,
		.order = 4,
		.room = 1 << 20,
	};

	KUNIT_ASSERT_EQ(test, writer_build(test->priv, &spec, 1, &rnd), 0);
}

/* A snapshot without contents, in a cluster of its own behind the others. */
static void add_snapshot(struct builder_image *b)
{
	u64 host_offset = round_up(b->file_len, CLUSTER);
	u8 *p = b->file + host_offset;

	memset(p, 0, CLUSTER);
	put_unaligned_be32(0x00010001, p + 12);
	put_unaligned_be32(16, p + 36);
	memcpy(p + 56, "1a", 2);
	b->file_len = host_offset + CLUSTER;
	checker_put_bits(b->file + place_at(b, REFBLOCK), 4, host_offset >> BITS, 1);
	put_unaligned_be32(1, &header(b)->nb_snapshots);
	put_unaligned_be64(host_offset, &header(b)->snapshots_offset);
}

/* Encrypted from now on, with a LUKS header that only userspace looks into. */
static void add_luks(struct writer *w)
{
	struct builder_image *b = writer_top(w);
	u64 host_offset = round_up(b->file_len, CLUSTER);

	memset(b->file + host_offset, 0xa5, CLUSTER);
	b->file_len = host_offset + CLUSTER;
	checker_put_bits(b->file + place_at(b, REFBLOCK), 4, host_offset >> BITS, 1);
	put_unaligned_be32(QCOW_DISK_CRYPT_LUKS, &header(b)->crypt_method);
	memset(b->file + EXTENSIONS, 0, 32);
	put_unaligned_be32(QCOW_DISK_EXT_LUKS, b->file + EXTENSIONS);
	put_unaligned_be32(16, b->file + EXTENSIONS + 4);
	put_unaligned_be64(host_offset, b->file + EXTENSIONS + 8);
	put_unaligned_be64(CLUSTER, b->file + EXTENSIONS + 16);
	strscpy(w->key.cipher, "aes-xts-plain64", sizeof(w->key.cipher));
	w->key.len = 32;
	w->base.c->sources[0].key = &w->key;
}

/* Puts the entry where the first cluster of the disk is found by. */
static void put_entry(struct builder_image *b, const struct overlap_case *c,
		      u64 entry)
{
	const struct builder_cluster *first = &b->clusters[0];

	put_unaligned_be64(entry, b->file + (c->l1 ? first->l1_at : first->l2_at));
	memfile_rewrite(b->m, b->file, b->file_len);
}

/* --- Metadata that must not have changed --- */

/* Metadata lies where it was, and has its old content. */
static void expect_metadata(struct kunit *test, const u8 *file)
{
	struct builder_image *b = writer_top(test->priv);
	size_t feature = offsetof(struct qcow_disk_header, incompatible_features);

	/* The header may have the corrupt bit. */
	KUNIT_EXPECT_TRUE(test, !memcmp(file, b->file, feature));
	KUNIT_EXPECT_TRUE(test, !memcmp(file + feature + 8, b->file + feature + 8,
					CLUSTER - feature - 8));
	KUNIT_EXPECT_TRUE(test, !memcmp(file + place_at(b, SNAPSHOTS),
					b->file + place_at(b, SNAPSHOTS), feature));
	KUNIT_EXPECT_TRUE(test, !memcmp(file + place_at(b, REFTABLE),
					b->file + place_at(b, REFTABLE), CLUSTER));
}

/* Every cluster of metadata is still counted. */
static void expect_owned(struct kunit *test)
{
	struct writer *w = test->priv;
	struct builder_image *b = writer_top(w);
	u32 p;

	checker_walk(&w->o.k, b->m->store, memfile_size(b->m));
	for (p = HEADER; p <= (w->key.len ? LUKS : SNAPSHOTS); p++)
		KUNIT_EXPECT_GE_MSG(test, checker_refcount(&w->o.k, place_at(b, p) >> BITS),
				    1, "place %u", p);
}

/* Fills holes elsewhere, so that a cluster that was handed out wrongly would be used. */
static void write_elsewhere(struct writer *w)
{
	u32 i;

	for (i = 2; i < 40; i++)
		if (writer_write(w, i * CLUSTER, CLUSTER))
			return;
	for (i = 0; i < 16; i++)
		if (writer_write(w, L2_COVERS + i * CLUSTER, CLUSTER))
			return;
}

static void overlap_write(struct kunit *test)
{
	const struct overlap_case *c = test->param_value;
	struct writer *w = test->priv;
	struct builder_image *b = writer_top(w);
	u64 entry;
	int err;

	build(test);
	add_snapshot(b);
	if (c->place == LUKS)
		add_luks(w);
	entry = place_at(b, c->place) | c->flags;
	put_entry(b, c, entry);
	err = writer_open(w);
	if (err) {
		/* Found before anything was written. */
		KUNIT_EXPECT_NE(test, w->base.msg.text[0], 0);
		KUNIT_EXPECT_TRUE(test, !memcmp(b->m->store, b->file, b->file_len));
		return;
	}
	if (c->place == SNAPSHOTS)
		KUNIT_EXPECT_TRUE(test, qcow_register_has(&w->img->alloc->reg,
							  place_at(b, SNAPSHOTS) >> BITS));
	err = writer_write(w, 0, c->len);
	if (c->flags == QCOW_DISK_E_COPIED)
		KUNIT_EXPECT_EQ(test, err, -EIO);
	if (writer_flush(w))
		kunit_info(test, "flushes fail\n");
	write_elsewhere(w);
	if (writer_flush(w))
		kunit_info(test, "flushes fail\n");
	write_elsewhere(w);
	writer_close(w);
	expect_metadata(test, b->m->store);
	if (c->place == LUKS)
		KUNIT_EXPECT_TRUE(test, !memcmp(b->m->store + place_at(b, LUKS),
						b->file + place_at(b, LUKS), CLUSTER));
	expect_owned(test);
}

/* --- Tables that the refcounts say are free --- */

/* Refused, with the command that repairs it, and nothing is written. */
static void expect_uncounted(struct kunit *test, const char *what, u32 n)
{
	struct writer *w = test->priv;
	struct builder_image *b = writer_top(w);

	memfile_rewrite(b->m, b->file, b->file_len);
	KUNIT_EXPECT_EQ_MSG(test, writer_open(w), -EROFS, "%s %u", what, n);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(w->base.msg.text, "qcowctl check --repair=all"),
				  "%s %u: %s", what, n, w->base.msg.text);
	writer_close(w);
	KUNIT_EXPECT_TRUE(test, !memcmp(b->m->store, b->file, b->file_len));
	/* It may still be opened for reading. */
	w->base.r->params.writable = false;
	KUNIT_EXPECT_EQ_MSG(test, writer_open(w), 0, "%s %u", what, n);
	writer_close(w);
	w->base.r->params.writable = true;
}

static void overlap_uncounted(struct kunit *test)
{
	struct writer *w = test->priv;
	struct builder_image *b = writer_top(w);
	u64 cluster, count;
	u8 *block;
	u32 p;

	build(test);
	add_snapshot(b);
	add_luks(w);
	block = b->file + place_at(b, REFBLOCK);
	for (p = HEADER; p <= LUKS; p++) {
		cluster = place_at(b, p) >> BITS;
		count = checker_get_bits(block, 4, cluster);
		KUNIT_ASSERT_GE(test, count, 1);
		checker_put_bits(block, 4, cluster, 0);
		expect_uncounted(test, "place", p);
		checker_put_bits(block, 4, cluster, count);
	}
	memfile_rewrite(b->m, b->file, b->file_len);
	KUNIT_EXPECT_EQ_MSG(test, writer_open(w), 0, "%s", w->base.msg.text);
	writer_close(w);
	/* There is no block at all. */
	memset(b->file + place_at(b, REFTABLE), 0, CLUSTER);
	expect_uncounted(test, "no block", 0);
}

/* --- A table that is made where there is one --- */

/* Take clusters until there are no more, or @most of them. */
static int take_all(struct qcow_alloc *a, u32 most)
{
	u64 first;
	bool fresh;
	u32 got;
	int err = 0;

	while (!err && most--)
		err = qcow_alloc_clusters(a, 1, &first, &got, &fresh);
	return err;
}

static struct qcow_alloc *open_small(struct kunit *test, bool full)
{
	struct rnd_state rnd = qtest_rnd(41000 + full);
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = 9,
		.tidy = true,
		.kinds = BUILDER_DATA,
		.size = 16 << 9,
		.writable = true,
		.order = 4,
		.full = full,
		.room = 4 << 20,
	};
	struct writer *w = test->priv;

	KUNIT_ASSERT_EQ(test, writer_build(w, &spec, 1, &rnd), 0);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	return w->img->alloc;
}

/* The image goes on, and what is there stays noted. */
static void expect_skipped(struct kunit *test, struct qcow_alloc *a, u64 host_offset)
{
	KUNIT_EXPECT_FALSE(test, qcow_image_stopped(a->img));
	KUNIT_EXPECT_TRUE(test, test_bit(QCOW_IMAGE_CORRUPT, &a->img->flags));
	KUNIT_EXPECT_TRUE(test, qcow_register_has(&a->reg, host_offset >> 9));
}

/* A refcount block lies where the next one is to be made: that one is not made. */
static void overlap_new_block(struct kunit *test)
{
	struct qcow_alloc *a = open_small(test, false);
	u64 host_offset = 1ULL << (a->counts.block_bits + 9);

	KUNIT_ASSERT_EQ(test, a->counts.table[1], 0);
	KUNIT_ASSERT_EQ(test,
			qcow_register_add(&a->reg, QCOW_META_REFBLOCK, host_offset, 512),
			0);
	KUNIT_EXPECT_EQ(test, take_all(a, 2 << a->counts.block_bits), 0);
	KUNIT_EXPECT_EQ(test, a->counts.table[1], 0);
	KUNIT_EXPECT_NE(test, a->counts.table[2], 0);
	expect_skipped(test, a, host_offset);
}

/* The refcount table, or one of its blocks, lies where a larger table goes. */
static void overlap_new_table(struct kunit *test)
{
	u32 part;

	for (part = 0; part < 2; part++) {
		struct qcow_alloc *a = open_small(test, true);
		u64 host_offset = (u64)a->counts.table_size << a->counts.block_bits << 9;
		u32 size = a->counts.table_size;

		host_offset += part ? 2 << 9 : 0;
		KUNIT_ASSERT_EQ(test,
				qcow_register_add(&a->reg,
						  part ? QCOW_META_REFBLOCK :
							 QCOW_META_REFTABLE,
						  host_offset, 512),
				0);
		KUNIT_EXPECT_EQ(test, take_all(a, 100), -ENOSPC);
		KUNIT_EXPECT_EQ(test, a->counts.table_size, size);
		expect_skipped(test, a, host_offset);
		writer_close(test->priv);
		writer_free(test->priv);
	}
}

/* Whatever is made, and whatever is there: it is found, and stays noted. */
static void overlap_new_any(struct kunit *test)
{
	struct qcow_alloc *a = open_small(test, false);
	u64 host_offset = 200 << 9;
	u32 old, new;

	for (old = QCOW_META_HEADER; old <= QCOW_META_LUKS; old++) {
		KUNIT_ASSERT_EQ(test, qcow_register_add(&a->reg, old, host_offset, 512), 0);
		for (new = QCOW_META_HEADER; new <= QCOW_META_LUKS; new++)
			KUNIT_EXPECT_EQ(test,
					qcow_register_new(&a->reg, new, host_offset - 512,
							  2048),
					-EIO);
		KUNIT_EXPECT_FALSE(test, qcow_register_has(&a->reg, (host_offset >> 9) - 1));
		KUNIT_EXPECT_TRUE(test, qcow_register_has(&a->reg, host_offset >> 9));
		qcow_register_forget(&a->reg, host_offset, 512);
	}
	KUNIT_EXPECT_TRUE(test, qcow_image_stopped(a->img));
}

static struct kunit_case overlap_test_cases[] = {
	KUNIT_CASE_PARAM(overlap_write, overlap_gen_params),
	KUNIT_CASE(overlap_uncounted),
	KUNIT_CASE(overlap_new_block),
	KUNIT_CASE(overlap_new_table),
	KUNIT_CASE(overlap_new_any),
	{ }
};

static struct kunit_suite overlap_suite = {
	.name = "qcow_overlap",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = overlap_test_cases,
};

kunit_test_suite(overlap_suite);
