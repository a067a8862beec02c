/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_VET_H
#define _QCOW_VET_H

#include "meta/state.h"

struct qcow_slice;

int __must_check qcow_vet_slice(struct qcow_alloc *a, struct qcow_slice *slice,
				u64 guest_offset);
int __must_check qcow_vet_table(struct qcow_alloc *a, u64 l2_host_offset,
				u64 guest_offset);

#endif /* _QCOW_VET_H */
