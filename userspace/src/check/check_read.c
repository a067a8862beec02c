// SPDX-License-Identifier: GPL-2.0
/*
 * Reads of an image that is checked. All files of the folder read through check_read(),
 * which remembers the first place that cannot be read: it may name clusters, and so a repair
 * is refused.
 */
#include "check/check_read.h"
#include "lib/report.h"

/**
 * check_read() - read a range of the image
 * @c: the check
 * @buf: where to; bytes past the end of the file read as zeros
 * @len: bytes
 * @host_offset: bytes into the file
 *
 * Of many errors the first one is printed, and of a trial none.
 *
 * Return: 0 or -1.
 */
int check_read(struct check *c, void *buf, u64 len, u64 host_offset)
{
	size_t done;
	int err = file_read_quiet(c->file, buf, len, host_offset, &done);

	if (!err)
		return 0;
	if (!c->unread) {
		c->unread = -err;
		c->unread_at = host_offset + done;
		if (!c->trial)
			file_say_unread(c->file, c->unread_at, err);
	}
	return -1;
}

/**
 * check_refuse_unread() - refuse a repair of an image that cannot be read everywhere
 * @c: the check
 * @unread: this check, or a trial, in which check_read() failed
 *
 * Return: -1.
 */
int check_refuse_unread(const struct check *c, const struct check *unread)
{
	static const char advice[] = "copy it to another disk with ddrescue, and repair the copy";

	/* That place was named. */
	if (unread == c)
		report(c->file->name, "cannot be repaired: the part that cannot be read may refer to clusters that look leaked; %s",
		       advice);
	else
		report(c->file->name, "cannot be repaired: it cannot be read at %#llx (%s), and what is there may refer to clusters that look leaked; %s",
		       (unsigned long long)unread->unread_at, strerror(unread->unread), advice);
	return -1;
}
