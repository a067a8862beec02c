// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl bitmap: the bitmaps of an image, which track changes of its disk.
 *
 * The driver alone changes them: an image that is not attached
 * is attached for it.
 */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/bitmap.h"
#include "cmd/command.h"
#include "cmd/image_options.h"
#include "cmd/operand.h"
#include "device/device.h"
#include "lib/json.h"
#include "lib/report.h"
#include "lib/text.h"

#define OP_LIST	(~0U)

static const struct {
	const char *name;
	u32 op;
} ops[] = {
	{ "list", OP_LIST },
	{ "add", QCOW_BITMAP_OP_ADD },
	{ "remove", QCOW_BITMAP_OP_REMOVE },
	{ "enable", QCOW_BITMAP_OP_ENABLE },
	{ "disable", QCOW_BITMAP_OP_DISABLE },
	{ "clear", QCOW_BITMAP_OP_CLEAR },
};

/**
 * struct wanted - the arguments of the command line
 * @op: the operation
 * @granularity: of a new bitmap, 0: not given
 * @json: print JSON
 * @format: of an image, 0: probe
 * @keys: of an image that is not attached
 */
struct wanted {
	u32 op;
	u64 granularity;
	bool json;
	u32 format;
	struct keys_options keys;
};

/* --- List --- */

static void print_json(const struct bitmaps *all)
{
	struct json_object *list = json_object_new_array(), *o, *flags;
	const struct bitmap *b;
	u32 i;

	for (i = 0; i < all->nr; i++) {
		b = &all->list[i];
		o = json_object_new_object();
		json_object_object_add(o, "name", json_text(b->name));
		json_object_object_add(o, "granularity",
				       json_object_new_uint64(b->granularity));
		flags = json_object_new_array();
		if (b->inconsistent)
			json_object_array_add(flags, json_object_new_string("in-use"));
		if (b->enabled)
			json_object_array_add(flags, json_object_new_string("auto"));
		json_object_object_add(o, "flags", flags);
		if (!b->inconsistent)
			json_object_object_add(o, "dirty-bytes",
					       json_object_new_uint64(b->dirty));
		json_object_array_add(list, o);
	}
	json_print(list);
}

static const char *state_of(const struct bitmap *b)
{
	if (b->inconsistent)
		return "inconsistent";
	return b->enabled ? "enabled" : "disabled";
}

static void print_table(const struct bitmaps *all)
{
	const struct bitmap *b;
	char size[32];
	char *name;
	u32 i;

	if (!all->nr)
		return;
	printf("%11s %15s %-12s NAME\n", "GRANULARITY", "DIRTY", "STATE");
	for (i = 0; i < all->nr; i++) {
		b = &all->list[i];
		text_size(size, sizeof(size), b->granularity);
		name = text_escape(b->name);
		printf("%11s ", size);
		if (b->inconsistent)
			printf("%15s", "-");
		else
			printf("%15llu", (unsigned long long)b->dirty);
		printf(" %-12s %s\n", state_of(b), name);
		free(name);
	}
}

static int list_bitmaps(const struct wanted *w, const char *arg)
{
	struct bitmaps all;
	int err = bitmaps_of(&all, arg, w->format, NULL);

	if (!err && w->json)
		print_json(&all);
	else if (!err)
		print_table(&all);
	bitmaps_free(&all);
	return !!err;
}

/* --- Change --- */

static int change(const struct wanted *w, const struct operand *o,
		  const char *arg, const char *name)
{
	struct qcow_msg msg = { };
	struct qcow_ioc_bitmap ioc = {
		.size = sizeof(ioc),
		.op = w->op,
		.index = o->index,
		.name = (uintptr_t)name,
		.name_len = strlen(name),
		.granularity = w->granularity,
		.diskseq = o->diskseq,
		.msg = (uintptr_t)msg.text,
		.msg_size = sizeof(msg.text),
	};
	int err;

	err = ioctl(o->control, QCOW_IOC_BITMAP, &ioc) ? -errno : 0;
	report_from_driver(&msg);
	if (err)
		report_msg(arg, err, &msg);
	return !!err;
}

static int change_bitmap(const struct wanted *w, const char *arg,
			 const char *name)
{
	struct operand o;
	int err;

	if (!*name || strlen(name) > QCOW_BITMAP_NAME_MAX) {
		report("bitmap", "the name of a bitmap has 1 to %u bytes",
		       QCOW_BITMAP_NAME_MAX);
		return 1;
	}
	if (operand_open(&o, arg, w->format, &w->keys))
		return 1;
	err = change(w, &o, arg, name);
	if (operand_close(&o))
		err = 1;
	return err;
}

/* --- The command line --- */

static int parse_granularity(void *field, const char *arg)
{
	u64 *granularity = field;

	if (!text_parse_size(arg, granularity) && *granularity)
		return 0;
	report("--granularity", "give a size such as 64K");
	return -1;
}

static int parse_op(struct wanted *w, const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		if (strcmp(name, ops[i].name))
			continue;
		w->op = ops[i].op;
		return 0;
	}
	report("bitmap", "takes list, add, remove, enable, disable or clear; see qcowctl bitmap --help");
	return 1;
}

static int run_bitmap(void *options, int nr, char **args)
{
	struct wanted *w = options;

	if (parse_op(w, nr ? args[0] : ""))
		return 1;
	if (w->granularity && w->op != QCOW_BITMAP_OP_ADD) {
		report("--granularity", "is for bitmap add");
		return 1;
	}
	if (w->op == OP_LIST && nr == 2)
		return list_bitmaps(w, args[1]);
	if (w->op != OP_LIST && nr == 3)
		return change_bitmap(w, args[1], args[2]);
	report("bitmap", "%s; see qcowctl bitmap --help", w->op == OP_LIST ?
	       "list takes one image or device" :
	       "takes an image or device, and the name of a bitmap");
	return 1;
}

static void release_bitmap(void *options)
{
	struct wanted *w = options;

	free(w->keys.files);
}

static const struct option_spec options[] = {
	{
		.name = "granularity", .letter = 'g', .arg = " SIZE",
		.help = "add: bytes that a bit stands for, 64K if not given",
		.parse = parse_granularity, .field = offsetof(struct wanted, granularity),
	},
	OPTION_JSON(struct wanted, json, "list: print JSON"),
	OPTION_FORMAT(struct wanted, format, "the image is qcow2; probe it if not given"),
	OPTION_KEY_FILE(struct wanted, keys),
	OPTION_PROGRESS,
	{ }
};

const struct command bitmap_command = {
	.name = "bitmap",
	.summary = "show and change the bitmaps that track an image's writes",
	.usage =
		"Usage: qcowctl bitmap list [options] IMAGE|DEVICE\n"
		"       qcowctl bitmap add [options] IMAGE|DEVICE NAME\n"
		"       qcowctl bitmap remove|enable|disable|clear [options] IMAGE|DEVICE NAME\n"
		"\n"
		"Bitmaps are kept in qcow2 images and say which parts of the disk were written since they\n"
		"were added or cleared; see qcowctl map --bitmap.\n",
	.operations = "list add remove enable disable clear",
	.options = options,
	.size = sizeof(struct wanted),
	.run = run_bitmap,
	.release = release_bitmap,
};
