// SPDX-License-Identifier: GPL-2.0
/*
 * The locks that QEMU takes on image files, so that it and we keep out of each
 * other's way. A read lock on byte 100 + i says "I use permission i", one on
 * byte 200 + i "I forbid others permission i". They belong to the open file: the
 * driver's reference to it keeps them when this program has ended.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "device/attached.h"
#include "image/lock.h"
#include "lib/proc.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "lib/text.h"

#define USES(permission)	(100 + (permission))
#define FORBIDS(permission)	(200 + (permission))

enum permission {
	CONSISTENT_READ,
	WRITE,
	WRITE_UNCHANGED,
	RESIZE,
};

/* Bytes to lock, and bytes that nobody else may have locked; 0 ends a list. */
struct lock_plan {
	int take[6];
	int conflict[6];
};

static const struct lock_plan plan_read = {
	.take = { USES(CONSISTENT_READ), FORBIDS(WRITE), FORBIDS(RESIZE) },
	.conflict = { USES(WRITE), USES(RESIZE), FORBIDS(CONSISTENT_READ) },
};

static const struct lock_plan plan_write = {
	.take = { USES(CONSISTENT_READ), USES(WRITE), USES(RESIZE),
		  FORBIDS(WRITE), FORBIDS(RESIZE) },
	.conflict = { USES(WRITE), USES(RESIZE), FORBIDS(CONSISTENT_READ),
		      FORBIDS(WRITE), FORBIDS(RESIZE) },
};

static const char *conflict_text(int byte)
{
	switch (byte) {
	case USES(WRITE):
	case USES(RESIZE):
		return "another program writes to it";
	case FORBIDS(WRITE):
	case FORBIDS(RESIZE):
		return "another program reads it and forbids writing";
	}
	return "another program keeps it to itself";
}

static int own_device = -1;

/**
 * lock_own_device() - a device that is not in our own way
 * @index: the N of /dev/qcowN
 */
void lock_own_device(int index)
{
	own_device = index;
}

/* List possible holders of a lock, as text for the error message. */
struct suspects {
	char text[400];
	size_t used;
	unsigned int nr;
};

static void suspect(struct suspects *s, const char *text)
{
	int n;

	if (s->nr++ >= 3 || s->used >= sizeof(s->text))
		return;
	n = snprintf(s->text + s->used, sizeof(s->text) - s->used, "%s%s",
		     s->used ? ", " : "", text);
	s->used += n;
}

static void suspect_process(void *arg, const struct proc_opener *opener)
{
	char text[120];

	snprintf(text, sizeof(text), "%s pid %d", opener->comm, (int)opener->pid);
	suspect(arg, text);
}

/*
 * A device of ours keeps the locks of its files without any process. Return: whether
 * the driver said which those are.
 */
static bool suspect_devices(struct suspects *s, const struct file *f)
{
	struct attached_search search;
	char text[64];

	attached_begin(&search, f->fd);
	while (attached_next(&search)) {
		if (search.found.flags & QCOW_FILE_HIDDEN ||
		    search.found.index == own_device)
			continue;
		snprintf(text, sizeof(text), "/dev/qcow%d%s", search.found.index,
			 attached_as_image(&search) ? "" : " as a backing or data file");
		suspect(s, text);
	}
	attached_end(&search);
	return !search.guess;
}

/*
 * Devices lock their backing and data files, too, and without the driver's answer nobody
 * knows which those are.
 */
static bool may_be_below(void)
{
	int *list, nr = sysfs_devices(&list);
	bool others = nr > 1 || (nr && list[0] != own_device);

	free(list);
	return others;
}

static int lock_refuse(const struct file *f, int byte)
{
	struct suspects s = { };
	bool sure = suspect_devices(&s, f);
	const char *who = "";

	proc_find_openers(&f->stat, 1, suspect_process, &s);
	if (s.nr)
		who = "; may be held by ";
	else if (!sure && may_be_below())
		who = "; may be a backing or data file of a device, as qcowctl info --chain tells root";
	report(f->name, "in use: %s (QEMU's lock%s%s); shut it down or detach it, or use a copy of the image",
	       conflict_text(byte), who, s.text);
	return -1;
}

/* --- Without locks --- */

static bool device_in_the_way(const struct qcow_ioc_file *found, bool write)
{
	return found->index != own_device &&
	       (write || found->flags & QCOW_FILE_WRITABLE);
}

static int refuse_attached(const struct file *f, const struct attached_search *search)
{
	const struct qcow_ioc_file *found = &search->found;

	if (found->flags & QCOW_FILE_HIDDEN)
		report(f->name, "in use: another qcowctl works on it; do it again when that has ended");
	else
		report(f->name, "in use: it is attached as /dev/qcow%d%s; detach that, or use a copy of the image",
		       found->index, attached_as_image(search) ? "" :
		       ", as a backing or data file");
	return -1;
}

/**
 * lock_check_devices() - refuse a file of a device that is in the way
 * @f: the file
 * @write: it shall be written
 *
 * For users that locks do not show: a filesystem may have none, or not the same ones for each
 * path to a file. The driver knows the attached files.
 *
 * Return: 0, or -1 after printing its role in that device.
 */
int lock_check_devices(const struct file *f, bool write)
{
	struct attached_search search;
	int err = 0;

	attached_begin(&search, f->fd);
	while (!err && attached_next(&search))
		if (device_in_the_way(&search.found, write))
			err = refuse_attached(f, &search);
	attached_end(&search);
	return err;
}

static int lock_byte(int fd, int command, short type, struct flock *l, int byte)
{
	*l = (struct flock) {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};
	return fcntl(fd, command, l);
}

/* Filesystems without locks: as in QEMU, go on without; but see lock_check_devices(). */
static bool lock_impossible(int err)
{
	return err == ENOLCK || err == EOPNOTSUPP || err == EINVAL;
}

/* Return: 0; 1: there are no locks here; or -1 after printing the error. */
static int lock_take(const struct file *f, const struct lock_plan *plan)
{
	struct flock l;
	const int *byte;

	for (byte = plan->take; *byte; byte++) {
		if (!lock_byte(f->fd, F_OFD_SETLK, F_RDLCK, &l, *byte))
			continue;
		if (lock_impossible(errno))
			return 1;
		if (errno == EAGAIN || errno == EACCES)
			return lock_refuse(f, *byte);
		report(f->name, "cannot lock: %s; check the disk", strerror(errno));
		return -1;
	}
	return 0;
}

/**
 * lock_file() - take QEMU's locks on an image
 * @f: the image; it keeps the locks until its last reference goes
 * @write: it shall be written
 *
 * Return: 0, or -1 after printing its possible users.
 */
int lock_file(const struct file *f, bool write)
{
	const struct lock_plan *plan = write ? &plan_write : &plan_read;
	struct flock l;
	const int *byte;
	int ret = lock_take(f, plan);

	if (ret)
		return ret < 0 ? -1 : lock_check_devices(f, write);
	/* Locked first, probed afterwards: of two that start, one sees the other. */
	for (byte = plan->conflict; *byte; byte++)
		if (!lock_byte(f->fd, F_OFD_GETLK, F_WRLCK, &l, *byte) &&
		    l.l_type != F_UNLCK)
			return lock_refuse(f, *byte);
	return 0;
}

/**
 * lock_file_again() - take a reader's locks on a file that is kept from others already
 * @f: the image, of which another open file has a writer's locks for us
 *
 * Return: 0, or -1 after printing the error.
 */
int lock_file_again(const struct file *f)
{
	return lock_take(f, &plan_read) < 0 ? -1 : 0;
}
