// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaiming released clusters in the background, after the flush that made their
 * references durably gone. It decides when rounds go on; release.c does their steps.
 *
 * A flush or a write waits for one step at most. After some steps there is a pause as
 * long as they took, unless a task waits for space.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>

#include "file/cache.h"
#include "meta/reclaim.h"
#include "meta/refcount.h"
#include "meta/release.h"
#include "meta/state.h"
#include "meta/writeback.h"

/* Milliseconds before a round begins, and microseconds of work before a pause. */
#define RECLAIM_DELAY	10
#define RECLAIM_SLICE	5000

/* Most milliseconds of a pause. */
#define RECLAIM_PAUSE	100

static void reclaim_later(struct qcow_alloc *a, unsigned long delay)
{
	if (READ_ONCE(a->reclaim.stopped))
		return;
	if (READ_ONCE(a->reclaim.hurry))
		mod_delayed_work(a->flush.wq, &a->reclaim.work, 0);
	else
		queue_delayed_work(a->flush.wq, &a->reclaim.work, delay);
}

/* Return: whether there is more to do. */
static bool reclaim_slice(struct qcow_alloc *a, ktime_t begun)
{
	bool more;

	mutex_lock(&a->reclaim.lock);
	do {
		more = qcow_release_step(a);
		cond_resched();
	} while (more && ktime_us_delta(ktime_get(), begun) < RECLAIM_SLICE);
	mutex_unlock(&a->reclaim.lock);
	return more;
}

static void reclaim_work(struct work_struct *work)
{
	struct qcow_alloc *a = container_of(to_delayed_work(work),
					    struct qcow_alloc, reclaim.work);
	unsigned int flags = qcow_worker_begin();
	ktime_t begun = ktime_get();
	unsigned long pause;
	bool more;

	more = reclaim_slice(a, begun);
	pause = msecs_to_jiffies(min_t(s64, ktime_ms_delta(ktime_get(), begun),
				       RECLAIM_PAUSE));
	qcow_worker_end(flags);
	wake_up_all(&a->flush.stored);
	if (more) {
		reclaim_later(a, max(pause, 1UL));
		return;
	}
	WRITE_ONCE(a->reclaim.hurry, false);
	/* The next flush writes lowered refcounts. */
	if (qcow_refcount_dirty(a))
		qcow_writeback_soon(a);
}

void qcow_reclaim_setup(struct qcow_alloc *a)
{
	INIT_DELAYED_WORK(&a->reclaim.work, reclaim_work);
}

/**
 * qcow_reclaim_soon() - reclaim clusters after a flush
 * @a: of the image
 *
 * Context: may sleep, but does not wait for I/O.
 */
void qcow_reclaim_soon(struct qcow_alloc *a)
{
	if (qcow_release_pending(a))
		reclaim_later(a, msecs_to_jiffies(RECLAIM_DELAY));
}

/**
 * qcow_reclaim_hurry() - a task waits for space: make no pauses
 * @a: of the image
 *
 * Context: may sleep, but does not wait for I/O.
 */
void qcow_reclaim_hurry(struct qcow_alloc *a)
{
	if (!qcow_release_pending(a))
		return;
	WRITE_ONCE(a->reclaim.hurry, true);
	reclaim_later(a, 0);
}

/* Return: whether there is more to do until the round @goal has ended. */
static bool reclaim_until(struct qcow_alloc *a, u64 goal)
{
	bool more;

	mutex_lock(&a->reclaim.lock);
	more = a->reclaim.ended < goal && qcow_release_step(a);
	mutex_unlock(&a->reclaim.lock);
	cond_resched();
	return more;
}

/* Say how much less is left than @left. Return: how much that is. */
static u64 reclaim_advance(struct qcow_alloc *a, u64 left)
{
	/* While I/O goes on, it may be more. */
	u64 now = min(qcow_release_left(a), left);

	qcow_image_advance(a->img, left - now);
	return now;
}

/**
 * qcow_reclaim_finish() - reclaim all clusters whose references are durably gone now
 * @a: of the image
 *
 * The device's progress says how far it is.
 *
 * Context: as qcow_flush(). May sleep: waits for the I/O that is under way.
 */
void qcow_reclaim_finish(struct qcow_alloc *a)
{
	u64 goal = qcow_release_goal(a), left = qcow_release_left(a);

	qcow_image_expect(a->img, left);
	while (reclaim_until(a, goal))
		left = reclaim_advance(a, left);
}

/**
 * qcow_reclaim_wait() - as qcow_reclaim_finish(), but until interrupted
 * @a: of the image
 *
 * The rest is reclaimed in the background.
 *
 * Context: as qcow_reclaim_finish(). May sleep.
 *
 * Return: 0; or as qcow_image_interrupted(): some clusters are left.
 */
int qcow_reclaim_wait(struct qcow_alloc *a)
{
	u64 goal = qcow_release_goal(a);
	int err = 0;

	while (!err && reclaim_until(a, goal))
		err = qcow_image_interrupted(a->img);
	return err;
}

/**
 * qcow_reclaim_settle() - as qcow_reclaim_finish(), but until overdue
 * @a: of the image
 *
 * For operations that end cleanly only after it.
 *
 * Return: 0; or -EINTR: qcow_image_overdue(), and some clusters are left.
 */
int qcow_reclaim_settle(struct qcow_alloc *a)
{
	u64 goal = qcow_release_goal(a);
	unsigned long begun = jiffies;

	while (reclaim_until(a, goal))
		if (qcow_image_overdue(a->img, begun))
			return -EINTR;
	return 0;
}

/**
 * qcow_reclaim_any() - look for space: reclaim clusters if there are any to reclaim
 * @a: of the image; or NULL
 *
 * Context: as qcow_reclaim_finish(). May sleep.
 *
 * Return: 0: there were some; -ENOSPC: there were none; or as qcow_reclaim_wait().
 */
int qcow_reclaim_any(struct qcow_alloc *a)
{
	if (!a || !qcow_release_pending(a))
		return -ENOSPC;
	return qcow_reclaim_wait(a);
}

/**
 * qcow_reclaim_stop() - stop reclaiming in the background
 * @a: of the image; no I/O is under way
 *
 * Context: may sleep.
 */
void qcow_reclaim_stop(struct qcow_alloc *a)
{
	WRITE_ONCE(a->reclaim.stopped, true);
	cancel_delayed_work_sync(&a->reclaim.work);
}

/**
 * qcow_reclaim_set_above() - have rounds wait for the I/O of the image above, too
 * @a: of a backing file
 * @above: the I/O of the image above, which may read clusters of this one; NULL: rounds
 *	wait for it no longer
 *
 * Context: may sleep, for a step of a round.
 */
void qcow_reclaim_set_above(struct qcow_alloc *a, struct qcow_inflight *above)
{
	mutex_lock(&a->reclaim.lock);
	a->reclaim.above = above;
	mutex_unlock(&a->reclaim.lock);
}
