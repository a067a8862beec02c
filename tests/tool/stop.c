// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded. STOP_AT: ends the program before its write of that number, as a crash would. With
 * STOP_ERRNO this write and all that follow fail instead. BAD_AT: reads end at this host
 * offset, and a read that begins there fails, as of a disk with a bad sector.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t offset)
{
	static ssize_t (*real)(int fd, const void *buf, size_t len, off64_t offset);
	static long left;

	if (!real) {
		real = dlsym(RTLD_NEXT, "pwrite64");
		left = getenv("STOP_AT") ? atol(getenv("STOP_AT")) : -1;
	}
	if (left <= 0 && getenv("STOP_ERRNO")) {
		errno = atoi(getenv("STOP_ERRNO"));
		return -1;
	}
	if (!left--)
		_exit(99);
	return real(fd, buf, len, offset);
}

ssize_t pread64(int fd, void *buf, size_t len, off64_t offset)
{
	static ssize_t (*real)(int fd, void *buf, size_t len, off64_t offset);
	static off64_t bad = -1;

	if (!real) {
		real = dlsym(RTLD_NEXT, "pread64");
		if (getenv("BAD_AT"))
			bad = atoll(getenv("BAD_AT"));
	}
	if (bad == offset) {
		errno = EIO;
		return -1;
	}
	/* As Linux does, up to there. */
	if (bad > offset && bad - offset < (off64_t)len)
		len = bad - offset;
	return real(fd, buf, len, offset);
}
