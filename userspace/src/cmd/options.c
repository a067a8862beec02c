// SPDX-License-Identifier: GPL-2.0
/*
 * The options of commands: each command has one table of them, from which they are
 * parsed, described by --help, and offered by the shells' completion (complete.c).
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cmd/command.h"
#include "cmd/options.h"
#include "lib/memory.h"
#include "lib/progress.h"
#include "lib/report.h"
#include "lib/text.h"

/* getopt_long()'s value of the first option without a letter. */
#define FIRST_WORD	256

/* Every command has it. */
static const struct option_spec help_option = {
	.name = "help", .letter = 'h', .help = "show this",
};

/* --- Values --- */

/**
 * option_true() - store that an option was given
 * @field: a bool
 * @arg: not used
 *
 * Return: 0.
 */
int option_true(void *field, const char *arg)
{
	(void)arg;
	*(bool *)field = true;
	return 0;
}

/**
 * option_text() - store the value of an option as it is
 * @field: a const char *
 * @arg: the value
 *
 * Return: 0.
 */
int option_text(void *field, const char *arg)
{
	*(const char **)field = arg;
	return 0;
}

/**
 * option_progress() - choose how progress is shown
 * @field: not used
 * @arg: the way
 *
 * Return: 0, or -1 after printing the error.
 */
int option_progress(void *field, const char *arg)
{
	(void)field;
	return progress_parse(arg);
}

/* --- Parsing --- */

static size_t count(const struct option_spec *specs)
{
	size_t nr = 0;

	while (specs[nr].name)
		nr++;
	return nr;
}

/**
 * options_find() - find an option by its long name
 * @specs: the options
 * @name: the name, which need not be terminated
 * @len: bytes of it
 *
 * Return: the option, or NULL.
 */
const struct option_spec *options_find(const struct option_spec *specs, const char *name,
				       size_t len)
{
	for (; specs->name; specs++)
		if (strlen(specs->name) == len && !memcmp(specs->name, name, len))
			return specs;
	return NULL;
}

static int has_arg(const struct option_spec *spec)
{
	if (!spec->arg)
		return no_argument;
	return option_needs_value(spec) ? required_argument : optional_argument;
}

static struct option long_option(const struct option_spec *spec, size_t i)
{
	return (struct option) {
		.name = spec->name,
		.has_arg = has_arg(spec),
		.val = spec->letter ? spec->letter : FIRST_WORD + (int)i,
	};
}

/* The options as getopt_long() wants them, to be freed. */
static struct option *long_options(const struct option_spec *specs)
{
	size_t i, nr = count(specs);
	struct option *options = xcalloc(nr + 2, sizeof(*options));

	for (i = 0; i < nr; i++)
		options[i] = long_option(&specs[i], i);
	options[nr] = long_option(&help_option, nr);
	return options;
}

/* Their letters as getopt_long() wants them, to be freed. */
static char *short_options(const struct option *options, size_t nr)
{
	char *letters = xcalloc(nr + 1, strlen("x:"));
	char *to = letters;

	for (; options->name; options++) {
		if (options->val >= FIRST_WORD)
			continue;
		*to++ = options->val;
		if (options->has_arg == required_argument)
			*to++ = ':';
	}
	return letters;
}

/*
 * Whether getopt_long() refused a letter, rather than a word. A letter that it does not
 * know may stand in the middle of others, and the last word be an earlier one.
 */
static bool is_letter(const char *word, const struct option *options)
{
	if (!optopt || optopt >= FIRST_WORD)
		return false;
	for (; options->name; options++)
		if (options->val == optopt)
			return strncmp(word, "--", 2);
	return true;
}

/* Say which argument getopt_long() stopped at. Return: -1. */
static int refuse(const struct command *c, char **argv, const struct option *options)
{
	const char *word = argv[optind - 1];
	char letter[] = { '-', optopt, 0 };
	char *shown;

	shown = text_escape(is_letter(word, options) ? letter : word);
	report(c->name, "unknown or incomplete option %s; see qcowctl %s --help",
	       shown, c->name);
	free(shown);
	return -1;
}

/* Return: the option that getopt_long() found, or NULL: it found none of them. */
static const struct option_spec *find(const struct option_spec *specs, int found)
{
	if (found >= FIRST_WORD)
		return &specs[found - FIRST_WORD];
	for (; specs->name; specs++)
		if (specs->letter == found)
			return specs;
	return NULL;
}

static int parse(const struct command *c, void *to, int argc, char **argv,
		 const struct option *options, const char *letters)
{
	const struct option_spec *spec;
	int found;

	while ((found = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		if (found == help_option.letter)
			return 1;
		spec = find(c->options, found);
		if (!spec)
			return refuse(c, argv, options);
		if (spec->parse((char *)to + spec->field, optarg))
			return -1;
	}
	return 0;
}

/**
 * options_parse() - store the options of a command
 * @c: the command
 * @to: the structure that they are stored in
 * @argc: arguments, the command's name included
 * @argv: the arguments; operands are last afterwards, from getopt's optind on
 *
 * Return: 0; 1: --help was asked for; or -1 after printing the error.
 */
int options_parse(const struct command *c, void *to, int argc, char **argv)
{
	size_t nr = count(c->options) + 1;
	struct option *options = long_options(c->options);
	char *letters = short_options(options, nr);
	int ret = parse(c, to, argc, argv, options, letters);

	free(letters);
	free(options);
	return ret;
}

/* --- Usage --- */

/* The option with its letter and value, to be freed. */
static char *spelling(const struct option_spec *spec)
{
	const char letter[] = { ' ', '-', spec->letter, ',', 0 };

	return xasprintf("%s --%s%s", spec->letter ? letter : "    ", spec->name,
			 spec->arg ? spec->arg : "");
}

static int width(const struct option_spec *spec)
{
	char *text = spelling(spec);
	int len = strlen(text);

	free(text);
	return len;
}

static int widest(const struct option_spec *specs)
{
	int max = width(&help_option);

	for (; specs->name; specs++)
		if (width(specs) > max)
			max = width(specs);
	return max;
}

static void print_option(const struct option_spec *spec, int columns, FILE *to)
{
	char *text = spelling(spec);
	const char *line = spec->help;
	int len;

	fprintf(to, "%-*s  ", columns, text);
	free(text);
	while (line[len = strcspn(line, "\n")]) {
		fprintf(to, "%.*s\n%*s", len, line, columns + 2, "");
		line += len + 1;
	}
	fprintf(to, "%s\n", line);
}

/**
 * options_print_usage() - print the usage of a command
 * @c: the command
 * @to: where to
 */
void options_print_usage(const struct command *c, FILE *to)
{
	int columns = widest(c->options);
	const struct option_spec *spec;

	fprintf(to, "%s\n", c->usage);
	for (spec = c->options; spec->name; spec++)
		print_option(spec, columns, to);
	print_option(&help_option, columns, to);
	if (c->print_more)
		c->print_more(to);
}

/* --- Completion --- */

static void print_words(const struct option_spec *spec, FILE *to)
{
	const char *equals = option_needs_value(spec) ? "=" : "";

	fprintf(to, "--%s%s", spec->name, equals);
	if (spec->letter)
		fprintf(to, " -%c%s", spec->letter, equals);
	if (spec->values)
		fprintf(to, " %s", spec->values);
	if (spec->print_values)
		spec->print_values(to);
	fputc('\n', to);
}

/**
 * options_print_words() - print a command's table, which tests compare with its manual
 * @c: the command
 * @to: where to
 *
 * The operations, if it has such, are in the first line. Then there is a line for each
 * option: its spellings, with a "=" behind them if it takes a value, and the values that
 * are known.
 */
void options_print_words(const struct command *c, FILE *to)
{
	const struct option_spec *spec;

	if (c->operations)
		fprintf(to, "%s\n", c->operations);
	for (spec = c->options; spec->name; spec++)
		print_words(spec, to);
	print_words(&help_option, to);
}
