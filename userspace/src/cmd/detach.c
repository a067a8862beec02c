// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl detach: remove a device, or name its users.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/detach.h"
#include "cmd/options.h"
#include "device/device.h"
#include "device/in_use.h"
#include "device/node.h"
#include "device/watch.h"
#include "device/which.h"
#include "export/build.h"
#include "export/exports.h"
#include "lib/report.h"
#include "lib/sysfs.h"

/**
 * struct detach - the arguments of the command line
 * @control: the driver's control node, or -1: not opened yet
 * @flags: QCOW_DETACH_*
 * @lazy: detach devices in use at their last close
 * @force: detach devices in use now
 * @all: all devices
 * @if_attached: a device that is not there is detached
 */
struct detach {
	int control;
	u32 flags;
	bool lazy;
	bool force;
	bool all;
	bool if_attached;
};

/**
 * struct attempt - a device to detach
 * @d: how
 * @index: the N of /dev/qcowN
 * @diskseq: of its disk; 0: not known
 * @msg: the message of the driver, if it fails
 */
struct attempt {
	const struct detach *d;
	int index;
	u64 diskseq;
	struct qcow_msg msg;
};

static struct attempt attempt_at(const struct detach *d,
				 const struct device *device)
{
	return (struct attempt) {
		.d = d,
		.index = device->index,
		.diskseq = device->diskseq,
	};
}

/**
 * detach_ioctl() - ask the driver to detach a device, also an older driver
 * @control: the driver's control node
 * @ioc: the request
 *
 * Shows how far it is.
 *
 * Return: 0 or a negative errno.
 */
int detach_ioctl(int control, struct qcow_ioc_detach *ioc)
{
	int err = watch_ioctl(control, ioc->index, "Detaching", QCOW_IOC_DETACH, ioc);

	if (err == -E2BIG) {
		/* The driver is older than the tool. */
		ioc->size = QCOW_DETACH_SIZE_V1;
		err = watch_ioctl(control, ioc->index, "Detaching", QCOW_IOC_DETACH, ioc);
	}
	return err;
}

static int detach_attempt(void *arg)
{
	struct attempt *a = arg;
	struct qcow_ioc_detach ioc = {
		.size = sizeof(ioc),
		.flags = a->d->flags,
		.index = a->index,
		.msg = (uintptr_t)a->msg.text,
		.msg_size = sizeof(a->msg.text),
		.diskseq = a->diskseq,
	};
	int err = detach_ioctl(a->d->control, &ioc);

	report_from_driver(&a->msg);
	/* The driver names a device that shows a snapshot, which does not go by itself. */
	return err == -EBUSY && a->msg.text[0] ? -ETXTBSY : err;
}

static void report_children(const struct detach *d, int index)
{
	struct in_use users;

	in_use_find(&users, index);
	in_use_find_children(&users, index);
	in_use_report(&users, index, device_openers(d->control, index),
		      "Detach the device with the snapshot first; or use --lazy to detach at last close,\n"
		      "--force to fail the I/O of this one now.");
	in_use_free(&users);
}

static void report_users(const struct detach *d, const struct in_use *u,
			 int index)
{
	in_use_report(u, index, device_openers(d->control, index),
		      "Use --lazy to detach at last close, --force to fail its I/O now.");
}

/* Return: 0 if it is detached and all is well; else 1 after printing the error. */
static int detach_result(const struct attempt *a, int err,
			 const struct in_use *users)
{
	char name[32];

	snprintf(name, sizeof(name), "/dev/qcow%d", a->index);
	switch (err) {
	case 0:
		if (a->msg.text[0])
			report_msg(name, err, &a->msg);
		break;
	case -EBUSY:
		report_users(a->d, users, a->index);
		break;
	case -ETXTBSY:
		report_children(a->d, a->index);
		break;
	case -ENODEV:
	case -ENXIO:
	case -ENOENT:
		if (a->d->if_attached)
			return 0;
		report(name, "no such device; see qcowctl list");
		break;
	case -EPERM:
	case -EACCES:
		report(name, "only root may detach it (it takes CAP_SYS_ADMIN); use sudo");
		break;
	case -EIO:
		report(name, "detached, but the writes since the last flush, or its bitmaps, are lost: see the kernel log, and check the image with qcowctl check");
		break;
	case -EINPROGRESS:
	case -ESTALE:
		report_msg(name, err, &a->msg);
		break;
	default:
		report(name, "cannot detach: %s; see the kernel log", strerror(-err));
	}
	return !!err;
}

static bool detach_ready(struct detach *d)
{
	if (d->control < 0)
		d->control = device_control();
	return d->control >= 0;
}

/* A removal waits for the device, which the driver could not end either. */
static void hide_export(const char *nqn)
{
	build_hide(nqn);
	report(nqn, "other hosts cannot reach it any more; run qcowctl unexport %s when the device has gone",
	       nqn);
}

/*
 * The hosts that used them have had errors already, as all users have. @err: of a detach by
 * force. The device has gone also if what was written is lost.
 */
static void end_exports(const struct exports *exports, int err)
{
	bool gone = !err || err == -EIO, going = err == -EINPROGRESS;
	int lock = exports->nr && (gone || going) ? tree_lock(false) : -1;
	size_t i;

	if (lock < 0)
		return;
	for (i = 0; i < exports->nr; i++) {
		if (!exports->list[i].ours)
			continue;
		if (gone)
			build_remove(exports->list[i].nqn);
		else
			hide_export(exports->list[i].nqn);
	}
	tree_unlock(lock);
}

static int detach_device(struct detach *d, const struct device *device)
{
	struct attempt attempt = attempt_at(d, device);
	struct exports exports = { };
	struct in_use users = { };
	int err;

	if (!detach_ready(d))
		return 1;
	/* The path that an export has leads to no device afterwards, or to another one. */
	if (d->force)
		exports_find(&exports, device->index);
	err = in_use_patiently(&users, device->index, detach_attempt, &attempt);
	end_exports(&exports, err);
	err = detach_result(&attempt, err, &users);
	exports_free(&exports);
	in_use_free(&users);
	return err;
}

/**
 * detach_again() - undo an attach that cannot be finished
 * @device: the device, with the diskseq that the driver gave it
 *
 * Return: 0, or 1 after printing the error.
 */
int detach_again(const struct device *device)
{
	struct detach d = { .control = -1 };
	int err = detach_device(&d, device);

	node_tidy();
	if (d.control >= 0)
		close(d.control);
	return err;
}

/* All devices, as they are now: a number may be another device's later. */
static int list_devices(struct device **list)
{
	int *numbers, nr = sysfs_devices(&numbers), i;

	*list = xcalloc(nr + 1, sizeof(**list));
	for (i = 0; i < nr; i++) {
		(*list)[i].index = numbers[i];
		if (!sysfs_read_u64(&(*list)[i].diskseq, "/sys/block/qcow%d/diskseq",
				    numbers[i]))
			(*list)[i].diskseq = 0;
	}
	free(numbers);
	return nr;
}

/*
 * Detach devices that are not in use, and forget them. Return: how many those were;
 * *@failed is set if one went wrong.
 */
static int detach_unused(const struct detach *d, struct device *list, int nr,
			 int *failed)
{
	const struct detach plain = { .control = d->control };
	struct attempt attempt;
	int gone = 0;
	int err;

	while (nr--) {
		if (list[nr].index < 0 || !sysfs_exists(list[nr].index))
			continue;
		attempt = attempt_at(&plain, &list[nr]);
		err = detach_attempt(&attempt);
		if (err == -EBUSY || err == -ETXTBSY)
			continue;
		*failed |= detach_result(&attempt, err, NULL);
		list[nr].index = -1;
		gone++;
	}
	return gone;
}

static int detach_all(struct detach *d)
{
	struct device *list;
	int failed, nr;

	if (sysfs_missing())
		return 1;
	nr = list_devices(&list);
	failed = nr && !detach_ready(d);

	if (!failed)
		/* One may show a file that lies on another: that is free then. */
		while (detach_unused(d, list, nr, &failed))
			;
	while (nr-- && d->control >= 0)
		if (list[nr].index >= 0 && sysfs_exists(list[nr].index))
			failed |= detach_device(d, &list[nr]);
	free(list);
	return failed;
}

static int detach_named(struct detach *d, char **names)
{
	struct device device;
	int failed = 0;

	for (; *names; names++) {
		if (d->if_attached && which_is_missing(*names))
			continue;
		failed |= which_device(&device, *names) ? 1 :
			  detach_device(d, &device);
	}
	return failed;
}

static int detach_devices(struct detach *d, int nr, char **names)
{
	int err;

	if (d->lazy && d->force) {
		report("detach", "--lazy and --force exclude each other; choose one");
		return 1;
	}
	if (d->all != !nr) {
		report("detach", "takes devices, images or --all; see qcowctl detach --help");
		return 1;
	}
	d->flags = (d->lazy ? QCOW_DETACH_LAZY : 0) |
		   (d->force ? QCOW_DETACH_FORCE : 0);
	err = d->all ? detach_all(d) : detach_named(d, names);
	node_tidy();
	return err;
}

static int run_detach(void *options, int argc, char **argv)
{
	struct detach *d = options;
	int err;

	d->control = -1;
	err = detach_devices(d, argc, argv);
	if (d->control >= 0)
		close(d->control);
	return err;
}

static const struct option_spec options[] = {
	{
		.name = "lazy",
		.help = "a device in use: remove it at its last close",
		.parse = option_true, .field = offsetof(struct detach, lazy),
	},
	{
		.name = "force",
		.help = "a device in use: fail its I/O now and remove it, after ten\n"
			"seconds at the latest in the background",
		.parse = option_true, .field = offsetof(struct detach, force),
	},
	{
		.name = "all", .letter = 'a',
		.help = "all devices",
		.parse = option_true, .field = offsetof(struct detach, all),
	},
	{
		.name = "if-attached",
		.help = "a device that is not there is no error",
		.parse = option_true, .field = offsetof(struct detach, if_attached),
	},
	OPTION_PROGRESS,
	{ }
};

const struct command detach_command = {
	.name = "detach",
	.summary = "remove a block device",
	.usage =
		"Usage: qcowctl detach [options] DEVICE|IMAGE...\n"
		"       qcowctl detach [options] --all\n"
		"\n"
		"Remove block devices that attach has made.\n",
	.takes_device = true,
	.options = options,
	.size = sizeof(struct detach),
	.run = run_detach,
};
