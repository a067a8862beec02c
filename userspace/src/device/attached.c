// SPDX-License-Identifier: GPL-2.0
/*
 * The files of attached devices, by the driver: it compares files, not names, and hands
 * out the very files that are attached.
 * in_use.c and which.c call this, and so do image/ and commands that must not touch the file
 * of a device.
 */
#include <linux/qcow_map.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "device/attached.h"
#include "device/device.h"
#include "lib/report.h"
#include "lib/sysfs.h"

/* --- The devices of a file --- */

/**
 * attached_begin() - begin to search for the devices that a file belongs to
 * @s: the search, to attached_end()
 * @fd: the file, may be O_PATH; it stays open until the end
 */
void attached_begin(struct attached_search *s, int fd)
{
	*s = (struct attached_search) {
		.fd = fd,
		.control = device_control_quiet(),
	};
	s->guess = s->control < 0;
	if (fstat(fd, &s->stat))
		memset(&s->stat, 0, sizeof(s->stat));
}

static int ask_next(struct attached_search *s)
{
	s->found = (struct qcow_ioc_file) {
		.size = sizeof(s->found),
		.op = QCOW_FILE_FIND,
		.index = s->next,
		.fd = s->fd,
	};
	return ioctl(s->control, QCOW_IOC_FILE, &s->found) ? -errno : 0;
}

static bool guess_is_image(const struct attached_search *s, int index)
{
	char *path = sysfs_attr(index, "image");
	struct stat image;
	bool same;

	same = path && !stat(path, &image) && stat_same(&image, &s->stat);
	free(path);
	return same;
}

static bool guess_next(struct attached_search *s)
{
	int *list, nr = sysfs_devices(&list);
	u64 ro = 0;
	int i;

	for (i = 0; i < nr; i++)
		if (list[i] >= s->next && guess_is_image(s, list[i]))
			break;
	if (i < nr) {
		sysfs_read_u64(&ro, "/sys/block/qcow%d/ro", list[i]);
		s->found = (struct qcow_ioc_file) {
			.index = list[i],
			.flags = ro ? 0 : QCOW_FILE_WRITABLE,
		};
	}
	free(list);
	return i < nr;
}

/**
 * attached_next() - the next device that a file belongs to
 * @s: from attached_begin()
 *
 * Return: whether there is one; it is in @s->found.
 */
bool attached_next(struct attached_search *s)
{
	int err = s->guess ? -ENOTTY : ask_next(s);

	/* Drivers that cannot tell know no such request. */
	if (err == -ENOTTY || err == -EPERM)
		s->guess = true;
	if (s->guess ? !guess_next(s) : err)
		return false;
	s->next = s->found.index + 1;
	return true;
}

/**
 * attached_end() - end a search
 * @s: from attached_begin()
 */
void attached_end(struct attached_search *s)
{
	if (s->control >= 0)
		close(s->control);
	s->control = -1;
}

/**
 * attached_as_image() - whether a file is the image of a device that everybody sees
 * @s: after attached_next() found the device
 *
 * Return: whether it is, rather than a backing or data file, or at work in a command.
 */
bool attached_as_image(const struct attached_search *s)
{
	bool temporary = s->found.flags & QCOW_FILE_TEMPORARY;

	return s->found.image == temporary &&
	       !(s->found.flags & (QCOW_FILE_DATA | QCOW_FILE_HIDDEN));
}

/**
 * attached_is_image() - whether a file is the image of a certain device
 * @index: the N of /dev/qcowN
 * @fd: the file, may be O_PATH
 * @known: the driver said so; else it is a guess
 *
 * Return: whether it is.
 */
bool attached_is_image(int index, int fd, bool *known)
{
	struct attached_search s;
	bool is;

	attached_begin(&s, fd);
	s.next = index;
	is = attached_next(&s) && s.found.index == index && attached_as_image(&s);
	*known = !s.guess;
	attached_end(&s);
	return is;
}

/* --- The files of a device --- */

static int open_refused(const struct device *d, int err)
{
	char name[32];

	snprintf(name, sizeof(name), "/dev/qcow%d", d->index);
	if (err == -ENOTTY)
		report(name, "the driver is too old to hand out the files of a device; load the one that belongs to this qcowctl");
	else if (err == -ESTALE)
		report(name, "is another device, or has another file, meanwhile; see qcowctl list");
	else if (err == -ENODEV || err == -ENXIO)
		report(name, "no such device; see qcowctl list");
	else if (err == -EPERM || err == -EACCES)
		report(name, "only root may read the files of a device; use sudo");
	else
		report(name, "a file of it cannot be opened: %s; see the kernel log",
		       strerror(-err));
	return -1;
}

/* Return: 0 or a negative errno; -ENOENT: there is no such file. */
static int ask_open(struct qcow_ioc_file *ioc, int control, const struct device *d)
{
	ioc->size = sizeof(*ioc);
	ioc->op = QCOW_FILE_OPEN;
	ioc->index = d->index;
	ioc->diskseq = d->diskseq;
	return ioctl(control, QCOW_IOC_FILE, ioc) ? -errno : 0;
}

/* Return: as attached_open(). */
static int open_file(struct file *f, struct qcow_ioc_file *ioc, int control,
		     const struct device *d)
{
	int fd = control < 0 ? device_control_quiet() : control;
	int err = fd < 0 ? -errno : ask_open(ioc, fd, d);

	*f = (struct file) { .fd = -1 };
	if (fd >= 0 && fd != control)
		close(fd);
	if (err == -ENOENT && fd >= 0)
		return 1;
	return err ? open_refused(d, err) : file_adopt(f, ioc->fd);
}

/**
 * attached_open() - open a file of a device for reading: the very file, not its name
 * @f: the result; file_close() it, after a failure too
 * @format: the result: &enum qcow_format of its image; may be NULL
 * @control: the driver's control node, or -1: open it
 * @d: the device
 * @image: 0: its image, 1: that one's backing file, and so on
 * @flags: QCOW_FILE_DATA for that image's data file, or 0
 *
 * Return: 0; 1: there is no such file; or -1 after printing the error.
 */
int attached_open(struct file *f, u32 *format, int control,
		  const struct device *d, u32 image, u32 flags)
{
	struct qcow_ioc_file ioc = { .image = image, .flags = flags };
	int ret = open_file(f, &ioc, control, d);

	if (!ret && format)
		*format = ioc.format;
	return ret;
}

/**
 * attached_open_part() - open an extent of an image of a foreign format
 * @f: the result; file_close() it, after a failure too
 * @control: the driver's control node, or -1: open it
 * @d: the device
 * @image: the number of the image in the chain
 * @number: of the file in the image's table
 *
 * Return: 0; 1: there is no such file; or -1 after printing the error.
 */
int attached_open_part(struct file *f, int control, const struct device *d, u32 image,
		       u32 number)
{
	struct qcow_ioc_file ioc = { .image = image, .number = number };

	return open_file(f, &ioc, control, d);
}

/**
 * struct acceptance - a question about files of a device
 * @control: the driver's control node
 * @device: the device
 * @accept: whether a file is accepted
 * @arg: its second argument
 */
struct acceptance {
	int control;
	const struct device *device;
	bool (*accept)(int fd, void *arg);
	void *arg;
};

/* Return: whether a file is accepted, or is not there, which sets @end. */
static bool accepts(const struct acceptance *a, struct qcow_ioc_file *ioc, bool *end)
{
	bool accepted;
	int err = ask_open(ioc, a->control, a->device);

	/* Older drivers know no images of several files, nor the member for the number. */
	*end = err == -ENOENT || (err == -EINVAL && ioc->number);
	if (err)
		return *end;
	accepted = a->accept(ioc->fd, a->arg);
	close(ioc->fd);
	return accepted;
}

/* Whether the extents of an image are accepted. */
static bool accepts_parts(const struct acceptance *a, u32 image)
{
	struct qcow_ioc_file ioc;
	bool all = true, end = false;
	u32 number;

	for (number = 1; all && !end && number < QCOW_MAP_FILES_MAX; number++) {
		ioc = (struct qcow_ioc_file) { .image = image, .number = number };
		all = accepts(a, &ioc, &end);
	}
	return all;
}

/* Whether the data file and the extents of an image are, and the next image, if any. */
static bool accepts_image(const struct acceptance *a, u32 image, bool *end)
{
	struct qcow_ioc_file data = { .image = image, .flags = QCOW_FILE_DATA };
	struct qcow_ioc_file next = { .image = image + 1 };
	bool no_data;

	if (!accepts(a, &data, &no_data) || !accepts_parts(a, image))
		return false;
	return accepts(a, &next, end);
}

/**
 * attached_all() - tell whether all backing and data files, and extents, of a device are
 *	accepted
 * @d: the device
 * @accept: tells whether an open file is
 * @arg: its second argument
 *
 * Return: whether they are; also not if the driver does not open one.
 */
bool attached_all(const struct device *d, bool (*accept)(int fd, void *arg), void *arg)
{
	struct acceptance a = {
		.control = device_control_quiet(),
		.device = d,
		.accept = accept,
		.arg = arg,
	};
	bool all = a.control >= 0, end = false;
	u32 image;

	for (image = 0; all && !end; image++)
		all = accepts_image(&a, image, &end);
	if (a.control >= 0)
		close(a.control);
	return all;
}
