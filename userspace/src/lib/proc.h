/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_PROC_H
#define _QCOWCTL_PROC_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/**
 * struct proc_opener - a process that has a file or device open
 * @pid: the process
 * @comm: its name, escaped
 * @which: index of its open file in the array that was searched for
 */
struct proc_opener {
	pid_t pid;
	char comm[80];
	size_t which;
};

typedef void proc_found(void *arg, const struct proc_opener *opener);

/* How a process uses a file. */
enum proc_link_kind {
	PROC_CWD,
	PROC_ROOT,
	PROC_FD,
	PROC_MAPPED,
};

/**
 * struct proc_link - a file that a process has in use
 * @kind: how
 * @pid: the process
 * @comm: its name, escaped
 * @path: a link in /proc that leads to the file, whatever its name
 */
struct proc_link {
	enum proc_link_kind kind;
	pid_t pid;
	const char *comm;
	const char *path;
};

typedef void proc_link_found(void *arg, const struct proc_link *link);

void proc_find_all(proc_found *found, void *arg);
void proc_find_links(proc_link_found *found, void *arg);
void proc_find_openers(const struct stat *files, size_t nr, proc_found *found,
		       void *arg);
bool proc_parent(struct proc_opener *process);

#endif /* _QCOWCTL_PROC_H */
