/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_UNMOUNTED_H
#define _QCOWCTL_UNMOUNTED_H

#include "device/target.h"

void unmounted_find(const struct target *t);

#endif /* _QCOWCTL_UNMOUNTED_H */
