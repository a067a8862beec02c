// SPDX-License-Identifier: GPL-2.0
/*
 * The device of an image that is to be mounted. It detaches itself at its last close, and
 * until it is mounted this program keeps it: by the open file of the control node, and by
 * its own node. So it goes whatever ends this program, unless something of it is mounted by
 * then. A driver that does not know this takes two steps, with signals blocked.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/detach.h"
#include "device/device.h"
#include "device/node.h"
#include "device/ready.h"
#include "device/sectors.h"
#include "lib/clock.h"
#include "lib/folder.h"
#include "lib/report.h"
#include "mount/closed.h"
#include "mount/held.h"
#include "mount/share.h"
#include "mount/signals.h"

/* --- One at a time for each image --- */

static const char lock_path[] = "/run/qcow-mount.lock";

/*
 * Of two mounts of an image that begin together, one attaches it, and the other finds
 * it attached. The first one also mounts before the other one makes a partition read-only.
 * Each image has a byte of one file. It is done without where there is no such file.
 * Return: a descriptor to close, or -1.
 */
static int lock_mounts(const struct request *r)
{
	int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	struct stat st;

	if (fd < 0 || stat(r->image, &st))
		return fd;
	lock.l_start = (st.st_ino ^ (u64)st.st_dev << 32) & S64_MAX >> 1;
	if (fcntl(fd, F_OFD_SETLK, &lock)) {
		if (r->verbose)
			report(r->image, "another mount of this image is not done yet; waiting for it");
		fcntl(fd, F_OFD_SETLKW, &lock);
	}
	return fd;
}

static void unlock_mounts(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* --- A device that is there --- */

/* Another partition of the image may be mounted. Return: whether it is. */
static bool share(struct held *h, const struct request *r)
{
	struct attached_search s;
	int image = folder_open_path(r->image);

	h->fd = -1;
	h->shared = false;
	if (image < 0)
		return false;
	attached_begin(&s, image);
	while (!h->shared && !h->refused && attached_next(&s)) {
		h->device = (struct device) {
			.index = s.found.index, .diskseq = s.found.diskseq,
		};
		switch (s.guess ? SHARE_OTHER : share_judge(&s, r)) {
		case SHARE_FITS:
			h->fd = ready_open(&h->device);
			h->shared = h->fd >= 0;
			break;
		case SHARE_REFUSED:
			h->refused = true;
			break;
		default:
			break;
		}
	}
	attached_end(&s);
	close(image);
	return h->shared;
}

/* --- A new device --- */

/* Return: 0 or a negative errno. */
static int set_autoclear(const struct device *d)
{
	struct qcow_ioc_detach ioc = {
		.size = sizeof(ioc),
		.flags = QCOW_DETACH_LAZY,
		.index = d->index,
		.diskseq = d->diskseq,
	};
	int control = device_control_quiet();
	int err = control < 0 ? -errno : detach_ioctl(control, &ioc);

	if (control >= 0)
		close(control);
	return err;
}

static void close_held(struct held *h)
{
	if (h->fd >= 0)
		close(h->fd);
	if (h->control >= 0)
		close(h->control);
	h->fd = -1;
	h->control = -1;
}

static int hold(struct held *h, const struct request *r)
{
	bool detaches_itself = h->control >= 0;
	int err;

	h->fd = ready_open(&h->device);
	err = h->fd < 0 ? -errno : 0;
	if (!err && !detaches_itself)
		err = set_autoclear(&h->device);
	if (!err)
		return 0;
	close_held(h);
	report(r->image, "/dev/qcow%d cannot be held open for the mount: %s", h->device.index,
	       strerror(-err));
	/* udev may have it open: then it goes when that is done. */
	if (!detaches_itself && set_autoclear(&h->device))
		detach_again(&h->device);
	return -1;
}

static int attach_new(struct held *h, struct request *r)
{
	int err;

	/* From before the attach until the device goes by itself. */
	r->attach.before = signals_block;
	r->attach.holder = &h->control;
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
 * Other mounts of the image wait until held_release().
 *
 * Return: 0, or -1 after printing the error.
 */
int held_attach(struct held *h, struct request *r)
{
	u64 began;
	int err;

	h->control = -1;
	h->lock = lock_mounts(r);
	if (share(h, r))
		return 0;
	began = clock_now();
	err = h->refused ? -1 : attach_new(h, r);
	if (err) {
		unlock_mounts(h->lock);
		return err;
	}
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

	close_held(h);
	/* udev may be looking at it; then it goes when udev is done. */
	if (!mounted && !h->shared)
		closed_wait(&h->device, &msg);
	unlock_mounts(h->lock);
}
