// SPDX-License-Identifier: GPL-2.0
/*
 * Commands that do long work on one device or image: their options, their steps,
 * how far they are, and how they are interrupted.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cmd/image_options.h"
#include "cmd/work.h"
#include "lib/progress.h"
#include "lib/report.h"

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
 * work_run() - carry out such a command
 * @w: the command
 * @options: a struct work_options
 * @name: the image or device
 *
 * Return: the exit code.
 */
int work_run(const struct work *w, const void *options, const char *name)
{
	const struct work_options *wanted = options;
	struct operand o;
	int err;

	if (operand_open(&o, name, wanted->format, &wanted->keys))
		return 1;
	progress_catch_signals();
	err = work_steps(w, &o);
	if (!err && w->end)
		err = w->end(&o);
	if (operand_close(&o))
		err = -1;
	return !!err;
}

/**
 * work_release() - free memory that the options of such a command refer to
 * @options: a struct work_options
 */
void work_release(void *options)
{
	struct work_options *o = options;

	free(o->keys.files);
}

const struct option_spec work_options[] = {
	OPTION_FORMAT(struct work_options, format,
		      "of an image that is not attached: qcow2 or qcow; probe it if\n"
		      "not given"),
	OPTION_KEY_FILE(struct work_options, keys),
	OPTION_PROGRESS,
	{ }
};
