// SPDX-License-Identifier: GPL-2.0
/*
 * The nodes in /dev of a new device and its partitions.
 */
#define _GNU_SOURCE
#include <libudev.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "node.h"
#include "sysfs.h"

/* How long a new device's nodes may take to appear. */
#define WAIT_USEC	(10 * 1000000ULL)
#define POLL_NS		(5 * 1000 * 1000)

/*
 * Has udev finished with a node since @began? What it knows of an earlier device
 * of that number may still be there.
 */
static bool udev_finished(struct udev *udev, dev_t dev, u64 began)
{
	struct udev_device *d = udev_device_new_from_devnum(udev, 'b', dev);
	bool finished = d && udev_device_get_is_initialized(d) > 0 &&
			udev_device_get_usec_since_initialized(d) <= device_clock() - began;

	udev_device_unref(d);
	return finished;
}

/* Is a node in /dev, the right one, and has udev finished with it? */
static bool node_ready(const struct sysfs_node *node, struct udev *udev, u64 began)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/dev/%.31s", node->name);
	if (stat(path, &st) || !S_ISBLK(st.st_mode) || st.st_rdev != node->dev)
		return false;
	return !udev || udev_finished(udev, node->dev, began);
}

static bool nodes_ready(int index, struct udev *udev, u64 began)
{
	struct sysfs_node nodes[SYSFS_MAX_NODES];
	size_t nr = sysfs_nodes(index, nodes);
	size_t i;

	for (i = 0; i < nr; i++)
		if (!node_ready(&nodes[i], udev, began))
			return false;
	return nr > 0;
}

/* Return: 0; -1: the nodes are not ready; or 1: the number is not the device's any more. */
static int nodes_state(int index, u64 diskseq, struct udev *udev, u64 began)
{
	bool ready = nodes_ready(index, udev, began);

	/* Asked last, so that the nodes above were those of this device. */
	if (!sysfs_is_disk(index, diskseq))
		return 1;
	return ready ? 0 : -1;
}

/**
 * node_wait() - wait until a new device and its partitions are in /dev
 * @index: the N of /dev/qcowN
 * @diskseq: of its disk; 0: not known
 * @began: device_clock() before it was attached
 *
 * And until udev, where it runs, has set their links and permissions.
 *
 * Return: 0; -1: the nodes did not appear; or 1: the device is gone, or is another disk
 * by now.
 */
int node_wait(int index, u64 diskseq, u64 began)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	u64 end = device_clock() + WAIT_USEC;
	struct udev *udev = NULL;
	int state;

	if (!access("/run/udev/control", F_OK))
		udev = udev_new();
	while ((state = nodes_state(index, diskseq, udev, began)) < 0 &&
	       device_clock() <= end)
		nanosleep(&pause, NULL);
	udev_unref(udev);
	/* A udev that never finishes is no reason to call the device missing. */
	return state < 0 ? nodes_state(index, diskseq, NULL, began) : state;
}
