/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_SNAPSHOTS_H
#define _QCOWCTL_CHECK_SNAPSHOTS_H

#include "check/check.h"

int check_complete_snapshots(struct check *c);

#endif /* _QCOWCTL_CHECK_SNAPSHOTS_H */
