// SPDX-License-Identifier: GPL-2.0
/*
 * Which devices share queues: of many devices those whose files lie on one filesystem with
 * a disk.
 */
#include <linux/fs.h>
#include <linux/magic.h>

#include "dev/queues.h"
#include "qtest.h"

/* Filesystems: two with a disk, one without */
#define FILESYSTEMS	3
#define NO_DISK		2

/* One more device than have queues of their own */
#define MANY	(QCOW_QUEUES_OWN + 1)

/**
 * struct queues_fixture - files that are only looked at
 * @sb: filesystems
 * @inode: a regular file on each
 * @file: that file, open
 */
struct queues_fixture {
	struct super_block sb[FILESYSTEMS];
	struct inode inode[FILESYSTEMS];
	struct file file[FILESYSTEMS];
};

static int queues_test_init(struct kunit *test)
{
	struct queues_fixture *x = kunit_kzalloc(test, sizeof(*x), GFP_KERNEL);
	u32 i;

	if (!x)
		return -ENOMEM;
	test->priv = x;
	for (i = 0; i < FILESYSTEMS; i++) {
		snprintf(x->sb[i].s_id, sizeof(x->sb[i].s_id), "kunit%u", i);
		x->sb[i].s_magic = EXT4_SUPER_MAGIC;
		x->sb[i].s_bdev = i == NO_DISK ? NULL : (struct block_device *)x;
		x->inode[i].i_mode = S_IFREG;
		x->inode[i].i_sb = &x->sb[i];
		x->file[i].f_inode = &x->inode[i];
	}
	return 0;
}

static struct qcow_queues *join(struct kunit *test, const struct qcow_source *sources,
				u32 nr_sources, u32 nr_devices)
{
	struct qcow_queues *q = qcow_queues_join("kunit", sources, nr_sources, nr_devices);

	KUNIT_ASSERT_NOT_NULL(test, q);
	return q;
}

/* A device with one file on filesystem @i, one of many devices */
static struct qcow_queues *join_one(struct kunit *test, u32 i)
{
	struct queues_fixture *x = test->priv;
	struct qcow_source source = { .file = &x->file[i] };

	return join(test, &source, 1, MANY);
}

static void leave(struct qcow_queues *q)
{
	qcow_queues_leave(q);
	qcow_queues_put(q);
}

/* Return: whether such a device, one of many, shares queues. */
static bool shares(struct kunit *test, const struct qcow_source *sources, u32 nr_sources)
{
	struct qcow_queues *q = join(test, sources, nr_sources, MANY);
	bool shared = q->sb;

	KUNIT_EXPECT_EQ(test, q->ctx.in_place_wq != q->ctx.wq, shared);
	leave(q);
	return shared;
}

/* The first devices have queues of their own, and later ones share: a set for each filesystem. */
static void queues_many(struct kunit *test)
{
	struct queues_fixture *x = test->priv;
	struct qcow_source source = { .file = &x->file[0] };
	struct qcow_queues *few[2], *many[3];
	u32 i;

	for (i = 0; i < 2; i++)
		few[i] = join(test, &source, 1, QCOW_QUEUES_OWN);
	many[0] = join_one(test, 0);
	many[1] = join_one(test, 0);
	many[2] = join_one(test, 1);
	KUNIT_EXPECT_PTR_NE(test, few[0], few[1]);
	KUNIT_EXPECT_PTR_NE(test, few[1], many[0]);
	KUNIT_EXPECT_PTR_EQ(test, many[0], many[1]);
	KUNIT_EXPECT_PTR_NE(test, many[1], many[2]);
	for (i = 0; i < 2; i++)
		leave(few[i]);
	for (i = 0; i < 3; i++)
		leave(many[i]);
}

/* All files have to lie on one filesystem with a disk, and be regular files. */
static void queues_files(struct kunit *test)
{
	struct queues_fixture *x = test->priv;
	struct qcow_source source = { .file = &x->file[0] };
	struct qcow_source chain[2] = { source, source };

	KUNIT_EXPECT_TRUE(test, shares(test, &source, 1));
	KUNIT_EXPECT_TRUE(test, shares(test, chain, 2));
	chain[1].file = &x->file[1];
	KUNIT_EXPECT_FALSE(test, shares(test, chain, 2));
	source.data_file = &x->file[0];
	KUNIT_EXPECT_TRUE(test, shares(test, &source, 1));
	source.data_file = &x->file[1];
	KUNIT_EXPECT_FALSE(test, shares(test, &source, 1));
	source.data_file = NULL;
	source.table = &x->file[0];
	KUNIT_EXPECT_FALSE(test, shares(test, &source, 1));
	source.table = NULL;
	source.file = &x->file[NO_DISK];
	KUNIT_EXPECT_FALSE(test, shares(test, &source, 1));
	source.file = &x->file[1];
	x->sb[1].s_magic = XFS_SUPER_MAGIC;
	KUNIT_EXPECT_TRUE(test, shares(test, &source, 1));
	x->sb[1].s_magic = FUSE_SUPER_MAGIC;
	KUNIT_EXPECT_FALSE(test, shares(test, &source, 1));
	x->inode[0].i_mode = S_IFBLK;
	source.file = &x->file[0];
	KUNIT_EXPECT_FALSE(test, shares(test, &source, 1));
}

/*
 * When the last device is about to close its files, the filesystem may go, and another one
 * may get its address. So later devices get other queues, while that device uses its own.
 */
static void queues_leave_last(struct kunit *test)
{
	struct qcow_queues *first = join_one(test, 0);
	struct qcow_queues *second = join_one(test, 0);
	struct qcow_queues *later;

	qcow_queues_leave(first);
	later = join_one(test, 0);
	KUNIT_EXPECT_PTR_EQ(test, later, second);
	leave(later);
	qcow_queues_leave(second);
	later = join_one(test, 0);
	KUNIT_EXPECT_PTR_NE(test, later, second);
	qcow_queues_put(first);
	/* It is there as long as one device uses it. */
	flush_workqueue(second->flush_wq);
	qcow_queues_put(second);
	leave(later);
}

/* Devices that share have one reserve for each size of clusters. */
static void queues_cow_mem(struct kunit *test)
{
	struct qcow_queues *q = join_one(test, 0);
	struct qcow_cow_mem *cow_mem[3];
	u32 i;

	for (i = 0; i < 3; i++) {
		cow_mem[i] = qcow_cow_mem_join(q->ctx.cow_mems, i < 2 ? 12 : 16);
		KUNIT_ASSERT_NOT_NULL(test, cow_mem[i]);
	}
	KUNIT_EXPECT_PTR_EQ(test, cow_mem[0], cow_mem[1]);
	KUNIT_EXPECT_PTR_NE(test, cow_mem[1], cow_mem[2]);
	KUNIT_EXPECT_EQ(test, cow_mem[2]->bytes, 2 << 16);
	for (i = 0; i < 3; i++)
		qcow_cow_mem_leave(cow_mem[i]);
	KUNIT_EXPECT_TRUE(test, list_empty(&q->cow_mems.list));
	leave(q);
}

static struct kunit_case queues_test_cases[] = {
	KUNIT_CASE(queues_many),
	KUNIT_CASE(queues_files),
	KUNIT_CASE(queues_leave_last),
	KUNIT_CASE(queues_cow_mem),
	{ }
};

static struct kunit_suite queues_suite = {
	.name = "qcow_queues",
	.init = queues_test_init,
	.test_cases = queues_test_cases,
};

kunit_test_suite(queues_suite);
