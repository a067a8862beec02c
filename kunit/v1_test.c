// SPDX-License-Identifier: GPL-2.0
/*
 * qcow version 1: every limit of the header, entries against a second decoder,
 * tables that lead to where they must not, and what is special about writing.
 * Random images are read, written, damaged and cut by the other suites.
 */
#include <linux/err.h>
#include <linux/slab.h>

#include <asm/unaligned.h>

#include "alloc.h"
#include "resize.h"
#include "writer.h"

/* --- The header --- */

#define FILE_SIZE	BIT(20)
#define NAME_AT		0x30
#define L1_AT		0x400

/* A field to be overwritten. */
struct field {
	bool used;
	u32 at;
	u64 value;
};

#define F(member, value) { true, offsetof(struct qcow_disk_v1_header, member), value }

static u32 field_bytes(u32 at)
{
	switch (at) {
	case offsetof(struct qcow_disk_v1_header, backing_file_offset):
	case offsetof(struct qcow_disk_v1_header, size):
	case offsetof(struct qcow_disk_v1_header, l1_table_offset):
		return 8;
	case offsetof(struct qcow_disk_v1_header, cluster_bits):
	case offsetof(struct qcow_disk_v1_header, l2_bits):
		return 1;
	case offsetof(struct qcow_disk_v1_header, padding):
		return 2;
	}
	return 4;
}

static void put_field(u8 *buf, const struct field *f)
{
	u32 i, n = f->used ? field_bytes(f->at) : 0;

	for (i = 0; i < n; i++)
		buf[f->at + i] = f->value >> 8 * (n - 1 - i);
}

static const struct field base_header[] = {
	F(magic, QCOW_DISK_MAGIC), F(version, 1), F(mtime, U32_MAX),
	F(size, 1ULL << 30), F(cluster_bits, 12), F(l2_bits, 9),
	F(padding, 0xffff), F(l1_table_offset, L1_AT),
};

/**
 * struct header_case - a valid header with some fields overwritten
 * @name: of the case
 * @set: those fields
 * @err: expected
 * @says: expected in the message
 */
struct header_case {
	const char *name;
	struct field set[4];
	int err;
	const char *says;
};

#define SIZE_OF(entries, cb, lb)	F(size, (u64)(entries) << ((cb) + (lb)))

static const struct header_case header_cases[] = {
	{ "as it is", { } },
	{ "no magic", { F(magic, 0x514649fc) }, -EINVAL, "not a qcow version 1" },
	{ "version 0", { F(version, 0) }, -EINVAL, "not a qcow version 1" },
	{ "version 2", { F(version, 2) }, -EINVAL, "not a qcow version 1" },
	{ "size 0", { F(size, 0) }, -EINVAL, "too small" },
	{ "size 1", { F(size, 1) }, -EINVAL, "too small" },
	{ "size 2", { F(size, 2) } },
	{ "size 2^64 - 1", { F(size, U64_MAX) }, -EFBIG, "too large" },
	{ "size 2^63", { F(size, BIT_ULL(63)) }, -EFBIG, "too large" },
	{ "the largest", { SIZE_OF(4 << 20, 12, 9) } },
	{ "one byte more", { F(size, (4ULL << (20 + 21)) + 1) }, -EFBIG, "too large" },
	{ "the largest of all",
	  { F(cluster_bits, 16), F(l2_bits, 13), SIZE_OF(4 << 20, 16, 13) } },
	{ "the largest of the smallest",
	  { F(cluster_bits, 9), F(l2_bits, 6), SIZE_OF(4 << 20, 9, 6) } },
	{ "cluster_bits 8", { F(cluster_bits, 8) }, -EINVAL, "cluster size" },
	{ "cluster_bits 9", { F(cluster_bits, 9) } },
	{ "cluster_bits 16", { F(cluster_bits, 16) } },
	{ "cluster_bits 17", { F(cluster_bits, 17) }, -EINVAL, "cluster size" },
	{ "cluster_bits 255", { F(cluster_bits, 255) }, -EINVAL, "cluster size" },
	{ "l2_bits 5", { F(l2_bits, 5) }, -EINVAL, "L2 tables" },
	{ "l2_bits 6", { F(l2_bits, 6) } },
	{ "l2_bits 13", { F(l2_bits, 13) } },
	{ "l2_bits 14", { F(l2_bits, 14) }, -EINVAL, "L2 tables" },
	{ "l2_bits 255", { F(l2_bits, 255) }, -EINVAL, "L2 tables" },
	{ "AES", { F(crypt_method, 1) } },
	{ "LUKS", { F(crypt_method, 2) }, -EOPNOTSUPP, "encryption method 2" },
	{ "L1 table past the end", { F(l1_table_offset, FILE_SIZE) }, -EINVAL, "truncated" },
	{ "L1 table in the last byte", { F(l1_table_offset, FILE_SIZE - 1) } },
	{ "L1 table at 2^63 - 8", { F(l1_table_offset, S64_MAX - 7) }, -EINVAL, "out of range" },
	{ "L1 table at 2^64 - 8", { F(l1_table_offset, -8ULL) }, -EINVAL, "out of range" },
	{ "name of 1023",
	  { F(backing_file_offset, NAME_AT), F(backing_file_size, 1023) } },
	{ "name of 1024",
	  { F(backing_file_offset, NAME_AT), F(backing_file_size, 1024) }, -EINVAL, "too long" },
	{ "name in the header",
	  { F(backing_file_offset, NAME_AT - 1), F(backing_file_size, 9) }, -EINVAL, "inside" },
	{ "name at the end",
	  { F(backing_file_offset, FILE_SIZE - 9), F(backing_file_size, 9) } },
	{ "name past the end",
	  { F(backing_file_offset, FILE_SIZE - 8), F(backing_file_size, 9) }, -EINVAL,
	  "truncated" },
	{ "name at 2^64 - 8",
	  { F(backing_file_offset, -8ULL), F(backing_file_size, 9) }, -EINVAL, "truncated" },
	{ "length without a name", { F(backing_file_size, U32_MAX) } },
};

static void header_case_desc(const struct header_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(header, header_cases, header_case_desc);

/* Parses a copy that ends where the buffer does, so that KASAN sees what reads on. */
static int parse(struct kunit *test, const struct field *set, u32 nr, size_t len,
		 struct qcow_header *h, struct qcow_msg *msg)
{
	u8 buf[sizeof(struct qcow_disk_v1_header)] = { }, *copy;
	int err;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(base_header); i++)
		put_field(buf, &base_header[i]);
	for (i = 0; i < nr; i++)
		put_field(buf, &set[i]);
	copy = kmemdup(buf, len, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	msg->text[0] = 0;
	err = qcow_header_v1_parse(h, copy, len, FILE_SIZE, msg);
	kfree(copy);
	return err;
}

static void v1_header(struct kunit *test)
{
	const struct header_case *c = test->param_value;
	struct qcow_header h;
	struct qcow_msg msg;

	KUNIT_EXPECT_EQ_MSG(test, parse(test, c->set, ARRAY_SIZE(c->set), 48, &h, &msg),
			    c->err, "%s", msg.text);
	KUNIT_EXPECT_EQ(test, !!msg.text[0], !!c->err);
	if (c->err)
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(msg.text, c->says),
					  "says: %s", msg.text);
}

static void v1_header_values(struct kunit *test)
{
	static const struct field set[] = {
		F(size, (5ULL << 21) + 513), F(crypt_method, 1),
		F(backing_file_offset, 0x12345), F(backing_file_size, 77),
	};
	struct qcow_header h;
	struct qcow_msg msg;
	size_t len;

	KUNIT_ASSERT_EQ(test, parse(test, set, ARRAY_SIZE(set), 48, &h, &msg), 0);
	KUNIT_EXPECT_EQ(test, h.version, 1);
	KUNIT_EXPECT_EQ(test, h.cluster_bits, 12);
	KUNIT_EXPECT_EQ(test, qcow_header_l2_bits(&h), 9);
	KUNIT_EXPECT_EQ(test, h.size, (5ULL << 21) + 512);
	KUNIT_EXPECT_EQ(test, h.crypt_method, QCOW_DISK_CRYPT_AES);
	KUNIT_EXPECT_EQ(test, qcow_header_supported(&h, NULL), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, h.l1_offset, L1_AT);
	KUNIT_EXPECT_EQ(test, h.l1_size, 6);
	KUNIT_EXPECT_EQ(test, h.backing_offset, 0x12345);
	KUNIT_EXPECT_EQ(test, h.backing_len, 77);
	for (len = 0; len < 48; len++) {
		KUNIT_EXPECT_EQ(test, parse(test, NULL, 0, len, &h, &msg), -EINVAL);
		KUNIT_EXPECT_TRUE(test, msg.text[0]);
	}
}

/* --- Entries --- */

/* Bit by bit: 63 says compressed, then come the length and the offset. */
static void expect_l2(struct kunit *test, const struct qcow_layout *lay, u64 raw,
		      u64 guest)
{
	u64 host = 0, csize = 0;
	struct qcow_entry e;
	bool bad;
	int err;
	u32 i;

	for (i = 0; i < 63; i++) {
		if (i < 63 - lay->cluster_bits)
			host += (raw >> i & 1) << i;
		else
			csize += (raw >> i & 1) << (i - 63 + lay->cluster_bits);
	}
	err = qcow_entry_l2(lay, raw, qtest_seed, guest, &e);
	if (raw >> 63) {
		KUNIT_EXPECT_EQ_MSG(test, err, csize ? 0 : -EIO, "%#llx", raw);
		KUNIT_EXPECT_EQ(test, e.type, QCOW_EXTENT_COMPRESSED);
		KUNIT_EXPECT_EQ(test, e.host, host);
		KUNIT_EXPECT_EQ(test, e.csize, csize);
		KUNIT_EXPECT_FALSE(test, e.mapped || e.copied);
		return;
	}
	bad = raw % 512 || raw >> 56;
	KUNIT_EXPECT_EQ_MSG(test, err, bad ? -EIO : 0, "%#llx", raw);
	if (bad)
		return;
	KUNIT_EXPECT_EQ(test, e.type, raw ? QCOW_EXTENT_DATA : QCOW_EXTENT_HOLE);
	KUNIT_EXPECT_EQ(test, e.mapped, !!raw);
	KUNIT_EXPECT_EQ(test, e.copied, !!raw);
	KUNIT_EXPECT_EQ(test, e.csize, 0);
	if (raw)
		KUNIT_EXPECT_EQ(test, e.host, raw + guest % (1ULL << lay->cluster_bits));
}

static u64 random_entry(struct rnd_state *rnd)
{
	u64 raw = qtest_u64(rnd) >> qtest_below(rnd, 64);

	if (qtest_one_in(rnd, 2))
		raw &= ~511ULL;
	if (qtest_one_in(rnd, 3))
		raw |= BIT_ULL(63);
	return qtest_one_in(rnd, 3) ? raw & GENMASK_ULL(55, 9) : raw;
}

static void v1_entries(struct kunit *test)
{
	struct rnd_state rnd = qtest_rnd(70000);
	struct qcow_header h = { .version = 1 };
	struct qcow_layout lay = { };
	u64 raw, table;
	u32 i;

	for (i = 0; i < 40000; i++) {
		h.cluster_bits = 9 + i % 8;
		h.l2_bits = 6 + qtest_below(&rnd, 8);
		qcow_layout_init(&lay, &h);
		raw = random_entry(&rnd);
		expect_l2(test, &lay, raw, qtest_u64(&rnd));
		KUNIT_EXPECT_EQ(test, qcow_entry_l1(&lay, raw, &table),
				raw % 512 || raw >> 56 ? -EIO : 0);
		raw = (qtest_u64(&rnd) & GENMASK_ULL(55, 9)) | 512;
		KUNIT_EXPECT_EQ(test, qcow_entry_l1_table(&lay, raw), raw);
		KUNIT_EXPECT_EQ(test, qcow_layout_l2_bytes(&lay), 8ULL << h.l2_bits);
	}
}

/* --- Tables that are wrong --- */

#define BITS		12
#define CLUSTER		4096U
#define TABLE		4096U
#define L2_COVERS	(512ULL * CLUSTER)

static void build(struct kunit *test, u32 kinds)
{
	struct rnd_state rnd = qtest_rnd(71000);
	struct builder_spec spec = {
		.version = 1,
		.cluster_bits = BITS,
		.l2_bits = 9,
		.tidy = true,
		.kinds = kinds,
		.size = L2_COVERS + 16 * CLUSTER,
		.writable = true,
		.room = 4 << 20,
	};

	KUNIT_ASSERT_EQ(test, writer_build(test->priv, &spec, 1, &rnd), 0);
}

static u64 l2_table(const struct builder_image *b, u32 i)
{
	return get_unaligned_be64(b->file + b->clusters[0].l1_at + 8 * i);
}

static void put_file(struct builder_image *b, u64 at, u64 value)
{
	put_unaligned_be64(value, b->file + at);
	memfile_rewrite(b->m, b->file, b->file_len);
}

/**
 * struct overlap_case - where the disk's first cluster seems to lie
 * @name: of the case
 * @table: bytes from the start of this L2 table, 1 or 2; 0: of the file
 * @offset: see @table
 * @pos: bytes into the cluster that are written
 * @len: how many
 * @good: it may be
 */
struct overlap_case {
	const char *name;
	u32 table;
	int offset;
	u32 pos;
	u32 len;
	bool good;
};

static const struct overlap_case overlap_cases[] = {
	{ "the first table, all of it", 1, 0, 0, CLUSTER },
	{ "the first table, a sector", 1, 0, 512, 512 },
	{ "the first table's middle", 1, 1024, 0, 512 },
	{ "the first table's last sector", 1, TABLE - 512, 0, 512 },
	{ "behind the first table", 1, TABLE, 0, CLUSTER, true },
	{ "its last sector, elsewhere", 1, TABLE - 512, 512, CLUSTER - 512, true },
	{ "the second table, from before it", 2, 512 - (int)CLUSTER, 0, CLUSTER },
	{ "before it", 2, 512 - (int)CLUSTER, 0, CLUSTER - 512, true },
	{ "the second table's middle", 2, 512, 0, 1024 },
};

static void overlap_case_desc(const struct overlap_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(overlap, overlap_cases, overlap_case_desc);

/* Guest data never gets to where tables are, to the sector. */
static void v1_overlap(struct kunit *test)
{
	const struct overlap_case *c = test->param_value;
	struct writer *w = test->priv;
	struct builder_image *b = writer_top(w);
	u64 table[2];

	build(test, BUILDER_HOLE);
	/* Space between the tables, and behind. */
	table[0] = l2_table(b, 0);
	table[1] = table[0] + 4 * TABLE;
	KUNIT_ASSERT_LE(test, table[1] + 2 * TABLE, b->capacity);
	b->file_len = table[1] + 2 * TABLE;
	put_file(b, b->clusters[0].l1_at + 8, table[1]);
	put_file(b, b->clusters[0].l2_at, table[c->table - 1] + c->offset);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%s", w->base.msg.text);
	writer_start(w, 0, c->pos, c->len, false, NULL);
	KUNIT_EXPECT_EQ(test, writer_end(w, 0), c->good ? 0 : -EIO);
	KUNIT_EXPECT_EQ(test, qcow_image_stopped(w->img), !c->good);
	writer_close(w);
	KUNIT_EXPECT_TRUE(test, !memcmp(b->m->store, b->file, table[0] + TABLE));
	KUNIT_EXPECT_TRUE(test, !memcmp(b->m->store + table[1], b->file + table[1], TABLE));
}

/* As the first cluster, the header's sector is met by an entry of an L1 table too. */
static void v1_overlap_header(struct kunit *test)
{
	struct writer *w = test->priv;
	struct builder_image *b = writer_top(w);

	build(test, BUILDER_HOLE);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	KUNIT_EXPECT_TRUE(test, qcow_alloc_hits_meta(w->img->alloc, 0, 1));
	KUNIT_EXPECT_TRUE(test, qcow_alloc_hits_meta(w->img->alloc, 511, 1));
	KUNIT_EXPECT_TRUE(test, qcow_alloc_hits_meta(w->img->alloc, l2_table(b, 1) + TABLE - 1, 9));
	KUNIT_EXPECT_FALSE(test, qcow_alloc_hits_meta(w->img->alloc, l2_table(b, 1) + TABLE, 512));
}

/**
 * struct refuse_case - an image that is read, but not written
 * @name: of the case
 * @at: bytes into the file of what is changed
 * @table: add to @value where this L2 table begins, 1 or 2; 0: do not
 * @value: what it becomes
 */
struct refuse_case {
	const char *name;
	u32 at;
	u32 table;
	s64 value;
};

#define L1_FIELD	offsetof(struct qcow_disk_v1_header, l1_table_offset)
#define L1_FIRST	sizeof(struct qcow_disk_v1_header)

static const struct refuse_case refuse_cases[] = {
	{ "L1 table not aligned", L1_FIELD, 0, 52 },
	{ "L1 table in the header", L1_FIELD, 0, 40 },
	{ "L1 table at 0", L1_FIELD, 0, 0 },
	{ "L2 tables the same", L1_FIRST, 2, 0 },
	{ "L2 tables overlap", L1_FIRST, 2, 512 - (s64)TABLE },
	{ "L1 table in the L2 table", L1_FIELD, 1, 8 },
	{ "L2 table cut short", L1_FIRST + 8, 2, 512 },
	{ "L2 table past the end", L1_FIRST + 8, 0, 1 << 30 },
	{ "L2 table not aligned", L1_FIRST + 8, 2, 8 },
	{ "L2 table nowhere", L1_FIRST + 8, 0, S64_MIN },
};

static void refuse_case_desc(const struct refuse_case *c, char *desc)
{
	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(refuse, refuse_cases, refuse_case_desc);

static void v1_refuse(struct kunit *test)
{
	const struct refuse_case *c = test->param_value;
	struct writer *w = test->priv;
	struct builder_image *b = writer_top(w);
	u64 value = c->value;

	build(test, BUILDER_HOLE);
	b->file_len = l2_table(b, 1) + TABLE;
	if (c->table)
		value += l2_table(b, c->table - 1);
	/* Where the L1 table may be moved to, it leads to the same. */
	memcpy(b->file + l2_table(b, 0) + 8, b->file + L1_FIRST, 2 * sizeof(u64));
	put_file(b, c->at, value);
	KUNIT_EXPECT_EQ(test, writer_open(w), -EROFS);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(w->base.msg.text, "-r"), "says: %s",
				  w->base.msg.text);
	KUNIT_EXPECT_TRUE(test, !memcmp(b->m->store, b->file, b->file_len));
	w->base.r->params.writable = false;
	KUNIT_EXPECT_EQ_MSG(test, writer_open(w), 0, "%s", w->base.msg.text);
}

/* --- Writing --- */

/* Clusters are taken where the file ends, in order, and nothing is left behind. */
static void v1_append(struct kunit *test)
{
	struct writer *w = test->priv;
	struct builder_image *b = writer_top(w);
	u64 end, at = 0;
	u32 i;

	build(test, BUILDER_HOLE);
	end = round_up(b->file_len, CLUSTER);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	for (i = 0; i < 5; i++)
		KUNIT_EXPECT_EQ(test, writer_write(w, (9 - i) * CLUSTER + 512, 1024), 0);
	writer_close(w);
	KUNIT_EXPECT_EQ(test, memfile_size(b->m), end + 5 * CLUSTER);
	KUNIT_EXPECT_STREQ(test, writer_check_closed(w) ?: "", "");
	for (i = 0; i < 5; i++) {
		KUNIT_EXPECT_EQ(test, checker_find(&w->k, (9 - i) * CLUSTER, &at), CHECKER_HOST);
		KUNIT_EXPECT_EQ(test, at, end + i * CLUSTER);
	}
}

/* What cannot be done is said, and a discard leaves things as they are. */
static void v1_cannot(struct kunit *test)
{
	struct writer *w = test->priv;
	struct qcow_io like = { };
	u64 size;

	build(test, BUILDER_DATA | BUILDER_COMPRESSED);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	like.image = w->img;
	KUNIT_EXPECT_EQ(test, qcow_resize(&like, L2_COVERS, &w->base.msg), -EOPNOTSUPP);
	KUNIT_EXPECT_NOT_NULL(test, strstr(w->base.msg.text, "version 1"));
	size = memfile_size(writer_top(w)->m);
	writer_submit_zero(w, 0, 0, 1 << 20, QCOW_OP_DISCARD);
	KUNIT_EXPECT_EQ(test, writer_wait(w, 0), 0);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	KUNIT_EXPECT_EQ(test, memfile_size(writer_top(w)->m), size);
}

static struct kunit_case v1_test_cases[] = {
	KUNIT_CASE_PARAM(v1_header, header_gen_params),
	KUNIT_CASE(v1_header_values),
	KUNIT_CASE(v1_entries),
	KUNIT_CASE_PARAM(v1_overlap, overlap_gen_params),
	KUNIT_CASE(v1_overlap_header),
	KUNIT_CASE_PARAM(v1_refuse, refuse_gen_params),
	KUNIT_CASE(v1_append),
	KUNIT_CASE(v1_cannot),
	{ }
};

static struct kunit_suite v1_suite = {
	.name = "qcow_v1",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = v1_test_cases,
};

kunit_test_suite(v1_suite);
