// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl resize: give a disk another size, in use or not.
 */
#define _GNU_SOURCE
#include <stdlib.h>

#include "cmd/command.h"
#include "cmd/image_options.h"
#include "cmd/operand.h"
#include "device/device.h"
#include "device/in_use.h"
#include "device/node.h"
#include "device/watch.h"
#include "export/exports.h"
#include "image/image.h"
#include "lib/progress.h"
#include "lib/report.h"
#include "lib/text.h"

/**
 * struct resize - the arguments of the command line
 * @size: the size as it was given; NULL: none was
 * @bytes: a size, or how much more or less
 * @sign: of @bytes: '+', '-', or 0: it is the size
 * @format: of an image that is not attached
 * @force: make a device smaller though it is in use
 * @flags: QCOW_RESIZE_*
 * @keys: of an image that is not attached
 */
struct resize {
	const char *size;
	u64 bytes;
	char sign;
	u32 format;
	bool force;
	u32 flags;
	struct keys_options keys;
};

static int parse_size(struct resize *r)
{
	const char *arg = r->size, *digits = arg;
	char *shown;

	if (r->force)
		r->flags |= QCOW_RESIZE_FORCE;
	if (!arg || !strcmp(arg, "max")) {
		r->flags |= QCOW_RESIZE_MAX;
		return 0;
	}
	if (arg[0] == '+' || arg[0] == '-')
		r->sign = *digits++;
	if (!text_parse_size(digits, &r->bytes) && !(r->bytes % SZ_512))
		return 0;
	shown = text_escape(arg);
	report("resize", "bad size \"%s\"; give bytes, a multiple of 512, such as 20G or +5G, or max",
	       shown);
	free(shown);
	return -1;
}

/* The size that is asked for of a disk of @now bytes; 0: there is none. */
static u64 wanted_size(const struct resize *r, u64 now)
{
	switch (r->sign) {
	case '+':
		return r->bytes > UINT64_MAX - now ? 0 : now + r->bytes;
	case '-':
		return r->bytes < now ? now - r->bytes : 0;
	}
	return r->bytes;
}

/**
 * struct attempt - a resize that is retried as long as the device is in use
 * @control: the driver's control node
 * @ioc: the argument
 */
struct attempt {
	int control;
	struct qcow_ioc_resize *ioc;
};

static int resize_ioctl(void *arg)
{
	const struct attempt *a = arg;

	return watch_ioctl(a->control, a->ioc->index, "Resizing", QCOW_IOC_RESIZE, a->ioc);
}

static void report_users(const struct in_use *users, const struct operand *o)
{
	in_use_report(users, o->index, device_openers(o->control, o->index),
		      "A smaller disk would lose their data at its end; --force does it all the same.");
}

/* The new size, or 0 after printing the error. */
static u64 choose_size(const struct resize *r, struct operand *o)
{
	struct qcow_ioc_status status;
	u64 wanted;

	if (operand_status(o, &status))
		return 0;
	wanted = wanted_size(r, status.bytes);
	if (!wanted)
		report(o->name, "has %llu bytes; there is no such size", status.bytes);
	return wanted;
}

static void report_failure(const struct operand *o, int err, u32 flags,
			   const struct qcow_msg *msg)
{
	if (err == -EINVAL && flags & QCOW_RESIZE_MAX && !msg->text[0])
		report(o->name, "the driver is too old to look at its size; give one");
	else
		report_msg(o->name, err, msg);
}

static int resize_device(const struct resize *r, struct operand *o)
{
	struct qcow_msg msg = { };
	struct qcow_ioc_resize ioc = {
		.size = sizeof(ioc),
		.flags = r->flags,
		.index = o->index,
		.msg = (uintptr_t)msg.text,
		.msg_size = sizeof(msg.text),
		.diskseq = o->diskseq,
	};
	struct attempt attempt = { .control = o->control, .ioc = &ioc };
	struct in_use users = { };
	int err;

	if (!(r->flags & QCOW_RESIZE_MAX)) {
		ioc.bytes = choose_size(r, o);
		if (!ioc.bytes)
			return -1;
	}
	err = in_use_patiently(&users, o->index, resize_ioctl, &attempt);
	report_from_driver(&msg);
	if (err == -EBUSY)
		report_users(&users, o);
	else if (err)
		report_failure(o, err, r->flags, &msg);
	else if (msg.text[0])
		report(o->name, "%s", msg.text);
	in_use_free(&users);
	if (err)
		return -1;
	node_refresh(o->index);
	exports_resized(o->index);
	return 0;
}

static int resize_named(const struct resize *r, const char *name)
{
	struct operand o;
	int err;

	if (operand_open(&o, name, r->format, &r->keys))
		return 1;
	/* The driver ends it then, and says which size the disk has. */
	progress_catch_signals();
	err = resize_device(r, &o);
	if (operand_close(&o))
		err = -1;
	return !!err;
}

/* "-5G" is a size, not an option. */
static bool is_size(const char *arg)
{
	return arg[0] == '-' && arg[1] >= '0' && arg[1] <= '9';
}

/* Take such a size out of the arguments that getopt_long() gets to see. */
static void take_size(void *options, int *argc, char **argv)
{
	struct resize *r = options;
	int i;

	for (i = 1; i < *argc && strcmp(argv[i], "--"); i++) {
		if (!is_size(argv[i]))
			continue;
		r->size = argv[i];
		memmove(&argv[i], &argv[i + 1], (*argc - i) * sizeof(*argv));
		--*argc;
		return;
	}
}

static int run_resize(void *options, int argc, char **argv)
{
	struct resize *r = options;

	if (!r->size && argc == 2)
		r->size = argv[--argc];
	if (argc != 1) {
		report("resize", "takes an image or device, and a size or max; see qcowctl resize --help");
		return 1;
	}
	return parse_size(r) || resize_named(r, argv[0]);
}

static void release_resize(void *options)
{
	struct resize *r = options;

	free(r->keys.files);
}

static const struct option_spec options[] = {
	{
		.name = "force",
		.help = "make a device smaller though it is in use",
		.parse = option_true, .field = offsetof(struct resize, force),
	},
	OPTION_FORMAT(struct resize, format,
		      "of an image that is not attached: qcow2, qcow or raw; probe\n"
		      "it for the first two if not given"),
	OPTION_KEY_FILE(struct resize, keys),
	OPTION_PROGRESS,
	{ }
};

const struct command resize_command = {
	.name = "resize",
	.summary = "give a disk another size",
	.usage =
		"Usage: qcowctl resize [options] IMAGE|DEVICE [[+|-]SIZE|max]\n"
		"\n"
		"Make a disk larger or smaller, also while it is in use. The new part of a larger\n"
		"disk reads as zeros; data behind the end of a smaller one is lost. Without a\n"
		"size, or with max, a raw image's disk ends where its file or block device ends\n"
		"by now.\n",
	.takes_device = true,
	.options = options,
	.size = sizeof(struct resize),
	.prepare = take_size,
	.run = run_resize,
	.release = release_resize,
};
