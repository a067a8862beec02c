// SPDX-License-Identifier: GPL-2.0
/*
 * The users of block devices that images lie on, or are, beside the device that is attached.
 */
#include <stdlib.h>

#include "cmd/attach_users.h"
#include "device/in_use.h"
#include "lib/report.h"
#include "lib/text.h"

/**
 * attach_report_users() - name the users of a block device that is to be written
 * @f: the device, or another file
 *
 * Return: whether any is known.
 */
bool attach_report_users(const struct file *f)
{
	struct in_use u;
	bool known;
	char *shown;
	size_t i;

	if (f->fd < 0 || !S_ISBLK(f->stat.st_mode))
		return false;
	in_use_find_below(&u, f->stat.st_rdev, true);
	known = u.nr;
	if (known) {
		shown = text_escape(f->name);
		fprintf(stderr, "%s: %s is in use:\n", report_program(), shown);
		for (i = 0; i < u.nr; i++)
			fprintf(stderr, "  %s\n", u.lines[i]);
		fputs("Stop that first, or attach it read-only with -r.\n", stderr);
		free(shown);
	}
	in_use_free(&u);
	return known;
}

/* Reading a block device does not keep others from writing it. */
static void note_users(const struct file *f)
{
	struct in_use u;

	if (f->fd < 0 || f->writable || !S_ISBLK(f->stat.st_mode))
		return;
	in_use_find_below(&u, f->stat.st_rdev, false);
	if (u.nr)
		report(f->name, "is in use (%s%s), so its data may change while it is read",
		       u.lines[0], u.nr > 1 ? " and others" : "");
	in_use_free(&u);
}

/**
 * attach_note_users() - print notes about a chain that is attached all the same
 * @c: the chain
 */
void attach_note_users(const struct chain *c)
{
	const struct image *img;
	u32 i;

	chain_note_truncated(c);

	for (img = c->images; img < c->images + c->nr; img++) {
		for (i = 0; i < image_nr_files(img); i++)
			note_users(image_file(img, i));
		if (image_has_data_file(img))
			note_users(&img->data);
	}
}
