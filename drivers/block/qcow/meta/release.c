// SPDX-License-Identifier: GPL-2.0
/*
 * Clusters that lost a reference: their notes, from the change in memory to the lowered
 * refcount. l2.c and others release clusters, flush.c hands batches over, reclaim.c
 * goes on with rounds.
 *
 * A reference that is gone in memory stands on disk until a flush. After that, and
 * after the I/O that was under way, the refcount is lowered. A cluster without
 * references is punched out of the file before it can be allocated.
 *
 * A flush only hands its notes over. Rounds of bounded steps do the rest: each round
 * waits for the I/O that was under way, then goes through the notes in the order of
 * host offsets.
 */
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "file/space.h"
#include "meta/refcount.h"
#include "meta/release.h"
#include "meta/search.h"
#include "meta/stray.h"
#include "meta/trace.h"

/**
 * struct batch - the notes of one flush
 * @list: in qcow_reclaim.batches
 * @notes: clusters that lost references
 */
struct batch {
	struct list_head list;
	struct qcow_notes notes;
};

/* Notes take at most the machine's memory divided by this. */
#define RELEASE_SHARE	64

/* Bytes of a note. */
#define RELEASE_BYTES	64

/* Limits of one step: clusters and bytes of the file, or notes. */
#define STEP_CLUSTERS	1024
#define STEP_BYTES	SZ_4M
#define STEP_NOTES	256

void qcow_release_init(struct qcow_alloc *a)
{
	u64 max = (u64)totalram_pages() / RELEASE_SHARE *
		  (PAGE_SIZE / RELEASE_BYTES);

	static_assert(sizeof(struct qcow_note) <= RELEASE_BYTES);
	a->release.count.max = min_t(u64, max, U32_MAX);
	qcow_notes_init(&a->release.lost, &a->release.count);
	qcow_notes_init(&a->reclaim.now, &a->release.count);
	INIT_LIST_HEAD(&a->release.flushing);
	INIT_LIST_HEAD(&a->reclaim.batches);
	mutex_init(&a->reclaim.lock);
}

/* --- In memory --- */

/**
 * __qcow_release() - release clusters: note that each lost a reference in memory
 * @a: of the image
 * @first: number of the first cluster
 * @nr: number of clusters
 *
 * Context: under a->lock. May sleep. Without memory for the note, or when nothing is
 * flushed any more, the clusters are leaked.
 */
void __qcow_release(struct qcow_alloc *a, u64 first, u32 nr)
{
	u32 bits = qcow_alloc_cluster_bits(a);

	lockdep_assert_held(&a->lock);
	trace_qcow_release(a->img->label, first << bits, (u64)nr << bits);
	/* No count could say that the clusters are free. */
	if (!qcow_layout_has_refcounts(&a->img->layout) || a->failed)
		return;
	if (qcow_notes_add(&a->release.lost, first, first + nr, 1) &&
	    a->release.count.nr >= a->release.count.max)
		qcow_img_err_ratelimited(a->img, "too much is given up between two flushes: some of it is lost space, see qcowctl check\n");
}

/* As __qcow_release(), but takes a->lock. */
void qcow_release(struct qcow_alloc *a, u64 first, u32 nr)
{
	mutex_lock(&a->lock);
	__qcow_release(a, first, nr);
	mutex_unlock(&a->lock);
}

/* --- The flush --- */

/**
 * qcow_release_take() - take the notes for a flush that begins
 * @a: of the image
 *
 * Context: under a->store_lock. May sleep. The caller calls qcow_release_finish()
 * later. Without memory the notes wait for another flush.
 */
void qcow_release_take(struct qcow_alloc *a)
{
	struct batch *b;

	if (qcow_notes_empty(&a->release.lost))
		return;
	b = kmalloc(sizeof(*b), GFP_NOIO);
	if (!b)
		return;
	mutex_lock(&a->lock);
	b->notes = a->release.lost;
	qcow_notes_init(&a->release.lost, &a->release.count);
	list_add_tail(&b->list, &a->release.flushing);
	mutex_unlock(&a->lock);
}

static void __forget_batch(struct batch *b)
{
	list_del(&b->list);
	qcow_notes_forget(&b->notes);
	kfree(b);
}

/*
 * Give notes of a failed flush back, in bounded steps. Return: whether all are given
 * back.
 */
static bool keep_some(struct qcow_alloc *a)
{
	struct batch *b;

	mutex_lock(&a->lock);
	b = list_first_entry_or_null(&a->release.flushing, struct batch, list);
	if (b && !a->failed)
		qcow_notes_move(&a->release.lost, &b->notes, STEP_NOTES);
	if (b && (a->failed || qcow_notes_empty(&b->notes)))
		__forget_batch(b);
	if (a->failed)
		qcow_notes_forget(&a->release.lost);
	mutex_unlock(&a->lock);
	return !b;
}

/**
 * qcow_release_finish() - take over the notes of a flush that has ended
 * @a: of the image
 * @durable: the flush worked, and the clusters of its notes can be reclaimed; else the
 *	notes wait for the next flush, or are dropped if there will be none
 *
 * Context: under a->flush.lock. May sleep, but does not wait for I/O.
 */
void qcow_release_finish(struct qcow_alloc *a, bool durable)
{
	lockdep_assert_held(&a->flush.lock);
	if (durable) {
		mutex_lock(&a->lock);
		list_splice_tail_init(&a->release.flushing, &a->reclaim.batches);
		mutex_unlock(&a->lock);
		return;
	}
	while (!keep_some(a))
		cond_resched();
}

/* --- References that are durably gone --- */

/**
 * struct span - clusters in a row whose references are durably gone
 * @first: number of the first cluster that is not done yet
 * @end: behind the last
 * @times: references that each of them lost
 * @noted: the clusters are in qcow_reclaim.now
 */
struct span {
	u64 first;
	u64 end;
	u32 times;
	bool noted;
};

/* Return: true if other notes have clusters of a span. */
static bool __is_noted(struct qcow_alloc *a, const struct span *s, u64 end)
{
	const struct batch *b;

	if (qcow_notes_have(&a->release.lost, s->first, end) ||
	    (!s->noted && qcow_notes_have(&a->reclaim.now, s->first, end)))
		return true;
	list_for_each_entry(b, &a->release.flushing, list)
		if (qcow_notes_have(&b->notes, s->first, end))
			return true;
	list_for_each_entry(b, &a->reclaim.batches, list)
		if (qcow_notes_have(&b->notes, s->first, end))
			return true;
	return false;
}

/*
 * By its refcount a cluster has no reference left, but another note, or the same one,
 * has one more.
 */
static void span_damaged(struct qcow_alloc *a)
{
	qcow_image_damaged(a->img, 0, "a cluster has more references than its refcount says");
}

/*
 * Look at clusters in a row with the same refcount. @refs: out: the refcount; 0: it stays
 * as it is, since the one cluster is a stray, or its refcount cannot be read, which leaks
 * it. Return: their number; 0: the image is damaged.
 */
static u32 __span_run(struct qcow_alloc *a, const struct span *s, u64 cluster, u64 end,
		      u64 *refs)
{
	int nr = __qcow_refcount_run(a, cluster, end - cluster, refs);

	if (nr > 0 && *refs >= s->times)
		return nr;
	if (nr > 0 && (*refs || !__qcow_stray_is(a, cluster))) {
		span_damaged(a);
		return 0;
	}
	*refs = 0;
	return 1;
}

/*
 * Count clusters from @s->first on that have no other references; first lower the
 * refcounts of clusters before them that have some. Return: the number; 0 also if @s is
 * at its end, or the image damaged.
 */
static u32 __span_last(struct qcow_alloc *a, struct span *s)
{
	u32 bits = qcow_alloc_cluster_bits(a);
	u32 most = clamp_t(u32, STEP_BYTES >> bits, 1, STEP_CLUSTERS), nr;
	u64 end = min(s->end, s->first + most), cluster, refs;

	for (cluster = s->first; cluster < end; cluster += nr) {
		nr = __span_run(a, s, cluster, end, &refs);
		if (!nr)
			return 0;
		if (refs == s->times)
			continue;
		if (cluster != s->first)
			break;
		if (refs && __qcow_refcount_lower(a, cluster, nr, s->times))
			pr_debug("%s: %u clusters leak from cluster %llu on\n", a->img->label,
				 nr, cluster);
		s->first += nr;
	}
	if (cluster > s->first && __is_noted(a, s, cluster)) {
		span_damaged(a);
		return 0;
	}
	return cluster - s->first;
}

static void span_punch(struct qcow_alloc *a, u64 first, u32 nr)
{
	u32 bits = qcow_alloc_cluster_bits(a);

	if (a->release.no_punch)
		return;
	if (qcow_space_punch(&a->img->file, first << bits, (u64)nr << bits) ==
	    -EOPNOTSUPP)
		a->release.no_punch = true;
}

/*
 * Free clusters that were punched out. Their refcounts may have been lowered meanwhile.
 */
static void __span_free(struct qcow_alloc *a, struct span *s, u32 nr)
{
	u64 end = s->first + nr, refs;

	if (__is_noted(a, s, end)) {
		span_damaged(a);
		return;
	}
	for (; s->first < end; s->first++) {
		if (__qcow_refcount_get(a, s->first, &refs))
			continue;
		if (refs < s->times) {
			span_damaged(a);
			return;
		}
		if (__qcow_refcount_set(a, s->first, refs - s->times) ||
		    refs != s->times)
			continue;
		qcow_register_forget_unit(&a->reg, s->first);
		__qcow_search_freed(&a->search, s->first);
	}
}

/**
 * qcow_release_now() - lower refcounts of clusters whose reference is durably gone
 * @a: of the image
 * @first: number of the first cluster
 * @nr: number of clusters
 *
 * Reclaims them at once: for references that no I/O goes by.
 *
 * Context: may sleep.
 */
void qcow_release_now(struct qcow_alloc *a, u64 first, u32 nr)
{
	struct span s = { .first = first, .end = first + nr, .times = 1 };
	u32 last;

	while (s.first < s.end && !qcow_image_stopped(a->img)) {
		mutex_lock(&a->lock);
		last = __span_last(a, &s);
		mutex_unlock(&a->lock);
		if (!last)
			continue;
		span_punch(a, s.first, last);
		mutex_lock(&a->lock);
		__span_free(a, &s, last);
		mutex_unlock(&a->lock);
	}
}

/* --- Rounds --- */

/* Drop the part of the round's first note that is done. */
static void __round_cut(struct qcow_alloc *a, struct qcow_note *note,
			const struct span *s)
{
	struct qcow_reclaim *r = &a->reclaim;

	qcow_notes_cut(&r->now, note, s->first);
	if (qcow_notes_empty(&r->now))
		WRITE_ONCE(r->ended, r->begun);
}

/* Do some clusters of the round's first note. */
static void round_some(struct qcow_alloc *a)
{
	struct qcow_note *note;
	struct span s;
	u32 last;

	mutex_lock(&a->lock);
	note = qcow_notes_first(&a->reclaim.now);
	s = (struct span) {
		.first = note->first,
		.end = note->end,
		.times = note->times,
		.noted = true,
	};
	last = __span_last(a, &s);
	if (last) {
		mutex_unlock(&a->lock);
		span_punch(a, s.first, last);
		mutex_lock(&a->lock);
		__span_free(a, &s, last);
	}
	__round_cut(a, note, &s);
	mutex_unlock(&a->lock);
}

/* Move notes of the oldest batch to the round. Return: whether @until is done. */
static bool round_take(struct qcow_alloc *a, const struct batch *until)
{
	struct qcow_reclaim *r = &a->reclaim;
	bool all = false;
	struct batch *b;

	mutex_lock(&a->lock);
	b = list_first_entry(&r->batches, struct batch, list);
	if (qcow_notes_empty(&r->now))
		swap(r->now, b->notes);
	else
		qcow_notes_move(&r->now, &b->notes, STEP_NOTES);
	if (qcow_notes_empty(&b->notes)) {
		all = b == until;
		__forget_batch(b);
	}
	if (all) {
		r->until = NULL;
		WRITE_ONCE(r->begun, r->begun + 1);
	}
	if (all && qcow_notes_empty(&r->now))
		WRITE_ONCE(r->ended, r->begun);
	mutex_unlock(&a->lock);
	return all;
}

/* Begin a round: wait for I/O that may still go by the references of its batches. */
static bool round_begin(struct qcow_alloc *a)
{
	struct qcow_reclaim *r = &a->reclaim;
	struct batch *until = NULL;

	mutex_lock(&a->lock);
	if (!list_empty(&r->batches))
		until = list_last_entry(&r->batches, struct batch, list);
	r->until = until ? &until->list : NULL;
	mutex_unlock(&a->lock);
	if (!until)
		return false;
	qcow_inflight_drain(&a->inflight);
	if (r->above)
		qcow_inflight_drain(r->above);
	while (!round_take(a, until))
		cond_resched();
	return true;
}

/* Join waiting batches, so that __is_noted() has few to search. */
static void round_join(struct qcow_alloc *a)
{
	struct batch *first, *second;

	mutex_lock(&a->lock);
	if (!list_empty(&a->reclaim.batches) &&
	    !list_is_singular(&a->reclaim.batches)) {
		first = list_first_entry(&a->reclaim.batches, struct batch, list);
		second = list_next_entry(first, list);
		qcow_notes_move(&first->notes, &second->notes, STEP_NOTES);
		if (qcow_notes_empty(&second->notes))
			__forget_batch(second);
	}
	mutex_unlock(&a->lock);
}

/* Free no cluster any more: refcounts are wrong, or will never be durable. */
static void round_forget(struct qcow_alloc *a)
{
	struct qcow_reclaim *r = &a->reclaim;
	struct batch *b, *next;

	mutex_lock(&a->lock);
	list_for_each_entry_safe(b, next, &r->batches, list)
		__forget_batch(b);
	qcow_notes_forget(&r->now);
	qcow_notes_forget(&a->release.lost);
	r->until = NULL;
	WRITE_ONCE(r->begun, r->begun + 1);
	WRITE_ONCE(r->ended, r->begun);
	mutex_unlock(&a->lock);
}

/**
 * qcow_release_step() - lower refcounts of clusters that lost references durably
 * @a: of the image
 *
 * Does a bounded number of clusters; but at the beginning of a round it waits for the
 * I/O that is under way.
 *
 * Context: under a->reclaim.lock, and under no lock that I/O of this image may wait
 * for. May sleep.
 *
 * Return: whether there is more to do.
 */
bool qcow_release_step(struct qcow_alloc *a)
{
	lockdep_assert_held(&a->reclaim.lock);
	if (qcow_image_stopped(a->img) || a->failed) {
		round_forget(a);
		return false;
	}
	if (qcow_notes_empty(&a->reclaim.now))
		return round_begin(a);
	round_join(a);
	round_some(a);
	return true;
}

/**
 * qcow_release_goal() - the round that frees all clusters whose references are durably
 * gone
 * @a: of the image
 *
 * Context: may sleep.
 *
 * Return: the value of a->reclaim.ended at which they are free.
 */
u64 qcow_release_goal(struct qcow_alloc *a)
{
	struct qcow_reclaim *r = &a->reclaim;
	u64 goal;

	mutex_lock(&a->lock);
	goal = r->begun + !list_empty(&r->batches);
	/*
	 * The round that is about to begin does not have the batches of later flushes.
	 */
	if (r->until && !list_is_last(r->until, &r->batches))
		goal++;
	mutex_unlock(&a->lock);
	return goal;
}

/**
 * qcow_release_left() - how much is to be reclaimed
 * @a: of the image
 *
 * Context: may sleep.
 *
 * Return: bytes of the clusters that lost references, also of those that wait for a flush.
 */
u64 qcow_release_left(struct qcow_alloc *a)
{
	u64 clusters;

	mutex_lock(&a->lock);
	clusters = a->release.count.clusters;
	mutex_unlock(&a->lock);
	return clusters << qcow_alloc_cluster_bits(a);
}

/* Drop all notes. Their clusters are leaked, which was reported. */
void qcow_release_forget(struct qcow_alloc *a)
{
	struct batch *b, *next;

	mutex_lock(&a->lock);
	list_for_each_entry_safe(b, next, &a->release.flushing, list)
		__forget_batch(b);
	mutex_unlock(&a->lock);
	round_forget(a);
}
