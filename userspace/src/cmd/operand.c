// SPDX-License-Identifier: GPL-2.0
/*
 * The device that a command changes: the driver owns the metadata of an
 * attached image, so an image that is not attached is attached for the while. Whatever
 * ends the command, that device goes with its control node.
 */
#include <unistd.h>

#include "cmd/attach.h"
#include "cmd/detach.h"
#include "cmd/operand.h"
#include "device/device.h"
#include "device/which.h"
#include "lib/report.h"

/* Return: 0; 1: it is an image that is not attached; or -1 after printing the error. */
static int find_device(struct device *d, const char *arg)
{
	int index, ret;

	if (which_or_image(arg, &index))
		return -1;
	if (index >= 0)
		return which_device(d, arg);
	ret = which_of_image(d, arg);
	return ret < 0 ? -1 : !ret;
}

/**
 * operand_open() - find the device of an image to be changed, or make one
 * @o: the result
 * @arg: a device's name, or an image, attached or not
 * @format: of an image that is not attached; 0: probe
 * @keys: to such an image, if it is encrypted
 *
 * Return: 0, to be given to operand_close(), or -1 after printing the error.
 */
int operand_open(struct operand *o, const char *arg, u32 format,
		 const struct keys_options *keys)
{
	struct device d = { .index = -1 };
	int ret = find_device(&d, arg);

	*o = (struct operand) {
		.control = -1,
		.index = d.index,
		.diskseq = d.diskseq,
		.name = arg,
		.ours = ret > 0,
	};
	if (ret < 0)
		return -1;
	o->control = device_control();
	if (o->control >= 0 && o->ours &&
	    !attach_to_change(&d, o->control, arg, format, keys)) {
		o->index = d.index;
		o->diskseq = d.diskseq;
	}
	if (o->control >= 0 && o->index >= 0)
		return 0;
	o->ours = false;
	operand_close(o);
	return -1;
}

/**
 * operand_device() - the device that a command changes
 * @o: from operand_open()
 *
 * Return: the device.
 */
struct device operand_device(const struct operand *o)
{
	return (struct device) { .index = o->index, .diskseq = o->diskseq };
}

/**
 * operand_status() - ask the driver about the device
 * @o: from operand_open()
 * @status: the result
 *
 * Return: 0, or -1 after printing the error.
 */
int operand_status(const struct operand *o, struct qcow_ioc_status *status)
{
	int err = device_status(o->control, o->index, status);

	if (!err && o->diskseq && status->diskseq && status->diskseq != o->diskseq)
		err = -ESTALE;
	if (err == -ESTALE)
		report(o->name, "/dev/qcow%d is another device meanwhile; see qcowctl list",
		       o->index);
	else if (err)
		report(o->name, "%s; see qcowctl list", strerror(-err));
	return err ? -1 : 0;
}

/**
 * operand_replaced() - the driver may have given the device another disk
 * @o: from operand_open()
 *
 * A device of this command is not given to anybody else meanwhile. Of another device the
 * new diskseq is not known.
 */
void operand_replaced(struct operand *o)
{
	struct qcow_ioc_status status;

	if (o->ours && !device_status(o->control, o->index, &status))
		o->diskseq = status.diskseq;
	else
		o->diskseq = 0;
}

static int detach_hidden(const struct operand *o)
{
	struct qcow_ioc_detach ioc = {
		.size = sizeof(ioc),
		.index = o->index,
		.diskseq = o->diskseq,
	};
	int err = detach_ioctl(o->control, &ioc);

	if (err)
		report(o->name, "was changed, but could not be closed: %s; see the kernel log and qcowctl check",
		       strerror(-err));
	return err ? -1 : 0;
}

/**
 * operand_close() - let go of a device; detach it if it was attached for this
 * @o: from operand_open()
 *
 * Return: 0, or -1 after printing the error.
 */
int operand_close(struct operand *o)
{
	int err = o->ours && o->control >= 0 ? detach_hidden(o) : 0;

	if (o->control >= 0)
		close(o->control);
	return err;
}
