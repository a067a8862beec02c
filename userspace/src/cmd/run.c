// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a command with its options and operands.
 */
#include <stdlib.h>
#include <unistd.h>

#include "cmd/options.h"
#include "cmd/run.h"
#include "lib/memory.h"
#include "lib/report.h"

static int run_with(const struct command *c, void *options, int argc, char **argv)
{
	int ret;

	if (c->prepare)
		c->prepare(options, &argc, argv);
	ret = options_parse(c, options, argc, argv);
	if (ret > 0)
		options_print_usage(c, stdout);
	if (ret)
		return ret < 0;
	if (c->one_operand && argc != optind + 1) {
		report(c->name, "takes %s; see qcowctl %s --help", c->one_operand, c->name);
		return 1;
	}
	return c->run(options, argc - optind, argv + optind);
}

/**
 * command_run() - carry out a command
 * @c: the command
 * @argc: arguments, the command's name included
 * @argv: the arguments
 *
 * Return: the exit code.
 */
int command_run(const struct command *c, int argc, char **argv)
{
	void *options = xcalloc(1, c->size);
	int status = run_with(c, options, argc, argv);

	if (c->release)
		c->release(options);
	free(options);
	return status;
}
