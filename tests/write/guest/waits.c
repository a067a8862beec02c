// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite waits DEVICE CONTROL keep|open|small COMMAND...: runs a command and reads
 * the start of a device meanwhile, again and again. A second process reads another
 * device, which the command leaves alone, in the same way: the time of its reads shows
 * how busy the machine is. Prints the longest time of a read of either and the time of
 * the command, in milliseconds, and the command's exit code. keep: the devices stay
 * open; open: they are opened for each read, which counts as a part of it. small:
 * as keep, and as soon as the device is smaller than at the start the command gets
 * SIGINT.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "write.h"

#define STEP	4096

/* Between two reads; a device that is open all the time cannot be changed at all. */
#define KEEP_PAUSE_US	2000
#define OPEN_PAUSE_US	40000

/**
 * struct reader - a device that is read
 * @dev: its name
 * @fd: open, or -1: it is opened for each read
 * @buf: STEP bytes
 * @longest: microseconds that a read took, at most
 */
struct reader {
	const char *dev;
	int fd;
	void *buf;
	uint64_t longest;
};

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

static int open_dev(const char *dev)
{
	int fd = open(dev, O_RDONLY | O_DIRECT | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", dev, strerror(errno));
	return fd;
}

static void reader_init(struct reader *r, const char *dev, bool keep)
{
	r->dev = dev;
	r->buf = alloc_aligned(STEP);
	r->fd = keep ? open_dev(dev) : -1;
}

/* A read, with the opening if the device is not open, and a pause. */
static void reader_read(struct reader *r)
{
	uint64_t begun = now_us(), took;
	int fd = r->fd < 0 ? open_dev(r->dev) : r->fd;

	if (pread(fd, r->buf, STEP, 0) != STEP)
		die("read: %s", strerror(errno));
	if (r->fd < 0)
		close(fd);
	took = now_us() - begun;
	r->longest = took > r->longest ? took : r->longest;
	usleep(r->fd < 0 ? OPEN_PAUSE_US : KEEP_PAUSE_US);
}

/* It reads until it is killed. */
static pid_t reader_start(struct reader *r)
{
	pid_t parent = getpid(), pid = fork();

	while (!pid && getppid() == parent)
		reader_read(r);
	if (!pid)
		_exit(0);
	return pid;
}

static uint64_t dev_size(const struct reader *r)
{
	uint64_t size;

	if (ioctl(r->fd, BLKGETSIZE64, &size))
		die("%s: %s", r->dev, strerror(errno));
	return size;
}

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	execvp(argv[0], argv);
	_exit(127);
}

int waits_main(int argc, char **argv)
{
	struct reader *r = mmap(NULL, 2 * sizeof(*r), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t begun, size = 0;
	pid_t pid, control;
	bool keep, small;
	int status;

	if (argc < 5 || r == MAP_FAILED)
		return 2;
	small = !strcmp(argv[3], "small");
	keep = small || !strcmp(argv[3], "keep");
	reader_init(&r[0], argv[1], keep);
	reader_init(&r[1], argv[2], keep);
	if (small)
		size = dev_size(&r[0]);
	control = reader_start(&r[1]);
	begun = now_us();
	pid = start(argv + 4);
	while (!waitpid(pid, &status, WNOHANG)) {
		reader_read(&r[0]);
		if (small && dev_size(&r[0]) < size) {
			kill(pid, SIGINT);
			small = false;
		}
	}
	kill(control, SIGKILL);
	waitpid(control, NULL, 0);
	printf("%llu %llu %llu %d\n", (unsigned long long)r[0].longest / 1000,
	       (unsigned long long)r[1].longest / 1000,
	       (unsigned long long)(now_us() - begun) / 1000,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 255);
	return 0;
}
