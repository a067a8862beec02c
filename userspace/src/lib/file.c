// SPDX-License-Identifier: GPL-2.0
/*
 * Open the files of a chain. An image's author picks the names of backing and
 * data files, so a file is looked at before it is opened: merely opening a
 * device can have an effect, and opening a FIFO blocks.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/file.h"
#include "lib/folder.h"
#include "lib/name.h"
#include "lib/report.h"
#include "lib/text.h"

/**
 * file_use_name() - the use of a file, for messages
 * @use: any but FILE_NAMED
 *
 * Return: its name.
 */
const char *file_use_name(enum file_use use)
{
	switch (use) {
	case FILE_BACKING:
		return "backing file";
	case FILE_EXTENT:
		return "extent";
	default:
		return "data file";
	}
}

/* Print one line: the error, the image that needs the file, and the next step. */
static int file_refuse(const char *name, const struct file_role *role,
		       const char *wrong, const char *advice)
{
	char *of;

	if (role->quiet)
		return -1;
	if (role->use == FILE_NAMED) {
		report(name, "%s; %s", wrong, advice);
		return -1;
	}
	of = text_escape(role->of);
	report(name, "%s (%s of %s); %s", wrong, file_use_name(role->use), of, advice);
	free(of);
	return -1;
}

static int file_refuse_errno(const char *name, const struct file_role *role)
{
	const char *url = role->use == FILE_NAMED ? name_url_advice(name) : NULL;
	const char *advice = "check the name";

	if (url && errno == ENOENT)
		return file_refuse(name, role, "is no local file", url);
	switch (errno) {
	case EACCES:
	case EPERM:
		advice = "change its permissions, or run as a user who may read it";
		break;
	case ENOENT:
	case ENOTDIR:
		if (role->use == FILE_BACKING)
			advice = "put it back, or name another with qemu-img rebase -u";
		else if (role->use != FILE_NAMED)
			advice = "put it back";
		break;
	case EMFILE:
		advice = "raise the limit of open files (ulimit -n)";
		break;
	case ENFILE:
	case ENOMEM:
		advice = "close some programs, then do it again";
		break;
	case EIO:
	case ENXIO:
	case ENOMEDIUM:
		advice = "check the disk";
		break;
	}
	return file_refuse(name, role, strerror(errno), advice);
}

/* Name the kind of a file that cannot be an image; NULL: it can. */
static const char *file_kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFBLK:
		return NULL;
	case S_IFDIR:
		return "is a directory";
	case S_IFIFO:
		return "is a FIFO";
	case S_IFSOCK:
		return "is a socket";
	case S_IFCHR:
		return "is a character device";
	}
	return "is no regular file";
}

/* A folder may be a disk of another format. */
static int file_refuse_kind(const char *name, int fd, const char *kind,
			    const struct file_role *role)
{
	const char *next = "an image is a regular file or a block device";
	const char *seems = folder_kind(fd, &next);
	char *wrong = xasprintf("%s%s%s", kind, seems ? ", and seems to be " : "",
				seems ? seems : "");

	file_refuse(name, role, wrong, next);
	free(wrong);
	return -1;
}

/**
 * file_real_path() - the path an open file has now
 * @fd: the file
 *
 * Return: a string to free, or NULL.
 */
char *file_real_path(int fd)
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path));
	if (n <= 0 || n == sizeof(path) || path[0] != '/')
		return NULL;
	return xstrndup(path, n);
}

static bool path_beneath(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	if (n && folder[n - 1] == '/')
		n--;
	return !strncmp(path, folder, n) && path[n] == '/';
}

/**
 * file_beneath() - whether a file is beneath a folder, by its path now
 * @fd: the file
 * @folder: real path of the folder
 *
 * Return: whether it is.
 */
bool file_beneath(int fd, const char *folder)
{
	char *path = file_real_path(fd);
	bool is = path && path_beneath(path, folder);

	free(path);
	return is;
}

/* The policy, asked of the file itself and not of a name that may change. */
static int file_check(const char *name, int fd, const struct stat *st,
		      const struct file_role *role)
{
	const char *kind = file_kind(st->st_mode);

	if (kind)
		return file_refuse_kind(name, fd, kind, role);
	if (!role->beneath)
		return 0;
	if (file_beneath(fd, role->beneath))
		return 0;
	return file_refuse(name, role, "is not beneath the folder that --backing allows",
			   "name another folder, or use --backing auto if the image is trusted");
}

/* Open the file that a descriptor refers to, O_RDONLY, O_RDWR or O_PATH. */
static int file_reopen_as(int path_fd, int mode)
{
	const int flags = mode | O_CLOEXEC | O_LARGEFILE | O_NOCTTY;
	char link[32];
	int fd;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = open(link, flags);
	return fd;
}

/* Errors of an open for writing that one for reading may not meet. */
static bool is_write_refused(int err)
{
	return err == EROFS || err == EACCES || err == EPERM || err == ETXTBSY;
}

/* Some kernels open a read-only device for writing and then fail the writes. */
static bool is_write_protected(int fd, const struct stat *st)
{
	int ro = 0;

	return S_ISBLK(st->st_mode) && !ioctl(fd, BLKROGET, &ro) && ro;
}

static int file_reopen_writable(int path_fd, const struct stat *st)
{
	int fd = file_reopen_as(path_fd, O_RDWR);

	if (fd < 0 || !is_write_protected(fd, st))
		return fd;
	close(fd);
	errno = EROFS;
	return -1;
}

/* For writing if that is wanted and can be, else for reading. */
static int file_reopen(struct file *f, int path_fd, bool write)
{
	if (write) {
		f->fd = file_reopen_writable(path_fd, &f->stat);
		f->writable = f->fd >= 0;
		if (f->writable)
			return 0;
		if (!is_write_refused(errno))
			return -1;
	}
	f->fd = file_reopen_as(path_fd, O_RDONLY);
	return f->fd < 0 ? -1 : 0;
}

static int file_size(struct file *f)
{
	unsigned long long bytes;

	f->size = f->stat.st_size;
	if (!S_ISBLK(f->stat.st_mode))
		return 0;
	if (ioctl(f->fd, BLKGETSIZE64, &bytes))
		return -1;
	f->size = bytes;
	return 0;
}

/**
 * file_look_again() - get the present size of an open file
 * @f: the file; locked, so nobody makes it longer or shorter any more
 *
 * Return: 0, or -1 after printing the error.
 */
int file_look_again(struct file *f)
{
	if (!fstat(f->fd, &f->stat) && !file_size(f))
		return 0;
	report(f->name, "cannot tell its size: %s; check the disk", strerror(errno));
	return -1;
}

/**
 * file_adopt() - have an open file
 * @f: the result; file_close() it, after a failure too
 * @fd: a descriptor open for reading, which is closed with it
 *
 * Return: 0, or -1 after printing the error.
 */
int file_adopt(struct file *f, int fd)
{
	char *path = file_real_path(fd);

	*f = (struct file) { .fd = fd, .name = path ? path : xstrdup("image") };
	return file_look_again(f);
}

/**
 * file_reopen_write() - open a file that is open once more, for writing
 * @f: the result; file_close() it, after a failure too
 * @from: the file; its name is not looked up
 *
 * Return: 0, or -1 after printing the error.
 */
int file_reopen_write(struct file *f, const struct file *from)
{
	*f = (struct file) { .name = xstrdup(from->name) };
	f->fd = file_reopen_writable(from->fd, &from->stat);
	f->writable = f->fd >= 0;
	if (!f->writable) {
		report(f->name, "cannot be opened for writing: %s; change its permissions, or its filesystem's",
		       strerror(errno));
		return -1;
	}
	if (file_look_again(f))
		return -1;
	if (file_same(f, from))
		return 0;
	report(f->name, "is another disk by now; attach it anew");
	return -1;
}

static int file_open_checked(struct file *f, int path_fd,
			     const struct file_role *role)
{
	if (fstat(path_fd, &f->stat))
		return file_refuse_errno(f->name, role);
	if (file_check(f->name, path_fd, &f->stat, role))
		return -1;
	if (file_reopen(f, path_fd, role->write) || fstat(f->fd, &f->stat) ||
	    file_size(f))
		return file_refuse_errno(f->name, role);
	return 0;
}

/**
 * file_open() - open an image, backing or data file
 * @f: the result; file_close() it, after a failure too
 * @name: its name
 * @fallback: its name if there is no file @name, or NULL
 * @role: why it is opened, and whether for writing; a file that can only be read
 *	is then opened for reading, and @f->writable says so
 *
 * Return: 0, or -1 after printing the error.
 */
int file_open(struct file *f, const char *name, const char *fallback,
	      const struct file_role *role)
{
	const int flags = O_PATH | O_CLOEXEC;
	int path_fd = open(name, flags);
	int err;

	memset(f, 0, sizeof(*f));
	f->fd = -1;
	if (path_fd < 0 && fallback && (errno == ENOENT || errno == ENOTDIR)) {
		path_fd = open(fallback, flags);
		if (path_fd >= 0)
			name = fallback;
	}
	f->name = xstrdup(name);
	if (path_fd < 0)
		return file_refuse_errno(name, role);
	err = file_open_checked(f, path_fd, role);
	close(path_fd);
	return err;
}

/**
 * file_show_holder() - let /proc show until the end that this process holds a file
 * @f: the open file, which may be closed then; its locks are not kept
 */
void file_show_holder(const struct file *f)
{
	if (f->fd >= 0)
		(void)file_reopen_as(f->fd, O_PATH);
}

/**
 * file_close() - undo file_open()
 * @f: the file; closing it twice does no harm
 */
void file_close(struct file *f)
{
	if (f->name && f->fd >= 0)
		close(f->fd);
	free(f->name);
	f->name = NULL;
	f->fd = -1;
}

/**
 * file_read_quiet() - read a range of a file, and print no error
 * @f: the file
 * @buf: where to; bytes past the end of the file read as zeros
 * @len: bytes
 * @file_offset: bytes into the file
 * @got: bytes that the file held, or that were read before an error
 *
 * Return: 0 or a negative errno.
 */
int file_read_quiet(const struct file *f, void *buf, size_t len, u64 file_offset,
		    size_t *got)
{
	int err = fd_read(f->fd, buf, file_offset < f->size ? len : 0, file_offset, got);

	if (!err)
		memset((char *)buf + *got, 0, len - *got);
	return err;
}

/**
 * file_say_unread() - print the error of file_read_quiet()
 * @f: the file
 * @file_offset: of the first byte that could not be read
 * @err: the negative errno
 */
void file_say_unread(const struct file *f, u64 file_offset, int err)
{
	report(f->name, "cannot read at %#llx: %s; check the disk",
	       (unsigned long long)file_offset, strerror(-err));
}

/**
 * file_read() - read a range of a file
 * @f: the file
 * @buf: where to; bytes past the end of the file read as zeros
 * @len: bytes
 * @file_offset: bytes into the file
 * @got: bytes that the file held; may be NULL
 *
 * Return: 0, or -1 after printing the error.
 */
int file_read(const struct file *f, void *buf, size_t len, u64 file_offset,
	      size_t *got)
{
	size_t done;
	int err = file_read_quiet(f, buf, len, file_offset, &done);

	if (err) {
		file_say_unread(f, file_offset + done, err);
		return -1;
	}
	if (got)
		*got = done;
	return 0;
}

/**
 * stat_same() - whether two names lead to one file
 * @a: of a file
 * @b: of a file
 *
 * Return: whether they do; for block devices, whether it is one device.
 */
bool stat_same(const struct stat *a, const struct stat *b)
{
	if ((a->st_mode & S_IFMT) != (b->st_mode & S_IFMT))
		return false;
	if (S_ISBLK(a->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/**
 * file_same() - whether two open files are one
 * @a: a file
 * @b: a file
 *
 * Return: as stat_same().
 */
bool file_same(const struct file *a, const struct file *b)
{
	return stat_same(&a->stat, &b->stat);
}
