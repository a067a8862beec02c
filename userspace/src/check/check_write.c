// SPDX-License-Identifier: GPL-2.0
/*
 * Writes to an image that is repaired. check_repair.c, check_refcounts.c, check_rebuild.c
 * and check_snapshots.c write through these functions; no other file of the folder writes.
 */
#include <unistd.h>

#include "check/check_write.h"
#include "lib/report.h"

static const char *write_advice(int err)
{
	switch (err) {
	case ENOSPC:
	case EDQUOT:
		return "make room on its filesystem";
	case EFBIG:
		return "raise the limit of the size of files (ulimit -f)";
	}
	return "check the disk";
}

/**
 * check_write() - write to the image
 * @c: the check
 * @buf: the data
 * @len: bytes
 * @host_offset: bytes into the file
 *
 * Return: 0, or -1 after printing the error.
 */
int check_write(struct check *c, const void *buf, size_t len, u64 host_offset)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = pwrite(c->file->fd, (const char *)buf + done, len - done,
			   host_offset + done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			report(c->file->name, "cannot write at %#llx: %s; %s, then repair again",
			       (unsigned long long)(host_offset + done),
			       strerror(n ? errno : ENOSPC),
			       write_advice(n ? errno : ENOSPC));
			return -1;
		}
		done += n;
	}
	if (c->file->size < host_offset + len)
		c->file->size = host_offset + len;
	return 0;
}

/**
 * check_sync() - make earlier writes durable before later ones
 * @c: the check
 *
 * Return: 0, or -1 after printing the error.
 */
int check_sync(struct check *c)
{
	if (!fdatasync(c->file->fd))
		return 0;
	report(c->file->name, "cannot write: %s; %s, then repair again",
	       strerror(errno), write_advice(errno));
	return -1;
}

/**
 * check_write_header() - change fields of the header, between two calls of check_sync()
 * @c: the check
 * @fields: their new contents, as on disk
 * @len: bytes; no more than a sector, which one write changes as a whole
 * @host_offset: of the first field, bytes into the file
 *
 * All that the fields refer to is durable before they are, and they are before
 * the caller goes on.
 *
 * Return: 0, or -1 after printing the error.
 */
int check_write_header(struct check *c, const void *fields, size_t len, u64 host_offset)
{
	return check_sync(c) || check_write(c, fields, len, host_offset) ||
	       check_sync(c) ? -1 : 0;
}

/**
 * check_write_header_u64() - change a field of 8 bytes of the header
 * @c: the check
 * @host_offset: of the field, bytes into the file
 * @value: its new value
 *
 * See check_write_header().
 *
 * Return: 0, or -1 after printing the error.
 */
int check_write_header_u64(struct check *c, u64 host_offset, u64 value)
{
	__be64 raw = cpu_to_be64(value);

	return check_write_header(c, &raw, sizeof(raw), host_offset);
}
