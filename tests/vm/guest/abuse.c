// SPDX-License-Identifier: GPL-2.0
/*
 * qcowtest abuse: ioctls with arguments that no honest tool gives. Each has to
 * fail with an error, and leave no device.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qcowtest.h"

#define KERNEL_ADDRESS	0xffff888000100000ull
#define ANY		0	/* any error will do */

/* Longer than the driver's, as of a newer tool. */
struct attach_arg {
	struct qcow_ioc_attach a;
	uint64_t tail[4];
};

struct image_arg {
	struct qcow_ioc_image i;
	uint64_t tail[4];
};

static int image_fd;
static int failures;
static struct image_arg image;
static struct attach_arg arg;
static char message[256];

static void reset(void)
{
	memset(&image, 0, sizeof(image));
	memset(&arg, 0, sizeof(arg));
	image.i.fd = image_fd;
	image.i.data_fd = -1;
	image.i.format = QCOW_FORMAT_QCOW2;
	arg.a.size = sizeof(arg.a);
	arg.a.flags = QCOW_ATTACH_RO;
	arg.a.index = -1;
	arg.a.nr_images = 1;
	arg.a.images = (uintptr_t)&image;
	arg.a.image_size = sizeof(image.i);
	arg.a.msg = (uintptr_t)message;
	arg.a.msg_size = sizeof(message);
}

static void failed(const char *what, int line, int got, int want)
{
	printf("line %d: %s: %s, not %s\n", line, what,
	       got ? strerrorname_np(got) : "success",
	       want ? strerrorname_np(want) : "an error");
	failures++;
}

static int do_ioctl(unsigned long request, void *p)
{
	return ioctl(control_fd(), request, p) ? errno : 0;
}

static void judge_attach(const char *what, int line, int want)
{
	int got = do_ioctl(QCOW_IOC_ATTACH, &arg);

	if (!got)
		detach_index(arg.a.index, QCOW_DETACH_FORCE);
	if (!got || (want && got != want))
		failed(what, line, got, want);
	reset();
}

static void works(int line)
{
	int got = do_ioctl(QCOW_IOC_ATTACH, &arg);

	if (got)
		failed("attach", line, got, 0);
	else if (detach_index(arg.a.index, 0))
		failed("detach", line, EBUSY, 0);
	reset();
}

#define REFUSED(change, error)					\
	do {							\
		change;						\
		judge_attach(#change, __LINE__, error);		\
	} while (0)

#define WORKS(change)						\
	do {							\
		change;						\
		works(__LINE__);				\
	} while (0)

static void abuse_sizes(void)
{
	REFUSED(arg.a.size = 0, EINVAL);
	REFUSED(arg.a.size = 4, EINVAL);
	REFUSED(arg.a.size = QCOW_ATTACH_SIZE_V1 - 1, EINVAL);
	REFUSED(arg.a.size = 1 << 20, EINVAL);
	REFUSED(arg.a.size = UINT_MAX, EINVAL);
	REFUSED((arg.a.size = sizeof(arg), arg.tail[3] = 1), E2BIG);
	WORKS(arg.a.size = sizeof(arg));
	REFUSED(arg.a.image_size = 0, EINVAL);
	REFUSED(arg.a.image_size = QCOW_IMAGE_SIZE_V1 - 8, EINVAL);
	REFUSED(arg.a.image_size = UINT_MAX, EINVAL);
	REFUSED((arg.a.image_size = sizeof(image), image.tail[0] = 1), E2BIG);
	WORKS(arg.a.image_size = sizeof(image));
	REFUSED(arg.a.nr_images = 0, EINVAL);
	REFUSED(arg.a.nr_images = QCOW_MAX_IMAGES + 1, EINVAL);
	REFUSED(arg.a.nr_images = UINT_MAX, EINVAL);
	/* The bytes behind the one image are no others. */
	REFUSED(arg.a.nr_images = 2, ANY);
	REFUSED(arg.a.nr_images = QCOW_MAX_IMAGES, ANY);
}

static void abuse_fields(void)
{
	int i;

	for (i = 10; i < 32; i++)
		REFUSED(arg.a.flags |= 1U << i, EINVAL);
	REFUSED(arg.a.flags = UINT_MAX, EINVAL);
	REFUSED(arg.a.flags |= QCOW_ATTACH_DIRECT | QCOW_ATTACH_BUFFERED, EINVAL);
	REFUSED(arg.a.flags |= QCOW_ATTACH_UNTRUSTED, EINVAL);
	REFUSED(arg.a.flags |= QCOW_ATTACH_TEMPORARY, EINVAL);
	REFUSED(arg.a.flags = QCOW_ATTACH_TEMPORARY, EINVAL);
	REFUSED(arg.a.flags |= QCOW_ATTACH_AUTOCLEAR | QCOW_ATTACH_HIDDEN, EINVAL);
	WORKS(arg.a.flags |= QCOW_ATTACH_AUTOCLEAR);
	REFUSED(arg.a.parent = 1, EINVAL);
	REFUSED(arg.a.parent_diskseq = 1, EINVAL);
	REFUSED(arg.a.pad = 1, EINVAL);
	REFUSED(arg.a.sector_size = 1, EINVAL);
	REFUSED(arg.a.diskseq = 1, EINVAL);
	REFUSED(arg.a.alias = 1, EINVAL);
	REFUSED(image.i.reserved[0] = 1, EINVAL);
	REFUSED(arg.a.alias_len = 1, EINVAL);
	REFUSED((arg.a.alias = (uintptr_t)"a\0", arg.a.alias_len = 2), EINVAL);
	REFUSED((arg.a.alias = (uintptr_t)"a/b", arg.a.alias_len = 3), EINVAL);
	REFUSED((arg.a.alias = (uintptr_t)"..", arg.a.alias_len = 2), EINVAL);
	REFUSED((arg.a.alias = (uintptr_t)"a", arg.a.alias_len = QCOW_ALIAS_MAX + 1), EINVAL);
	REFUSED((arg.a.alias = KERNEL_ADDRESS, arg.a.alias_len = 1), EFAULT);
	WORKS((arg.a.alias = (uintptr_t)"a.b", arg.a.alias_len = 3));
	REFUSED(arg.a.snapshot = (uintptr_t)"1", EINVAL);
	REFUSED(arg.a.snapshot_len = 1, EINVAL);
	REFUSED((arg.a.snapshot = (uintptr_t)"1\0", arg.a.snapshot_len = 2), EINVAL);
	REFUSED((arg.a.snapshot = (uintptr_t)"none", arg.a.snapshot_len = 4), ENOENT);
	REFUSED((arg.a.snapshot = (uintptr_t)"none",
		 arg.a.snapshot_len = QCOW_SNAPSHOT_NAME_MAX + 1), EINVAL);
	REFUSED((arg.a.snapshot = KERNEL_ADDRESS, arg.a.snapshot_len = 4), EFAULT);
	REFUSED((arg.a.snapshot = (uintptr_t)"none", arg.a.snapshot_len = 4,
		 arg.a.flags &= ~QCOW_ATTACH_RO), EINVAL);
	REFUSED(image.i.flags = 1, EINVAL);
	REFUSED(image.i.format = 0, ANY);
	REFUSED(image.i.format = 4, ANY);
	REFUSED(image.i.format = UINT_MAX, ANY);
	REFUSED(arg.a.index = -2, EINVAL);
	REFUSED(arg.a.index = INT_MIN, EINVAL);
	REFUSED(arg.a.index = INT_MAX, EINVAL);
	REFUSED(arg.a.index = 1 << 20, EINVAL);
	WORKS(arg.a.index = 77);
	REFUSED(arg.a.offset = 1, EINVAL);
	REFUSED(arg.a.offset = ULLONG_MAX & ~511ULL, EINVAL);
	REFUSED(arg.a.offset = 1ULL << 40, EINVAL);
	REFUSED(arg.a.size_limit = 1, EINVAL);
	REFUSED(arg.a.size_limit = 513, EINVAL);
	WORKS(arg.a.size_limit = ULLONG_MAX & ~511ULL);
	REFUSED(arg.a.cache_size = 1, EINVAL);
	REFUSED(arg.a.cache_size = QCOW_CACHE_SIZE_MIN - 1, EINVAL);
	REFUSED(arg.a.cache_size = ULLONG_MAX, EINVAL);
	WORKS(arg.a.cache_size = QCOW_CACHE_SIZE_MIN);
}

/* A key for an image that needs none, and half a key. */
static void abuse_keys(void)
{
	static const char cipher[] = "aes-xts-plain64";
	static const char name[] = "qcow:there is no such key";

#define KEY(n, n_len, c, c_len)						\
	(image.i.key = (uintptr_t)(n), image.i.key_len = (n_len),	\
	 image.i.cipher = (uintptr_t)(c), image.i.cipher_len = (c_len))
	REFUSED(KEY(name, strlen(name), cipher, strlen(cipher)), ENOKEY);
	REFUSED(KEY("none", 4, cipher, strlen(cipher)), ENOKEY);
	REFUSED(KEY("", 1, cipher, strlen(cipher)), EINVAL);
	REFUSED(KEY(name, strlen(name), NULL, 0), EINVAL);
	REFUSED(KEY(NULL, 0, cipher, strlen(cipher)), EINVAL);
	REFUSED(image.i.key_len = 1, EINVAL);
	REFUSED(image.i.cipher_len = UINT_MAX, EINVAL);
	REFUSED(image.i.key = (uintptr_t)name, EINVAL);
	REFUSED(image.i.cipher = (uintptr_t)cipher, EINVAL);
	REFUSED(KEY(name, strlen(name) + 1, cipher, strlen(cipher)), EINVAL);
	REFUSED(KEY(name, strlen(name), cipher, strlen(cipher) + 1), EINVAL);
	REFUSED(KEY(name, QCOW_KEY_NAME_MAX + 1, cipher, 1), EINVAL);
	REFUSED(KEY(name, UINT_MAX, cipher, 1), EINVAL);
	REFUSED(KEY(name, 1, cipher, QCOW_CIPHER_MAX + 1), EINVAL);
	REFUSED(KEY(KERNEL_ADDRESS, 4, cipher, strlen(cipher)), EFAULT);
	REFUSED(KEY(name, 4, KERNEL_ADDRESS, 4), EFAULT);
#undef KEY
}

static void abuse_pointers(void)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct qcow_ioc_detach d = { .size = sizeof(d), .index = -1 };
	int err;

	munmap(page + 4096, 4096);
	REFUSED(arg.a.images = 0, EFAULT);
	REFUSED(arg.a.images = 1, EFAULT);
	REFUSED(arg.a.images = KERNEL_ADDRESS, EFAULT);
	REFUSED(arg.a.images = (uintptr_t)page + 4096 - sizeof(image.i) + 8, EFAULT);
	/* Where the message cannot go, the error is still the attach's. */
	REFUSED((arg.a.msg = 1, arg.a.alias_len = 1), EINVAL);
	REFUSED((arg.a.msg = KERNEL_ADDRESS, arg.a.alias_len = 1), EINVAL);
	REFUSED((arg.a.msg = (uintptr_t)page + 4095, arg.a.alias_len = 1), EINVAL);
	REFUSED((arg.a.msg_size = 0, arg.a.alias_len = 1), EINVAL);
	REFUSED((arg.a.msg_size = 1, arg.a.alias_len = 1), EINVAL);
	REFUSED((arg.a.msg_size = UINT_MAX, arg.a.alias_len = 1), EINVAL);
	memcpy(page + 4096 - 8, &d, 8);
	err = do_ioctl(QCOW_IOC_DETACH, page + 4096 - 8);
	if (err != EFAULT)
		failed("detach at the end of memory", __LINE__, err, EFAULT);
	err = do_ioctl(QCOW_IOC_ATTACH, NULL);
	if (err != EFAULT)
		failed("attach at 0", __LINE__, err, EFAULT);
	err = do_ioctl(QCOW_IOC_STATUS, (void *)KERNEL_ADDRESS);
	if (err != EFAULT)
		failed("status at a kernel address", __LINE__, err, EFAULT);
	munmap(page, 4096);
}

/* Descriptors of all kinds, as image and as data file. */
static void abuse_fd(const char *what, int fd)
{
	unsigned int format;

	for (format = QCOW_FORMAT_RAW; format <= QCOW_FORMAT_QCOW2; format++) {
		image.i.fd = fd;
		image.i.format = format;
		judge_attach(what, __LINE__, ANY);
		image.i.data_fd = fd >= 0 ? fd : INT_MAX;
		judge_attach(what, __LINE__, ANY);
	}
	if (fd >= 0)
		close(fd);
}

static void abuse_fds(const char *path)
{
	int pipes[2], sockets[2], mem;

	if (pipe(pipes) || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		die("no pipes");
	abuse_fd("fd -1", -1);
	abuse_fd("fd INT_MIN", INT_MIN);
	abuse_fd("directory", open("/", O_RDONLY | O_DIRECTORY));
	abuse_fd("read end of a pipe", pipes[0]);
	abuse_fd("write end of a pipe", pipes[1]);
	abuse_fd("socket", sockets[0]);
	abuse_fd("O_WRONLY", open("/tmp", O_WRONLY | O_TMPFILE, 0600));
	abuse_fd("O_PATH", open(path, O_PATH));
	abuse_fd("/dev/null", open("/dev/null", O_RDWR));
	abuse_fd("/dev/zero", open("/dev/zero", O_RDWR));
	abuse_fd("/dev/kmsg", open("/dev/kmsg", O_RDONLY));
	abuse_fd("/proc/self/maps", open("/proc/self/maps", O_RDONLY | O_NONBLOCK));
	abuse_fd("epoll", epoll_create1(0));
	abuse_fd("eventfd", eventfd(1, 0));
	abuse_fd("control node", dup(control_fd()));
	REFUSED(image.i.fd = INT_MAX, EBADF);
	REFUSED(image.i.data_fd = 1 << 20, EBADF);
	REFUSED(image.i.data_fd = image_fd, EINVAL);
	mem = memfd_create("empty", 0);
	REFUSED(image.i.fd = mem, EINVAL);
	WORKS((image.i.fd = mem, image.i.format = QCOW_FORMAT_RAW));
	if (ftruncate(mem, 12345))
		die("memfd");
	REFUSED(image.i.fd = mem, ANY);
	WORKS((image.i.fd = mem, image.i.format = QCOW_FORMAT_RAW));
	close(mem);
}

static void expect(const char *what, int line, int got, int want)
{
	if (got != want)
		failed(what, line, got, want);
}

static void abuse_others(void)
{
	struct qcow_ioc_detach d = { .size = sizeof(d), .index = 12345 };
	struct qcow_ioc_status st = { .size = sizeof(st), .index = 12345 };
	int index;

	expect("unknown ioctl", __LINE__, do_ioctl(_IO(QCOW_IOC_MAGIC, 9), &d), ENOTTY);
	expect("unknown ioctl", __LINE__, do_ioctl(_IO(QCOW_IOC_MAGIC, 255), &d), ENOTTY);
	expect("unknown ioctl", __LINE__, do_ioctl(0, NULL), ENOTTY);
	expect("no device", __LINE__, do_ioctl(QCOW_IOC_DETACH, &d), ENODEV);
	expect("no device", __LINE__, do_ioctl(QCOW_IOC_STATUS, &st), ENODEV);
	d.index = st.index = -1;
	expect("index -1", __LINE__, do_ioctl(QCOW_IOC_DETACH, &d), ENODEV);
	expect("index -1", __LINE__, do_ioctl(QCOW_IOC_STATUS, &st), ENODEV);
	d.index = st.index = INT_MIN;
	expect("index INT_MIN", __LINE__, do_ioctl(QCOW_IOC_DETACH, &d), ENODEV);
	expect("index INT_MIN", __LINE__, do_ioctl(QCOW_IOC_STATUS, &st), ENODEV);
	index = attach_fd(image_fd, QCOW_FORMAT_QCOW2, 0);
	REFUSED(arg.a.index = index, EBUSY);
	d.index = st.index = index;
	for (d.size = 0; d.size < QCOW_DETACH_SIZE_V1; d.size++)
		expect("detach size", __LINE__, do_ioctl(QCOW_IOC_DETACH, &d), EINVAL);
	d.size = sizeof(d);
	d.flags = QCOW_DETACH_LAZY | QCOW_DETACH_FORCE;
	expect("detach flags", __LINE__, do_ioctl(QCOW_IOC_DETACH, &d), EINVAL);
	d.flags = 4;
	expect("detach flags", __LINE__, do_ioctl(QCOW_IOC_DETACH, &d), EINVAL);
	d.flags = 0;
	d.pad = 1;
	expect("detach pad", __LINE__, do_ioctl(QCOW_IOC_DETACH, &d), EINVAL);
	d.pad = 0;
	d.pad2 = 1;
	expect("detach pad", __LINE__, do_ioctl(QCOW_IOC_DETACH, &d), EINVAL);
	d.pad2 = 0;
	d.diskseq = 1ULL << 62;
	expect("detach diskseq", __LINE__, do_ioctl(QCOW_IOC_DETACH, &d), ESTALE);
	st.size = 8;
	expect("status size", __LINE__, do_ioctl(QCOW_IOC_STATUS, &st), EINVAL);
	expect("detach", __LINE__, -detach_index(index, 0), 0);
	expect("detach again", __LINE__, -detach_index(index, 0), ENODEV);
}

/* Whatever is asked of a device that is read-only, it is not written. */
static void abuse_snapshots(void)
{
	const struct qcow_ioc_snapshot good = {
		.size = sizeof(good), .op = QCOW_SNAPSHOT_CREATE, .index = 12345,
		.name = (uintptr_t)"name", .name_len = 4,
		.msg = (uintptr_t)message, .msg_size = sizeof(message),
	};
	struct qcow_ioc_snapshot s = good;
	int index;

#define SNAPSHOT(change, error)							\
	do {									\
		s = good;							\
		s.index = index;						\
		change;								\
		expect(#change, __LINE__, do_ioctl(QCOW_IOC_SNAPSHOT, &s), error); \
	} while (0)

	expect("no device", __LINE__, do_ioctl(QCOW_IOC_SNAPSHOT, &s), ENODEV);
	index = attach_fd(image_fd, QCOW_FORMAT_QCOW2, 0);
	SNAPSHOT(s.op = QCOW_SNAPSHOT_CREATE, EROFS);
	SNAPSHOT(s.op = QCOW_SNAPSHOT_DELETE, EROFS);
	SNAPSHOT(s.op = QCOW_SNAPSHOT_APPLY, EROFS);
	SNAPSHOT(s.op = 0, EINVAL);
	SNAPSHOT(s.op = 4, EINVAL);
	SNAPSHOT(s.op = UINT_MAX, EINVAL);
	SNAPSHOT(s.size = sizeof(s) - 1, EINVAL);
	SNAPSHOT(s.size = 0, EINVAL);
	SNAPSHOT(s.size = 1 << 20, EINVAL);
	SNAPSHOT(s.flags = 1, EINVAL);
	SNAPSHOT(s.reserved[2] = 1, EINVAL);
	SNAPSHOT(s.name_len = 0, EINVAL);
	SNAPSHOT(s.name = 0, EINVAL);
	SNAPSHOT(s.name_len = 5, EINVAL);
	SNAPSHOT(s.name_len = QCOW_SNAPSHOT_NEW_NAME_MAX + 1, EINVAL);
	SNAPSHOT(s.name_len = UINT_MAX, EINVAL);
	SNAPSHOT(s.name = KERNEL_ADDRESS, EFAULT);
	SNAPSHOT(s.msg = KERNEL_ADDRESS, EROFS);
	SNAPSHOT(s.msg_size = 0, EROFS);
	SNAPSHOT(s.index = -1, ENODEV);
	expect("detach", __LINE__, -detach_index(index, 0), 0);
}

/* Attaches through a control node of its own. */
static int attach_through(int fd, uint32_t flags)
{
	arg.a.flags |= flags;
	expect("attach", __LINE__, ioctl(fd, QCOW_IOC_ATTACH, &arg) ? errno : 0, 0);
	return arg.a.index;
}

static int status_through(int fd, int index)
{
	struct qcow_ioc_status st = { .size = sizeof(st), .index = index };

	return ioctl(fd, QCOW_IOC_STATUS, &st) ? errno : 0;
}

static int detach_through(int fd, int index)
{
	struct qcow_ioc_detach d = { .size = sizeof(d), .index = index };

	return ioctl(fd, QCOW_IOC_DETACH, &d) ? errno : 0;
}

static bool is_there(int index)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/block/qcow%d", index);
	return !access(path, F_OK);
}

/* To others a hidden device is not there. */
static void abuse_hidden_by_others(int index)
{
	struct qcow_ioc_resize size = { .size = sizeof(size), .index = index, .bytes = 512 };
	struct qcow_ioc_stream stream = { .size = sizeof(stream), .index = index, .bytes = 512 };
	struct qcow_ioc_bitmap bitmap = { .size = sizeof(bitmap), .index = index };
	struct qcow_ioc_file open = { .size = sizeof(open), .op = QCOW_FILE_OPEN, .index = index };
	struct qcow_ioc_file find = { .size = sizeof(find), .op = QCOW_FILE_FIND, .fd = image_fd };
	struct qcow_ioc_status st;

	expect("status", __LINE__, -get_status(index, &st), ENODEV);
	expect("detach", __LINE__, -detach_index(index, 0), ENODEV);
	expect("lazily", __LINE__, -detach_index(index, QCOW_DETACH_LAZY), ENODEV);
	expect("by force", __LINE__, -detach_index(index, QCOW_DETACH_FORCE), ENODEV);
	expect("resize", __LINE__, do_ioctl(QCOW_IOC_RESIZE, &size), ENODEV);
	expect("stream", __LINE__, do_ioctl(QCOW_IOC_STREAM, &stream), ENODEV);
	expect("bitmap", __LINE__, do_ioctl(QCOW_IOC_BITMAP, &bitmap), ENODEV);
	expect("open", __LINE__, do_ioctl(QCOW_IOC_FILE, &open), ENODEV);
	expect("find", __LINE__, do_ioctl(QCOW_IOC_FILE, &find), 0);
	expect("found", __LINE__, find.index, index);
	expect("hidden", __LINE__, find.flags & QCOW_FILE_HIDDEN, QCOW_FILE_HIDDEN);
}

/* Devices that nobody can open go with the file they were attached through. */
static void abuse_hidden(void)
{
	int fd = open("/dev/" QCOW_CONTROL_NAME, O_RDWR), copy = dup(fd);
	int index[4], i;

	WORKS(arg.a.flags |= QCOW_ATTACH_HIDDEN);
	for (i = 0; i < 4; i++) {
		index[i] = attach_through(fd, i == 2 ? 0 : QCOW_ATTACH_HIDDEN);
		reset();
	}
	abuse_hidden_by_others(index[0]);
	expect("detach", __LINE__, detach_through(fd, index[1]), 0);
	close(fd);
	expect("one of two descriptors", __LINE__, status_through(copy, index[0]), 0);
	/* Another process may have the last one. */
	if (!fork())
		_exit(close(copy));
	wait(NULL);
	expect("the other process's", __LINE__, status_through(copy, index[3]), 0);
	close(copy);
	expect("hidden", __LINE__, is_there(index[0]), 0);
	expect("detached", __LINE__, is_there(index[1]), 0);
	expect("for all to see", __LINE__, is_there(index[2]), 1);
	expect("the second", __LINE__, is_there(index[3]), 0);
	expect("detach", __LINE__, -detach_index(index[2], 0), 0);
}

#define CHILD(change, error)						\
	REFUSED((arg.a.flags |= QCOW_ATTACH_CHILD, arg.a.nr_images = 0,		\
		 arg.a.images = 0, arg.a.image_size = 0, arg.a.parent = index,	\
		 arg.a.snapshot = (uintptr_t)"1", arg.a.snapshot_len = 1, change), error)

/* The image of the parent has no snapshot. */
static void abuse_child(void)
{
	int index = attach_fd(image_fd, QCOW_FORMAT_QCOW2, 0);

	CHILD(arg.a.snapshot_len = 1, ENOENT);
	CHILD(arg.a.nr_images = 1, EINVAL);
	CHILD(arg.a.images = (uintptr_t)&image, EINVAL);
	CHILD(arg.a.image_size = sizeof(image.i), EINVAL);
	CHILD(arg.a.flags &= ~QCOW_ATTACH_RO, EINVAL);
	CHILD(arg.a.flags |= QCOW_ATTACH_HIDDEN, EINVAL);
	CHILD(arg.a.flags |= QCOW_ATTACH_TEMPORARY, EINVAL);
	CHILD((arg.a.snapshot = 0, arg.a.snapshot_len = 0), EINVAL);
	CHILD(arg.a.parent = -1, EINVAL);
	CHILD(arg.a.parent = INT_MIN, EINVAL);
	CHILD(arg.a.parent = INT_MAX, ENODEV);
	CHILD(arg.a.parent = index + 1, ENODEV);
	CHILD(arg.a.parent_diskseq = 1, ESTALE);
	CHILD(arg.a.pad = 1, EINVAL);
	CHILD(arg.a.sector_size = 1, EINVAL);
	CHILD(arg.a.snapshot = KERNEL_ADDRESS, EFAULT);
	expect("detach", __LINE__, -detach_index(index, 0), 0);
}
#undef CHILD

static int detaches_itself(int index)
{
	struct qcow_ioc_status st = { .size = sizeof(st), .index = index };

	return !do_ioctl(QCOW_IOC_STATUS, &st) && st.state & QCOW_STATE_LAZY;
}

/* Devices that detach themselves stay as long as their open file, or somebody has them open. */
static void abuse_autoclear(void)
{
	int fd = open("/dev/" QCOW_CONTROL_NAME, O_RDWR);
	int used, unused, user;

	reset();
	used = attach_through(fd, QCOW_ATTACH_AUTOCLEAR);
	reset();
	unused = attach_through(fd, QCOW_ATTACH_AUTOCLEAR);
	reset();
	user = open_device(unused, O_RDONLY);
	close(user);
	expect("opened and closed", __LINE__, is_there(unused), 1);
	expect("status", __LINE__, detaches_itself(unused), 1);
	user = open_device(used, O_RDONLY);
	close(fd);
	expect("unused", __LINE__, is_there(unused), 0);
	expect("in use", __LINE__, is_there(used), 1);
	close(user);
	/* Another detach waits for its end. */
	detach_index(used, 0);
	expect("not in use any more", __LINE__, is_there(used), 0);
}

/* The right to open the node is not enough. */
static void abuse_rights(void)
{
	struct qcow_ioc_file find = { .size = sizeof(find), .op = QCOW_FILE_FIND, .fd = image_fd };
	int status;

	control_fd();
	if (!fork()) {
		if (setuid(65534))
			exit(1);
		exit(do_ioctl(QCOW_IOC_ATTACH, &arg) != EPERM ||
		     do_ioctl(QCOW_IOC_FILE, &find) != EPERM ||
		     open("/dev/" QCOW_CONTROL_NAME, O_RDWR) >= 0);
	}
	wait(&status);
	if (status)
		failed("without CAP_SYS_ADMIN", __LINE__, 0, EPERM);
}

/* Headers that the tool would refuse, given to the driver all the same. */
static void abuse_headers(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int fd;

	while (d && (e = readdir(d))) {
		if (strncmp(e->d_name, "h-", 2))
			continue;
		fd = openat(dirfd(d), e->d_name, O_RDONLY);
		image.i.fd = fd;
		judge_attach(e->d_name, __LINE__, ANY);
		close(fd);
	}
	if (d)
		closedir(d);
}

int abuse_main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	image_fd = open(argv[1], O_RDONLY);
	if (image_fd < 0)
		die("%s: %s", argv[1], strerror(errno));
	reset();
	WORKS();
	abuse_sizes();
	abuse_fields();
	abuse_child();
	abuse_keys();
	abuse_pointers();
	abuse_fds(argv[1]);
	abuse_others();
	abuse_snapshots();
	abuse_hidden();
	abuse_autoclear();
	abuse_rights();
	abuse_headers(argv[2]);
	WORKS();
	return !!failures;
}
