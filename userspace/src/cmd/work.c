// SPDX-License-Identifier: GPL-2.0
/*
 * Commands that do long work on one device or image: their options, their steps,
 * how far they are, and how they are interrupted.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "cmd/command.h"
#include "cmd/work.h"
#include "lib/progress.h"
#include "lib/report.h"

enum {
	OPT_PROGRESS = 256,
	OPT_KEY_FILE,
};

static const struct option options[] = {
	{ "progress", required_argument, NULL, OPT_PROGRESS },
	{ "format", required_argument, NULL, 'f' },
	{ "key-file", required_argument, NULL, OPT_KEY_FILE },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static int work_steps(const struct work *w, const struct operand *o)
{
	u64 done = 0, total = 0;
	int err;

	do {
		err = w->step(o, &done, &total);
		if (err && err != -EINTR)
			return -1;
		progress(w->what, done, total);
		if (!err && done >= total) {
			progress_end();
			return 0;
		}
	} while (!progress_stopped());
	if (total)
		report(o->name, "interrupted after %llu of %llu bytes; %s",
		       (unsigned long long)done, (unsigned long long)total,
		       w->interrupted);
	else
		report(o->name, "interrupted before it began; %s", w->interrupted);
	return -1;
}

/**
 * struct work_options - what the command line asks for
 * @format: of an image that is not attached; 0: probe
 * @keys: of an image that is not attached
 */
struct work_options {
	u32 format;
	struct keys_options keys;
};

static int work_named(const struct work *w, const char *name,
		      const struct work_options *options)
{
	struct operand o;
	int err;

	if (operand_open(&o, name, options->format, &options->keys))
		return 1;
	progress_catch_signals();
	err = work_steps(w, &o);
	if (!err && w->end)
		err = w->end(&o);
	if (operand_close(&o))
		err = -1;
	return !!err;
}

static int parse_option(const struct work *w, struct work_options *o, int opt,
			char **argv)
{
	switch (opt) {
	case 'f':
		return image_parse_format(&o->format, optarg);
	case OPT_KEY_FILE:
		return keys_add_file(&o->keys, optarg);
	case OPT_PROGRESS:
		return progress_parse(optarg);
	}
	return report_usage(w->command, argv, options);
}

/**
 * work_main() - such a command
 * @w: which
 * @argc: arguments, the command's name included
 * @argv: the arguments
 *
 * Return: the exit code.
 */
int work_main(const struct work *w, int argc, char **argv)
{
	struct work_options o = { };
	int err = 0;
	int opt;

	while (!err && (opt = getopt_long(argc, argv, "f:h", options, NULL)) != -1) {
		if (opt == 'h') {
			fputs(w->usage, stdout);
			free(o.keys.files);
			return 0;
		}
		err = parse_option(w, &o, opt, argv);
	}
	if (!err && argc != optind + 1) {
		report(w->command, "takes one device or image; see qcowctl %s --help",
		       w->command);
		err = 1;
	}
	if (!err)
		err = work_named(w, argv[optind], &o);
	free(o.keys.files);
	return !!err;
}
