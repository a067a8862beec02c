// SPDX-License-Identifier: GPL-2.0
/*
 * Which processes have a file open. The kernel keeps no such list, so all
 * descriptors of all processes are looked at, as fuser(1) does.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/proc.h"
#include "lib/report.h"
#include "lib/text.h"

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

/**
 * proc_parent() - find the process that has started another one
 * @process: the other one; becomes its parent, but for @which
 *
 * Return: whether it has one that can be seen.
 */
bool proc_parent(struct proc_opener *process)
{
	char *line = NULL, pid[24], path[64];
	size_t size = 0;
	int parent = 0;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)process->pid);
	status = fopen(path, "re");
	while (status && getline(&line, &size, status) > 0)
		if (sscanf(line, "PPid: %d", &parent) == 1)
			break;
	if (status)
		fclose(status);
	free(line);
	process->pid = parent;
	snprintf(pid, sizeof(pid), "/proc/%d", parent);
	if (parent)
		read_comm(AT_FDCWD, pid, process);
	return parent;
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
 * Finds the processes that the caller's rights let it see.
 */
void proc_find_openers(const struct stat *files, size_t nr, proc_found *found,
		       void *arg)
{
	struct search s = { files, nr, found, arg };

	for_each_process(visit_fds, &s);
}

/* --- Everything --- */

struct all {
	proc_found *found;
	void *arg;
};

static void visit_one(void *arg, int proc, const char *pid)
{
	struct proc_opener opener = { .pid = atoi(pid) };
	const struct all *all = arg;

	read_comm(proc, pid, &opener);
	all->found(all->arg, &opener);
}

/**
 * proc_find_all() - visit each process but this one
 * @found: called for it
 * @arg: for @found
 */
void proc_find_all(proc_found *found, void *arg)
{
	struct all all = { found, arg };

	for_each_process(visit_one, &all);
}

struct links {
	proc_link_found *found;
	void *arg;
};

static void visit_folder(const struct links *links, struct proc_link *link,
			 const char *folder)
{
	char *name = xasprintf("/proc/%d/%s", (int)link->pid, folder), *path;
	DIR *dir = opendir(name);
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		path = xasprintf("%s/%s", name, d->d_name);
		link->path = path;
		links->found(links->arg, link);
		free(path);
	}
	if (dir)
		closedir(dir);
	free(name);
}

static void visit_link(const struct links *links, struct proc_link *link,
		       const char *name)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)link->pid, name);
	link->path = path;
	links->found(links->arg, link);
}

static void visit_links(void *arg, const struct proc_opener *process)
{
	struct proc_link link = { .pid = process->pid, .comm = process->comm };

	link.kind = PROC_CWD;
	visit_link(arg, &link, "cwd");
	link.kind = PROC_ROOT;
	visit_link(arg, &link, "root");
	link.kind = PROC_FD;
	visit_folder(arg, &link, "fd");
	link.kind = PROC_MAPPED;
	visit_folder(arg, &link, "map_files");
}

/**
 * proc_find_links() - visit the files in use by other processes
 * @found: called for each folder, open file and mapping
 * @arg: for @found
 *
 * Finds the processes that the caller's rights let it see.
 */
void proc_find_links(proc_link_found *found, void *arg)
{
	struct links links = { found, arg };

	proc_find_all(visit_links, &links);
}
