/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_WORK_H
#define _QCOWCTL_WORK_H

#include "cmd/operand.h"

/* Bytes of the disk that one step looks at. */
#define WORK_STEP_BYTES	(16U << 20)

/**
 * struct work - a command that does long work on one device, step by step
 * @command: its name
 * @usage: of it
 * @what: for showing how far it is
 * @interrupted: what an interruption leaves, and what to do next
 * @step: do some. Return: 0; -EINTR; or another negative errno after saying what is
 *	wrong
 * @end: called once after all was done, or NULL. Return: 0, or -1 after saying what
 *	is wrong
 */
struct work {
	const char *command;
	const char *usage;
	const char *what;
	const char *interrupted;
	int (*step)(const struct operand *o, u64 *done, u64 *total);
	int (*end)(const struct operand *o);
};

int work_main(const struct work *w, int argc, char **argv);

#endif /* _QCOWCTL_WORK_H */
