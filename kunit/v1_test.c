// SPDX-License-Identifier: GPL-2.0
/*
 * qcow version 1: header, entries, and an image that is written until the power
 * is cut.
 */
#include <linux/slab.h>

#include <uapi/linux/qcow.h>

#include "compat/compat_test.h"
#include "meta/flush.h"
#include "writer.h"

#define FILE_SIZE	0x100000
#define AREA		0x10000

/* --- The header --- */

static void put_header(struct qcow_disk_v1_header *d, u8 cluster_bits, u8 l2_bits,
		       u64 size)
{
	*d = (struct qcow_disk_v1_header) {
		.magic = cpu_to_be32(QCOW_DISK_MAGIC),
		.version = cpu_to_be32(1),
		.size = cpu_to_be64(size),
		.cluster_bits = cluster_bits,
		.l2_bits = l2_bits,
		.l1_table_offset = cpu_to_be64(sizeof(*d)),
	};
}

/* A field to be overwritten, if it is not the first. */
struct field {
	u32 in_header;
	u64 value;
};

#define F(member, value) { offsetof(struct qcow_disk_v1_header, member), value }

static u32 field_bytes(u32 in_header)
{
	switch (in_header) {
	case 0:
		return 0;
	case offsetof(struct qcow_disk_v1_header, backing_file_size):
	case offsetof(struct qcow_disk_v1_header, mtime):
	case offsetof(struct qcow_disk_v1_header, crypt_method):
		return 4;
	case offsetof(struct qcow_disk_v1_header, cluster_bits):
	case offsetof(struct qcow_disk_v1_header, l2_bits):
		return 1;
	case offsetof(struct qcow_disk_v1_header, padding):
		return 2;
	}
	return 8;
}

/**
 * struct header_case - a header with fields overwritten
 * @name: of the case
 * @set: those fields
 * @err: expected
 * @says: expected in the message
 */
struct header_case {
	const char *name;
	struct field set[2];
	int err;
	const char *says;
};

static const struct header_case header_cases[] = {
	{ "as it is" },
	{ "smallest clusters", { F(cluster_bits, 9) } },
	{ "largest clusters", { F(cluster_bits, 16) } },
	{ "clusters too small", { F(cluster_bits, 8) },
	  .err = -EINVAL, .says = "cluster size" },
	{ "clusters too large", { F(cluster_bits, 17) },
	  .err = -EINVAL, .says = "cluster size" },
	{ "smallest tables", { F(l2_bits, 6) } },
	{ "largest tables", { F(l2_bits, 13) } },
	{ "tables too small", { F(l2_bits, 5) }, .err = -EINVAL, .says = "L2 tables" },
	{ "tables too large", { F(l2_bits, 14) }, .err = -EINVAL, .says = "L2 tables" },
	{ "padding is ignored", { F(padding, 0xffff) } },
	{ "mtime is ignored", { F(mtime, ~0U) } },
	{ "no disk", { F(size, 0) }, .err = -EINVAL, .says = "too small" },
	{ "a byte", { F(size, 1) }, .err = -EINVAL, .says = "too small" },
	{ "two bytes", { F(size, 2) } },
	{ "largest disk", { F(size, 4ULL << 41) } },
	{ "disk too large", { F(size, (4ULL << 41) + 1) }, .err = -EFBIG, .says = "too large" },
	{ "disk far too large", { F(size, ~0ULL) }, .err = -EFBIG, .says = "too large" },
	{ "AES", { F(crypt_method, 1) } },
	{ "unknown encryption", { F(crypt_method, 2) },
	  .err = -EOPNOTSUPP, .says = "encryption" },
	{ "table in the header", { F(l1_table_offset, 40) }, .err = -EINVAL, .says = "inside" },
	{ "table not aligned", { F(l1_table_offset, 52) }, .err = -EINVAL, .says = "aligned" },
	{ "table last in the file", { F(l1_table_offset, FILE_SIZE - 8) } },
	{ "table past the end", { F(l1_table_offset, FILE_SIZE) },
	  .err = -EINVAL, .says = "truncated" },
	{ "table far past", { F(l1_table_offset, ~7ULL) },
	  .err = -EINVAL, .says = "out of range" },
	{ "a name", { F(backing_file_offset, 4096), F(backing_file_size, 1023) } },
	{ "a name at the end", { F(backing_file_offset, AREA - 5), F(backing_file_size, 5) } },
	{ "a name too long", { F(backing_file_offset, 4096), F(backing_file_size, 1024) },
	  .err = -EINVAL, .says = "too long" },
	{ "a name in the header", { F(backing_file_offset, 47), F(backing_file_size, 5) },
	  .err = -EINVAL, .says = "inside" },
	{ "a name in the table", { F(backing_file_offset, 48), F(backing_file_size, 1) },
	  .err = -EINVAL, .says = "overlap" },
	{ "a name too far", { F(backing_file_offset, AREA - 4), F(backing_file_size, 5) },
	  .err = -EINVAL, .says = "too far" },
	{ "a name very far", { F(backing_file_offset, ~0ULL), F(backing_file_size, 5) },
	  .err = -EINVAL, .says = "too far" },
	{ "a name without bytes", { F(backing_file_offset, ~0ULL), F(backing_file_size, 0) } },
	{ "no name", { F(backing_file_offset, 0), F(backing_file_size, 2000) } },
};

static void put_field(u8 *buf, u32 in_header, u32 bytes, u64 value)
{
	while (bytes--) {
		buf[in_header + bytes] = value;
		value >>= 8;
	}
}

static void header_fields(struct kunit *test)
{
	u8 *buf = kunit_kzalloc(test, AREA, GFP_KERNEL);
	const struct header_case *c = header_cases;
	struct qcow_header h;
	struct qcow_msg msg;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	for (; c < header_cases + ARRAY_SIZE(header_cases); c++) {
		memset(buf, 'x', AREA);
		put_header((void *)buf, 12, 9, 64 << 20);
		put_field(buf, c->set[0].in_header, field_bytes(c->set[0].in_header),
			  c->set[0].value);
		put_field(buf, c->set[1].in_header, field_bytes(c->set[1].in_header),
			  c->set[1].value);
		msg.text[0] = 0;
		err = qcow_header_parse(&h, buf, AREA, FILE_SIZE, &msg);
		KUNIT_EXPECT_EQ_MSG(test, err, c->err, "%s: %s", c->name, msg.text);
		if (c->says)
			KUNIT_EXPECT_TRUE_MSG(test, strstr(msg.text, c->says),
					      "%s: %s", c->name, msg.text);
		if (!err)
			KUNIT_EXPECT_EQ_MSG(test, h.version, 1, "%s", c->name);
	}
}

static void header_values(struct kunit *test)
{
	u8 *buf = kunit_kzalloc(test, AREA, GFP_KERNEL);
	struct qcow_msg msg = { };
	struct qcow_layout lay;
	struct qcow_header h;
	u32 len;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	put_header((void *)buf, 9, 12, (5 << 20) + 1000);
	put_field(buf, 8, 8, 4096);
	put_field(buf, 16, 4, 3);
	memcpy(buf + 4096, "abc", 3);
	KUNIT_ASSERT_EQ(test, qcow_header_parse(&h, buf, AREA, FILE_SIZE, &msg), 0);
	KUNIT_EXPECT_EQ(test, h.size, (5 << 20) + 512);
	KUNIT_EXPECT_EQ(test, h.l1_size, 3);
	KUNIT_EXPECT_EQ(test, h.backing_in_header, 4096);
	KUNIT_EXPECT_EQ(test, h.backing_len, 3);
	qcow_layout_init(&lay, &h);
	KUNIT_EXPECT_EQ(test, qcow_layout_l1_shift(&lay), 21);
	KUNIT_EXPECT_EQ(test, qcow_layout_l2_bytes(&lay), 32768);
	KUNIT_EXPECT_FALSE(test, qcow_layout_has_refcounts(&lay));
	for (len = 24; len < 48; len++)
		KUNIT_EXPECT_EQ(test, qcow_header_parse(&h, buf, len, len, NULL), -EINVAL);
	KUNIT_EXPECT_EQ(test, qcow_header_parse(&h, buf, 4098, 4098, NULL), -EINVAL);
	put_field(buf, 4097, 1, 0);
	KUNIT_EXPECT_EQ(test, qcow_header_parse(&h, buf, AREA, FILE_SIZE, NULL), -EINVAL);
}

/* --- Entries --- */

static void make_layout(struct qcow_layout *lay, u8 cluster_bits, u8 l2_bits)
{
	struct qcow_header h = {
		.version = 1,
		.cluster_bits = cluster_bits,
		.l2_bits = l2_bits,
	};

	qcow_layout_init(lay, &h);
}

static void entries(struct kunit *test)
{
	struct qcow_layout lay;
	struct qcow_entry e;
	u64 host_offset;

	make_layout(&lay, 12, 9);
	KUNIT_EXPECT_EQ(test, qcow_entry_l1(&lay, 0x200, &host_offset), 0);
	KUNIT_EXPECT_EQ(test, host_offset, 0x200);
	KUNIT_EXPECT_EQ(test, qcow_entry_l1(&lay, 0x201, &host_offset), -EIO);
	KUNIT_EXPECT_EQ(test, qcow_entry_l1(&lay, BIT_ULL(63) | 0x200, &host_offset), -EIO);
	KUNIT_EXPECT_EQ(test, qcow_entry_l1(&lay, BIT_ULL(56), &host_offset), -EIO);
	KUNIT_EXPECT_TRUE(test, qcow_entry_l1_own(&lay, 0x200));
	KUNIT_EXPECT_FALSE(test, qcow_entry_l1_own(&lay, 0));
	KUNIT_EXPECT_FALSE(test, qcow_entry_l1_own(&lay, 0x201));
	KUNIT_EXPECT_EQ(test, qcow_entry_make_l1(&lay, 0x200), 0x200);

	KUNIT_EXPECT_EQ(test, qcow_entry_l2(&lay, 0, 0, 5, &e), 0);
	KUNIT_EXPECT_EQ(test, e.type, QCOW_EXTENT_HOLE);
	KUNIT_EXPECT_FALSE(test, e.mapped);
	KUNIT_EXPECT_EQ(test, qcow_entry_l2(&lay, 0x600, 0, 0x5001, &e), 0);
	KUNIT_EXPECT_EQ(test, e.type, QCOW_EXTENT_DATA);
	KUNIT_EXPECT_TRUE(test, e.mapped && e.copied);
	KUNIT_EXPECT_EQ(test, e.host_offset, 0x601);
	KUNIT_EXPECT_EQ(test, qcow_entry_l2(&lay, 0x601, 0, 0, &e), -EIO);
	KUNIT_EXPECT_EQ(test, qcow_entry_l2(&lay, BIT_ULL(62), 0, 0, &e), -EIO);
	KUNIT_EXPECT_EQ(test, qcow_entry_l2(&lay, BIT_ULL(63) | 77ULL << 51 | 12345, 0, 9, &e), 0);
	KUNIT_EXPECT_EQ(test, e.type, QCOW_EXTENT_COMPRESSED);
	KUNIT_EXPECT_FALSE(test, e.mapped || e.copied);
	KUNIT_EXPECT_EQ(test, e.host_offset, 12345);
	KUNIT_EXPECT_EQ(test, e.csize, 77);
	KUNIT_EXPECT_EQ(test, qcow_entry_l2(&lay, ~0ULL, 0, 0, &e), 0);
	KUNIT_EXPECT_EQ(test, e.csize, 4095);
	KUNIT_EXPECT_EQ(test, e.host_offset, BIT_ULL(51) - 1);
	KUNIT_EXPECT_EQ(test, qcow_entry_l2(&lay, BIT_ULL(63) | 512, 0, 0, &e), -EIO);

	make_layout(&lay, 16, 13);
	KUNIT_EXPECT_EQ(test, qcow_entry_l2(&lay, ~0ULL, 0, 0, &e), 0);
	KUNIT_EXPECT_EQ(test, e.csize, 65535);
	KUNIT_EXPECT_EQ(test, e.host_offset, BIT_ULL(47) - 1);
}

static void entries_made(struct kunit *test)
{
	struct qcow_l2_entry old = { .raw = BIT_ULL(63) | 77ULL << 51 }, new;
	struct qcow_layout lay;

	make_layout(&lay, 12, 9);
	new = qcow_entry_data(&lay, old, 0x3000, 0x1000, 0x8000);
	KUNIT_EXPECT_EQ(test, new.raw, 0x8000);
	KUNIT_EXPECT_EQ(test, new.bitmap, 0);
	KUNIT_EXPECT_EQ(test, qcow_entry_zero(&lay, old, 0, 0x1000, true, &new), -EAGAIN);
}

/* --- An image --- */

/**
 * struct v1_spec - an image to be built
 * @cluster_bits: log2 of the cluster size
 * @l2_bits: log2 of the entries of an L2 table
 * @clusters: of the disk; every third has data, at 512 bytes beside alignment
 * @backing: there is a raw backing file
 */
struct v1_spec {
	u8 cluster_bits;
	u8 l2_bits;
	u32 clusters;
	bool backing;
};

static const struct v1_spec specs[] = {
	{ 9, 6, 150, false },
	{ 9, 12, 200, true },
	{ 12, 9, 40, false },
	{ 12, 6, 150, true },
	{ 16, 6, 6, true },
	{ 11, 13, 60, false },
};

#define V1_ROOM		(4U << 20)
#define V1_OPS		60
#define V1_CUTS		40

static void build_tables(struct builder_image *b, const struct v1_spec *s)
{
	u32 shift = s->cluster_bits + s->l2_bits;
	u64 size = (u64)s->clusters << s->cluster_bits;
	u64 end = round_up(48 + 8 * (((size - 1) >> shift) + 1), 512);
	u64 table = 0, i, n;

	put_header((void *)b->file, s->cluster_bits, s->l2_bits, size);
	if (s->backing) {
		put_field(b->file, 8, 8, AREA - 1);
		put_field(b->file, 16, 4, 1);
		b->file[AREA - 1] = 'b';
		end = max_t(u64, end, AREA);
	}
	for (i = 0; i < s->clusters; i += 3) {
		n = i >> s->l2_bits;
		if (!get_unaligned_be64(b->file + 48 + 8 * n)) {
			put_unaligned_be64(end, b->file + 48 + 8 * n);
			end += 8ULL << s->l2_bits;
		}
		table = get_unaligned_be64(b->file + 48 + 8 * n);
		put_unaligned_be64(end, b->file + table + 8 * (i & ((1 << s->l2_bits) - 1)));
		memset(b->file + end, i | 1, 1 << s->cluster_bits);
		memset(b->expect + (i << s->cluster_bits), i | 1, 1 << s->cluster_bits);
		end += (1 << s->cluster_bits) + (i % 2 ? 512 : 0);
	}
	b->file_len = end;
}

/* In place of builder_build(): the chain's top is of version 1. */
static void build(struct kunit *test, const struct v1_spec *s)
{
	struct writer *w = test->priv;
	struct builder_chain *c = w->base.c;
	u64 size = (u64)s->clusters << s->cluster_bits;
	struct builder_spec raw = { .raw = true, .size = size };
	struct rnd_state rnd = qtest_rnd(40000);
	static const struct memfile_mode plain;
	struct builder_image *b = &c->img[0];

	KUNIT_ASSERT_EQ(test, builder_build(c, &raw, 1, &rnd), 0);
	if (s->backing) {
		c->img[1] = c->img[0];
		c->sources[1] = c->sources[0];
		memset(b, 0, sizeof(*b));
		c->nr = 2;
		b->expect = kvzalloc(size + 1, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, b->expect);
		memcpy(b->expect, c->img[1].expect, size);
	} else {
		memfile_destroy(b->m);
		kvfree(b->file);
		memset(b->expect, 0, size);
	}
	b->spec = (struct builder_spec) {
		.version = 1, .cluster_bits = s->cluster_bits, .size = size,
		.writable = true, .backing = s->backing, .room = V1_ROOM,
	};
	b->size = size;
	b->file = kvzalloc(V1_ROOM, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, b->file);
	build_tables(b, s);
	b->m = memfile_create();
	KUNIT_ASSERT_NOT_NULL(test, b->m);
	KUNIT_ASSERT_EQ(test, memfile_own(b->m, b->file, b->file_len, b->file_len + V1_ROOM), 0);
	memfile_set_mode(b->m, &plain);
	c->sources[0] = (struct qcow_source) {
		.file = b->m->file, .format = QCOW_FORMAT_QCOW,
	};
	/* The tables of version 1 are aligned to 512 bytes at least. */
	KUNIT_ASSERT_EQ(test, oracle_init(&w->o, 9), 0);
	KUNIT_ASSERT_EQ_MSG(test, w->o.k.errors, 0, "%s", w->o.k.text);
}

static void image_reads(struct kunit *test)
{
	struct writer *w = test->priv;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(specs); i++) {
		build(test, &specs[i]);
		KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%u: %s", i, w->base.msg.text);
		KUNIT_EXPECT_EQ_MSG(test, writer_read_back(w), 0, "%u", i);
		writer_close(w);
		KUNIT_EXPECT_EQ_MSG(test, memfile_size(writer_top(w)->m),
				    writer_top(w)->file_len, "%u", i);
		writer_free(w);
	}
}

/* Only a part of the writes goes to clusters that have no data. */
static void write_some(struct kunit *test, struct rnd_state *rnd)
{
	struct writer *w = test->priv;
	u32 sectors = writer_top(w)->size / 512, i, first, len;

	for (i = 0; i < V1_OPS; i++) {
		first = qtest_below(rnd, sectors);
		len = qtest_one_in(rnd, 3) ? 100 : 5;
		len = 1 + qtest_below(rnd, min(sectors - first, len));
		switch (qtest_below(rnd, 8)) {
		case 0:
			KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
			break;
		case 1:
			writer_submit_zero(w, 0, first * 512, len * 512, QCOW_OP_ZERO);
			KUNIT_EXPECT_EQ(test, writer_wait(w, 0), 0);
			break;
		default:
			KUNIT_EXPECT_EQ(test, writer_write(w, first * 512, len * 512), 0);
		}
	}
}

static void image_writes(struct kunit *test)
{
	struct writer *w = test->priv;
	struct rnd_state rnd = qtest_rnd(41000);
	u32 i;

	for (i = 0; i < ARRAY_SIZE(specs); i++) {
		build(test, &specs[i]);
		KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%u: %s", i, w->base.msg.text);
		write_some(test, &rnd);
		KUNIT_EXPECT_EQ_MSG(test, writer_read_back(w), 0, "%u", i);
		writer_close(w);
		if (oracle_check_closed(&w->o))
			KUNIT_FAIL(test, "%u: %s", i, w->o.k.text);
		KUNIT_ASSERT_EQ(test, writer_open(w), 0);
		KUNIT_EXPECT_EQ_MSG(test, writer_read_back(w), 0, "%u: opened again", i);
		writer_close(w);
		writer_free(w);
	}
}

/* Every way in which the power can be cut at some time. */
static const char *cut_at(struct writer *w, u32 when, struct rnd_state *rnd)
{
	const struct builder_image *b = writer_top(w);
	struct memlog_disk *d = &w->o.disk;
	const char *fault = NULL;
	u32 cut;

	memlog_disk_start(d, b->file, b->file_len);
	for (cut = 0; cut < MEMLOG_CUTS && !fault; cut++) {
		memlog_disk_cut(d, when, cut, rnd);
		fault = oracle_check(&w->o, d->data, min(d->size, d->capacity), when);
	}
	return fault;
}

static void image_cuts(struct kunit *test)
{
	struct writer *w = test->priv;
	struct rnd_state rnd = qtest_rnd(42000);
	u32 i, n, when, last;

	for (i = 0; i < ARRAY_SIZE(specs); i++) {
		build(test, &specs[i]);
		KUNIT_ASSERT_EQ(test, oracle_log(&w->o, 4096, 16 << 20), 0);
		KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%u: %s", i, w->base.msg.text);
		write_some(test, &rnd);
		writer_close(w);
		last = memlog_now(w->o.log);
		KUNIT_EXPECT_FALSE(test, w->o.log->full);
		for (n = 0; n <= V1_CUTS; n++) {
			when = n * last / V1_CUTS;
			if (cut_at(w, when, &rnd))
				KUNIT_FAIL(test, "%u: cut at %u of %u: %s", i, when, last,
					   w->o.k.text);
		}
		writer_top(w)->m->log = NULL;
		writer_free(w);
	}
}

/* No entry leads guest data into a table, or to where clusters are taken. */
static void image_damage(struct kunit *test)
{
	struct writer *w = test->priv;
	struct builder_image *b = writer_top(w);
	u64 table, bad[4], i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		build(test, &specs[2]);
		table = get_unaligned_be64(b->file + 48);
		bad[0] = table;
		bad[1] = 0x8001;
		bad[2] = round_up(b->file_len, 4096);
		bad[3] = table + 512;
		put_unaligned_be64(bad[i], b->file + table);
		memfile_rewrite(b->m, b->file, b->file_len);
		KUNIT_ASSERT_EQ(test, writer_open(w), 0);
		KUNIT_EXPECT_EQ_MSG(test, writer_write(w, 0, 4096), -EIO, "%llu", i);
		KUNIT_EXPECT_TRUE(test, qcow_image_stopped(w->img));
		writer_close(w);
		KUNIT_EXPECT_EQ(test, memcmp(b->m->store, b->file, b->file_len), 0);
		writer_free(w);
	}
}

static struct kunit_case v1_test_cases[] = {
	KUNIT_CASE(header_fields),
	KUNIT_CASE(header_values),
	KUNIT_CASE(entries),
	KUNIT_CASE(entries_made),
	KUNIT_CASE(image_reads),
	KUNIT_CASE(image_writes),
	KUNIT_CASE(image_cuts),
	KUNIT_CASE(image_damage),
	{ }
};

static struct kunit_suite v1_suite = {
	.name = "qcow_v1",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = v1_test_cases,
};

kunit_test_suite(v1_suite);
