// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl snapshot: internal snapshots of an image, attached or not.
 *
 * The driver is the only one that changes them. An image that is not attached is
 * attached for that, without a node in /dev, and detached again.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/image_options.h"
#include "cmd/operand.h"
#include "cmd/snapshot.h"
#include "device/device.h"
#include "device/in_use.h"
#include "device/node.h"
#include "device/watch.h"
#include "device/which.h"
#include "image/chain_device.h"
#include "lib/json.h"
#include "lib/progress.h"
#include "lib/report.h"
#include "lib/text.h"

/* The operations; @op is 0 to list. */
static const struct action {
	const char *name;
	u32 op;
	const char *going;
	const char *done;
} actions[] = {
	{ "list", 0, NULL, NULL },
	{ "create", QCOW_SNAPSHOT_CREATE, "Creating", "created" },
	{ "delete", QCOW_SNAPSHOT_DELETE, "Deleting", "deleted" },
	{ "apply", QCOW_SNAPSHOT_APPLY, "Applying", "applied" },
};

/**
 * struct snapshot_args - the arguments of the command line
 * @action: the operation
 * @json: print JSON
 * @verbose: print the result
 * @target: the image or device
 * @name: of the snapshot
 * @format: of an image that is not attached; 0: probe
 * @keys: of an image that is not attached
 */
struct snapshot_args {
	const struct action *action;
	bool json;
	bool verbose;
	const char *target;
	const char *name;
	u32 format;
	struct keys_options keys;
};

/**
 * struct operation - an operation of the driver
 * @control: its control node
 * @what: name of the work in the progress line
 * @ioc: the ioctl's argument
 * @msg: its message
 */
struct operation {
	int control;
	const char *what;
	struct qcow_ioc_snapshot ioc;
	struct qcow_msg msg;
};

/* --- The result --- */

static void print_done(const struct snapshot_args *a, const struct operation *op)
{
	struct json_object *o;
	char *id = text_shown(op->ioc.id, a->json), *name = text_utf8(a->name);

	if (a->json) {
		o = json_object_new_object();
		json_object_object_add(o, "operation",
				       json_object_new_string(a->action->name));
		json_object_object_add(o, "id", json_object_new_string(id));
		json_object_object_add(o, "name", json_object_new_string(name));
		json_object_object_add(o, "stopped-nsec",
				       json_object_new_uint64(op->ioc.stopped));
		json_print(o);
	} else if (a->verbose) {
		printf("%s: id %s, requests were held up for %llu.%03llu ms\n",
		       a->action->done, id,
		       (unsigned long long)op->ioc.stopped / 1000000,
		       (unsigned long long)op->ioc.stopped / 1000 % 1000);
	}
	free(id);
	free(name);
}

static void report_failure(const char *name, int err, const struct qcow_msg *msg)
{
	if (!msg->text[0] && (err == -ENODEV || err == -ENXIO))
		report(name, "no such device; see qcowctl list");
	else if (!msg->text[0] && (err == -EPERM || err == -EACCES))
		report(name, "only root may change snapshots (it takes CAP_SYS_ADMIN); use sudo");
	else if (!msg->text[0] && err == -ENOTTY)
		report(name, "the driver is too old to change snapshots; use qemu-img snapshot, with the image detached");
	else
		report_msg(name, err, msg);
}

/* --- By the driver --- */

static int snapshot_ioctl(void *arg)
{
	struct operation *op = arg;
	int err;

	memset(&op->msg, 0, sizeof(op->msg));
	err = watch_ioctl(op->control, op->ioc.index, op->what, QCOW_IOC_SNAPSHOT, &op->ioc);
	report_from_driver(&op->msg);
	op->ioc.id[sizeof(op->ioc.id) - 1] = 0;
	return err;
}

static int change_device(const struct snapshot_args *a, const struct operand *o)
{
	struct in_use users = { };
	struct operation op = {
		.control = o->control,
		.what = a->action->going,
		.ioc = {
			.size = sizeof(op.ioc),
			.op = a->action->op,
			.index = o->index,
			.diskseq = o->diskseq,
			.name = (uintptr_t)a->name,
			.name_len = strlen(a->name),
			.msg_size = sizeof(op.msg.text),
		},
	};
	bool applies = a->action->op == QCOW_SNAPSHOT_APPLY;
	int err;

	op.ioc.msg = (uintptr_t)op.msg.text;
	err = applies ? in_use_patiently(&users, o->index, snapshot_ioctl, &op) :
			snapshot_ioctl(&op);
	if (err == -EBUSY && applies)
		in_use_report(&users, o->index, device_openers(o->control, o->index),
			      "A snapshot is applied only when nobody uses the device.");
	else if (err)
		report_failure(o->name, err, &op.msg);
	else
		print_done(a, &op);
	if (!err && op.msg.text[0])
		report_msg(o->name, err, &op.msg);
	if (!err && applies)
		node_refresh(o->index);
	in_use_free(&users);
	return !!err;
}

static int change(const struct snapshot_args *a)
{
	size_t max = a->action->op == QCOW_SNAPSHOT_CREATE ?
		     QCOW_SNAPSHOT_NEW_NAME_MAX : QCOW_SNAPSHOT_NAME_MAX;
	struct operand o;
	int err;

	if (!a->name[0] || strlen(a->name) > max) {
		report("snapshot", "a snapshot's name has 1 to %zu bytes", max);
		return 1;
	}
	if (operand_open(&o, a->target, a->format, &a->keys))
		return 1;
	/* The driver undoes an apply that was interrupted, and says so. */
	if (a->action->op == QCOW_SNAPSHOT_APPLY)
		progress_catch_signals();
	err = change_device(a, &o);
	if (a->action->op == QCOW_SNAPSHOT_APPLY)
		operand_replaced(&o);
	if (operand_close(&o))
		err = 1;
	return err;
}

/* --- List --- */

/* Only a look: others may have it locked. */
static int list_open(struct chain *c, const struct snapshot_args *a)
{
	const struct chain_options wanted = { .format = a->format, .top_only = true };
	struct device d;
	int index;

	memset(c, 0, sizeof(*c));
	if (which_or_image(a->target, &index))
		return -1;
	if (index < 0)
		return chain_open(c, a->target, &wanted);
	return which_device(&d, a->target) ? -1 : chain_open_device(c, -1, &d, &wanted);
}

static int list(const struct snapshot_args *a)
{
	struct chain c;
	int err = list_open(&c, a);

	if (!err)
		err = snapshot_print(&c.images[0], a->json);
	chain_close(&c);
	return !!err;
}

/* --- Arguments --- */

/* The names of snapshots that there are, for the completion */
static void complete_name(const char *operation, const char *target)
{
	const struct snapshot_args a = { .target = target };
	struct chain c;

	if (!strcmp(operation, "list") || !strcmp(operation, "create"))
		return;
	if (!list_open(&c, &a))
		snapshot_complete(&c.images[0]);
	chain_close(&c);
}

static int parse_words(struct snapshot_args *a, int nr, char **words)
{
	char *shown;
	size_t i;

	for (i = 0; nr && i < ARRAY_SIZE(actions); i++)
		if (!strcmp(words[0], actions[i].name))
			a->action = &actions[i];
	if (nr && !a->action) {
		shown = text_escape(words[0]);
		report("snapshot", "cannot \"%s\"; see qcowctl snapshot --help", shown);
		free(shown);
		return 1;
	}
	if (!nr || nr != (a->action->op ? 3 : 2)) {
		report("snapshot", "takes list and an image or device, or create, delete or apply, an image or device, and a name; see qcowctl snapshot --help");
		return 1;
	}
	a->target = words[1];
	a->name = words[2];
	return 0;
}

static int run_snapshot(void *options, int argc, char **argv)
{
	struct snapshot_args *a = options;

	if (parse_words(a, argc, argv))
		return 1;
	return a->action->op ? change(a) : list(a);
}

static void release_snapshot(void *options)
{
	struct snapshot_args *a = options;

	free(a->keys.files);
}

static const struct option_spec options[] = {
	OPTION_JSON(struct snapshot_args, json, "print JSON"),
	{
		.name = "verbose", .letter = 'v',
		.help = "print the result, and how long the device was held up",
		.parse = option_true, .field = offsetof(struct snapshot_args, verbose),
	},
	OPTION_FORMAT(struct snapshot_args, format,
		      "of an image that is not attached: qcow2; probe it if not given"),
	OPTION_KEY_FILE(struct snapshot_args, keys),
	OPTION_PROGRESS,
	{ }
};

const struct command snapshot_command = {
	.name = "snapshot",
	.summary = "list, make, delete and apply snapshots",
	.usage =
		"Usage: qcowctl snapshot list [options] IMAGE|DEVICE\n"
		"       qcowctl snapshot create|delete|apply [options] IMAGE|DEVICE NAME\n"
		"\n"
		"List, make, delete and apply the internal snapshots of a qcow2 image. NAME is an\n"
		"id or a name; an id goes first. A device may be in use, but not to apply one:\n"
		"the present content of the disk is then lost.\n",
	.operations = "list create delete apply",
	.complete_name = complete_name,
	.options = options,
	.size = sizeof(struct snapshot_args),
	.run = run_snapshot,
	.release = release_snapshot,
};
