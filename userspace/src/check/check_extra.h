/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_EXTRA_H
#define _QCOWCTL_CHECK_EXTRA_H

#include "check/check.h"

int check_snapshots(struct check *c);
int check_luks(struct check *c);
int check_bitmaps(struct check *c);

#endif /* _QCOWCTL_CHECK_EXTRA_H */
