/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_MEMORY_H
#define _QCOWCTL_MEMORY_H

#include "qcow/ondisk/pure.h"

void *xcalloc(size_t nr, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t len);
char *xvasprintf(const char *fmt, va_list args) __printf(1, 0);
char *xasprintf(const char *fmt, ...) __printf(1, 2);

#endif /* _QCOWCTL_MEMORY_H */
