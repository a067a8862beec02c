// SPDX-License-Identifier: GPL-2.0
/*
 * Writes of the header: the bytes that each of them changes, the order of its writes
 * and flushes, and the header that is left when one of these fails.
 */
#include "compat/compat_test.h"
#include "meta/header_write.h"
#include "ondisk/header.h"
#include "writer.h"

#define CLUSTER		4096
#define LOG_ENTRIES	64
#define LOG_BYTES	(64U << 10)
#define MAX_STEPS	8

/* Where the mark behind the last extension is, and backing.img's name. */
#define MARK_AT		144
#define NAME		"backing.img"
#define NEAR		(MARK_AT + 8)
#define FAR		300

#define at(field)	offsetof(struct qcow_disk_header, field)

/* --- The writes --- */

static int set_l1(struct qcow_alloc *a)
{
	int err;

	mutex_lock(&a->store_lock);
	err = __qcow_header_set_l1(a, 16, 3 * CLUSTER, 0x1234000);
	mutex_unlock(&a->store_lock);
	return err;
}

static int set_refcount_table(struct qcow_alloc *a)
{
	int err;

	mutex_lock(&a->store_lock);
	err = __qcow_header_set_refcount_table(a, 5 * CLUSTER, 2);
	mutex_unlock(&a->store_lock);
	return err;
}

static int set_size(struct qcow_alloc *a)
{
	return qcow_header_set_size(a, 0x7000);
}

static int set_snapshots(struct qcow_alloc *a)
{
	return qcow_header_set_snapshots(a, 3, 9 * CLUSTER);
}

static int drop_backing(struct qcow_alloc *a)
{
	return qcow_header_drop_backing(a);
}

static int set_corrupt(struct qcow_alloc *a)
{
	return qcow_header_set_features(a, QCOW_FEATURES_INCOMPATIBLE,
					QCOW_DISK_INCOMPAT_CORRUPT, 0);
}

static int clear_autoclear(struct qcow_alloc *a)
{
	return qcow_header_set_features(a, QCOW_FEATURES_AUTOCLEAR, 0,
					~QCOW_DISK_AUTOCLEAR_BITMAPS);
}

/* Nothing is to be changed. */
static int set_present(struct qcow_alloc *a)
{
	return qcow_header_set_features(a, QCOW_FEATURES_AUTOCLEAR,
					QCOW_DISK_AUTOCLEAR_BITMAPS,
					QCOW_DISK_AUTOCLEAR_DATA_RAW);
}

static int put_extension(struct qcow_alloc *a)
{
	static const u8 data[] = "twenty bytes of data";
	u32 host_offset = 0;
	int err;

	mutex_lock(&a->store_lock);
	err = __qcow_header_put_extension(a, 0x12345678, data, 20, &host_offset);
	mutex_unlock(&a->store_lock);
	return err;
}

/**
 * struct patch - bytes that a write changes
 * @in_header: bytes into the file
 * @len: bytes
 * @bytes: the new ones
 */
struct patch {
	u32 in_header;
	u32 len;
	u8 bytes[40];
};

/**
 * struct header_case - a write of the header
 * @name: for messages
 * @write: the function that does it
 * @order: its writes (W) and flushes (F)
 * @name_at: bytes into the file of the backing file's name before
 * @patches: all that it changes
 */
struct header_case {
	const char *name;
	int (*write)(struct qcow_alloc *a);
	const char *order;
	u32 name_at;
	struct patch patches[4];
};

static const struct header_case cases[] = {
	{ "the L1 table", set_l1, "FWF", FAR, { { at(size), 24,
	  { 0, 0, 0, 0, 0x01, 0x23, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 16,
	    0, 0, 0, 0, 0, 0, 0x30, 0 } } } },
	{ "the refcount table", set_refcount_table, "FWF", FAR, {
	  { at(refcount_table_offset), 12, { 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 2 } } } },
	{ "the size", set_size, "FWF", FAR, { { at(size), 8, { 0, 0, 0, 0, 0, 0, 0x70, 0 } } } },
	{ "the snapshot table", set_snapshots, "FWF", FAR, {
	  { at(nb_snapshots), 12, { 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0x90, 0 } } } },
	{ "no backing file", drop_backing, "FWF", FAR, { { at(backing_file_offset), 12 } } },
	{ "the corrupt bit", set_corrupt, "WF", FAR, {
	  { at(incompatible_features), 8, { 0, 0, 0, 0, 0, 0, 0, 2 } } } },
	{ "autoclear bits", clear_autoclear, "WF", FAR, {
	  { at(autoclear_features), 8, { 0, 0, 0, 0, 0, 0, 0, 1 } } } },
	{ "bits that are so", set_present, "", FAR },
	{ "an extension", put_extension, "WFWF", FAR, {
	  { MARK_AT, 8, { 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 20 } },
	  { MARK_AT + 8, 32, "twenty bytes of data" } } },
	{ "an extension in the way of a name", put_extension, "WFWFWFWF", NEAR, {
	  { MARK_AT + 40, sizeof(NAME) - 1, NAME },
	  { at(backing_file_offset), 8, { 0, 0, 0, 0, 0, 0, 0, MARK_AT + 40 } },
	  { MARK_AT, 8, { 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 20 } },
	  { MARK_AT + 8, 32, "twenty bytes of data" } } },
};

/* --- The image --- */

static void build(struct kunit *test)
{
	struct rnd_state rnd = qtest_rnd(63000);
	struct writer *w = test->priv;
	struct builder_spec specs[2] = {
		{
			.version = 3,
			.cluster_bits = 12,
			.tidy = true,
			.kinds = BUILDER_DATA,
			.size = 8 * CLUSTER,
			.backing = true,
			.writable = true,
			.order = 4,
			.room = 64 * CLUSTER,
		},
		{ .raw = true, .size = 8 * CLUSTER },
	};

	KUNIT_ASSERT_EQ(test, writer_build(w, specs, 2, &rnd), 0);
	KUNIT_ASSERT_EQ(test, oracle_log(&w->o, LOG_ENTRIES, LOG_BYTES), 0);
}

/* Feature bits that are known and that are not; the name; and the image is opened. */
static void start(struct kunit *test, const struct header_case *c, u8 *before)
{
	struct writer *w = test->priv;
	struct builder_image *b = writer_top(w);

	writer_restart(w);
	put_unaligned_be64(0xf000000000000001ULL, b->m->store + at(autoclear_features));
	put_unaligned_be64(c->name_at, b->m->store + at(backing_file_offset));
	memcpy(b->m->store + c->name_at, NAME, sizeof(NAME) - 1);
	memcpy(before, b->m->store, CLUSTER);
	KUNIT_ASSERT_EQ_MSG(test, writer_open(w), 0, "%s: %s", c->name, w->base.msg.text);
	memlog_reset(w->o.log);
}

/* The write did not go on to the end: the tables are not those of the header. */
static void stop(struct writer *w)
{
	struct memfile_mode none = { };

	memfile_set_mode(writer_top(w)->m, &none);
	writer_close(w);
}

static void patch(u8 *header, const struct header_case *c)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(c->patches); i++)
		memcpy(header + c->patches[i].in_header, c->patches[i].bytes,
		       c->patches[i].len);
}

/* The operations on the file, as in header_case.order. */
static void order_of(const struct memlog *log, char *order)
{
	u32 i;

	for (i = 0; i < log->nr && i < MAX_STEPS; i++)
		order[i] = log->entries[i].type == MEMLOG_SYNC ? 'F' : 'W';
	order[i] = 0;
}

/* --- Cases --- */

static void write_one(struct kunit *test, const struct header_case *c, u8 *expect)
{
	char order[MAX_STEPS + 1];
	struct writer *w = test->priv;

	start(test, c, expect);
	patch(expect, c);
	KUNIT_EXPECT_EQ_MSG(test, c->write(w->img->alloc), 0, "%s", c->name);
	order_of(w->o.log, order);
	KUNIT_EXPECT_STREQ_MSG(test, order, c->order, "%s", c->name);
	KUNIT_EXPECT_TRUE_MSG(test, !memcmp(writer_top(w)->m->store, expect, CLUSTER),
			      "%s: other bytes of the header", c->name);
	stop(w);
}

static void header_writes(struct kunit *test)
{
	u8 *expect = kunit_kmalloc(test, CLUSTER, GFP_KERNEL);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, expect);
	build(test);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		write_one(test, &cases[i], expect);
}

/* The header is one that can be read, and its backing file has its name. */
static bool header_whole(const struct writer *w)
{
	const u8 *file = writer_top((struct writer *)w)->m->store;
	struct qcow_header h;

	if (qcow_header_parse(&h, file, CLUSTER, 1 << 20, NULL))
		return false;
	return !h.backing_len ||
	       (h.backing_len == sizeof(NAME) - 1 &&
		!memcmp(file + h.backing_in_header, NAME, sizeof(NAME) - 1));
}

/*
 * Step @i of a write fails, and @sticky: so do all after it. A flush that fails is final;
 * a write is not, unless fields that lead somewhere cannot be put back either.
 */
static void fail_one(struct kunit *test, const struct header_case *c, u32 i, bool sticky,
		     u8 *before)
{
	struct memfile_mode mode = {
		.fail_ops = MEMFILE_WRITE | MEMFILE_SYNC, .fail_at = i + 1, .sticky = sticky,
	};
	bool publishes = c->order[0] == 'F';
	struct writer *w = test->priv;

	start(test, c, before);
	memfile_set_mode(writer_top(w)->m, &mode);
	KUNIT_EXPECT_EQ_MSG(test, c->write(w->img->alloc), -EIO, "%s, step %u", c->name, i);
	KUNIT_EXPECT_EQ_MSG(test, w->img->alloc->failed,
			    c->order[i] == 'F' || (publishes && sticky) ? -EIO : 0,
			    "%s, step %u", c->name, i);
	KUNIT_EXPECT_TRUE_MSG(test, header_whole(w), "%s, step %u: a damaged header",
			      c->name, i);
	if (publishes && c->order[i] == 'W')
		KUNIT_EXPECT_TRUE_MSG(test,
				      !memcmp(writer_top(w)->m->store, before, CLUSTER),
				      "%s: the header is not as it was", c->name);
	stop(w);
}

static void header_write_fails(struct kunit *test)
{
	u8 *before = kunit_kmalloc(test, CLUSTER, GFP_KERNEL);
	u32 i, step;

	KUNIT_ASSERT_NOT_NULL(test, before);
	build(test);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		for (step = 0; cases[i].order[step]; step++) {
			fail_one(test, &cases[i], step, false, before);
			fail_one(test, &cases[i], step, true, before);
		}
}

/* After a failed flush no field is published; damage is marked all the same. */
static void header_write_over(struct kunit *test)
{
	u8 *before = kunit_kmalloc(test, CLUSTER, GFP_KERNEL);
	struct writer *w = test->priv;
	const struct header_case *c;

	KUNIT_ASSERT_NOT_NULL(test, before);
	build(test);
	for (c = cases; c < cases + ARRAY_SIZE(cases); c++) {
		start(test, c, before);
		w->img->alloc->failed = -EIO;
		KUNIT_EXPECT_EQ_MSG(test, c->write(w->img->alloc),
				    c->order[0] == 'F' ? -EIO : 0, "%s", c->name);
		if (c->order[0] == 'F')
			KUNIT_EXPECT_EQ_MSG(test, w->o.log->nr, 0, "%s", c->name);
		stop(w);
	}
}

static struct kunit_case header_write_cases[] = {
	KUNIT_CASE(header_writes),
	KUNIT_CASE(header_write_fails),
	KUNIT_CASE(header_write_over),
	{ }
};

static struct kunit_suite header_write_suite = {
	.name = "qcow_header_write",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = header_write_cases,
};

kunit_test_suite(header_write_suite);
