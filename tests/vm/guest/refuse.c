// SPDX-License-Identifier: GPL-2.0
/*
 * qcowtest refuse: runs qcowctl attach on images that it must refuse.
 *
 * A line of the manifest: name, image, the file that the message has to name
 * and a regular expression for its text, arguments.
 *
 * Refusing is: exit code 1, nothing on stdout, one line on stderr that begins
 * with "qcowctl: " and the file's name, and no device.
 */
#include <errno.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcowtest.h"

static const char *judge(const struct output *o, const char *file,
			 const char *pattern)
{
	const char *name = o->err + strlen("qcowctl: ");
	regex_t regex;
	bool said;

	if (o->code != 1)
		return "the exit code is not 1";
	if (o->out[0])
		return "something is on stdout";
	if (strncmp(o->err, "qcowctl: ", strlen("qcowctl: ")))
		return "stderr does not begin with qcowctl:";
	if (strchr(o->err, '\n') != o->err + strlen(o->err) - 1)
		return "stderr is not one line";
	if (strncmp(name, file, strlen(file)) || name[strlen(file)] != ':')
		return "the file is not named";
	if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB))
		return "bad pattern";
	said = !regexec(&regex, name + strlen(file), 0, NULL, 0);
	regfree(&regex);
	return said ? NULL : "the message does not name the fault";
}

static void run_line(char *line)
{
	char *name = strsep(&line, "\t"), *image = strsep(&line, "\t");
	char *file = strsep(&line, "\t"), *pattern = strsep(&line, "\t");
	struct output o;
	const char *why;
	int index;

	if (!line)
		die("bad line: %s", name);
	index = attach_by_tool(image, line, &o);
	why = judge(&o, strcmp(file, "-") ? file : image, pattern);
	if (index >= 0)
		detach_index(index, QCOW_DETACH_FORCE);
	if (!why) {
		printf("ok %s\n", name);
		return;
	}
	o.err[strcspn(o.err, "\n")] = 0;
	o.out[strcspn(o.out, "\n")] = 0;
	printf("not ok %s: %s: qcowctl attach %s %s: exit code %d, %s, %s, not %s\n",
	       name, why, line, image, o.code, o.out, o.err, pattern);
}

int refuse_main(int argc, char **argv)
{
	char *line = NULL;
	size_t size = 0;
	FILE *f;

	if (argc != 3 || chdir(argv[1]))
		return 2;
	f = fopen(argv[2], "r");
	if (!f)
		die("%s: %s", argv[2], strerror(errno));
	while (getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = 0;
		run_line(line);
	}
	return 0;
}
