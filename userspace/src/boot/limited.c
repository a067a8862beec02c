// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that may never return, as an unmount of a filesystem whose server or disk is gone.
 * Each runs in a child. The caller waits for it some seconds, and then goes on; the child
 * stays, since the call may only be slow, and its result is taken later.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boot/limited.h"
#include "lib/clock.h"
#include "lib/report.h"

/**
 * struct busy_call - a call that has not returned in time
 * @what: the action, and its object
 * @pid: the child
 */
struct busy_call {
	char *what;
	pid_t pid;
};

static struct busy_call *busy;
static size_t nr_busy;
static u64 end_of_waits = UINT64_MAX;

/**
 * limited_end() - limit all waits together
 * @end: the time of clock_now() after which limited() waits no more
 */
void limited_end(u64 end)
{
	end_of_waits = end;
}

/* Return: how long to wait for a call now, in microseconds. */
static u64 time_left(void)
{
	u64 now = clock_now();

	if (now >= end_of_waits)
		return 0;
	return min(LIMITED_USEC, end_of_waits - now);
}

static struct busy_call *find_busy(const char *what)
{
	size_t i;

	for (i = 0; i < nr_busy; i++)
		if (!strcmp(busy[i].what, what))
			return &busy[i];
	return NULL;
}

static void add_busy(const char *what, pid_t pid)
{
	busy = xrealloc(busy, (nr_busy + 1) * sizeof(*busy));
	busy[nr_busy].what = xstrdup(what);
	busy[nr_busy].pid = pid;
	nr_busy++;
}

static void remove_busy(struct busy_call *call)
{
	free(call->what);
	*call = busy[--nr_busy];
}

/* Return: the errno of the call, or 0. */
static int result_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

/* Wait for the end of a child. Return: whether it has ended, with @result set. */
static bool wait_child(pid_t pid, u64 usec, int *result)
{
	struct pollfd ended = { .events = POLLIN };
	int status;

	ended.fd = syscall(SYS_pidfd_open, pid, 0);
	if (ended.fd >= 0) {
		poll(&ended, 1, usec / 1000);
		close(ended.fd);
	}
	if (waitpid(pid, &status, ended.fd >= 0 ? WNOHANG : 0) != pid)
		return false;
	*result = result_of(status);
	return true;
}

/**
 * limited() - make a call that may never return
 * @what: the action, and its object: a text that only this call has
 * @call: makes it in a child; returns 0 or a positive errno
 * @arg: for @call
 *
 * While an earlier call of this text has not returned, no second one is made.
 *
 * Return: the result of @call, or EINPROGRESS.
 */
int limited(const char *what, limited_call *call, const void *arg)
{
	struct busy_call *earlier = find_busy(what);
	int result;
	pid_t pid;

	if (earlier) {
		if (!wait_child(earlier->pid, 0, &result))
			return EINPROGRESS;
		remove_busy(earlier);
		return result;
	}
	pid = fork();
	if (!pid)
		_exit(call(arg));
	if (pid < 0)
		return errno;
	if (wait_child(pid, time_left(), &result))
		return result;
	report(what, "takes long; going on without it");
	add_busy(what, pid);
	return EINPROGRESS;
}

/* Return: whether a call that had taken long has returned since. Its result counts no more. */
static bool take_one(void)
{
	int result;
	size_t i;

	for (i = 0; i < nr_busy; i++) {
		if (!wait_child(busy[i].pid, 0, &result))
			continue;
		remove_busy(&busy[i]);
		return true;
	}
	return false;
}

/**
 * limited_wait() - wait until a call that takes long has returned
 * @until: the time of clock_now() to wait for at most
 *
 * Return: whether one has; false: there is none, or the time is over.
 */
bool limited_wait(u64 until)
{
	while (nr_busy) {
		if (take_one())
			return true;
		if (clock_now() >= until)
			return false;
		clock_pause();
	}
	return false;
}
