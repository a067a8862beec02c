/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_STRAY_H
#define _QCOW_STRAY_H

#include "meta/state.h"

int __must_check __qcow_stray_note(struct qcow_alloc *a, u64 cluster, u64 guest_offset);
bool __qcow_stray_is(struct qcow_alloc *a, u64 cluster);
u32 __qcow_stray_skip(struct qcow_alloc *a, u64 *cluster, u32 nr);

/*
 * Return: true if there are strays of guest data, so that refcounts do not tell which
 * clusters are in use. Any context.
 */
static inline bool qcow_stray_any(const struct qcow_alloc *a)
{
	return READ_ONCE(a->strays.nr);
}

#endif /* _QCOW_STRAY_H */
