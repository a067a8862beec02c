// SPDX-License-Identifier: GPL-2.0
/*
 * Compressed clusters: each is read and decompressed by a work item of its own,
 * so that one request keeps all CPUs busy, and stays in memory for the reads
 * that follow, so that a sequential reader in small steps pays once.
 *
 * A cluster in memory is in comp->clusters, most recently used first. While it
 * is being decompressed, those who want it are on its list of waiters and are
 * served when it is done: nobody sleeps for it.
 */
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/refcount.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uio.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "comp.h"
#include "format.h"

/* Decompressed clusters kept: bytes they take together, and their number. */
#define COMP_KEEP_BYTES		(4U << 20)
#define COMP_KEEP_MIN		4
#define COMP_KEEP_MAX		32

/**
 * struct dcluster - a decompressed cluster
 * @list: in comp->clusters
 * @comp: whose it is
 * @host: bytes into the file of the stored data, which names the cluster
 * @csize: bytes stored, the last of which may be another cluster's
 * @ref: one for being in the list, one for each that copies from it
 * @ready: @data or @error is there; under comp->lock, or after it was seen true
 * @error: 0 or a negative errno
 * @waiters: parts to serve when it is ready; under comp->lock
 * @work: reads and decompresses it
 * @data: the cluster
 */
struct dcluster {
	struct list_head list;
	struct qcow_comp *comp;
	u64 host;
	u32 csize;
	refcount_t ref;
	bool ready;
	int error;
	struct list_head waiters;
	struct work_struct work;
	void *data;
};

/**
 * struct comp_workspace - what one decompression needs besides its output
 * @list: in comp->workspaces while unused
 * @scratch: the codec's
 */
struct comp_workspace {
	struct list_head list;
	void *scratch;
};

/**
 * struct qcow_comp - the compressed clusters of one image
 * @file: where they are stored
 * @codec: how
 * @cluster_bits: log2 of the bytes of a decompressed one
 * @wq: where they are decompressed
 * @decompressed: count of decompressions
 * @lock: protects the lists and counts below; taken in any context
 * @clusters: decompressed ones, most recently used first
 * @nr: entries in @clusters
 * @keep: entries to keep
 * @workspaces: unused ones
 * @nr_workspaces: in @workspaces
 */
struct qcow_comp {
	struct qcow_file *file;
	const struct qcow_codec *codec;
	u32 cluster_bits;
	struct workqueue_struct *wq;
	u64 __percpu *decompressed;

	/* Protects what follows. */
	spinlock_t lock;
	struct list_head clusters;
	u32 nr;
	u32 keep;
	struct list_head workspaces;
	u32 nr_workspaces;
};

static const struct qcow_codec *const codecs[] = {
	[QCOW_DISK_COMPRESSION_ZLIB] = &qcow_codec_zlib,
	[QCOW_DISK_COMPRESSION_ZSTD] = &qcow_codec_zstd,
};

/**
 * qcow_comp_codec() - find the codec of a compression type
 * @type: QCOW_DISK_COMPRESSION_*
 *
 * Return: the codec or NULL.
 */
const struct qcow_codec *qcow_comp_codec(u32 type)
{
	return type < ARRAY_SIZE(codecs) ? codecs[type] : NULL;
}

/* --- Workspaces --- */

static void workspace_free(struct comp_workspace *ws)
{
	kvfree(ws->scratch);
	kfree(ws);
}

static struct comp_workspace *workspace_alloc(struct qcow_comp *comp)
{
	struct comp_workspace *ws = kmalloc(sizeof(*ws), GFP_NOIO);

	if (!ws)
		return NULL;
	ws->scratch = kvmalloc(comp->codec->workspace_size(), GFP_NOIO);
	if (!ws->scratch) {
		kfree(ws);
		return NULL;
	}
	return ws;
}

static struct comp_workspace *workspace_get(struct qcow_comp *comp)
{
	struct comp_workspace *ws;

	spin_lock_irq(&comp->lock);
	ws = list_first_entry_or_null(&comp->workspaces, struct comp_workspace,
				      list);
	if (ws) {
		list_del(&ws->list);
		comp->nr_workspaces--;
	}
	spin_unlock_irq(&comp->lock);
	return ws ?: workspace_alloc(comp);
}

static void workspace_put(struct qcow_comp *comp, struct comp_workspace *ws)
{
	spin_lock_irq(&comp->lock);
	if (comp->nr_workspaces < num_online_cpus()) {
		list_add(&ws->list, &comp->workspaces);
		comp->nr_workspaces++;
		ws = NULL;
	}
	spin_unlock_irq(&comp->lock);
	if (ws)
		workspace_free(ws);
}

/* --- One decompressed cluster --- */

static void dcluster_put(struct dcluster *dc)
{
	if (refcount_dec_and_test(&dc->ref)) {
		kvfree(dc->data);
		kfree(dc);
	}
}

/* Out of the list; its reference is the caller's to drop. */
static void __dcluster_unlink(struct qcow_comp *comp, struct dcluster *dc)
{
	lockdep_assert_held(&comp->lock);
	list_del_init(&dc->list);
	comp->nr--;
}

/* Takes the least recently used ready cluster out, if there are too many. */
static struct dcluster *__comp_evict(struct qcow_comp *comp)
{
	struct dcluster *dc;

	lockdep_assert_held(&comp->lock);
	if (comp->nr <= comp->keep)
		return NULL;
	list_for_each_entry_reverse(dc, &comp->clusters, list) {
		if (dc->ready) {
			__dcluster_unlink(comp, dc);
			return dc;
		}
	}
	return NULL;
}

static struct dcluster *__comp_find(struct qcow_comp *comp, u64 host, u32 csize)
{
	struct dcluster *dc;

	lockdep_assert_held(&comp->lock);
	list_for_each_entry(dc, &comp->clusters, list)
		if (dc->host == host && dc->csize == csize)
			return dc;
	return NULL;
}

/* Serve a part from a ready cluster. Any context. */
static void dcluster_serve(struct dcluster *dc, struct qcow_part *part)
{
	struct qcow_fio *fio = &part->fio;
	struct iov_iter iter;
	int err = dc->error;

	if (!err) {
		qcow_iter_init(&iter, ITER_DEST, fio->bvec, fio->nr_bvec,
			       fio->skip, fio->len);
		if (copy_to_iter(dc->data + part->in_cluster, fio->len,
				 &iter) != fio->len)
			err = -EIO;
	}
	fio->end(fio, err);
}

/* The cluster is there or never will be: serve everybody who waits for it. */
static void dcluster_finish(struct dcluster *dc, int err)
{
	struct qcow_comp *comp = dc->comp;
	struct dcluster *evicted;
	struct qcow_part *part, *next;
	LIST_HEAD(waiters);

	spin_lock_irq(&comp->lock);
	dc->error = err;
	dc->ready = true;
	list_splice_init(&dc->waiters, &waiters);
	refcount_inc(&dc->ref);
	if (err) {
		__dcluster_unlink(comp, dc);
		evicted = dc;
	} else {
		evicted = __comp_evict(comp);
	}
	spin_unlock_irq(&comp->lock);

	if (evicted)
		dcluster_put(evicted);
	list_for_each_entry_safe(part, next, &waiters, waiter)
		dcluster_serve(dc, part);
	dcluster_put(dc);
}

static int dcluster_decompress(struct dcluster *dc, const void *stored)
{
	struct qcow_comp *comp = dc->comp;
	struct comp_workspace *ws = workspace_get(comp);
	int err;

	if (!ws)
		return -ENOMEM;
	err = comp->codec->decompress(ws->scratch, dc->data,
				      1UL << comp->cluster_bits, stored,
				      dc->csize);
	workspace_put(comp, ws);
	this_cpu_inc(*comp->decompressed);
	return err ? -EBADMSG : 0;
}

static int dcluster_load(struct dcluster *dc)
{
	struct qcow_comp *comp = dc->comp;
	void *stored;
	int err = -ENOMEM;

	dc->data = kvmalloc(1UL << comp->cluster_bits, GFP_NOIO);
	stored = kvmalloc(dc->csize, GFP_NOIO);
	if (dc->data && stored)
		err = qcow_file_pread(comp->file, dc->host, stored, dc->csize);
	if (!err)
		err = dcluster_decompress(dc, stored);
	kvfree(stored);
	return err;
}

static void dcluster_work(struct work_struct *work)
{
	struct dcluster *dc = container_of(work, struct dcluster, work);
	unsigned int noio = memalloc_noio_save();

	dcluster_finish(dc, dcluster_load(dc));
	memalloc_noio_restore(noio);
}

static struct dcluster *dcluster_alloc(struct qcow_comp *comp,
				       const struct qcow_part *part, gfp_t gfp)
{
	struct dcluster *dc = kzalloc(sizeof(*dc), gfp);

	if (!dc)
		return NULL;
	dc->comp = comp;
	dc->host = part->host;
	dc->csize = part->csize;
	refcount_set(&dc->ref, 1);
	INIT_LIST_HEAD(&dc->waiters);
	INIT_WORK(&dc->work, dcluster_work);
	return dc;
}

/* --- Reading --- */

/*
 * If the cluster is known, serve the part or let it wait. @fresh is put into
 * the list if it is not, and then is the list's.
 *
 * Return: whether the part is taken care of.
 */
static bool comp_join(struct qcow_comp *comp, struct qcow_part *part,
		      struct dcluster *fresh)
{
	struct dcluster *dc, *ready = NULL;
	unsigned long irq;

	spin_lock_irqsave(&comp->lock, irq);
	dc = __comp_find(comp, part->host, part->csize);
	if (!dc && fresh) {
		dc = fresh;
		comp->nr++;
	} else if (dc) {
		list_del(&dc->list);
	}
	if (dc) {
		list_add(&dc->list, &comp->clusters);
		if (dc->ready) {
			refcount_inc(&dc->ref);
			ready = dc;
		} else {
			list_add_tail(&part->waiter, &dc->waiters);
		}
	}
	spin_unlock_irqrestore(&comp->lock, irq);

	if (dc && dc == fresh)
		queue_work(comp->wq, &fresh->work);
	else
		kfree(fresh);
	if (ready) {
		dcluster_serve(ready, part);
		dcluster_put(ready);
	}
	return dc;
}

/**
 * qcow_comp_read() - read a part from a compressed cluster
 * @comp: the image's compressed clusters
 * @part: what to read: host, csize, in_cluster, and fio's memory, len, end
 * @nowait: the caller must not be made to sleep
 *
 * Return: 0: fio.end() was or will be called, never with -EAGAIN, but with
 * -EBADMSG if the stored data is damaged; -EAGAIN: no memory without sleeping;
 * -ENOMEM.
 */
int qcow_comp_read(struct qcow_comp *comp, struct qcow_part *part, bool nowait)
{
	gfp_t gfp = nowait ? GFP_NOWAIT | __GFP_NOWARN : GFP_NOIO;
	struct dcluster *fresh;

	if (comp_join(comp, part, NULL))
		return 0;
	fresh = dcluster_alloc(comp, part, gfp);
	if (!fresh)
		return nowait ? -EAGAIN : -ENOMEM;
	comp_join(comp, part, fresh);
	return 0;
}

/**
 * qcow_comp_create() - prepare for an image's compressed clusters
 * @file: where they are stored; stays open as long as the result
 * @codec: how
 * @cluster_bits: log2 of the bytes of a decompressed one
 * @wq: where they are decompressed
 * @decompressed: counts them
 *
 * May sleep. Memory for decompressing is taken when the first one is met.
 *
 * Return: to be given to qcow_comp_destroy(), or NULL without memory.
 */
struct qcow_comp *qcow_comp_create(struct qcow_file *file,
				   const struct qcow_codec *codec,
				   u32 cluster_bits,
				   struct workqueue_struct *wq,
				   u64 __percpu *decompressed)
{
	struct qcow_comp *comp = kzalloc(sizeof(*comp), GFP_KERNEL);

	if (!comp)
		return NULL;
	comp->file = file;
	comp->codec = codec;
	comp->cluster_bits = cluster_bits;
	comp->wq = wq;
	comp->decompressed = decompressed;
	spin_lock_init(&comp->lock);
	INIT_LIST_HEAD(&comp->clusters);
	INIT_LIST_HEAD(&comp->workspaces);
	comp->keep = clamp_t(u32, COMP_KEEP_BYTES >> cluster_bits,
			     COMP_KEEP_MIN, COMP_KEEP_MAX);
	return comp;
}

/**
 * qcow_comp_destroy() - free what was decompressed
 * @comp: from qcow_comp_create(), or NULL; no read is under way
 */
void qcow_comp_destroy(struct qcow_comp *comp)
{
	struct comp_workspace *ws, *next_ws;
	struct dcluster *dc, *next;

	if (!comp)
		return;
	list_for_each_entry_safe(dc, next, &comp->clusters, list)
		dcluster_put(dc);
	list_for_each_entry_safe(ws, next_ws, &comp->workspaces, list)
		workspace_free(ws);
	kfree(comp);
}
