/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_MAP_H
#define _QCOWCTL_CHECK_MAP_H

#include "check/check.h"

int check_l1(struct check *c, u64 host_offset, u32 nr, bool active);
int check_l2_tables(struct check *c);

#endif /* _QCOWCTL_CHECK_MAP_H */
