// SPDX-License-Identifier: GPL-2.0
/*
 * Makes stages of calls, as qcow-shutdown does, and prints what becomes of them.
 */
#include <stdio.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "boot/limited.h"
#include "lib/clock.h"
#include "lib/report.h"

static int hang(const void *arg)
{
	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sleep(60);
	return 0;
}

static int slow(const void *arg)
{
	usleep(*(const int *)arg);
	return 0;
}

static int refuse(const void *arg)
{
	(void)arg;
	return 16;
}

/* Whether a stage took about as long as one limit, and not several */
static const char *took(u64 began)
{
	u64 usec = clock_now() - began;

	return usec < LIMITED_MIN_USEC / 2 ? "at once" :
	       usec < 2 * LIMITED_MIN_USEC ? "one limit" : "several limits";
}

int main(void)
{
	int some = LIMITED_MIN_USEC / 6;
	char what[32];
	u64 began;
	bool any;
	int i;

	report_as("stages", NULL);
	limited_end(clock_now());
	began = clock_now();
	for (i = 0; i < 6; i++) {
		snprintf(what, sizeof(what), "call %d", i);
		limited_start(what, hang, NULL);
	}
	/* The last one is started as soon as the others, and its time is as long. */
	limited_start("healthy", slow, &some);
	any = limited_gather();
	printf("hanging and healthy: %d, %s\n", any, took(began));
	began = clock_now();
	limited_start("call 0", hang, NULL);
	limited_start("busy", refuse, NULL);
	any = limited_gather();
	printf("hanging still, and refused: %d, %s\n", any, took(began));
	printf("nothing: %d\n", limited_gather());
	return 0;
}
