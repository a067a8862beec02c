// SPDX-License-Identifier: GPL-2.0
/*
 * The line of fstab that a mount is of. Messages name it, as they name lines of qcowtab.
 */
#define _GNU_SOURCE
#include <libmount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

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

static bool has_name(char *list, const char *name, size_t name_len)
{
	char *own_name, *own_value;
	size_t own_len, own_value_len;

	while (!mnt_optstr_next_option(&list, &own_name, &own_len, &own_value, &own_value_len))
		if (same_bytes(own_name, own_len, name, name_len))
			return true;
	return false;
}

/* Of several options of a name mount(8) passes the last one. */
static bool has_all(char *list, char *options)
{
	char *name, *value;
	size_t name_len, value_len;

	while (options && !mnt_optstr_next_option(&options, &name, &name_len, &value, &value_len))
		if (!has_name(options, name, name_len) &&
		    !(list && has_option(list, name, name_len, value, value_len)))
			return false;
	return true;
}

/* Options for all filesystems that the line has, and the mount has not. */
static bool lacks_flags(const char *list, const char *options)
{
	const struct libmnt_optmap *map = mnt_get_builtin_optmap(MNT_LINUX_MAP);
	const unsigned long passed = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME |
				     MS_NODIRATIME | MS_SYNCHRONOUS | MS_DIRSYNC;
	unsigned long wanted = 0, has = 0;

	return mnt_optstr_get_flags(list, &wanted, map) ||
	       mnt_optstr_get_flags(options, &has, map) || wanted & ~has & passed;
}

/* The options that a filesystem has of its own, to be freed. */
static int own_options(const char *options, char **own)
{
	char *user = NULL, *vfs = NULL;
	int err = mnt_split_optstr(options, &user, &vfs, own, 0, 0);

	free(user);
	free(vfs);
	return err;
}

/*
 * mount(8) and systemd drop options that are for them, such as x-*, and mount(8) adds some for
 * all filesystems. The others are those of the line, no more and no less.
 */
static bool has_options(struct libmnt_fs *fs, const char *options)
{
	const char *list = mnt_fs_get_options(fs);
	char *of_line = NULL, *of_mount = NULL;
	bool has = !own_options(list ? list : "", &of_line) &&
		   !own_options(options ? options : "", &of_mount) &&
		   has_all(of_line, of_mount) && has_all(of_mount, of_line) &&
		   !lacks_flags(list ? list : "", options ? options : "");

	free(of_line);
	free(of_mount);
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
