// SPDX-License-Identifier: GPL-2.0
/*
 * Waits until a device that nothing of is mounted any more has closed its image. The device
 * goes by itself at its last close, but a device that shows a snapshot of its image keeps it.
 * held.c and unmount.c call this.
 */
#include <errno.h>
#include <unistd.h>

#include "cmd/detach.h"
#include "device/device.h"
#include "device/in_use.h"
#include "device/node.h"
#include "lib/report.h"
#include "mount/closed.h"

/**
 * struct closing - an argument of attempt()
 * @device: the device
 * @msg: the driver's message about its detach
 */
struct closing {
	const struct device *device;
	struct qcow_msg *msg;
};

static bool has_children(int index)
{
	struct in_use children = { };
	bool has;

	in_use_find_children(&children, index);
	has = children.nr;
	in_use_free(&children);
	return has;
}

static int attempt(void *arg)
{
	struct closing *c = arg;
	struct qcow_ioc_detach ioc = {
		.size = sizeof(ioc),
		.index = c->device->index,
		.msg = (uintptr_t)c->msg->text,
		.msg_size = sizeof(c->msg->text),
		.diskseq = c->device->diskseq,
	};
	int control = device_control_quiet();
	int err = control < 0 ? -errno : detach_ioctl(control, &ioc);

	if (control >= 0)
		close(control);
	report_from_driver(c->msg);
	/* That does not end soon. */
	return err == -EBUSY && has_children(c->device->index) ? -ETXTBSY : err;
}

static void report_children(int index)
{
	struct in_use users = { };

	in_use_find_children(&users, index);
	in_use_report(&users, index, 0,
		      "Its image is closed when the device with the snapshot is detached.");
	in_use_free(&users);
}

/**
 * closed_wait() - wait until a device has closed its image
 * @d: the device
 * @msg: the result: the driver's message
 *
 * Devices that show a snapshot of the image, and keep it, are named.
 *
 * Return: 0 or a negative errno; -EBUSY: somebody has the device open; -ETXTBSY: others show
 * snapshots; -EIO: the device has gone, but what was written is lost; -EINPROGRESS: it takes
 * longer.
 */
int closed_wait(const struct device *d, struct qcow_msg *msg)
{
	struct closing c = { .device = d, .msg = msg };
	struct in_use users = { };
	int err = in_use_patiently(&users, d->index, attempt, &c);

	if (err == -ETXTBSY)
		report_children(d->index);
	in_use_free(&users);
	node_tidy();
	return err;
}
