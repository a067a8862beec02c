/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_CHECK_REBUILD_H
#define _QCOWCTL_CHECK_REBUILD_H

#include "check/check.h"

int check_rebuild(struct check *old);

#endif /* _QCOWCTL_CHECK_REBUILD_H */
