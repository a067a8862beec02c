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
"     --key-file FILE  as of attach, for an image that is not attached\n"
"     --progress=json  show progress as lines of JSON on standard error\n"
" -h, --help           show this\n";

enum {
	OPT_PROGRESS = 256,
	OPT_KEY_FILE,
};

static const struct option options[] = {
	{ "progress", required_argument, NULL, OPT_PROGRESS },
	{ "key-file", required_argument, NULL, OPT_KEY_FILE },
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

static int stream_named(const char *name, const struct keys_options *keys)
{
	struct operand o;
	int err;

	progress_catch_signals();
	if (operand_open(&o, name, 0, keys))
		return 1;
	err = stream_device(&o, name);
	if (operand_close(&o))
		err = -1;
	return !!err;
}

static int parse_option(struct keys_options *keys, int opt, char **argv)
{
	switch (opt) {
	case OPT_KEY_FILE:
		return keys_add_file(keys, optarg);
	case OPT_PROGRESS:
		return progress_parse(optarg);
	}
	return report_usage("stream", argv);
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
	struct keys_options keys = { };
	int err = 0;
	int opt;

	while (!err && (opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(stream_usage, stdout);
			free(keys.files);
			return 0;
		}
		err = parse_option(&keys, opt, argv);
	}
	if (!err && argc != optind + 1) {
		report("stream", "takes one device or image; see qcowctl stream --help");
		err = 1;
	}
	if (!err)
		err = stream_named(argv[optind], &keys);
	free(keys.files);
	return !!err;
}
