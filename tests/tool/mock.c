// SPDX-License-Identifier: GPL-2.0
/*
 * A mock of the driver: run.sh preloads it into qcowctl, so that qcowctl's requests to
 * the driver can be tested on any host.
 *
 * $MOCK_ROOT is a folder that stands for /, where qcowctl looks at files of the
 * driver: /dev, /dev/qcow*, /sys/block, /sys/dev and /proc/self/mountinfo. Nodes in
 * its dev/ are plain files that appear as block devices, with the number in
 * them. Requests are logged to $MOCK_ROOT/log.
 *
 * Files named *.disk appear as block devices, *-ro.disk as read-only ones. A file
 * whose path ends in $MOCK_UNWRITABLE cannot be opened for writing:
 * $MOCK_UNWRITABLE_ERRNO.
 *
 * $MOCK_ERRNO, $MOCK_MSG, $MOCK_MSG_IMAGE: how an attach fails; $MOCK_CODE: the code
 * behind each $MOCK_MSG, none unless given, as of an older driver. $MOCK_HOLD: an
 * attach that does not fail keeps the open files, as the driver would, until the
 * process whose id is then in the file $MOCK_HOLD ends. $MOCK_FLAGS: the attach
 * flags that a status shows. $MOCK_FSYNC_ERRNO: how the sync of a device fails.
 * $MOCK_OLD_ATTACH: an attach does not tell the diskseq, and knows 8 flags; $MOCK_ATTACH_DISKSEQ: it tells
 * this one.
 * $MOCK_DETACH_ERRNO, $MOCK_MSG: how a detach fails. $MOCK_OLD_DETACH: the driver
 * knows of nothing but flags and index.
 * $MOCK_BUSY: how many detaches that are not lazy fail with EBUSY before one goes
 * through, each after $MOCK_BUSY_MS milliseconds.
 * $MOCK_WAIT: a resize, an operation on a snapshot, or a detach that goes through lasts until
 * there is no such file; $MOCK_LOOKS: a detach lasts until so many statuses were asked for.
 * $MOCK_JOB: bytes that it has to go through; it is half way until then. An older driver
 * does not say. After a detach another device has the number, with a job of its own.
 * $MOCK_BELOW: the device that is busy until another was detached.
 * $MOCK_SNAPSHOT_ERRNO, $MOCK_MSG: how an operation on a snapshot fails.
 * $MOCK_FORMAT: &enum qcow_format of a device. $MOCK_COMMIT_ERRNO, $MOCK_MSG: how a
 * commit fails, of the backing file, once it was started.
 * $MOCK_FILE_ERRNO: how questions about a device's files fail. A device's image is the
 * file that sysfs names; $MOCK_ROOT/sys/block/qcowN/files has a line "IMAGE FORMAT KIND
 * PATH" for each further file; KIND is image or data.
 * $MOCK_REPLACED: from the second status on, the device is another one.
 * $MOCK_STATUS_ERRNO: how a status fails.
 * $MOCK_NODE_DISKSEQ: of the disk behind a node in /dev, else that in sysfs.
 * $MOCK_SWAP: another image is attached as /dev/qcow0 when the node is opened.
 * Which node is opened as the control node is logged to $MOCK_ROOT/controls.
 * $MOCK_HANG: every open of a file *.stuck, and every statfs, hangs, as on a filesystem
 * that does not answer; no kill and no prctl does anything. $MOCK_ROOT/hanging logs the
 * process that hangs, and its open files.
 * $MOCK_LOCKS_ERRNO: how every lock fails.
 * $MOCK_OPENERS: how often a device is open, 3 unless given.
 * $MOCK_EUID: the user that geteuid() returns.
 * $MOCK_MKNOD_ERRNO: how every mknod fails.
 * $MOCK_DISKSEQ: of /dev/qcow0, 1000 unless given; sysfs is to have the same.
 * $MOCK_CLAIMED: a device cannot be opened with O_EXCL.
 * $MOCK_CONFIGFS: the folder in place of /sys/kernel/config is a mounted configfs.
 * mock_configfs.c explains $MOCK_CONFIGFS_FAIL and $MOCK_CONFIGFS_SIGNAL.
 * $MOCK_ON_DISK: a file with the content that another file has on disk. That one shows it
 * once it was synced and its pages were dropped.
 * $MOCK_INTERRUPT: a signal comes before a passphrase is typed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/fs.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include <linux/keyctl.h>
#include <linux/qcow.h>
#include <linux/qcow_map.h>

#include "mock.h"

/* Answers to ioctls of a block device. */
static int mock_disk(int fd, unsigned long request, void *arg)
{
	struct stat64 st;

	if (request == BLKROGET) {
		*(int *)arg = is_disk(fd, "-ro.disk");
		return 0;
	}
	if (request != BLKGETSIZE64 || NEXT(fstat64)(fd, &st))
		return fail(ENOTTY);
	*(uint64_t *)arg = st.st_size;
	return 0;
}

static FILE *log_open(void)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/log", getenv("MOCK_ROOT"));
	return NEXT(fopen)(path, "a");
}

static void log_fd(FILE *log, const char *what, int fd)
{
	static const char *const modes[] = { "ro", "wo", "rw", "?" };
	char path[4096];

	if (fd < 0) {
		fprintf(log, " %s=%d", what, fd);
		return;
	}
	fd_path(path, sizeof(path), fd);
	fprintf(log, " %s=%s:%s", what,
		modes[fcntl(fd, F_GETFL) & O_ACCMODE], path);
}

/* Put a reference to an open file into a socket, where no /proc shows it. */
static void hold_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = { 0 };
	char byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	if (fd >= 0 && sendmsg(sock, &msg, 0) < 0)
		perror("mock: sendmsg");
}

/* Keep one end of a socket pair and nothing else, until killed; say when that is so. */
static void hold_forever(int sock)
{
	int fd;

	for (fd = 0; fd < 1024; fd++)
		if (fd != sock)
			close(fd);
	if (send(sock, "", 1, 0) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void hold_images(const struct qcow_ioc_image *images, unsigned int nr)
{
	FILE *f = NEXT(fopen)(getenv("MOCK_HOLD"), "w");
	int socks[2];
	char ready;
	unsigned int i;
	pid_t pid;

	if (!f || socketpair(AF_UNIX, SOCK_DGRAM, 0, socks)) {
		perror("mock: hold");
		return;
	}
	for (i = 0; i < nr; i++) {
		hold_fd(socks[0], images[i].fd);
		hold_fd(socks[0], images[i].data_fd);
	}
	pid = fork();
	if (!pid)
		hold_forever(socks[1]);
	/* A command that looks for users of the images must not find the child. */
	if (recv(socks[0], &ready, 1, 0) != 1)
		perror("mock: hold");
	fprintf(f, "%d\n", (int)pid);
	fclose(f);
	close(socks[0]);
	close(socks[1]);
}

/* The key's bytes are nowhere but in the kernel: is it there? */
/* The table of an image of another format, and its files but the first. */
static void log_table(FILE *log, const struct qcow_ioc_image *image)
{
	const int32_t *files = (void *)(uintptr_t)image->files;
	struct qcow_map_header h;
	unsigned int i;

	if (image->format != QCOW_FORMAT_MAP)
		return;
	for (i = 0; i < image->nr_files; i++)
		log_fd(log, "file", files[i]);
	if (pread(image->table_fd, &h, sizeof(h), 0) != sizeof(h))
		fputs(" no table", log);
	else
		fprintf(log, " table=%.16s,%llu,%llu,%u", h.format,
			(unsigned long long)h.disk_size, (unsigned long long)h.nr_entries,
			h.flags);
}

static void log_key(FILE *log, const struct qcow_ioc_image *image)
{
	char name[QCOW_KEY_NAME_MAX + 1];
	long id;

	if (!image->key_len)
		return;
	snprintf(name, sizeof(name), "%.*s", (int)image->key_len,
		 (const char *)(uintptr_t)image->key);
	id = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_PROCESS_KEYRING,
		     "logon", name, 0);
	fprintf(log, " cipher=%.*s key=%s", (int)image->cipher_len,
		(const char *)(uintptr_t)image->cipher,
		id < 0 ? "missing" : "there");
}

/* Each device has a diskseq of its own. */
#define MOCK_DISKSEQ	atoi(env("MOCK_DISKSEQ", "1000"))

/* How many statuses were asked for during a detach: a thread asks while another waits. */
static volatile int looks;

/* An operation lasts. */
static int waiting(void)
{
	return looks < atoi(env("MOCK_LOOKS", "0")) || !NEXT(access)(env("MOCK_WAIT", ""), F_OK);
}

/* Whether the device is there, going, or has gone */
static volatile enum { THERE, GOING, GONE } detached;

/* It has another disk after a snapshot was applied. */
static int applied;

static uint64_t diskseq_now(int index)
{
	return MOCK_DISKSEQ + index + applied;
}

/* Which diskseq a change is for. */
static void log_diskseq(const char *what, unsigned long long diskseq)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/diskseqs", getenv("MOCK_ROOT"));
	f = NEXT(fopen)(path, "a");
	fprintf(f, "%s %llu\n", what, diskseq);
	fclose(f);
}

/* --- The files of devices --- */

struct mock_file {
	unsigned int image;
	unsigned int format;
	unsigned int flags;
	char path[4096];
};

/* Those of the device that this process attached. */
static struct mock_file own_files[16];
static int nr_own_files;

static void own_file(unsigned int image, unsigned int format, unsigned int flags, int fd)
{
	struct mock_file *file = &own_files[nr_own_files];

	if (fd < 0 || nr_own_files == 16)
		return;
	*file = (struct mock_file) { .image = image, .format = format, .flags = flags };
	fd_path(file->path, sizeof(file->path), fd);
	nr_own_files++;
}

static FILE *open_of_device(int index, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/sys/block/qcow%d/%s", getenv("MOCK_ROOT"),
		 index, name);
	return NEXT(fopen)(path, "r");
}

static int image_of_device(int index, struct mock_file *file)
{
	FILE *f = open_of_device(index, "qcow/image");
	int ok = f && fgets(file->path, sizeof(file->path), f);

	if (f)
		fclose(f);
	file->path[ok ? strcspn(file->path, "\n") : 0] = 0;
	file->image = 0;
	file->flags = 0;
	file->format = atoi(env("MOCK_FORMAT", "3"));
	return ok;
}

/* The file number @nr of a device, from 0 on. */
static int file_of_device(int index, int nr, struct mock_file *file)
{
	char line[4200], kind[16];
	FILE *f;
	int ok = 0;

	if (!index && nr_own_files) {
		if (nr >= nr_own_files)
			return 0;
		*file = own_files[nr];
		return 1;
	}
	if (!nr)
		return image_of_device(index, file);
	f = open_of_device(index, "files");
	while (f && nr && (ok = !!fgets(line, sizeof(line), f)))
		nr--;
	if (f)
		fclose(f);
	if (!ok || sscanf(line, "%u %u %15s %4095[^\n]", &file->image,
			  &file->format, kind, file->path) != 4)
		return 0;
	file->flags = strcmp(kind, "data") ? 0 : QCOW_FILE_DATA;
	return 1;
}

static int mock_file_open(struct qcow_ioc_file *q)
{
	struct mock_file file;
	int nr;

	if (q->number)
		return fail(ENOENT);
	for (nr = 0; file_of_device(q->index, nr, &file); nr++)
		if (file.image == q->image && file.flags == q->flags)
			break;
	if (!file_of_device(q->index, nr, &file))
		return fail(nr ? ENOENT : ENODEV);
	if (q->diskseq && q->diskseq != (unsigned int)(MOCK_DISKSEQ + q->index))
		return fail(ESTALE);
	q->fd = NEXT(open64)(file.path, O_RDONLY | O_CLOEXEC);
	q->format = file.format;
	q->diskseq = MOCK_DISKSEQ + q->index;
	return q->fd < 0 ? -1 : 0;
}

static int same_path(const char *path, const struct stat64 *st)
{
	struct stat64 other;

	return !NEXT(stat64)(path, &other) && other.st_dev == st->st_dev &&
	       other.st_ino == st->st_ino;
}

static int mock_file_find(struct qcow_ioc_file *q)
{
	struct mock_file file;
	struct stat64 st;
	int nr;

	if (NEXT(fstat64)(q->fd, &st))
		return -1;
	for (; q->index < 10; q->index++) {
		for (nr = 0; file_of_device(q->index, nr, &file); nr++) {
			if (!same_path(file.path, &st))
				continue;
			q->image = file.image;
			q->format = file.format;
			q->flags = file.flags;
			if (!file.image && !(strtoul(env("MOCK_FLAGS", "1"), NULL, 0) & 1))
				q->flags |= QCOW_FILE_WRITABLE;
			q->diskseq = MOCK_DISKSEQ + q->index;
			return 0;
		}
	}
	return fail(ENOENT);
}

static int mock_file(struct qcow_ioc_file *q)
{
	if (getenv("MOCK_FILE_ERRNO"))
		return fail(atoi(getenv("MOCK_FILE_ERRNO")));
	return q->op == QCOW_FILE_OPEN ? mock_file_open(q) : mock_file_find(q);
}

/* A filesystem without locks, perhaps. */
int fcntl64(int fd, int command, ...)
{
	va_list args;
	void *arg;

	va_start(args, command);
	arg = va_arg(args, void *);
	va_end(args);
	if (getenv("MOCK_LOCKS_ERRNO") &&
	    (command == F_OFD_SETLK || command == F_OFD_GETLK))
		return fail(atoi(getenv("MOCK_LOCKS_ERRNO")));
	return NEXT(fcntl64)(fd, command, arg);
}

static void mock_say(uint64_t address, size_t size)
{
	char *to = (char *)(uintptr_t)address;
	size_t len = snprintf(to, size, "%s", env("MOCK_MSG", "")) + 1;

	if (getenv("MOCK_CODE") && len < size)
		to[len] = atoi(getenv("MOCK_CODE"));
}

static int mock_attach(struct qcow_ioc_attach *a)
{
	struct qcow_ioc_image *images = (void *)(uintptr_t)a->images;
	FILE *log = log_open();
	unsigned int i;

	fprintf(log, "attach size=%u flags=%#x index=%d offset=%llu limit=%llu cache=%llu",
		a->size, a->flags, a->index, a->offset, a->size_limit,
		a->cache_size);
	if (a->snapshot)
		fprintf(log, " snapshot=%.*s", (int)a->snapshot_len,
			(const char *)(uintptr_t)a->snapshot);
	if (a->alias)
		fprintf(log, " alias=%.*s", (int)a->alias_len,
			(const char *)(uintptr_t)a->alias);
	if (a->sector_size)
		fprintf(log, " sector=%u", a->sector_size);
	if (a->flags & QCOW_ATTACH_CHILD)
		fprintf(log, " parent=%d", a->parent);
	fputc('\n', log);
	for (i = 0; i < a->nr_images; i++) {
		fprintf(log, "image format=%u", images[i].format);
		log_fd(log, "fd", images[i].fd);
		log_fd(log, "data", images[i].data_fd);
		log_key(log, &images[i]);
		log_table(log, &images[i]);
		fputc('\n', log);
	}
	fclose(log);
	/* The message of another operation that is to fail is not for this one. */
	if (!getenv("MOCK_SNAPSHOT_ERRNO") && !getenv("MOCK_COMMIT_ERRNO"))
		mock_say(a->msg, a->msg_size);
	a->msg_image = atoi(env("MOCK_MSG_IMAGE", "-1"));
	if (getenv("MOCK_ERRNO"))
		return fail(atoi(getenv("MOCK_ERRNO")));
	if (getenv("MOCK_OLD_ATTACH") && a->flags & ~0xff)
		return fail(EINVAL);
	if (getenv("MOCK_HOLD"))
		hold_images(images, a->nr_images);
	for (i = 0; i < a->nr_images; i++) {
		own_file(i, images[i].format, 0, images[i].fd);
		own_file(i, images[i].format, QCOW_FILE_DATA, images[i].data_fd);
	}
	a->index = 0;
	a->diskseq = getenv("MOCK_OLD_ATTACH") ? 0 :
		     atoi(env("MOCK_ATTACH_DISKSEQ", "1000"));
	return 0;
}

static int mock_detach(const struct qcow_ioc_detach *d)
{
	static int tries, others;
	FILE *log;

	if (getenv("MOCK_OLD_DETACH") && d->size > QCOW_DETACH_SIZE_V1)
		return fail(E2BIG);
	log = log_open();
	fprintf(log, "detach flags=%#x index=%d\n", d->flags, d->index);
	fclose(log);
	log_diskseq("detach", d->size > QCOW_DETACH_SIZE_V1 ? d->diskseq : 0);
	if (applied && d->diskseq && d->diskseq != diskseq_now(d->index))
		return fail(ESTALE);
	if (d->index == atoi(env("MOCK_BELOW", "-1")))
		return others ? 0 : fail(EBUSY);
	others++;
	if (getenv("MOCK_DETACH_ERRNO")) {
		mock_say(d->msg, d->msg_size);
		return fail(atoi(getenv("MOCK_DETACH_ERRNO")));
	}
	if (d->flags & QCOW_DETACH_LAZY)
		return 0;
	if (tries++ >= atoi(env("MOCK_BUSY", "0"))) {
		detached = GOING;
		while (waiting())
			usleep(10000);
		detached = GONE;
		return 0;
	}
	usleep(atoi(env("MOCK_BUSY_MS", "0")) * 1000);
	return fail(EBUSY);
}

static int mock_snapshot(struct qcow_ioc_snapshot *s)
{
	FILE *log = log_open();

	fprintf(log, "snapshot size=%u op=%u index=%d flags=%#x name=%.*s\n", s->size,
		s->op, s->index, s->flags, (int)s->name_len,
		(const char *)(uintptr_t)s->name);
	fclose(log);
	log_diskseq("snapshot", s->diskseq);
	applied |= s->op == QCOW_SNAPSHOT_APPLY;
	while (waiting())
		usleep(10000);
	mock_say(s->msg, s->msg_size);
	if (getenv("MOCK_SNAPSHOT_ERRNO"))
		return fail(atoi(getenv("MOCK_SNAPSHOT_ERRNO")));
	strcpy(s->id, "7");
	s->stopped = 1234567;
	return 0;
}

/* Of the disk of every device */
#define MOCK_BYTES	(1 << 30)

static int mock_openers(void)
{
	return atoi(env("MOCK_OPENERS", "3"));
}

/* The diskseq of an open node in dev/ */
static int mock_diskseq(int fd, uint64_t *diskseq)
{
	const char *root = getenv("MOCK_ROOT");
	char path[4096];
	int index, known = 0;
	FILE *f;

	fd_path(path, sizeof(path), fd);
	if (!root || strncmp(path, root, strlen(root)) ||
	    sscanf(path + strlen(root), "/dev/qcow%d", &index) != 1)
		return fail(ENOTTY);
	if (getenv("MOCK_NODE_DISKSEQ")) {
		*diskseq = atoi(getenv("MOCK_NODE_DISKSEQ"));
		return 0;
	}
	f = open_of_device(index, "diskseq");
	known = f && fscanf(f, "%lu", diskseq) == 1;
	if (f)
		fclose(f);
	return known ? 0 : fail(ENOTTY);
}

/* As the driver: not smaller while it is open. */
static int mock_resize(const struct qcow_ioc_resize *r)
{
	FILE *log = log_open();

	fprintf(log, "resize flags=%#x index=%d bytes=%llu\n", r->flags, r->index,
		r->bytes);
	fclose(log);
	log_diskseq("resize", r->diskseq);
	if (!(r->flags & QCOW_RESIZE_MAX) && r->bytes < MOCK_BYTES && !(r->flags & QCOW_RESIZE_FORCE) && mock_openers())
		return fail(EBUSY);
	while (waiting())
		usleep(10000);
	/* A message, after a success or because of a signal */
	if (r->msg)
		snprintf((char *)(uintptr_t)r->msg, r->msg_size, "%s",
			 env("MOCK_RESIZE_SAYS", ""));
	return atoi(env("MOCK_RESIZE_FAILS", "0")) ? fail(EINTR) : 0;
}

static int mock_commit(struct qcow_ioc_commit *c)
{
	static int opened, started;
	FILE *log = log_open();

	fprintf(log, "commit op=%u index=%d", c->op, c->index);
	log_fd(log, "fd", c->fd);
	log_fd(log, "data", c->data_fd);
	fputc('\n', log);
	fclose(log);
	log_diskseq("commit", c->diskseq);
	if (c->op == QCOW_COMMIT_OPEN)
		opened = 1;
	if (c->op == QCOW_COMMIT_START)
		started = 1;
	if (c->op == QCOW_COMMIT_CLOSE && !opened)
		return fail(ENOTCONN);
	if (c->op != QCOW_COMMIT_RUN)
		return 0;
	if (!started)
		return fail(ENOTCONN);
	if (getenv("MOCK_COMMIT_ERRNO")) {
		mock_say(c->msg, c->msg_size);
		c->msg_image = 1;
		if (atoi(getenv("MOCK_COMMIT_ERRNO")) == EINTR)
			raise(SIGINT);
		return fail(atoi(getenv("MOCK_COMMIT_ERRNO")));
	}
	c->done = 1 << 20;
	c->total = 1 << 20;
	return 0;
}

static int mock_status(struct qcow_ioc_status *s)
{
	static int asked;

	if (s->index || getenv("MOCK_STATUS_ERRNO"))
		return fail(atoi(env("MOCK_STATUS_ERRNO", "19")));
	s->flags = strtoul(env("MOCK_FLAGS", "1"), NULL, 0);
	s->abi = QCOW_ABI_VERSION;
	s->state = QCOW_STATE_DIRECT | QCOW_STATE_LAZY;
	s->format = atoi(env("MOCK_FORMAT", "3"));
	s->depth = 2;
	s->openers = mock_openers();
	s->bytes = MOCK_BYTES;
	s->cluster_size = 65536;
	s->cache_hits = 12345;
	s->diskseq = diskseq_now(s->index);
	s->job_total = strtoull(env("MOCK_JOB", "0"), NULL, 0) / (detached == GONE ? 10 : 1);
	s->job_done = waiting() ? s->job_total / 2 : s->job_total;
	if (detached == GOING) {
		s->state |= QCOW_STATE_GOING;
		looks++;
	}
	s->job_owner = atoi(env("MOCK_JOB_OWNER", "0"));
	/* From the second question on */
	if (asked++ && getenv("MOCK_REPLACED"))
		s->diskseq++;
	return 0;
}

uid_t geteuid(void)
{
	return getenv("MOCK_EUID") ? (uid_t)atoi(getenv("MOCK_EUID")) : NEXT(geteuid)();
}

/* A device's file in $MOCK_ROOT. */
int fsync(int fd)
{
	const char *root = getenv("MOCK_ROOT");
	char path[4096];
	FILE *log;

	fd_path(path, sizeof(path), fd);
	if (!root || strncmp(path, root, strlen(root)))
		return NEXT(fsync)(fd);
	log = log_open();
	fprintf(log, "fsync %s\n", path + strlen(root));
	fclose(log);
	return getenv("MOCK_FSYNC_ERRNO") ? fail(atoi(getenv("MOCK_FSYNC_ERRNO"))) : 0;
}

/* Somebody types ^C as soon as nothing is echoed any more. */
int tcsetattr(int fd, int actions, const struct termios *attr)
{
	int ret = NEXT(tcsetattr)(fd, actions, attr);

	if (getenv("MOCK_INTERRUPT") && !(attr->c_lflag & ECHO))
		raise(SIGINT);
	return ret;
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	switch (request) {
	case QCOW_IOC_ATTACH:
		return mock_attach(arg);
	case QCOW_IOC_DETACH:
		return mock_detach(arg);
	case QCOW_IOC_STATUS:
		return mock_status(arg);
	case QCOW_IOC_COMMIT:
		return mock_commit(arg);
	case QCOW_IOC_RESIZE:
		return mock_resize(arg);
	case QCOW_IOC_SNAPSHOT:
		return mock_snapshot(arg);
	case QCOW_IOC_FILE:
		return mock_file(arg);
	}
	if (request == BLKGETDISKSEQ)
		return mock_diskseq(fd, arg);
	if (is_disk(fd, ".disk"))
		return mock_disk(fd, request, arg);
	return NEXT(ioctl)(fd, request, arg);
}
