// SPDX-License-Identifier: GPL-2.0
/*
 * qcowtest COMMAND ...
 */
#include "qcowtest.h"

static const struct command commands[] = {
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
	return run_command(commands, ARRAY_SIZE(commands), argc, argv);
}
