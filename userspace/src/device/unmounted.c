// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that keep a filesystem of a device in use although no mount shows it, as it was
 * unmounted lazily: by a folder, an open file or a mapped one. It is told by the number of
 * the device that the file lies on; Btrfs has other numbers, and is asked for its UUID.
 * in_use.c calls this.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "device/unmounted.h"
#include "lib/child.h"
#include "lib/proc.h"
#include "lib/report.h"

/**
 * struct known - a device number that is none of a block device
 * @dev: the number
 * @node: the node of the Btrfs that has it; NULL: it is another filesystem's
 */
struct known {
	dev_t dev;
	const struct sysfs_node *node;
};

/**
 * struct search - a search for processes
 * @t: the device
 * @known: numbers that were asked about
 * @nr_known: how many
 * @pid: the last process that was found, which is not added twice
 * @left: microseconds to wait for filesystems that are asked
 */
struct search {
	const struct target *t;
	struct known *known;
	size_t nr_known;
	pid_t pid;
	s64 left;
};

/* --- Btrfs --- */

static void print_uuid(char *text, size_t size, const __u8 *u)
{
	snprintf(text, size, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11],
		 u[12], u[13], u[14], u[15]);
}

/**
 * struct btrfs_question - a file, whose Btrfs is looked for
 * @t: the device, which has Btrfs
 * @path: of the file
 */
struct btrfs_question {
	const struct target *t;
	const char *path;
};

/* In a child. Return: 1 + the index of the Btrfs, or 0. */
static int which_btrfs(const void *arg)
{
	const struct btrfs_question *q = arg;
	struct btrfs_ioctl_fs_info_args info = { };
	char uuid[sizeof(q->t->btrfs->uuid)];
	struct statfs fs;
	size_t i;
	int fd;

	if (statfs(q->path, &fs) || fs.f_type != BTRFS_SUPER_MAGIC)
		return 0;
	fd = open(q->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BTRFS_IOC_FS_INFO, &info))
		return 0;
	print_uuid(uuid, sizeof(uuid), info.fsid);
	for (i = 0; i < q->t->nr_btrfs; i++)
		if (!strcmp(uuid, q->t->btrfs[i].uuid))
			return i + 1;
	return 0;
}

static const struct sysfs_node *ask_btrfs(struct search *s, const char *path)
{
	const struct btrfs_question question = { .t = s->t, .path = path };
	int i = child_ask(which_btrfs, &question, &s->left) - 1;

	return i >= 0 && (size_t)i < s->t->nr_btrfs ? s->t->btrfs[i].node : NULL;
}

/* Each number is asked about once. */
static const struct sysfs_node *node_by_btrfs(struct search *s, dev_t dev, const char *path)
{
	size_t i;

	for (i = 0; i < s->nr_known; i++)
		if (s->known[i].dev == dev)
			return s->known[i].node;
	s->known = xrealloc(s->known, (s->nr_known + 1) * sizeof(*s->known));
	s->known[s->nr_known] = (struct known) { dev, ask_btrfs(s, path) };
	return s->known[s->nr_known++].node;
}

/* --- Processes --- */

static const char *kind_text(enum proc_link_kind kind)
{
	switch (kind) {
	case PROC_CWD:
		return "the working directory";
	case PROC_ROOT:
		return "the root directory";
	case PROC_MAPPED:
		return "a mapped file";
	case PROC_FD:
		break;
	}
	return "an open file";
}

/* A block device that is mapped need not be open any more. */
static bool add_mapped(struct search *s, const struct proc_link *link, dev_t rdev)
{
	const struct sysfs_node *node = target_node_by_dev(s->t, rdev);

	if (node)
		target_add(s->t, true, xasprintf("/dev/%s mapped by %s (pid %d)", node->name,
						 link->comm, (int)link->pid));
	return node;
}

static bool add_file(struct search *s, const struct proc_link *link,
		     const struct statx *stx)
{
	dev_t dev = makedev(stx->stx_dev_major, stx->stx_dev_minor);
	const struct sysfs_node *node = target_node_by_dev(s->t, dev);

	if (!node && !stx->stx_dev_major && s->t->nr_btrfs &&
	    (S_ISREG(stx->stx_mode) || S_ISDIR(stx->stx_mode)))
		node = node_by_btrfs(s, dev, link->path);
	if (node)
		target_add(s->t, true,
			   xasprintf("/dev/%s has %s of %s (pid %d), on a filesystem that was unmounted lazily",
				     node->name, kind_text(link->kind), link->comm,
				     (int)link->pid));
	return node;
}

static void visit_link(void *arg, const struct proc_link *link)
{
	struct search *s = arg;
	struct statx stx;
	bool added;

	if (link->pid == s->pid ||
	    statx(AT_FDCWD, link->path, AT_STATX_DONT_SYNC, STATX_TYPE, &stx))
		return;
	if (S_ISBLK(stx.stx_mode))
		added = link->kind == PROC_MAPPED &&
			add_mapped(s, link, makedev(stx.stx_rdev_major, stx.stx_rdev_minor));
	else
		added = add_file(s, link, &stx);
	if (added)
		s->pid = link->pid;
}

/**
 * unmounted_find() - find processes in filesystems that no mount shows
 * @t: the device, which gets them as users
 *
 * For a device of which no other user was found: all files of all processes are looked at.
 */
void unmounted_find(const struct target *t)
{
	struct search s = { .t = t, .left = CHILD_SEARCH_USEC };
	size_t i;

	proc_find_links(visit_link, &s);
	free(s.known);
	if (t->users->nr)
		return;
	for (i = 0; i < t->nr_btrfs; i++)
		target_add(t, true,
			   xasprintf("/dev/%s part of the btrfs %s, whose mount does not show from here",
				     t->btrfs[i].node->name, t->btrfs[i].uuid));
}
