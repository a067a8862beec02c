// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl stream: have an image hold all of its disk, and its backing files no
 * longer needed, while it is in use.
 */
#include <getopt.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "command.h"
#include "device.h"
#include "operand.h"
#include "progress.h"
#include "report.h"

const char stream_usage[] =
"Usage: qcowctl stream [options] DEVICE|IMAGE\n"
"\n"
"Copy what the backing files of an image have into the image, also while it is in\n"
"use, and have it name no backing file any more. Interrupted, it leaves an image\n"
"that reads the same; started anew, it goes on.\n"
"\n"
"     --progress=json  show progress as lines of JSON on standard error\n"
" -h, --help           show this\n";

enum {
	OPT_PROGRESS = 256,
};

static const struct option options[] = {
	{ "progress", required_argument, NULL, OPT_PROGRESS },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

/* Bytes of the disk for each call. */
#define STEP_BYTES	(16U << 20)

/* Return: 0, -EINTR, or another negative errno after saying what is wrong. */
static int stream_step(const struct operand *o, const char *name,
		       struct qcow_ioc_stream *ioc)
{
	struct qcow_msg msg = { };
	int err;

	*ioc = (struct qcow_ioc_stream) {
		.size = sizeof(*ioc),
		.index = o->index,
		.msg = (uintptr_t)msg.text,
		.msg_size = sizeof(msg.text),
		.bytes = STEP_BYTES,
	};
	err = ioctl(o->control, QCOW_IOC_STREAM, ioc) ? -errno : 0;
	if (!err || err == -EINTR)
		return err;
	msg.text[sizeof(msg.text) - 1] = 0;
	progress_end();
	report_msg(name, err, &msg);
	return err;
}

static int stream_device(const struct operand *o, const char *name)
{
	struct qcow_ioc_stream ioc;
	int err;

	do {
		err = stream_step(o, name, &ioc);
		if (err && err != -EINTR)
			return -1;
		progress("Copying", ioc.done, ioc.total);
		if (!err && ioc.done >= ioc.total) {
			progress_end();
			return 0;
		}
	} while (!progress_stopped());
	progress_end();
	report(name, "interrupted after %llu of %llu bytes; it reads the same as before, and its backing file is still needed: to go on, start it anew",
	       ioc.done, ioc.total);
	return -1;
}

static int stream_named(const char *name)
{
	struct operand o;
	int err;

	progress_catch_signals();
	if (operand_open(&o, name, 0))
		return 1;
	err = stream_device(&o, name);
	if (operand_close(&o))
		err = -1;
	return !!err;
}

/**
 * stream_main() - the stream command
 * @argc: arguments, the command's name included
 * @argv: the arguments
 *
 * Return: the exit code.
 */
int stream_main(int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(stream_usage, stdout);
			return 0;
		}
		if (opt != OPT_PROGRESS)
			return report_usage("stream", argv);
		if (progress_parse(optarg))
			return 1;
	}
	if (argc != optind + 1) {
		report("stream", "takes one device or image; see qcowctl stream --help");
		return 1;
	}
	return stream_named(argv[optind]);
}
