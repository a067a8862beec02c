// SPDX-License-Identifier: GPL-2.0
/*
 * The wait for a new device: its nodes are there, and udev has set links and permissions.
 * The commands attach and convert, and mount.qcow2, call this.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/node.h"
#include "device/ready.h"
#include "device/settle.h"
#include "device/still.h"
#include "lib/clock.h"
#include "lib/report.h"

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

/* A node of that name may be left over from another device. */
static bool node_opens(const struct device *device)
{
	char path[32];
	struct stat st;
	bool is;
	int fd;

	snprintf(path, sizeof(path), "/dev/qcow%d", device->index);
	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		return false;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	is = fd >= 0 && still_opened(fd, device);
	if (fd >= 0)
		close(fd);
	return is;
}

/* Without sysfs: neither the partitions nor the numbers of nodes are known. */
static enum ready_state disk_state(const struct device *device)
{
	bool there = node_opens(device);

	if (!still_attached(device))
		return READY_GONE;
	return there ? READY_ALL : READY_MISSING;
}

/**
 * ready_wait() - wait until the nodes of a new device and its partitions can be used
 * @device: the device, with the diskseq that the driver gave it
 * @began: clock_now() before it was attached
 *
 * Where the kernel does not make them, they are made. If udev runs and hears of them,
 * it has set their links and permissions then. Nothing is waited for where sysfs is not
 * mounted.
 *
 * Return: their state; READY_UNSETTLED and READY_MISSING: that did not change in time.
 */
enum ready_state ready_wait(const struct device *device, u64 began)
{
	u64 end = clock_now() + WAIT_USEC;
	enum ready_state state;
	struct settle s;
	bool ours;

	if (!sysfs_is_there())
		return disk_state(device);
	ours = node_make(device->index, device->diskseq);
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

/**
 * ready_open() - open the node of a device, also where it has to be made first
 * @device: the device, with the diskseq that the driver gave it
 *
 * Return: a descriptor for reading, or -1 with errno.
 */
int ready_open(const struct device *device)
{
	char path[32];
	int fd;

	node_make(device->index, device->diskseq);
	snprintf(path, sizeof(path), "/dev/qcow%d", device->index);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && !still_opened(fd, device)) {
		close(fd);
		errno = ENODEV;
		return -1;
	}
	return fd;
}
