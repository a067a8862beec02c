// SPDX-License-Identifier: GPL-2.0
/*
 * The device of an image that is to be mounted. From the moment that it is attached it is
 * one that goes at its last close, and this program has it open. So it goes whatever ends
 * this program, unless something of it is mounted by then.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/detach.h"
#include "device/device.h"
#include "device/node.h"
#include "device/ready.h"
#include "device/sectors.h"
#include "device/still.h"
#include "lib/clock.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "mount/closed.h"
#include "mount/held.h"
#include "mount/signals.h"

/* --- One at a time for each image --- */

static const char lock_path[] = "/run/qcow-mount.lock";

/*
 * Of two mounts of an image that begin together, one attaches it, and the other finds
 * it attached. Each image has a byte of one file. It is done without where there is no
 * such file. Return: a descriptor to close, or -1.
 */
static int lock_mounts(const char *image)
{
	int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	struct stat st;

	if (fd < 0 || stat(image, &st))
		return fd;
	lock.l_start = (st.st_ino ^ (u64)st.st_dev << 32) & S64_MAX >> 1;
	fcntl(fd, F_OFD_SETLKW, &lock);
	return fd;
}

static void unlock_mounts(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* --- The node --- */

/* Return: a descriptor of the device's node, or -1. */
static int open_node(const struct device *d)
{
	char path[32];
	int fd;

	node_make(d->index, d->diskseq);
	snprintf(path, sizeof(path), "/dev/qcow%d", d->index);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 && !still_opened(fd, d)) {
		close(fd);
		errno = ENODEV;
		return -1;
	}
	return fd;
}

/* --- A device that is there --- */

static bool attr_is(int index, const char *attr, const char *expected)
{
	char *value = sysfs_attr(index, attr);
	bool is = value && !strcmp(value, expected);

	free(value);
	return is;
}

/* Return: true if a device detaches itself, and shows the disk that the mount asks for. */
static bool is_fitting(const struct qcow_ioc_file *found, const struct request *r)
{
	const struct qcow_ioc_attach *ioc = &r->attach.ioc;
	char offset[32];

	snprintf(offset, sizeof(offset), "%llu", (unsigned long long)ioc->offset);
	/* Each mount of a disk that is thrown away has one of its own. */
	if (r->attach.temporary || found->flags & QCOW_FILE_TEMPORARY)
		return false;
	return attr_is(found->index, "autoclear", "1") && !ioc->size_limit &&
	       attr_is(found->index, "offset", offset) &&
	       attr_is(found->index, "snapshot",
		       ioc->snapshot ? (const char *)(uintptr_t)ioc->snapshot : "") &&
	       (request_read_only(r) || (found->flags & QCOW_FILE_WRITABLE));
}

static bool find_fitting(struct held *h, int image, const struct request *r)
{
	struct attached_search s;

	h->fd = -1;
	attached_begin(&s, image);
	while (h->fd < 0 && attached_next(&s)) {
		if (s.guess || !attached_as_image(&s) || !is_fitting(&s.found, r))
			continue;
		h->device = (struct device) {
			.index = s.found.index, .diskseq = s.found.diskseq,
		};
		h->fd = open_node(&h->device);
	}
	attached_end(&s);
	return h->fd >= 0;
}

/* Another partition of the image may be mounted. Return: whether it is. */
static bool share(struct held *h, const struct request *r)
{
	int image = open(r->image, O_PATH | O_CLOEXEC);

	h->shared = image >= 0 && find_fitting(h, image, r);
	if (image >= 0)
		close(image);
	return h->shared;
}

/* --- A new device --- */

/* Return: 0 or a negative errno. */
static int detach_once(const struct device *d, u32 flags)
{
	struct qcow_ioc_detach ioc = {
		.size = sizeof(ioc),
		.flags = flags,
		.index = d->index,
		.diskseq = d->diskseq,
	};
	int control = device_control_quiet();
	int err = control < 0 ? -errno : detach_ioctl(control, &ioc);

	if (control >= 0)
		close(control);
	return err;
}

static int set_autoclear(const struct device *d)
{
	return detach_once(d, QCOW_DETACH_LAZY);
}

static int hold(struct held *h, const struct request *r)
{
	int err;

	h->fd = open_node(&h->device);
	err = h->fd < 0 ? -errno : set_autoclear(&h->device);
	if (!err)
		return 0;
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	report(r->image, "/dev/qcow%d cannot be held open for the mount: %s", h->device.index,
	       strerror(-err));
	/* udev may have it open: then it goes when that is done. */
	if (set_autoclear(&h->device))
		detach_again(&h->device);
	return -1;
}

static int attach_new(struct held *h, struct request *r)
{
	int err;

	/* From before the attach until the device goes by itself. */
	r->attach.before = signals_block;
	err = attach_open(&h->device, &r->attach, r->image);
	if (!err)
		err = hold(h, r);
	signals_unblock();
	return err;
}

static int wait_ready(const struct held *h, const struct request *r, u64 began)
{
	enum ready_state state = ready_wait(&h->device, began);

	if (state == READY_GONE)
		report(r->image, "is not attached any more, as somebody else detached it; do it again");
	else if (state == READY_MISSING)
		node_report_missing(h->device.index, h->device.diskseq);
	return state == READY_GONE || state == READY_MISSING ? -1 : 0;
}

/**
 * held_attach() - attach an image, or find that it is attached for another mount
 * @h: the result
 * @r: the request; it is read-only afterwards if the image cannot be written
 *
 * Return: 0, or -1 after printing the error.
 */
int held_attach(struct held *h, struct request *r)
{
	int lock = lock_mounts(r->image), err = 0;
	u64 began = clock_now();

	if (!share(h, r))
		err = attach_new(h, r);
	unlock_mounts(lock);
	if (err || h->shared)
		return err;
	err = wait_ready(h, r, began);
	if (err)
		held_release(h, false);
	else
		sectors_note_table(&h->device, r->image);
	return err;
}

/* --- The end --- */

/**
 * held_release() - close the device
 * @h: the device
 * @mounted: it stays for that; else wait until it has gone
 */
void held_release(struct held *h, bool mounted)
{
	struct qcow_msg msg = { };

	close(h->fd);
	if (mounted || h->shared)
		return;
	/* udev may be looking at it; then it goes when udev is done. */
	closed_wait(&h->device, &msg);
}
