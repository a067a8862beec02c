// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's control node, and questions to the driver.
 * All commands that concern devices call this.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "device/device.h"
#include "device/module.h"
#include "device/node.h"
#include "lib/file.h"
#include "lib/modprobe.h"
#include "lib/report.h"
#include "lib/sysfs.h"

static const char control_path[] = "/dev/" QCOW_CONTROL_NAME;

static bool no_driver(int fd)
{
	return fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO);
}

static void report_forbidden(int err)
{
	if (geteuid())
		report(control_path, "only root may attach and detach images; use sudo");
	else
		report(control_path, "%s: root of this container may not use it; allow the container this device and its disks, and CAP_SYS_ADMIN, or do it on the host",
		       strerror(err));
}

/**
 * device_control_quiet() - open the driver's control node if it is there
 *
 * Return: a descriptor, or -1 and errno.
 */
int device_control_quiet(void)
{
	int err, fd;

	if (!node_control_stale(control_path)) {
		fd = open(control_path, O_RDWR | O_CLOEXEC);
		if (!no_driver(fd))
			return fd;
	}
	err = node_make_control(control_path);
	if (!err)
		return open(control_path, O_RDWR | O_CLOEXEC);
	errno = -err;
	return -1;
}

/**
 * device_control() - open the driver's control node, load the module if need be
 *
 * Return: a descriptor, or -1 after printing the error.
 */
int device_control(void)
{
	int fd = device_control_quiet();
	char *reason = NULL;

	if (no_driver(fd)) {
		reason = modprobe("qcow");
		fd = device_control_quiet();
	}
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		report_forbidden(errno);
	else if (no_driver(fd))
		module_report(control_path, reason);
	else if (fd < 0)
		report(control_path, "cannot open: %s; see the kernel log",
		       strerror(errno));
	free(reason);
	return fd;
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
 * device_exists() - whether a device is attached
 * @index: the N of /dev/qcowN
 *
 * The driver is asked only where sysfs is not mounted.
 *
 * Return: whether it is.
 */
bool device_exists(int index)
{
	struct qcow_ioc_status status;
	int control, err;

	if (sysfs_is_there())
		return sysfs_exists(index);
	control = device_control_quiet();
	if (control < 0)
		return false;
	err = device_status(control, index, &status);
	close(control);
	return !err;
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
 * Return: 0, or -1 after printing the error.
 */
int device_query(int index, struct qcow_ioc_status *status)
{
	int control = device_control_quiet();
	int err = control < 0 ? -errno : device_status(control, index, status);

	if (control >= 0)
		close(control);
	return err ? device_refused(index, err) : 0;
}
