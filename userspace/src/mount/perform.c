// SPDX-License-Identifier: GPL-2.0
/*
 * The mount itself, by libmount, and the cause if it fails.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libmount.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/folder.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "lib/text.h"
#include "mount/fs_options.h"
#include "mount/network.h"
#include "mount/perform.h"
#include "mount/share.h"
#include "mount/signals.h"

/* --- Mounts that are there --- */

/* Return: the mount that is seen in a directory, for mnt_unref_fs(); or NULL. */
static struct libmnt_fs *mount_at(const char *dir)
{
	struct libmnt_table *table = mnt_new_table_from_file("/proc/self/mountinfo");
	char *path = realpath(dir, NULL);
	struct libmnt_fs *fs = NULL;

	if (table && path)
		fs = mnt_table_find_target(table, path, MNT_ITER_BACKWARD);
	if (fs)
		mnt_ref_fs(fs);
	free(path);
	mnt_unref_table(table);
	return fs;
}

static bool same_node(const char *a, const char *b)
{
	struct stat x, y;

	return a && b && !stat(a, &x) && !stat(b, &y) && S_ISBLK(x.st_mode) &&
	       x.st_rdev == y.st_rdev;
}

/**
 * perform_done() - whether the mount that is asked for is there already
 * @r: the request
 * @p: the filesystem
 *
 * mount -a does not know which device an image is, and asks again.
 *
 * Return: whether it is.
 */
bool perform_done(const struct request *r, const struct pick *p)
{
	struct libmnt_fs *fs = r->namespace ? NULL : mount_at(r->dir);
	bool done = fs && same_node(mnt_fs_get_srcpath(fs), p->path) &&
		    !mnt_fs_match_options(fs, request_read_only(r) ? "rw" : "ro");

	mnt_unref_fs(fs);
	return done;
}

/* --- Mount --- */

/* A filesystem in user space, say. It would take our helper= for an option of its own. */
static bool has_helper(const char *type)
{
	static const char *const folders[] = { "/sbin", "/usr/sbin" };
	char *path;
	bool has;
	size_t i;

	for (i = 0, has = false; i < ARRAY_SIZE(folders) && !has; i++) {
		path = xasprintf("%s/mount.%s", folders[i], type);
		has = !access(path, X_OK);
		free(path);
	}
	return has;
}

/* The kernel's driver of NTFS has another name than libblkid's. */
static const char *kernel_type(const char *type, bool helper)
{
	return helper || strcmp(type, "ntfs") ? type : "ntfs3";
}

/* systemd unmounts the filesystem before the network goes then. */
static int add_netdev(char **options, const struct request *r, const struct pick *p)
{
	if (!mnt_optstr_get_option(*options, "_netdev", NULL, NULL) ||
	    !network_beneath(r->image, p->path))
		return 0;
	if (r->verbose)
		report(r->image, "needs the network, so it is mounted with -o _netdev");
	return mnt_optstr_append_option(options, "_netdev", NULL);
}

static char *options_of(const struct request *r, const struct pick *p, bool helper)
{
	char *options = r->options ? xstrdup(r->options) : NULL;
	int err = 0;

	if (request_read_only(r))
		err = mnt_optstr_append_option(&options, "ro", NULL);
	if (!err && !helper)
		err = add_netdev(&options, r, p);
	if (!err && !helper)
		err = mnt_optstr_append_option(&options, "helper", "qcow2");
	if (err)
		report(r->image, "its options cannot be completed: %s", strerror(-err));
	return options;
}

static struct libmnt_context *context_of(const struct request *r, const struct pick *p,
					 const char *options, bool helper)
{
	struct libmnt_context *c = mnt_new_context();
	int err = c ? 0 : -ENOMEM;

	err = err ?: mnt_context_set_optsmode(c, MNT_OMODE_NOTAB);
	err = err ?: mnt_context_disable_helpers(c, !helper);
	err = err ?: mnt_context_set_source(c, p->path);
	err = err ?: mnt_context_set_target(c, r->dir);
	err = err ?: mnt_context_set_fstype(c, kernel_type(p->type, helper));
	err = err ?: mnt_context_set_options(c, options);
	err = err ?: mnt_context_enable_sloppy(c, r->sloppy);
	err = err ?: mnt_context_disable_mtab(c, r->no_mtab);
	if (!err && r->namespace)
		err = mnt_context_set_target_ns(c, r->namespace);
	if (!err)
		return c;
	report(r->dir, "cannot prepare the mount: %s", strerror(-err));
	mnt_free_context(c);
	return NULL;
}

/* Libmount's text may have several lines. Return: one line of it, to free. */
static char *one_line(char *text)
{
	char *line;

	for (line = text; (line = strchr(line, '\n'));)
		*line = ' ';
	return text_escape(text);
}

/* The mount is done, but not as it was asked for: of a medium that is read-only, say. */
static void report_warning(const struct request *r, char *text)
{
	char *shown = one_line(text);

	if (shown[0])
		report(r->dir, "%s", shown);
	free(shown);
}

static void report_failure(const struct request *r, struct libmnt_context *c, char *text)
{
	bool unclean = request_read_only(r) && mnt_context_syscall_called(c) &&
		       mnt_context_get_syscall_errno(c) == EROFS;
	char *shown = one_line(text);

	report(r->dir, "%s%s", shown[0] ? shown : "mount failed", unclean ?
	       " (a filesystem that was not unmounted cleanly needs noload if it is ext4, norecovery if it is XFS or Btrfs)" : "");
	free(shown);
}

static int mount_with(const struct request *r, const struct pick *p, const char *options,
		      bool helper)
{
	struct libmnt_context *c = context_of(r, p, options, helper);
	char text[BUFSIZ] = "";
	int status;

	if (!c)
		return MNT_EX_SYSERR;
	/* A mount and the note of it for umount(8) belong together. */
	if (!helper)
		signals_block();
	status = mnt_context_get_excode(c, mnt_context_mount(c), text, sizeof(text));
	if (!helper)
		signals_unblock();
	if (!status)
		report_warning(r, text);
	else if (!mnt_context_helper_executed(c) &&
		 !fs_options_report(r, p, kernel_type(p->type, helper)))
		report_failure(r, c, text);
	mnt_free_context(c);
	return status;
}

/**
 * perform_mount() - mount a filesystem
 * @r: the request
 * @p: the filesystem
 *
 * Return: MNT_EX_*; an error was printed.
 */
int perform_mount(const struct request *r, const struct pick *p)
{
	bool helper = has_helper(p->type);
	char *options = options_of(r, p, helper);
	int status = mount_with(r, p, options, helper);

	free(options);
	if (!status && r->verbose)
		printf("mount.qcow2: %s (%s) mounted on %s\n", p->path, p->type, r->dir);
	return status;
}

/* --- Other options --- */

static bool is_of_image(struct libmnt_fs *fs, const struct request *r)
{
	int fd = folder_open_path(r->image);
	const char *path = mnt_fs_get_srcpath(fs);
	bool partition, known, is = false;
	struct stat st;
	int index;

	if (fd >= 0 && path && !stat(path, &st) && S_ISBLK(st.st_mode)) {
		index = sysfs_index_of(st.st_rdev, &partition);
		is = index >= 0 && attached_is_image(index, fd, &known);
	}
	if (fd >= 0)
		close(fd);
	return is;
}

/**
 * perform_remount() - change the options of a mount
 * @r: the request, whose options have "remount"
 *
 * Return: MNT_EX_*; an error was printed.
 */
int perform_remount(const struct request *r)
{
	struct libmnt_fs *fs = mount_at(r->dir);
	int status = MNT_EX_FAIL;
	struct pick p;

	if (fs && is_of_image(fs, r)) {
		p.path = xstrdup(mnt_fs_get_srcpath(fs));
		p.type = xstrdup(mnt_fs_get_fstype(fs));
		if (!request_read_only(r))
			share_allow_writing(p.path);
		status = perform_mount(r, &p);
		pick_free(&p);
	} else {
		report(r->image, "is not mounted there, so its options cannot be changed; leave out remount");
	}
	mnt_unref_fs(fs);
	return status;
}
