// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl stream: have an image hold all of its disk, and its backing files no
 * longer needed, while it is in use.
 */
#include <sys/ioctl.h>

#include "cmd/command.h"
#include "cmd/stream.h"
#include "device/device.h"
#include "lib/report.h"

static int stream_step(const struct operand *o, u64 *done, u64 *total)
{
	struct qcow_msg msg = { };
	struct qcow_ioc_stream ioc = {
		.size = sizeof(ioc),
		.index = o->index,
		.msg = (uintptr_t)msg.text,
		.msg_size = sizeof(msg.text),
		.bytes = WORK_STEP_BYTES,
		.diskseq = o->diskseq,
	};
	int err = ioctl(o->control, QCOW_IOC_STREAM, &ioc) ? -errno : 0;

	*done = ioc.done;
	*total = ioc.total;
	if (!err || err == -EINTR)
		return err;
	report_from_driver(&msg);
	report_msg(o->name, err, &msg);
	return err;
}

const struct work stream_work = {
	.what = "Copying",
	.interrupted = "it reads the same as before, and its backing file is still needed: to go on, start it anew",
	.step = stream_step,
};

static int run_stream(void *options, int argc, char **argv)
{
	(void)argc;
	return work_run(&stream_work, options, argv[0]);
}

const struct command stream_command = {
	.name = "stream",
	.summary = "make backing files unnecessary",
	.usage =
		"Usage: qcowctl stream [options] DEVICE|IMAGE\n"
		"\n"
		"Copy the data of an image's backing files into the image, also while it is in\n"
		"use, and have it name no backing file any more. Interrupted, it leaves an image\n"
		"that reads the same; started anew, it goes on.\n",
	.takes_device = true,
	.options = work_options,
	.size = sizeof(struct work_options),
	.one_operand = "one device or image",
	.run = run_stream,
	.release = work_release,
};
