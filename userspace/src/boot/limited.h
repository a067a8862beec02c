/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_LIMITED_H
#define _QCOWCTL_LIMITED_H

#include <stdbool.h>

#include "qcow/ondisk/pure.h"

/* Microseconds that the calls of one stage may take together, until the caller goes on */
#define LIMITED_USEC	(10 * 1000000ULL)

/* And that they get in any case, although limited_end() is over */
#define LIMITED_MIN_USEC	(3 * 1000000ULL)

typedef int limited_call(const void *arg);

void limited_end(u64 end);
void limited_start(const char *what, limited_call *call, const void *arg);
bool limited_gather(void);
bool limited_wait(u64 until);

#endif /* _QCOWCTL_LIMITED_H */
