/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_LINK_H
#define _QCOW_LINK_H

#include "alloc.h"

int __must_check qcow_link_prepare(struct qcow_alloc *a, u64 first, u32 nr);
int __must_check qcow_link(struct qcow_alloc *a, u64 first, u32 nr, u64 host);

#endif /* _QCOW_LINK_H */
