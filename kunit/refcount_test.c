// SPDX-License-Identifier: GPL-2.0
/*
 * Refcounts of every width, against bits taken one by one.
 */
#include <linux/slab.h>

#include "checker.h"
#include "ondisk/entry.h"
#include "qtest.h"

#define BLOCK		512
#define ROUNDS		2000

static const u32 orders[] = { 0, 1, 2, 3, 4, 5, 6 };

static void order_desc(const u32 *order, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u bits", 1U << *order);
}

KUNIT_ARRAY_PARAM(order, orders, order_desc);

struct refcount_fixture {
	u32 order;
	u32 nr;
	u64 max;
	u8 block[BLOCK];
	u8 expect[BLOCK];
};

static int refcount_test_init(struct kunit *test)
{
	struct refcount_fixture *x = kunit_kzalloc(test, sizeof(*x), GFP_KERNEL);

	if (!x)
		return -ENOMEM;
	test->priv = x;
	if (!test->param_value)
		return 0;
	x->order = *(const u32 *)test->param_value;
	x->nr = (BLOCK * 8) >> x->order;
	x->max = x->order == 6 ? U64_MAX : (1ULL << (1U << x->order)) - 1;
	return 0;
}

static void refcount_max(struct kunit *test)
{
	struct refcount_fixture *x = test->priv;

	KUNIT_EXPECT_EQ(test, qcow_entry_refcount_max(x->order), x->max);
}

/* Every place of a block, whatever is in it. */
static void refcount_get(struct kunit *test)
{
	struct refcount_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(9000 + x->order);
	u32 i;

	prandom_bytes_state(&rnd, x->block, BLOCK);
	for (i = 0; i < x->nr; i++)
		if (qcow_entry_refcount(x->block, x->order, i) !=
		    checker_get_bits(x->block, x->order, i))
			KUNIT_FAIL(test, "refcount %u", i);
}

/* Sets one. Return: whether that, and nothing else, was changed. */
static bool set_one(struct refcount_fixture *x, u32 i, u64 value)
{
	qcow_entry_set_refcount(x->block, x->order, i, value);
	checker_put_bits(x->expect, x->order, i, value);
	return !memcmp(x->block, x->expect, BLOCK) &&
	       qcow_entry_refcount(x->block, x->order, i) == value;
}

/* Largest, zero and one, over zeros and over ones. */
static void refcount_put(struct kunit *test)
{
	struct refcount_fixture *x = test->priv;
	u64 values[] = { x->max, 0, 1 & x->max, x->max - 1, x->max / 2 + 1 };
	u32 fill, v, i;

	for (fill = 0; fill < 2; fill++) {
		memset(x->block, fill ? 0xff : 0, BLOCK);
		memset(x->expect, fill ? 0xff : 0, BLOCK);
		for (v = 0; v < ARRAY_SIZE(values); v++)
			for (i = 0; i < x->nr; i++)
				if (!set_one(x, i, values[v]))
					KUNIT_FAIL(test, "refcount %u, value %#llx",
						   i, values[v]);
	}
}

static void refcount_random(struct kunit *test)
{
	struct refcount_fixture *x = test->priv;
	struct rnd_state rnd = qtest_rnd(9100 + x->order);
	u64 value;
	u32 n, i;

	prandom_bytes_state(&rnd, x->block, BLOCK);
	memcpy(x->expect, x->block, BLOCK);
	for (n = 0; n < ROUNDS; n++) {
		i = qtest_below(&rnd, x->nr);
		value = qtest_u64(&rnd) & x->max;
		if (!set_one(x, i, value))
			KUNIT_FAIL(test, "refcount %u, value %#llx", i, value);
	}
}

static struct kunit_case refcount_test_cases[] = {
	KUNIT_CASE_PARAM(refcount_max, order_gen_params),
	KUNIT_CASE_PARAM(refcount_get, order_gen_params),
	KUNIT_CASE_PARAM(refcount_put, order_gen_params),
	KUNIT_CASE_PARAM(refcount_random, order_gen_params),
	{ }
};

static struct kunit_suite refcount_suite = {
	.name = "qcow_refcount",
	.init = refcount_test_init,
	.test_cases = refcount_test_cases,
};

kunit_test_suite(refcount_suite);
