// SPDX-License-Identifier: GPL-2.0
/*
 * Preloaded: ends the program before its write number STOP_AT, as a crash would. With
 * STOP_ERRNO this write and all that follow fail instead.
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
		left = atol(getenv("STOP_AT"));
	}
	if (left <= 0 && getenv("STOP_ERRNO")) {
		errno = atoi(getenv("STOP_ERRNO"));
		return -1;
	}
	if (!left--)
		_exit(99);
	return real(fd, buf, len, offset);
}
