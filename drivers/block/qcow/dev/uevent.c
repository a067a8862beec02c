// SPDX-License-Identifier: GPL-2.0
/*
 * Events of a device as uevents, for udev rules. Documentation/abi.rst describes them;
 * meta/event.c decides when one is told.
 */
#include <linux/blkdev.h>
#include <linux/kobject.h>
#include <linux/workqueue.h>

#include "dev/uevent.h"

/* A queue of its own: to tell an event takes memory, which may have to wait for I/O. */
static struct workqueue_struct *uevent_wq;

static char *const uevent_variables[QCOW_EVENTS][3] = {
	[QCOW_EVENT_CORRUPT] = { "QCOW_EVENT=corrupt", "QCOW_STOPPED=0" },
	[QCOW_EVENT_STOPPED] = { "QCOW_EVENT=corrupt", "QCOW_STOPPED=1" },
	[QCOW_EVENT_FULL] = { "QCOW_EVENT=full" },
	[QCOW_EVENT_SYNC_FAILED] = { "QCOW_EVENT=sync-failed" },
};

static void uevent_tell(struct qcow_events *e, enum qcow_event event)
{
	struct qcow_device *dev = container_of(e, struct qcow_device, events);
	char *variables[3];

	memcpy(variables, uevent_variables[event], sizeof(variables));
	/* Without memory for it, nobody is told: sysfs and the kernel log say it as well. */
	kobject_uevent_env(&disk_to_dev(dev->disk)->kobj, KOBJ_CHANGE, variables);
}

/**
 * qcow_uevent_init_device() - set up the events of a device, none of which are told yet
 * @dev: being attached
 */
void qcow_uevent_init_device(struct qcow_device *dev)
{
	qcow_events_init(&dev->events, uevent_wq, uevent_tell);
}

/**
 * qcow_uevent_open() - tell the events of a device from now on
 * @dev: the device, whose disk was added. Nobody is told of a hidden one
 *
 * Context: any.
 */
void qcow_uevent_open(struct qcow_device *dev)
{
	if (!(dev->options.flags & QCOW_ATTACH_HIDDEN))
		qcow_events_open(&dev->events);
}

int qcow_uevent_init(void)
{
	uevent_wq = alloc_workqueue("qcow_uevent", WQ_UNBOUND, 0);
	return uevent_wq ? 0 : -ENOMEM;
}

void qcow_uevent_exit(void)
{
	destroy_workqueue(uevent_wq);
}
