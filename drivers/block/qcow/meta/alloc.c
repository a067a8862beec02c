// SPDX-License-Identifier: GPL-2.0
/*
 * Allocation of clusters in an image that is written: search, reservation,
 * preallocation. Allocating writes (data/), L2 tables (l2.c) and makers of tables
 * call it; it changes refcounts, but no L1 or L2 entry.
 *
 * Clusters are taken from the refcounts in batches and handed out from memory. A power
 * cut leaks the reserved ones, no more. The space of a batch is preallocated in one
 * run; closing the image gives unused space back.
 *
 * Section "Host cluster management" of the specification. Version 1 has no refcounts:
 * space behind the end of the file is free, and nothing else.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "file/space.h"
#include "meta/alloc.h"
#include "meta/growth.h"
#include "meta/refcount.h"
#include "meta/release.h"
#include "meta/search.h"
#include "meta/stray.h"
#include "meta/trace.h"
#include "meta/writeback.h"

/* A batch: bytes, and clusters. */
#define ALLOC_BATCH_BYTES	SZ_4M
#define ALLOC_BATCH_MAX		128

/* --- Space --- */

/*
 * Make the file reach up to @end. Allocating its last byte, unlike setting the size,
 * can never cut off data that is being written there. Where it does not work, writes
 * make the file longer themselves.
 */
static void __grow_file(struct qcow_alloc *a, u64 host_end)
{
	int err;

	lockdep_assert_held(&a->lock);
	if (host_end <= a->reserve.file_end)
		return;
	err = qcow_space_allocate(&a->img->file, host_end - 1, 1);
	if (err == -EOPNOTSUPP)
		a->reserve.file_end = U64_MAX;
	else if (!err)
		a->reserve.file_end = host_end;
}

/*
 * Preallocate the space of clusters that were just reserved, in one run: the file stays
 * in one piece, and its filesystem need not search for each cluster. If there is no
 * room for a run, the space that was taken goes back, because metadata or other files
 * may need it, and the clusters are holes. Return: whether they read as zeros.
 */
static bool __renew(struct qcow_alloc *a, u64 first, u32 nr)
{
	u32 bits = qcow_alloc_cluster_bits(a);
	u64 host_offset = first << bits, len = (u64)nr << bits;
	struct qcow_file *f = &a->img->file;
	int err;

	lockdep_assert_held(&a->lock);
	err = a->reserve.no_renew ? -EOPNOTSUPP : qcow_space_renew(f, host_offset, len);
	if (err == -EOPNOTSUPP) {
		a->reserve.no_renew = true;
		__grow_file(a, host_offset + len);
		return false;
	}
	qcow_alloc_set_unsynced(a);
	if (!qcow_file_regular(f))
		return !err;
	a->reserve.file_end = max(a->reserve.file_end, host_offset + len);
	return !err || !qcow_space_punch(f, host_offset, len);
}

/*
 * Return: the end of the last used cluster, if that is between @first and @end; or
 * @first.
 */
static u64 used_clusters(struct qcow_alloc *a, u64 first, u64 end)
{
	bool found = false;

	mutex_lock(&a->lock);
	if (!qcow_alloc_has_refcounts(a)) {
		end = min(end, a->search.hint);
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
 * qcow_alloc_trim() - cut the file off behind the last used cluster
 * @a: of the image; no I/O is under way, and all is flushed
 *
 * A failure leaves the file longer, and does no other harm.
 *
 * Context: may sleep.
 */
void qcow_alloc_trim(struct qcow_alloc *a)
{
	u64 host_end = qcow_file_size(&a->img->file), before = a->img->file.size;
	u32 bits = qcow_alloc_cluster_bits(a);
	u64 cluster = 1ULL << bits, used;

	if (a->reserve.file_end == U64_MAX || host_end <= before)
		return;
	/* To them a shorter file would be damaged. */
	if (test_bit(QCOW_IMAGE_SHARED, &a->img->flags))
		return;
	/* With strays, refcounts do not tell which clusters are in use. */
	if (qcow_stray_any(a))
		return;
	/* Another program wrote behind all clusters that were handed out. */
	if (host_end > max(a->reserve.file_end, a->search.fresh << bits))
		return;
	used = used_clusters(a, DIV_ROUND_UP_ULL(before, cluster),
			     DIV_ROUND_UP_ULL(host_end, cluster));
	/* Keep the length that the file had at attach, and all metadata that was found. */
	used = max3(used << bits, before, qcow_register_end(&a->reg));
	if (used < host_end && qcow_space_truncate(&a->img->file, used))
		return;
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
 * __qcow_alloc_unreserve() - make sure that no cluster of a run is reserved
 * @a: of the image
 * @first: number of the first cluster
 * @nr: number of clusters
 *
 * If one is reserved, the whole reserved run goes back to the refcounts.
 *
 * Context: under a->lock. May sleep.
 */
void __qcow_alloc_unreserve(struct qcow_alloc *a, u64 first, u32 nr)
{
	lockdep_assert_held(&a->lock);
	if (likely(first + nr <= a->reserve.run.next || first >= a->reserve.run.end))
		return;
	__qcow_search_freed(&a->search, a->reserve.run.next);
	__return_run(a, &a->reserve.run);
}

/*
 * A block device may have grown or shrunk since the last look. Clusters reserved behind
 * its end are given back: no write could reach them.
 */
static void __follow_volume(struct qcow_alloc *a)
{
	struct qcow_run behind = { .end = a->reserve.run.end };

	lockdep_assert_held(&a->lock);
	if (qcow_file_regular(&a->img->file))
		return;
	a->search.limit = qcow_file_size(&a->img->file) >> qcow_alloc_cluster_bits(a);
	if (likely(a->reserve.run.end <= a->search.limit))
		return;
	behind.next = max(a->reserve.run.next, a->search.limit);
	a->reserve.run.end = behind.next;
	if (qcow_alloc_has_refcounts(a))
		__return_run(a, &behind);
}

/* Version 1: take @nr clusters behind all that were ever taken. */
static int __take_end(struct qcow_alloc *a, u32 nr, u64 *first)
{
	if (a->search.hint >= a->search.limit || nr > a->search.limit - a->search.hint)
		return -ENOSPC;
	*first = a->search.hint;
	WRITE_ONCE(a->search.hint, a->search.hint + nr);
	return 0;
}

/* Look for up to @want free clusters in a row, from @a->search.hint on. */
static int __find_free(struct qcow_alloc *a, u32 want, u64 *first, u32 *got)
{
	u64 cluster = a->search.hint;
	bool covered;
	int err;

	for (*got = 0; !*got; a->search.hint = cluster) {
		if (cluster >= a->search.limit)
			return -ENOSPC;
		cond_resched();
		err = __qcow_refcount_cover(a, cluster, &covered);
		if (err)
			return err;
		if (!covered) {
			/* Go on with the next block. */
			cluster = qcow_refcount_next_block(a, cluster);
			continue;
		}
		err = __qcow_refcount_find(a, &cluster, want, got);
		if (err)
			return err;
		*got = __qcow_stray_skip(a, &cluster, *got);
	}
	if (cluster >= a->search.limit)
		return -ENOSPC;
	*got = min_t(u64, *got, a->search.limit - cluster);
	*first = cluster;
	return 0;
}

/* Take up to @want clusters in a row from the refcounts. */
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
	a->search.hint = *first + n;
	return 0;
}

/* Reserve up to @want clusters in a row. */
static int __reserve(struct qcow_alloc *a, u32 want)
{
	u32 got = want;
	u64 first;
	int err;

	if (qcow_alloc_has_refcounts(a))
		err = __take_counted(a, want, &first, &got);
	else
		err = __take_end(a, want, &first);
	if (err)
		return err;
	a->reserve.run.next = first;
	a->reserve.run.end = first + got;
	a->reserve.zeroed = __renew(a, first, got);
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
	*first = a->reserve.run.next;
	*got = min_t(u64, want, a->reserve.run.end - a->reserve.run.next);
	/* @fresh has to hold for all of them. */
	if (!a->reserve.zeroed && *first < a->search.fresh && *first + *got > a->search.fresh)
		*got = a->search.fresh - *first;
	*fresh = a->reserve.zeroed || *first >= a->search.fresh;
	a->reserve.run.next += *got;
	/* Clusters that were handed out once are not fresh again. */
	__qcow_search_taken(&a->search, a->reserve.run.next);
}

static void alloc_count(struct qcow_alloc *a, u64 first, u32 nr)
{
	u32 bits = qcow_alloc_cluster_bits(a);

	qcow_count(a->img->stats, &a->img->stats->allocated, nr);
	trace_qcow_allocate(a->img->label, first << bits, (u64)nr << bits);
}

/**
 * qcow_alloc_clusters() - allocate clusters
 * @a: of the image
 * @want: most clusters to take, in a row
 * @first: number of the first cluster
 * @got: 1 to @want
 * @fresh: out: they read as zeros
 *
 * The caller gives clusters that it does not link to qcow_alloc_undo().
 *
 * Context: as qcow_growth_cover(). May sleep; reads refcounts, makes the file longer,
 * writes nothing but a larger refcount table.
 *
 * Return: 0; -ENOSPC: no cluster is left that an entry can lead to, that the device has
 * now, or that the largest refcount table covers; or the error of reading refcounts or
 * of making the table larger, -ENOMEM among them.
 */
int qcow_alloc_clusters(struct qcow_alloc *a, u32 want, u64 *first, u32 *got,
			bool *fresh)
{
	u64 hint;
	int err;

	do {
		err = qcow_writeback_refused(a);
		if (err)
			return err;
		mutex_lock(&a->lock);
		__follow_volume(a);
		if (a->reserve.run.next == a->reserve.run.end)
			err = __reserve(a, alloc_batch(a, want));
		if (!err)
			__take(a, want, first, got, fresh);
		hint = a->search.hint;
		mutex_unlock(&a->lock);
		if (err != -ERANGE)
			break;
		err = qcow_growth_cover(a, hint);
	} while (!err);
	if (!err)
		alloc_count(a, *first, *got);
	return err;
}

/* --- Clusters in a row --- */

/*
 * Count free clusters from @first on, which is free, up to @nr and to the end of its
 * block.
 */
static int __count_free(struct qcow_alloc *a, u64 first, u32 nr, u32 *got)
{
	u64 end = min(first + nr, qcow_refcount_next_block(a, first)), value;
	int err;

	for (*got = 1; first + *got < end; ++*got) {
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
	u64 counted;
	u32 got = 0;
	int err;

	for (*first = a->search.hint; ; *first += got) {
		if (*first >= a->search.limit || nr > a->search.limit - *first)
			return -ENOSPC;
		cond_resched();
		got = 0;
		err = __qcow_refcount_cover(a, *first, &covered);
		if (err)
			return err;
		if (!covered) {
			*first = qcow_refcount_next_block(a, *first);
			continue;
		}
		err = __qcow_refcount_find(a, first, 1, &got);
		if (!err && got)
			err = __count_free(a, *first, nr, &got);
		if (err)
			return err;
		counted = *first;
		got = __qcow_stray_skip(a, first, got);
		if (got == nr)
			return 0;
		/* Behind strays it counts anew. */
		if (*first > counted)
			got = 0;
	}
}

/* Take all of the clusters, or none. */
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
	/* A failure to undo leaks clusters. */
	while (n--)
		if (__qcow_refcount_set(a, first + n, 0))
			break;
	return err;
}

static int __take_run(struct qcow_alloc *a, u32 nr, u64 *first)
{
	int err;

	if (!qcow_alloc_has_refcounts(a))
		return __take_end(a, nr, first);
	/* Take reserved clusters if there are enough. */
	if (a->reserve.run.end - a->reserve.run.next >= nr) {
		*first = a->reserve.run.next;
		a->reserve.run.next += nr;
		__qcow_search_taken(&a->search, a->reserve.run.next);
		return 0;
	}
	err = __find_run(a, nr, first);
	if (!err)
		err = __use_run(a, *first, nr);
	if (err)
		return err;
	__qcow_search_taken(&a->search, *first + nr);
	return 0;
}

/* Register the new table, and allocate its space, so that a flush cannot lack it. */
static int run_secure(struct qcow_alloc *a, enum qcow_meta kind, u32 nr,
		      u64 first)
{
	u64 host_offset = first << qcow_alloc_cluster_bits(a);
	u64 len = (u64)nr << qcow_alloc_cluster_bits(a);
	int err;

	err = qcow_register_new(&a->reg, kind, host_offset, len);
	return err ?: qcow_space_secure(&a->img->file, host_offset, len);
}

/**
 * qcow_alloc_run() - allocate clusters in a row, for a table
 * @a: of the image
 * @kind: kind of the table
 * @nr: number of clusters, at least 1
 * @first: number of the first cluster
 *
 * Context: as qcow_alloc_clusters(). May sleep. The caller gives clusters that it does
 * not use to qcow_alloc_undo() or qcow_release().
 *
 * Return: 0; -EFBIG: there can be no such row in this image; or as
 * qcow_alloc_clusters().
 */
int qcow_alloc_run(struct qcow_alloc *a, enum qcow_meta kind, u32 nr, u64 *first)
{
	int err;

	/* A new refcount block is the first cluster that it covers itself. */
	if (qcow_alloc_has_refcounts(a) && nr >> qcow_refcount_block_bits(a))
		return -EFBIG;
	err = qcow_writeback_refused(a);
	if (err)
		return err;
	do {
		mutex_lock(&a->lock);
		__follow_volume(a);
		err = __take_run(a, nr, first);
		mutex_unlock(&a->lock);
		if (err != -ERANGE)
			break;
		err = qcow_growth_cover(a, *first);
	} while (!err);
	if (err)
		return err;
	alloc_count(a, *first, nr);
	err = run_secure(a, kind, nr, *first);
	if (err)
		qcow_release(a, *first, nr);
	return err;
}

/**
 * qcow_alloc_undo() - make clusters free again that no table ever led to
 * @a: of the image
 * @first: number of the first one, from qcow_alloc_clusters() or qcow_alloc_run()
 * @nr: number of clusters
 *
 * They are free at once, unlike those of qcow_release(), for which a flush has to come
 * first. No transfer to or from them is under way.
 *
 * Context: may sleep.
 */
void qcow_alloc_undo(struct qcow_alloc *a, u64 first, u32 nr)
{
	struct qcow_run run = { .next = first, .end = first + nr };

	mutex_lock(&a->lock);
	if (qcow_alloc_has_refcounts(a)) {
		__qcow_search_freed(&a->search, first);
		__return_run(a, &run);
	} else {
		__qcow_release(a, first, nr);
	}
	mutex_unlock(&a->lock);
}

/* Give back preallocated space. A failure does no harm. */
static void __return_space(struct qcow_alloc *a)
{
	u32 bits = qcow_alloc_cluster_bits(a);
	u64 nr = a->reserve.run.end - a->reserve.run.next;

	if (nr && a->reserve.zeroed && qcow_file_regular(&a->img->file) &&
	    qcow_space_punch(&a->img->file, a->reserve.run.next << bits, nr << bits))
		return;
}

/**
 * qcow_alloc_return_pool() - give back reserved clusters and their space
 * @a: of the image
 *
 * For closing the image: no I/O is under way.
 *
 * Context: may sleep.
 */
void qcow_alloc_return_pool(struct qcow_alloc *a)
{
	mutex_lock(&a->lock);
	__return_space(a);
	if (!qcow_alloc_has_refcounts(a)) {
		if (a->search.hint == a->reserve.run.end)
			a->search.hint = a->reserve.run.next;
		a->reserve.run.next = a->reserve.run.end;
	}
	__return_run(a, &a->reserve.run);
	mutex_unlock(&a->lock);
}
