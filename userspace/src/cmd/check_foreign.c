// SPDX-License-Identifier: GPL-2.0
/*
 * Checks of images of foreign formats, which their parsers do: structure and checksums.
 * The command check calls this.
 */
#include <stdlib.h>

#include "check/check.h"
#include "cmd/check_foreign.h"
#include "image/chain_device.h"
#include "lib/json.h"
#include "lib/report.h"
#include "lib/text.h"

/* Findings that are printed; the others are only counted. */
#define LINES_MAX	100

/**
 * struct findings - the findings of a check
 * @json: print no line for each
 * @faults: corruptions
 * @leaks: pieces of files that nothing uses
 */
struct findings {
	bool json;
	u64 faults;
	u64 leaks;
};

/**
 * check_is_foreign() - whether an image is one that a parser checks
 * @f: its file
 * @format: from image_format(); 0: probe
 *
 * Return: whether it is.
 */
bool check_is_foreign(const struct file *f, u32 format)
{
	return format ? format >= IMAGE_FORMAT_FOREIGN : image_is_foreign(f);
}

static void note(void *arg, bool leak, const char *text)
{
	struct findings *found = arg;
	char *shown;

	found->faults += !leak;
	found->leaks += leak;
	if (found->json || found->faults + found->leaks > LINES_MAX)
		return;
	shown = text_escape(text);
	fprintf(stderr, "%s: %s\n", leak ? "leak" : "corruption", shown);
	free(shown);
}

static void print_json(const struct chain *c, const struct findings *found)
{
	const struct image *img = c->images;
	struct json_object *o = json_object_new_object();

	json_add_text(o, "filename", img->file.name);
	json_add_text(o, "format", image_own_format_name(img));
	json_object_object_add(o, "check-errors", json_object_new_int(0));
	if (found->faults)
		json_object_object_add(o, "corruptions", json_object_new_uint64(found->faults));
	if (found->leaks)
		json_object_object_add(o, "leaks", json_object_new_uint64(found->leaks));
	json_print(o);
}

static void print_text(const struct findings *found)
{
	if (found->faults)
		printf("%llu corruption%s found: the disk may show wrong data.\n",
		       (unsigned long long)found->faults,
		       found->faults == 1 ? " was" : "s were");
	if (found->leaks)
		printf("%llu leak%s found: wasted space, no harm to data.\n",
		       (unsigned long long)found->leaks, found->leaks == 1 ? " was" : "s were");
	if (!found->faults && !found->leaks)
		puts("No errors were found.");
}

/**
 * check_foreign() - check an image of a foreign format
 * @name: the image; of a device for messages
 * @d: the device whose image is checked, or NULL
 * @format: of the image, from image_format(); 0: probe
 * @json: print JSON
 *
 * Return: &enum check_exit.
 */
int check_foreign(const char *name, const struct device *d, u32 format, bool json)
{
	struct findings found = { .json = json };
	const struct chain_options o = {
		.format = format, .top_only = true, .lock = !d, .want = PARSE_CHECK,
		.fault = note, .arg = &found,
	};
	struct chain c;
	int err = d ? chain_open_device(&c, -1, d, &o) : chain_open(&c, name, &o);

	if (!err && json)
		print_json(&c, &found);
	else if (!err)
		print_text(&found);
	chain_close(&c);
	if (err)
		return CHECK_FAILED;
	if (found.faults)
		return CHECK_CORRUPT;
	return found.leaks ? CHECK_LEAKS : CHECK_CLEAN;
}
