// SPDX-License-Identifier: GPL-2.0
/*
 * The option that made a mount fail. The kernel says only that something is wrong; asked
 * about one option after the other, it tells which.
 */
#define _GNU_SOURCE
#include <libmount.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/report.h"
#include "lib/text.h"
#include "mount/fs_options.h"

static int set(int context, const char *name, const char *value)
{
	unsigned int how = value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG;

	return syscall(SYS_fsconfig, context, how, name, value, 0) ? -errno : 0;
}

static void report_unknown(const char *name, const char *type, bool has_value)
{
	char *shown = text_escape(name);

	report(shown, "neither mount.qcow2 nor %s takes this option%s; see mount.qcow2(8)", type,
	       has_value ? " with that value" : "");
	free(shown);
}

/* Return: whether an option was refused. */
static bool try_each(int context, char *options, const char *type)
{
	char *name, *value, *own_name, *own_value;
	size_t name_len, value_len;
	bool is_bad = false;

	while (!is_bad && !mnt_optstr_next_option(&options, &name, &name_len, &value,
						  &value_len)) {
		own_name = xstrndup(name, name_len);
		own_value = value ? xstrndup(value, value_len) : NULL;
		is_bad = set(context, own_name, own_value) == -EINVAL;
		if (is_bad)
			report_unknown(own_name, type, value);
		free(own_name);
		free(own_value);
	}
	return is_bad;
}

/**
 * fs_options_report() - name the option that a filesystem does not take
 * @r: a request that failed
 * @p: the filesystem
 * @type: its driver
 *
 * Return: whether there is such an option; it was named.
 */
bool fs_options_report(const struct request *r, const struct pick *p, const char *type)
{
	char *user = NULL, *vfs = NULL, *fs = NULL;
	int context = syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
	bool is_bad = false;

	if (context < 0)
		return false;
	if (r->options && !mnt_split_optstr(r->options, &user, &vfs, &fs, 0, 0) && fs &&
	    !set(context, "source", p->path))
		is_bad = try_each(context, fs, type);
	free(user);
	free(vfs);
	free(fs);
	close(context);
	return is_bad;
}
