// SPDX-License-Identifier: GPL-2.0
/*
 * Dropping the references of an L1 table that has more of them than there can be: an L1
 * table of a snapshot may name the same L2 table as often as it likes.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "meta/alloc.h"
#include "meta/refcount.h"
#include "meta/tree.h"
#include "writer.h"

#define MANY	BIT(22)

/* Gives each cluster of the file the refcount @value. */
static int share_all(struct qcow_alloc *a, u64 value)
{
	u64 nr = a->img->file.size >> qcow_alloc_cluster_bits(a), i;
	int err = 0;

	mutex_lock(&a->lock);
	for (i = 0; !err && i < nr; i++)
		err = __qcow_refcount_set(a, i, value);
	mutex_unlock(&a->lock);
	return err;
}

static void build(struct kunit *test)
{
	struct rnd_state rnd = qtest_rnd(75000);
	struct writer *w = test->priv;
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = 9,
		.tidy = true,
		.kinds = BUILDER_DATA,
		.size = 64 << 9,
		.writable = true,
		.order = 6,
		.room = 4 << 20,
	};

	KUNIT_ASSERT_EQ(test, writer_build(w, &spec, 1, &rnd), 0);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	KUNIT_ASSERT_EQ(test, share_all(w->img->alloc, 1ULL << 40), 0);
}

/* Return: how often it was dropped. */
static u64 lower_many(struct kunit *test, u64 *l1)
{
	struct qcow_alloc *a = ((struct writer *)test->priv)->img->alloc;
	u64 table = a->img->l1[0] & QCOW_DISK_L1E_OFFSET_MASK, value = 0;
	ktime_t start = ktime_get();
	u32 i;

	KUNIT_ASSERT_NE(test, table, 0);
	for (i = 0; i < MANY; i++)
		l1[i] = table;
	qcow_tree_lower(a, l1, MANY);
	KUNIT_EXPECT_LT(test, ktime_ms_delta(ktime_get(), start), 5000);
	KUNIT_EXPECT_EQ(test, qcow_refcount_get(a, table >> 9, &value), 0);
	return (1ULL << 40) - value;
}

static void tree_lower(struct kunit *test)
{
	struct writer *w = test->priv;
	u64 *l1 = kvcalloc(MANY, sizeof(*l1), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, l1);
	build(test);
	/* Somebody detaches the device. */
	set_bit(QCOW_ENDING_LEAVING, &w->base.r->ending);
	KUNIT_EXPECT_GT(test, lower_many(test, l1), 0ULL);
	KUNIT_ASSERT_EQ(test, share_all(w->img->alloc, 1ULL << 40), 0);
	/* It is damaged. */
	reader_silence(w->img);
	set_bit(QCOW_IMAGE_STOPPED, &w->img->flags);
	KUNIT_EXPECT_EQ(test, lower_many(test, l1), 0ULL);
	writer_close(w);
	kvfree(l1);
}

static struct kunit_case tree_test_cases[] = {
	KUNIT_CASE(tree_lower),
	{ }
};

static struct kunit_suite tree_suite = {
	.name = "qcow_tree",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = tree_test_cases,
};

kunit_test_suite(tree_suite);
