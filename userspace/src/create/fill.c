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

static int allocate(int fd, u64 start, u64 end)
{
	u64 file_offset, len;
	int err;

	for (file_offset = start; file_offset < end; file_offset += len) {
		if (progress_stopped())
			return -EINTR;
		len = min(end - file_offset, (u64)ALLOCATE_BYTES);
		do
			err = posix_fallocate(fd, file_offset, len);
		while (err == EINTR && !progress_stopped());
		if (err)
			return -err;
		progress("create", file_offset + len - start, end - start);
	}
	progress_end();
	return 0;
}

static int write_zeros(int fd, const char *zeros, u64 start, u64 end)
{
	u64 file_offset;
	ssize_t n = 0;

	for (file_offset = start; file_offset < end; file_offset += n) {
		if (progress_stopped())
			return -EINTR;
		n = pwrite(fd, zeros, min(end - file_offset, (u64)STEP_BYTES),
			   file_offset);
		if (n < 0 && errno == EINTR)
			n = 0;
		if (n < 0)
			return -errno;
		progress("create", file_offset + n - start, end - start);
	}
	progress_end();
	return 0;
}

/**
 * fill_file() - make a file longer
 * @fd: the file, open for writing
 * @old_size: bytes of it now
 * @new_size: bytes afterwards
 * @how: the new part is a hole, unless it is to have blocks, or zeros that are written
 *
 * Return: 0; -EINTR: a signal came; or another negative errno.
 */
int fill_file(int fd, u64 old_size, u64 new_size, enum create_preallocation how)
{
	char *zeros;
	int err;

	if (old_size >= new_size)
		return 0;
	if (how == PREALLOCATION_FALLOC)
		return allocate(fd, old_size, new_size);
	if (how != PREALLOCATION_FULL)
		return ftruncate(fd, new_size) ? -errno : 0;
	zeros = xcalloc(1, STEP_BYTES);
	err = write_zeros(fd, zeros, old_size, new_size);
	free(zeros);
	return err;
}
