// SPDX-License-Identifier: GPL-2.0
/*
 * qcowwrite waits DEVICE keep|open|small COMMAND...: runs a command and reads the start
 * of a device meanwhile, again and again. It prints the longest that a read took and
 * what the command took, in milliseconds, and the command's exit code. keep: the device
 * stays open; open: it is opened for each read, which is part of what that takes.
 * small: as keep, and as soon as the device is smaller than at the start the command
 * gets SIGINT.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "write.h"

#define STEP	4096

/* Between two reads; a device that is open all the time cannot be changed at all. */
#define KEEP_PAUSE_US	2000
#define OPEN_PAUSE_US	40000

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

/* Return: microseconds that it took, with the opening if @fd is none. */
static uint64_t read_once(const char *dev, int fd, void *buf)
{
	uint64_t begun = now_us();
	int own = fd < 0 ? open_dev(dev) : fd;

	if (pread(own, buf, STEP, 0) != STEP)
		die("read: %s", strerror(errno));
	if (fd < 0)
		close(own);
	return now_us() - begun;
}

static uint64_t dev_size(const char *dev, int fd)
{
	uint64_t size;

	if (ioctl(fd, BLKGETSIZE64, &size))
		die("%s: %s", dev, strerror(errno));
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
	uint64_t longest = 0, took, begun, size = 0;
	const char *dev = argv[1];
	bool keep, small;
	void *buf = alloc_aligned(STEP);
	int fd = -1, status;
	pid_t pid;

	if (argc < 4)
		return 2;
	small = !strcmp(argv[2], "small");
	keep = small || !strcmp(argv[2], "keep");
	if (keep)
		fd = open_dev(dev);
	if (small)
		size = dev_size(dev, fd);
	begun = now_us();
	pid = start(argv + 3);
	while (!waitpid(pid, &status, WNOHANG)) {
		took = read_once(dev, fd, buf);
		longest = took > longest ? took : longest;
		if (small && dev_size(dev, fd) < size) {
			kill(pid, SIGINT);
			small = false;
		}
		usleep(keep ? KEEP_PAUSE_US : OPEN_PAUSE_US);
	}
	printf("%llu %llu %d\n", (unsigned long long)longest / 1000,
	       (unsigned long long)(now_us() - begun) / 1000,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 255);
	return 0;
}
