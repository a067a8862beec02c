/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_REPORT_H
#define _QCOWCTL_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/memory.h"
#include "qcow/ondisk/pure.h"

void report_before(void (*hook)(void));
void report(const char *name, const char *fmt, ...) __printf(2, 3);
void report_from_driver(struct qcow_msg *msg);
void report_msg(const char *name, int err, const struct qcow_msg *msg);

#endif /* _QCOWCTL_REPORT_H */
