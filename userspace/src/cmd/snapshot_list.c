// SPDX-License-Identifier: GPL-2.0
/*
 * The snapshots of an image, read from its file, as a table or as JSON.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>

#include "cmd/complete.h"
#include "cmd/snapshot.h"
#include "lib/json.h"
#include "lib/report.h"
#include "lib/text.h"

/* --- Table --- */

static char *cell_id(const struct snapshot *s)
{
	return text_escape(s->id);
}

static char *cell_name(const struct snapshot *s)
{
	return text_escape(s->name);
}

static char *cell_vm_size(const struct snapshot *s)
{
	char buf[32];

	if (!s->s.vm_state_size)
		return xstrdup("0");
	text_size(buf, sizeof(buf), s->s.vm_state_size);
	return xstrdup(buf);
}

static char *cell_date(const struct snapshot *s)
{
	time_t when = s->s.date_sec;
	char buf[64] = "";
	struct tm tm;

	if (localtime_r(&when, &tm))
		strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S", &tm);
	return xstrdup(buf);
}

static char *cell_clock(const struct snapshot *s)
{
	u64 ms = s->s.vm_clock / 1000000;

	return xasprintf("%02llu:%02llu:%02llu.%03llu",
			 (unsigned long long)ms / 3600000,
			 (unsigned long long)ms / 60000 % 60,
			 (unsigned long long)ms / 1000 % 60,
			 (unsigned long long)ms % 1000);
}

static char *cell_icount(const struct snapshot *s)
{
	if (s->s.icount == ~0ULL)
		return xstrdup("");
	return xasprintf("%llu", (unsigned long long)s->s.icount);
}

static const struct {
	const char *name;
	bool right;
	char *(*text)(const struct snapshot *s);
} columns[] = {
	{ "ID", false, cell_id },
	{ "TAG", false, cell_name },
	{ "VM SIZE", true, cell_vm_size },
	{ "DATE", false, cell_date },
	{ "VM CLOCK", true, cell_clock },
	{ "ICOUNT", true, cell_icount },
};

struct line {
	char *cells[ARRAY_SIZE(columns)];
};

static void print_cell(size_t column, const char *text, int width)
{
	int pad = width - text_width(text);
	bool last = column + 1 == ARRAY_SIZE(columns);

	if (columns[column].right)
		printf("%*s", pad, "");
	fputs(text, stdout);
	if (!columns[column].right && !last)
		printf("%*s", pad, "");
	putchar(last ? '\n' : ' ');
}

static void print_lines(const struct line *lines, u32 nr)
{
	int widths[ARRAY_SIZE(columns)];
	size_t i;
	u32 n;

	for (i = 0; i < ARRAY_SIZE(columns); i++) {
		widths[i] = text_width(columns[i].name);
		for (n = 0; n < nr; n++)
			if (text_width(lines[n].cells[i]) > widths[i])
				widths[i] = text_width(lines[n].cells[i]);
		print_cell(i, columns[i].name, widths[i]);
	}
	for (n = 0; n < nr; n++)
		for (i = 0; i < ARRAY_SIZE(columns); i++)
			print_cell(i, lines[n].cells[i], widths[i]);
}

static void print_table(const struct snapshot *list, u32 nr)
{
	struct line *lines = xcalloc(nr + 1, sizeof(*lines));
	size_t i;
	u32 n;

	for (n = 0; n < nr; n++)
		for (i = 0; i < ARRAY_SIZE(columns); i++)
			lines[n].cells[i] = columns[i].text(&list[n]);
	if (nr)
		print_lines(lines, nr);
	for (n = 0; n < nr; n++)
		for (i = 0; i < ARRAY_SIZE(columns); i++)
			free(lines[n].cells[i]);
	free(lines);
}

/* --- JSON --- */

/* The keys are those of qemu-img info. */
static struct json_object *json_one(const struct snapshot *s)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "id", json_text(s->id));
	json_object_object_add(o, "name", json_text(s->name));
	json_object_object_add(o, "vm-state-size",
			       json_object_new_uint64(s->s.vm_state_size));
	json_object_object_add(o, "date-sec", json_object_new_int64(s->s.date_sec));
	json_object_object_add(o, "date-nsec", json_object_new_int64(s->s.date_nsec));
	json_object_object_add(o, "vm-clock-sec",
			       json_object_new_uint64(s->s.vm_clock / 1000000000));
	json_object_object_add(o, "vm-clock-nsec",
			       json_object_new_uint64(s->s.vm_clock % 1000000000));
	if (s->s.icount != ~0ULL)
		json_object_object_add(o, "icount", json_object_new_uint64(s->s.icount));
	if (s->s.disk_size)
		json_object_object_add(o, "disk-size",
				       json_object_new_uint64(s->s.disk_size));
	return o;
}

static struct json_object *json_all(const struct snapshot *list, u32 nr)
{
	struct json_object *array = json_object_new_array();
	u32 i;

	for (i = 0; i < nr; i++)
		json_object_array_add(array, json_one(&list[i]));
	return array;
}

static void print_json(const struct snapshot *list, u32 nr)
{
	struct json_object *top = json_object_new_object();

	json_object_object_add(top, "snapshots", json_all(list, nr));
	json_print(top);
}

/**
 * snapshot_json() - describe an image's snapshots
 * @img: a loaded qcow2 image
 *
 * Return: an array to put, or NULL after printing the error.
 */
struct json_object *snapshot_json(const struct image *img)
{
	struct json_object *array;
	struct snapshot *list;

	if (snapshot_read_all(img, &list))
		return NULL;
	array = json_all(list, img->header.nr_snapshots);
	snapshot_free_all(list, img->header.nr_snapshots);
	return array;
}

/**
 * snapshot_print() - list an image's snapshots
 * @img: a loaded image
 * @json: as JSON
 *
 * Return: 0, or -1 after printing the error.
 */
int snapshot_print(const struct image *img, bool json)
{
	u32 nr = img->header.nr_snapshots;
	struct snapshot *list;

	if (img->format != QCOW_FORMAT_QCOW2) {
		report(img->file.name, "has no snapshots: it is not a qcow2 image");
		return -1;
	}
	if (snapshot_read_all(img, &list))
		return -1;
	if (json)
		print_json(list, nr);
	else
		print_table(list, nr);
	snapshot_free_all(list, nr);
	return 0;
}

/**
 * snapshot_complete() - print the names of an image's snapshots for the completion
 * @img: a loaded image
 */
void snapshot_complete(const struct image *img)
{
	u32 i, nr = img->header.nr_snapshots;
	struct snapshot *list;

	if (img->format != QCOW_FORMAT_QCOW2 || snapshot_read_all(img, &list))
		return;
	for (i = 0; i < nr; i++)
		complete_word(list[i].name, NULL);
	snapshot_free_all(list, nr);
}
