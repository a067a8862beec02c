/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_REPAIR_H
#define _QCOWCTL_CHECK_REPAIR_H

#include "check/check.h"

enum check_repair {
	CHECK_REPAIR_NONE,
	CHECK_REPAIR_LEAKS,
	CHECK_REPAIR_ALL,
};

int check_repair(struct check *c, enum check_repair mode);
int check_mark_clean(struct check *c);

#endif /* _QCOWCTL_CHECK_REPAIR_H */
