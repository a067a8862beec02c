// SPDX-License-Identifier: GPL-2.0
/*
 * Requests to the driver that take long: a thread asks how far the driver is and shows it,
 * while the request waits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "device/device.h"
#include "device/watch.h"
#include "lib/progress.h"

/* Milliseconds between two looks. */
#define WATCH_PAUSE	200

/**
 * struct watch - a thread that shows the progress of a request
 * @control: the driver's control node
 * @index: the N of /dev/qcowN
 * @what: name of the work in the progress line
 * @detach: the request detaches the device: another one may have the number afterwards
 * @done: as the driver said at the last look
 * @total: as @done
 * @end: a pipe whose end for writing is closed when the request has returned
 * @thread: the thread
 */
struct watch {
	int control;
	int index;
	const char *what;
	bool detach;
	u64 done;
	u64 total;
	int end[2];
	pthread_t thread;
};

static void watch_look(struct watch *w)
{
	struct qcow_ioc_status status;

	/* Another program's work comes first, or has begun since. */
	if (device_status(w->control, w->index, &status) ||
	    status.job_owner == QCOW_JOB_OTHERS ||
	    (w->detach && !(status.state & QCOW_STATE_GOING)))
		return;
	w->done = status.job_done;
	w->total = status.job_total;
}

static void *watch_thread(void *arg)
{
	struct watch *w = arg;
	struct pollfd end = { .fd = w->end[0], .events = POLLIN };

	while (!poll(&end, 1, WATCH_PAUSE)) {
		watch_look(w);
		progress(w->what, w->done, w->total);
	}
	return NULL;
}

/* Signals are for the thread that waits for the driver. */
static int watch_start(struct watch *w)
{
	sigset_t all, old;
	int err;

	if (pipe2(w->end, O_CLOEXEC))
		return -1;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&w->thread, NULL, watch_thread, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		return 0;
	close(w->end[0]);
	close(w->end[1]);
	return -1;
}

static void watch_end(struct watch *w, bool done)
{
	close(w->end[1]);
	pthread_join(w->thread, NULL);
	close(w->end[0]);
	if (done && !w->detach)
		watch_look(w);
	if (done)
		progress(w->what, w->total, w->total);
	progress_end();
}

/**
 * watch_ioctl() - have the driver do long work on a device, and show how far it is
 * @control: the driver's control node
 * @index: the N of /dev/qcowN
 * @what: name of the work in the progress line
 * @request: the ioctl
 * @arg: its argument
 *
 * Without a thread for it, no progress is shown.
 *
 * Return: 0 or a negative errno.
 */
int watch_ioctl(int control, int index, const char *what, unsigned long request, void *arg)
{
	struct watch w = {
		.control = control, .index = index, .what = what,
		.detach = request == QCOW_IOC_DETACH,
	};
	bool watched = progress_wanted() && !watch_start(&w);
	int err = ioctl(control, request, arg) ? -errno : 0;

	if (watched)
		watch_end(&w, !err);
	return err;
}
