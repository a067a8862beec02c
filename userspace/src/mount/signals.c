// SPDX-License-Identifier: GPL-2.0
/*
 * Signals that end the program, but not in the middle of a step.
 */
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "mount/signals.h"
#include "qcow/ondisk/pure.h"

static const int ending[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
static int exit_code;

static void end(int sig)
{
	(void)sig;
	/* The device that is held open goes, as it is closed. */
	_exit(exit_code);
}

/**
 * signals_end_program() - have signals end the program with an exit code
 * @status: the exit code
 *
 * A signal that was ignored stays so.
 */
void signals_end_program(int status)
{
	struct sigaction sa = { .sa_handler = end }, before;
	size_t i;

	exit_code = status;
	for (i = 0; i < ARRAY_SIZE(ending); i++)
		if (!sigaction(ending[i], NULL, &before) && before.sa_handler != SIG_IGN)
			sigaction(ending[i], &sa, NULL);
}

static void change(int how)
{
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < ARRAY_SIZE(ending); i++)
		sigaddset(&set, ending[i]);
	sigprocmask(how, &set, NULL);
}

/**
 * signals_block() - have these signals wait
 */
void signals_block(void)
{
	change(SIG_BLOCK);
}

/**
 * signals_unblock() - let the signals come
 */
void signals_unblock(void)
{
	change(SIG_UNBLOCK);
}
