// SPDX-License-Identifier: GPL-2.0
/*
 * Who uses a device or one of its partitions: mounts, swap, devices stacked on
 * it, processes.
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

#include "attached.h"
#include "device.h"
#include "in_use.h"
#include "proc.h"
#include "report.h"
#include "sysfs.h"
#include "text.h"

/*
 * How long a device that nobody seems to use is tried again: udev opens devices
 * for a moment.
 */
#define PATIENCE_USEC	(2 * 1000 * 1000)
#define RETRY_NS	(50 * 1000 * 1000)

/**
 * struct target - the device whose users are looked for
 * @nodes: the disk and its partitions
 * @nr: how many
 * @users: the result
 */
struct target {
	struct sysfs_node nodes[SYSFS_MAX_NODES];
	size_t nr;
	struct in_use *users;
};

/* Takes over @line. */
static void add_line(struct in_use *u, bool lasting, char *line)
{
	u->lines = xrealloc(u->lines, (u->nr + 1) * sizeof(*u->lines));
	u->lines[u->nr++] = line;
	u->lasting |= lasting;
}

static const struct sysfs_node *node_by_dev(const struct target *t, dev_t dev)
{
	size_t i;

	for (i = 0; i < t->nr; i++)
		if (t->nodes[i].dev == dev)
			return &t->nodes[i];
	return NULL;
}

static const struct sysfs_node *node_by_path(const struct target *t,
					     const char *path)
{
	struct stat st;

	if (!path || path[0] != '/' || stat(path, &st) || !S_ISBLK(st.st_mode))
		return NULL;
	return node_by_dev(t, st.st_rdev);
}

/* By number, or by source: filesystems such as btrfs have numbers of their own. */
static const struct sysfs_node *
node_by_mount(const struct target *t, struct libmnt_fs *fs)
{
	const struct sysfs_node *node = node_by_dev(t, mnt_fs_get_devno(fs));
	const char *source;

	if (node)
		return node;
	source = mnt_fs_get_srcpath(fs);
	if (!source || strncmp(source, "/dev/", 5))
		return NULL;
	return node_by_path(t, source);
}

static const char own_mounts[] = "/proc/self/mountinfo";

typedef void mount_found(void *arg, const struct sysfs_node *node,
			 const char *mountpoint);

static void for_each_mount(const struct target *t, const char *mountinfo,
			   mount_found *found, void *arg)
{
	struct libmnt_table *table = mnt_new_table_from_file(mountinfo);
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	const struct sysfs_node *node;
	struct libmnt_fs *fs;

	while (table && iter && !mnt_table_next_fs(table, iter, &fs)) {
		node = node_by_mount(t, fs);
		if (node)
			found(arg, node, mnt_fs_get_target(fs));
	}
	mnt_free_iter(iter);
	mnt_unref_table(table);
}

static void add_mount(void *arg, const struct sysfs_node *node,
		      const char *mountpoint)
{
	char *shown = text_escape(mountpoint);

	add_line(arg, true, xasprintf("/dev/%s mounted on %s", node->name, shown));
	free(shown);
}

/* A mount that only the processes of another namespace see. */
struct foreign_mount {
	const struct target *t;
	const struct proc_opener *process;
};

static void add_foreign_mount(void *arg, const struct sysfs_node *node,
			      const char *mountpoint)
{
	const struct foreign_mount *m = arg;
	char *shown = text_escape(mountpoint);

	add_line(m->t->users, true,
		 xasprintf("/dev/%s mounted on %s for %s (pid %d)", node->name,
			   shown, m->process->comm, (int)m->process->pid));
	free(shown);
}

static void find_foreign_mounts(void *arg, const struct proc_opener *process)
{
	struct foreign_mount m = { .t = arg, .process = process };
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", (int)process->pid);
	for_each_mount(arg, path, add_foreign_mount, &m);
}

/* Other namespaces mostly show what ours does: ask only if it shows nothing. */
static void find_mounts(struct target *t)
{
	for_each_mount(t, own_mounts, add_mount, t->users);
	if (!t->users->nr)
		proc_find_namespaces(find_foreign_mounts, t);
}

static void find_swaps(const struct target *t)
{
	struct libmnt_table *table = mnt_new_table();
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	const struct sysfs_node *node;
	struct libmnt_fs *fs;

	if (table && iter && !mnt_table_parse_swaps(table, NULL)) {
		while (!mnt_table_next_fs(table, iter, &fs)) {
			node = node_by_path(t, mnt_fs_get_source(fs));
			if (node)
				add_line(t->users, true,
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
		add_line(t->users, true, xasprintf("/dev/%s used by /dev/%s%s%s%s",
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
		add_line(t->users, true, xasprintf("/dev/%s used by /dev/qcow%d",
						   node->name, search.found.index));
	attached_end(&search);
	close(fd);
}

/* Loop devices, which may be given a device for a file. */
static void find_loops(const struct target *t)
{
	const struct sysfs_node *node;
	DIR *dir = opendir("/sys/block");
	struct dirent *d;
	char *path;

	if (!dir)
		return;
	while ((d = readdir(dir))) {
		if (strncmp(d->d_name, "loop", 4))
			continue;
		path = sysfs_read("/sys/block/%s/loop/backing_file", d->d_name);
		node = node_by_path(t, path);
		if (node)
			add_line(t->users, true,
				 xasprintf("/dev/%s used by /dev/%s", node->name,
					   d->d_name));
		free(path);
	}
	closedir(dir);
}

/* Programs that look at every new device and close it soon. */
static bool is_passing(const char *comm)
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

static void add_process(void *arg, const struct proc_opener *opener)
{
	struct target *t = arg;

	if (opener->pid == getpid())
		return;
	add_line(t->users, !is_passing(opener->comm),
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

/* Those who claim a device for as long as they use it. */
static void find_claims(struct target *t)
{
	size_t i;

	find_mounts(t);
	find_swaps(t);
	for (i = 0; i < t->nr; i++)
		find_holders(t, &t->nodes[i]);
}

/* Devices that have one of the nodes for a file. */
static void find_stacked(struct target *t)
{
	size_t i;

	for (i = 0; i < t->nr; i++)
		find_attached(t, &t->nodes[i]);
	find_loops(t);
}

/**
 * in_use_find() - find who uses a device
 * @u: the result, to in_use_free()
 * @index: the N of /dev/qcowN
 */
void in_use_find(struct in_use *u, int index)
{
	struct target *t = xcalloc(1, sizeof(*t));

	memset(u, 0, sizeof(*u));
	t->users = u;
	t->nr = sysfs_nodes(index, t->nodes);
	if (t->nr) {
		find_claims(t);
		find_stacked(t);
		find_processes(t);
	}
	free(t);
}

/**
 * in_use_find_below() - find who uses a block device that an image lies on
 * @u: the result, to in_use_free()
 * @dev: its number
 * @openers: those who merely have it open, too, but this process
 */
void in_use_find_below(struct in_use *u, dev_t dev, bool openers)
{
	struct target *t = xcalloc(1, sizeof(*t));

	memset(u, 0, sizeof(*u));
	t->users = u;
	t->nr = sysfs_overlapping(dev, t->nodes);
	if (t->nr)
		find_claims(t);
	if (t->nr && openers) {
		find_stacked(t);
		find_processes(t);
	}
	free(t);
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
	struct target *t = xcalloc(1, sizeof(*t));
	struct mountpoints m = { .list = xcalloc(1, sizeof(char *)) };

	t->nr = sysfs_nodes(index, t->nodes);
	for_each_mount(t, own_mounts, add_mountpoint, &m);
	free(t);
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
 * @u: zeroed; the result: who uses it in the end
 * @index: the N of /dev/qcowN
 * @attempt: tries it; -EBUSY: it is in use
 * @arg: for @attempt
 *
 * Until it works, or someone is found that will not let go of it soon. Return: what
 * @attempt returned last.
 */
int in_use_patiently(struct in_use *u, int index, int (*attempt)(void *arg),
		     void *arg)
{
	const struct timespec pause = { .tv_nsec = RETRY_NS };
	u64 end = device_clock() + PATIENCE_USEC;
	int err;

	while ((err = attempt(arg)) == -EBUSY) {
		in_use_free(u);
		in_use_find(u, index);
		if (u->lasting || device_clock() > end)
			break;
		nanosleep(&pause, NULL);
	}
	return err;
}

/**
 * in_use_report() - say who uses a device
 * @u: who
 * @index: the N of /dev/qcowN
 * @openers: how often it is open
 * @advice: a last line
 */
void in_use_report(const struct in_use *u, int index, unsigned int openers,
		   const char *advice)
{
	size_t i;

	fprintf(stderr, "qcowctl: /dev/qcow%d is in use:\n", index);
	for (i = 0; i < u->nr; i++)
		fprintf(stderr, "  %s\n", u->lines[i]);
	if (!u->nr)
		fprintf(stderr, "  %u opener%s in the kernel\n", openers,
			openers == 1 ? "" : "s");
	fprintf(stderr, "%s\n", advice);
}
