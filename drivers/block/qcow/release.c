// SPDX-License-Identifier: GPL-2.0
/*
 * Clusters that lost a reference: from memory to durable, then to be used again.
 *
 * A reference that is gone in memory still stands on disk until a commit. After
 * that, and after the I/O that was under way, the refcount is lowered. A cluster
 * without references is punched out of the file before anybody can take it.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "refcount.h"
#include "release.h"
#include "space.h"
#include "stray.h"

/**
 * struct release - clusters that lost a reference
 * @list: in the order it happened
 * @first: number of the first
 * @nr: how many
 */
struct release {
	struct list_head list;
	u64 first;
	u32 nr;
};

/* How much of the machine's memory notes of them may take. */
#define RELEASE_SHARE	64

void qcow_release_init(struct qcow_alloc *a)
{
	u64 max = (u64)totalram_pages() / RELEASE_SHARE *
		  (PAGE_SIZE / sizeof(struct release));

	INIT_LIST_HEAD(&a->releases);
	a->max_releases = min_t(u64, max, U32_MAX);
}

/**
 * __qcow_release() - clusters lost a reference, in memory
 * @a: of the image
 * @first: number of the first
 * @nr: how many
 *
 * Context: under a->lock. May sleep. If there is no memory to remember them, or no
 * commit that would ever release them, they are leaked.
 */
void __qcow_release(struct qcow_alloc *a, u64 first, u32 nr)
{
	struct release *r = NULL;

	lockdep_assert_held(&a->lock);
	/* Nobody could tell that they are free. */
	if (!qcow_layout_has_refcounts(&a->img->layout) || a->failed)
		return;
	if (!list_empty(&a->releases))
		r = list_last_entry(&a->releases, struct release, list);
	if (r && r->first + r->nr == first && r->nr < U32_MAX - nr) {
		r->nr += nr;
		return;
	}
	if (a->nr_releases >= a->max_releases) {
		qcow_img_err_ratelimited(a->img, "too much is given up between two commits: some of it is lost space, see qcowctl check\n");
		return;
	}
	r = kmalloc(sizeof(*r), GFP_NOIO);
	if (!r)
		return;
	r->first = first;
	r->nr = nr;
	list_add_tail(&r->list, &a->releases);
	WRITE_ONCE(a->nr_releases, a->nr_releases + 1);
}

/* As __qcow_release(), but takes a->lock. */
void qcow_release(struct qcow_alloc *a, u64 first, u32 nr)
{
	mutex_lock(&a->lock);
	__qcow_release(a, first, nr);
	mutex_unlock(&a->lock);
}

/**
 * qcow_release_take() - take what a commit that begins now makes durable
 * @a: of the image
 * @list: an empty list; pass it to qcow_release_finish() after the commit
 */
void qcow_release_take(struct qcow_alloc *a, struct list_head *list)
{
	mutex_lock(&a->lock);
	list_splice_init(&a->releases, list);
	WRITE_ONCE(a->nr_releases, 0);
	mutex_unlock(&a->lock);
}

static void __release_forget(struct qcow_alloc *a)
{
	struct release *r, *next;

	list_for_each_entry_safe(r, next, &a->releases, list)
		kfree(r);
	INIT_LIST_HEAD(&a->releases);
	WRITE_ONCE(a->nr_releases, 0);
}

/* They wait for another commit; if there is none, for nothing. */
static void release_keep(struct qcow_alloc *a, struct list_head *list)
{
	struct list_head *p;
	u32 nr = 0;

	list_for_each(p, list)
		nr++;
	mutex_lock(&a->lock);
	list_splice_init(list, &a->releases);
	WRITE_ONCE(a->nr_releases, a->nr_releases + nr);
	if (a->failed)
		__release_forget(a);
	mutex_unlock(&a->lock);
}

/* Whether this reference is the last one of the cluster. */
static bool __is_last(struct qcow_alloc *a, u64 cluster)
{
	u64 value;

	if (__qcow_refcount_get(a, cluster, &value))
		return false;
	/* A stray stays what it is. */
	if (!value && !__qcow_stray_is(a, cluster))
		qcow_image_damaged(a->img, 0, "refcount of a used cluster is zero");
	return value == 1;
}

/* One reference of many is gone. */
static void __drop_shared(struct qcow_alloc *a, u64 cluster)
{
	u64 value;

	if (__qcow_refcount_get(a, cluster, &value) || value < 2)
		return;
	/* What fails here leaks the cluster. */
	if (__qcow_refcount_set(a, cluster, value - 1))
		return;
}

static void release_punch(struct qcow_alloc *a, u64 first, u32 nr)
{
	u32 bits = qcow_alloc_cluster_bits(a);

	if (!nr || a->no_punch)
		return;
	if (qcow_space_punch(&a->img->file, first << bits, (u64)nr << bits) ==
	    -EOPNOTSUPP)
		a->no_punch = true;
}

/* They are punched out; nobody knew of them any more. */
static void release_free(struct qcow_alloc *a, u64 first, u32 nr)
{
	u64 cluster;

	if (!nr)
		return;
	release_punch(a, first, nr);
	mutex_lock(&a->lock);
	for (cluster = first; cluster < first + nr; cluster++) {
		if (__qcow_refcount_set(a, cluster, 0))
			break;
		xa_erase(&a->meta, cluster);
		a->hint = min(a->hint, cluster);
	}
	mutex_unlock(&a->lock);
}

/*
 * Lower the refcounts of one release. Runs of clusters that become free are
 * dealt with at once; nobody raises their refcounts meanwhile.
 */
static void release_one(struct qcow_alloc *a, const struct release *r)
{
	u64 cluster = r->first, end = r->first + r->nr, from;
	bool last = false;

	/* If refcounts turn out to be wrong, nothing is free any more. */
	while (cluster < end && !qcow_image_stopped(a->img)) {
		mutex_lock(&a->lock);
		for (from = cluster; cluster < end; cluster++) {
			last = __is_last(a, cluster);
			if (!last)
				break;
		}
		if (cluster < end)
			__drop_shared(a, cluster);
		mutex_unlock(&a->lock);
		if (qcow_image_stopped(a->img))
			break;
		release_free(a, from, cluster - from);
		cluster += cluster < end;
	}
}

/**
 * qcow_release_now() - clusters lost a reference that is durably gone
 * @a: of the image
 * @first: number of the first
 * @nr: how many
 *
 * As a commit would do it later: for references that no I/O goes by. May sleep.
 */
void qcow_release_now(struct qcow_alloc *a, u64 first, u32 nr)
{
	const struct release r = { .first = first, .nr = nr };

	release_one(a, &r);
}

/**
 * qcow_release_finish() - lower refcounts of what lost references durably
 * @a: of the image
 * @list: from qcow_release_take()
 * @durable: the commit worked; else they wait for the next one
 *
 * Context: under a->commit_lock, and under nothing that I/O of this image may
 * wait for, since it waits for that I/O. May sleep.
 */
void qcow_release_finish(struct qcow_alloc *a, struct list_head *list,
			 bool durable)
{
	struct release *r, *next;

	lockdep_assert_held(&a->commit_lock);
	if (!durable) {
		release_keep(a, list);
		return;
	}
	if (list_empty(list))
		return;
	qcow_inflight_drain(&a->inflight);
	if (a->above)
		qcow_inflight_drain(a->above);
	list_for_each_entry_safe(r, next, list, list) {
		release_one(a, r);
		kfree(r);
	}
	INIT_LIST_HEAD(list);
}

/* Those that no commit took are leaked: that was reported. */
void qcow_release_forget(struct qcow_alloc *a)
{
	mutex_lock(&a->lock);
	__release_forget(a);
	mutex_unlock(&a->lock);
}
