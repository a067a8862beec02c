// SPDX-License-Identifier: GPL-2.0
/*
 * The time, for work that takes a while.
 */
#include <time.h>

#include "lib/clock.h"

/* The pause between two looks at a thing that takes a while. */
#define PAUSE_NS	(5 * 1000 * 1000)

/**
 * clock_now() - now, by a clock that only goes on
 *
 * Return: microseconds.
 */
u64 clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
}

/**
 * clock_pause() - sleep for 5 milliseconds
 */
void clock_pause(void)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	nanosleep(&pause, NULL);
}
