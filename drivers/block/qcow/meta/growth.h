/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOW_GROWTH_H
#define _QCOW_GROWTH_H

#include "meta/state.h"

int __must_check qcow_growth_cover(struct qcow_alloc *a, u64 cluster);

#endif /* _QCOW_GROWTH_H */
