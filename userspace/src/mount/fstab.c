// SPDX-License-Identifier: GPL-2.0
/*
 * The line of fstab that a mount is of. Messages name it, as they name lines of qcowtab.
 */
#define _GNU_SOURCE
#include <libmount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/memory.h"
#include "mount/fstab.h"

static bool same_bytes(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && (!a_len || !memcmp(a, b, a_len));
}

static bool has_option(char *list, const char *name, size_t name_len, const char *value,
		       size_t value_len)
{
	char *own_name, *own_value;
	size_t own_len, own_value_len;

	while (!mnt_optstr_next_option(&list, &own_name, &own_len, &own_value, &own_value_len))
		if (same_bytes(own_name, own_len, name, name_len) &&
		    same_bytes(own_value, own_value_len, value, value_len))
			return true;
	return false;
}

static bool has_all(char *list, char *options)
{
	char *name, *value;
	size_t name_len, value_len;

	while (!mnt_optstr_next_option(&options, &name, &name_len, &value, &value_len))
		if (!has_option(list, name, name_len, value, value_len))
			return false;
	return true;
}

/* mount(8) adds and drops options of its own. The others are those of the line. */
static bool has_options(struct libmnt_fs *fs, const char *options)
{
	char *list = (char *)mnt_fs_get_options(fs);
	char *user = NULL, *vfs = NULL, *own = NULL;
	bool has = !mnt_split_optstr(options, &user, &vfs, &own, 0, 0) &&
		   (!own || (list && has_all(list, own)));

	free(user);
	free(vfs);
	free(own);
	return has;
}

/* One of the paths is that of the line. mount(8) may have resolved links of the other one. */
static bool is_of(struct libmnt_fs *fs, const char *image, const char *dir, const char *options)
{
	const char *type = mnt_fs_get_fstype(fs);
	struct libmnt_cache *cache;
	bool is;

	if (!type || strncmp(type, "qcow2", strlen("qcow2")) ||
	    (!mnt_fs_streq_srcpath(fs, image) && !mnt_fs_streq_target(fs, dir)))
		return false;
	cache = mnt_new_cache();
	is = mnt_fs_match_source(fs, image, cache) && mnt_fs_match_target(fs, dir, cache) &&
	     has_options(fs, options);
	mnt_unref_cache(cache);
	return is;
}

static bool line_is_of(char *line, size_t len, const char *image, const char *dir,
		       const char *options)
{
	struct libmnt_table *table = mnt_new_table();
	FILE *stream = fmemopen(line, len, "r");
	struct libmnt_fs *fs = NULL;
	bool is = table && stream && !mnt_table_parse_stream(table, stream, "fstab") &&
		  !mnt_table_first_fs(table, &fs) && is_of(fs, image, dir, options);

	if (stream)
		fclose(stream);
	mnt_unref_table(table);
	return is;
}

/**
 * fstab_line_of() - find the line of fstab that a mount is of
 * @image: the image
 * @dir: the directory
 * @options: the options that mount(8) passes
 *
 * Return: "FILE:LINE", to free; or NULL: the mount is of no line.
 */
char *fstab_line_of(const char *image, const char *dir, const char *options)
{
	const char *path = mnt_get_fstab_path();
	FILE *file = fopen(path, "re");
	char *line = NULL, *found = NULL;
	unsigned int number = 0;
	size_t size = 0;
	ssize_t len;

	while (file && !found && (len = getline(&line, &size, file)) > 0) {
		number++;
		if (line_is_of(line, len, image, dir, options))
			found = xasprintf("%s:%u", path, number);
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}
