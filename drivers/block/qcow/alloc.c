// SPDX-License-Identifier: GPL-2.0
/*
 * Clusters of an image that is written: reservation, and what must not be hit.
 *
 * Clusters are taken from the refcounts in batches and handed out from memory.
 * What is reserved when power fails is leaked, no more. The space of a batch is
 * taken in one run, and what was not used is given back when the image is closed.
 *
 * Section "Host cluster management" of the specification. Version 1 knows nothing
 * of what is used: what lies behind the end of the file is free, nothing else.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "cache.h"
#include "refcount.h"
#include "release.h"
#include "snapshot.h"
#include "space.h"
#include "stray.h"

/* A batch: bytes, and clusters. */
#define ALLOC_BATCH_BYTES	(4U << 20)
#define ALLOC_BATCH_MAX		128

/* Entries lead to offsets of so many bits. */
#define ALLOC_OFFSET_BITS	56

static bool alloc_has_refcounts(const struct qcow_alloc *a)
{
	return qcow_layout_has_refcounts(&a->img->layout);
}

/* --- Space --- */

/*
 * Let the file reach up to @end. Its last byte is allocated rather than the size set:
 * that can never cut off what others are writing there. Where it does not work,
 * writes make the file longer themselves.
 */
static void __grow_file(struct qcow_alloc *a, u64 end)
{
	int err;

	lockdep_assert_held(&a->lock);
	if (end <= a->file_end)
		return;
	err = qcow_space_allocate(&a->img->file, end - 1, 1);
	if (err == -EOPNOTSUPP)
		a->file_end = U64_MAX;
	else if (!err)
		a->file_end = end;
}

/*
 * Take the space of clusters that were just reserved, in one run: the host's file
 * stays in one piece, and its filesystem need not look for space with each cluster.
 * If there is no room for a run, what was taken of it goes back, because metadata or
 * other files may need it, and the clusters are holes.
 * Return: whether they read as zeros.
 */
static bool __renew(struct qcow_alloc *a, u64 first, u32 nr)
{
	u32 bits = qcow_alloc_cluster_bits(a);
	u64 pos = first << bits, len = (u64)nr << bits;
	struct qcow_file *f = &a->img->file;
	int err;

	lockdep_assert_held(&a->lock);
	err = a->no_renew ? -EOPNOTSUPP : qcow_space_renew(f, pos, len);
	if (err == -EOPNOTSUPP) {
		a->no_renew = true;
		__grow_file(a, pos + len);
		return false;
	}
	WRITE_ONCE(a->unsynced, true);
	if (!qcow_file_regular(f))
		return !err;
	a->file_end = max(a->file_end, pos + len);
	return !err || !qcow_space_punch(f, pos, len);
}

/* Clusters of the file up to the last used one, if that is among @first to @end. */
static u64 used_clusters(struct qcow_alloc *a, u64 first, u64 end)
{
	bool found = false;

	mutex_lock(&a->lock);
	if (!alloc_has_refcounts(a)) {
		end = min(end, a->hint);
		found = true;
	}
	while (!found && end > first) {
		if (__qcow_refcount_find_used(a, &end, &found))
			break;
		cond_resched();
	}
	mutex_unlock(&a->lock);
	return max(end, first);
}

/**
 * qcow_alloc_trim() - cut off what the file has behind the last used cluster
 * @a: of the image; nothing is under way, all is committed
 *
 * May sleep. What fails is left as it is: the file is just longer.
 */
void qcow_alloc_trim(struct qcow_alloc *a)
{
	u64 end = qcow_file_size(&a->img->file), before = a->img->file.size;
	u32 bits = qcow_alloc_cluster_bits(a);
	u64 cluster = 1ULL << bits, used;

	if (a->file_end == U64_MAX || end <= before)
		return;
	/* What is in use cannot be told by refcounts. */
	if (a->nr_strays)
		return;
	/* Something lies behind all that was handed out: not ours to cut, either. */
	if (end > max(a->file_end, a->fresh << bits))
		return;
	used = used_clusters(a, DIV_ROUND_UP_ULL(before, cluster),
			     DIV_ROUND_UP_ULL(end, cluster));
	/* What was there before is not ours to cut. */
	used = max(used << bits, before);
	if (used < end && qcow_space_truncate(&a->img->file, used))
		return;
}

/**
 * qcow_alloc_secure() - see to it that clusters of metadata can be written
 * @a: of the image
 * @first: number of the first; they were taken for a table
 * @nr: how many
 *
 * Nothing is linked to a table for which there is no space, or what was written
 * elsewhere could not be made durable either. May sleep.
 * Return: 0, -ENOSPC, or another error.
 */
int qcow_alloc_secure(struct qcow_alloc *a, u64 first, u32 nr)
{
	u32 bits = qcow_alloc_cluster_bits(a);
	int err;

	if (!qcow_file_regular(&a->img->file))
		return 0;
	err = qcow_space_allocate(&a->img->file, first << bits, (u64)nr << bits);
	return err == -EOPNOTSUPP ? 0 : err;
}

/**
 * qcow_alloc_refused() - may no more metadata be changed?
 * @a: of the image
 *
 * After a sync has failed no metadata is written any more, so what is changed stays
 * in memory until detach. The caches' limits bound that memory. Any context.
 *
 * Return: 0, or -EIO.
 */
int qcow_alloc_refused(const struct qcow_alloc *a)
{
	if (likely(!READ_ONCE(a->failed)))
		return 0;
	return qcow_cache_full(a->img->cache) || qcow_cache_full(a->refs) ?
	       -EIO : 0;
}

/* --- Reservation --- */

static void __return_run(struct qcow_alloc *a, struct qcow_run *run)
{
	for (; run->next < run->end; run->next++)
		if (__qcow_refcount_set(a, run->next, 0))
			break;
	run->end = run->next;
}

/**
 * __qcow_alloc_unreserve() - have none of some clusters reserved
 * @a: of the image
 * @cluster: one of them
 *
 * If it is reserved, all that is reserved is free again, as far as refcounts tell.
 * Context: under a->lock. May sleep.
 */
void __qcow_alloc_unreserve(struct qcow_alloc *a, u64 cluster)
{
	lockdep_assert_held(&a->lock);
	if (likely(cluster < a->pool.next || cluster >= a->pool.end))
		return;
	WRITE_ONCE(a->hint, min(a->hint, a->pool.next));
	__return_run(a, &a->pool);
}

/*
 * A volume may have been extended, or made smaller, since it was last looked at.
 * What is reserved behind its end is given back: no write could get there.
 */
static void __follow_volume(struct qcow_alloc *a)
{
	struct qcow_run behind = { .end = a->pool.end };

	lockdep_assert_held(&a->lock);
	if (qcow_file_regular(&a->img->file))
		return;
	a->limit = qcow_file_size(&a->img->file) >> qcow_alloc_cluster_bits(a);
	if (likely(a->pool.end <= a->limit))
		return;
	behind.next = max(a->pool.next, a->limit);
	a->pool.end = behind.next;
	if (alloc_has_refcounts(a))
		__return_run(a, &behind);
}

/* Version 1: take @nr clusters behind all that were ever taken. */
static int __take_end(struct qcow_alloc *a, u32 nr, u64 *first)
{
	if (a->hint >= a->limit || nr > a->limit - a->hint)
		return -ENOSPC;
	*first = a->hint;
	WRITE_ONCE(a->hint, a->hint + nr);
	return 0;
}

/* Nothing that is free may hold metadata: refcounts that say so are wrong. */
static int __check_free(struct qcow_alloc *a, u64 cluster, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++) {
		if (likely(!qcow_alloc_is_meta(a, cluster + i)))
			continue;
		qcow_image_damaged(a->img, 0, "refcount of a metadata cluster is zero");
		return -EIO;
	}
	return 0;
}

/* Look for up to @want free clusters in a row, from @a->hint on. */
static int __find_free(struct qcow_alloc *a, u32 want, u64 *first, u32 *got)
{
	u64 cluster = a->hint;
	bool covered;
	int err;

	for (*got = 0; !*got; a->hint = cluster) {
		if (cluster >= a->limit)
			return -ENOSPC;
		cond_resched();
		err = __qcow_refcount_cover(a, cluster, &covered);
		if (err)
			return err;
		if (!covered) {
			/* To the next block. */
			cluster = ((cluster >> a->block_bits) + 1) << a->block_bits;
			continue;
		}
		err = __qcow_refcount_find(a, &cluster, want, got);
		if (err)
			return err;
		*got = __qcow_stray_skip(a, &cluster, *got);
	}
	if (cluster >= a->limit)
		return -ENOSPC;
	*got = min_t(u64, *got, a->limit - cluster);
	*first = cluster;
	return __check_free(a, cluster, *got);
}

/* Up to @want clusters in a row are in use from now on. */
static int __take_counted(struct qcow_alloc *a, u32 want, u64 *first, u32 *got)
{
	u32 n;
	int err;

	err = __find_free(a, want, first, got);
	for (n = 0; !err && n < *got; n++) {
		err = __qcow_refcount_set(a, *first + n, 1);
		if (err)
			break;
	}
	if (err && !n)
		return err;
	*got = n;
	a->hint = *first + n;
	return 0;
}

/* Reserve up to @want clusters in a row. */
static int __reserve(struct qcow_alloc *a, u32 want)
{
	u32 got = want;
	u64 first;
	int err;

	if (alloc_has_refcounts(a))
		err = __take_counted(a, want, &first, &got);
	else
		err = __take_end(a, want, &first);
	if (err)
		return err;
	a->pool.next = first;
	a->pool.end = first + got;
	a->pool_zeroed = __renew(a, first, got);
	return 0;
}

static u32 alloc_batch(const struct qcow_alloc *a, u32 want)
{
	u32 batch = clamp_t(u32, ALLOC_BATCH_BYTES >> qcow_alloc_cluster_bits(a),
			    1, ALLOC_BATCH_MAX);

	return max(batch, want);
}

static void __take(struct qcow_alloc *a, u32 want, u64 *first, u32 *got,
		   bool *fresh)
{
	*first = a->pool.next;
	*got = min_t(u64, want, a->pool.end - a->pool.next);
	/* One answer for all of them. */
	if (!a->pool_zeroed && *first < a->fresh && *first + *got > a->fresh)
		*got = a->fresh - *first;
	*fresh = a->pool_zeroed || *first >= a->fresh;
	a->pool.next += *got;
	/* What was handed out once is not fresh again. */
	a->fresh = max(a->fresh, a->pool.next);
}

/**
 * qcow_alloc_clusters() - take clusters that nobody uses
 * @a: of the image
 * @want: how many in a row would be welcome
 * @first: number of the first
 * @got: 1 to @want
 * @fresh: what is not written there reads as zeros
 *
 * Context: as qcow_refcount_grow(). May sleep; reads refcounts, makes the file
 * longer, writes nothing but a larger refcount table. What was taken and is not
 * linked has to be given to qcow_release().
 * Return: 0; -ENOSPC: all are taken that entries can lead to, that the device has now
 * or that a refcount table of the largest size covers; -EIO: metadata is said to be
 * free, which stops the image; or the error of reading refcounts or of making the
 * table larger, -ENOMEM among them.
 */
int qcow_alloc_clusters(struct qcow_alloc *a, u32 want, u64 *first, u32 *got,
			bool *fresh)
{
	u64 hint;
	int err;

	do {
		err = qcow_alloc_refused(a);
		if (err)
			return err;
		mutex_lock(&a->lock);
		__follow_volume(a);
		if (a->pool.next == a->pool.end)
			err = __reserve(a, alloc_batch(a, want));
		if (!err)
			__take(a, want, first, got, fresh);
		hint = a->hint;
		mutex_unlock(&a->lock);
		if (err != -ERANGE)
			break;
		err = qcow_refcount_grow(a, hint);
	} while (!err);
	return err;
}

/* --- Clusters in a row --- */

/* How many of @nr clusters are free from @first on, which is, in its block. */
static int __count_free(struct qcow_alloc *a, u64 first, u32 nr, u32 *got)
{
	u64 value;
	int err;

	for (*got = 1; *got < nr; ++*got) {
		if (first >> a->block_bits != (first + *got) >> a->block_bits)
			break;
		err = __qcow_refcount_get(a, first + *got, &value);
		if (err)
			return err;
		if (value)
			break;
	}
	return 0;
}

/* Look for @nr free clusters in a row. -ERANGE: @first has to be covered. */
static int __find_run(struct qcow_alloc *a, u32 nr, u64 *first)
{
	bool covered;
	u32 got = 0;
	int err;

	for (*first = a->hint; ; *first += got) {
		if (*first >= a->limit || nr > a->limit - *first)
			return -ENOSPC;
		cond_resched();
		got = 0;
		err = __qcow_refcount_cover(a, *first, &covered);
		if (err)
			return err;
		if (!covered) {
			*first = ((*first >> a->block_bits) + 1) << a->block_bits;
			continue;
		}
		err = __qcow_refcount_find(a, first, 1, &got);
		if (!err && got)
			err = __count_free(a, *first, nr, &got);
		if (err)
			return err;
		got = __qcow_stray_skip(a, first, got);
		if (got == nr)
			return __check_free(a, *first, nr);
	}
}

/* All of them, or none. */
static int __use_run(struct qcow_alloc *a, u64 first, u32 nr)
{
	int err = 0;
	u32 n;

	for (n = 0; n < nr; n++) {
		err = __qcow_refcount_set(a, first + n, 1);
		if (err)
			break;
	}
	if (!err)
		return 0;
	/* What cannot be undone is leaked. */
	while (n--)
		if (__qcow_refcount_set(a, first + n, 0))
			break;
	return err;
}

static int __take_run(struct qcow_alloc *a, u32 nr, u64 *first)
{
	int err;

	if (!alloc_has_refcounts(a))
		return __take_end(a, nr, first);
	/* Of what is reserved, if there is as much. */
	if (a->pool.end - a->pool.next >= nr) {
		*first = a->pool.next;
		a->pool.next += nr;
		a->fresh = max(a->fresh, a->pool.next);
		return 0;
	}
	err = __find_run(a, nr, first);
	if (!err)
		err = __use_run(a, *first, nr);
	if (err)
		return err;
	a->fresh = max(a->fresh, *first + nr);
	return 0;
}

/* Space for it, as for every table that is not written yet. */
static int run_secure(struct qcow_alloc *a, enum qcow_meta kind, u32 nr,
		      u64 first)
{
	int err;

	err = qcow_alloc_new_meta(a, kind, first << qcow_alloc_cluster_bits(a),
				  (u64)nr << qcow_alloc_cluster_bits(a));
	return err ?: qcow_alloc_secure(a, first, nr);
}

/**
 * qcow_alloc_run() - take clusters in a row, for a table
 * @a: of the image
 * @kind: what they will hold
 * @nr: how many, at least 1
 * @first: number of the first
 *
 * Context: as qcow_alloc_clusters(). May sleep. If they are not used they have to
 * be given to qcow_release().
 * Return: 0; -EFBIG: there can be no such row in this image; or as
 * qcow_alloc_clusters().
 */
int qcow_alloc_run(struct qcow_alloc *a, enum qcow_meta kind, u32 nr, u64 *first)
{
	int err;

	/* Each refcount block lies first in what it covers, if it is new. */
	if (alloc_has_refcounts(a) && nr >> a->block_bits)
		return -EFBIG;
	err = qcow_alloc_refused(a);
	if (err)
		return err;
	do {
		mutex_lock(&a->lock);
		__follow_volume(a);
		err = __take_run(a, nr, first);
		mutex_unlock(&a->lock);
		if (err != -ERANGE)
			break;
		err = qcow_refcount_grow(a, *first);
	} while (!err);
	if (err)
		return err;
	err = run_secure(a, kind, nr, *first);
	if (err)
		qcow_release(a, *first, nr);
	return err;
}

/* Give back the space that was taken ahead. What fails is left as it is. */
static void __return_space(struct qcow_alloc *a)
{
	u32 bits = qcow_alloc_cluster_bits(a);
	u64 nr = a->pool.end - a->pool.next;

	if (nr && a->pool_zeroed && qcow_file_regular(&a->img->file) &&
	    qcow_space_punch(&a->img->file, a->pool.next << bits, nr << bits))
		return;
}

/**
 * qcow_alloc_return_pool() - give back what is reserved and not used
 * @a: of the image
 *
 * For a clean close: no I/O is under way. May sleep.
 */
void qcow_alloc_return_pool(struct qcow_alloc *a)
{
	mutex_lock(&a->lock);
	__return_space(a);
	if (!alloc_has_refcounts(a)) {
		if (a->hint == a->pool.end)
			a->hint = a->pool.next;
		a->pool.next = a->pool.end;
	}
	__return_run(a, &a->pool);
	mutex_unlock(&a->lock);
}

/* --- Life --- */

/* What is taken begins here, at the earliest: no table may lie there. */
static u64 v1_end(const struct qcow_alloc *a)
{
	return round_up(a->img->file.size, 1ULL << qcow_alloc_cluster_bits(a));
}

/* Version 1: an entry is an offset and nothing else, and not behind the end. */
static int v1_check_table(const struct qcow_alloc *a, u32 index, u64 offset)
{
	u64 bytes = qcow_layout_l2_bytes(&a->img->layout);

	if (a->img->l1[index] != offset)
		return -EUCLEAN;
	return offset && offset + bytes > v1_end(a) ? -EUCLEAN : 0;
}

static int alloc_add_l2_tables(struct qcow_alloc *a)
{
	u64 bytes = qcow_layout_l2_bytes(&a->img->layout), offset;
	int err = 0;
	u32 i;

	for (i = 0; !err && i < a->img->l1_size; i++) {
		if (!(i % 1024))
			cond_resched();
		err = qcow_image_interrupted(a->img);
		if (err)
			return err;
		offset = a->img->l1[i] & QCOW_DISK_L1E_OFFSET_MASK;
		if (!alloc_has_refcounts(a))
			err = v1_check_table(a, i, offset);
		if (offset && !err)
			err = qcow_alloc_claim_meta(a, QCOW_META_L2, offset,
						    bytes);
	}
	return err;
}

/*
 * The header, the backing file's name and the L1 table need not have sectors of
 * their own: one kind.
 */
static int alloc_add_v1_tables(struct qcow_alloc *a, const struct qcow_header *h)
{
	u64 l1_bytes = (u64)h->l1_size * sizeof(u64);
	int err;

	if (h->l1_offset + l1_bytes > v1_end(a))
		return -EUCLEAN;
	err = qcow_alloc_add_meta(a, QCOW_META_HEADER, 0, h->header_length);
	if (!err)
		err = qcow_alloc_add_meta(a, QCOW_META_HEADER,
					  h->backing_offset, h->backing_len);
	if (!err)
		err = qcow_alloc_add_meta(a, QCOW_META_HEADER, h->l1_offset,
					  l1_bytes);
	return err ?: alloc_add_l2_tables(a);
}

static int alloc_add_tables(struct qcow_alloc *a, const struct qcow_header *h)
{
	int err;

	if (!alloc_has_refcounts(a))
		return alloc_add_v1_tables(a, h);
	err = qcow_alloc_claim_meta(a, QCOW_META_HEADER, 0,
				    1ULL << h->cluster_bits);
	if (!err)
		err = qcow_alloc_claim_meta(a, QCOW_META_L1, h->l1_offset,
					    (u64)h->l1_size * sizeof(u64));
	if (!err)
		err = qcow_refcount_load(a, h);
	if (!err)
		err = alloc_add_l2_tables(a);
	if (!err)
		err = qcow_snapshot_add_meta(a, h);
	if (!err && h->crypt_method == QCOW_DISK_CRYPT_LUKS)
		err = qcow_alloc_claim_meta(a, QCOW_META_LUKS, h->crypto_offset,
					    h->crypto_length);
	return err;
}

/*
 * Memory for what surrounds a write: two clusters. One piece is kept from one write
 * to the next, because allocating and clearing it costs more than all else.
 */
static void *around_alloc(gfp_t gfp, void *data)
{
	struct qcow_alloc *a = data;
	void *around = xchg(&a->spare, NULL);

	return around ?: kvmalloc(2UL << qcow_alloc_cluster_bits(a), gfp);
}

/*
 * The pool calls this for surplus only: an element that it lacks goes back to it,
 * and wakes a writer that waits there.
 */
static void around_free(void *element, void *data)
{
	struct qcow_alloc *a = data;

	if (cmpxchg(&a->spare, NULL, element))
		kvfree(element);
}

/* Memory of its own, so that a write goes on when there is no other. */
static int alloc_memory(struct qcow_alloc *a, const struct qcow_header *h,
			const struct qcow_params *params)
{
	u32 slice_bits = min_t(u32, h->cluster_bits, QCOW_CACHE_MAX_SLICE_BITS);
	struct qcow_cache *refs;

	a->around = mempool_create(1, around_alloc, around_free, a);
	if (!a->around)
		return -ENOMEM;
	refs = qcow_cache_create(&a->img->file, slice_bits,
				 params->cache_bytes);
	if (IS_ERR(refs))
		return PTR_ERR(refs);
	a->refs = refs;
	return 0;
}

static void alloc_init(struct qcow_alloc *a, struct qcow_image *img,
		       const struct qcow_header *h,
		       const struct qcow_params *params)
{
	a->img = img;
	a->order = h->refcount_order;
	a->block_bits = h->cluster_bits + 3 - a->order;
	a->l1_offset = h->l1_offset;
	a->wq = params->commit_wq;
	a->hint = 1;
	if (qcow_file_regular(&img->file)) {
		a->fresh = DIV_ROUND_UP_ULL(img->file.size,
					    1ULL << h->cluster_bits);
		a->file_end = img->file.size;
		a->limit = 1ULL << (ALLOC_OFFSET_BITS - h->cluster_bits);
	} else {
		a->limit = qcow_file_size(&img->file) >> h->cluster_bits;
		a->fresh = U64_MAX;
		a->file_end = U64_MAX;
	}
	if (!alloc_has_refcounts(a))
		a->hint = min(DIV_ROUND_UP_ULL(img->file.size,
					       1ULL << h->cluster_bits),
			      a->limit);
	mutex_init(&a->lock);
	mutex_init(&a->l1_lock);
	mutex_init(&a->commit_lock);
	mutex_init(&a->store_lock);
	init_waitqueue_head(&a->stored);
	qcow_release_init(a);
	qcow_inflight_init(&a->inflight);
	/* In a data file everything has a place; others do not write in place. */
	a->no_renew = img->layout.data_file || !img->file.overwrites;
	qcow_alloc_init_meta(a);
	xa_init(&a->strays);
}

/**
 * qcow_alloc_create() - get ready to write an image
 * @img: opened, with its L1 table
 * @h: its header
 * @params: cache_bytes: of refcounts to keep in memory, too; commit_wq
 *
 * May sleep. Return: to be given to qcow_alloc_destroy(), or an ERR_PTR;
 * -EUCLEAN: metadata overlaps, or lies where it cannot be; -EFBIG: there is more of
 * it than this machine has the memory for.
 */
struct qcow_alloc *qcow_alloc_create(struct qcow_image *img,
				     const struct qcow_header *h,
				     const struct qcow_params *params)
{
	struct qcow_alloc *a = kzalloc(sizeof(*a), GFP_KERNEL);
	int err;

	if (!a)
		return ERR_PTR(-ENOMEM);
	alloc_init(a, img, h, params);
	err = alloc_memory(a, h, params);
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
	if (!a)
		return;
	qcow_release_forget(a);
	qcow_cache_destroy(a->refs);
	mempool_destroy(a->around);
	kvfree(a->spare);
	xa_destroy(&a->meta);
	xa_destroy(&a->strays);
	kvfree(a->table);
	kfree(a);
}
