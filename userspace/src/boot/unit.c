// SPDX-License-Identifier: GPL-2.0
/*
 * Files of systemd's units: their names, words in them, and links between them.
 * The generator and the writer of devices' units call this.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/unit.h"
#include "lib/report.h"

/* --- Words --- */

/**
 * unit_escape() - make a name the instance of a unit, as systemd-escape does
 * @text: the name, or a path without its first slash
 *
 * Return: a string to free.
 */
char *unit_escape(const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789:_.";
	char *escaped = xcalloc(strlen(text) + 1, 4), *to = escaped;
	const char *from;

	for (from = text; *from; from++) {
		if (*from == '/')
			*to++ = '-';
		else if (strchr(plain, *from) && !(*from == '.' && from == text))
			*to++ = *from;
		else
			to += sprintf(to, "\\x%02x", (unsigned char)*from);
	}
	return escaped;
}

/**
 * unit_path_word() - a path as a word of RequiresMountsFor= and the like
 * @path: the path
 *
 * systemd knows no escapes there, but for "%".
 *
 * Return: a string to free, or NULL: there is no such word.
 */
char *unit_path_word(const char *path)
{
	char quote = strchr(path, '"') ? '\'' : '"';
	char *word = xcalloc(strlen(path) + 2, 2), *to = word;

	if (strchr(path, quote) || path[strcspn(path, "\n\r")]) {
		free(word);
		return NULL;
	}
	*to++ = quote;
	for (; *path; path++) {
		*to++ = *path;
		if (*path == '%')
			*to++ = '%';
	}
	*to = quote;
	return word;
}

/**
 * unit_command_word() - an argument as a word of ExecStart= and the like
 * @word: the argument
 *
 * Return: a string to free.
 */
char *unit_command_word(const char *word)
{
	char *quoted = xcalloc(strlen(word) + 1, 4), *to = quoted;

	*to++ = '"';
	for (; *word; word++) {
		if ((unsigned char)*word < ' ' || *word == 0x7f) {
			to += sprintf(to, "\\x%02x", (unsigned char)*word);
			continue;
		}
		if (*word == '"' || *word == '\\')
			*to++ = '\\';
		else if (*word == '%' || *word == '$')
			*to++ = *word;
		*to++ = *word;
	}
	*to = '"';
	return quoted;
}

/* --- Files --- */

static int failed(const char *path)
{
	report(path, "%s", strerror(errno));
	return -1;
}

static int make_folder(const char *path)
{
	return mkdir(path, 0755) && errno != EEXIST ? failed(path) : 0;
}

static int write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");
	int err;

	if (!f)
		return failed(path);
	fputs(text, f);
	err = ferror(f);
	return fclose(f) || err ? failed(path) : 0;
}

/**
 * unit_write() - write a unit
 * @folder: where to
 * @name: of the unit
 * @text: its content
 *
 * systemd may read the folder at any time, and sees the whole unit or none.
 *
 * Return: 0, or -1 after printing the error.
 */
int unit_write(const char *folder, const char *name, const char *text)
{
	char *path = xasprintf("%s/%s", folder, name);
	char *new = xasprintf("%s/.#%s.%d", folder, name, (int)getpid());
	int err = write_file(new, text);

	if (!err && rename(new, path))
		err = failed(path);
	if (err)
		unlink(new);
	free(new);
	free(path);
	return err;
}

/**
 * unit_drop_in() - add to a unit
 * @folder: where to
 * @unit: the unit
 * @name: of the added file, without its suffix
 * @text: its content
 *
 * Return: 0, or -1 after printing the error.
 */
int unit_drop_in(const char *folder, const char *unit, const char *name, const char *text)
{
	char *added = xasprintf("%s/%s.d", folder, unit);
	char *file = xasprintf("%s.conf", name);
	int err = make_folder(added);

	if (!err)
		err = unit_write(added, file, text);
	free(file);
	free(added);
	return err;
}

/**
 * unit_link() - have a unit of the same folder started by another
 * @folder: where they are
 * @by: that other
 * @how: "wants" or "requires"
 * @unit: the unit
 *
 * Return: 0, or -1 after printing the error.
 */
int unit_link(const char *folder, const char *by, const char *how, const char *unit)
{
	char *links = xasprintf("%s/%s.%s", folder, by, how);
	char *path = xasprintf("%s/%s", links, unit);
	char *to = xasprintf("../%s", unit);
	int err = make_folder(links);

	if (!err && symlink(to, path) && errno != EEXIST)
		err = failed(path);
	free(to);
	free(path);
	free(links);
	return err;
}
