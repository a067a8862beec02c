// SPDX-License-Identifier: GPL-2.0
/*
 * How far the check is, on a terminal, and whether it was told to stop.
 */
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/**
 * check_catch_signals() - have SIGINT and the like end the work between two steps
 *
 * A second one ends the program at once.
 */
void check_catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = {
		.sa_handler = stop,
		.sa_flags = SA_RESTART | (int)SA_RESETHAND,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
}

/**
 * check_stopped() - was there a signal?
 *
 * Return: whether to stop.
 */
bool check_stopped(void)
{
	return stopped;
}

static bool shown;

/**
 * check_progress() - show how far the work is, twice a second
 * @what: the work
 * @done: of @total
 * @total: at least 1
 */
void check_progress(const char *what, u64 done, u64 total)
{
	static struct timespec last;
	static int terminal = -1;
	struct timespec now;

	if (terminal < 0)
		terminal = isatty(STDERR_FILENO);
	if (!terminal)
		return;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if ((now.tv_sec - last.tv_sec) * 1000 +
	    (now.tv_nsec - last.tv_nsec) / 1000000 < 500)
		return;
	last = now;
	shown = true;
	fprintf(stderr, "\r%s: %3u%%", what, (unsigned int)(done * 100 / total));
}

/**
 * check_progress_end() - clear what was shown, before other output
 */
void check_progress_end(void)
{
	if (shown)
		fputs("\r\033[K", stderr);
	shown = false;
}
