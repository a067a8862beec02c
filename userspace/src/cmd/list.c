// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl list: the attached devices as a table or as JSON.
 */
#define _GNU_SOURCE
#include <libsmartcols.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/list.h"
#include "cmd/options.h"
#include "device/device.h"
#include "device/in_use.h"
#include "device/which.h"
#include "export/exports.h"
#include "lib/json.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "lib/text.h"

/* Columns may be asked for more than once. */
#define MAX_SHOWN	64

/* Characters of a line of the usage. */
#define USAGE_WIDTH	80

/**
 * struct list - the arguments of the command line
 * @json: print JSON
 * @noheadings: no headings
 * @bytes: sizes in bytes
 * @shown: the columns
 * @nr: how many
 * @names: devices and images, up to a NULL; none: all devices
 */
struct list {
	bool json;
	bool noheadings;
	bool bytes;
	const struct column *shown[MAX_SHOWN];
	size_t nr;
	char **names;
};

static int add_column(struct list *l, const char *name)
{
	const struct column *c = list_columns;
	char *shown;

	while (c->name && !text_same_word(name, c->name))
		c++;
	if (c->name && l->nr < MAX_SHOWN) {
		l->shown[l->nr++] = c;
		return 0;
	}
	shown = text_escape(name);
	report("--output", "no column \"%s\"; see qcowctl list --help", shown);
	free(shown);
	return -1;
}

static void add_default_columns(struct list *l)
{
	const struct column *c;

	for (c = list_columns; c->name; c++)
		if (c->by_default)
			l->shown[l->nr++] = c;
}

static int parse_columns(void *options, const char *arg)
{
	struct list *l = options;
	char *copy, *rest, *name;
	int err = 0;

	if (*arg != '+')
		l->nr = 0;
	else if (!l->nr)
		add_default_columns(l);
	arg += *arg == '+';
	copy = xstrdup(arg);
	rest = copy;
	while (!err && (name = strsep(&rest, ",")))
		err = add_column(l, name);
	free(copy);
	return err;
}

static bool is_wanted(const struct list *l, int index)
{
	char **name = l->names;

	if (!*name)
		return true;
	while (*name && !which_is(index, *name))
		name++;
	return *name;
}

/* Return: 0, or 1 after saying which names are of no device. */
static int check_names(const struct list *l)
{
	int *indices, nr = sysfs_devices(&indices);
	struct device d;
	char **name;
	int err = 0;
	int i;

	for (name = l->names; *name; name++) {
		for (i = 0; i < nr && !which_is(indices[i], *name); i++)
			;
		/* It says why there is none. */
		if (i == nr && which_device(&d, *name))
			err = 1;
	}
	free(indices);
	return err;
}

typedef int add_row(void *to, const struct list *l, const struct row *r);

/* Whether a device is on its way out, which may last if a file below does not answer. */
static bool any_going(void)
{
	int *indices, nr = sysfs_devices(&indices);
	int control = device_control_quiet();
	struct qcow_ioc_status status;
	bool going = false;

	while (nr-- && control >= 0 && !going)
		going = !device_status(control, indices[nr], &status) &&
			status.state & QCOW_STATE_GOING;
	if (control >= 0)
		close(control);
	free(indices);
	return going;
}

static bool any_exported(void)
{
	struct exports all;
	bool exported = false;
	size_t i;

	exports_find(&all, -1);
	for (i = 0; i < all.nr; i++)
		exported |= all.list[i].index >= 0;
	exports_free(&all);
	return exported;
}

/* Call @add for each attached device. */
static int for_each_row(const struct list *l, add_row *add, void *to)
{
	int *indices, nr = sysfs_devices(&indices);
	int control = device_control_quiet();
	struct row r = { .json = l->json, .bytes = l->bytes };
	int err = 0;
	int i;

	for (i = 0; i < nr && !err; i++) {
		r.index = indices[i];
		r.known = control >= 0 && !device_status(control, r.index, &r.status);
		if (sysfs_exists(r.index) && is_wanted(l, r.index))
			err = add(to, l, &r);
	}
	if (control >= 0)
		close(control);
	free(indices);
	return err;
}

static int new_column(struct libscols_table *table, const struct column *c)
{
	struct libscols_column *col;

	col = scols_table_new_column(table, c->name, c->width, c->flags);
	if (!col)
		return -ENOMEM;
	if (!(c->flags & SCOLS_FL_WRAP))
		return 0;
	scols_column_set_wrapfunc(col, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
	scols_column_set_safechars(col, "\n");
	return 0;
}

static int add_line(void *to, const struct list *l, const struct row *r)
{
	struct libscols_line *line = scols_table_new_line(to, NULL);
	char *text;
	size_t i;

	if (!line)
		return -ENOMEM;
	for (i = 0; i < l->nr; i++) {
		text = list_cell(l->shown[i], r);
		if (text && scols_line_refer_data(line, i, text))
			return -ENOMEM;
	}
	return 0;
}

static int print_table(const struct list *l)
{
	struct libscols_table *table = scols_new_table();
	int err = table ? 0 : -ENOMEM;
	size_t i;

	if (!err)
		err = scols_table_enable_noheadings(table, l->noheadings);
	/* Unprintable characters are escaped already. */
	if (!err)
		err = scols_table_enable_noencoding(table, 1);
	for (i = 0; i < l->nr && !err; i++)
		err = new_column(table, l->shown[i]);
	if (!err)
		err = for_each_row(l, add_line, table);
	if (!err)
		err = scols_print_table(table);
	if (err)
		report("list", "%s", strerror(-err));
	scols_unref_table(table);
	return !!err;
}

static struct json_object *json_mountpoints(const struct row *r)
{
	struct json_object *array = json_object_new_array();
	char **list = in_use_mountpoints(r->index);
	char *text;
	size_t i;

	for (i = 0; list[i]; i++) {
		text = text_utf8(list[i]);
		json_object_array_add(array, json_object_new_string(text));
		free(text);
	}
	in_use_free_mountpoints(list);
	return array;
}

static struct json_object *json_cell(const struct column *c, const struct row *r)
{
	struct json_object *value = NULL;
	char *text;

	if (c->type == CELL_MOUNTPOINTS)
		return json_mountpoints(r);
	text = list_cell(c, r);
	if (!text)
		return NULL;
	if (c->type == CELL_NUMBER)
		value = json_object_new_uint64(strtoull(text, NULL, 0));
	else if (c->type == CELL_BOOLEAN)
		value = json_object_new_boolean(text[0] != '0');
	else
		value = json_object_new_string(text);
	free(text);
	return value;
}

static int add_object(void *to, const struct list *l, const struct row *r)
{
	struct json_object *o = json_object_new_object();
	char *key;
	size_t i;

	for (i = 0; i < l->nr; i++) {
		key = text_lower(l->shown[i]->name);
		json_object_object_add(o, key, json_cell(l->shown[i], r));
		free(key);
	}
	return json_object_array_add(to, o) ? -ENOMEM : 0;
}

/* Not by libsmartcols, which has no empty arrays. */
static int print_json(const struct list *l)
{
	struct json_object *top = json_object_new_object();
	struct json_object *array = json_object_new_array();

	json_object_object_add(top, "qcowdevices", array);
	for_each_row(l, add_object, array);
	json_print(top);
	return 0;
}

static int run_list(void *options, int argc, char **argv)
{
	struct list *l = options;
	int err;

	(void)argc;
	if (sysfs_missing())
		return 1;
	l->names = argv;
	if (!l->nr) {
		add_default_columns(l);
		if (any_going())
			add_column(l, "state");
		if (any_exported())
			add_column(l, "export");
	}
	err = l->json ? print_json(l) : print_table(l);
	return check_names(l) || err;
}

static void print_column_values(FILE *to)
{
	const struct column *c;

	for (c = list_columns; c->name; c++)
		fprintf(to, " %s", c->name);
}

/* Print the names of the columns of one kind. */
static void print_kind(FILE *to, bool by_default, int used)
{
	const struct column *c;

	for (c = list_columns; c->name; c++) {
		if (c->by_default != by_default)
			continue;
		if (used + strlen(c->name) >= USAGE_WIDTH)
			used = fprintf(to, "\n") - 1;
		used += fprintf(to, "%s%s", used ? " " : "", c->name);
	}
}

static void print_columns(FILE *to)
{
	print_kind(to, true, fprintf(to, "\nColumns:"));
	fputs(" (default),\n", to);
	print_kind(to, false, 0);
	fputc('\n', to);
}

static const struct option_spec options[] = {
	OPTION_JSON(struct list, json, "print JSON"),
	{
		.name = "noheadings", .letter = 'n',
		.help = "leave out the headings",
		.parse = option_true, .field = offsetof(struct list, noheadings),
	},
	{
		.name = "bytes", .letter = 'b',
		.help = "print sizes in bytes",
		.parse = option_true, .field = offsetof(struct list, bytes),
	},
	{
		.name = "output", .letter = 'O', .arg = " COLUMNS",
		.help = "columns to print, separated by commas; +COLUMNS adds to\n"
			"the default ones",
		.print_values = print_column_values,
		.parse = parse_columns,
	},
	{ }
};

const struct command list_command = {
	.name = "list",
	.summary = "list the attached devices",
	.usage =
		"Usage: qcowctl list [options] [DEVICE|IMAGE...]\n"
		"\n"
		"List the attached devices, or those that are named or show an image.\n",
	.takes_device = true,
	.options = options,
	.print_more = print_columns,
	.size = sizeof(struct list),
	.run = run_list,
};
