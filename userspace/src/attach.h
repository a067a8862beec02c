/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_ATTACH_H
#define _QCOWCTL_ATTACH_H

#include "qcow/pure.h"

int attach_to_change(const char *name, u32 format);
int detach_changed(int index);

#endif /* _QCOWCTL_ATTACH_H */
