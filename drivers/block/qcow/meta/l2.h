/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_L2_H
#define _QCOW_L2_H

#include "meta/state.h"

u64 qcow_l2_empty(const struct qcow_image *img, u64 guest_offset, u64 len);
void qcow_l2_note_empty(struct qcow_alloc *a, u64 guest_offset, u64 len);
void qcow_l2_forget_empty(struct qcow_alloc *a);
bool qcow_l2_durable(struct qcow_alloc *a, u64 guest_offset, u64 len);

int __must_check qcow_l2_prepare(struct qcow_alloc *a, u64 guest_offset, u64 len);
int __must_check qcow_l2_set_data(struct qcow_alloc *a, u64 guest_offset, u64 len,
				  u64 host_offset, bool taken);
int __must_check qcow_l2_set_zero(struct qcow_alloc *a, u64 guest_offset, u64 len,
				  bool unmap);
int __must_check qcow_l2_set_hole(struct qcow_alloc *a, u64 guest_offset, u64 len);

#endif /* _QCOW_L2_H */
