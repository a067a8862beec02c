// SPDX-License-Identifier: GPL-2.0
/*
 * The files of the mock driver: paths that lead into $MOCK_ROOT, and files that appear as
 * devices there. mock.c explains the variables.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "mock.h"

const char *mapped(const char *path, char *buf)
{
	static const char *const prefixes[] = {
		"/dev/qcow", "/dev/dm-", "/dev/disk/by-id", "/sys/block", "/sys/dev/", "/sys/class/block/",
		"/sys/class/misc", "/sys/fs/btrfs", "/sys/kernel/config",
		"/proc/self/mountinfo", "/run/udev", "/run/qcow", "/lib/modules", "/etc/machine-id",
		"/proc/sys/kernel/random/boot_id",
	};
	char own[40];
	const char *root = getenv("MOCK_ROOT");
	size_t i;

	if (root && !strcmp(path, "/dev")) {
		snprintf(buf, 4096, "%s%s", root, path);
		return buf;
	}
	snprintf(own, sizeof(own), "/proc/%d/mountinfo", (int)getpid());
	if (root && !strcmp(path, own))
		path = "/proc/self/mountinfo";
	for (i = 0; root && i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (strncmp(path, prefixes[i], strlen(prefixes[i])))
			continue;
		snprintf(buf, 4096, "%s%s", root, path);
		return buf;
	}
	return path;
}

int fail(int err)
{
	errno = err;
	return -1;
}

const char *env(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value ? value : otherwise;
}

static int ends_in(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && !strcmp(s + len - n, end);
}

/* The target of a link in /proc/self/fd; "" if it is none. */
static void link_target(char *path, size_t size, const char *link)
{
	ssize_t n = NEXT(readlink)(link, path, size - 1);

	path[n > 0 ? n : 0] = 0;
}

void fd_path(char *path, size_t size, int fd)
{
	char link[40];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	link_target(path, size, link);
}

static int is_unwritable(const char *link)
{
	const char *name = getenv("MOCK_UNWRITABLE");
	char path[4096];

	link_target(path, sizeof(path), link);
	return name && ends_in(path, name);
}

/* Note which device is behind the driver's control node that is opened. */
static void log_control(const char *file)
{
	FILE *from = NEXT(fopen)(file, "r"), *to;
	char line[64], log[4096];

	snprintf(log, sizeof(log), "%s/controls", getenv("MOCK_ROOT"));
	to = NEXT(fopen)(log, "a");
	if (from && to && fgets(line, sizeof(line), from))
		fputs(line, to);
	if (from)
		fclose(from);
	if (to)
		fclose(to);
}

/* Another image is attached with the number of /dev/qcow0. */
static void swap_disk(void)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/sys/block/qcow0/diskseq", getenv("MOCK_ROOT"));
	f = NEXT(fopen)(path, "w");
	if (f) {
		fputs("1001\n", f);
		fclose(f);
	}
}

/* --- A filesystem that does not answer --- */

/* Note the process and its open files, and hang. */
static void hang(void)
{
	char path[4096], open[8192] = "", *end = open;
	FILE *log;
	int fd;

	for (fd = 0; fd < 256; fd++) {
		fd_path(path, sizeof(path), fd);
		if (path[0] && end - open < 4096)
			end += sprintf(end, " %.40s", path);
	}
	snprintf(path, sizeof(path), "%s/hanging", getenv("MOCK_ROOT"));
	log = NEXT(fopen)(path, "a");
	if (log) {
		fprintf(log, "%d%s\n", (int)getpid(), open);
		fclose(log);
	}
	sleep(60);
	_exit(0);
}

int statfs64(const char *path, struct statfs64 *fs)
{
	char buf[4096];

	if (getenv("MOCK_HANG"))
		hang();
	if (NEXT(statfs64)(mapped(path, buf), fs))
		return -1;
	if (getenv("MOCK_CONFIGFS") && !strcmp(path, "/sys/kernel/config"))
		fs->f_type = 0x62656570;
	return 0;
}

/* No signal ends a process that hangs. */
int kill(pid_t pid, int sig)
{
	return getenv("MOCK_HANG") ? 0 : NEXT(kill)(pid, sig);
}

int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
	return getenv("MOCK_HANG") ? 0 : syscall(SYS_prctl, option, a, b, c, d);
}

int open64(const char *path, int flags, ...)
{
	char buf[4096];
	mode_t mode;
	va_list args;

	va_start(args, flags);
	mode = va_arg(args, int);
	va_end(args);
	if (getenv("MOCK_HANG") && ends_in(path, ".stuck"))
		hang();
	if ((flags & O_ACCMODE) != O_RDONLY && configfs_fails(path))
		return -1;
	if (getenv("MOCK_CLAIMED") && flags & O_EXCL && !strncmp(path, "/dev/qcow", 9))
		return fail(EBUSY);
	if (getenv("MOCK_SWAP") && !strcmp(path, "/dev/qcow0"))
		swap_disk();
	if (getenv("MOCK_ROOT") && !strcmp(path, "/dev/qcow-control"))
		log_control(mapped(path, buf));
	if ((flags & O_ACCMODE) != O_RDONLY && is_unwritable(path))
		return fail(atoi(env("MOCK_UNWRITABLE_ERRNO", "30")));
	return NEXT(open64)(mapped(path, buf), flags, mode);
}

FILE *fopen(const char *path, const char *mode)
{
	char buf[4096];

	return NEXT(fopen)(mapped(path, buf), mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	char buf[4096];

	return NEXT(fopen64)(mapped(path, buf), mode);
}

DIR *opendir(const char *path)
{
	char buf[4096];

	return NEXT(opendir)(mapped(path, buf));
}

int access(const char *path, int mode)
{
	char buf[4096];

	return NEXT(access)(mapped(path, buf), mode);
}

ssize_t readlink(const char *path, char *to, size_t len)
{
	char buf[4096];

	return NEXT(readlink)(mapped(path, buf), to, len);
}

/* A file whose name ends in .disk is a block device to the tool. */
static void as_disk(struct stat64 *st)
{
	st->st_mode = S_IFBLK | 0660;
	st->st_rdev = st->st_ino;
}

/* The number of a node in dev/ makes it a block device, or the control node. */
static int as_node(const char *path, const char *file, struct stat64 *st)
{
	unsigned int major, minor;
	FILE *f;

	if (ends_in(path, ".disk"))
		as_disk(st);
	if (strncmp(path, "/dev/qcow", 9) && strncmp(path, "/dev/dm-", 8) &&
	    strncmp(path, "/dev/disk/", 10))
		return 0;
	f = NEXT(fopen)(file, "r");
	if (f && fscanf(f, "%u:%u", &major, &minor) == 2) {
		st->st_mode = (strcmp(path, "/dev/qcow-control") ? S_IFBLK : S_IFCHR) | 0660;
		st->st_rdev = makedev(major, minor);
	}
	if (f)
		fclose(f);
	return 0;
}

int stat64(const char *path, struct stat64 *st)
{
	char buf[4096];

	return NEXT(stat64)(mapped(path, buf), st) ? -1 : as_node(path, buf, st);
}

int lstat64(const char *path, struct stat64 *st)
{
	char buf[4096];

	return NEXT(lstat64)(mapped(path, buf), st) ? -1 : as_node(path, buf, st);
}

int unlink(const char *path)
{
	char buf[4096];

	return NEXT(unlink)(mapped(path, buf));
}

int mknod(const char *path, mode_t mode, dev_t dev)
{
	char buf[4096];
	FILE *f;

	if (getenv("MOCK_MKNOD_ERRNO"))
		return fail(atoi(getenv("MOCK_MKNOD_ERRNO")));
	f = NEXT(fopen)(mapped(path, buf), "wx");
	if (!f)
		return -1;
	fprintf(f, "%u:%u\n", major(dev), minor(dev));
	fclose(f);
	return chmod(buf, mode & 0777);
}

int lchown(const char *path, uid_t uid, gid_t gid)
{
	return strncmp(path, "/dev/qcow", 9) ? NEXT(lchown)(path, uid, gid) : fail(EPERM);
}

/* To udev's socket in $MOCK_ROOT */
int connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	const struct sockaddr_un *named = (const struct sockaddr_un *)addr;
	struct sockaddr_un other = { .sun_family = AF_UNIX };
	char buf[4096];

	if (addr->sa_family != AF_UNIX || strncmp(named->sun_path, "/run/udev", 9))
		return NEXT(connect)(fd, addr, len);
	snprintf(other.sun_path, sizeof(other.sun_path), "%s",
		 mapped(named->sun_path, buf));
	return NEXT(connect)(fd, (const struct sockaddr *)&other, sizeof(other));
}

int is_disk(int fd, const char *kind)
{
	char path[4096];

	fd_path(path, sizeof(path), fd);
	return ends_in(path, kind);
}

int fstat64(int fd, struct stat64 *st)
{
	if (NEXT(fstat64)(fd, st))
		return -1;
	if (is_disk(fd, ".disk"))
		as_disk(st);
	return 0;
}

/* As that of a block device fails. */
int ftruncate64(int fd, off64_t bytes)
{
	return is_disk(fd, ".disk") ? fail(EINVAL) : NEXT(ftruncate64)(fd, bytes);
}

/* --- The page cache --- */

static int synced;

int fdatasync(int fd)
{
	synced = 1;
	return NEXT(fdatasync)(fd);
}

/* The file has the content of the file $MOCK_ON_DISK again. */
static int drop(int fd, const char *on_disk)
{
	char buf[65536];
	off64_t file_offset = 0;
	ssize_t n;
	int disk_fd = NEXT(open)(on_disk, O_RDONLY);

	while ((n = read(disk_fd, buf, sizeof(buf))) > 0 && pwrite64(fd, buf, n, file_offset) == n)
		file_offset += n;
	close(disk_fd);
	return NEXT(ftruncate64)(fd, file_offset);
}

int posix_fadvise64(int fd, off64_t offset, off64_t len, int advice)
{
	const char *on_disk = getenv("MOCK_ON_DISK");

	if (on_disk && synced && advice == POSIX_FADV_DONTNEED && !offset && !len)
		return drop(fd, on_disk);
	return NEXT(posix_fadvise64)(fd, offset, len, advice);
}
