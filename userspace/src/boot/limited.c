// SPDX-License-Identifier: GPL-2.0
/*
 * Calls that may never return, as an unmount of a filesystem whose server or disk is gone.
 * Each runs in a child. The caller starts all calls of a stage, and waits for them together
 * some seconds: several that hang cost no more than one. Then it goes on. The children stay,
 * since the calls may only be slow, and their results are taken later.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boot/limited.h"
#include "lib/clock.h"
#include "lib/report.h"

/**
 * struct busy_call - a call that has not returned
 * @what: the action, and its object
 * @pid: the child
 * @late: it is of an earlier stage
 */
struct busy_call {
	char *what;
	pid_t pid;
	bool late;
};

static struct busy_call *busy;
static size_t nr_busy;
static u64 end_of_waits = UINT64_MAX;

/* Whether any call of this stage has returned 0 */
static bool done;

/**
 * limited_end() - limit all waits together
 * @end: the time of clock_now() after which a stage has no more than LIMITED_MIN_USEC
 */
void limited_end(u64 end)
{
	end_of_waits = end;
}

/* Return: when the wait for a stage that begins now ends. */
static u64 end_of_stage(void)
{
	u64 now = clock_now();

	if (end_of_waits < now + LIMITED_MIN_USEC)
		return now + LIMITED_MIN_USEC;
	return min(now + LIMITED_USEC, end_of_waits);
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
	busy[nr_busy].late = false;
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

/* Return: whether a child has ended, with @result set. */
static bool has_ended(pid_t pid, int *result)
{
	int status;

	if (waitpid(pid, &status, WNOHANG) != pid)
		return false;
	*result = result_of(status);
	return true;
}

/**
 * limited_start() - make a call that may never return, as one of a stage
 * @what: the action, and its object: a text that only this call has
 * @call: makes it in a child; returns 0 or a positive errno
 * @arg: for @call
 *
 * While an earlier call of this text has not returned, no second one is made.
 */
void limited_start(const char *what, limited_call *call, const void *arg)
{
	struct busy_call *earlier = find_busy(what);
	int result;
	pid_t pid;

	if (earlier) {
		if (has_ended(earlier->pid, &result)) {
			remove_busy(earlier);
			done |= !result;
		}
		return;
	}
	pid = fork();
	if (!pid)
		_exit(call(arg));
	if (pid > 0)
		add_busy(what, pid);
	else
		report(what, "%s", strerror(errno));
}

/* Take the results of a stage. Return: whether all of its calls have returned. */
static bool take_stage(void)
{
	size_t i = 0, waiting = 0;
	int result;

	while (i < nr_busy) {
		if (busy[i].late || !has_ended(busy[i].pid, &result)) {
			waiting += !busy[i].late;
			i++;
			continue;
		}
		remove_busy(&busy[i]);
		done |= !result;
	}
	return !waiting;
}

/**
 * limited_gather() - wait for the calls of a stage together
 *
 * Return: whether any of them has returned 0. Those that do not return in time are named, and
 * left alone.
 */
bool limited_gather(void)
{
	u64 end = end_of_stage();
	bool any;
	size_t i;

	while (!take_stage() && clock_now() < end)
		clock_pause();
	for (i = 0; i < nr_busy; i++) {
		if (!busy[i].late)
			report(busy[i].what, "takes long; going on without it");
		busy[i].late = true;
	}
	any = done;
	done = false;
	return any;
}

/* Return: whether a call that had taken long has returned since. Its result counts no more. */
static bool take_one(void)
{
	int result;
	size_t i;

	for (i = 0; i < nr_busy; i++) {
		if (!has_ended(busy[i].pid, &result))
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
