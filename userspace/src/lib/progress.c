// SPDX-License-Identifier: GPL-2.0
/*
 * How far long work is, and whether it was told to stop.
 */
#include <json-c/json.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "lib/progress.h"
#include "lib/report.h"

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

/**
 * progress_catch_signals() - have SIGINT and the like end the work between two steps
 *
 * A second one ends the program at once.
 */
void progress_catch_signals(void)
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
 * progress_stopped() - whether there was a signal
 *
 * Return: whether to stop.
 */
bool progress_stopped(void)
{
	return stopped;
}

static enum { TERMINAL_UNKNOWN, QUIET, TERMINAL, JSON } how;
static bool shown;
static struct timespec last;

/**
 * progress_parse() - the value of a --progress option
 * @arg: the value
 *
 * Return: 0, or -1 after printing the error.
 */
int progress_parse(const char *arg)
{
	if (!strcmp(arg, "json")) {
		how = JSON;
		return 0;
	}
	report("--progress", "is json, or not given");
	return -1;
}

static void show_json(const char *what, u64 done, u64 total)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "what", json_object_new_string(what));
	json_object_object_add(o, "done", json_object_new_int64(done));
	json_object_object_add(o, "total", json_object_new_int64(total));
	fprintf(stderr, "%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
	json_object_put(o);
}

/* Twice a second is enough. */
static bool too_soon(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if ((now.tv_sec - last.tv_sec) * 1000 +
	    (now.tv_nsec - last.tv_nsec) / 1000000 < 500)
		return true;
	last = now;
	return false;
}

/**
 * progress_end() - clear the line that was shown, before other output; report() does so
 */
void progress_end(void)
{
	if (shown)
		fputs("\r\033[K", stderr);
	shown = false;
}

/**
 * progress_wanted() - tell whether progress is shown at all
 *
 * Return: whether it is, on a terminal or as lines of JSON.
 */
bool progress_wanted(void)
{
	if (how == TERMINAL_UNKNOWN)
		how = isatty(STDERR_FILENO) ? TERMINAL : QUIET;
	return how != QUIET;
}

/**
 * progress_beside_output() - show no progress on a terminal that shows the output
 *
 * For a command whose output appears line by line.
 */
void progress_beside_output(void)
{
	if (progress_wanted() && how == TERMINAL && isatty(STDOUT_FILENO))
		how = QUIET;
}

/**
 * progress() - show how far the work is: on a terminal, or as lines of JSON
 * @what: the work
 * @done: of @total; all of it is always told
 * @total: 0: not known yet, and nothing is shown
 */
void progress(const char *what, u64 done, u64 total)
{
	if (!progress_wanted() || !total || (too_soon() && done < total))
		return;
	if (how == JSON) {
		show_json(what, done, total);
		return;
	}
	shown = true;
	report_before(progress_end);
	fprintf(stderr, "\r%s: %3u%%", what, (unsigned int)((double)done * 100 / total));
}
