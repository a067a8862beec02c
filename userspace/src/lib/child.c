// SPDX-License-Identifier: GPL-2.0
/*
 * Children that look up files which may lie on a filesystem that does not answer. Such a look-up
 * holds up its process, and no signal ends it, so the child may outlive qcowctl by far.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/child.h"
#include "lib/clock.h"
#include "lib/report.h"

/* Microseconds that one child may take. */
#define CHILD_USEC	1000000LL

/**
 * child_fork() - fork a child that may hang
 * @keep: a descriptor that stays open in the child, or -1
 *
 * The child has nothing else open. A pipe to the reader of the output would never end, and
 * the locks of an image would be kept.
 *
 * Return: as fork().
 */
pid_t child_fork(int keep)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (keep > 0)
		syscall(SYS_close_range, 0U, keep - 1U, 0U);
	syscall(SYS_close_range, keep + 1U, ~0U, 0U);
	return 0;
}

/**
 * child_wait() - wait for a child, one second at most
 * @fd: can be read when the child has done its work
 * @left: microseconds that the search may wait for its children, more than 0, less the
 *	wait afterwards; or NULL: for this child alone
 *
 * Return: whether the child has done its work.
 */
bool child_wait(int fd, s64 *left)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	s64 limit = left && *left < CHILD_USEC ? *left : CHILD_USEC;
	u64 began = clock_now();
	bool done;

	/* Rounded up, so that no rest of a millisecond is left for ever. */
	done = poll(&p, 1, (limit + 999) / 1000) == 1;
	if (left)
		*left -= clock_now() - began;
	return done;
}

/**
 * child_leave() - end a child, or leave it behind if it cannot be ended
 * @pid: the child
 */
void child_leave(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, WNOHANG);
}

/**
 * child_ask() - have a child answer a question
 * @look: run in the child; returns a number from 0 to 255
 * @arg: for @look
 * @left: as of child_wait(); no child is asked if nothing is left
 *
 * Return: the number, or -1: no child answered in time.
 */
int child_ask(int (*look)(const void *arg), const void *arg, s64 *left)
{
	int status, answer = -1, ended;
	pid_t pid;

	if (left && *left <= 0)
		return -1;
	pid = child_fork(-1);
	if (pid < 0)
		return -1;
	if (!pid)
		_exit(look(arg));
	ended = syscall(SYS_pidfd_open, pid, 0);
	if (ended >= 0 && child_wait(ended, left) &&
	    waitpid(pid, &status, 0) == pid && WIFEXITED(status))
		answer = WEXITSTATUS(status);
	else
		child_leave(pid);
	if (ended >= 0)
		close(ended);
	return answer;
}
