/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_REPORT_H
#define _QCOWCTL_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "qcow/pure.h"

struct option;

void report(const char *name, const char *fmt, ...) __printf(2, 3);
void report_from_driver(struct qcow_msg *msg);
void report_msg(const char *name, int err, const struct qcow_msg *msg);
int report_usage(const char *command, char **argv, const struct option *options);

void *xcalloc(size_t nr, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);
char *xasprintf(const char *fmt, ...) __printf(1, 2);

#endif /* _QCOWCTL_REPORT_H */
