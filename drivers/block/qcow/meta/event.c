// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of a device's state that its administrator is told of: each once, when the
 * device comes into the state, and not more often than every QCOW_EVENT_PAUSE seconds,
 * however often an image or a guest makes it come and go.
 *
 * Events are raised in any context, also before the disk is there: a worker tells them
 * between qcow_events_open() and qcow_events_close().
 */
#include <linux/bitops.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>

#include "meta/event.h"

/*
 * Tell an event unless it was told a short while ago. Return: jiffies until it may be
 * told; 0: it was told.
 */
static unsigned long event_tell(struct qcow_events *e, enum qcow_event event)
{
	u64 now = get_jiffies_64();

	if (time_before64(now, e->earliest[event]))
		return e->earliest[event] - now;
	e->earliest[event] = now + QCOW_EVENT_PAUSE * HZ;
	clear_bit(event, &e->untold);
	/* Pairs with qcow_event_raise(): an event that comes now is told later. */
	smp_mb__after_atomic();
	e->tell(e, event);
	return 0;
}

static void events_work(struct work_struct *work)
{
	struct qcow_events *e = container_of(to_delayed_work(work), struct qcow_events, work);
	unsigned long untold = READ_ONCE(e->untold), wait, least = ULONG_MAX;
	unsigned int event;

	if (!READ_ONCE(e->open))
		return;
	for_each_set_bit(event, &untold, QCOW_EVENTS) {
		wait = event_tell(e, event);
		if (wait)
			least = min(least, wait);
	}
	if (least != ULONG_MAX)
		queue_delayed_work(e->wq, &e->work, least);
}

/* A raw image does not tell when it has space again. Return: whether no write failed for long. */
static bool event_full_lapsed(struct qcow_events *e)
{
	u64 now = get_jiffies_64(), before = atomic64_xchg(&e->full_at, now);

	return time_after64(now, before + QCOW_EVENT_FULL_TIME * HZ);
}

/**
 * qcow_event_raise() - note that a device has come into a state
 * @e: the device's events; or NULL
 * @event: the state
 *
 * An administrator is told of it unless the device is in that state already.
 *
 * Context: any.
 */
void qcow_event_raise(struct qcow_events *e, enum qcow_event event)
{
	bool lapsed;

	if (!e)
		return;
	lapsed = event == QCOW_EVENT_FULL && event_full_lapsed(e);
	if (test_and_set_bit(event, &e->state) && !lapsed)
		return;
	set_bit(event, &e->untold);
	/* Pairs with qcow_events_open(): one of both queues the work when it may tell. */
	smp_mb__after_atomic();
	mod_delayed_work(e->wq, &e->work, 0);
}

/**
 * qcow_events_open() - tell events from now on, those that were raised before first
 * @e: the device's events
 *
 * Context: any.
 */
void qcow_events_open(struct qcow_events *e)
{
	WRITE_ONCE(e->open, true);
	/* Pairs with qcow_event_raise(). */
	smp_mb();
	if (READ_ONCE(e->untold))
		mod_delayed_work(e->wq, &e->work, 0);
}

/**
 * qcow_events_close() - tell no event any more
 * @e: the device's events
 *
 * Events that were raised before, and need not wait, are told first. Events may still be
 * raised: @e may go after a second call, when nothing raises any.
 *
 * Context: may sleep.
 */
void qcow_events_close(struct qcow_events *e)
{
	flush_delayed_work(&e->work);
	WRITE_ONCE(e->open, false);
	cancel_delayed_work_sync(&e->work);
}

/**
 * qcow_events_init() - set up the events of a device, none of which are told yet
 * @e: zeroed; the device's events
 * @wq: a queue whose work may wait for memory
 * @tell: tells one event
 */
void qcow_events_init(struct qcow_events *e, struct workqueue_struct *wq,
		      void (*tell)(struct qcow_events *e, enum qcow_event event))
{
	unsigned int i;

	for (i = 0; i < QCOW_EVENTS; i++)
		e->earliest[i] = get_jiffies_64();
	atomic64_set(&e->full_at, get_jiffies_64());
	e->tell = tell;
	e->wq = wq;
	INIT_DELAYED_WORK(&e->work, events_work);
}
