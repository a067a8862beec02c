// SPDX-License-Identifier: GPL-2.0
/*
 * The other mount namespaces. The kernel has no list of them: they are those of processes,
 * and those that a bind mount or an open file of a process keeps. The latter are entered by
 * a child, whose files in /proc show the mounts there.
 * mounts.c calls this.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <libmount.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device/namespaces.h"
#include "lib/child.h"
#include "lib/proc.h"
#include "lib/report.h"

/**
 * struct search - a search for namespaces
 * @seen: inode numbers of those that were found
 * @nr: how many
 * @pids: a process in each of the first @nr_pids of them
 * @nr_pids: how many
 * @dev: number of the filesystem that namespaces are files of
 * @found: is told of each
 * @arg: for @found
 * @left: microseconds to wait for children that enter namespaces
 */
struct search {
	ino_t *seen;
	size_t nr;
	pid_t *pids;
	size_t nr_pids;
	dev_t dev;
	namespace_found *found;
	void *arg;
	s64 left;
};

static bool is_new(struct search *s, ino_t ino)
{
	size_t i;

	for (i = 0; i < s->nr; i++)
		if (s->seen[i] == ino)
			return false;
	s->seen = xrealloc(s->seen, (s->nr + 1) * sizeof(*s->seen));
	s->seen[s->nr++] = ino;
	return true;
}

static void add_pid(struct search *s, pid_t pid)
{
	s->pids = xrealloc(s->pids, (s->nr_pids + 1) * sizeof(*s->pids));
	s->pids[s->nr_pids++] = pid;
}

/* The inode number in a name such as mnt:[4026531841], or 0. */
static ino_t parse_name(const char *name)
{
	unsigned long ino;
	char end;

	return name && sscanf(name, "mnt:[%lu%c", &ino, &end) == 2 && end == ']' ? ino : 0;
}

/* --- Entering --- */

/* In the child: does not return. */
static void enter(const char *path, int ready)
{
	int fd;

	/* A child that stayed behind would keep the namespace. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || setns(fd, CLONE_NEWNS) || write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* Return: whether the child is there; it is waited for as long as it may take. */
static bool has_entered(struct search *s, int ready)
{
	char c;

	return child_wait(ready, &s->left) && read(ready, &c, 1) == 1;
}

static void look_at_mounts(struct search *s, pid_t pid);

/* A file that is looked up may be on a server that does not answer. */
static void visit_kept(struct search *s, const char *path)
{
	struct namespace ns = { .comm = "qcowctl", .path = path };
	int ready[2];

	if (s->left <= 0 || pipe2(ready, O_CLOEXEC))
		return;
	ns.pid = child_fork(ready[1]);
	if (!ns.pid)
		enter(path, ready[1]);
	close(ready[1]);
	if (ns.pid > 0 && has_entered(s, ready[0])) {
		s->found(s->arg, &ns);
		look_at_mounts(s, ns.pid);
	}
	close(ready[0]);
	if (ns.pid > 0)
		child_leave(ns.pid);
}

/* Namespaces that are mounted somewhere in the namespace of a process */
static void look_at_mounts(struct search *s, pid_t pid)
{
	char *info = xasprintf("/proc/%d/mountinfo", (int)pid), *path;
	struct libmnt_table *table = mnt_new_table_from_file(info);
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	ino_t ino;

	free(info);
	while (table && iter && !mnt_table_next_fs(table, iter, &fs)) {
		ino = parse_name(mnt_fs_get_root(fs));
		if (!ino || !is_new(s, ino))
			continue;
		path = pid == getpid() ? xstrdup(mnt_fs_get_target(fs)) :
		       xasprintf("/proc/%d/root%s", (int)pid, mnt_fs_get_target(fs));
		visit_kept(s, path);
		free(path);
	}
	mnt_free_iter(iter);
	mnt_unref_table(table);
}

/* --- Of processes --- */

static void visit_process(void *arg, const struct proc_opener *process)
{
	struct namespace ns = { .pid = process->pid, .comm = process->comm };
	struct search *s = arg;
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)process->pid);
	if (stat(path, &st) || !is_new(s, st.st_ino))
		return;
	add_pid(s, ns.pid);
	s->found(s->arg, &ns);
}

/*
 * By the filesystem that the files of all namespaces are on. The name of one that was
 * opened by way of a bind mount is that of the mount. The child does not enter a
 * namespace of another kind.
 */
static void visit_open(void *arg, const struct proc_link *link)
{
	struct search *s = arg;
	struct statx stx;

	if (link->kind != PROC_FD ||
	    statx(AT_FDCWD, link->path, AT_STATX_DONT_SYNC, STATX_INO, &stx) ||
	    makedev(stx.stx_dev_major, stx.stx_dev_minor) != s->dev)
		return;
	if (is_new(s, stx.stx_ino))
		visit_kept(s, link->path);
}

/**
 * namespaces_find() - find the other mount namespaces
 * @open_files: also those that are only kept by an open file, which takes long to find
 * @found: called for each, once
 * @arg: for @found
 *
 * Finds the users that the caller's rights let it see, and that can be looked up in a few seconds.
 */
void namespaces_find(bool open_files, namespace_found *found, void *arg)
{
	struct search s = {
		.found = found,
		.arg = arg,
		.left = CHILD_SEARCH_USEC,
	};
	struct stat st;
	size_t i;

	if (!stat("/proc/self/ns/mnt", &st)) {
		s.dev = st.st_dev;
		is_new(&s, st.st_ino);
	}
	proc_find_all(visit_process, &s);
	look_at_mounts(&s, getpid());
	for (i = 0; i < s.nr_pids; i++)
		look_at_mounts(&s, s.pids[i]);
	if (open_files)
		proc_find_links(visit_open, &s);
	free(s.seen);
	free(s.pids);
}
