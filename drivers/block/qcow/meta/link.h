/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_LINK_H
#define _QCOW_LINK_H

#include "meta/state.h"

int __must_check qcow_link_prepare(struct qcow_alloc *a, u64 pos, u64 len);
int __must_check qcow_link_data(struct qcow_alloc *a, u64 pos, u64 len,
				u64 host, bool taken);
int __must_check qcow_link_zero(struct qcow_alloc *a, u64 pos, u64 len,
				bool unmap);
int __must_check qcow_link_hole(struct qcow_alloc *a, u64 pos, u64 len);

#endif /* _QCOW_LINK_H */
