// SPDX-License-Identifier: GPL-2.0
/*
 * Files and folders of the kernel's NVMe target in configfs. exports.c and build.c call
 * this; paths are below TREE.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "export/tree.h"
#include "lib/clock.h"
#include "lib/modprobe.h"
#include "lib/report.h"

#define CONFIGFS	"/sys/kernel/config"

/* linux/magic.h does not have it. */
#define CONFIGFS_MAGIC	0x62656570

#define LOCK_FILE	"/run/qcow-export.lock"

/* How long to wait for another call, in microseconds */
#define LOCK_USEC	(10 * 1000000ULL)

#define NO_TARGET	"the NVMe target of the kernel is not loaded"

/* --- The tree --- */

/**
 * tree_is_there() - whether the kernel's NVMe target is loaded and can be seen
 *
 * Return: whether it is.
 */
bool tree_is_there(void)
{
	return !access(TREE "/subsystems", F_OK);
}

/* @reason: from modprobe() */
static void report_missing(const char *reason)
{
	struct statfs fs;

	if (!statfs(CONFIGFS, &fs) && fs.f_type != CONFIGFS_MAGIC)
		report(CONFIGFS, "configfs is not mounted here; run mount -t configfs configfs " CONFIGFS);
	else if (geteuid())
		report(TREE, NO_TARGET "; run modprobe nvmet as root");
	else if (*reason)
		report(TREE, NO_TARGET "; modprobe nvmet: %s; it takes a kernel with CONFIG_NVME_TARGET_TCP",
		       reason);
	else
		report(TREE, NO_TARGET "; see the output of modprobe nvmet");
}

/* Have the module of the target loaded. Return: whether it is, else after printing why not. */
static bool load_target(void)
{
	char *reason;

	if (tree_is_there())
		return true;
	reason = modprobe("nvmet");
	if (!tree_is_there())
		report_missing(reason);
	free(reason);
	return tree_is_there();
}

/* Return: 0; EWOULDBLOCK: another call has had the lock for long; or another errno. */
static int wait_lock(int fd)
{
	u64 end = clock_now() + LOCK_USEC;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK || clock_now() > end)
			return errno;
		clock_pause();
	}
	return 0;
}

/**
 * tree_lock() - keep other calls of this program from changing the tree
 * @insist: whether it is an error that another call keeps the lock for long, as one does
 *	that waits for a device; else it is done without
 *
 * Only root can have the lock. The module is loaded if it is not there.
 *
 * Return: a descriptor for tree_unlock(), or -1 after printing the error.
 */
int tree_lock(bool insist)
{
	int fd, err;

	if (!load_target())
		return -1;
	fd = open(LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	err = fd < 0 ? errno : wait_lock(fd);
	if (!err || (err == EWOULDBLOCK && !insist))
		return fd;
	if (err == EACCES)
		report(TREE, "only root of the host may export; use sudo");
	else if (err == EWOULDBLOCK)
		report(LOCK_FILE, "another qcowctl export or unexport has not ended; look for it with fuser " LOCK_FILE);
	else
		report(LOCK_FILE, "%s", strerror(err));
	if (fd >= 0)
		close(fd);
	return -1;
}

/**
 * tree_unlock() - let other calls of this program change the tree
 * @lock: from tree_lock()
 */
void tree_unlock(int lock)
{
	close(lock);
}

/* --- Its files and folders --- */

static void format(char path[PATH_MAX], const char *fmt, va_list args) __printf(2, 0);

static void format(char path[PATH_MAX], const char *fmt, va_list args)
{
	int len = snprintf(path, PATH_MAX, TREE "/");

	vsnprintf(path + len, PATH_MAX - len, fmt, args);
}

/* Have @path hold the path that the caller's arguments are of. */
#define FORMAT(path, fmt) do {			\
	va_list args;				\
						\
	va_start(args, fmt);			\
	format(path, fmt, args);		\
	va_end(args);				\
} while (0)

static int compare_names(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

/**
 * tree_list() - list a folder
 * @list: the result, sorted, numbers by their values; for tree_list_free(). It is empty if
 *	there is no such folder.
 * @fmt: printf format of its path
 */
void tree_list(struct tree_names *list, const char *fmt, ...)
{
	char path[PATH_MAX];
	struct dirent *d;
	DIR *dir;

	FORMAT(path, fmt);
	*list = (struct tree_names) { };
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		list->names = xrealloc(list->names, (list->nr + 1) * sizeof(*list->names));
		list->names[list->nr++] = xstrdup(d->d_name);
	}
	if (dir)
		closedir(dir);
	if (list->nr)
		qsort(list->names, list->nr, sizeof(*list->names), compare_names);
}

/**
 * tree_list_free() - free names
 * @list: the names
 */
void tree_list_free(struct tree_names *list)
{
	while (list->nr)
		free(list->names[--list->nr]);
	free(list->names);
	*list = (struct tree_names) { };
}

/**
 * tree_has() - whether there is a file, folder or link
 * @fmt: printf format of its path
 *
 * Return: whether it is there.
 */
bool tree_has(const char *fmt, ...)
{
	char path[PATH_MAX];
	struct stat st;

	FORMAT(path, fmt);
	return !lstat(path, &st);
}

/**
 * tree_write() - write an attribute
 * @value: its value
 * @fmt: printf format of its path
 *
 * Return: 0 or a negative errno.
 */
int tree_write(const char *value, const char *fmt, ...)
{
	char path[PATH_MAX];
	int fd, err = 0;

	FORMAT(path, fmt);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		err = -errno;
	close(fd);
	return err;
}

/**
 * tree_mkdir() - make a folder
 * @fmt: printf format of its path
 *
 * Return: 0 or a negative errno.
 */
int tree_mkdir(const char *fmt, ...)
{
	char path[PATH_MAX];

	FORMAT(path, fmt);
	return mkdir(path, 0755) ? -errno : 0;
}

/**
 * tree_rmdir() - remove a folder
 * @fmt: printf format of its path
 *
 * Return: 0 or a negative errno.
 */
int tree_rmdir(const char *fmt, ...)
{
	char path[PATH_MAX];

	FORMAT(path, fmt);
	return rmdir(path) ? -errno : 0;
}

/**
 * tree_link() - link a folder of the tree into another one
 * @target: path of the folder in the tree
 * @fmt: printf format of the link's path
 *
 * Return: 0 or a negative errno.
 */
int tree_link(const char *target, const char *fmt, ...)
{
	char *to = xasprintf(TREE "/%s", target);
	char path[PATH_MAX];
	int err;

	FORMAT(path, fmt);
	err = symlink(to, path) ? -errno : 0;
	free(to);
	return err;
}

/**
 * tree_unlink() - remove a link
 * @fmt: printf format of its path
 *
 * Return: 0 or a negative errno.
 */
int tree_unlink(const char *fmt, ...)
{
	char path[PATH_MAX];

	FORMAT(path, fmt);
	return unlink(path) ? -errno : 0;
}
