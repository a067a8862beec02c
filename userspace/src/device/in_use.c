// SPDX-License-Identifier: GPL-2.0
/*
 * The users of a device or of its partitions: mounts, swap, devices stacked on
 * it, processes.
 * Commands that a user of the device stands in the way of call this, and list, which shows users.
 */
#define _GNU_SOURCE
#include <time.h>
#include <stdio.h>
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <libmount.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "device/attached.h"
#include "device/device.h"
#include "device/in_use.h"
#include "device/mounts.h"
#include "device/stacked.h"
#include "device/target.h"
#include "device/unmounted.h"
#include "lib/clock.h"
#include "lib/proc.h"
#include "lib/report.h"
#include "lib/sysfs.h"
#include "lib/text.h"

/*
 * How long a device that nobody seems to use is tried again: udev opens devices
 * for a moment.
 */
#define PATIENCE_USEC	(2 * 1000 * 1000)
#define RETRY_NS	(50 * 1000 * 1000)

static void find_swaps(const struct target *t)
{
	struct libmnt_table *table = mnt_new_table();
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	const struct sysfs_node *node;
	struct libmnt_fs *fs;

	if (table && iter && !mnt_table_parse_swaps(table, NULL)) {
		while (!mnt_table_next_fs(table, iter, &fs)) {
			node = target_node_by_path(t, mnt_fs_get_source(fs));
			if (node)
				target_add(t, true,
					 xasprintf("/dev/%s used as swap", node->name));
		}
	}
	mnt_free_iter(iter);
	mnt_unref_table(table);
}

/* Device mapper, RAID and others that the block layer knows as holders. */
static void find_holders(const struct target *t, const struct sysfs_node *node)
{
	char path[PATH_MAX];
	struct dirent *d;
	char *name;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/block/%s/holders", node->name);
	dir = opendir(path);
	if (!dir)
		return;
	while ((d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		name = sysfs_read("/sys/class/block/%s/dm/name", d->d_name);
		target_add(t, true, xasprintf("/dev/%s used by /dev/%s%s%s%s",
						   node->name, d->d_name,
						   name ? " (" : "", name ? name : "",
						   name ? ")" : ""));
		free(name);
	}
	closedir(dir);
}

/* Devices of ours that have a disk or partition for an image, backing or data file. */
static void find_attached(const struct target *t, const struct sysfs_node *node)
{
	char *path = xasprintf("/dev/%s", node->name);
	int fd = open(path, O_PATH | O_CLOEXEC);
	struct attached_search search;

	free(path);
	if (fd < 0)
		return;
	attached_begin(&search, fd);
	while (attached_next(&search))
		target_add(t, true, xasprintf("/dev/%s used by /dev/qcow%d",
						   node->name, search.found.index));
	attached_end(&search);
	close(fd);
}

/* Programs that look at every new device and close it soon. */
static bool is_prober(const char *comm)
{
	static const char *const names[] = {
		"(udev-worker)", "systemd-udevd", "udevd", "blkid", "udisksd",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(comm, names[i]))
			return true;
	return false;
}

/* They have programs of any name do so, such as dumpe2fs. */
static bool is_passing(const struct proc_opener *opener)
{
	struct proc_opener process = *opener;

	do {
		if (is_prober(process.comm))
			return true;
	} while (proc_parent(&process));
	return false;
}

static void add_process(void *arg, const struct proc_opener *opener)
{
	struct target *t = arg;

	if (opener->pid == getpid())
		return;
	target_add(t, !is_passing(opener),
		 xasprintf("/dev/%s open by %s (pid %d)",
			   t->nodes[opener->which].name, opener->comm,
			   (int)opener->pid));
}

static void find_processes(struct target *t)
{
	struct stat *files = xcalloc(t->nr, sizeof(*files));
	size_t i;

	for (i = 0; i < t->nr; i++) {
		files[i].st_mode = S_IFBLK;
		files[i].st_rdev = t->nodes[i].dev;
	}
	proc_find_openers(files, t->nr, add_process, t);
	free(files);
}

/* A filesystem's own journal has its inode number in its name there. */
static void find_journals(const struct target *t)
{
	char path[64];
	size_t i;

	for (i = 0; i < t->nr; i++) {
		snprintf(path, sizeof(path), "/proc/fs/jbd2/%.31s", t->nodes[i].name);
		if (!access(path, F_OK))
			target_add(t, true, xasprintf("/dev/%s used as the journal of an ext4 filesystem",
						      t->nodes[i].name));
	}
}

/* Users that claim a device for as long as they use it. */
static void find_claims(struct target *t)
{
	size_t i;

	mounts_find(t);
	find_swaps(t);
	find_journals(t);
	for (i = 0; i < t->nr; i++)
		find_holders(t, &t->nodes[i]);
}

/* Devices that have one of the nodes for a file. */
static void find_stacked(struct target *t)
{
	size_t i;

	for (i = 0; i < t->nr; i++)
		find_attached(t, &t->nodes[i]);
	stacked_find(t);
}

/* The users that take long to find; asked for if there are no others. */
static void find_hidden(struct target *t)
{
	if (t->nr && !t->users->nr)
		mounts_find_kept_open(t);
	if (t->nr && !t->users->nr)
		unmounted_find(t);
}

static struct target *target_of_device(struct in_use *u, int index)
{
	struct target *t = xcalloc(1, sizeof(*t));

	t->users = u;
	t->nr = sysfs_nodes(index, t->nodes);
	target_find_members(t);
	return t;
}

/**
 * in_use_find() - find the users of a device
 * @u: the result, to in_use_free()
 * @index: the N of /dev/qcowN
 */
void in_use_find(struct in_use *u, int index)
{
	struct target *t = target_of_device(u, index);

	memset(u, 0, sizeof(*u));
	if (t->nr) {
		find_claims(t);
		find_stacked(t);
		find_processes(t);
	}
	target_free(t);
}

/**
 * in_use_find_hidden() - find the users that take long to find
 * @u: the users that in_use_find() has found; nothing is added if there are any
 * @index: the N of /dev/qcowN
 */
void in_use_find_hidden(struct in_use *u, int index)
{
	struct target *t = target_of_device(u, index);

	find_hidden(t);
	target_free(t);
}

/**
 * in_use_find_below() - find the users of a block device that an image lies on
 * @u: the result, to in_use_free()
 * @dev: its number
 * @openers: also processes that merely have it open, but for this one
 */
void in_use_find_below(struct in_use *u, dev_t dev, bool openers)
{
	struct target *t = xcalloc(1, sizeof(*t));

	memset(u, 0, sizeof(*u));
	t->users = u;
	t->nr = sysfs_overlapping(dev, t->nodes);
	target_find_members(t);
	if (t->nr)
		find_claims(t);
	if (t->nr && openers) {
		find_stacked(t);
		find_processes(t);
		find_hidden(t);
	}
	target_free(t);
}

/**
 * in_use_find_children() - find devices that show snapshots of a device's image
 * @u: the users that are known, to in_use_free(); the result is added
 * @index: the N of /dev/qcowN
 */
void in_use_find_children(struct in_use *u, int index)
{
	struct target t = { .users = u };
	int *list, nr = sysfs_devices(&list), i;
	char *name = xasprintf("qcow%d", index), *parent, *snapshot, *shown;

	for (i = 0; i < nr; i++) {
		parent = sysfs_parent(list[i]);
		snapshot = sysfs_attr(list[i], "snapshot");
		if (parent && snapshot && !strcmp(parent, name)) {
			shown = text_escape(snapshot);
			target_add(&t, true, xasprintf("/dev/qcow%d shows its snapshot %s",
						       list[i], shown));
			free(shown);
		}
		free(parent);
		free(snapshot);
	}
	free(name);
	free(list);
}

/**
 * in_use_free() - free the result of in_use_find()
 * @u: the result
 */
void in_use_free(struct in_use *u)
{
	size_t i;

	for (i = 0; i < u->nr; i++)
		free(u->lines[i]);
	free(u->lines);
	memset(u, 0, sizeof(*u));
}

struct mountpoints {
	char **list;
	size_t nr;
};

static void add_mountpoint(void *arg, const struct sysfs_node *node,
			   const char *mountpoint)
{
	struct mountpoints *m = arg;

	(void)node;
	m->list = xrealloc(m->list, (m->nr + 2) * sizeof(*m->list));
	m->list[m->nr++] = xstrdup(mountpoint);
	m->list[m->nr] = NULL;
}

/**
 * in_use_mountpoints() - where a device and its partitions are mounted
 * @index: the N of /dev/qcowN
 *
 * Return: folders, NULL at the end, to in_use_free_mountpoints().
 */
char **in_use_mountpoints(int index)
{
	struct mountpoints m = { .list = xcalloc(1, sizeof(char *)) };
	struct target *t = target_of_device(NULL, index);

	mounts_find_own(t, add_mountpoint, &m);
	target_free(t);
	return m.list;
}

/**
 * in_use_free_mountpoints() - free the result of in_use_mountpoints()
 * @list: the result
 */
void in_use_free_mountpoints(char **list)
{
	size_t i;

	for (i = 0; list[i]; i++)
		free(list[i]);
	free(list);
}

/**
 * in_use_patiently() - try something that fails as long as a device is in use
 * @u: zeroed; the result: its users in the end
 * @index: the N of /dev/qcowN
 * @attempt: tries it; -EBUSY: it is in use
 * @arg: for @attempt
 *
 * Try until it works, or until a user is found that will not go soon.
 *
 * Return: the last result of @attempt.
 */
int in_use_patiently(struct in_use *u, int index, int (*attempt)(void *arg),
		     void *arg)
{
	const struct timespec pause = { .tv_nsec = RETRY_NS };
	u64 end = clock_now() + PATIENCE_USEC;
	int err;

	while ((err = attempt(arg)) == -EBUSY) {
		in_use_free(u);
		in_use_find(u, index);
		if (u->lasting || clock_now() > end)
			break;
		nanosleep(&pause, NULL);
	}
	if (err == -EBUSY)
		in_use_find_hidden(u, index);
	return err;
}

/**
 * in_use_report() - print the users of a device
 * @u: the users
 * @index: the N of /dev/qcowN
 * @openers: how often it is open
 * @advice: a last line
 */
void in_use_report(const struct in_use *u, int index, unsigned int openers,
		   const char *advice)
{
	size_t i;

	fprintf(stderr, "%s: /dev/qcow%d is in use:\n", report_program(), index);
	for (i = 0; i < u->nr; i++)
		fprintf(stderr, "  %s\n", u->lines[i]);
	if (!u->nr)
		fprintf(stderr, "  %u opener%s in the kernel, see USERS THAT DO NOT SHOW in qcowctl(8)\n",
			openers, openers == 1 ? "" : "s");
	fprintf(stderr, "%s\n", advice);
}
