/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_SORT_H
#define _QCOWCTL_SORT_H

#include <stddef.h>

#include "qcow/ondisk/pure.h"

void foreign_sort(void *base, size_t nr, size_t size,
		  int (*compare)(const void *a, const void *b));
size_t foreign_search(const void *base, size_t nr, size_t size, u64 key,
		      u64 (*key_of)(const void *element));

#endif /* _QCOWCTL_SORT_H */
