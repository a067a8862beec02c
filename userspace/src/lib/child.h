/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHILD_H
#define _QCOWCTL_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "qcow/ondisk/pure.h"

/* Microseconds that a search may wait for children, all together. */
#define CHILD_SEARCH_USEC	(3 * 1000000LL)

pid_t child_fork(int keep);
bool child_wait(int fd, s64 *left);
void child_leave(pid_t pid);
int child_ask(int (*look)(const void *arg), const void *arg, s64 *left);

#endif /* _QCOWCTL_CHILD_H */
