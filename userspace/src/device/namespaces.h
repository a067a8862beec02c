/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_NAMESPACES_H
#define _QCOWCTL_NAMESPACES_H

#include <stdbool.h>
#include <sys/types.h>

/**
 * struct namespace - a mount namespace other than that of the caller
 * @pid: a process in it; a child of ours if no other is
 * @comm: the name of the process, escaped
 * @path: of a file that keeps it, if no process of another program is in it; else NULL
 */
struct namespace {
	pid_t pid;
	const char *comm;
	const char *path;
};

typedef void namespace_found(void *arg, const struct namespace *ns);

void namespaces_find(bool open_files, namespace_found *found, void *arg);

#endif /* _QCOWCTL_NAMESPACES_H */
