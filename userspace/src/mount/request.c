// SPDX-License-Identifier: GPL-2.0
/*
 * The options behind -o: those of mount.qcow2 and qcowctl attach are stored, others are
 * left to libmount, which tells its own from those of the filesystem.
 */
#define _GNU_SOURCE
#include <libmount.h>
#include <stdlib.h>

#include "lib/report.h"
#include "lib/text.h"
#include "mount/request.h"

static const struct option_spec *find(const struct option_spec *specs, const char *name)
{
	return options_find(specs, name, strlen(name));
}

/* mount(8) takes "offset=" for an option of loop devices. */
static int parse_image_offset(void *field, const char *arg)
{
	const struct option_spec *spec = find(attach_options, "offset");

	return spec->parse((char *)field + spec->field, arg);
}

static const struct option_spec own_options[] = {
	{
		.name = "partition", .arg = "=WHICH",
		.help = "mount this partition: its number, UUID or label, or the\n"
			"filesystem's; 0: the whole disk. Without it the only\n"
			"filesystem is found",
		.parse = option_text, .field = offsetof(struct request, partition),
	},
	{
		.name = "image-offset", .arg = "=BYTES",
		.help = "the disk begins at this byte of the image's disk",
		.parse = parse_image_offset, .field = offsetof(struct request, attach),
	},
	{ }
};

/* Options of qcowctl attach that have other names here, or no use. */
static const char *const not_offered[] = {
	"read-only", "offset", "untrusted", "name", "no-partitions", "progress",
};

static bool is_offered(const struct option_spec *spec)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(not_offered); i++)
		if (!strcmp(spec->name, not_offered[i]))
			return false;
	return true;
}

/* Options with which libmount would do something else, and what to do instead. */
static const struct {
	const char *name;
	const char *advice;
} refused[] = {
	{ "loop", "leave it out: the driver makes the device" },
	{ "offset", "use image-offset=" },
	{ "sizelimit", "use size-limit=" },
	{ "encryption", "use key-file=" },
	{ "bind", "mount the image first, then bind its directory" },
	{ "rbind", "mount the image first, then bind its directory" },
	{ "move", "use mount --move without -t" },
};

static int refuse(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(refused); i++) {
		if (strcmp(name, refused[i].name))
			continue;
		report(name, "is no option for an image; %s", refused[i].advice);
		return -1;
	}
	return 0;
}

static int store(const struct option_spec *spec, void *to, const char *value)
{
	if (option_needs_value(spec) && (!value || !*value)) {
		report(spec->name, "needs a value; see mount.qcow2(8)");
		return -1;
	}
	if (!spec->arg && value) {
		report(spec->name, "takes no value; see mount.qcow2(8)");
		return -1;
	}
	return spec->parse((char *)to + spec->field, value);
}

/* Flags of libmount's that are to be known here, too. */
static void note(struct request *r, const char *name)
{
	if (!strcmp(name, "ro"))
		r->attach.ioc.flags |= QCOW_ATTACH_RO;
	else if (!strcmp(name, "rw"))
		r->attach.ioc.flags &= ~QCOW_ATTACH_RO;
	else if (!strcmp(name, "nofail"))
		r->nofail = true;
	else if (!strcmp(name, "remount"))
		r->remount = true;
	else if (!strcasecmp(name, "x-mount.mkdir"))
		r->make_dir = true;
}

static int take(struct request *r, const char *name, const char *value)
{
	const struct option_spec *spec = find(own_options, name);

	if (spec)
		return store(spec, r, value);
	spec = find(attach_options, name);
	if (spec && is_offered(spec))
		return store(spec, &r->attach, value);
	if (refuse(name))
		return -1;
	/* They brought mount(8) here. */
	if (!strcmp(name, "helper") || !strcmp(name, "uhelper"))
		return 0;
	note(r, name);
	return mnt_optstr_append_option(&r->options, name, value);
}

/* A value that has commas is written in quotes. */
static char *unquoted(const char *value, size_t len)
{
	if (!value)
		return NULL;
	if (len > 1 && value[0] == '"' && value[len - 1] == '"')
		return xstrndup(value + 1, len - 2);
	return xstrndup(value, len);
}

/**
 * request_options() - store options
 * @r: the request
 * @text: the options, separated by commas
 *
 * Values of options are kept until the program ends.
 *
 * Return: 0, or -1 after printing the error.
 */
int request_options(struct request *r, const char *text)
{
	char *next = (char *)text, *name, *value, *own_name;
	size_t name_len, value_len;
	/* A snapshot and a damaged image are read-only, whatever was said of the mount. */
	u32 read_only;
	int err;

	while (!(err = mnt_optstr_next_option(&next, &name, &name_len, &value, &value_len))) {
		own_name = xstrndup(name, name_len);
		read_only = r->attach.ioc.snapshot || r->attach.chain.salvage ?
			    QCOW_ATTACH_RO : 0;
		err = take(r, own_name, unquoted(value, value_len));
		r->attach.ioc.flags |= read_only;
		free(own_name);
		if (err)
			return -1;
	}
	if (err == 1)
		return 0;
	report("-o", "the options cannot be understood; check the quotes");
	return -1;
}

/**
 * request_type() - store the type of the filesystem
 * @r: the request
 * @type: of the mount: qcow2, or that of the filesystem behind "qcow2."
 *
 * Return: 0, or -1 after printing the error.
 */
int request_type(struct request *r, const char *type)
{
	static const char prefix[] = "qcow2.";

	if (!strcmp(type, "qcow2"))
		return 0;
	if (strncmp(type, prefix, strlen(prefix)) || !type[strlen(prefix)]) {
		report(type, "is no type of this program; give qcow2, or qcow2.ext4 and the like");
		return -1;
	}
	r->type = type + strlen(prefix);
	return 0;
}

/**
 * request_read_only() - whether the mount is to be read-only
 * @r: the request
 *
 * Return: whether it is; also when the image turned out not to be writable.
 */
bool request_read_only(const struct request *r)
{
	return r->attach.ioc.flags & QCOW_ATTACH_RO;
}

/**
 * request_free() - free memory of a request
 * @r: the request
 */
void request_free(struct request *r)
{
	free(r->options);
	attach_release(&r->attach);
}

/* The value in the usage begins with a blank or "=". */
static void print_option(const struct option_spec *spec, FILE *to)
{
	const char *line = spec->help;
	char *text;
	int len;

	text = xasprintf("%s%s%s", spec->name, option_needs_value(spec) ? "=" : "",
			 spec->arg ? spec->arg + option_needs_value(spec) : "");
	fprintf(to, "  %-20s  ", text);
	free(text);
	while (line[len = strcspn(line, "\n")]) {
		fprintf(to, "%.*s\n%24s", len, line, "");
		line += len + 1;
	}
	fprintf(to, "%s\n", line);
}

static void for_each(void (*print)(const struct option_spec *spec, FILE *to), FILE *to)
{
	const struct option_spec *spec;

	for (spec = own_options; spec->name; spec++)
		print(spec, to);
	for (spec = attach_options; spec->name; spec++)
		if (is_offered(spec))
			print(spec, to);
}

/**
 * request_print_options() - print the options of this program for its usage
 * @to: where to
 */
void request_print_options(FILE *to)
{
	for_each(print_option, to);
}

static void print_word(const struct option_spec *spec, FILE *to)
{
	fprintf(to, "%s%s\n", spec->name, option_needs_value(spec) ? "=" : "");
}

/**
 * request_print_words() - print the options of this program, one a line
 * @to: where to
 */
void request_print_words(FILE *to)
{
	for_each(print_word, to);
}
