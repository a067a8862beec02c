// SPDX-License-Identifier: GPL-2.0
/*
 * A file that gets its name when it is complete, so that nobody ever finds half of it,
 * whatever ends this program. A file that it replaces is in nobody's use.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "create/new_file.h"
#include "image/lock.h"
#include "lib/report.h"
#include "lib/unnamed.h"

/* The mode of a new image, which the umask reduces. */
#define NEW_MODE	0644

static int refuse_errno(const char *name, const char *what, const char *advice)
{
	report(name, "%s: %s; %s", what, strerror(errno), advice);
	return -1;
}

static const char *advise(int err)
{
	switch (err) {
	case ENOENT:
	case ENOTDIR:
		return "make the folder first";
	case EACCES:
	case EPERM:
		return "change the permissions of the folder, or run as another user";
	case EROFS:
		return "choose another folder";
	case ENOSPC:
	case EDQUOT:
		return "make room, or choose another folder";
	}
	return "check the folder";
}

static char *folder_of(const char *path)
{
	char *copy = xstrdup(path);
	char *folder = xstrdup(dirname(copy));

	free(copy);
	return folder;
}

/* --- Opening --- */

/* The file that is replaced, locked as by a writer, so that nobody uses it. */
static int open_replaced(struct new_file *f, const char *name)
{
	const struct file_role role = { .use = FILE_NAMED, .write = true };

	f->replace = true;
	if (file_open(&f->replaced, name, NULL, &role))
		return -1;
	if (!S_ISREG(f->replaced.stat.st_mode)) {
		report(name, "is a block device; an image is made in a file: name that, or use qemu-img create");
		return -1;
	}
	if (!f->replaced.writable) {
		report(name, "cannot be opened for writing; change its permissions, or choose another name");
		return -1;
	}
	return lock_file(&f->replaced, true);
}

static int refuse_existing(const char *name, mode_t mode)
{
	if (S_ISREG(mode) || S_ISLNK(mode))
		report(name, "exists; choose another name, or replace it with --force");
	else if (S_ISBLK(mode))
		report(name, "is a block device; an image is made in a file: name that, or use qemu-img create");
	else
		report(name, "exists, and is no regular file; choose another name");
	return -1;
}

/*
 * The path behind a name, which may be a symbolic link. The kernel looks it up, so that it
 * can refuse links of other users in a folder like /tmp. Return: the path, to be freed; or
 * NULL, and errno is set.
 */
static char *path_behind(const char *name)
{
	int fd = open(name, O_PATH | O_CLOEXEC), err;
	char *link, *path;

	if (fd < 0)
		return NULL;
	link = xasprintf("/proc/self/fd/%d", fd);
	path = realpath(link, NULL);
	err = errno;
	free(link);
	close(fd);
	errno = err;
	return path;
}

/* Find the path of a new file, behind a symbolic link to a file that it replaces. */
static int choose_path(struct new_file *f, const char *name, bool force)
{
	struct stat st;

	if (lstat(name, &st)) {
		if (errno != ENOENT)
			return refuse_errno(name, "cannot be made", advise(errno));
		f->path = xstrdup(name);
		return 0;
	}
	if (!force)
		return refuse_existing(name, st.st_mode);
	f->path = path_behind(name);
	if (!f->path)
		return refuse_errno(name, "cannot be replaced", "remove it");
	return open_replaced(f, f->path);
}

/* On a filesystem that has no files without a name. */
static int open_temporary(struct new_file *f, const char *folder)
{
	mode_t mask = umask(0);

	umask(mask);
	f->temporary = xasprintf("%s/.qcowctl.XXXXXX", folder);
	f->fd = mkostemp(f->temporary, O_CLOEXEC);
	if (f->fd >= 0 && !fchmod(f->fd, NEW_MODE & ~mask))
		return 0;
	if (f->fd < 0) {
		free(f->temporary);
		f->temporary = NULL;
	}
	return -1;
}

static int open_in_folder(struct new_file *f, const char *folder)
{
	f->fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, NEW_MODE);
	if (f->fd >= 0)
		return 0;
	if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)
		return open_temporary(f, folder);
	return -1;
}

/**
 * new_file_open() - begin a new file
 * @f: the result; new_file_close() it, after a failure too
 * @name: the name that it is to get
 * @force: replace a file that has the name, unless it is in use
 *
 * Return: 0, or -1 after printing the error.
 */
int new_file_open(struct new_file *f, const char *name, bool force)
{
	char *folder;
	int err;

	*f = (struct new_file) { .fd = -1, .replaced.fd = -1, .name = xstrdup(name) };
	if (choose_path(f, name, force))
		return -1;
	folder = folder_of(f->path);
	err = open_in_folder(f, folder);
	if (err)
		refuse_errno(name, "cannot be made", advise(errno));
	free(folder);
	return err;
}

/**
 * new_file_open_unnamed() - make a file that has no name, and never gets one
 * @f: the result; new_file_close() it, after a failure too
 * @folder: the folder whose filesystem it is on
 *
 * Return: 0, or -1 after printing the error.
 */
int new_file_open_unnamed(struct new_file *f, const char *folder)
{
	*f = (struct new_file) { .fd = -1, .replaced.fd = -1, .name = xstrdup(folder) };
	f->fd = unnamed_open(folder);
	if (f->fd >= 0)
		return 0;
	return refuse_errno(folder, "cannot hold a temporary file", advise(errno));
}

/* --- Publishing --- */

/*
 * A file that replaces another has its owner and mode, as far as that can be. Without
 * its group the file gives a group nothing, as it would be another group.
 */
static void take_after(const struct new_file *f)
{
	const struct stat *st = &f->replaced.stat;
	const bool group = !fchown(f->fd, st->st_uid, st->st_gid) ||
			   !fchown(f->fd, -1, st->st_gid);

	fchmod(f->fd, st->st_mode & (group ? 0777 : 0707));
}

/* Give a file without a name one. Return: 0 or -1 with errno. */
static int link_as(const struct new_file *f, const char *path)
{
	char link[32];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", f->fd);
	return linkat(AT_FDCWD, link, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

/* Have a name beside the file that is replaced. Return: 0 or -1 with errno. */
static int name_beside(struct new_file *f)
{
	char *folder, *path;
	int i, err = -1;

	if (f->temporary)
		return 0;
	folder = folder_of(f->path);
	for (i = 0; err && i < 100; i++) {
		path = xasprintf("%s/.qcowctl.%d.%d", folder, (int)getpid(), i);
		err = link_as(f, path);
		if (!err)
			f->temporary = path;
		else
			free(path);
		if (err && errno != EEXIST)
			break;
	}
	free(folder);
	return err;
}

/* Not over a file that has come meanwhile. Return: 0 or -1 with errno. */
static int rename_new(const struct new_file *f)
{
	if (!renameat2(AT_FDCWD, f->temporary, AT_FDCWD, f->path, RENAME_NOREPLACE))
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	/* The filesystem does not know the flag. */
	if (!access(f->path, F_OK)) {
		errno = EEXIST;
		return -1;
	}
	return rename(f->temporary, f->path);
}

static int give_name(struct new_file *f)
{
	int err;

	if (f->replace) {
		take_after(f);
		err = name_beside(f) || rename(f->temporary, f->path);
	} else {
		err = f->temporary ? rename_new(f) : link_as(f, f->path);
	}
	if (err)
		return -1;
	free(f->temporary);
	f->temporary = NULL;
	return 0;
}

/* The name is durable. That can fail only with the disk. */
static void sync_folder(const struct new_file *f)
{
	char *folder = folder_of(f->path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(folder);
}

/**
 * new_file_publish() - give a complete file its name, durably
 * @f: the file
 *
 * Return: 0, or -1 after printing the error: it has no name then.
 */
int new_file_publish(struct new_file *f)
{
	if (fsync(f->fd))
		return refuse_errno(f->name, "cannot be written", advise(errno));
	if (give_name(f)) {
		if (errno == EEXIST)
			return refuse_existing(f->name, S_IFREG);
		return refuse_errno(f->name, "cannot be named", advise(errno));
	}
	sync_folder(f);
	return 0;
}

/**
 * new_file_withdraw() - take its name from a file that was published, unless it replaced one
 * @f: the file
 */
void new_file_withdraw(struct new_file *f)
{
	if (!f->replace)
		unlink(f->path);
}

/**
 * new_file_close() - close a new file, which goes if it was not published
 * @f: the file
 */
void new_file_close(struct new_file *f)
{
	if (f->temporary)
		unlink(f->temporary);
	if (f->fd >= 0)
		close(f->fd);
	if (f->replace)
		file_close(&f->replaced);
	free(f->temporary);
	free(f->path);
	free(f->name);
}
