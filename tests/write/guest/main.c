// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite COMMAND ...
 */
#include <string.h>

#include "write.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
} commands[] = {
	{ "diff", diff_main, "ROOT MANIFEST" },
	{ "cut", cut_main, "NAME IMAGE ARGUMENTS JOURNAL SEED CLUSTER STEPS" },
	{ "files", files_main, "NAME IMAGE ARGUMENTS LIST SEED STEPS" },
	{ "do", do_main, "DEVICE OPERATION..." },
	{ "race", race_main, "DEVICE SEED THREADS BYTES" },
	{ "fsyncs", fsyncs_main, "DEVICE COUNT SEED BYTES" },
	{ "thrash", thrash_main, "MIB SECONDS" },
	{ "hog", hog_main, "MIB" },
	{ "errors", errors_main, "DEVICE" },
	{ "full", full_main, "DEVICE SEED ERRNO BLOCK BREAK MEND STATE" },
	{ "left", left_main, "DEVICE SEED STATE" },
};

int main(int argc, char **argv)
{
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(stderr, "qcowwrite %s %s\n", commands[i].name, commands[i].usage);
	return 2;
}
