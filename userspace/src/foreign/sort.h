/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_SORT_H
#define _QCOWCTL_SORT_H

#include <stddef.h>

void foreign_sort(void *base, size_t nr, size_t size,
		  int (*compare)(const void *a, const void *b));

#endif /* _QCOWCTL_SORT_H */
