// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's control node, and the nodes of its devices.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libudev.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "device.h"
#include "file.h"
#include "report.h"
#include "sysfs.h"

static const char control_path[] = "/dev/" QCOW_CONTROL_NAME;

/* How long a new device's nodes may take to appear. */
#define WAIT_USEC	(10 * 1000000ULL)
#define POLL_NS		(5 * 1000 * 1000)

static void load_module(void)
{
	char *argv[] = { "modprobe", "-q", "qcow", NULL };
	posix_spawn_file_actions_t quiet;
	int status;
	pid_t pid;

	if (geteuid())
		return;
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, STDERR_FILENO, "/dev/null",
					 O_WRONLY, 0);
	if (!posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ))
		waitpid(pid, &status, 0);
	posix_spawn_file_actions_destroy(&quiet);
}

/**
 * device_control_quiet() - open the driver's control node if it is there
 *
 * Return: a descriptor, or -1 and errno.
 */
int device_control_quiet(void)
{
	return open(control_path, O_RDWR | O_CLOEXEC);
}

static bool no_module(int fd)
{
	return fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO);
}

/**
 * device_control() - open the driver's control node, load the module if need be
 *
 * Return: a descriptor, or -1 after saying what is wrong.
 */
int device_control(void)
{
	int fd = device_control_quiet();

	if (no_module(fd)) {
		load_module();
		fd = device_control_quiet();
	}
	if (fd >= 0)
		return fd;
	if (errno == EACCES || errno == EPERM)
		report(control_path, "only root may attach and detach images; use sudo");
	else if (no_module(fd))
		report(control_path, "the qcow module is not loaded; %s", geteuid() ?
		       "run modprobe qcow as root" :
		       "build and install it with make install, then see what modprobe qcow says");
	else
		report(control_path, "cannot open: %s; see the kernel log",
		       strerror(errno));
	return -1;
}

/**
 * device_status() - ask the driver about a device
 * @control: from device_control()
 * @index: the N of /dev/qcowN
 * @status: the result
 *
 * Return: 0 or a negative errno.
 */
int device_status(int control, int index, struct qcow_ioc_status *status)
{
	memset(status, 0, sizeof(*status));
	status->size = sizeof(*status);
	status->index = index;
	return ioctl(control, QCOW_IOC_STATUS, status) ? -errno : 0;
}

/**
 * device_openers() - how often a device is open
 * @control: from device_control()
 * @index: the N of /dev/qcowN, which is in use
 *
 * Return: the number, 1 if that cannot be told.
 */
u32 device_openers(int control, int index)
{
	struct qcow_ioc_status status;

	if (device_status(control, index, &status) || !status.openers)
		return 1;
	return status.openers;
}

/**
 * device_clock() - now, for device_wait()
 *
 * Return: microseconds.
 */
u64 device_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
}

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

/**
 * device_wait() - wait until a new device and its partitions are in /dev
 * @index: the N of /dev/qcowN
 * @began: device_clock() before it was attached
 *
 * And until udev, where it runs, has set their links and permissions.
 *
 * Return: 0, or -1 if the nodes did not appear.
 */
int device_wait(int index, u64 began)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	u64 end = device_clock() + WAIT_USEC;
	struct udev *udev = NULL;
	bool ready;

	if (!access("/run/udev/control", F_OK))
		udev = udev_new();
	while (!(ready = nodes_ready(index, udev, began)) && device_clock() <= end)
		nanosleep(&pause, NULL);
	udev_unref(udev);
	/* A udev that never finishes is no reason to call the device missing. */
	return ready || nodes_ready(index, NULL, began) ? 0 : -1;
}

static int device_refused(int index, int err)
{
	char name[32];

	snprintf(name, sizeof(name), "/dev/qcow%d", index);
	if (err == -EPERM || err == -EACCES)
		report(name, "only root may ask about devices; use sudo");
	else if (err == -ENODEV || err == -ENOENT || err == -ENXIO)
		report(name, "no such device; see qcowctl list");
	else
		report(name, "%s; see the kernel log", strerror(-err));
	return -1;
}

/**
 * device_query() - ask the driver about a device that the user named
 * @index: the N of /dev/qcowN
 * @status: the result
 *
 * Return: 0, or -1 after saying what is wrong.
 */
int device_query(int index, struct qcow_ioc_status *status)
{
	int control = device_control_quiet();
	int err = control < 0 ? -errno : device_status(control, index, status);

	if (control >= 0)
		close(control);
	return err ? device_refused(index, err) : 0;
}
