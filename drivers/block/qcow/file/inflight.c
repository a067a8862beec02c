// SPDX-License-Identifier: GPL-2.0
/*
 * I/O under way: who waits for whom.
 *
 * All I/O is counted, so that a cluster that lost its last reference is used
 * again only when nobody can still be reading or writing it. I/O that changes
 * where clusters of the disk lie locks them; I/O in place does not.
 */
#include <linux/lockdep.h>
#include <linux/sched.h>

#include "file/inflight.h"

void qcow_inflight_init(struct qcow_inflight *f)
{
	spin_lock_init(&f->lock);
	mutex_init(&f->drain_lock);
	INIT_LIST_HEAD(&f->ranges);
	init_waitqueue_head(&f->unlocked);
	init_waitqueue_head(&f->drained);
}

/* --- All I/O --- */

/**
 * qcow_inflight_begin() - an I/O begins; before it maps anything
 * @f: of the image
 *
 * Context: any.
 *
 * Return: to be given to qcow_inflight_end().
 */
u8 qcow_inflight_begin(struct qcow_inflight *f)
{
	u8 epoch;

	for (;;) {
		epoch = READ_ONCE(f->epoch);
		atomic_inc(&f->count[epoch]);
		/* Pairs with the one in qcow_inflight_drain(). */
		smp_mb__after_atomic();
		if (likely(READ_ONCE(f->epoch) == epoch))
			return epoch;
		qcow_inflight_end(f, epoch);
	}
}

/**
 * qcow_inflight_end() - an I/O is done with the clusters that it was mapped to
 * @f: of the image
 * @epoch: from qcow_inflight_begin()
 *
 * Context: any.
 */
void qcow_inflight_end(struct qcow_inflight *f, u8 epoch)
{
	if (atomic_dec_and_test(&f->count[epoch]) &&
	    unlikely(wq_has_sleeper(&f->drained)))
		wake_up(&f->drained);
}

/**
 * qcow_inflight_drain() - wait for the I/O that began before now
 * @f: of the image
 *
 * Context: not from such an I/O, and holding nothing that one may wait for. May
 * sleep.
 */
void qcow_inflight_drain(struct qcow_inflight *f)
{
	u8 old;

	mutex_lock(&f->drain_lock);
	old = f->epoch;
	WRITE_ONCE(f->epoch, !old);
	/* Pairs with the one in qcow_inflight_begin(). */
	smp_mb();
	wait_event(f->drained, !atomic_read(&f->count[old]));
	mutex_unlock(&f->drain_lock);
}

/* --- Clusters of the disk --- */

/*
 * Whether a range that came before @r has some of its clusters, or waits for them.
 * @r is in the list.
 */
static bool range_blocked(struct qcow_inflight *f, const struct qcow_range *r)
{
	const struct qcow_range *o;
	bool blocked = false;

	spin_lock(&f->lock);
	list_for_each_entry(o, &f->ranges, list) {
		if (o == r)
			break;
		blocked = o->first <= r->last && r->first <= o->last;
		if (blocked)
			break;
	}
	spin_unlock(&f->lock);
	return blocked;
}

/**
 * qcow_inflight_lock() - wait until nobody else maps these clusters anew
 * @f: of the image
 * @r: first and last set; @last may be lowered while it is locked
 *
 * Ranges that share clusters are locked in the order in which this was called for
 * them. So a long range waits for the ranges that were there before it, and no
 * longer.
 *
 * Context: no other range is locked by the caller. May sleep.
 */
void qcow_inflight_lock(struct qcow_inflight *f, struct qcow_range *r)
{
	spin_lock(&f->lock);
	list_add_tail(&r->list, &f->ranges);
	spin_unlock(&f->lock);
	wait_event(f->unlocked, !range_blocked(f, r));
}

/**
 * qcow_inflight_unlock() - others may map these clusters anew
 * @f: of the image
 * @r: locked
 *
 * Context: in a task. Does not sleep.
 */
void qcow_inflight_unlock(struct qcow_inflight *f, struct qcow_range *r)
{
	spin_lock(&f->lock);
	list_del(&r->list);
	spin_unlock(&f->lock);
	/* Pairs with the check in wait_event() of those who come now. */
	if (wq_has_sleeper(&f->unlocked))
		wake_up_all(&f->unlocked);
}
