// SPDX-License-Identifier: GPL-2.0
/*
 * Clusters of an image that is written: refcounts, reservation, release.
 *
 * Clusters are taken from the refcounts in batches and handed out from memory.
 * What is reserved when power fails is leaked, no more. A cluster whose last
 * reference is gone is handed out again after that is durable and the I/O that
 * may still use it is done: qcow_alloc_do_releases().
 *
 * Sections "Refcounts" and "Host cluster management" of the specification.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "alloc.h"
#include "cache.h"

/* A batch: bytes, and clusters. */
#define ALLOC_BATCH_BYTES	(4U << 20)
#define ALLOC_BATCH_MAX		128

/**
 * struct alloc_release - clusters that lost a reference
 * @list: in the order it happened
 * @first: number of the first
 * @nr: how many
 */
struct alloc_release {
	struct list_head list;
	u64 first;
	u32 nr;
};

static u32 alloc_cluster_bits(const struct qcow_alloc *a)
{
	return a->img->layout.cluster_bits;
}

/* --- Metadata ranges --- */

/**
 * qcow_alloc_add_meta() - note that a piece of the file holds metadata
 * @a: of the image
 * @offset: bytes into the file
 * @bytes: how many
 *
 * May sleep. Return: 0 or -ENOMEM.
 */
int qcow_alloc_add_meta(struct qcow_alloc *a, u64 offset, u64 bytes)
{
	u64 cluster = offset >> alloc_cluster_bits(a);
	u64 last = (offset + bytes - 1) >> alloc_cluster_bits(a);
	int err;

	for (; bytes && cluster <= last; cluster++) {
		err = xa_err(xa_store(&a->meta, cluster, xa_mk_value(1),
				      GFP_NOIO));
		if (err)
			return err;
	}
	return 0;
}

/* --- Refcounts --- */

/* log2 of the refcounts in a slice. */
static u32 slice_ref_bits(const struct qcow_alloc *a)
{
	return a->refs->slice_bits + 3 - a->order;
}

/* The slice with a cluster's refcount; NULL: there is no block for it. */
static struct qcow_slice *ref_slice(struct qcow_alloc *a, u64 cluster)
{
	u64 block = cluster >> a->block_bits;
	u64 in_block = cluster & ((1ULL << a->block_bits) - 1);
	u64 offset;

	lockdep_assert_held(&a->lock);
	if (block >= a->table_size)
		return NULL;
	offset = a->table[block] & QCOW_DISK_REFTABLE_OFFSET_MASK;
	if (!offset)
		return NULL;
	if (offset & ((1ULL << alloc_cluster_bits(a)) - 1)) {
		qcow_image_damaged(a->img, 0, "refcount block offset is not aligned");
		return ERR_PTR(-EIO);
	}
	return qcow_cache_get(a->refs, offset + (in_block << a->order >> 3));
}

static u32 ref_index(const struct qcow_alloc *a, u64 cluster)
{
	return cluster & ((1U << slice_ref_bits(a)) - 1);
}

static int __get_refcount(struct qcow_alloc *a, u64 cluster, u64 *value)
{
	struct qcow_slice *slice = ref_slice(a, cluster);

	*value = 0;
	if (IS_ERR_OR_NULL(slice))
		return PTR_ERR_OR_ZERO(slice);
	*value = qcow_entry_refcount(slice->data, a->order,
				     ref_index(a, cluster));
	qcow_cache_put(slice);
	return 0;
}

/**
 * qcow_alloc_get_refcount() - look a cluster's refcount up
 * @a: of the image
 * @cluster: number
 * @value: the result
 *
 * May sleep. Return: 0 or the error of reading it.
 */
int qcow_alloc_get_refcount(struct qcow_alloc *a, u64 cluster, u64 *value)
{
	int err;

	mutex_lock(&a->lock);
	err = __get_refcount(a, cluster, value);
	mutex_unlock(&a->lock);
	return err;
}

static int __set_refcount(struct qcow_alloc *a, u64 cluster, u64 value)
{
	struct qcow_slice *slice = ref_slice(a, cluster);

	if (IS_ERR(slice))
		return PTR_ERR(slice);
	if (WARN_ON_ONCE(!slice))
		return -EIO;
	spin_lock(&a->refs->lock);
	qcow_entry_set_refcount(slice->data, a->order, ref_index(a, cluster),
				value);
	__qcow_cache_dirty(slice);
	spin_unlock(&a->refs->lock);
	qcow_cache_put(slice);
	return 0;
}

/* An empty refcount block in memory. */
static int block_zero(struct qcow_alloc *a, u64 offset)
{
	u64 end = offset + (1ULL << alloc_cluster_bits(a));
	struct qcow_slice *slice;

	for (; offset < end; offset += 1ULL << a->refs->slice_bits) {
		slice = qcow_cache_get_new(a->refs, offset);
		if (IS_ERR(slice))
			return PTR_ERR(slice);
		qcow_cache_put(slice);
	}
	return 0;
}

/* A refcount block for @cluster, which is the first that it covers. */
static int __new_block(struct qcow_alloc *a, u64 cluster)
{
	u32 bits = alloc_cluster_bits(a);
	u64 offset = cluster << bits;
	u64 block = cluster >> a->block_bits;
	int err;

	err = qcow_alloc_add_meta(a, offset, 1ULL << bits);
	if (err)
		return err;
	err = block_zero(a, offset);
	if (err)
		return err;
	a->table[block] = offset;
	qcow_dirty_range_add(&a->table_dirty, block);
	return __set_refcount(a, cluster, 1);
}

/* --- Growth of the refcount table --- */

/**
 * struct growth - a larger refcount table
 * @first: number of its first cluster, the first that no block covers
 * @clusters: of the table
 * @blocks: refcount blocks behind it, which cover it and themselves
 * @table: in the CPU's byte order
 * @size: entries in @table
 */
struct growth {
	u64 first;
	u32 clusters;
	u32 blocks;
	u64 *table;
	u32 size;
};

static int growth_plan(struct qcow_alloc *a, struct growth *g)
{
	u32 bits = alloc_cluster_bits(a);
	u32 old = (a->table_size * sizeof(u64)) >> bits;
	u64 covered = 1ULL << a->block_bits;

	g->clusters = old + old / 2 + 1;
	if ((u64)g->clusters << bits > QCOW_DISK_MAX_REFTABLE_BYTES)
		return -ENOSPC;
	g->first = (u64)a->table_size << a->block_bits;
	g->size = ((u64)g->clusters << bits) / sizeof(u64);
	for (g->blocks = 1; g->blocks * covered < g->clusters + g->blocks;)
		g->blocks++;
	if (g->blocks > g->size - a->table_size)
		return -ENOSPC;
	g->table = kvcalloc(g->size, sizeof(u64), GFP_NOIO);
	return g->table ? 0 : -ENOMEM;
}

/* In memory: from here on the new table is the one. */
static int growth_switch(struct qcow_alloc *a, struct growth *g)
{
	u32 bits = alloc_cluster_bits(a);
	u32 n = g->clusters + g->blocks, i;
	u64 offset;
	int err;

	err = qcow_alloc_add_meta(a, g->first << bits, (u64)n << bits);
	memcpy(g->table, a->table, a->table_size * sizeof(u64));
	for (i = 0; !err && i < g->blocks; i++) {
		offset = (g->first + g->clusters + i) << bits;
		err = block_zero(a, offset);
		g->table[a->table_size + i] = offset;
	}
	if (err)
		return err;
	swap(a->table, g->table);
	a->table_size = g->size;
	a->fresh = max(a->fresh, g->first + n);
	for (i = 0; !err && i < n; i++)
		err = __set_refcount(a, g->first + i, 1);
	return err;
}

/* Refcounts as they are now, the table that leads to them, a flush between. */
static int growth_write(struct qcow_alloc *a, const struct growth *g)
{
	size_t bytes = g->size * sizeof(u64);
	LIST_HEAD(refs);
	__be64 *disk;
	u32 i;
	int err;

	disk = kvmalloc(bytes, GFP_NOIO);
	if (!disk)
		return -ENOMEM;
	for (i = 0; i < g->size; i++)
		disk[i] = cpu_to_be64(a->table[i]);
	err = qcow_cache_capture(a->refs, &refs);
	if (!err)
		err = qcow_cache_write(a->refs, &refs);
	qcow_cache_forget(a->refs, &refs, !err);
	if (!err)
		err = qcow_file_pwrite(&a->img->file,
				       g->first << alloc_cluster_bits(a), disk,
				       bytes);
	kvfree(disk);
	return err ?: qcow_file_sync(&a->img->file);
}

/* One write of the header makes it the table. */
static int growth_publish(struct qcow_alloc *a, const struct growth *g)
{
	struct {
		__be64 offset;
		__be32 clusters;
	} __packed where = {
		cpu_to_be64(g->first << alloc_cluster_bits(a)),
		cpu_to_be32(g->clusters),
	};
	int err;

	err = qcow_file_pwrite(&a->img->file,
			       offsetof(struct qcow_disk_header,
					refcount_table_offset),
			       &where, sizeof(where));
	return err ?: qcow_file_sync(&a->img->file);
}

static void __add_release(struct qcow_alloc *a, u64 first, u32 nr);

/*
 * Section "Refcounts": own the new table, write it, publish it in the header,
 * release the old one. An error once it is the one in memory is final.
 */
static int __grow_table(struct qcow_alloc *a)
{
	u64 old = a->table_offset >> alloc_cluster_bits(a);
	u32 nr = (a->table_size * sizeof(u64)) >> alloc_cluster_bits(a);
	struct growth g = { };
	int err;

	err = growth_plan(a, &g);
	if (err)
		return err;
	err = growth_switch(a, &g);
	if (!err)
		err = growth_write(a, &g);
	if (!err)
		err = growth_publish(a, &g);
	kvfree(g.table);
	if (err) {
		a->failed = err;
		return err;
	}
	a->table_offset = g.first << alloc_cluster_bits(a);
	a->table_dirty = (struct qcow_dirty_range) { };
	__add_release(a, old, nr);
	return 0;
}

/* --- Reservation --- */

/* Whether a cluster can be handed out; makes the block that says so. */
static int __cluster_free(struct qcow_alloc *a, u64 cluster, bool *is_free)
{
	u64 block = cluster >> a->block_bits;
	u64 value;
	int err;

	*is_free = false;
	if (block >= a->table_size) {
		err = a->failed ?: __grow_table(a);
		if (err)
			return err;
	}
	if (!(a->table[block] & QCOW_DISK_REFTABLE_OFFSET_MASK)) {
		/* No block: all that it would cover is free, or lost. */
		if (cluster != block << a->block_bits)
			return 0;
		return __new_block(a, cluster);
	}
	err = __get_refcount(a, cluster, &value);
	if (err || value)
		return err;
	if (!cluster || qcow_alloc_is_meta(a, cluster)) {
		qcow_image_damaged(a->img, 0, "refcount of a metadata cluster is zero");
		return -EIO;
	}
	*is_free = true;
	return 0;
}

/* Reserve up to @want clusters in a row, from a->hint on. */
static int __reserve(struct qcow_alloc *a, u32 want)
{
	u64 c = a->hint, first = 0;
	u32 n = 0;
	bool is_free;
	int err = 0;

	while (n < want) {
		err = __cluster_free(a, c, &is_free);
		if (err)
			break;
		if (is_free) {
			err = __set_refcount(a, c, 1);
			if (err)
				break;
			if (!n++)
				first = c;
		} else if (n) {
			break;
		}
		c++;
	}
	a->hint = c;
	if (!n)
		return err;
	a->pool_next = first;
	a->pool_end = first + n;
	return 0;
}

static u32 alloc_batch(const struct qcow_alloc *a, u32 want)
{
	u32 batch = clamp_t(u32, ALLOC_BATCH_BYTES >> alloc_cluster_bits(a), 1,
			    ALLOC_BATCH_MAX);

	return max(batch, want);
}

/**
 * qcow_alloc_clusters() - take clusters that nobody uses
 * @a: of the image
 * @want: how many in a row would be welcome
 * @first: number of the first
 * @got: 1 to @want
 * @fresh: what is not written there reads as zeros
 *
 * May sleep; reads refcounts, writes nothing.
 * Return: 0, -ENOSPC, or the error of reading refcounts.
 */
int qcow_alloc_clusters(struct qcow_alloc *a, u32 want, u64 *first, u32 *got,
			bool *fresh)
{
	int err = 0;

	mutex_lock(&a->lock);
	if (a->pool_next == a->pool_end)
		err = __reserve(a, alloc_batch(a, want));
	if (!err) {
		*first = a->pool_next;
		*got = min_t(u64, want, a->pool_end - a->pool_next);
		/* One answer for all of them. */
		if (*first < a->fresh && *first + *got > a->fresh)
			*got = a->fresh - *first;
		*fresh = *first >= a->fresh;
		a->pool_next += *got;
		/* What was handed out once is not fresh again. */
		a->fresh = max(a->fresh, a->pool_next);
	}
	mutex_unlock(&a->lock);
	return err;
}

/**
 * qcow_alloc_return_pool() - give back what is reserved and not used
 * @a: of the image
 *
 * For a clean close. May sleep.
 */
void qcow_alloc_return_pool(struct qcow_alloc *a)
{
	mutex_lock(&a->lock);
	for (; a->pool_next < a->pool_end; a->pool_next++)
		if (__set_refcount(a, a->pool_next, 0))
			break;
	a->pool_end = a->pool_next;
	mutex_unlock(&a->lock);
}

/* --- Release --- */

static void __add_release(struct qcow_alloc *a, u64 first, u32 nr)
{
	struct alloc_release *r = kmalloc(sizeof(*r), GFP_NOIO);

	lockdep_assert_held(&a->lock);
	if (!r)
		return;
	r->first = first;
	r->nr = nr;
	list_add_tail(&r->list, &a->releases);
}

/**
 * qcow_alloc_release() - clusters lost a reference, in memory
 * @a: of the image
 * @first: number of the first
 * @nr: how many
 *
 * May sleep. If there is no memory to remember them they are leaked.
 */
void qcow_alloc_release(struct qcow_alloc *a, u64 first, u32 nr)
{
	mutex_lock(&a->lock);
	__add_release(a, first, nr);
	mutex_unlock(&a->lock);
}

/**
 * qcow_alloc_take_releases() - take what a commit that begins now makes durable
 * @a: of the image
 * @list: an empty list; pass it to qcow_alloc_do_releases() after the commit
 */
void qcow_alloc_take_releases(struct qcow_alloc *a, struct list_head *list)
{
	mutex_lock(&a->lock);
	list_splice_init(&a->releases, list);
	mutex_unlock(&a->lock);
}

static void __release_one(struct qcow_alloc *a, u64 cluster)
{
	u64 value;

	if (__get_refcount(a, cluster, &value))
		return;
	if (!value) {
		qcow_image_damaged(a->img, 0, "refcount of a used cluster is zero");
		return;
	}
	if (__set_refcount(a, cluster, value - 1) || value > 1)
		return;
	xa_erase(&a->meta, cluster);
	a->hint = min(a->hint, cluster);
}

/* Waits for the I/O that began before now. */
static void alloc_drain(struct qcow_alloc *a)
{
	u8 old = a->epoch;

	WRITE_ONCE(a->epoch, !old);
	/* Pairs with the one in qcow_alloc_io_begin(). */
	smp_mb();
	wait_event(a->drained, !atomic_read(&a->inflight[old]));
}

/**
 * qcow_alloc_do_releases() - lower refcounts of what lost references durably
 * @a: of the image
 * @list: from qcow_alloc_take_releases()
 * @durable: the commit worked; else they wait for the next one
 *
 * Context: under a->commit_lock; not from an I/O of this image. May sleep.
 */
void qcow_alloc_do_releases(struct qcow_alloc *a, struct list_head *list,
			    bool durable)
{
	struct alloc_release *r, *next;
	u32 i;

	lockdep_assert_held(&a->commit_lock);
	if (list_empty(list))
		return;
	if (!durable) {
		mutex_lock(&a->lock);
		list_splice_init(list, &a->releases);
		mutex_unlock(&a->lock);
		return;
	}
	alloc_drain(a);
	list_for_each_entry_safe(r, next, list, list) {
		mutex_lock(&a->lock);
		for (i = 0; i < r->nr; i++)
			__release_one(a, r->first + i);
		mutex_unlock(&a->lock);
		kfree(r);
	}
	INIT_LIST_HEAD(list);
}

/* --- I/O under way --- */

void qcow_alloc_io_begin(struct qcow_alloc *a, struct qcow_io *io)
{
	for (;;) {
		io->epoch = READ_ONCE(a->epoch);
		atomic_inc(&a->inflight[io->epoch]);
		/* Pairs with the one in alloc_drain(). */
		smp_mb__after_atomic();
		if (likely(READ_ONCE(a->epoch) == io->epoch))
			return;
		qcow_alloc_io_end(a, io);
	}
}

void qcow_alloc_io_end(struct qcow_alloc *a, struct qcow_io *io)
{
	if (atomic_dec_and_test(&a->inflight[io->epoch]) &&
	    unlikely(wq_has_sleeper(&a->drained)))
		wake_up(&a->drained);
}

/* --- Clusters of the disk being given a place --- */

static bool range_taken(struct qcow_alloc *a, const struct qcow_range *r)
{
	const struct qcow_range *o;

	list_for_each_entry(o, &a->ranges, list)
		if (o->first <= r->last && r->first <= o->last)
			return true;
	return false;
}

static bool range_try(struct qcow_alloc *a, struct qcow_range *r)
{
	bool taken;

	spin_lock(&a->ranges_lock);
	taken = range_taken(a, r);
	if (!taken)
		list_add(&r->list, &a->ranges);
	spin_unlock(&a->ranges_lock);
	return !taken;
}

/**
 * qcow_alloc_lock_range() - wait until nobody else places these clusters
 * @a: of the image
 * @r: first and last set
 *
 * May sleep.
 */
void qcow_alloc_lock_range(struct qcow_alloc *a, struct qcow_range *r)
{
	wait_event(a->ranges_wait, range_try(a, r));
}

void qcow_alloc_unlock_range(struct qcow_alloc *a, struct qcow_range *r)
{
	spin_lock(&a->ranges_lock);
	list_del(&r->list);
	spin_unlock(&a->ranges_lock);
	wake_up_all(&a->ranges_wait);
}

/* --- Life --- */

static int alloc_read_table(struct qcow_alloc *a, const struct qcow_header *h)
{
	size_t bytes = (size_t)h->refcount_table_clusters << h->cluster_bits;
	u32 i;
	int err;

	a->table_offset = h->refcount_table_offset;
	a->table_size = bytes / sizeof(u64);
	a->table = kvmalloc(bytes, GFP_KERNEL);
	if (!a->table)
		return -ENOMEM;
	err = qcow_file_pread(&a->img->file, a->table_offset, a->table, bytes);
	if (err)
		return err;
	for (i = 0; i < a->table_size; i++)
		a->table[i] = be64_to_cpu(((__force __be64 *)a->table)[i]);
	return qcow_alloc_add_meta(a, a->table_offset, bytes);
}

static int alloc_add_tables(struct qcow_alloc *a, const struct qcow_header *h)
{
	u64 cluster = 1ULL << h->cluster_bits;
	u64 offset;
	u32 i;
	int err;

	err = qcow_alloc_add_meta(a, 0, cluster);
	if (!err)
		err = qcow_alloc_add_meta(a, h->l1_offset,
					  (u64)h->l1_size * sizeof(u64));
	for (i = 0; !err && i < a->table_size; i++) {
		offset = a->table[i] & QCOW_DISK_REFTABLE_OFFSET_MASK;
		if (offset)
			err = qcow_alloc_add_meta(a, offset, cluster);
	}
	for (i = 0; !err && i < a->img->l1_size; i++) {
		offset = a->img->l1[i] & QCOW_DISK_L1E_OFFSET_MASK;
		if (offset)
			err = qcow_alloc_add_meta(a, offset, cluster);
	}
	return err;
}

/**
 * qcow_alloc_create() - get ready to write an image
 * @img: opened, with its L1 table
 * @h: its header
 * @cache_bytes: of refcounts to keep in memory
 *
 * May sleep. Return: to be given to qcow_alloc_destroy(), or an ERR_PTR.
 */
struct qcow_alloc *qcow_alloc_create(struct qcow_image *img,
				     const struct qcow_header *h,
				     u64 cache_bytes)
{
	struct qcow_alloc *a = kzalloc(sizeof(*a), GFP_KERNEL);
	u32 slice_bits = min_t(u32, h->cluster_bits, QCOW_CACHE_MAX_SLICE_BITS);
	struct qcow_cache *refs;
	int err;

	if (!a)
		return ERR_PTR(-ENOMEM);
	a->img = img;
	a->order = h->refcount_order;
	a->block_bits = h->cluster_bits + 3 - a->order;
	a->l1_offset = h->l1_offset;
	a->hint = 1;
	a->fresh = DIV_ROUND_UP_ULL(img->file.size, 1ULL << h->cluster_bits);
	if (!S_ISREG(img->file.file->f_mapping->host->i_mode))
		a->fresh = U64_MAX;
	mutex_init(&a->lock);
	mutex_init(&a->l1_lock);
	mutex_init(&a->commit_lock);
	INIT_LIST_HEAD(&a->releases);
	INIT_LIST_HEAD(&a->ranges);
	spin_lock_init(&a->ranges_lock);
	init_waitqueue_head(&a->ranges_wait);
	init_waitqueue_head(&a->drained);
	xa_init(&a->meta);
	refs = qcow_cache_create(&img->file, slice_bits, cache_bytes);
	err = PTR_ERR_OR_ZERO(refs);
	if (!err) {
		a->refs = refs;
		err = alloc_read_table(a, h);
	}
	if (!err)
		err = alloc_add_tables(a, h);
	if (!err)
		return a;
	qcow_alloc_destroy(a);
	return ERR_PTR(err);
}

/**
 * qcow_alloc_destroy() - forget an image's clusters
 * @a: from qcow_alloc_create(), or NULL; committed, no I/O is under way
 */
void qcow_alloc_destroy(struct qcow_alloc *a)
{
	struct alloc_release *r, *next;

	if (!a)
		return;
	list_for_each_entry_safe(r, next, &a->releases, list)
		kfree(r);
	qcow_cache_destroy(a->refs);
	xa_destroy(&a->meta);
	kvfree(a->table);
	kfree(a);
}
