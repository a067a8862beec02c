// SPDX-License-Identifier: GPL-2.0
/*
 * qcowtest storm: processes attach, detach, open, read and ask, all on the same
 * few devices.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "qcowtest.h"

#define DEVICES		3
#define READ_SIZE	65536

static uint64_t deadline;
static const char *image_path;
static uint64_t *cycles;

static int unexpected(const char *what, int err)
{
	printf("%s: %s\n", what, strerror(-err));
	return 1;
}

static int attach_at(int fd, int index, uint32_t flags)
{
	struct qcow_ioc_image image = { .fd = fd, .data_fd = -1,
					.format = QCOW_FORMAT_QCOW2 };
	struct qcow_ioc_attach arg = {
		.size = sizeof(arg),
		.flags = QCOW_ATTACH_RO | flags,
		.index = index,
		.nr_images = 1,
		.images = (uintptr_t)&image,
		.image_size = sizeof(image),
	};

	return ioctl(control_fd(), QCOW_IOC_ATTACH, &arg) ? -errno : arg.index;
}

/* Shows the snapshot of another device. */
static int attach_child(int parent, int index)
{
	struct qcow_ioc_attach arg = {
		.size = sizeof(arg),
		.flags = QCOW_ATTACH_RO | QCOW_ATTACH_CHILD,
		.index = index,
		.snapshot = (uintptr_t)"1",
		.snapshot_len = 1,
		.parent = parent,
	};
	int err = ioctl(control_fd(), QCOW_IOC_ATTACH, &arg) ? -errno : 0;

	/* There is no such device, or it is a child itself. */
	return err == -ENODEV || err == -EINVAL ? -EBUSY : err;
}

/* Attaches and detaches. */
static int attacher(struct rng *r)
{
	static const uint32_t attach_flags[] = {
		0, 0, QCOW_ATTACH_NO_PARTSCAN, QCOW_ATTACH_BUFFERED,
	};
	static const uint32_t detach_flags[] = {
		0, 0, QCOW_DETACH_LAZY, QCOW_DETACH_FORCE,
	};
	int fd = open(image_path, O_RDONLY);
	int err;

	while (now_ms() < deadline) {
		err = attach_at(fd, rng_below(r, 4) ? (int)rng_below(r, DEVICES) : -1,
				attach_flags[rng_below(r, ARRAY_SIZE(attach_flags))]);
		if (err < 0 && err != -EBUSY)
			return unexpected("attach", err);
		if (err >= 0)
			__atomic_fetch_add(cycles, 1, __ATOMIC_RELAXED);
		err = attach_child(rng_below(r, DEVICES), rng_below(r, DEVICES));
		if (err && err != -EBUSY)
			return unexpected("attach of a child", err);
		err = detach_index(rng_below(r, DEVICES + 2),
				   detach_flags[rng_below(r, ARRAY_SIZE(detach_flags))]);
		if (err && err != -EBUSY && err != -ENODEV)
			return unexpected("detach", err);
	}
	return 0;
}

/* Reads, right or not at all. */
static int reader(struct rng *r, const unsigned char *ref, size_t size)
{
	unsigned char *buf = alloc_aligned(READ_SIZE);
	uint64_t off;
	ssize_t n;
	int fd, i;

	while (now_ms() < deadline) {
		fd = open_device(rng_below(r, DEVICES), O_RDONLY |
				 (rng_below(r, 2) ? O_DIRECT : 0));
		if (fd < 0)
			continue;
		for (i = 0; i < 10; i++) {
			off = rng_below(r, size - READ_SIZE) & ~511ull;
			n = pread(fd, buf, READ_SIZE, off);
			if (n > 0 && memcmp(buf, ref + off, n)) {
				printf("wrong bytes at %#llx\n", (unsigned long long)off);
				return 1;
			}
		}
		close(fd);
	}
	return 0;
}

/* Asks by ioctl and by sysfs. */
static int asker(struct rng *r)
{
	static const char *const names[] = { "image", "format", "depth", "openers",
					     "corrupt", "offset", "direct_io" };
	struct qcow_ioc_status st;
	char path[100], text[5000];
	int fd, err;

	while (now_ms() < deadline) {
		err = get_status(rng_below(r, DEVICES), &st);
		if (err && err != -ENODEV)
			return unexpected("status", err);
		snprintf(path, sizeof(path), "/sys/block/qcow%d/qcow/%s",
			 (int)rng_below(r, DEVICES), names[rng_below(r, ARRAY_SIZE(names))]);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		if (read(fd, text, sizeof(text)) < 0 && errno != ENODEV && errno != ENXIO)
			return unexpected(path, -errno);
		close(fd);
	}
	return 0;
}

static void start(int number, const unsigned char *ref, size_t size)
{
	char name[32];
	struct rng r;

	if (fork())
		return;
	snprintf(name, sizeof(name), "storm %d", number);
	rng_seed(&r, name);
	if (number < 2)
		exit(attacher(&r));
	exit(number == 2 ? reader(&r, ref, size) : asker(&r));
}

int storm_main(int argc, char **argv)
{
	unsigned char *ref;
	int i, status, failed = 0;
	size_t size;

	if (argc != 4)
		return 2;
	image_path = argv[2];
	ref = load_file(argv[3], &size);
	cycles = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	deadline = now_ms() + 1000 * atoi(argv[1]);
	for (i = 0; i < 4; i++)
		start(i, ref, size);
	while (wait(&status) > 0)
		failed |= status;
	for (i = 0; i < 64; i++)
		detach_index(i, QCOW_DETACH_FORCE);
	printf("%llu attached\n", (unsigned long long)*cycles);
	return failed || *cycles < 20;
}
