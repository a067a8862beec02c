// SPDX-License-Identifier: GPL-2.0
/*
 * Which device an argument means: a name of the device itself, or its image, which is
 * told by the file and not by its name.
 * Commands whose operand may be a device or an image call this.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device/device.h"
#include "device/which.h"
#include "lib/folder.h"
#include "lib/report.h"
#include "lib/sysfs.h"

static bool is_device_name(const char *s)
{
	if (strncmp(s, "qcow", 4) || !s[4])
		return false;
	return strspn(s + 4, "0123456789") == strlen(s + 4);
}

/**
 * which_index_of_name() - the device that an argument names
 * @arg: qcowN, /dev/qcowN, or another path or name of the same node
 * @partition: whether it is a partition of it
 *
 * Return: N, attached or not, or -1: not a name of one of our devices.
 */
int which_index_of_name(const char *arg, bool *partition)
{
	const char *name = strncmp(arg, "/dev/", 5) ? arg : arg + 5;
	char path[64];
	struct stat st;
	long n;

	*partition = false;
	if (is_device_name(name)) {
		n = strtol(name + 4, NULL, 10);
		return n > INT_MAX ? INT_MAX : (int)n;
	}
	snprintf(path, sizeof(path), "/dev/%.32s", name);
	if (stat(arg, &st) && (strchr(name, '/') || stat(path, &st)))
		return -1;
	if (!S_ISBLK(st.st_mode))
		return -1;
	return sysfs_index_of(st.st_rdev, partition);
}

/**
 * which_is() - whether an argument means a device
 * @index: the N of /dev/qcowN, attached
 * @arg: a device's or partition's name or an image
 *
 * Return: whether it is that device or its image.
 */
bool which_is(int index, const char *arg)
{
	bool partition, known, same;
	int named = which_index_of_name(arg, &partition);
	int fd;

	if (named >= 0 && device_exists(named))
		return named == index;
	fd = folder_open_path(arg);
	if (fd < 0)
		return false;
	same = attached_is_image(index, fd, &known);
	close(fd);
	return same;
}

/* Return: how many devices have it as their image, @d is one of them. */
static int find_image(struct device *d, int fd, bool *old)
{
	struct attached_search s;
	int nr = 0;

	attached_begin(&s, fd);
	while (attached_next(&s)) {
		/* A child is beside the device that has the image. */
		if (!attached_as_image(&s) || s.found.flags & QCOW_FILE_CHILD)
			continue;
		d->index = s.found.index;
		d->diskseq = s.found.diskseq;
		nr++;
	}
	*old = s.guess && s.control >= 0;
	attached_end(&s);
	return nr;
}

/**
 * which_of_image() - the device that an image is attached as
 * @d: the result
 * @arg: the image
 *
 * Return: 1; 0: it is not attached; or -1 after saying that it is attached more than
 * once, or that the driver cannot tell.
 */
int which_of_image(struct device *d, const char *arg)
{
	int fd = folder_open_path(arg);
	bool old;
	int nr;

	*d = (struct device) { .index = -1 };
	if (fd < 0)
		return 0;
	nr = find_image(d, fd, &old);
	close(fd);
	if (nr <= 1 && !(nr && old))
		return nr;
	if (nr > 1)
		report(arg, "attached more than once; name the device, see qcowctl list");
	else
		report(arg, "may be attached as /dev/qcow%d, but the driver is too old to tell; name the device",
		       d->index);
	return -1;
}

static void report_no_device(const char *arg)
{
	char *name = xasprintf("%s%s", arg[0] == '/' ? "" : "/dev/", arg);

	report(name, "no such device; see qcowctl list");
	free(name);
}

/*
 * Fill in a device that the argument names. sysfs shows a device until its detach ends,
 * but the driver knows it no more; its number may belong to another device soon.
 * Return: 0, or -1 after saying that there is no such device.
 */
static int take_named(struct device *d, int index, const char *arg)
{
	int control = device_control_quiet();
	struct qcow_ioc_status status;
	int err;

	*d = (struct device) { .index = index };
	if (control < 0)
		return 0;
	err = device_status(control, index, &status);
	close(control);
	if (err == -ENODEV) {
		report_no_device(arg);
		return -1;
	}
	if (!err)
		d->diskseq = status.diskseq;
	return 0;
}

/**
 * which_device() - the attached device that an argument means
 * @d: the result
 * @arg: a device's name or an image
 *
 * Return: 0, or -1 after printing the error.
 */
int which_device(struct device *d, const char *arg)
{
	bool partition, in_dev = !strncmp(arg, "/dev/", 5);
	int index = which_index_of_name(arg, &partition);
	bool named = index >= 0;
	int found = 0;

	if (named && partition) {
		report(arg, "is a partition; name its disk /dev/qcow%d", index);
		return -1;
	}
	if (named && device_exists(index))
		return take_named(d, index, arg);
	/* Images have such names, too, and may lie beneath /dev. */
	if (!named || !in_dev)
		found = which_of_image(d, arg);
	if (found)
		return found < 0 ? -1 : 0;
	if (named)
		report_no_device(arg);
	else
		report(arg, "%s; see qcowctl list",
		       access(arg, F_OK) ? "no such image or device" : "not attached");
	return -1;
}

/**
 * which_or_image() - tell the name of a device from that of an image
 * @arg: the argument
 * @index: the N of /dev/qcowN, or -1: an image
 *
 * Return: 0, or -1 after saying that it is a partition.
 */
int which_or_image(const char *arg, int *index)
{
	bool partition;

	*index = which_index_of_name(arg, &partition);
	if (*index >= 0 && partition) {
		report(arg, "is a partition; name its disk /dev/qcow%d", *index);
		return -1;
	}
	/* A file may have such a name, too. */
	if (*index >= 0 && !device_exists(*index) && strncmp(arg, "/dev/", 5))
		*index = -1;
	return 0;
}

/**
 * which_is_missing() - whether a name leads to no device
 * @name: as which_device() takes it
 *
 * Return: whether it does. An image is there, attached or not.
 */
bool which_is_missing(const char *name)
{
	bool partition;
	int index = which_index_of_name(name, &partition);

	return index < 0 ? access(name, F_OK) && errno == ENOENT : !device_exists(index);
}
