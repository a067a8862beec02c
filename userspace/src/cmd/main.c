// SPDX-License-Identifier: GPL-2.0
/*
 * qcowctl: block devices of QEMU disk images.
 */
#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/complete.h"
#include "cmd/options.h"
#include "cmd/run.h"
#include "lib/report.h"
#include "lib/text.h"

static const struct command *const commands[] = {
	&attach_command,
	&detach_command,
	&list_command,
	&stat_command,
	&info_command,
	&map_command,
	&bitmap_command,
	&snapshot_command,
	&resize_command,
	&convert_command,
	&stream_command,
	&commit_command,
	&check_command,
	&create_command,
	&export_command,
	&unexport_command,
};

static void print_usage(FILE *to)
{
	size_t i;

	fputs("Usage: qcowctl COMMAND [options] [arguments]\n\n"
	      "Use QEMU disk images as block devices of this host.\n\n"
	      "Commands:\n", to);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, " %-8s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\nOptions:\n"
	      " -h, --help     show this, or after a command, its options\n"
	      " -V, --version  show the version, also after a command\n\n"
	      "For more see qcowctl(8).\n", to);
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static int unknown_command(const char *name)
{
	report(name, "no such command");
	print_usage(stderr);
	return 1;
}

static int help_main(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2) {
		print_usage(stdout);
		return 0;
	}
	c = find_command(argv[1]);
	if (!c)
		return unknown_command(argv[1]);
	options_print_usage(c, stdout);
	return 0;
}

/* The commands, or the options of one; see options.c. */
static int completion_main(int argc, char **argv)
{
	const struct command *c = argc < 2 ? NULL : find_command(argv[1]);
	size_t i;

	if (c)
		options_print_words(c, stdout);
	for (i = 0; argc < 2 && i < ARRAY_SIZE(commands); i++)
		puts(commands[i]->name);
	return argc < 2 || c ? 0 : 1;
}

/* The words that may stand in place of the last argument, for the shells' completion */
static int complete_main(int argc, char **argv)
{
	complete_words(commands, ARRAY_SIZE(commands), argc, argv);
	return 0;
}

static int version_main(void)
{
	puts("qcowctl " QCOW_VERSION);
	return 0;
}

static bool is_help(const char *s)
{
	return !strcmp(s, "-h") || !strcmp(s, "--help") || !strcmp(s, "help");
}

static bool is_version(const char *s)
{
	return !strcmp(s, "-V") || !strcmp(s, "--version");
}

static int run(int argc, char **argv)
{
	const struct command *c;

	if (argc < 2) {
		print_usage(stderr);
		return 1;
	}
	if (is_help(argv[1]))
		return help_main(argc - 1, argv + 1);
	if (is_version(argv[1]) || !strcmp(argv[1], "version"))
		return version_main();
	if (!strcmp(argv[1], "--completion"))
		return completion_main(argc - 1, argv + 1);
	if (!strcmp(argv[1], "--complete"))
		return complete_main(argc - 2, argv + 2);
	c = find_command(argv[1]);
	if (c && argc > 2 && is_version(argv[2]))
		return version_main();
	return c ? command_run(c, argc - 1, argv + 1) : unknown_command(argv[1]);
}

int main(int argc, char **argv)
{
	int status;

	if (report_open_files())
		return 1;
	setlocale(LC_CTYPE, "");
	opterr = 0;
	status = run(argc, argv);
	if (fflush(stdout) || ferror(stdout)) {
		report("standard output", "cannot write: %s", strerror(errno));
		return 1;
	}
	return status;
}
