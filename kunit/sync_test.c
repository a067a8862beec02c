// SPDX-License-Identifier: GPL-2.0
/*
 * Syncs of a raw image whose file grows or is cut while one is under way.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/workqueue.h>

#include "data/write.h"
#include "file/space.h"
#include "meta/fmt.h"
#include "writer.h"

#define SIZE		(64U << 10)

/* Longer than anything that the tests wait for takes, in jiffies. */
#define LIMIT		(20 * HZ)

/**
 * struct flush - a flush of the disk in a task of its own
 * @work: the task
 * @img: the image
 * @ended: it has ended
 * @err: its result
 */
struct flush {
	struct work_struct work;
	struct qcow_image *img;
	struct completion ended;
	int err;
};

static void flush_work_fn(struct work_struct *work)
{
	struct flush *f = container_of(work, struct flush, work);

	f->err = qcow_write_flush(f->img);
	complete(&f->ended);
}

static void flush_start(struct flush *f, struct qcow_image *img)
{
	f->img = img;
	init_completion(&f->ended);
	INIT_WORK_ONSTACK(&f->work, flush_work_fn);
	queue_work(qtest_flush_wq, &f->work);
}

static void flush_end(struct flush *f)
{
	flush_work(&f->work);
	destroy_work_on_stack(&f->work);
}

/* Return: whether the file's first sync is under way. */
static bool sync_began(const struct memfile *m)
{
	unsigned long end = jiffies + LIMIT;

	while (!atomic_read(&m->syncs) && time_before(jiffies, end))
		msleep(20);
	return atomic_read(&m->syncs) == 1;
}

static struct memfile *open_raw(struct kunit *test, const struct memfile_mode *mode)
{
	struct builder_spec spec = { .raw = true, .size = SIZE, .writable = true };
	struct rnd_state rnd = qtest_rnd(56000);
	struct writer *w = test->priv;
	struct memfile *m;

	KUNIT_ASSERT_EQ(test, builder_build(w->base.c, &spec, 1, &rnd), 0);
	m = writer_top(w)->m;
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	memfile_set_mode(m, mode);
	return m;
}

/*
 * The file tells one sync of a failed write-back. Another flush that began meanwhile
 * does not promise that all is durable.
 */
static void sync_beside_failed(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct memfile_mode mode = {
		.fail_ops = MEMFILE_SYNC, .fail_at = 1, .sync_gate = &gate,
	};
	struct writer *w = test->priv;
	struct flush first, second;
	struct memfile *m;

	m = open_raw(test, &mode);
	KUNIT_EXPECT_EQ(test, writer_write(w, 0, 4096), 0);
	flush_start(&first, w->img);
	KUNIT_EXPECT_TRUE(test, sync_began(m));
	flush_start(&second, w->img);
	KUNIT_EXPECT_EQ(test, wait_for_completion_timeout(&second.ended, HZ / 5), 0);
	complete_all(&gate);
	flush_end(&first);
	flush_end(&second);
	KUNIT_EXPECT_EQ(test, first.err, -EIO);
	KUNIT_EXPECT_EQ(test, second.err, -EIO);
	writer_close(w);
	builder_free(w->base.c);
}

/*
 * The file was longer when the sync began. When it ends, the part that was cut off
 * meanwhile is not taken for lost: it reads as zeros.
 */
static void sync_beside_truncate(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(gate);
	struct memfile_mode mode = { .sync_gate = &gate };
	struct writer *w = test->priv;
	struct memfile *m;
	struct flush f;
	u8 *buf;

	buf = kunit_kzalloc(test, 4096, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, buf);
	m = open_raw(test, &mode);
	memfile_set_size(m, 2 * SIZE);
	flush_start(&f, w->img);
	KUNIT_EXPECT_TRUE(test, sync_began(m));
	KUNIT_EXPECT_EQ(test, qcow_space_truncate(&w->img->file, SIZE / 2), 0);
	complete_all(&gate);
	flush_end(&f);
	KUNIT_EXPECT_EQ(test, f.err, 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->img->file.end), SIZE / 2);
	KUNIT_EXPECT_FALSE(test, qcow_file_shrunk(&w->img->file));
	KUNIT_EXPECT_EQ(test, qcow_file_pread(&w->img->file, SIZE / 2, buf, 4096), 0);
	writer_close(w);
	builder_free(w->base.c);
}

static struct kunit_case sync_test_cases[] = {
	KUNIT_CASE(sync_beside_failed),
	KUNIT_CASE(sync_beside_truncate),
	{ }
};

static struct kunit_suite sync_suite = {
	.name = "qcow_sync",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = sync_test_cases,
};

kunit_test_suite(sync_suite);
