// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/debug/qcow/qcowN/: requests under way, and the caches of metadata.
 * Documentation/admin-guide.rst describes the files, which are no ABI.
 *
 * debugfs_remove() waits for readers. A detach calls it when its requests have ended,
 * before it frees anything that a reader looks at: so the files show what a detach that
 * does not come to an end waits for.
 */
#include <linux/blkdev.h>
#include <linux/debugfs.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

#include "dev/debugfs.h"
#include "dev/device_status.h"
#include "file/cache.h"
#include "meta/refcount.h"

/* Slices that are looked at under a spinlock. */
#define DEBUGFS_SLICES	256

static struct dentry *debugfs_root;

/* --- Requests under way --- */

static const char *const op_names[] = {
	[QCOW_OP_READ] = "read",
	[QCOW_OP_WRITE] = "write",
	[QCOW_OP_ZERO] = "zero",
	[QCOW_OP_UNMAP] = "unmap",
	[QCOW_OP_DISCARD] = "discard",
};

static const char *const stage_names[] = {
	[QCOW_IO_QUEUED] = "queued",
	[QCOW_IO_THROTTLED] = "throttled",
	[QCOW_IO_LOCKING] = "locking",
	[QCOW_IO_COW] = "cow",
	[QCOW_IO_FLUSHING] = "flushing",
};

/* The request may go on, or end, at any time: all of this is a guess. */
static const char *cmd_state(const struct qcow_cmd *cmd)
{
	const struct qcow_io *io = &cmd->io;
	u8 stage = READ_ONCE(io->stage);

	if (READ_ONCE(cmd->lacks))
		return READ_ONCE(io->error) == -ENOSPC ? "space" : "memory";
	if (stage != QCOW_IO_STEPS && stage < ARRAY_SIZE(stage_names))
		return stage_names[stage];
	/* All is mapped, and left to the file below. */
	return READ_ONCE(io->next) >= READ_ONCE(io->len) ? "file" : "mapping";
}

static bool show_request(struct request *rq, void *data)
{
	const struct qcow_cmd *cmd = blk_mq_rq_to_pdu(rq);
	enum qcow_op op = READ_ONCE(cmd->io.op);
	struct seq_file *m = data;

	if (req_op(rq) == REQ_OP_FLUSH)
		seq_puts(m, "flush");
	else
		seq_printf(m, "%s guest_offset=%llu len=%u",
			   op < ARRAY_SIZE(op_names) ? op_names[op] : "?",
			   READ_ONCE(cmd->io.guest_offset), READ_ONCE(cmd->io.len));
	seq_printf(m, " age_ms=%u state=%s\n",
		   jiffies_to_msecs(jiffies - READ_ONCE(cmd->begun)), cmd_state(cmd));
	return true;
}

static int in_flight_show(struct seq_file *m, void *unused)
{
	struct qcow_device *dev = m->private;

	blk_mq_tagset_busy_iter(&dev->tag_set, show_request, m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(in_flight);

/* --- Caches --- */

/**
 * struct look - a look at one cache
 * @index: the next slice to look at
 * @pinned: slices that are in use
 * @slice_bytes: bytes of a slice
 * @limit: slices that there may be
 * @slices: slices that there are
 * @dirty: slices to be written
 * @writing: slices that a flush writes
 * @found: slices that were found in the cache
 * @loaded: slices that were read from the file, or made
 */
struct look {
	unsigned long index;
	u32 pinned;
	u32 slice_bytes;
	unsigned long limit;
	long slices;
	u32 dirty;
	u32 writing;
	long found;
	long loaded;
};

/* Look at a part of a cache. Return: whether there is more. */
static bool look_some(struct look *l, struct qcow_cache *cache)
{
	l->slice_bytes = 1U << cache->slice_bits;
	l->limit = cache->limit;
	l->slices = atomic_long_read(&cache->count);
	l->dirty = READ_ONCE(cache->nr_dirty);
	l->writing = READ_ONCE(cache->nr_captured);
	l->found = atomic_long_read(&cache->found);
	l->loaded = atomic_long_read(&cache->loaded);
	return qcow_cache_count_pinned(cache, &l->index, DEBUGFS_SLICES, &l->pinned);
}

/* Return: the cache of L2 tables or of refcounts of an image; or NULL. */
static struct qcow_cache *image_cache(const struct qcow_image *img, bool refcounts)
{
	if (refcounts)
		return img->alloc ? qcow_refcount_cache(img->alloc) : NULL;
	return img->cache;
}

/*
 * Look at a part of a cache of image @nr in the chain. A job may take images out of the
 * chain meanwhile. Return: 1: there is more; 0: all was looked at; -1: there is no such
 * image.
 */
static int look_in_chain(struct qcow_device *dev, u32 nr, bool refcounts, struct look *l)
{
	struct qcow_image *img;
	struct qcow_cache *cache;
	int more = -1;

	spin_lock(&dev->chain_lock);
	for (img = dev->target.image; img && nr; nr--)
		img = img->backing;
	if (img) {
		cache = image_cache(img, refcounts);
		more = cache && look_some(l, cache);
	}
	spin_unlock(&dev->chain_lock);
	return more;
}

/* Return: whether there is such an image. */
static bool show_cache(struct seq_file *m, struct qcow_device *dev, u32 nr, bool refcounts)
{
	struct look l = { };
	int more;

	do {
		more = look_in_chain(dev, nr, refcounts, &l);
		cond_resched();
	} while (more > 0);
	/* Raw images have none, and only an image that is written has refcounts. */
	if (l.slice_bytes)
		seq_printf(m, "image=%u table=%s slice_bytes=%u limit=%lu slices=%ld dirty=%u writing=%u pinned=%u found=%ld loaded=%ld\n",
			   nr, refcounts ? "refcounts" : "l2", l.slice_bytes, l.limit,
			   l.slices, l.dirty, l.writing, l.pinned, l.found, l.loaded);
	return more >= 0;
}

static int cache_show(struct seq_file *m, void *unused)
{
	struct qcow_device *dev = m->private;
	u32 nr;

	for (nr = 0; show_cache(m, dev, nr, false); nr++)
		show_cache(m, dev, nr, true);
	seq_printf(m, "mapping hits=%llu misses=%llu\n",
		   qcow_device_count(dev, offsetof(struct qcow_stats, hits)),
		   qcow_device_count(dev, offsetof(struct qcow_stats, misses)));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(cache);

/* --- The folders --- */

/**
 * qcow_debugfs_add() - make the folder of a device
 * @dev: the device, whose disk was added
 *
 * A failure does no harm: there is no folder then.
 *
 * Context: may sleep.
 */
void qcow_debugfs_add(struct qcow_device *dev)
{
	dev->debugfs = debugfs_create_dir(dev->name, debugfs_root);
	debugfs_create_file("in_flight", 0400, dev->debugfs, dev, &in_flight_fops);
	debugfs_create_file("cache", 0400, dev->debugfs, dev, &cache_fops);
}

/**
 * qcow_debugfs_remove() - remove the folder of a device
 * @dev: the device, whose images and tags are still there
 *
 * Waits for readers. Files that are open read as an error from then on.
 *
 * Context: may sleep.
 */
void qcow_debugfs_remove(struct qcow_device *dev)
{
	debugfs_remove(dev->debugfs);
	dev->debugfs = NULL;
}

int qcow_debugfs_init(void)
{
	debugfs_root = debugfs_create_dir("qcow", NULL);
	return 0;
}

void qcow_debugfs_exit(void)
{
	debugfs_remove(debugfs_root);
}
