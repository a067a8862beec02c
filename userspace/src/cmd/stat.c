// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl stat: the counters of attached devices, once or again and again.
 */
#define _GNU_SOURCE
#include <libsmartcols.h>
#include <stdlib.h>
#include <time.h>

#include "cmd/command.h"
#include "cmd/options.h"
#include "cmd/stat_counters.h"
#include "device/which.h"
#include "lib/json.h"
#include "lib/memory.h"
#include "lib/progress.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "lib/text.h"

/* The longest interval, in seconds */
#define MAX_INTERVAL	86400

/**
 * struct stat_run - the arguments of the command line, and the counters
 * @json: print JSON
 * @bytes: numbers of bytes are printed in full
 * @interval: milliseconds between two looks; 0: look once
 * @named: the devices that were named; NULL: all
 * @nr_named: entries in @named
 * @now: counters of the devices, at this look
 * @nr: entries in @now
 * @before: those of the look before
 * @nr_before: entries in @before
 */
struct stat_run {
	bool json;
	bool bytes;
	u32 interval;
	int *named;
	size_t nr_named;
	struct counters *now;
	size_t nr;
	struct counters *before;
	size_t nr_before;
};

/* --- Looking --- */

/* Return: 0, or -1 after saying why there is no such device. */
static int take_names(struct stat_run *s, int argc, char **argv)
{
	struct device d;
	int i;

	s->named = argc ? xcalloc(argc, sizeof(*s->named)) : NULL;
	for (i = 0; i < argc; i++) {
		if (which_device(&d, argv[i]))
			return -1;
		s->named[s->nr_named++] = d.index;
	}
	return 0;
}

static void add_device(struct stat_run *s, int index)
{
	s->now = xrealloc(s->now, (s->nr + 1) * sizeof(*s->now));
	if (!stat_read(&s->now[s->nr], index))
		s->nr++;
}

/* Keep the last look for comparison, and look again. */
static void look(struct stat_run *s)
{
	int *all = NULL;
	int nr, i;

	free(s->before);
	s->before = s->now;
	s->nr_before = s->nr;
	s->now = NULL;
	s->nr = 0;
	nr = s->named ? (int)s->nr_named : sysfs_devices(&all);
	for (i = 0; i < nr; i++)
		add_device(s, s->named ? s->named[i] : all[i]);
	free(all);
}

/* The counters of a device since the look before, or since attach if it is new. */
static struct counters since(const struct stat_run *s, const struct counters *now)
{
	struct counters c = *now;
	size_t i;

	for (i = 0; i < s->nr_before; i++)
		if (s->before[i].index == now->index)
			stat_subtract(&c, &s->before[i]);
	return c;
}

/* --- Printing --- */

static char *cell(const struct stat_run *s, const struct counter *counter, u64 value)
{
	char text[32];

	if (!counter->bytes || s->bytes)
		return xasprintf("%llu", (unsigned long long)value);
	text_size(text, sizeof(text), value);
	return xstrdup(text);
}

static int add_columns(struct libscols_table *table)
{
	const struct counter *c;

	if (!scols_table_new_column(table, "NAME", 0.1, 0))
		return -ENOMEM;
	for (c = stat_counters; c->name; c++)
		if (c->heading &&
		    !scols_table_new_column(table, c->heading, 1, SCOLS_FL_RIGHT))
			return -ENOMEM;
	return 0;
}

static int add_line(const struct stat_run *s, struct libscols_table *table,
		    const struct counters *c)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	size_t i, column = 0;

	if (!line || scols_line_refer_data(line, column, xasprintf("qcow%d", c->index)))
		return -ENOMEM;
	for (i = 0; stat_counters[i].name; i++) {
		if (!stat_counters[i].heading)
			continue;
		column++;
		if (c->known[i] &&
		    scols_line_refer_data(line, column,
					  cell(s, &stat_counters[i], c->value[i])))
			return -ENOMEM;
	}
	return 0;
}

static int print_table(const struct stat_run *s)
{
	struct libscols_table *table = scols_new_table();
	int err = table ? add_columns(table) : -ENOMEM;
	struct counters c;
	size_t i;

	for (i = 0; i < s->nr && !err; i++) {
		c = since(s, &s->now[i]);
		err = add_line(s, table, &c);
	}
	if (!err)
		err = scols_print_table(table);
	if (err)
		report("stat", "%s", strerror(-err));
	scols_unref_table(table);
	return err;
}

static struct json_object *object_of(const struct counters *c)
{
	struct json_object *o = json_object_new_object();
	char *parent = sysfs_parent(c->index), *of;
	char name[32];
	size_t i;

	snprintf(name, sizeof(name), "/dev/qcow%d", c->index);
	json_add_text(o, "name", name);
	if (parent) {
		of = xasprintf("/dev/%s", parent);
		json_add_text(o, "parent", of);
		free(of);
	}
	free(parent);
	for (i = 0; stat_counters[i].name; i++)
		if (c->known[i])
			json_object_object_add(o, stat_counters[i].name,
					       json_object_new_uint64(c->value[i]));
	return o;
}

static int print_json(const struct stat_run *s)
{
	struct json_object *all = json_object_new_object();
	struct json_object *array = json_object_new_array();
	struct counters c;
	size_t i;

	for (i = 0; i < s->nr; i++) {
		c = since(s, &s->now[i]);
		json_object_array_add(array, object_of(&c));
	}
	json_object_object_add(all, "qcowstat", array);
	if (!s->interval) {
		json_print(all);
		return 0;
	}
	/* A line each time: no name in it is that of a file. */
	puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_PLAIN |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(all);
	return 0;
}

static int print(const struct stat_run *s)
{
	int err = s->json ? print_json(s) : print_table(s);

	return err || fflush(stdout) ? -1 : 0;
}

/* --- Again and again --- */

static void wait_for(u32 milliseconds)
{
	struct timespec left = {
		.tv_sec = milliseconds / 1000,
		.tv_nsec = (long)(milliseconds % 1000) * 1000000,
	};

	while (nanosleep(&left, &left) && errno == EINTR && !progress_stopped())
		;
}

static int look_and_print(struct stat_run *s)
{
	int err;

	look(s);
	if (!s->nr && s->nr_named) {
		report("stat", "the driver is too old to show counters; qcowctl info shows some");
		return 1;
	}
	err = print(s);
	if (s->interval)
		progress_catch_signals();
	/* It ends with the devices that were named. */
	while (s->interval && !err && (s->nr || !s->named)) {
		wait_for(s->interval);
		if (progress_stopped())
			break;
		look(s);
		if (s->nr || s->json)
			err = print(s);
	}
	return !!err;
}

static int run_stat(void *options, int argc, char **argv)
{
	struct stat_run *s = options;

	if (sysfs_missing() || take_names(s, argc, argv))
		return 1;
	return look_and_print(s);
}

static void release_stat(void *options)
{
	struct stat_run *s = options;

	free(s->named);
	free(s->now);
	free(s->before);
}

static int parse_interval(void *field, const char *arg)
{
	char *end, *shown;
	double seconds;

	seconds = strtod(arg, &end);
	if (end != arg && !*end && seconds >= 0.01 && seconds <= MAX_INTERVAL) {
		*(u32 *)field = (u32)(seconds * 1000);
		return 0;
	}
	shown = text_escape(arg);
	report("--interval", "bad interval \"%s\"; give seconds, from 0.01 to %d", shown,
	       MAX_INTERVAL);
	free(shown);
	return -1;
}

static const struct option_spec options[] = {
	{
		.name = "interval", .letter = 'i', .arg = " SECONDS",
		.help = "print again and again; from the second time on, the\n"
			"counts since the time before",
		.parse = parse_interval, .field = offsetof(struct stat_run, interval),
	},
	OPTION_JSON(struct stat_run, json, "print JSON, with all counters; a line each time"),
	{
		.name = "bytes", .letter = 'b',
		.help = "print numbers of bytes in full",
		.parse = option_true, .field = offsetof(struct stat_run, bytes),
	},
	{ }
};

const struct command stat_command = {
	.name = "stat",
	.summary = "count the work of attached devices",
	.usage =
		"Usage: qcowctl stat [options] [DEVICE|IMAGE...]\n"
		"\n"
		"Show the work of attached devices since they were attached: requests, how\n"
		"they were served, and the memory that is held for them.\n",
	.takes_device = true,
	.options = options,
	.size = sizeof(struct stat_run),
	.run = run_stat,
	.release = release_stat,
};
