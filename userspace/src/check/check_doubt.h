/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_DOUBT_H
#define _QCOWCTL_CHECK_DOUBT_H

#include "check/check.h"

int check_doubt(const struct check *c);

#endif /* _QCOWCTL_CHECK_DOUBT_H */
