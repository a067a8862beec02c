/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Changes of a device's state that its administrator is told of. All floors from here up
 * raise them; dev/uevent.c tells them as uevents.
 */
#ifndef _QCOW_EVENT_H
#define _QCOW_EVENT_H

#include <linux/workqueue.h>

/**
 * enum qcow_event - a state that a device has come into
 * @QCOW_EVENT_CORRUPT: damage was met in an image; the rest of the image is usable
 * @QCOW_EVENT_STOPPED: the structure of an image that is written is damaged, and all I/O
 *	fails
 * @QCOW_EVENT_FULL: a write failed, since an image could not grow
 * @QCOW_EVENT_SYNC_FAILED: a flush failed for another reason
 */
enum qcow_event {
	QCOW_EVENT_CORRUPT,
	QCOW_EVENT_STOPPED,
	QCOW_EVENT_FULL,
	QCOW_EVENT_SYNC_FAILED,
};

/* Number of events. */
#define QCOW_EVENTS (QCOW_EVENT_SYNC_FAILED + 1)

/* Seconds between two tellings of the same event, at least. */
#define QCOW_EVENT_PAUSE	10

/* Seconds without a failed write after which a device is no longer taken to be full. */
#define QCOW_EVENT_FULL_TIME	60

/**
 * struct qcow_events - the events of a device
 * @state: the states that the device is in, a bit for each &enum qcow_event
 * @untold: events that have to be told
 * @open: events may be told
 * @full_at: time of the last failed write, as of get_jiffies_64(): jiffies of 32 bits would
 *	take it for a time to come after 25 days
 * @earliest: time, as of get_jiffies_64(), at which each event may be told again
 * @tell: tells one event. May sleep
 * @wq: the queue of @work
 * @work: tells the events
 */
struct qcow_events {
	unsigned long state;
	unsigned long untold;
	bool open;
	atomic64_t full_at;
	u64 earliest[QCOW_EVENTS];
	void (*tell)(struct qcow_events *e, enum qcow_event event);
	struct workqueue_struct *wq;
	struct delayed_work work;
};

void qcow_events_init(struct qcow_events *e, struct workqueue_struct *wq,
		      void (*tell)(struct qcow_events *e, enum qcow_event event));
void qcow_events_open(struct qcow_events *e);
void qcow_events_close(struct qcow_events *e);
void qcow_event_raise(struct qcow_events *e, enum qcow_event event);

/**
 * qcow_event_over() - note that a device is in a state no longer
 * @e: the device's events; or NULL
 * @event: the state
 *
 * Context: any.
 */
static inline void qcow_event_over(struct qcow_events *e, enum qcow_event event)
{
	if (e && unlikely(test_bit(event, &e->state)))
		clear_bit(event, &e->state);
}

#endif /* _QCOW_EVENT_H */
