/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_SETTLE_H
#define _QCOWCTL_SETTLE_H

#include <stdbool.h>
#include <sys/types.h>

#include "qcow/ondisk/pure.h"

struct udev;

/**
 * struct settle - a wait for udev
 * @udev: of libudev; NULL: udev is not waited for
 * @began: clock_now() before the devices were made
 * @idle: clock_now() when udev's queue was first seen empty; 0: it is not
 */
struct settle {
	struct udev *udev;
	u64 began;
	u64 idle;
};

void settle_begin(struct settle *s, u64 began);
bool settle_done(struct settle *s, dev_t dev);
bool settle_hopeless(struct settle *s);
void settle_end(struct settle *s);

#endif /* _QCOWCTL_SETTLE_H */
