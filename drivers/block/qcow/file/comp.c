// SPDX-License-Identifier: GPL-2.0
/*
 * Compressed clusters of an image, which data/io.c reads. Each has its own file, codec and
 * size: those of qcow2 have the same, those of a map differ. A work item of its own
 * reads and decompresses each cluster, so that one request keeps all CPUs busy. The
 * cluster stays in memory for later reads, so that a sequential reader in small steps
 * pays once.
 *
 * A cluster is in comp->table from the first read of it. While it is being
 * decompressed, further sub-requests join its list of waiters, and are served when it
 * is done, so no task sleeps for it. Then it is also in comp->ready, most recently used
 * first, until it is evicted.
 *
 * The workqueue runs a few work items for each CPU at a time, since each waits for the
 * disk first. COMP_LOADING_BYTES bounds their memory. The queue has no work that waits for
 * other work, so they always go on. Clusters and workspaces that are kept are freed when
 * memory is short.
 */
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/refcount.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat/compat.h"
#include "file/comp.h"
#include "file/stats.h"

/* Decompressed clusters to keep: most bytes, unless they are few; and most clusters. */
#define COMP_KEEP_BYTES		SZ_4M
#define COMP_KEEP_MIN		4
#define COMP_KEEP_MAX		32

/*
 * Most clusters that are being read, and most bytes of them, stored and decompressed,
 * unless they are few; reads of further ones wait before the queue.
 */
#define COMP_LOADING_MAX	256
#define COMP_LOADING_BYTES	SZ_32M
#define COMP_LOADING_MIN	4

/* log2 of the buckets of the table of clusters. */
#define COMP_TABLE_BITS		6

/* Those of all images, for the shrinker. */
static LIST_HEAD(all_comps);
static DEFINE_SPINLOCK(all_comps_lock);
static struct shrinker *comp_shrinker;

/* Pages of their decompressed clusters and unused workspaces */
static atomic_long_t comp_pages;

/**
 * struct dcluster - a decompressed cluster
 * @node: in comp->table
 * @lru: in comp->ready
 * @comp: the image's compressed clusters
 * @file: the file of the stored data
 * @codec: its codec
 * @host_offset: host offset of the stored data
 * @csize: bytes stored, an upper bound
 * @bytes: bytes of the decompressed cluster
 * @ref: one for being in the table, one for each task that copies from it
 * @ready: @data or @error is set; read under comp->lock, or after it was seen true
 * @error: 0 or a negative errno
 * @waiters: sub-requests to serve when it is ready; under comp->lock
 * @work: reads and decompresses the cluster
 * @bio: the bio of the first sub-request, which waits meanwhile; its submitter is
 *	charged
 * @data: the cluster
 */
struct dcluster {
	struct hlist_node node;
	struct list_head lru;
	struct qcow_comp *comp;
	struct qcow_file *file;
	const struct qcow_codec *codec;
	u64 host_offset;
	u32 csize;
	u32 bytes;
	refcount_t ref;
	bool ready;
	int error;
	struct list_head waiters;
	struct work_struct work;
	struct bio *bio;
	void *data;
};

/**
 * struct comp_workspace - memory for one decompression, besides its output
 * @list: in comp->workspaces while unused
 * @codec: the codec
 * @scratch: its memory
 */
struct comp_workspace {
	struct list_head list;
	const struct qcow_codec *codec;
	void *scratch;
};

/**
 * struct qcow_comp - the compressed clusters of one image
 * @comps: in all_comps
 * @wq: queue of their work items
 * @stats: counters of the device
 * @room: where readers wait that found too many loading
 * @lock: protects the lists and counts below; process context
 * @table: all clusters, by host offset
 * @ready: decompressed ones, most recently used first
 * @nr_ready: entries in @ready
 * @ready_bytes: bytes of those
 * @nr_loading: entries of @table that are not in @ready
 * @loading_bytes: bytes of those, stored and decompressed
 * @workspaces: unused ones
 * @nr_workspaces: entries of @workspaces
 */
struct qcow_comp {
	struct list_head comps;
	struct workqueue_struct *wq;
	struct qcow_stats __percpu *stats;
	wait_queue_head_t room;

	/* Protects the members below. */
	spinlock_t lock;
	DECLARE_HASHTABLE(table, COMP_TABLE_BITS);
	struct list_head ready;
	u32 nr_ready;
	u64 ready_bytes;
	u32 nr_loading;
	u64 loading_bytes;
	struct list_head workspaces;
	u32 nr_workspaces;
};

/**
 * qcow_comp_codec() - find the codec of a compression type
 * @type: a type of compression.h
 *
 * Return: the codec or NULL.
 */
const struct qcow_codec *qcow_comp_codec(u32 type)
{
	static const struct qcow_codec *const codecs[] = {
#define QCOW_COMPRESSION(nr, name) \
		[nr] = &qcow_codec_##name,
#include "ondisk/compression.h"
	};

	return type < ARRAY_SIZE(codecs) ? codecs[type] : NULL;
}

/* --- Workspaces --- */

static void workspace_free(struct comp_workspace *ws)
{
	kvfree(ws->scratch);
	kfree(ws);
}

static unsigned long workspace_pages(const struct comp_workspace *ws)
{
	return ws->scratch ? DIV_ROUND_UP(ws->codec->workspace_size(), PAGE_SIZE) : 0;
}

static void workspaces_free(struct list_head *workspaces)
{
	struct comp_workspace *ws, *next;

	list_for_each_entry_safe(ws, next, workspaces, list)
		workspace_free(ws);
}

static struct comp_workspace *workspace_alloc(const struct qcow_codec *codec)
{
	struct comp_workspace *ws = kmalloc(sizeof(*ws), GFP_NOIO);

	if (!ws)
		return NULL;
	ws->codec = codec;
	ws->scratch = NULL;
	if (!codec->workspace_size)
		return ws;
	ws->scratch = kvmalloc(codec->workspace_size(), GFP_NOIO);
	if (ws->scratch)
		return ws;
	kfree(ws);
	return NULL;
}

/* Take an unused workspace of a codec. Return: NULL: there is none. */
static struct comp_workspace *__workspace_take(struct qcow_comp *comp,
					       const struct qcow_codec *codec)
{
	struct comp_workspace *ws;

	lockdep_assert_held(&comp->lock);
	list_for_each_entry(ws, &comp->workspaces, list) {
		if (ws->codec != codec)
			continue;
		list_del(&ws->list);
		comp->nr_workspaces--;
		atomic_long_sub(workspace_pages(ws), &comp_pages);
		return ws;
	}
	return NULL;
}

/* Move unused workspaces to a list. Return: pages that they hold. */
static unsigned long __workspaces_evict(struct qcow_comp *comp, struct list_head *evicted)
{
	const struct comp_workspace *ws;
	unsigned long pages = 0;

	lockdep_assert_held(&comp->lock);
	list_for_each_entry(ws, &comp->workspaces, list)
		pages += workspace_pages(ws);
	list_splice_init(&comp->workspaces, evicted);
	comp->nr_workspaces = 0;
	atomic_long_sub(pages, &comp_pages);
	return pages;
}

static struct comp_workspace *workspace_get(struct qcow_comp *comp,
					    const struct qcow_codec *codec)
{
	struct comp_workspace *ws;

	spin_lock(&comp->lock);
	ws = __workspace_take(comp, codec);
	spin_unlock(&comp->lock);
	return ws ?: workspace_alloc(codec);
}

static void workspace_put(struct qcow_comp *comp, struct comp_workspace *ws)
{
	spin_lock(&comp->lock);
	if (comp->nr_workspaces < num_online_cpus()) {
		list_add(&ws->list, &comp->workspaces);
		comp->nr_workspaces++;
		atomic_long_add(workspace_pages(ws), &comp_pages);
		ws = NULL;
	}
	spin_unlock(&comp->lock);
	if (ws)
		workspace_free(ws);
}

/* --- A decompressed cluster --- */

static void dcluster_put(struct dcluster *dc)
{
	if (refcount_dec_and_test(&dc->ref)) {
		kvfree(dc->data);
		kfree(dc);
	}
}

static unsigned long dcluster_pages(const struct dcluster *dc)
{
	return DIV_ROUND_UP(dc->bytes, PAGE_SIZE);
}

/* Take a cluster out of the table; the caller drops its reference. */
static void __dcluster_unlink(struct qcow_comp *comp, struct dcluster *dc)
{
	lockdep_assert_held(&comp->lock);
	hash_del(&dc->node);
	list_del_init(&dc->lru);
}

static bool __comp_is_full(const struct qcow_comp *comp)
{
	return comp->nr_ready > COMP_KEEP_MAX ||
	       (comp->nr_ready > COMP_KEEP_MIN && comp->ready_bytes > COMP_KEEP_BYTES);
}

/* Move the least recently used ready cluster to a list. Return: pages that it holds. */
static unsigned long __comp_evict(struct qcow_comp *comp, struct list_head *evicted)
{
	struct dcluster *dc = list_last_entry(&comp->ready, struct dcluster, lru);

	lockdep_assert_held(&comp->lock);
	__dcluster_unlink(comp, dc);
	comp->nr_ready--;
	comp->ready_bytes -= dc->bytes;
	list_add(&dc->lru, evicted);
	atomic_long_sub(dcluster_pages(dc), &comp_pages);
	return dcluster_pages(dc);
}

static void comp_drop(struct list_head *evicted)
{
	struct dcluster *dc, *next;

	list_for_each_entry_safe(dc, next, evicted, lru)
		dcluster_put(dc);
}

static bool dcluster_is_of(const struct dcluster *dc, const struct qcow_subreq *subreq)
{
	return dc->host_offset == subreq->host_offset && dc->file == subreq->req.file &&
	       dc->csize == subreq->csize && dc->bytes == subreq->cluster_bytes &&
	       dc->codec == subreq->codec;
}

static struct dcluster *__comp_find(struct qcow_comp *comp,
				    const struct qcow_subreq *subreq)
{
	struct dcluster *dc;

	lockdep_assert_held(&comp->lock);
	hash_for_each_possible(comp->table, dc, node, subreq->host_offset)
		if (dcluster_is_of(dc, subreq))
			return dc;
	return NULL;
}

/*
 * Move unused workspaces, and the least recently used clusters, to lists. Return: pages
 * that they hold; it may be more than @pages by the last one.
 */
static unsigned long comp_shed(struct qcow_comp *comp, unsigned long pages,
			       struct list_head *clusters, struct list_head *workspaces)
{
	unsigned long shed;

	spin_lock(&comp->lock);
	shed = __workspaces_evict(comp, workspaces);
	while (shed < pages && comp->nr_ready)
		shed += __comp_evict(comp, clusters);
	spin_unlock(&comp->lock);
	return shed;
}

/* Serve a sub-request from a ready cluster. */
static void dcluster_serve(struct dcluster *dc, struct qcow_subreq *subreq)
{
	struct qcow_file_req *req = &subreq->req;
	struct iov_iter iter;
	int err = dc->error;

	if (!err) {
		qcow_iter_init(&iter, ITER_DEST, req->bvec, req->nr_bvec, req->skip,
			       req->len);
		if (copy_to_iter(dc->data + subreq->in_cluster, req->len, &iter) !=
		    req->len)
			err = -EIO;
	}
	req->end_io(req, err);
}

/* Serve all waiters of a cluster, which is decompressed or has failed. */
static void dcluster_finish(struct dcluster *dc, int err)
{
	struct qcow_comp *comp = dc->comp;
	struct qcow_subreq *subreq, *next;
	LIST_HEAD(waiters);
	LIST_HEAD(evicted);

	spin_lock(&comp->lock);
	dc->error = err;
	dc->ready = true;
	list_splice_init(&dc->waiters, &waiters);
	refcount_inc(&dc->ref);
	comp->nr_loading--;
	comp->loading_bytes -= dc->csize + dc->bytes;
	if (err) {
		__dcluster_unlink(comp, dc);
		list_add(&dc->lru, &evicted);
	} else {
		list_add(&dc->lru, &comp->ready);
		comp->nr_ready++;
		comp->ready_bytes += dc->bytes;
		atomic_long_add(dcluster_pages(dc), &comp_pages);
		while (__comp_is_full(comp))
			__comp_evict(comp, &evicted);
	}
	spin_unlock(&comp->lock);

	wake_up(&comp->room);
	comp_drop(&evicted);
	list_for_each_entry_safe(subreq, next, &waiters, waiter)
		dcluster_serve(dc, subreq);
	dcluster_put(dc);
}

static int dcluster_decompress(struct dcluster *dc, const void *stored, u32 len)
{
	struct qcow_comp *comp = dc->comp;
	struct comp_workspace *ws = workspace_get(comp, dc->codec);
	int err;

	if (!ws)
		return -ENOMEM;
	err = dc->codec->decompress(ws->scratch, dc->data, dc->bytes, stored, len);
	workspace_put(comp, ws);
	qcow_count(comp->stats, &comp->stats->decompressed, 1);
	return err == -EIO ? -EBADMSG : err;
}

static int dcluster_load(struct dcluster *dc)
{
	/* Zeros must not follow a stream that was cut off. */
	u32 len = qcow_file_there(dc->file, dc->host_offset, dc->csize);
	void *stored;
	int err = -ENOMEM;

	if (!len)
		return -EIO;
	dc->data = kvmalloc(dc->bytes, GFP_NOIO);
	stored = kvmalloc(len, GFP_NOIO);
	if (dc->data && stored)
		err = qcow_file_pread(dc->file, dc->host_offset, stored, len);
	if (!err)
		err = dcluster_decompress(dc, stored, len);
	kvfree(stored);
	/* The task may sleep; a caller would try again for ever. */
	return err == -EAGAIN ? -EIO : err;
}

static void dcluster_work(struct work_struct *work)
{
	struct dcluster *dc = container_of(work, struct dcluster, work);
	struct qcow_worker w;

	qcow_worker_begin_for(&w, dc->bio);
	dcluster_finish(dc, dcluster_load(dc));
	qcow_worker_end_for(&w);
}

static struct dcluster *dcluster_alloc(struct qcow_comp *comp,
				       const struct qcow_subreq *subreq, gfp_t gfp)
{
	struct dcluster *dc = kzalloc(sizeof(*dc), gfp);

	if (!dc)
		return NULL;
	dc->comp = comp;
	dc->file = subreq->req.file;
	dc->codec = subreq->codec;
	dc->host_offset = subreq->host_offset;
	dc->csize = subreq->csize;
	dc->bytes = subreq->cluster_bytes;
	dc->bio = subreq->io->bio;
	refcount_set(&dc->ref, 1);
	INIT_LIST_HEAD(&dc->lru);
	INIT_LIST_HEAD(&dc->waiters);
	INIT_WORK(&dc->work, dcluster_work);
	return dc;
}

/* --- Reading --- */

/* Serve a sub-request, or let it wait, if its cluster is in the table. */
static bool comp_join(struct qcow_comp *comp, struct qcow_subreq *subreq)
{
	struct dcluster *dc;
	bool known, ready;

	spin_lock(&comp->lock);
	dc = __comp_find(comp, subreq);
	known = dc;
	ready = dc && dc->ready;
	if (ready) {
		refcount_inc(&dc->ref);
		list_move(&dc->lru, &comp->ready);
	} else if (known) {
		list_add_tail(&subreq->waiter, &dc->waiters);
	}
	spin_unlock(&comp->lock);

	if (ready) {
		dcluster_serve(dc, subreq);
		dcluster_put(dc);
	}
	return known;
}

/* Return: true if another cluster may be loaded. Without the lock it is a guess. */
static bool comp_has_room(const struct qcow_comp *comp)
{
	u32 nr = READ_ONCE(comp->nr_loading);

	return nr < COMP_LOADING_MIN ||
	       (nr < COMP_LOADING_MAX &&
		READ_ONCE(comp->loading_bytes) < COMP_LOADING_BYTES);
}

/*
 * Put a new cluster into the table, with the sub-request waiting for it.
 *
 * Return: 0; -EAGAIN: too many are loading; -EEXIST: another task has put it there.
 */
static int comp_insert(struct qcow_comp *comp, struct dcluster *fresh,
		       struct qcow_subreq *subreq)
{
	int err = 0;

	spin_lock(&comp->lock);
	if (__comp_find(comp, subreq)) {
		err = -EEXIST;
	} else if (!comp_has_room(comp)) {
		err = -EAGAIN;
	} else {
		hash_add(comp->table, &fresh->node, fresh->host_offset);
		comp->nr_loading++;
		comp->loading_bytes += fresh->csize + fresh->bytes;
		list_add_tail(&subreq->waiter, &fresh->waiters);
	}
	spin_unlock(&comp->lock);
	return err;
}

/* As qcow_comp_read(), for a cluster that is not in the table. */
static int comp_start(struct qcow_comp *comp, struct qcow_subreq *subreq)
{
	bool nowait = subreq->req.nowait;
	gfp_t gfp = nowait ? GFP_NOWAIT | __GFP_NOWARN : GFP_NOIO;
	struct dcluster *fresh = dcluster_alloc(comp, subreq, gfp);
	int err;

	if (!fresh)
		return nowait ? -EAGAIN : -ENOMEM;
	err = comp_insert(comp, fresh, subreq);
	if (err) {
		kfree(fresh);
		return err;
	}
	queue_work(comp->wq, &fresh->work);
	return 0;
}

/**
 * qcow_comp_read() - serve a sub-request from a compressed cluster
 * @comp: the image's compressed clusters
 * @subreq: the sub-request: its members of a compressed cluster are set, and file,
 *	memory, len, nowait and end_io of req. The file stays open as long as @comp exists
 *
 * Context: a task. May sleep, unless @subreq->req.nowait.
 *
 * Return: 0: req.end_io() was or will be called, never with -EAGAIN, but with -EBADMSG if
 * the stored data is damaged; -EAGAIN: it would sleep; -ENOMEM.
 */
int qcow_comp_read(struct qcow_comp *comp, struct qcow_subreq *subreq)
{
	int err;

	while (!comp_join(comp, subreq)) {
		err = comp_start(comp, subreq);
		if (!err)
			return 0;
		if (err == -EAGAIN && !subreq->req.nowait)
			wait_event(comp->room, comp_has_room(comp));
		else if (err != -EEXIST)
			return err;
	}
	return 0;
}

/**
 * qcow_comp_create() - set up an image's compressed clusters
 * @wq: queue of their work items, with no other work
 * @stats: counters of the device
 *
 * Memory for decompression is allocated at the first read.
 *
 * Context: may sleep.
 *
 * Return: a pointer for qcow_comp_destroy(), or NULL without memory.
 */
struct qcow_comp *qcow_comp_create(struct workqueue_struct *wq,
				   struct qcow_stats __percpu *stats)
{
	struct qcow_comp *comp = kzalloc(sizeof(*comp), GFP_KERNEL);

	if (!comp)
		return NULL;
	comp->wq = wq;
	comp->stats = stats;
	spin_lock_init(&comp->lock);
	init_waitqueue_head(&comp->room);
	hash_init(comp->table);
	INIT_LIST_HEAD(&comp->ready);
	INIT_LIST_HEAD(&comp->workspaces);
	spin_lock(&all_comps_lock);
	list_add_tail(&comp->comps, &all_comps);
	spin_unlock(&all_comps_lock);
	return comp;
}

/**
 * qcow_comp_used() - memory of an image's decompressed clusters
 * @comp: of the image
 *
 * Context: any.
 *
 * Return: bytes of the clusters that are kept.
 */
u64 qcow_comp_used(const struct qcow_comp *comp)
{
	return READ_ONCE(comp->ready_bytes);
}

/**
 * qcow_comp_destroy() - free an image's decompressed clusters
 * @comp: from qcow_comp_create(), or NULL; no read is under way
 */
void qcow_comp_destroy(struct qcow_comp *comp)
{
	LIST_HEAD(clusters);
	LIST_HEAD(workspaces);

	if (!comp)
		return;
	spin_lock(&all_comps_lock);
	list_del(&comp->comps);
	spin_unlock(&all_comps_lock);
	comp_shed(comp, ULONG_MAX, &clusters, &workspaces);
	comp_drop(&clusters);
	workspaces_free(&workspaces);
	kfree(comp);
}

/* --- Memory is short --- */

static unsigned long comp_shrinker_count(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long pages = atomic_long_read(&comp_pages);

	return pages ?: SHRINK_EMPTY;
}

/* Each scan begins with another image. */
static unsigned long comp_shrinker_scan(struct shrinker *s, struct shrink_control *sc)
{
	struct qcow_comp *comp;
	unsigned long pages = 0;
	LIST_HEAD(clusters);
	LIST_HEAD(workspaces);

	spin_lock(&all_comps_lock);
	list_rotate_left(&all_comps);
	list_for_each_entry(comp, &all_comps, comps) {
		if (pages >= sc->nr_to_scan)
			break;
		pages += comp_shed(comp, sc->nr_to_scan - pages, &clusters, &workspaces);
	}
	spin_unlock(&all_comps_lock);
	comp_drop(&clusters);
	workspaces_free(&workspaces);
	return pages;
}

int qcow_comp_init(void)
{
	comp_shrinker = qcow_compat_shrinker(0, "qcow-decompressed", comp_shrinker_count,
					     comp_shrinker_scan);
	return comp_shrinker ? 0 : -ENOMEM;
}

void qcow_comp_exit(void)
{
	shrinker_free(comp_shrinker);
}
