// SPDX-License-Identifier: GPL-2.0
/*
 * A write to a new cluster, and one beside it that goes in place meanwhile.
 */
#include <linux/delay.h>
#include <linux/mempool.h>

#include "meta/alloc.h"
#include "writer.h"

#define SECTOR		512
#define CLUSTER_BITS	12
#define WRITES		4

/*
 * The data lies in another file, and of the L2 table, which is the image's own, only
 * the flag is missing.
 */
static void build(struct kunit *test)
{
	struct rnd_state rnd = qtest_rnd(77000);
	struct writer *w = test->priv;
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = CLUSTER_BITS,
		.tidy = true,
		.kinds = BUILDER_DATA,
		.size = 3 << CLUSTER_BITS,
		.data_file = true,
		.writable = true,
		.order = 4,
		.room = 1 << 20,
	};
	struct builder_image *b;

	KUNIT_ASSERT_EQ(test, builder_build(w->base.c, &spec, 1, &rnd), 0);
	b = writer_top(w);
	/* COPIED is the first bit. */
	KUNIT_ASSERT_EQ(test, b->m->store[b->clusters[0].l1_at] & 0x80, 0x80);
	b->m->store[b->clusters[0].l1_at] &= 0x7f;
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
}

/* COW data that the first write has read is not put back over the second write. */
static void cow_beside(struct kunit *test)
{
	struct memfile_mode slow = { .sleep_ms = 300 }, plain = { };
	struct writer *w = test->priv;

	build(test);
	memfile_set_mode(writer_top(w)->data_m, &slow);
	writer_submit(w, 0, 6 * SECTOR, SECTOR, true, NULL);
	/* By now it has read the cluster before its sector, and reads the rest. */
	msleep(450);
	writer_submit(w, 1, SECTOR, SECTOR, false, NULL);
	KUNIT_EXPECT_EQ(test, writer_wait(w, 1), 0);
	KUNIT_EXPECT_EQ(test, writer_wait(w, 0), 0);
	memfile_set_mode(writer_top(w)->data_m, &plain);
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	KUNIT_EXPECT_TRUE(test, w->img->l1[0] & QCOW_DISK_E_COPIED);
	writer_close(w);
	writer_free(w);
}

/* --- Memory for COW --- */

static void *no_memory(gfp_t gfp, void *data)
{
	return NULL;
}

/* Writes whose COW reads from the backing file, which is slow. */
static void build_overlay(struct kunit *test)
{
	struct memfile_mode slow = { .sleep_ms = 50 };
	struct rnd_state rnd = qtest_rnd(77001);
	struct writer *w = test->priv;
	struct builder_spec specs[2];

	writer_overlay_specs(specs, CLUSTER_BITS, WRITES);
	KUNIT_ASSERT_EQ(test, builder_build(w->base.c, specs, 2, &rnd), 0);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	memfile_set_mode(w->base.c->img[1].m, &slow);
}

/* One element in reserve serves all writes, in turn, while there is no other memory. */
static void cow_reserve(struct kunit *test)
{
	struct writer *w = test->priv;
	mempool_alloc_t *alloc;
	mempool_t *around;
	int verdict;
	u32 i;

	build_overlay(test);
	around = w->img->alloc->cow_mem->pool;
	alloc = around->alloc;
	around->alloc = no_memory;
	for (i = 0; i < WRITES; i++)
		writer_submit(w, i, (i << CLUSTER_BITS) + SECTOR, SECTOR, true, NULL);
	for (i = 0; i < WRITES; i++) {
		verdict = writer_wait(w, i);
		KUNIT_EXPECT_EQ_MSG(test, verdict, 0, "write %u", i);
		/* A write that hangs gets memory, or the test could not end. */
		if (verdict == READER_HANG) {
			around->alloc = alloc;
			KUNIT_EXPECT_EQ(test, writer_wait(w, i), 0);
		}
	}
	around->alloc = alloc;
	KUNIT_EXPECT_EQ(test, writer_read_back(w), 0);
	writer_close(w);
	writer_free(w);
}

static struct kunit_case cow_test_cases[] = { KUNIT_CASE(cow_beside),
					      KUNIT_CASE(cow_reserve),
					      {} };

static struct kunit_suite cow_suite = {
	.name = "qcow_cow",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = cow_test_cases,
};

kunit_test_suite(cow_suite);
