// SPDX-License-Identifier: GPL-2.0
/*
 * I/O under way on an image that is written: counting it, waiting for it, and locking
 * guest clusters. data/ and jobs/ call it.
 *
 * All I/O is counted, so that a cluster that lost its last reference is reused only
 * when no I/O can still read or write it. Each CPU has counts of its own, since a count that
 * all CPUs change for each I/O would go from one cache to the other. I/O that changes the
 * mapping of guest clusters locks them; I/O in place does not.
 *
 * The locks are in parts, each with a list of its own, so that writers on several CPUs take
 * no lock from each other, and walk no long list. Clusters in a row go from part to part.
 */
#include <linux/bitops.h>
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "file/inflight.h"

/* log2 of the clusters in a row that one part has. */
#define PART_ROW_BITS	2

/**
 * qcow_inflight_init() - make counts and locks
 * @f: the result, for qcow_inflight_exit() in any case
 *
 * Context: may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int qcow_inflight_init(struct qcow_inflight *f)
{
	u32 i;

	mutex_init(&f->drain_lock);
	init_waitqueue_head(&f->drained);
	f->counts = alloc_percpu(struct qcow_inflight_counts);
	f->parts = kcalloc(QCOW_RANGE_PARTS, sizeof(*f->parts), GFP_KERNEL);
	if (!f->counts || !f->parts)
		return -ENOMEM;
	for (i = 0; i < QCOW_RANGE_PARTS; i++) {
		spin_lock_init(&f->parts[i].lock);
		INIT_LIST_HEAD(&f->parts[i].ranges);
		init_waitqueue_head(&f->parts[i].unlocked);
	}
	return 0;
}

/**
 * qcow_inflight_exit() - free the counts and locks
 * @f: from qcow_inflight_init(), or all zero; no I/O is under way
 *
 * Context: may sleep.
 */
void qcow_inflight_exit(struct qcow_inflight *f)
{
	kfree(f->parts);
	free_percpu(f->counts);
}

/* --- All I/O --- */

/**
 * qcow_inflight_begin() - count an I/O, before it maps anything
 * @f: of the image
 *
 * Context: any.
 *
 * Return: the epoch, for qcow_inflight_end().
 */
u8 qcow_inflight_begin(struct qcow_inflight *f)
{
	u8 epoch;

	for (;;) {
		epoch = READ_ONCE(f->epoch);
		this_cpu_inc(f->counts->begun[epoch]);
		/* Pairs with the barrier in qcow_inflight_drain(). */
		smp_mb();
		if (likely(READ_ONCE(f->epoch) == epoch))
			return epoch;
		qcow_inflight_end(f, epoch);
	}
}

/**
 * qcow_inflight_end() - end an I/O, which uses no cluster any more
 * @f: of the image
 * @epoch: from qcow_inflight_begin()
 *
 * Context: any.
 */
void qcow_inflight_end(struct qcow_inflight *f, u8 epoch)
{
	/* The I/O is over before it counts so. Pairs with the barrier in inflight_ran_out(). */
	smp_mb();
	this_cpu_inc(f->counts->ended[epoch]);
	/* A drain sees the count, or this sees its epoch. */
	smp_mb();
	if (unlikely(READ_ONCE(f->epoch) != epoch))
		wake_up(&f->drained);
}

/*
 * Return: true if no I/O of a group is under way. An I/O that begins meanwhile may count or
 * not: in a group that is not current, it ends at once.
 */
static bool inflight_ran_out(const struct qcow_inflight *f, u8 epoch)
{
	unsigned long begun = 0, ended = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		ended += READ_ONCE(per_cpu_ptr(f->counts, cpu)->ended[epoch]);
	/* Pairs with the barriers of I/O: the beginning of all that has ended is seen. */
	smp_mb();
	for_each_possible_cpu(cpu)
		begun += READ_ONCE(per_cpu_ptr(f->counts, cpu)->begun[epoch]);
	return begun == ended;
}

/**
 * qcow_inflight_drain() - wait for the I/O that began before now
 * @f: of the image
 *
 * Context: not in such an I/O, and under no lock that one may wait for. May sleep.
 */
void qcow_inflight_drain(struct qcow_inflight *f)
{
	u8 old;

	mutex_lock(&f->drain_lock);
	old = f->epoch;
	WRITE_ONCE(f->epoch, !old);
	/* Pairs with the barrier in qcow_inflight_begin(). */
	smp_mb();
	wait_event(f->drained, inflight_ran_out(f, old));
	mutex_unlock(&f->drain_lock);
}

/* --- Clusters of the disk --- */

static unsigned long range_parts(const struct qcow_range *r)
{
	u64 row = r->first >> PART_ROW_BITS, last = r->last >> PART_ROW_BITS;
	unsigned long parts = 0;

	if (last - row >= QCOW_RANGE_PARTS - 1)
		return GENMASK(QCOW_RANGE_PARTS - 1, 0);
	for (; row <= last; row++)
		parts |= BIT(row % QCOW_RANGE_PARTS);
	return parts;
}

/* Return: true if a range before @r in the list of part @i shares clusters with it. */
static bool range_blocked(struct qcow_inflight_part *part, u32 i, const struct qcow_range *r)
{
	const struct qcow_range *o;
	bool blocked = false;

	spin_lock(&part->lock);
	list_for_each_entry(o, &part->ranges, node[i]) {
		if (o == r)
			break;
		blocked = o->first <= r->last && r->first <= o->last;
		if (blocked)
			break;
	}
	spin_unlock(&part->lock);
	return blocked;
}

/**
 * qcow_inflight_lock() - lock guest clusters against other changes of their mapping
 * @f: of the image
 * @r: first and last are set; @last may be lowered while it is locked
 *
 * The parts of a range are locked one after the other, in the order of their numbers, so
 * that no two ranges wait for each other. In each part, ranges that share clusters are
 * locked in the order in which they came to it. So a long range waits in each part only for
 * ranges that were there before it.
 *
 * Context: the caller has no other range locked. May sleep.
 */
void qcow_inflight_lock(struct qcow_inflight *f, struct qcow_range *r)
{
	struct qcow_inflight_part *part;
	u32 i;

	r->parts = range_parts(r);
	for_each_set_bit(i, &r->parts, QCOW_RANGE_PARTS) {
		part = &f->parts[i];
		spin_lock(&part->lock);
		list_add_tail(&r->node[i], &part->ranges);
		spin_unlock(&part->lock);
		wait_event(part->unlocked, !range_blocked(part, i, r));
	}
}

/**
 * qcow_inflight_unlock() - unlock guest clusters
 * @f: of the image
 * @r: from qcow_inflight_lock()
 *
 * Context: in a task. Does not sleep.
 */
void qcow_inflight_unlock(struct qcow_inflight *f, struct qcow_range *r)
{
	struct qcow_inflight_part *part;
	u32 i;

	for_each_set_bit(i, &r->parts, QCOW_RANGE_PARTS) {
		part = &f->parts[i];
		spin_lock(&part->lock);
		list_del(&r->node[i]);
		spin_unlock(&part->lock);
		/* Pairs with the check in wait_event() of tasks that come now. */
		if (wq_has_sleeper(&part->unlocked))
			wake_up_all(&part->unlocked);
	}
}
