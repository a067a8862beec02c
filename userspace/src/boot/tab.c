// SPDX-License-Identifier: GPL-2.0
/*
 * /etc/qcowtab: lines "NAME IMAGE KEY OPTIONS". A line with a mistake is left out, and the
 * mistake is named by its line and word. The generator calls this.
 *
 * At this time of the boot few filesystems are mounted, so no file is looked for.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot/tab.h"
#include "cmd/attach.h"
#include "cmd/options.h"
#include "device/alias.h"
#include "export/address.h"
#include "export/nqn.h"
#include "lib/report.h"
#include "lib/text.h"

#define TAB_FIELDS	4

/* Report a mistake in a word. Return: -1. */
static int mistake(const char *word, const char *what)
{
	report(word, "%s", what);
	return -1;
}

/* --- Words --- */

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' &&
	       s[2] >= '0' && s[2] <= '7';
}

/* Replace \040 and the like, as in fstab(5). Return: a string to free. */
static char *unescape(const char *word)
{
	char *text = xcalloc(strlen(word) + 1, 1), *to = text;

	while (*word) {
		if (*word == '\\' && is_octal(word + 1)) {
			*to++ = (word[1] - '0') << 6 | (word[2] - '0') << 3 | (word[3] - '0');
			word += 4;
		} else {
			*to++ = *word++;
		}
	}
	return text;
}

static void list_add(struct tab_list *list, char *word)
{
	list->words = xrealloc(list->words, (list->nr + 1) * sizeof(*list->words));
	list->words[list->nr++] = word;
}

static void list_free(struct tab_list *list)
{
	while (list->nr)
		free(list->words[--list->nr]);
	free(list->words);
}

static bool has_control_character(const char *path)
{
	while (*path && (unsigned char)*path >= ' ')
		path++;
	return *path;
}

/* Return: the fault of a path, or NULL: units can name it. */
static const char *path_fault(const char *path)
{
	char *utf8 = text_utf8(path);
	size_t len = strlen(path);
	bool valid = !strcmp(utf8, path);

	free(utf8);
	if (*path != '/')
		return "is not an absolute path";
	if (!valid || has_control_character(path) ||
	    (strchr(path, '"') && strchr(path, '\'')))
		return "has characters that a unit of systemd cannot have in a path";
	if (strstr(path, "/../") || strstr(path, "/./") ||
	    (len > 2 && !strcmp(path + len - 3, "/..")) ||
	    (len > 1 && !strcmp(path + len - 2, "/.")))
		return "has \".\" or \"..\" in it; write the path without";
	return NULL;
}

/* Take a path out of a word of the file. Return: 0, or -1 after printing the error. */
static int take_path(struct tab_entry *e, char **path, const char *word, char *text)
{
	const char *fault = path_fault(text);

	if (fault) {
		free(text);
		return mistake(word, fault);
	}
	list_add(&e->paths, text);
	if (path)
		*path = text;
	return 0;
}

/* --- Options --- */

static int take_flag(bool *flag, const char *word, const char *value)
{
	if (value)
		return mistake(word, "takes no value");
	if (flag)
		*flag = true;
	return 0;
}

/* A time as systemd.time(7) has it: the unit's own parser looks closer. */
static int take_time(char **to, const char *word, const char *value)
{
	if (!value || !(isdigit((unsigned char)*value) || !strcmp(value, "infinity")) ||
	    value[strspn(value, "0123456789abcdefghijklmnopqrstuvwxyz. ")])
		return mistake(word, "takes a time, such as 30 or 5min");
	free(*to);
	*to = xstrdup(strcmp(value, "0") ? value : "infinity");
	return 0;
}

/* Whether a value is one of the words that an option knows. */
static bool is_known(const struct option_spec *spec, const char *value)
{
	const char *word;
	size_t len;

	for (word = spec->values; word && *word; word += len + strspn(word + len, " ")) {
		len = strcspn(word, " ");
		if (strlen(value) == len && !strncmp(word, value, len))
			return true;
	}
	return false;
}

/* Whether an option's value may be a path, which cannot be looked at yet. */
static bool names_file(const struct option_spec *spec)
{
	return spec->values && (strstr(spec->values, VALUE_FOLDER) ||
				strstr(spec->values, VALUE_FILE));
}

/* Have the command attach itself look at the value. Return: 0 or -1. */
static int try_option(const struct option_spec *spec, const char *value)
{
	struct attach a = { };
	int err = spec->parse((char *)&a + spec->field, value);

	attach_release(&a);
	return err;
}

/* Those that the line gives by its other fields, and one for programs that read along */
static bool is_no_option(const char *name)
{
	return !strcmp(name, "name") || !strcmp(name, "ask-password") ||
	       !strcmp(name, "progress");
}

static const struct option_spec *find_option(const char *name)
{
	return is_no_option(name) ? NULL : options_find(attach_options, name, strlen(name));
}

static int take_attach_option(struct tab_entry *e, const char *name, const char *word,
			      const char *value)
{
	const struct option_spec *spec = find_option(name);

	if (!spec)
		return mistake(word, "is no option; see qcowtab(5)");
	if (!spec->arg && value)
		return mistake(word, "takes no value");
	if (value ? !*value : option_needs_value(spec))
		return mistake(word, "needs a value");
	/* The overlay of such a disk lies there. */
	if (!value && !strcmp(name, "temporary") &&
	    take_path(e, NULL, word, xstrdup("/var/tmp")))
		return -1;
	if (value && names_file(spec) && !is_known(spec, value)) {
		if (take_path(e, NULL, word, xstrdup(value)))
			return -1;
	} else if (try_option(spec, value)) {
		return -1;
	}
	list_add(&e->options, value ? xasprintf("--%s=%s", name, value) :
				      xasprintf("--%s", name));
	return 0;
}

/* --- Exports --- */

/* Return: the rest of the first word that begins with a text, or NULL. */
static const char *list_find(const struct tab_list *list, const char *begin)
{
	size_t i;

	for (i = 0; i < list->nr; i++)
		if (!strncmp(list->words[i], begin, strlen(begin)))
			return list->words[i] + strlen(begin);
	return NULL;
}

static bool list_has(const struct tab_list *list, const char *begin)
{
	return list_find(list, begin);
}

static int take_address(struct tab_entry *e, const char *word, const char *value)
{
	struct address a = { 0 };

	if (list_has(&e->export, "--tcp="))
		return mistake(word, "is there already; an export has one address");
	if (!value || !address_parse(&a, value))
		return mistake(word, "takes an IP address of this host, and perhaps a port, such as 192.0.2.1:4420 or [2001:db8::1]:4420");
	list_add(&e->export, xasprintf("--tcp=%s", value));
	return 0;
}

static int take_nqn(struct tab_entry *e, const char *option, const char *word,
		    const char *value)
{
	if (!strcmp(option, "nqn") && list_has(&e->export, "--nqn="))
		return mistake(word, "is there already; an export has one name");
	if (!value || !nqn_is_valid(value))
		return mistake(word, "takes an NQN, such as nqn.2014-08.org.nvmexpress:uuid:... in /etc/nvme/hostnqn");
	list_add(&e->export, xasprintf("--%s=%s", option, value));
	return 0;
}

/* Whether the device of a line cannot be written: the kernel exports none of those. */
static bool is_read_only(const struct tab_entry *e)
{
	return list_has(&e->options, "--read-only") ||
	       (list_has(&e->options, "--snapshot") && !list_has(&e->options, "--temporary"));
}

/* An export has an address, and hosts that may connect. @field: the options */
static int check_export(const struct tab_entry *e, const char *field)
{
	bool address = list_has(&e->export, "--tcp="), host = list_has(&e->export, "--allow-host=");

	if (address && is_read_only(e))
		return mistake(field, "has export= of a disk that is read-only, as snapshots are; add temporary, and leave out ro");
	if (!e->export.nr || (address && host))
		return 0;
	return mistake(field, address ? "has export= without allow-host=, the hosts that may connect" :
					"has allow-host= or nqn= without export=, the address");
}

/* --- Any option --- */

/* @value: behind the "=", or NULL */
static int take_option(struct tab_entry *e, const char *name, const char *word,
		       const char *value)
{
	if (!strcmp(name, "defaults"))
		return take_flag(NULL, word, value);
	if (!strcmp(name, "nofail"))
		return take_flag(&e->nofail, word, value);
	if (!strcmp(name, "noauto"))
		return take_flag(&e->noauto, word, value);
	if (!strcmp(name, "_netdev"))
		return take_flag(&e->netdev, word, value);
	if (!strcmp(name, "timeout"))
		return take_time(&e->timeout, word, value);
	if (!strcmp(name, "x-systemd.device-timeout"))
		return take_time(&e->device_timeout, word, value);
	if (!strcmp(name, "x-systemd.requires-mounts-for"))
		return value ? take_path(e, NULL, word, xstrdup(value)) :
			       mistake(word, "needs a value");
	if (!strcmp(name, "export"))
		return take_address(e, word, value);
	if (!strcmp(name, "allow-host") || !strcmp(name, "nqn"))
		return take_nqn(e, name, word, value);
	/* Those of other programs */
	if (!strncmp(name, "x-", 2))
		return 0;
	return take_attach_option(e, strcmp(name, "ro") ? name : "read-only", word, value);
}

static int take_options(struct tab_entry *e, char *field)
{
	char *all = xstrdup(field), *word, *text, *value;
	int err = 0;

	while (!err && (word = strsep(&field, ","))) {
		if (!*word)
			continue;
		text = unescape(word);
		value = strchr(text, '=');
		if (value)
			*value++ = 0;
		err = take_option(e, text, word, value);
		free(text);
	}
	if (!err)
		err = check_export(e, all);
	free(all);
	return err;
}

/* --- Lines --- */

static int take_key(struct tab_entry *e, const char *word)
{
	if (!word || !strcmp(word, "none") || !strcmp(word, "-"))
		return 0;
	return take_path(e, &e->key, word, unescape(word));
}

/* Words of a line. Return: how many there are. */
static size_t split(char *line, char **fields)
{
	size_t nr = 0;
	char *word;

	while ((word = strsep(&line, " \t\n"))) {
		if (!*word)
			continue;
		if (nr < TAB_FIELDS)
			fields[nr] = word;
		else if (nr == TAB_FIELDS)
			mistake(word, "is one word too many; blanks in a path are written \\040");
		nr++;
	}
	return nr;
}

/* Return: 0, or -1 after printing the error. */
static int parse_line(struct tab_entry *e, char *line)
{
	char *fields[TAB_FIELDS] = { };
	size_t nr = split(line, fields);

	if (nr > TAB_FIELDS)
		return -1;
	if (nr == 1)
		return mistake(fields[0], "has no image behind it; a line is NAME IMAGE KEY OPTIONS");
	if (!alias_is_valid(fields[0]))
		return mistake(fields[0], "is no name of a device: " ALIAS_ALLOWED);
	e->name = xstrdup(fields[0]);
	if (take_path(e, &e->image, fields[1], unescape(fields[1])) ||
	    take_key(e, fields[2]))
		return -1;
	return fields[3] ? take_options(e, fields[3]) : 0;
}

static void entry_free(struct tab_entry *e)
{
	free(e->name);
	list_free(&e->options);
	list_free(&e->export);
	list_free(&e->paths);
	free(e->timeout);
	free(e->device_timeout);
}

/**
 * struct reading - a file that is being read
 * @file: its name
 * @line: number of the line
 * @names: of the devices so far
 * @lines: and their lines
 * @nqns: of the exports so far that have one in the file
 * @nqn_lines: and their lines
 * @found: as of tab_read()
 * @arg: as of tab_read()
 */
struct reading {
	const char *file;
	unsigned int line;
	struct tab_list names;
	unsigned int *lines;
	struct tab_list nqns;
	unsigned int *nqn_lines;
	int (*found)(void *arg, const struct tab_entry *entry);
	void *arg;
};

/*
 * Note a name that may be there once. @what: the kind of thing that has it.
 *
 * Return: 0, or -1 after printing the error.
 */
static int note_once(struct tab_list *list, unsigned int **lines, unsigned int line,
		     const char *word, const char *what)
{
	size_t i;

	for (i = 0; i < list->nr; i++) {
		if (strcmp(list->words[i], word))
			continue;
		report(word, "is the name of the %s of line %u already", what, (*lines)[i]);
		return -1;
	}
	list_add(list, xstrdup(word));
	*lines = xrealloc(*lines, list->nr * sizeof(**lines));
	(*lines)[list->nr - 1] = line;
	return 0;
}

static int note_names(struct reading *r, const struct tab_entry *e)
{
	const char *nqn = list_find(&e->export, "--nqn=");

	if (note_once(&r->names, &r->lines, r->line, e->name, "device"))
		return -1;
	return nqn ? note_once(&r->nqns, &r->nqn_lines, r->line, nqn, "export") : 0;
}

static int read_line(struct reading *r, char *line, size_t len)
{
	struct tab_entry e = { };
	char *who;
	int err;

	/* Nothing is to be overlooked. */
	while (strlen(line) < len)
		line[strlen(line)] = 1;
	line += strspn(line, " \t\n");
	if (!*line || *line == '#')
		return 0;
	who = xasprintf("qcow-generator: %s:%u", r->file, r->line);
	report_as(who, NULL);
	err = parse_line(&e, line);
	if (!err)
		err = note_names(r, &e);
	if (!err)
		err = r->found(r->arg, &e);
	report_as("qcow-generator", NULL);
	free(who);
	entry_free(&e);
	return err;
}

/**
 * tab_read() - read a qcowtab
 * @file: its name; a file that is not there has no lines
 * @found: called for each line without a mistake. Return: 0, or -1 after printing an error
 * @arg: for @found
 *
 * Return: 0, or -1 after printing errors, also if other lines were read.
 */
int tab_read(const char *file, int (*found)(void *arg, const struct tab_entry *entry),
	     void *arg)
{
	struct reading r = { .file = file, .found = found, .arg = arg };
	FILE *f = fopen(file, "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int err = 0;

	if (!f && errno == ENOENT)
		return 0;
	if (!f) {
		report(file, "cannot be opened: %s", strerror(errno));
		return -1;
	}
	while ((len = getline(&line, &size, f)) >= 0) {
		r.line++;
		err |= read_line(&r, line, len);
	}
	if (ferror(f)) {
		report(file, "cannot be read: %s", strerror(errno));
		err = -1;
	}
	free(line);
	fclose(f);
	list_free(&r.names);
	free(r.lines);
	list_free(&r.nqns);
	free(r.nqn_lines);
	return err;
}
