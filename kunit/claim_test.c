// SPDX-License-Identifier: GPL-2.0
/*
 * Claims of regular files: either one device has a file, and may write it, or several
 * devices have it, and only read it.
 */
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/string.h>

#include "file/claim.h"
#include "memfile.h"
#include "qtest.h"

/**
 * struct claim_fixture - two files, and the first one opened twice
 * @m: the files
 * @again: the first file, opened once more
 */
struct claim_fixture {
	struct memfile *m[2];
	struct file *again;
};

static int claim_test_init(struct kunit *test)
{
	struct claim_fixture *x = kunit_kzalloc(test, sizeof(*x), GFP_KERNEL);

	if (!x)
		return -ENOMEM;
	test->priv = x;
	x->m[0] = memfile_create();
	x->m[1] = memfile_create();
	if (!x->m[0] || !x->m[1])
		return -ENOMEM;
	x->again = dentry_open(&x->m[0]->file->f_path, O_RDONLY, current_cred());
	return PTR_ERR_OR_ZERO(x->again);
}

static void claim_test_exit(struct kunit *test)
{
	struct claim_fixture *x = test->priv;

	if (!x)
		return;
	if (!IS_ERR_OR_NULL(x->again))
		__fput_sync(x->again);
	memfile_destroy(x->m[0]);
	memfile_destroy(x->m[1]);
}

static int take(struct qcow_claim *c, const struct file *file, const char *device,
		bool write, const struct qcow_claim *instead)
{
	struct qcow_msg msg = { };
	int err;

	memset(c, 0, sizeof(*c));
	err = qcow_claim_take(c, file, device, write, instead, &msg);
	/* The message names the device that has it. */
	if (err == -EBUSY && !strstr(msg.text, "/dev/first"))
		return -EINVAL;
	return err;
}

static void claim_files(struct kunit *test)
{
	struct claim_fixture *x = test->priv;
	struct qcow_claim first, second, other;
	u32 i;

	for (i = 0; i < 4; i++) {
		bool write[2] = { i & 1, i & 2 };

		KUNIT_ASSERT_EQ(test, take(&first, x->m[0]->file, "first", write[0], NULL), 0);
		KUNIT_EXPECT_EQ(test, take(&second, x->again, "second", write[1], NULL),
				write[0] || write[1] ? -EBUSY : 0);
		KUNIT_EXPECT_EQ(test, take(&other, x->m[1]->file, "second", write[1], NULL), 0);
		qcow_claim_drop(&other);
		qcow_claim_drop(&second);
		qcow_claim_drop(&first);
		/* Nothing is left of it. */
		KUNIT_EXPECT_EQ(test, take(&second, x->again, "second", true, NULL), 0);
		qcow_claim_drop(&second);
	}
}

/* A reader becomes the writer, which others that read prevent, and a reader again. */
static void claim_instead(struct kunit *test)
{
	struct claim_fixture *x = test->priv;
	struct qcow_claim first, second, writer;

	KUNIT_ASSERT_EQ(test, take(&second, x->m[0]->file, "second", false, NULL), 0);
	KUNIT_ASSERT_EQ(test, take(&first, x->m[0]->file, "first", false, NULL), 0);
	KUNIT_EXPECT_EQ(test, take(&writer, x->again, "second", true, &second), -EBUSY);
	qcow_claim_drop(&first);
	KUNIT_ASSERT_EQ(test, take(&writer, x->again, "first", true, &second), 0);
	qcow_claim_drop(&second);
	KUNIT_EXPECT_EQ(test, take(&second, x->m[0]->file, "second", false, NULL), -EBUSY);
	KUNIT_EXPECT_EQ(test, take(&first, x->m[0]->file, "first", false, &writer), 0);
	qcow_claim_drop(&writer);
	KUNIT_EXPECT_EQ(test, take(&second, x->m[0]->file, "second", false, NULL), 0);
	qcow_claim_drop(&second);
	qcow_claim_drop(&first);
}

static struct kunit_case claim_test_cases[] = {
	KUNIT_CASE(claim_files),
	KUNIT_CASE(claim_instead),
	{ }
};

static struct kunit_suite claim_suite = {
	.name = "qcow_claim",
	.init = claim_test_init,
	.exit = claim_test_exit,
	.test_cases = claim_test_cases,
};

kunit_test_suite(claim_suite);
