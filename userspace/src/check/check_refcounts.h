/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_REFCOUNTS_H
#define _QCOWCTL_CHECK_REFCOUNTS_H

#include "check/check.h"

int check_raise(struct check *c);
int check_lower(struct check *c);

#endif /* _QCOWCTL_CHECK_REFCOUNTS_H */
