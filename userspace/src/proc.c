// SPDX-License-Identifier: GPL-2.0
/*
 * Which processes have a file open. The kernel keeps no such list, so all
 * descriptors of all processes are looked at, as fuser(1) does.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "proc.h"
#include "report.h"
#include "text.h"

/* Without asking a server: a dead one must not hang us. */
static int stat_cached(int dir, const char *name, struct statx *stx)
{
	return statx(dir, name, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, stx);
}

static bool stat_matches(const struct statx *stx, const struct stat *st)
{
	if ((stx->stx_mode & S_IFMT) != (st->st_mode & S_IFMT))
		return false;
	if (S_ISBLK(st->st_mode))
		return makedev(stx->stx_rdev_major, stx->stx_rdev_minor) ==
		       st->st_rdev;
	return stx->stx_ino == st->st_ino &&
	       makedev(stx->stx_dev_major, stx->stx_dev_minor) == st->st_dev;
}

static void read_comm(int proc, const char *pid, struct proc_opener *opener)
{
	char path[300], comm[20] = "?";
	char *shown;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/comm", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, comm, sizeof(comm) - 1);
		if (n > 0)
			comm[n - (comm[n - 1] == '\n')] = 0;
		close(fd);
	}
	shown = text_escape(comm);
	snprintf(opener->comm, sizeof(opener->comm), "%s", shown);
	free(shown);
}

struct search {
	const struct stat *files;
	size_t nr;
	proc_found *found;
	void *arg;
};

/* Report each of the files that a process has open once. */
static void search_process(const struct search *s, int proc, const char *pid,
			   DIR *fds)
{
	struct proc_opener opener = { .pid = atoi(pid) };
	bool *seen = xcalloc(s->nr, sizeof(*seen));
	struct dirent *d;
	struct statx stx;
	size_t i;

	while ((d = readdir(fds))) {
		if (!isdigit((unsigned char)d->d_name[0]) ||
		    stat_cached(dirfd(fds), d->d_name, &stx))
			continue;
		for (i = 0; i < s->nr; i++) {
			if (seen[i] || !stat_matches(&stx, &s->files[i]))
				continue;
			seen[i] = true;
			opener.which = i;
			read_comm(proc, pid, &opener);
			s->found(s->arg, &opener);
		}
	}
	free(seen);
}

static DIR *open_fds(int proc, const char *pid)
{
	char path[300];
	DIR *dir;
	int fd;

	snprintf(path, sizeof(path), "%s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	dir = fdopendir(fd);
	if (!dir)
		close(fd);
	return dir;
}

typedef void visit_process(void *arg, int proc, const char *pid);

/* All processes but this one. */
static void for_each_process(visit_process *visit, void *arg)
{
	DIR *proc = opendir("/proc");
	struct dirent *d;

	if (!proc)
		return;
	while ((d = readdir(proc)))
		if (isdigit((unsigned char)d->d_name[0]) &&
		    atoi(d->d_name) != getpid())
			visit(arg, dirfd(proc), d->d_name);
	closedir(proc);
}

static void visit_fds(void *arg, int proc, const char *pid)
{
	DIR *fds = open_fds(proc, pid);

	if (!fds)
		return;
	search_process(arg, proc, pid, fds);
	closedir(fds);
}

/**
 * proc_find_openers() - find the processes that have files open
 * @files: the files or block devices
 * @nr: how many
 * @found: called for each process, other than this one, and file it has open
 * @arg: for @found
 *
 * Finds what the caller's rights let it see.
 */
void proc_find_openers(const struct stat *files, size_t nr, proc_found *found,
		       void *arg)
{
	struct search s = { files, nr, found, arg };

	for_each_process(visit_fds, &s);
}

/* The mount namespaces seen so far, by inode number. */
struct namespaces {
	ino_t *seen;
	size_t nr;
	proc_found *found;
	void *arg;
};

static bool is_new_namespace(struct namespaces *n, ino_t ino)
{
	size_t i;

	for (i = 0; i < n->nr; i++)
		if (n->seen[i] == ino)
			return false;
	n->seen = xrealloc(n->seen, (n->nr + 1) * sizeof(*n->seen));
	n->seen[n->nr++] = ino;
	return true;
}

static void visit_namespace(void *arg, int proc, const char *pid)
{
	struct proc_opener opener = { .pid = atoi(pid) };
	struct namespaces *n = arg;
	char path[300];
	struct stat st;

	snprintf(path, sizeof(path), "%s/ns/mnt", pid);
	if (fstatat(proc, path, &st, 0) || !is_new_namespace(n, st.st_ino))
		return;
	read_comm(proc, pid, &opener);
	n->found(n->arg, &opener);
}

/**
 * proc_find_namespaces() - find the other mount namespaces
 * @found: called for one process of each
 * @arg: for @found
 *
 * Finds what the caller's rights let it see.
 */
void proc_find_namespaces(proc_found *found, void *arg)
{
	struct namespaces n = { .found = found, .arg = arg };
	struct stat st;

	if (!stat("/proc/self/ns/mnt", &st))
		is_new_namespace(&n, st.st_ino);
	for_each_process(visit_namespace, &n);
	free(n.seen);
}
