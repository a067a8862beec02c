// SPDX-License-Identifier: GPL-2.0
/*
 * Whole reads and writes of a descriptor, which print nothing.
 */
#include <unistd.h>

#include "lib/fd.h"

/**
 * fd_read() - read bytes, up to the end of the file
 * @fd: the file
 * @buf: for the bytes
 * @len: how many
 * @host_offset: of the first one
 * @got: how many were read, also before an error
 *
 * Return: 0 or a negative errno.
 */
int fd_read(int fd, void *buf, size_t len, u64 host_offset, size_t *got)
{
	ssize_t n;

	for (*got = 0; *got < len; *got += n) {
		n = pread(fd, (char *)buf + *got, len - *got, host_offset + *got);
		if (!n)
			break;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			n = 0;
	}
	return 0;
}

/**
 * fd_write() - write bytes
 * @fd: the file
 * @buf: the bytes
 * @len: how many
 * @host_offset: of the first one
 *
 * Return: 0 or a negative errno.
 */
int fd_write(int fd, const void *buf, size_t len, u64 host_offset)
{
	size_t bytes_done = 0;
	ssize_t n;

	while (bytes_done < len) {
		n = pwrite(fd, (const char *)buf + bytes_done, len - bytes_done,
			   host_offset + bytes_done);
		if (!n)
			return -ENOSPC;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			bytes_done += n;
	}
	return 0;
}
