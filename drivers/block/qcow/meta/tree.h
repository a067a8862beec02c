/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_TREE_H
#define _QCOW_TREE_H

#include "meta/state.h"

int __must_check qcow_tree_raise_table(struct qcow_alloc *a, u64 l2_host_offset);
int __must_check qcow_tree_raise(struct qcow_alloc *a, const u64 *l1, u32 size);
u64 qcow_tree_bytes(const struct qcow_alloc *a, u32 size);
void qcow_tree_advance(const struct qcow_alloc *a);
void qcow_tree_lower(struct qcow_alloc *a, const u64 *l1, u32 size);
int __must_check qcow_tree_own(struct qcow_alloc *a);
void qcow_tree_breathe(struct qcow_alloc *a);

#endif /* _QCOW_TREE_H */
