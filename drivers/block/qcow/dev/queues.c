// SPDX-License-Identifier: GPL-2.0
/*
 * The work queues of devices, and reserves for when memory is short. device_target.c calls
 * this.
 *
 * Each queue has a thread, and memory for each CPU. So if there are many devices they
 * share queues, those whose files lie on one filesystem. Documentation/locking.rst says why
 * these do not wait for each other ("Queues that devices share").
 */
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "data/io.h"
#include "dev/queues.h"

/*
 * Clusters for each CPU that are read and decompressed at a time: while some wait for the
 * disk, others keep the CPU busy. And the fewest for devices that share: some of them may be
 * held up by a limit of their control group.
 */
#define QUEUES_COMP		4
#define QUEUES_COMP_SHARED	64U

/* Those that devices may join */
static LIST_HEAD(shared_queues);
/* Protects that list, and the counts of devices and users of all queues. */
static DEFINE_MUTEX(queues_lock);

static void queue_free(struct workqueue_struct *wq)
{
	if (wq)
		destroy_workqueue(wq);
}

/* Waits for work items whose I/O has ended to return from their function. */
static void queues_free(struct qcow_queues *q)
{
	queue_free(q->ctx.write_wq);
	if (q->ctx.in_place_wq != q->ctx.wq)
		queue_free(q->ctx.in_place_wq);
	queue_free(q->ctx.wq);
	queue_free(q->comp_wq);
	queue_free(q->flush_wq);
	mempool_destroy(q->ctx.subreqs);
	kfree(q);
}

static struct workqueue_struct *queue_alloc(const char *of, const char *what, int most)
{
	return alloc_workqueue("%s%s", WQ_UNBOUND | WQ_MEM_RECLAIM, most, of, what);
}

static int queues_comp_width(const struct qcow_queues *q)
{
	u32 width = num_online_cpus() * QUEUES_COMP;

	return clamp(width, q->sb ? QUEUES_COMP_SHARED : 1U, (u32)WQ_MAX_ACTIVE);
}

/*
 * A device's own writes in place share the queue of its reads, which they cannot use up.
 * Those of many devices could, while a freeze of the filesystem holds them up.
 */
static bool queues_alloc_wqs(struct qcow_queues *q, const char *of)
{
	struct qcow_io_ctx *ctx = &q->ctx;
	int most = q->sb ? WQ_MAX_ACTIVE : 0;

	q->comp_wq = queue_alloc(of, "_comp", queues_comp_width(q));
	q->flush_wq = queue_alloc(of, "_flush", most);
	ctx->wq = queue_alloc(of, "", most);
	ctx->in_place_wq = q->sb ? queue_alloc(of, "_inplace", most) : ctx->wq;
	ctx->write_wq = queue_alloc(of, "_write", most);
	return q->comp_wq && q->flush_wq && ctx->wq && ctx->in_place_wq && ctx->write_wq;
}

/* @sb: the filesystem of those that share it; or NULL. @name: of the device */
static struct qcow_queues *queues_alloc(const struct super_block *sb, const char *name)
{
	struct qcow_queues *q = kzalloc(sizeof(*q), GFP_KERNEL);
	char of[24];

	if (!q)
		return NULL;
	q->sb = sb;
	q->devices = 1;
	q->users = 1;
	INIT_LIST_HEAD(&q->node);
	qcow_cow_mems_init(&q->cow_mems);
	q->ctx.cow_mems = &q->cow_mems;
	q->ctx.subreqs = qcow_io_create_pool();
	snprintf(of, sizeof(of), sb ? "qcow@%.10s" : "%s", sb ? sb->s_id : name);
	if (queues_alloc_wqs(q, of) && q->ctx.subreqs)
		return q;
	queues_free(q);
	return NULL;
}

static bool file_is_on(const struct file *file, const struct super_block *sb)
{
	return !file || (S_ISREG(file_inode(file)->i_mode) && file_inode(file)->i_sb == sb);
}

/*
 * Return: true if a filesystem answers for all of its files or for none. Network
 * filesystems, those that hosts share, and FUSE do not, also with a disk.
 */
static bool sb_is_local(const struct super_block *sb)
{
	switch (sb->s_magic) {
	case EXT4_SUPER_MAGIC:
	case F2FS_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
		return sb->s_bdev;
	}
	return false;
}

/* Return: the local filesystem that has all files of a chain; or NULL. */
static const struct super_block *sources_filesystem(const struct qcow_source *sources, u32 nr)
{
	const struct super_block *sb = file_inode(sources->file)->i_sb;
	u32 i;

	if (!sb_is_local(sb))
		return NULL;
	for (i = 0; i < nr; i++)
		if (sources[i].table || !file_is_on(sources[i].file, sb) ||
		    !file_is_on(sources[i].data_file, sb))
			return NULL;
	return sb;
}

static struct qcow_queues *__queues_join_shared(const struct super_block *sb)
{
	struct qcow_queues *q;

	lockdep_assert_held(&queues_lock);
	list_for_each_entry(q, &shared_queues, node) {
		if (q->sb != sb)
			continue;
		q->devices++;
		q->users++;
		return q;
	}
	q = queues_alloc(sb, NULL);
	if (q)
		list_add(&q->node, &shared_queues);
	return q;
}

/**
 * qcow_queues_join() - get the queues of a device
 * @name: the device's name
 * @sources: its chain; the files stay open until qcow_queues_leave()
 * @nr_sources: entries of @sources
 * @nr_devices: number of devices, this one included
 *
 * Context: may sleep.
 *
 * Return: the queues, for qcow_queues_leave() and then qcow_queues_put(); or NULL without
 * memory.
 */
struct qcow_queues *qcow_queues_join(const char *name, const struct qcow_source *sources,
				     u32 nr_sources, u32 nr_devices)
{
	const struct super_block *sb = NULL;
	struct qcow_queues *q;

	if (nr_devices > QCOW_QUEUES_OWN)
		sb = sources_filesystem(sources, nr_sources);
	if (!sb)
		return queues_alloc(NULL, name);
	mutex_lock(&queues_lock);
	q = __queues_join_shared(sb);
	mutex_unlock(&queues_lock);
	return q;
}

/**
 * qcow_queues_leave() - tell that a device is about to close its files
 * @q: the queues of the device, which goes on to use them
 *
 * The last device that has a file of the filesystem open keeps the filesystem's address from
 * being used for another one. So no device joins the queues from then on.
 *
 * Context: may sleep.
 */
void qcow_queues_leave(struct qcow_queues *q)
{
	mutex_lock(&queues_lock);
	if (!--q->devices)
		list_del_init(&q->node);
	mutex_unlock(&queues_lock);
}

/**
 * qcow_queues_put() - end the use of queues by a device
 * @q: the queues, after qcow_queues_leave(); no I/O of the device is under way
 *
 * Does not wait for other devices' I/O.
 *
 * Context: may sleep.
 */
void qcow_queues_put(struct qcow_queues *q)
{
	bool last;

	mutex_lock(&queues_lock);
	last = !--q->users;
	mutex_unlock(&queues_lock);
	if (last)
		queues_free(q);
}
