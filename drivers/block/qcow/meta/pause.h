/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A way to hold up the I/O of an image. dev/job.c fills it in, as dev/ has the queue;
 * jobs/ and l1.c, which are below, take it for the steps that no I/O may see.
 */
#ifndef _QCOW_PAUSE_H
#define _QCOW_PAUSE_H

#include <linux/types.h>

/**
 * struct qcow_pause - a way to hold up the I/O of an image, for floors without a queue
 * @stop: wait until no I/O is under way, and let none begin. Return: 0; or an error,
 *	and I/O goes on
 * @go: undo @stop
 * @since: ktime_get_ns() of the moment from which @stop let no I/O begin; 0: that of the
 *	call
 */
struct qcow_pause {
	int (*stop)(struct qcow_pause *p);
	void (*go)(struct qcow_pause *p);
	u64 since;
};

#endif /* _QCOW_PAUSE_H */
