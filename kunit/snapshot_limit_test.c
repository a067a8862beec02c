// SPDX-License-Identifier: GPL-2.0
/*
 * Limits of all snapshots together: their L1 tables in the file, and the memory for
 * the places of tables when one of them is applied. And snapshots that the file
 * describes otherwise than at the attach.
 */
#include <linux/slab.h>

#include "compat/compat_test.h"
#include "meta/alloc.h"
#include "meta/snapshot.h"
#include "writer.h"

/* Where the header says how many snapshots there are, and where. */
#define NR_AT		60
#define OFFSET_AT	64

#define ENTRY_BYTES	56
#define L1_ENTRIES	(QCOW_DISK_MAX_L1_BYTES / 8)

static void build(struct kunit *test, u32 cluster_bits)
{
	struct rnd_state rnd = qtest_rnd(76000);
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = cluster_bits,
		.tidy = true,
		.kinds = BUILDER_DATA,
		.size = 8 << cluster_bits,
		.writable = true,
		.order = 4,
		.room = 4 << 20,
	};

	KUNIT_ASSERT_EQ(test, writer_build(test->priv, &spec, 1, &rnd), 0);
}

/* --- L1 tables --- */

/* None is made that a later attach would refuse. */
static void snapshot_limit_create(struct kunit *test)
{
	struct writer *w = test->priv;
	struct qcow_alloc *a;
	u64 bytes;

	build(test, 9);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	a = w->img->alloc;
	bytes = w->img->l1_size * 8;
	KUNIT_EXPECT_EQ(test, a->snapshots.l1_bytes, 0ULL);
	KUNIT_EXPECT_EQ(test, writer_snapshot_create(w, "one"), 0);
	KUNIT_EXPECT_EQ(test, a->snapshots.l1_bytes, bytes);
	writer_close(w);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	a = w->img->alloc;
	KUNIT_EXPECT_EQ(test, a->snapshots.l1_bytes, bytes);
	a->snapshots.l1_bytes = BIT_ULL(30) - bytes;
	KUNIT_EXPECT_EQ(test, writer_snapshot_create(w, "two"), 0);
	KUNIT_EXPECT_EQ(test, writer_snapshot_create(w, "three"), -EFBIG);
	KUNIT_EXPECT_NOT_NULL(test, strstr(w->base.msg.text, "1 GiB"));
	KUNIT_EXPECT_EQ(test, writer_snapshot_delete(w, "one"), 0);
	KUNIT_EXPECT_EQ(test, writer_snapshot_create(w, "three"), 0);
	KUNIT_EXPECT_EQ(test, writer_snapshot_delete(w, "three"), 0);
	KUNIT_EXPECT_EQ(test, writer_snapshot_delete(w, "two"), 0);
	KUNIT_EXPECT_EQ(test, a->snapshots.l1_bytes, BIT_ULL(30) - 2 * bytes);
	writer_close(w);
	KUNIT_EXPECT_NULL(test, oracle_check_closed(&w->o));
	KUNIT_EXPECT_EQ(test, w->o.k.leaks, w->o.leaks);
	writer_free(w);
}

/* Puts a table of @nr snapshots at @host_offset, each with an L1 table as large as can be. */
static void put_snapshots(struct memfile *m, u64 host_offset, u32 nr, u32 cluster_bits)
{
	u64 l1_at = BIT_ULL(40);
	u8 *p = m->store + host_offset;
	u32 i;

	put_unaligned_be32(nr, m->store + NR_AT);
	put_unaligned_be64(host_offset, m->store + OFFSET_AT);
	for (i = 0; i < nr; i++, p += ENTRY_BYTES, l1_at += QCOW_DISK_MAX_L1_BYTES) {
		put_unaligned_be64(l1_at, p);
		put_unaligned_be32(L1_ENTRIES, p + 8);
		/* Extra data, and neither id nor name. */
		put_unaligned_be32(16, p + 36);
	}
}

static void snapshot_limit_attach(struct kunit *test)
{
	struct writer *w = test->priv;
	struct memfile *m;
	u32 most = BIT_ULL(30) / QCOW_DISK_MAX_L1_BYTES, nr;
	u64 host_offset;

	build(test, 16);
	m = writer_top(w)->m;
	host_offset = round_up(memfile_size(m), 1 << 16);
	memfile_set_size(m, host_offset + BIT(16));
	for (nr = most; nr <= most + 1; nr++) {
		put_snapshots(m, host_offset, nr, 16);
		/* None of them is counted. */
		KUNIT_EXPECT_EQ(test, writer_open(w), -EROFS);
		KUNIT_EXPECT_EQ_MSG(test, !!strstr(w->base.msg.text, "1 GiB"), nr > most,
				    "%s", w->base.msg.text);
	}
	writer_free(w);
}

/* --- Memory --- */

/* The snapshot that is applied has tables that the driver does not know yet. */
static void snapshot_limit_apply(struct kunit *test)
{
	struct writer *w = test->priv;
	struct qcow_alloc *a;
	u64 max, first;
	bool fresh;
	u32 got, i;

	build(test, 9);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	KUNIT_ASSERT_EQ(test, writer_snapshot_create(w, "one"), 0);
	/* Takes clusters, so that the disk's later tables lie elsewhere. */
	for (i = 0; i < XA_CHUNK_SIZE; i++)
		KUNIT_ASSERT_EQ(test, qcow_alloc_clusters(w->img->alloc, 1, &first, &got,
							  &fresh), 0);
	KUNIT_ASSERT_EQ(test, writer_write(w, 0, 1024), 0);
	writer_close(w);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	a = w->img->alloc;
	max = a->reg.max_bytes;
	a->reg.max_bytes = 0;
	KUNIT_EXPECT_EQ(test, writer_snapshot_apply(w, "one"), -EFBIG);
	KUNIT_EXPECT_NOT_NULL(test, strstr(w->base.msg.text, "memory"));
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	a->reg.max_bytes = max;
	KUNIT_EXPECT_EQ(test, writer_snapshot_apply(w, "one"), 0);
	memcpy(writer_top(w)->expect, w->o.before, writer_top(w)->size);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	KUNIT_EXPECT_EQ(test, writer_snapshot_delete(w, "one"), 0);
	writer_close(w);
	KUNIT_EXPECT_TRUE(test, checker_check(&w->o.k, writer_top(w)->m->store,
					      memfile_size(writer_top(w)->m)));
	KUNIT_EXPECT_EQ(test, w->o.k.leaks, w->o.leaks + XA_CHUNK_SIZE);
	writer_free(w);
}

/* --- A snapshot table that somebody else has changed --- */

/* The snapshots' L1 table lies there now, the file says; @known: so does the driver. */
static void say(struct writer *w, u64 host_offset, u32 entries, bool known)
{
	struct qcow_alloc *a = w->img->alloc;
	u8 *table = writer_top(w)->m->store + a->snapshots.host_offset;

	put_unaligned_be64(host_offset, table);
	put_unaligned_be32(entries, table + 8);
	if (known)
		a->snapshots.sum = qcow_snapshot_sum(a, table, a->snapshots.bytes);
}

static void expect_stale(struct kunit *test, u64 host_offset, u32 entries, bool known)
{
	struct writer *w = test->priv;

	say(w, host_offset, entries, known);
	KUNIT_EXPECT_EQ_MSG(test, writer_snapshot_delete(w, "one"), -EIO, "at %#llx",
			    host_offset);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(w->base.msg.text, "somebody else"), "%s",
				  w->base.msg.text);
	KUNIT_EXPECT_EQ_MSG(test, writer_snapshot_apply(w, "one"), -EIO, "at %#llx",
			    host_offset);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(w->base.msg.text, "somebody else"), "%s",
				  w->base.msg.text);
	KUNIT_EXPECT_FALSE(test, qcow_image_stopped(w->img));
}

static void snapshot_limit_changed(struct kunit *test)
{
	struct writer *w = test->priv;
	struct qcow_alloc *a;
	u64 l1_at, l2_at;
	u32 size;

	build(test, 9);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	KUNIT_ASSERT_EQ(test, writer_snapshot_create(w, "one"), 0);
	KUNIT_ASSERT_EQ(test, writer_snapshot_create(w, "two"), 0);
	writer_close(w);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	a = w->img->alloc;
	l1_at = get_unaligned_be64(writer_top(w)->m->store + a->snapshots.host_offset);
	size = w->img->l1_size;
	l2_at = w->img->l1[0] & QCOW_DISK_L1E_OFFSET_MASK;
	/* Another place, or size, than at the attach */
	expect_stale(test, a->l1.host_offset, size, false);
	expect_stale(test, l2_at, size, false);
	expect_stale(test, l1_at, size + 1, false);
	say(w, l1_at, size, false);
	writer_top(w)->m->store[a->snapshots.host_offset + ENTRY_BYTES] ^= 1;
	KUNIT_EXPECT_EQ(test, writer_snapshot_create(w, "three"), -EIO);
	writer_top(w)->m->store[a->snapshots.host_offset + ENTRY_BYTES] ^= 1;
	/* Where there is no L1 table of a snapshot, whatever the table says */
	expect_stale(test, a->l1.host_offset, size, true);
	expect_stale(test, l2_at, size, true);
	expect_stale(test, 0, size, true);
	expect_stale(test, l1_at, 3 * 512 / 8, true);
	expect_stale(test, round_down(memfile_size(writer_top(w)->m), 512) + (1 << 20), size, true);
	say(w, l1_at, size, true);
	KUNIT_EXPECT_EQ(test, writer_snapshot_delete(w, "one"), 0);
	KUNIT_EXPECT_EQ(test, writer_snapshot_delete(w, "two"), 0);
	writer_close(w);
	KUNIT_EXPECT_NULL(test, oracle_check_closed(&w->o));
	KUNIT_EXPECT_EQ(test, w->o.k.leaks, w->o.leaks);
	writer_free(w);
}

static struct kunit_case snapshot_limit_test_cases[] = {
	KUNIT_CASE(snapshot_limit_create),
	KUNIT_CASE(snapshot_limit_attach),
	KUNIT_CASE(snapshot_limit_apply),
	KUNIT_CASE(snapshot_limit_changed),
	{}
};

static struct kunit_suite snapshot_limit_suite = {
	.name = "qcow_snapshot_limit",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = snapshot_limit_test_cases,
};

kunit_test_suite(snapshot_limit_suite);
