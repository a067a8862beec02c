/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_WORK_H
#define _QCOWCTL_WORK_H

#include "cmd/operand.h"
#include "cmd/options.h"

/* Bytes of the disk that one step looks at. */
#define WORK_STEP_BYTES	SZ_16M

/**
 * struct work - a command that does long work on one device, step by step
 * @what: name of the work in the progress line
 * @interrupted: the state that an interruption leaves, and the next step for the user
 * @step: do some. Return: 0; -EINTR; or another negative errno after printing the
 *	error
 * @end: called once after all was done, or NULL. Return: 0, or -1 after printing
 *	the error
 */
struct work {
	const char *what;
	const char *interrupted;
	int (*step)(const struct operand *o, u64 *done, u64 *total);
	int (*end)(const struct operand *o);
};

/**
 * struct work_options - the options of such a command
 * @format: of an image that is not attached; 0: probe
 * @keys: of an image that is not attached
 */
struct work_options {
	u32 format;
	struct keys_options keys;
};

extern const struct option_spec work_options[];

int work_run(const struct work *w, const void *options, const char *name);
void work_release(void *options);

#endif /* _QCOWCTL_WORK_H */
