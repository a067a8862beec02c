// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl info: describe an image, or a device and its image.
 */
#define _GNU_SOURCE
#include <stdlib.h>

#include "cmd/command.h"
#include "cmd/image_options.h"
#include "cmd/info.h"
#include "device/device.h"
#include "device/which.h"
#include "image/chain_device.h"
#include "lib/json.h"
#include "lib/report.h"
#include "lib/text.h"

/**
 * struct info - the arguments of the command line
 * @chain: backing files too
 * @json: print JSON
 * @format: &enum qcow_format, 0: probe
 */
struct info {
	bool chain;
	bool json;
	u32 format;
};

static void print_text(const struct chain *c, const struct qcow_ioc_status *status)
{
	u32 i;

	for (i = 0; i < c->nr; i++) {
		if (i)
			putchar('\n');
		info_print_image(&c->images[i]);
	}
	if (status)
		info_print_device(status);
}

static void print_json(const struct chain *c, bool as_array,
		       const struct qcow_ioc_status *status)
{
	struct json_object *array = json_object_new_array();
	struct json_object *top;
	u32 i;

	for (i = 0; i < c->nr; i++)
		json_object_array_add(array, info_json_image(&c->images[i]));
	top = json_object_array_get_idx(array, 0);
	if (status)
		json_object_object_add(top, "device", info_json_device(status));
	json_print(as_array ? array : json_object_get(top));
	if (!as_array)
		json_object_put(array);
}

static void print_chain(const struct info *o, const struct chain *c,
			const struct qcow_ioc_status *status)
{
	if (o->json)
		print_json(c, o->chain, status);
	else
		print_text(c, status);
}

static int info_image(const struct info *o, const char *name)
{
	const struct chain_options wanted = {
		.format = o->format,
		.guess_raw = true,
		.top_only = !o->chain,
		.allow_mismatch = true,
	};
	struct chain chain;
	int err = chain_open(&chain, name, &wanted);

	if (!err)
		print_chain(o, &chain, NULL);
	chain_close(&chain);
	return !!err;
}

static int info_device(const struct info *o, int index)
{
	const struct chain_options wanted = { .top_only = !o->chain };
	struct qcow_ioc_status status;
	struct device d;
	struct chain chain;
	int err;

	if (device_query(index, &status))
		return 1;
	d = (struct device) { .index = index, .diskseq = status.diskseq };
	err = chain_open_device(&chain, -1, &d, &wanted);
	if (!err)
		print_chain(o, &chain, &status);
	else if (!o->json)
		/* Its image cannot be read: the device is there all the same. */
		info_print_device(&status);
	chain_close(&chain);
	return !!err;
}

static int run_info(void *options, int argc, char **argv)
{
	const struct info *o = options;
	int index;

	(void)argc;
	if (which_or_image(argv[0], &index))
		return 1;
	return index >= 0 ? info_device(o, index) : info_image(o, argv[0]);
}

static const struct option_spec options[] = {
	{
		.name = "chain",
		.help = "its backing files too",
		.parse = option_true, .field = offsetof(struct info, chain),
	},
	OPTION_JSON(struct info, json, "print JSON, with the keys of qemu-img info"),
	OPTION_FORMAT(struct info, format,
		      "the format of the image; probe it if not given"),
	OPTION_PROGRESS,
	{ }
};

const struct command info_command = {
	.name = "info",
	.summary = "describe an image or a device",
	.usage =
		"Usage: qcowctl info [options] IMAGE|DEVICE\n"
		"\n"
		"Describe an image, or an attached device and its image.\n",
	.options = options,
	.size = sizeof(struct info),
	.one_operand = "one image or device",
	.run = run_info,
};
