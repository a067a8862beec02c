// SPDX-License-Identifier: GPL-2.0
/*
 * Requests of the block layer that lack space for their data, or memory.
 */
#include <linux/bio.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/slab.h>

#include "compat/compat_blk.h"
#include "dev/cmd.h"
#include "dev/device_limits.h"
#include "meta/alloc.h"
#include "meta/flush.h"
#include "meta/release.h"
#include "fault.h"
#include "writer.h"

#define SECTOR		512
#define CLUSTERS	64
#define BIOS		2

/* Longer than anything that the test waits for takes, in jiffies. */
#define LIMIT		(10 * HZ)

/**
 * struct cmd_disk - a disk whose requests are served from an image
 * @set: its tags
 * @disk: the disk
 * @target: where its requests are served from
 * @page: the written data
 * @bio: one request
 * @bvec: its pieces
 * @left: bios of it that have not ended
 * @ended: all have
 */
struct cmd_disk {
	struct blk_mq_tag_set set;
	struct gendisk *disk;
	struct qcow_target target;
	struct page *page;
	struct bio bio[BIOS];
	struct bio_vec bvec[BIOS];
	atomic_t left;
	struct completion ended;
};

static const struct block_device_operations disk_ops = { };

static int disk_create(struct cmd_disk *d, struct writer *w)
{
	struct queue_limits limits = {
		.logical_block_size = SECTOR,
		.physical_block_size = SECTOR,
		.io_min = SECTOR,
		.dma_alignment = SECTOR - 1,
		.max_hw_sectors = BLK_SAFE_MAX_SECTORS,
		.max_segments = BLK_MAX_SEGMENTS,
		.max_segment_size = BLK_MAX_SEGMENT_SIZE,
	};
	struct blk_mq_tag_set *set = &d->set;
	int err;

	d->target = (struct qcow_target){
		.image = w->img,
		.sectors = w->img->size / SECTOR,
		.flush_wq = qtest_flush_wq,
		.stats = qcow_stats_alloc(),
	};
	d->page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!d->page || !d->target.stats)
		return -ENOMEM;
	set->ops = &qcow_cmd_mq_ops;
	set->nr_hw_queues = 1;
	set->queue_depth = 4;
	set->numa_node = NUMA_NO_NODE;
	set->cmd_size = sizeof(struct qcow_cmd);
	set->flags = BLK_MQ_F_BLOCKING | BLK_MQ_F_NO_SCHED_BY_DEFAULT |
		     QCOW_COMPAT_MQ_MERGE;
	err = blk_mq_alloc_tag_set(set);
	if (err)
		return err;
	d->disk = qcow_compat_alloc_disk(set, &limits, &d->target, false, false);
	if (IS_ERR(d->disk))
		return PTR_ERR(d->disk);
	d->disk->fops = &disk_ops;
	set_capacity(d->disk, d->target.sectors);
	return 0;
}

static void disk_destroy(struct cmd_disk *d)
{
	if (!IS_ERR_OR_NULL(d->disk))
		put_disk(d->disk);
	if (d->set.tags)
		blk_mq_free_tag_set(&d->set);
	free_percpu(d->target.stats);
	if (d->page)
		__free_page(d->page);
}

static void bio_ended(struct bio *bio)
{
	struct cmd_disk *d = bio->bi_private;

	if (atomic_dec_and_test(&d->left))
		complete(&d->ended);
}

/* A write of all bios, which are merged to one request: a page each, from 0 on. */
static void disk_write(struct cmd_disk *d)
{
	struct blk_plug plug;
	u32 i;

	init_completion(&d->ended);
	atomic_set(&d->left, BIOS);
	blk_start_plug(&plug);
	for (i = 0; i < BIOS; i++) {
		struct bio *bio = &d->bio[i];

		bio_init(bio, d->disk->part0, &d->bvec[i], 1, REQ_OP_WRITE);
		bio->bi_iter.bi_sector = i * PAGE_SIZE / SECTOR;
		bio->bi_end_io = bio_ended;
		bio->bi_private = d;
		__bio_add_page(bio, d->page, PAGE_SIZE, 0);
		submit_bio(bio);
	}
	blk_finish_plug(&plug);
}

static bool count_waiting(struct request *rq, void *arg)
{
	struct qcow_cmd *cmd = blk_mq_rq_to_pdu(rq);
	u32 *nr = arg;

	*nr += READ_ONCE(cmd->retry_limited);
	return true;
}

static bool end_patience(struct request *rq, void *arg)
{
	struct qcow_cmd *cmd = blk_mq_rq_to_pdu(rq);

	WRITE_ONCE(cmd->retry_until, jiffies - 1);
	return true;
}

/* Return: how many requests are tried again. */
static u32 waiting(struct cmd_disk *d)
{
	unsigned long end = jiffies + LIMIT;
	u32 nr = 0;

	while (!nr && time_before(jiffies, end)) {
		msleep(20);
		blk_mq_tagset_busy_iter(&d->set, count_waiting, &nr);
	}
	return nr;
}

/* No cluster of the image is free, and none becomes it before the epoch's I/O ends. */
static u8 fill_up(struct kunit *test)
{
	struct rnd_state rnd = qtest_rnd(57000);
	struct writer *w = test->priv;
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = 9,
		.kinds = BUILDER_HOLE,
		.size = CLUSTERS * SECTOR,
		.writable = true,
		.order = 4,
		.room = 256 << 10,
	};
	u32 guest_offset = (CLUSTERS - 8) * SECTOR;
	struct qcow_alloc *a;
	u8 epoch;

	KUNIT_ASSERT_EQ(test, writer_build(w, &spec, 1, &rnd), 0);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
	a = w->img->alloc;
	KUNIT_EXPECT_EQ(test, writer_write(w, guest_offset, 8 * SECTOR), 0);
	KUNIT_EXPECT_EQ(test, writer_flush(w), 0);
	epoch = qcow_inflight_begin(&a->inflight);
	writer_submit_zero(w, 0, guest_offset, 8 * SECTOR, QCOW_OP_DISCARD);
	KUNIT_EXPECT_EQ(test, writer_wait(w, 0), 0);
	KUNIT_EXPECT_EQ(test, qcow_flush(a), 0);
	qcow_alloc_return_pool(a);
	a->search.limit = a->search.hint;
	KUNIT_EXPECT_TRUE(test, qcow_release_pending(a));
	return epoch;
}

/*
 * A write that lacks space waits for rounds of reclaim, half a minute at most: all of
 * its bios together, not each of them.
 */
static void cmd_space_limit(struct kunit *test)
{
	struct cmd_disk *d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);
	struct writer *w = test->priv;
	u8 epoch;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, d);
	epoch = fill_up(test);
	KUNIT_EXPECT_EQ(test, disk_create(d, w), 0);
	if (!IS_ERR_OR_NULL(d->disk)) {
		disk_write(d);
		KUNIT_EXPECT_EQ(test, waiting(d), 1);
		KUNIT_EXPECT_EQ(test, atomic_read(&d->left), BIOS);
		blk_mq_tagset_busy_iter(&d->set, end_patience, NULL);
		KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&d->ended, LIMIT), 0);
	}
	qcow_inflight_end(&w->img->alloc->inflight, epoch);
	if (!IS_ERR_OR_NULL(d->disk) && atomic_read(&d->left))
		wait_for_completion(&d->ended);
	else
		for (i = 0; i < BIOS; i++)
			KUNIT_EXPECT_EQ(test, d->bio[i].bi_status, BLK_STS_NOSPC);
	disk_destroy(d);
	writer_close(w);
	writer_free(w);
}

/**
 * struct cmd_freeze - a freeze of a disk's queue, as a job does it
 * @work: does it
 * @d: the disk
 * @done: the queue was frozen and thawed
 */
struct cmd_freeze {
	struct work_struct work;
	struct cmd_disk *d;
	struct completion done;
};

static void freeze_work(struct work_struct *work)
{
	struct cmd_freeze *f = container_of(work, struct cmd_freeze, work);
	unsigned int flags;

	qcow_cmd_settle(&f->d->target);
	flags = qcow_compat_freeze(f->d->disk->queue);
	qcow_compat_unfreeze(f->d->disk->queue, flags);
	complete(&f->done);
}

static int disk_read(struct cmd_disk *d, struct page *page)
{
	struct bio_vec bvec;
	struct bio bio;
	int err;

	bio_init(&bio, d->disk->part0, &bvec, 1, REQ_OP_READ);
	__bio_add_page(&bio, page, SECTOR, 0);
	err = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return err;
}

/* Reads go on while a job waits for a write that lacks space. */
static void cmd_space_settle(struct kunit *test)
{
	struct cmd_disk *d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);
	struct page *page = alloc_page(GFP_KERNEL);
	struct writer *w = test->priv;
	struct cmd_freeze f = { .d = d };
	u8 epoch;

	KUNIT_ASSERT_NOT_NULL(test, d);
	KUNIT_ASSERT_NOT_NULL(test, page);
	epoch = fill_up(test);
	KUNIT_ASSERT_EQ(test, disk_create(d, w), 0);
	disk_write(d);
	KUNIT_EXPECT_EQ(test, waiting(d), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&d->target.lacking), 1);
	init_completion(&f.done);
	INIT_WORK_ONSTACK(&f.work, freeze_work);
	queue_work(system_unbound_wq, &f.work);
	msleep(100);
	KUNIT_EXPECT_EQ(test, disk_read(d, page), 0);
	KUNIT_EXPECT_FALSE(test, completion_done(&f.done));
	set_bit(QCOW_ENDING_INTERRUPTED, &w->base.r->ending);
	qcow_cmd_settle(&d->target);
	clear_bit(QCOW_ENDING_INTERRUPTED, &w->base.r->ending);
	blk_mq_tagset_busy_iter(&d->set, end_patience, NULL);
	wait_for_completion(&d->ended);
	KUNIT_EXPECT_EQ(test, atomic_read(&d->target.lacking), 0);
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&f.done, LIMIT), 0);
	flush_work(&f.work);
	destroy_work_on_stack(&f.work);
	qcow_inflight_end(&w->img->alloc->inflight, epoch);
	disk_destroy(d);
	__free_page(page);
	writer_close(w);
	writer_free(w);
}

/* --- Memory --- */

/* None of the image's tables is in memory. */
static void build_cold(struct kunit *test)
{
	struct rnd_state rnd = qtest_rnd(57001);
	struct writer *w = test->priv;
	struct builder_spec spec = {
		.version = 3,
		.cluster_bits = 9,
		.kinds = BUILDER_DATA,
		.size = CLUSTERS * SECTOR,
		.writable = true,
		.order = 4,
		.room = 256 << 10,
	};

	KUNIT_ASSERT_EQ(test, writer_build(w, &spec, 1, &rnd), 0);
	KUNIT_ASSERT_EQ(test, writer_open(w), 0);
}

/*
 * A write for which there is no memory waits. With memory it succeeds; if none comes, it
 * fails in the end.
 */
static void cmd_memory(struct kunit *test)
{
	struct cmd_disk *d = kunit_kzalloc(test, sizeof(*d), GFP_KERNEL);
	struct writer *w = test->priv;
	u32 round, nr, left, i;
	bool in_time;

	KUNIT_ASSERT_NOT_NULL(test, d);
	if (!fault_begin())
		kunit_skip(test, "the kernel injects no faults");
	build_cold(test);
	KUNIT_ASSERT_EQ(test, disk_create(d, w), 0);
	for (round = 0; round < 2; round++) {
		fault_starve(true);
		disk_write(d);
		nr = waiting(d);
		left = atomic_read(&d->left);
		if (round)
			fault_feed();
		else
			blk_mq_tagset_busy_iter(&d->set, end_patience, NULL);
		in_time = wait_for_completion_timeout(&d->ended, LIMIT);
		fault_feed();
		KUNIT_EXPECT_TRUE(test, in_time);
		KUNIT_EXPECT_EQ(test, nr, 1);
		KUNIT_EXPECT_EQ(test, left, BIOS);
		for (i = 0; i < BIOS; i++)
			KUNIT_EXPECT_EQ(test, d->bio[i].bi_status,
					round ? BLK_STS_OK : BLK_STS_RESOURCE);
	}
	fault_end();
	disk_destroy(d);
	writer_close(w);
	writer_free(w);
}

/* --- Tags --- */

/* Hardware queues and requests that a device gets. */
static const struct {
	u32 nr, cpus, queues, depth;
} tag_cases[] = {
	{ 1, 1, 1, 128 },
	{ 1, 2, 2, 128 },
	{ 32, 2, 2, 128 },
	{ 33, 2, 2, 32 },
	{ 1, 64, 64, 128 },
	{ 2, 64, 32, 128 },
	{ 64, 64, 2, 32 },
	{ 65, 64, 2, 32 },
	{ 1000, 64, 2, 32 },
	{ 1, 256, 256, 128 },
	{ 1000, 1, 1, 32 },
};

/* The last of many devices have few requests, so that a thousand devices fit. */
static void cmd_tags(struct kunit *test)
{
	struct blk_mq_tag_set set = { };
	u32 i;

	for (i = 0; i < ARRAY_SIZE(tag_cases); i++) {
		qcow_device_limit_tags(&set, tag_cases[i].nr, tag_cases[i].cpus);
		KUNIT_EXPECT_EQ(test, set.nr_hw_queues, tag_cases[i].queues);
		KUNIT_EXPECT_EQ(test, set.queue_depth, tag_cases[i].depth);
	}
}

static struct kunit_case cmd_test_cases[] = {
	KUNIT_CASE(cmd_tags),
	KUNIT_CASE(cmd_memory),
	KUNIT_CASE(cmd_space_limit),
	KUNIT_CASE(cmd_space_settle),
	{ }
};

static struct kunit_suite cmd_suite = {
	.name = "qcow_cmd",
	.init = writer_test_init,
	.exit = writer_test_exit,
	.test_cases = cmd_test_cases,
};

kunit_test_suite(cmd_suite);
