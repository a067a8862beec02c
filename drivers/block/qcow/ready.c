// SPDX-License-Identifier: GPL-2.0
/*
 * Clusters that are ready: taken, and zeros were written all over them.
 *
 * A filesystem has to change its own metadata when a hole of a file is written
 * for the first time, with every cluster once more; to write there again costs it
 * nothing and does not sleep. So a run of clusters is filled with zeros in one
 * transfer, or by the device if that can be told to, and what goes to a piece of a
 * cluster only is written into one of these.
 *
 * Just for clusters that are small: what is written in vain is bounded by that.
 */
#include <linux/jiffies.h>
#include <linux/sizes.h>

#include "ready.h"
#include "release.h"
#include "space.h"

/* A run, and one that is made ready ahead of need. */
#define READY_BYTES		SZ_1M
#define READY_AHEAD_BYTES	SZ_4M

/* Larger clusters are never ready. */
#define READY_MAX_CLUSTER	SZ_64K

/* After a failure there are none for so long. */
#define READY_PAUSE		HZ

static u64 run_left(const struct qcow_run *run)
{
	return run->end - run->next;
}

/* Clusters that are left in both runs */
static u64 __ready_left(const struct qcow_ready *r)
{
	lockdep_assert_held(&r->lock);
	return run_left(&r->runs[0]) + run_left(&r->runs[1]);
}

/**
 * qcow_ready_take() - take a cluster that is ready
 * @a: of the image
 * @cluster: its number; it reads as zeros
 *
 * As of qcow_alloc_clusters(). Context: in a task. Does not sleep.
 * Return: whether there is one.
 */
bool qcow_ready_take(struct qcow_alloc *a, u64 *cluster)
{
	struct qcow_ready *r = &a->ready;
	struct qcow_run *run;
	bool half = false;

	spin_lock(&r->lock);
	run = run_left(&r->runs[0]) ? &r->runs[0] : &r->runs[1];
	if (run_left(run)) {
		*cluster = run->next++;
		half = __ready_left(r) == r->clusters / 2;
	} else {
		run = NULL;
	}
	spin_unlock(&r->lock);
	/* More of them before they are used up. */
	if (half)
		queue_work(a->wq, &r->work);
	return run;
}

/* --- Making them ready --- */

static int __ready_fill(struct qcow_alloc *a, u32 want)
{
	struct qcow_ready *r = &a->ready;
	struct qcow_run *run;
	bool fresh;
	u32 bits = qcow_alloc_cluster_bits(a);
	u64 first;
	u32 got;
	int err;

	err = qcow_alloc_clusters(a, want, &first, &got, &fresh);
	if (err)
		return err;
	err = qcow_space_fill(&a->img->file, first << bits, (u64)got << bits);
	WRITE_ONCE(a->unsynced, true);
	if (err) {
		qcow_release(a, first, got);
		return err;
	}
	spin_lock(&r->lock);
	/* One of them is empty. */
	run = run_left(&r->runs[0]) ? &r->runs[1] : &r->runs[0];
	run->next = first;
	run->end = first + got;
	spin_unlock(&r->lock);
	return 0;
}

/* Whether there are few, and place for more. */
static bool ready_is_low(struct qcow_ready *r, u32 enough)
{
	bool low;

	spin_lock(&r->lock);
	low = __ready_left(r) <= enough &&
	      (!run_left(&r->runs[0]) || !run_left(&r->runs[1]));
	spin_unlock(&r->lock);
	return low;
}

/* Make up to @want of them ready, if there are no more than @enough. */
static void ready_fill(struct qcow_alloc *a, u32 enough, u32 want)
{
	struct qcow_ready *r = &a->ready;

	mutex_lock(&r->fill_lock);
	if (ready_is_low(r, enough) &&
	    !(r->paused && time_before(jiffies, r->pause))) {
		r->paused = __ready_fill(a, want);
		r->pause = jiffies + READY_PAUSE;
	}
	mutex_unlock(&r->fill_lock);
}

/**
 * qcow_ready_fill() - see to it that there are clusters that are ready
 * @a: of the image
 *
 * It does not matter much if it fails. Who comes while it goes on waits. Context:
 * as qcow_alloc_clusters(). May sleep.
 */
void qcow_ready_fill(struct qcow_alloc *a)
{
	if (ready_is_low(&a->ready, 0))
		ready_fill(a, 0, a->ready.clusters);
}

static void ready_work(struct work_struct *work)
{
	struct qcow_alloc *a = container_of(work, struct qcow_alloc, ready.work);
	unsigned int flags = qcow_worker_begin();

	ready_fill(a, a->ready.clusters / 2, a->ready.ahead);
	qcow_worker_end(flags);
}

/* --- Life --- */

/**
 * qcow_ready_setup() - find out whether clusters of an image are made ready
 * @a: of an image that was opened
 *
 * Where a file is written in place once it has its space, if nothing is to be
 * done to zeros before they are stored.
 */
void qcow_ready_setup(struct qcow_alloc *a)
{
	struct qcow_ready *r = &a->ready;
	u32 bits = qcow_alloc_cluster_bits(a);

	spin_lock_init(&r->lock);
	mutex_init(&r->fill_lock);
	INIT_WORK(&r->work, ready_work);
	if (!a->img->file.overwrites || a->img->layout.data_file ||
	    !qcow_layout_has_refcounts(&a->img->layout) ||
	    1U << bits > READY_MAX_CLUSTER)
		return;
	r->clusters = READY_BYTES >> bits;
	r->ahead = READY_AHEAD_BYTES >> bits;
}

/**
 * qcow_ready_stop() - no more of it in the background
 * @a: of the image; no I/O is under way
 *
 * May sleep.
 */
void qcow_ready_stop(struct qcow_alloc *a)
{
	cancel_work_sync(&a->ready.work);
}
