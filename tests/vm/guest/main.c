// SPDX-License-Identifier: GPL-2.0
/*
 * qcowtest COMMAND ...
 */
#include <string.h>

#include "qcowtest.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
} commands[] = {
	{ "compare", compare_main, "[-p PREFIX] [-r ROOT] [-a ARGS] MANIFEST" },
	{ "refuse", refuse_main, "ROOT MANIFEST" },
	{ "abuse", abuse_main, "IMAGE FOLDER" },
	{ "mutate", mutate_main, "SEED COUNT IMAGE..." },
	{ "storm", storm_main, "SECONDS IMAGE REFERENCE" },
	{ "threads", threads_main, "ROUNDS DEVICE REFERENCE ..." },
	{ "read", read_main, "DEVICE OFFSET LENGTH [direct]" },
	{ "steps", steps_main, "DEVICE REFERENCE" },
	{ "hold", hold_main, "DEVICE [read]" },
	{ "status", status_main, "INDEX FIELD" },
};

int main(int argc, char **argv)
{
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(stderr, "qcowtest %s %s\n", commands[i].name, commands[i].usage);
	return 2;
}
