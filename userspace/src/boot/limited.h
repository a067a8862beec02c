/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_LIMITED_H
#define _QCOWCTL_LIMITED_H

#include <stdbool.h>

#include "qcow/ondisk/pure.h"

/* Microseconds that one call may take, until the caller goes on without it */
#define LIMITED_USEC	(10 * 1000000ULL)

typedef int limited_call(const void *arg);

void limited_end(u64 end);
int limited(const char *what, limited_call *call, const void *arg);
bool limited_wait(u64 until);

#endif /* _QCOWCTL_LIMITED_H */
