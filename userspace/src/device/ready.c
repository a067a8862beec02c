// SPDX-License-Identifier: GPL-2.0
/*
 * The wait for a new device: its nodes are there, and udev has set links and permissions.
 */
#include "device/node.h"
#include "device/ready.h"
#include "device/settle.h"
#include "lib/clock.h"

/* How long the nodes of a new device, and udev, may take. */
#define WAIT_USEC	(10 * 1000000ULL)

static enum ready_state nodes_state(const struct device *device, struct settle *s)
{
	struct sysfs_node nodes[SYSFS_MAX_NODES];
	size_t nr = sysfs_nodes(device->index, nodes);
	bool there = nr, settled = true;
	size_t i;

	for (i = 0; i < nr && there; i++) {
		there = node_is_there(&nodes[i]);
		settled = settled && settle_done(s, nodes[i].dev);
	}
	/* Asked last, so that the nodes above were those of this device. */
	if (!sysfs_is_disk(device->index, device->diskseq))
		return READY_GONE;
	if (!there)
		return READY_MISSING;
	return settled ? READY_ALL : READY_UNSETTLED;
}

/**
 * ready_wait() - wait until the nodes of a new device and its partitions can be used
 * @device: the device, with the diskseq that the driver gave it
 * @began: clock_now() before it was attached
 *
 * Where the kernel does not make them, they are made. If udev runs and hears of them,
 * it has set their links and permissions then.
 *
 * Return: their state; READY_UNSETTLED and READY_MISSING: that did not change in time.
 */
enum ready_state ready_wait(const struct device *device, u64 began)
{
	bool ours = node_make(device->index);
	u64 end = clock_now() + WAIT_USEC;
	enum ready_state state;
	struct settle s;

	settle_begin(&s, began);
	for (;;) {
		state = nodes_state(device, &s);
		if (state == READY_ALL || state == READY_GONE ||
		    (state == READY_MISSING && ours) ||
		    settle_hopeless(&s) || clock_now() > end)
			break;
		clock_pause();
	}
	settle_end(&s);
	return state;
}
