/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_STACKED_H
#define _QCOWCTL_STACKED_H

#include "device/target.h"

void stacked_find(const struct target *t);

#endif /* _QCOWCTL_STACKED_H */
