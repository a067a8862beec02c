/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_APPEND_H
#define _QCOW_APPEND_H

#include "alloc.h"

int __must_check __qcow_append_reserve(struct qcow_alloc *a, u32 want);
int __must_check qcow_append_load(struct qcow_alloc *a,
				  const struct qcow_header *h);

#endif /* _QCOW_APPEND_H */
