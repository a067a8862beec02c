// SPDX-License-Identifier: GPL-2.0
/*
 * The part of a new file that holds no tables: a hole, allocated blocks, or zeros.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "create/fill.h"
#include "lib/memory.h"
#include "lib/progress.h"

/* Bytes that are written or allocated between two looks for a signal. */
#define STEP_BYTES	SZ_1M
#define ALLOCATE_BYTES	SZ_1G

static int allocate(int fd, u64 from, u64 to)
{
	const u64 start = from;
	u64 len;
	int err;

	for (; from < to; from += len) {
		if (progress_stopped())
			return -EINTR;
		len = min(to - from, (u64)ALLOCATE_BYTES);
		do
			err = posix_fallocate(fd, from, len);
		while (err == EINTR && !progress_stopped());
		if (err)
			return -err;
		progress("create", from + len - start, to - start);
	}
	progress_end();
	return 0;
}

static int write_zeros(int fd, const char *zeros, u64 from, u64 to)
{
	const u64 start = from;
	ssize_t n = 0;

	for (; from < to; from += n) {
		if (progress_stopped())
			return -EINTR;
		n = pwrite(fd, zeros, min(to - from, (u64)STEP_BYTES), from);
		if (n < 0 && errno == EINTR)
			n = 0;
		if (n < 0)
			return -errno;
		progress("create", from + n - start, to - start);
	}
	progress_end();
	return 0;
}

/**
 * fill_file() - make a file longer
 * @fd: the file, open for writing
 * @from: bytes of it now
 * @to: bytes afterwards
 * @how: the new part is a hole, unless it is to have blocks, or zeros that are written
 *
 * Return: 0; -EINTR: a signal came; or another negative errno.
 */
int fill_file(int fd, u64 from, u64 to, enum create_preallocation how)
{
	char *zeros;
	int err;

	if (from >= to)
		return 0;
	if (how == PREALLOCATION_FALLOC)
		return allocate(fd, from, to);
	if (how != PREALLOCATION_FULL)
		return ftruncate(fd, to) ? -errno : 0;
	zeros = xcalloc(1, STEP_BYTES);
	err = write_zeros(fd, zeros, from, to);
	free(zeros);
	return err;
}
